//! A call in Rust as the C library would see it.

use super::method::{AsyncWake, MethodInput, MethodOutput, StructureInput, StructureOutput};
use crate::boundary::{CallShape, Pointer, ReferenceShape, StructureShape, WakePort};
use crate::limits::INLINE_STRUCTURE_MAX;

/// The shape of a call, for [`send`](crate::boundary::library::send). A structure at NULL or at
/// nowhere is one only beyond 4096 bytes: below it would be a fault of a C client, which Rust cannot
/// make.
#[must_use]
pub fn call_shape(
    input: &MethodInput<'_>,
    output: &MethodOutput<'_>,
    wake: Option<(&AsyncWake<'_>, WakePort)>,
) -> CallShape {
    let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    let null = |size: u64| StructureShape::null(if size > INLINE_STRUCTURE_MAX { size } else { 0 });
    let nowhere = |size: u64| match size > INLINE_STRUCTURE_MAX {
        true => StructureShape::of(size),
        false => StructureShape::NONE,
    };
    let structure = match input.structure {
        StructureInput::None => StructureShape::NONE,
        StructureInput::Bytes(_) | StructureInput::Shared(_) => {
            StructureShape::of(input.structure.size())
        }
        StructureInput::Null { size } => null(size),
        StructureInput::Unmapped { size } => nowhere(size),
    };
    let asked = match output.structure {
        StructureOutput::None => StructureShape::NONE,
        StructureOutput::Null { size } => null(size),
        StructureOutput::Unmapped { size } => nowhere(size),
        _ => StructureShape::of(output.structure_asked()),
    };
    CallShape {
        scalars: if input.scalars.is_empty() { Pointer::Null } else { Pointer::Present },
        scalar_count: count(input.scalars.len()),
        structure,
        scalar_output: Pointer::Present,
        scalars_asked: Some(output.scalar_count),
        output: asked.range,
        output_asked: Some(asked.size),
        reference: wake.map(|(wake, wake_port)| ReferenceShape {
            wake_port,
            pointer: if wake.reference.is_some() { Pointer::Present } else { Pointer::Null },
            count: count(wake.reference.map_or(0, <[u64]>::len)),
        }),
    }
}
