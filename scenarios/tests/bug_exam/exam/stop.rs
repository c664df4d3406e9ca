//! How a run of a client ends.

use dextape::IoReturn;
use dextape::connection::CallError;
use dextape::memory::AccessError;
use std::fmt;

/// How a client ends that holds all it promises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All is done.
    Complete,
    /// The driver made trouble, and the client says so.
    Reported(String),
}

/// A check of the client that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure(pub(crate) String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "check failed: {}", self.0)
    }
}

impl std::error::Error for Failure {}

/// Why a client does not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The driver made trouble.
    Trouble(String),
    /// A check failed.
    Check(Failure),
}

impl Stop {
    pub(super) fn trouble(what: impl fmt::Display) -> Self {
        Self::Trouble(what.to_string())
    }

    pub(super) fn check(what: impl fmt::Display) -> Self {
        Self::Check(Failure(what.to_string()))
    }
}

impl From<CallError> for Stop {
    fn from(error: CallError) -> Self {
        Self::trouble(error)
    }
}

impl From<IoReturn> for Stop {
    fn from(result: IoReturn) -> Self {
        Self::trouble(result)
    }
}

/// On a Mac the client would have crashed.
impl From<AccessError> for Stop {
    fn from(error: AccessError) -> Self {
        Self::check(format_args!("crashed: {error}"))
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Check(failure)
    }
}

/// What a run comes to: a failed check counts before everything else.
pub(super) fn conclude(
    parts: impl IntoIterator<Item = Result<(), Stop>>,
) -> Result<Outcome, Failure> {
    let mut reported: Option<String> = None;
    for part in parts {
        match part {
            Ok(()) => {}
            Err(Stop::Check(failure)) => return Err(failure),
            Err(Stop::Trouble(what)) => {
                reported.get_or_insert(what);
            }
        }
    }
    Ok(reported.map_or(Outcome::Complete, Outcome::Reported))
}

/// Ends the client with a failed check where `$holds` is false.
macro_rules! check {
    ($holds:expr, $($what:tt)+) => {
        if !$holds {
            return Err($crate::exam::stop::Stop::check(format_args!($($what)+)));
        }
    };
}
pub(super) use check;
