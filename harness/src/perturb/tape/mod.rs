//! A tape as a system of its own: what the device of the recording could as well have done.
//!
//! A replay follows the recorded order; here the recorded *causes* are followed, and time:
//!
//! - A call of the client is answered as the recorded call of the same inputs was, whoever makes it and
//!   when. A call that the tape does not hold ends the run without a verdict: nothing is made up.
//! - What the device did (a completion, a change of shared memory) happens as long after the calls and
//!   writes of the client before it as on the tape, and never before them: any of them may be its cause,
//!   so a run in which one was made later has it later. It does not wait for anything that a client only
//!   read, waited for or slept through: there a client that stands still meets what it never saw.
//! - A change of memory is as early as the last sign of the device before it was seen (a completion, the
//!   return of a call, another change), if the tape lets it be: who publishes data and then says so is
//!   never shown saying so first.
//! - A fault strikes where the dext would be, and the boundary says what the client sees of it. A call
//!   that failed has no effect, and what it may have caused does not come. From then on what the tape does
//!   not hold is refused with an error instead of ending the run.
//! - Whatever has been seen of the device, what it did before on the tape has happened, too.
//! - A change that the return of an operation showed waits for the others that may have caused it, as any
//!   does. The operation alone may have made it: who reads it between gets no verdict.
//! - A word that both sides change may hold something else when the device changes it than on the tape: it
//!   does to it what it has done to it before, where that shows.
//! - Where that is asked for, it waits for less ([`ahead`]), and answers more ([`answer`]).

mod ahead;
mod answer;
mod change;
mod connection;
mod exchange;
mod fate;
mod log;
mod memory;
mod queue;
mod script;
mod stage;
mod system;
mod timing;
mod words;

pub(super) use script::Script;
pub use script::UnfitTape;
pub(super) use stage::Stage;
pub(super) use system::PlayedSystem;
