//! Where values are planted, and how that place is read again later.

use super::search::of_value;
use dextape::tape::{Body, Call, Event, OtherCall, Return, Structure, Tape};
use std::ops::Range;

/// What of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The structure handed in, or what a pointer led to.
    Input,
    /// The structure returned.
    Output,
    /// Bytes of memory.
    Memory,
    /// A scalar: its low bytes, so many, in either order.
    Scalar { place: ScalarPlace, index: usize, width: usize, big: bool },
    /// Texts and data of a registry value, one behind the other.
    Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScalarPlace {
    In,
    Out,
    Completion,
    Trap,
    Reference,
}

/// A piece of a planted value.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    /// Index of the event.
    pub(crate) event: usize,
    pub(crate) part: Part,
    /// Bytes of the part.
    pub(crate) range: Range<usize>,
}

/// A value that was planted.
#[derive(Clone, Debug)]
pub(crate) struct Plant {
    pub(crate) secret: usize,
    pub(crate) form: &'static str,
    pub(crate) place: &'static str,
    /// Its bytes in this form.
    pub(crate) bytes: Vec<u8>,
    /// Where they stand, in their order; empty where only the search tells.
    pub(crate) pieces: Vec<Piece>,
}

impl Plant {
    /// What now stands where it was planted; `None` where nothing can be read there.
    pub(crate) fn now(&self, tape: &Tape) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        for piece in &self.pieces {
            let part = part(tape.events().get(piece.event)?, piece.part)?;
            bytes.extend(part.get(piece.range.clone())?);
        }
        Some(bytes)
    }
}

fn part(event: &Event, part: Part) -> Option<Vec<u8>> {
    match (part, &event.body) {
        (Part::Input, Body::Call(call) | Body::AsyncCall { call, .. }) => match &call.input {
            Structure::Bytes(data) | Structure::Shared { data, .. } => {
                data.as_bytes().map(Vec::from)
            }
            _ => None,
        },
        (Part::Output, Body::Return(Return { structure, .. })) => {
            structure.as_ref()?.as_bytes().map(Vec::from)
        }
        (Part::Memory, Body::Patch { data, .. } | Body::Write { data, .. }) => {
            data.as_bytes().map(Vec::from)
        }
        (Part::Scalar { place, index, width, big }, body) => {
            let scalars: &[u64] = match (place, body) {
                (ScalarPlace::In, Body::Call(Call { scalars, .. })) => scalars,
                (ScalarPlace::Out, Body::Return(Return { scalars, .. })) => scalars,
                (ScalarPlace::Completion, Body::Posted { arguments, .. }) => arguments,
                (ScalarPlace::Reference, Body::AsyncCall { reference, .. }) => {
                    reference.as_deref()?
                }
                (ScalarPlace::Trap, Body::OtherCall(OtherCall::Trap { arguments, .. })) => {
                    arguments
                }
                _ => return None,
            };
            let scalar = scalars.get(index)?;
            Some(match big {
                true => scalar.to_be_bytes()[8 - width..].to_vec(),
                false => scalar.to_le_bytes()[..width].to_vec(),
            })
        }
        (
            Part::Value,
            Body::Property { outcome: Ok(Some(value)), .. }
            | Body::OtherCall(OtherCall::SetProperties { properties: Some(value) }),
        ) => {
            let (mut bytes, mut numbers) = (Vec::new(), Vec::new());
            of_value(value, &mut bytes, &mut numbers);
            Some(bytes.concat())
        }
        _ => None,
    }
}

impl Plant {
    /// True where bytes of another value of the same kind would be the same: what stands between digits,
    /// zero bytes, and the high digit of letters in hex.
    pub(crate) fn is_mostly_fixed(&self) -> bool {
        let fixed = self.bytes.iter().filter(|byte| b"\0 :-.@".contains(byte)).count();
        self.form.starts_with("base64")
            || self.form.starts_with("hex")
            || fixed * 3 > self.bytes.len()
    }
}
