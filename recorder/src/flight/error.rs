//! Why there are no triggers.

use super::Signal;
use std::io;

/// Why a flight recorder cannot start. It completes "failed to ...".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FlightError {
    /// The recording has one already.
    #[error("watch for triggers: this recording does already")]
    Twice,
    /// Signals are the process's, and another recording waits for them.
    #[error("watch for signals: another recording of this process does already")]
    SignalsTaken,
    /// A signal cannot be waited for.
    #[error("watch for {signal}: {source}")]
    Signal {
        /// The signal.
        signal: Signal,
        /// What the system says.
        source: io::Error,
    },
    /// No thread for it.
    #[error("start the thread that cuts tapes: {0}")]
    Thread(#[source] io::Error),
}
