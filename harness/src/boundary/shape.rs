//! The shape of a call: its counts and which of its pointers are NULL. No bytes, so that a C caller,
//! a Rust caller and a tape can all be asked about alike.

use crate::limits::{INLINE_STRUCTURE_MAX, PAGE_SIZE};

/// A pointer that a client hands in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pointer {
    /// NULL.
    #[default]
    Null,
    /// Anything else.
    Present,
}

impl Pointer {
    /// True for NULL.
    #[must_use]
    pub const fn is_null(self) -> bool {
        matches!(self, Self::Null)
    }
}

/// Where the bytes of an out-of-line structure lie, as far as the kernel looks at them before it
/// makes a descriptor (B4, B8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientRange {
    /// At NULL: there is no structure (A10, A12).
    #[default]
    Null,
    /// At an address, whether something is mapped there or not (B6).
    Somewhere,
    /// Past the end of the address space, or more than the machine has: no descriptor is made, and
    /// the call goes on.
    Absurd,
}

impl ClientRange {
    /// The range of `size` bytes at `address`, on a machine with `physical` bytes of memory.
    #[must_use]
    pub const fn of(address: u64, size: u64, physical: u64) -> Self {
        if address == 0 {
            return Self::Null;
        }
        match address.checked_add(size) {
            Some(end) => {
                let pages = end.div_ceil(PAGE_SIZE) - address / PAGE_SIZE;
                if pages > physical / PAGE_SIZE { Self::Absurd } else { Self::Somewhere }
            }
            None => Self::Absurd,
        }
    }
}

/// A structure pointer with its size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StructureShape {
    /// Where its bytes are.
    pub range: ClientRange,
    /// Bytes that the client states.
    pub size: u64,
}

impl StructureShape {
    /// No structure: NULL and 0.
    pub const NONE: Self = Self { range: ClientRange::Null, size: 0 };

    /// A structure of `size` bytes in the client's memory.
    #[must_use]
    pub const fn of(size: u64) -> Self {
        Self { range: ClientRange::Somewhere, size }
    }

    /// NULL with a size.
    #[must_use]
    pub const fn null(size: u64) -> Self {
        Self { range: ClientRange::Null, size }
    }

    pub(super) const fn is_null(self) -> bool {
        matches!(self.range, ClientRange::Null)
    }
}

/// The wake port of an asynchronous call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WakePort {
    /// `MACH_PORT_NULL` (D6).
    Null,
    /// A receive right of the caller.
    Own,
    /// A name without a receive right (D5).
    Foreign,
}

/// The asynchronous half of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReferenceShape {
    /// The wake port.
    pub wake_port: WakePort,
    /// The array of references.
    pub pointer: Pointer,
    /// Its count.
    pub count: u32,
}

/// The shape of a call as a client makes it. The default is everything NULL and 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallShape {
    /// The array of scalar inputs.
    pub scalars: Pointer,
    /// Its count.
    pub scalar_count: u32,
    /// The structure input.
    pub structure: StructureShape,
    /// The array for scalar outputs.
    pub scalar_output: Pointer,
    /// `*outputCnt`; `None` where `outputCnt` is NULL (A4).
    pub scalars_asked: Option<u32>,
    /// Where the structure output goes. Its size is not looked at where
    /// [`output_asked`](Self::output_asked) is `None`.
    pub output: ClientRange,
    /// `*outputStructCntP`; `None` where `outputStructCntP` is NULL (A4).
    pub output_asked: Option<u64>,
    /// References and their count; `None` for a synchronous call.
    pub reference: Option<ReferenceShape>,
}

impl CallShape {
    /// The shape of `IOConnectCallScalarMethod` (A1).
    #[must_use]
    pub const fn scalar(scalar_count: u32, scalars_asked: Option<u32>) -> Self {
        Self {
            scalars: if scalar_count == 0 { Pointer::Null } else { Pointer::Present },
            scalar_count,
            structure: StructureShape::NONE,
            scalar_output: if scalars_asked.is_some() { Pointer::Present } else { Pointer::Null },
            scalars_asked,
            output: ClientRange::Null,
            output_asked: None,
            reference: None,
        }
    }

    /// The shape of `IOConnectCallStructMethod` (A1).
    #[must_use]
    pub const fn structure(structure: StructureShape, output: StructureShape) -> Self {
        Self {
            scalars: Pointer::Null,
            scalar_count: 0,
            structure,
            scalar_output: Pointer::Null,
            scalars_asked: None,
            output: output.range,
            output_asked: Some(output.size),
            reference: None,
        }
    }
}

/// How a structure travels, once the library has looked at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transfer {
    /// Not at all: its size is 0.
    #[default]
    None,
    /// Inside the message (A8, A11).
    Inline {
        /// Bytes, 1 to 4096.
        size: u64,
    },
    /// As an address and a size (A9, A11).
    OutOfLine {
        /// Bytes.
        size: u64,
        /// Where they are.
        range: ClientRange,
    },
    /// Variable output (A14).
    Variable,
}

impl Transfer {
    /// The in-line transfer of `size` bytes, or none.
    pub(super) const fn inline(size: u64) -> Self {
        if size == 0 { Self::None } else { Self::Inline { size } }
    }

    /// In-line or out of line, by size.
    pub(super) const fn by_size(shape: StructureShape) -> Self {
        if shape.size <= INLINE_STRUCTURE_MAX {
            Self::inline(shape.size)
        } else {
            Self::OutOfLine { size: shape.size, range: shape.range }
        }
    }
}

/// What the library sends to the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Scalar inputs, at most 16.
    pub scalar_count: u32,
    /// The structure input.
    pub structure: Transfer,
    /// Scalar outputs asked for, at most 16 (A5).
    pub scalars_asked: u32,
    /// The structure output asked for.
    pub output: Transfer,
    /// References of an asynchronous call, at most 8.
    pub reference_count: Option<u32>,
    /// True where a scalar output would be copied to NULL (A6).
    pub scalar_output_null: bool,
    /// True where an in-line or variable structure output would be copied to NULL (A6, A14).
    pub output_null: bool,
}
