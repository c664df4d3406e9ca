//! What becomes of what is inside a dext when it is terminated, dies or takes its time (group H).

use super::{Rule, Rules};
use crate::IoReturn;
use std::time::Duration;

/// What was on its way into the dext.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// An external method.
    Method,
    /// `NewUserClient`.
    Open,
    /// `CopyClientMemoryForType` for a map.
    Map,
    /// `CopyClientMemoryForType` for an unmap.
    Unmap,
}

/// What happened while an operation was inside the dext.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meanwhile {
    /// Nothing.
    Nothing,
    /// The user client was terminated.
    Terminated,
    /// The dext's process died.
    Died,
}

/// The result of an operation that came out of the dext: its own, also where the user client was
/// terminated meanwhile (H3), but not where the dext died (H4, G8).
///
/// # Errors
///
/// What the client is told instead.
pub fn came_out(rules: Rules, operation: Operation, meanwhile: Meanwhile) -> Result<(), IoReturn> {
    match meanwhile {
        Meanwhile::Nothing => Ok(()),
        Meanwhile::Terminated if rules.on(Rule::H3) => Ok(()),
        Meanwhile::Terminated => Err(IoReturn::ABORTED),
        Meanwhile::Died if operation == Operation::Open && !rules.on(Rule::G8) => {
            Err(IoReturn::NOT_RESPONDING)
        }
        Meanwhile::Died if !rules.on(Rule::H4) => Err(IoReturn::NOT_RESPONDING),
        Meanwhile::Died if operation == Operation::Map => Err(IoReturn::BAD_ARGUMENT),
        Meanwhile::Died => Err(IoReturn::MIG_SERVER_DIED),
    }
}

/// What a dext's process has left behind when it has died and the kernel has not torn its user clients
/// down yet: a short window, in which calls have codes of their own (H5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeathWindow {
    /// The port of the dext's queue is dead.
    QueuePortDead,
    /// The kernel's server object for the process is inactive, and its root queue gone.
    ServerInactive,
    /// The user client has no port of a queue any more.
    NoQueuePort,
}

impl DeathWindow {
    /// All of them, in the order in which they pass.
    pub const ALL: [Self; 3] = [Self::QueuePortDead, Self::ServerInactive, Self::NoQueuePort];
}

/// What an upcall gives in that window. A map turns it into a bad argument as any failure (F5), an
/// unmap and an open pass it on (F18, G2).
pub fn dying(rules: Rules, window: DeathWindow) -> IoReturn {
    match window {
        _ if !rules.on(Rule::H5) => IoReturn::MIG_SERVER_DIED,
        DeathWindow::QueuePortDead => IoReturn::MACH_SEND_INVALID_DEST,
        DeathWindow::ServerInactive => IoReturn::OFFLINE,
        DeathWindow::NoQueuePort => IoReturn::NOT_READY,
    }
}

/// Whether a result that took so long still counts: it does, however long (H7).
///
/// # Errors
///
/// Never, but with H7 switched off.
pub fn in_time(rules: Rules, elapsed: Duration) -> Result<(), IoReturn> {
    const PATIENCE: Duration = Duration::from_secs(30);
    if elapsed < PATIENCE || rules.on(Rule::H7) { Ok(()) } else { Err(IoReturn::TIMEOUT) }
}

/// Whether the teardown of an object waits until the dext has passed `Stop` to its base: not where the
/// provider is inactive already, since then `Stop` is one-way (H9).
#[must_use]
pub fn waits_for_super_stop(rules: Rules, provider_inactive: bool) -> bool {
    !provider_inactive && rules.on(Rule::H9)
}
