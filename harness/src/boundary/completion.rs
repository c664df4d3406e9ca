//! Asynchronous calls and their completions (group D).

use super::{Rule, Rules};
use crate::IoReturn;
use crate::call::{AsyncReference, Completion, Scalars};
use crate::limits::{
    ASYNC_CALLOUT_FUNCTION_INDEX, ASYNC_CALLOUT_REFCON_INDEX, ASYNC_REFERENCE_MAX,
    ASYNC_RESERVED_INDEX, COMPLETION_ARGUMENTS_MAX, WAKE_PORT_QUEUE_MAX,
};

/// The reference as it comes back with every completion of a call that was made with `given` (D2,
/// D7, D8).
#[must_use]
pub fn reference(rules: Rules, given: Option<&[u64]>) -> AsyncReference {
    let mut reference = [0; ASYNC_REFERENCE_MAX];
    let given = given.unwrap_or(&[]);
    if given.is_empty() || rules.on(Rule::D8) {
        for (entry, value) in reference.iter_mut().zip(given) {
            *entry = *value;
        }
    } else {
        // As if the reserved entry were not part of what the client gave.
        for (entry, value) in reference.iter_mut().skip(1).zip(given) {
            *entry = *value;
        }
    }
    if reference[ASYNC_RESERVED_INDEX] != 0 && rules.on(Rule::D7) {
        reference[ASYNC_RESERVED_INDEX] = 0;
    }
    reference
}

/// The completion that the dext's `AsyncCompletion` makes, or `None` where it is dropped because it
/// has too many arguments (D13).
#[must_use]
pub fn completion(
    rules: Rules,
    reference: AsyncReference,
    status: IoReturn,
    arguments: &[u64],
) -> Option<Completion> {
    if arguments.len() > COMPLETION_ARGUMENTS_MAX && rules.on(Rule::D13) {
        return None;
    }
    // Naively a completion is a success.
    let status = rules.choose(Rule::D14, status, IoReturn::SUCCESS);
    Some(Completion { reference, status, arguments: Scalars::clamped(arguments) })
}

/// What one action of an asynchronous call has come to (D11, D20).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ActionState {
    fired: u64,
    aborted: bool,
}

impl ActionState {
    /// The last reference outside is gone, or the dext died: the stored reference is zeroed (D20).
    pub fn abort(&mut self) {
        self.aborted = true;
    }

    /// Completions fired so far.
    #[must_use]
    pub fn fired(&self) -> u64 {
        self.fired
    }

    /// The dext fires the action: true where a completion goes out. Firing does not consume it
    /// (D11).
    pub fn fire(&mut self, rules: Rules) -> bool {
        let spent = self.fired > 0 && !rules.on(Rule::D11);
        let aborted = self.aborted && rules.on(Rule::D20);
        if spent || aborted {
            return false;
        }
        self.fired += 1;
        true
    }
}

/// Whether a completion goes out although the connection of its call was closed or terminated: there
/// is no check of its state (D21).
#[must_use]
pub fn outlives_connection(rules: Rules) -> bool {
    rules.on(Rule::D21)
}

/// True where the system's reference of the action is released when the method has returned: without
/// one of its own the dext has no action left (D12).
#[must_use]
pub fn releases_action(rules: Rules) -> bool {
    rules.on(Rule::D12)
}

/// Where in the queue of a wake port a further message goes, if `waiting` are undelivered there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueue {
    /// Behind the others (D17).
    Last,
    /// Before the others: never, but with D17 switched off.
    First,
    /// Nowhere: it is dropped (D18).
    Drop,
}

/// Queue limit of a port as its user sets it (`MACH_PORT_QLIMIT_BASIC`); the kernel's messages
/// ignore it (D18).
const USER_QUEUE_LIMIT: usize = 5;

/// What becomes of a completion that reaches a wake port with `waiting` undelivered ones.
#[must_use]
pub fn enqueue(rules: Rules, waiting: usize) -> Enqueue {
    let beyond = waiting >= USER_QUEUE_LIMIT;
    let limit = if beyond && !rules.on(Rule::D18) { USER_QUEUE_LIMIT } else { WAKE_PORT_QUEUE_MAX };
    if waiting >= limit {
        Enqueue::Drop
    } else if waiting == 0 || rules.on(Rule::D17) {
        Enqueue::Last
    } else {
        Enqueue::First
    }
}

/// True where an action holds its wake port by name only, so that a destroyed port stays destroyed
/// (D19). It is touched where a completion finds it so.
#[must_use]
pub fn wake_port_is_weak(rules: Rules) -> bool {
    rules.holds(Rule::D19)
}

/// A completion finds its wake port destroyed, and is discarded (D19).
pub fn discarded(rules: Rules) {
    rules.note(Rule::D19);
}

/// Whether the outputs of an asynchronous call are copied when it returns (D10).
#[must_use]
pub fn returns_outputs(rules: Rules, is_async: bool) -> bool {
    !is_async || rules.on(Rule::D10)
}

/// What a run loop calls for a completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Callout {
    /// The callback function, as a number.
    pub function: u64,
    /// Its context reference.
    pub refcon: u64,
}

/// Where a reference keeps the callback and its context (D9).
#[must_use]
pub fn callout(rules: Rules, reference: &AsyncReference) -> Callout {
    let first = if rules.on(Rule::D9) { ASYNC_CALLOUT_FUNCTION_INDEX } else { 0 };
    let refcon = if rules.on(Rule::D9) { ASYNC_CALLOUT_REFCON_INDEX } else { 1 };
    Callout { function: reference[first], refcon: reference[refcon] }
}
