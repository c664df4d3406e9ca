//! Why a scenario could not be run to its end.

use crate::ParameterError;
use dextape::IoReturn;
use dextape::connection::CallError;
use dextape::memory::AccessError;

/// Why a scenario could not be run to its end. What the dext answers is mostly no error here: a
/// client prints it and goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// A parameter does not do.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// The client's output could not be written.
    #[error("write the client's output: {0}")]
    Output(#[from] std::io::Error),
    /// Something that the client cannot go on without was refused.
    #[error("{what}: {result}")]
    Refused {
        /// What was asked for, such as "open NullDriver".
        what: String,
        /// What was answered.
        result: IoReturn,
    },
    /// A call that the client cannot go on without failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Shared memory could not be reached.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// Anything else, from a scenario of another crate, too.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl ScenarioError {
    /// For use with `map_err` on what gives an [`IoReturn`]; `what` completes "failed to ...".
    pub fn refused(what: impl Into<String>) -> impl FnOnce(IoReturn) -> Self {
        let what = what.into();
        move |result| Self::Refused { what, result }
    }
}
