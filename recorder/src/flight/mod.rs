//! The flight recorder's triggers: what has a tape cut while recording goes on.
//!
//! A recording that may stay on for weeks, in a journal that is a
//! [ring](crate::journal::JournalOptions::ring), gives out a tape when something happens that matters: a
//! result code, a signal, a call of [`RecordingSession::trigger`](crate::recording::RecordingSession::trigger).
//! [`Triggers`] says what, [`FlightRecorder`] cuts the tapes, on a thread of its own.

mod error;
mod recorder;
mod signal;
#[expect(unsafe_code, reason = "handlers of signals")]
mod signals;
mod tapes;
mod trigger;

pub use error::FlightError;
pub use recorder::{FlightOptions, FlightRecorder};
pub use signal::Signal;
pub use tapes::cut_tapes;
pub use trigger::{BadTrigger, Trigger, Triggers};
