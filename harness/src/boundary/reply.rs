//! What comes back to the client (group C, A6, A12, A17).

use super::shape::{CallShape, ClientRange, Request, Transfer};
use super::{OutputJudge, Rule, Rules};
use crate::IoReturn;
use crate::limits::VARIABLE_OUTPUT_SIZE;

/// What the dext left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DextReply {
    /// What the method returned.
    pub result: IoReturn,
    /// `scalarOutputCount` as it stands now.
    pub scalar_count: u32,
    /// Length of `structureOutput`, where it is set, in bytes.
    pub structure: Option<u64>,
}

/// What happens to the client's buffer for the structure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CopyOut {
    /// Nothing.
    #[default]
    Untouched,
    /// The first `copied` bytes of the dext's `structureOutput`, then `zeros` zero bytes.
    Inline {
        /// Bytes of the dext.
        copied: u64,
        /// Zero bytes behind them (C3).
        zeros: u64,
    },
    /// A new buffer with the first `length` bytes of the dext's `structureOutput` (A14, C6).
    Variable {
        /// Bytes.
        length: u64,
    },
}

/// What the client gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientReply {
    /// The result of the call.
    pub result: IoReturn,
    /// `*outputCnt`, or `None` where it stays as it was. So many scalars are copied.
    pub scalar_count: Option<u32>,
    /// `*outputStructCntP`, or `None` where it stays as it was.
    pub structure_size: Option<u64>,
    /// The client's buffer for the structure.
    pub structure: CopyOut,
    /// True where copying the reply faults (A6).
    pub fault: bool,
}

/// What the client gets for what the dext left behind. `None` where the kernel never replies and
/// the caller hangs (C9).
#[must_use]
pub fn reply(rules: Rules, request: &Request, dext: &DextReply) -> Option<ClientReply> {
    let mut result = passed_through(rules, dext.result)?;
    if result != IoReturn::SUCCESS && rules.on(Rule::A17) {
        return Some(failed(request, result));
    }
    let (size, structure) = structure(rules, request.output, dext).unwrap_or_else(|error| {
        // The kernel looks at the structure of a success only (C2).
        if result == IoReturn::SUCCESS {
            result = error;
        }
        (asked(request.output), CopyOut::Untouched)
    });
    if result != IoReturn::SUCCESS && rules.on(Rule::A17) {
        return Some(failed(request, result));
    }
    let asked_for = request.scalars_asked;
    let scalar_count = rules.choose(Rule::C7, asked_for.min(dext.scalar_count), asked_for);
    let copies = !matches!(structure, CopyOut::Untouched | CopyOut::Inline { copied: 0, zeros: 0 });
    let faults =
        (request.scalar_output_null && scalar_count > 0) || (request.output_null && copies);
    Some(ClientReply {
        result,
        scalar_count: Some(scalar_count),
        structure_size: Some(size),
        structure,
        fault: faults && rules.on(Rule::A6),
    })
}

/// What the client gets for a call that gave an error on its way back, or that the dext never
/// answered: everything stays as it was, but that variable output is emptied (A14, A17).
#[must_use]
pub fn failed(request: &Request, result: IoReturn) -> ClientReply {
    let variable = request.output == Transfer::Variable;
    ClientReply {
        result,
        scalar_count: None,
        structure_size: variable.then_some(0),
        structure: if variable { CopyOut::Variable { length: 0 } } else { CopyOut::Untouched },
        fault: variable && request.output_null,
    }
}

/// What the client gets for a call that the dext never saw: the result, and where it asked for variable
/// output, an empty one (A14).
#[must_use]
pub fn refused(rules: Rules, shape: &CallShape, result: IoReturn) -> ClientReply {
    let variable = shape.output_asked == Some(VARIABLE_OUTPUT_SIZE)
        && shape.reference.is_none()
        && rules.on(Rule::A14);
    let output = if variable { Transfer::Variable } else { Transfer::None };
    let output_null = shape.output == ClientRange::Null;
    failed(&Request { output, output_null, ..Request::default() }, result)
}

/// C9; `None` where the kernel sends no reply.
fn passed_through(rules: Rules, result: IoReturn) -> Option<IoReturn> {
    let no_reply = result == IoReturn::MIG_NO_REPLY;
    if result != IoReturn::SUCCESS && rules.is_watched(Rule::C9) {
        // As if a driver could return codes of IOKit's own only.
        let known = result.name().is_some();
        if (no_reply || !known) && !rules.on(Rule::C9) {
            return Some(if known { result } else { IoReturn::ERROR });
        }
    }
    (!no_reply).then_some(result)
}

/// `*outputStructCntP` where nothing says otherwise: what was asked for, as 32 bits where it went
/// out of line (A12, C4).
fn asked(output: Transfer) -> u64 {
    match output {
        Transfer::None | Transfer::Variable => 0,
        Transfer::Inline { size } => size,
        Transfer::OutOfLine { size, .. } => size & u64::from(u32::MAX),
    }
}

/// Size and copying of the structure after a success, or the error that it is.
fn structure(rules: Rules, output: Transfer, dext: &DextReply) -> Result<(u64, CopyOut), IoReturn> {
    match (output, dext.structure) {
        (Transfer::Variable, Some(length)) => Ok((length, CopyOut::Variable { length })),
        (Transfer::Variable, None) if rules.on(Rule::C6) => Err(IoReturn::UNDERRUN),
        (Transfer::Variable, None) => Ok((0, CopyOut::Variable { length: 0 })),
        (Transfer::OutOfLine { range, .. }, structure) => {
            let length = structure.unwrap_or(0);
            if let Err(error) = beside_descriptor(rules, range, structure)
                && rules.on(Rule::C5)
            {
                return Err(error);
            }
            let kept = asked(output);
            // Naively the client learns how much the dext has set.
            let told = if range == ClientRange::Null { kept } else { length };
            Ok((rules.choose(Rule::C4, kept, told), CopyOut::Untouched))
        }
        (Transfer::None | Transfer::Inline { .. }, structure) => {
            in_line(rules, asked(output), structure)
        }
    }
}

/// C5, as the framework or the kernel sees it.
fn beside_descriptor(
    rules: Rules,
    range: ClientRange,
    structure: Option<u64>,
) -> Result<(), IoReturn> {
    let has_descriptor = range == ClientRange::Somewhere;
    match (rules.open().output_beside_descriptor, structure) {
        (OutputJudge::Framework(code), Some(_)) if has_descriptor => Err(code),
        (_, Some(1..)) => Err(IoReturn::BAD_ARGUMENT),
        _ => Ok(()),
    }
}

/// C1 to C3.
fn in_line(rules: Rules, room: u64, structure: Option<u64>) -> Result<(u64, CopyOut), IoReturn> {
    match structure {
        Some(length) if length > room && rules.on(Rule::C2) => Err(IoReturn::BAD_ARGUMENT),
        Some(length) => {
            let copied = length.min(room);
            let zeros = rules.choose(Rule::C1, 0, room - copied);
            Ok((copied + zeros, CopyOut::Inline { copied, zeros }))
        }
        None if room == 0 || rules.on(Rule::C3) => {
            Ok((room, CopyOut::Inline { copied: 0, zeros: room }))
        }
        None => Ok((0, CopyOut::Untouched)),
    }
}

/// What the client finds in a scalar output that is copied: `value` is the dext's, `before` the
/// client's own (C8).
#[must_use]
pub fn scalar(rules: Rules, value: u64, before: u64) -> u64 {
    // Naively a scalar that the dext left alone is left alone.
    if value == 0 && before != 0 && !rules.on(Rule::C8) { before } else { value }
}

/// How the reply of a dext is damaged; a dext of this crate cannot damage one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DamagedReply {
    /// Its size, its identifier or its number of descriptors is wrong.
    WrongShape,
    /// Its objects cannot be decoded.
    Objects,
    /// It is short, or has another message identifier.
    ShortOrOther,
    /// It is no reply of a remote call at all.
    NoReply,
}

/// What the client is told of a reply that cannot be decoded (C10).
pub fn damaged(rules: Rules, reply: DamagedReply) -> IoReturn {
    let kept = match reply {
        DamagedReply::WrongShape => IoReturn::IPC_ERROR,
        DamagedReply::Objects => IoReturn::KERN_NOT_SUPPORTED,
        DamagedReply::ShortOrOther => IoReturn::MIG_BAD_ARGUMENTS,
        DamagedReply::NoReply => IoReturn::MIG_REPLY_MISMATCH,
    };
    rules.choose(Rule::C10, kept, IoReturn::IPC_ERROR)
}
