//! Where in a call something stands.

use super::operations::CallData;
use dextape::tape::Field;

/// Bytes of a field of a structure.
pub(super) const WORD: usize = 4;

/// A field by its place: inputs before outputs. Of a structure, the number of the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum At {
    Scalar(u32),
    Input(u32),
    ScalarOut(u32),
    Output(u32),
}

/// A field of the calls of a kind.
pub(super) type Place = (u32, At);

impl At {
    pub(super) fn is_output(self) -> bool {
        matches!(self, Self::ScalarOut(_) | Self::Output(_))
    }

    pub(super) fn field(self) -> Field {
        let offset = |word: u32| u64::from(word) * WORD as u64;
        match self {
            Self::Scalar(index) => Field::ScalarInput(index as usize),
            Self::Input(word) => Field::StructureInput(offset(word), WORD as u64),
            Self::ScalarOut(index) => Field::ScalarOutput(index as usize),
            Self::Output(word) => Field::StructureOutput(offset(word), WORD as u64),
        }
    }

    pub(super) fn shown(self) -> String {
        match self {
            Self::Scalar(index) => format!("scalar {index}"),
            Self::Input(word) => format!("input {:#x}", word as usize * WORD),
            Self::ScalarOut(index) => format!("returned scalar {index}"),
            Self::Output(word) => format!("output {:#x}", word as usize * WORD),
        }
    }

    /// What a call has there.
    pub(super) fn of(self, call: &CallData) -> Option<u64> {
        let word = |bytes: &[u8], word: u32| bytes.chunks(WORD).nth(word as usize).map(number);
        match self {
            Self::Scalar(index) => call.scalars.get(index as usize).copied(),
            Self::Input(index) => word(&call.input, index),
            Self::ScalarOut(index) => call.scalars_out.get(index as usize).copied(),
            Self::Output(index) => word(&call.output, index),
        }
    }
}

/// Everything that a call hands in.
pub(super) fn inputs(call: &CallData) -> impl Iterator<Item = (At, u64)> + '_ {
    both(&call.scalars, &call.input, At::Scalar, At::Input)
}

/// Everything that a call gives back.
pub(super) fn outputs(call: &CallData) -> impl Iterator<Item = (At, u64)> + '_ {
    both(&call.scalars_out, &call.output, At::ScalarOut, At::Output)
}

fn both<'a>(
    scalars: &'a [u64],
    bytes: &'a [u8],
    scalar: fn(u32) -> At,
    word: fn(u32) -> At,
) -> impl Iterator<Item = (At, u64)> + 'a {
    let scalars = scalars.iter().zip(0..).map(move |(value, index)| (scalar(index), *value));
    let words = bytes.chunks(WORD).zip(0..).map(move |(bytes, index)| (word(index), number(bytes)));
    scalars.chain(words)
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
