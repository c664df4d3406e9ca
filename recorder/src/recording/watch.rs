//! Who is told what happens while a recording goes on.

use super::RecordingSession;
use crate::journal::Record;
use dextape::IoReturn;
use std::fmt;

/// Watches a recording for what matters. It is called by the client's threads, and must not hold them up.
pub(crate) trait Watch: fmt::Debug + Send + Sync {
    /// True where such a result is to be noted, and told by [`triggered`](Self::triggered).
    fn wants(&self, result: IoReturn) -> bool;

    /// The end of the recording, or for `result` what has it, was noted as the place that matters.
    fn triggered(&self, session: &RecordingSession, reason: &str, result: Option<IoReturn>);

    /// The recording is about to end.
    fn ending(&self);
}

/// The result that an event tells, with what had it.
pub(super) fn result_of(record: &Record<'_>) -> Option<(IoReturn, &'static str)> {
    match record {
        Record::Return(returned) => Some((returned.result, "a call")),
        Record::Mapped { outcome: Err(result) } => Some((*result, "a map")),
        Record::Unmapped { result } => Some((*result, "an unmap")),
        Record::OpenFailed { result } => Some((*result, "an open")),
        Record::Closed { result } => Some((*result, "a close")),
        Record::OtherReturn { outcome: Err(result) } => Some((*result, "a call")),
        Record::Posted { status, .. } => Some((*status, "a completion")),
        _ => None,
    }
}
