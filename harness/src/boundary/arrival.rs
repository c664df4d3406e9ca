//! What the dext sees of a call (group B).

use super::shape::{ClientRange, Request, Transfer};
use super::{Rule, Rules};
use crate::IoReturn;
use crate::limits::{INLINE_STRUCTURE_MAX, PAGE_SIZE};

/// `arguments->version` of an external method call (B1).
pub const ARGUMENTS_VERSION: u64 = 2;

/// How a structure input arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InputForm {
    /// Neither `structureInput` nor `structureInputDescriptor`.
    #[default]
    None,
    /// `structureInput`: an `OSData` of so many bytes (B3).
    Data {
        /// Bytes.
        length: u64,
    },
    /// `structureInputDescriptor` of so many bytes (B4).
    Descriptor {
        /// Bytes.
        length: u64,
    },
}

/// A call as the dext sees it, without its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrival {
    /// `arguments->version` (B1).
    pub version: u64,
    /// The selector (B1).
    pub selector: u64,
    /// `scalarInputCount`.
    pub scalar_input_count: u32,
    /// True where `scalarInput` is a pointer (B11).
    pub scalar_input_pointer: bool,
    /// The structure input.
    pub input: InputForm,
    /// `scalarOutputCount` on entry (B2).
    pub scalar_output_count: u32,
    /// `structureOutputMaximumSize`, in bytes (B7).
    pub maximum: u64,
    /// Length of `structureOutputDescriptor`, if there is one (B8), in bytes.
    pub output_descriptor: Option<u64>,
    /// True where there is a completion (B9).
    pub completion: bool,
}

/// What the dext sees of `request`. `wake_port` says whether an asynchronous call has one (D6).
#[must_use]
pub fn arrival(rules: Rules, selector: u32, request: &Request, wake_port: bool) -> Arrival {
    let (maximum, output_descriptor) = output(rules, request.output);
    Arrival {
        version: ARGUMENTS_VERSION,
        selector: self::selector(rules, selector),
        scalar_input_count: request.scalar_count,
        scalar_input_pointer: request.scalar_count > 0
            || rules.on(Rule::B11) && rules.open().empty_scalar_input_is_pointer,
        input: input(rules, request.structure),
        scalar_output_count: request.scalars_asked,
        maximum,
        output_descriptor,
        completion: completion(rules, request.reference_count.is_some(), wake_port),
    }
}

fn selector(rules: Rules, selector: u32) -> u64 {
    // As if the selector were a signed number.
    let naive = i64::from(selector.cast_signed()).cast_unsigned();
    if rules.on(Rule::B1) { u64::from(selector) } else { naive }
}

fn input(rules: Rules, structure: Transfer) -> InputForm {
    match structure {
        Transfer::None | Transfer::Variable => InputForm::None,
        Transfer::Inline { size } if rules.on(Rule::B3) => InputForm::Data { length: size },
        // As the message pads it.
        Transfer::Inline { size } => InputForm::Data { length: size.next_multiple_of(4) },
        Transfer::OutOfLine { range: ClientRange::Null | ClientRange::Absurd, .. } => {
            InputForm::None
        }
        Transfer::OutOfLine { size, .. } if rules.on(Rule::B4) => {
            InputForm::Descriptor { length: size }
        }
        // As it is mapped.
        Transfer::OutOfLine { size, .. } => {
            InputForm::Descriptor { length: size.div_ceil(PAGE_SIZE).saturating_mul(PAGE_SIZE) }
        }
    }
}

/// The maximum and the length of the descriptor.
fn output(rules: Rules, output: Transfer) -> (u64, Option<u64>) {
    match output {
        Transfer::None => (0, None),
        Transfer::Inline { .. } if !rules.on(Rule::B7) => (INLINE_STRUCTURE_MAX, None),
        Transfer::Inline { size } => (size, None),
        Transfer::Variable => (u64::from(u32::MAX), None),
        Transfer::OutOfLine { range: ClientRange::Null | ClientRange::Absurd, .. } => (0, None),
        Transfer::OutOfLine { size, .. } => (size, Some(size)),
    }
}

fn completion(rules: Rules, is_async: bool, wake_port: bool) -> bool {
    if !is_async {
        return false;
    }
    let only_with_port = rules.on(Rule::B9);
    wake_port || !only_with_port || !rules.on(Rule::D6)
}

/// How the descriptor of a structure input behaves (B5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputDescriptor {
    /// A mapping of it in the dext is read-only.
    pub read_only: bool,
    /// Its first mapping takes a snapshot; what the client writes later is not seen.
    pub copy_on_write: bool,
}

/// How the descriptor of a structure input behaves (B5).
#[must_use]
pub fn input_descriptor(rules: Rules) -> InputDescriptor {
    let on = rules.on(Rule::B5);
    InputDescriptor { read_only: on, copy_on_write: on }
}

/// Who notices that nothing is mapped where an out-of-line structure should be: `Ok` where the call
/// goes on and the dext's `CreateMapping` gives the code (B6).
///
/// # Errors
///
/// What the call itself gives, where it notices.
pub fn bad_pointer(rules: Rules) -> Result<IoReturn, IoReturn> {
    if rules.on(Rule::B6) { Ok(rules.open().bad_pointer) } else { Err(IoReturn::BAD_ARGUMENT) }
}

/// Whether what the dext wrote through the output descriptor reaches the client after a call that
/// gave `result` (B8).
#[must_use]
pub fn descriptor_writes_stay(rules: Rules, result: IoReturn) -> bool {
    result == IoReturn::SUCCESS || rules.on(Rule::B8)
}

/// What a scalar output holds when the dext first sees it; `clients` is what the client has there
/// (B2).
#[must_use]
pub fn scalar_output_start(rules: Rules, clients: u64) -> u64 {
    if rules.on(Rule::B2) { rules.open().scalar_output_start } else { clients }
}

/// True where inputs and descriptors lose the system's reference after the method (B10).
#[must_use]
pub fn releases_inputs(rules: Rules) -> bool {
    rules.on(Rule::B10)
}
