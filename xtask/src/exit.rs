//! How a run ends.

use dextape::tape::{TapeError, TapeErrorKind};
use std::fmt;
use std::process::ExitCode;

/// A tape is invalid, or a replay diverges.
pub(crate) const INVALID: u8 = 1;

/// The question or this machine is at fault.
pub(crate) const USAGE: u8 = 2;

/// Why a run did not end well. The texts complete "failed to ...".
#[derive(Debug)]
pub(crate) enum Failure {
    /// A tape is invalid, or a replay diverges.
    Invalid(String),
    /// The question, a file or this machine is at fault.
    Environment(String),
    /// Two tapes differ, which was the question and has been told.
    Differs,
    /// Nobody reads the results any more, which is no failure of ours: `show | head`.
    ReaderGone,
}

impl Failure {
    /// What was found is invalid.
    pub(crate) fn invalid(error: impl fmt::Display) -> Self {
        Self::Invalid(error.to_string())
    }

    /// The question, a file or this machine is at fault.
    pub(crate) fn environment(error: impl fmt::Display) -> Self {
        let text = error.to_string();
        // fs-err says itself that it failed.
        Self::Environment(text.strip_prefix("failed to ").unwrap_or(&text).to_owned())
    }

    /// A tape cannot be read or written: the machine's fault where it refused, the tape's otherwise.
    pub(crate) fn tape(error: &TapeError) -> Self {
        match error.kind {
            TapeErrorKind::Io(_) => Self::environment(error),
            _ => Self::invalid(error),
        }
    }

    /// What failed, completing "failed to ...".
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Invalid(text) | Self::Environment(text) => text,
            Self::Differs => "find the tapes the same",
            Self::ReaderGone => "write the results: nobody reads them",
        }
    }

    /// The same, with `what` was tried before it.
    pub(crate) fn about(self, what: &str) -> Self {
        self.map(|text| format!("{what}: {text}"))
    }

    /// The same, with `remedy` behind it.
    pub(crate) fn with(self, remedy: &str) -> Self {
        self.map(|text| format!("{text}; {remedy}"))
    }

    fn map(self, change: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::Invalid(text) => Self::Invalid(change(text)),
            Self::Environment(text) => Self::Environment(change(text)),
            Self::Differs => Self::Differs,
            Self::ReaderGone => Self::ReaderGone,
        }
    }

    /// A result could not be written.
    pub(crate) fn output(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::ReaderGone,
            _ => Self::Environment(format!("write the results: {error}")),
        }
    }
}

/// The exit code of a run, after saying on stderr what went wrong.
pub(crate) fn code(outcome: Result<(), Failure>) -> ExitCode {
    let (code, message) = match outcome {
        Ok(()) | Err(Failure::ReaderGone) => return ExitCode::SUCCESS,
        Err(Failure::Differs) => return INVALID.into(),
        Err(Failure::Invalid(message)) => (INVALID, message),
        Err(Failure::Environment(message)) => (USAGE, message),
    };
    eprintln!("error: failed to {message}");
    code.into()
}
