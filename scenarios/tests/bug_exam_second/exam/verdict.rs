//! What a client says at its end.

use dextape::IoReturn;
use dextape::connection::{CallError, Connection, Matching, System};
use dextape::memory::AccessError;
use std::fmt;
use std::sync::Arc;

/// How a client ends that keeps its promises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All is done.
    Complete,
    /// The driver made trouble, and the client says which.
    Reported(String),
}

/// A promise that the client has broken, as its own check found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure(pub(crate) String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "check failed: {}", self.0)
    }
}

impl std::error::Error for Failure {}

/// Why a part of a client does not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Something that only the driver can have done.
    Trouble(String),
    /// Something that must not be, whatever the driver does.
    Check(Failure),
}

impl Stop {
    pub(super) fn trouble(what: impl fmt::Display) -> Self {
        Self::Trouble(what.to_string())
    }

    /// A promise is broken.
    pub(super) fn broken(what: impl fmt::Display) -> Self {
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

/// Memory that is not there any more: on a Mac that is the end of the process.
impl From<AccessError> for Stop {
    fn from(error: AccessError) -> Self {
        Self::broken(format_args!("crashed: {error}"))
    }
}

/// Makes one of the parts of a run. One broken promise is more than all trouble, and of that the first counts.
pub(super) fn join(parts: impl IntoIterator<Item = Result<(), Stop>>) -> Result<(), Stop> {
    let mut joined = Ok(());
    for part in parts {
        match part {
            Err(Stop::Check(_)) => return part,
            Err(Stop::Trouble(_)) if joined.is_ok() => joined = part,
            Err(Stop::Trouble(_)) | Ok(()) => {}
        }
    }
    joined
}

/// What a client says of all parts of its run.
pub(super) fn sum_up(
    parts: impl IntoIterator<Item = Result<(), Stop>>,
) -> Result<Outcome, Failure> {
    match join(parts) {
        Ok(()) => Ok(Outcome::Complete),
        Err(Stop::Trouble(what)) => Ok(Outcome::Reported(what)),
        Err(Stop::Check(failure)) => Err(failure),
    }
}

/// Connects to the first service of that class.
pub(super) fn connect(system: &dyn System, class: &str) -> Result<Arc<dyn Connection>, Stop> {
    let service = system.first_service(&Matching::user_class(class))?;
    Ok(Arc::from(system.open(service, 0)?))
}

/// Ends the part with a broken promise where `$holds` is false.
macro_rules! promise {
    ($holds:expr, $($what:tt)+) => {
        if !$holds {
            return Err($crate::exam::verdict::Stop::broken(format_args!($($what)+)));
        }
    };
}
pub(super) use promise;
