//! How far a client of a mock on which a tape is imposed has come.

use super::super::held::{Held, Operation};
use super::super::key::Key;
use dextape::call::ServiceId;
use dextape::schedule::{Schedule, TimeMode};
use dextape::tape::{Body, Sequence, Tape};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What everything of one run shares.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) tape: Arc<Tape>,
    pub(super) held: Held,
    pub(super) schedule: Schedule,
    /// Completions by the call that they are of, in the order of the tape: how long after it, and where.
    pub(super) posts: HashMap<Sequence, Vec<(Duration, usize)>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    counts: HashMap<Key, u64>,
    pub(super) connections: u32,
    /// The mock's services in the order in which they were seen, which numbers them on a tape.
    services: Vec<ServiceId>,
    /// What time it was on the tape, and here, when each lane of the tape was last heard of.
    clocks: HashMap<u32, (u64, Duration)>,
}

/// A held operation that is under way.
pub(super) struct Entered {
    pub(super) operation: Operation,
}

impl Shared {
    pub(super) fn new(tape: &Arc<Tape>, schedule: &Schedule) -> Self {
        let mut posts: HashMap<Sequence, Vec<_>> = HashMap::new();
        for (place, event) in tape.events().iter().enumerate() {
            if let (Body::Posted { .. }, Some(call)) = (&event.body, event.cause) {
                let began = tape.event(call).map_or(event.time, |call| call.time);
                // What the mock does at that very time is done before.
                let after = event.time.saturating_sub(began).saturating_add(1);
                let after = delay(schedule, after);
                posts.entry(call).or_default().push((after, place));
            }
        }
        Self {
            tape: Arc::clone(tape),
            held: Held::of(tape),
            schedule: schedule.clone(),
            posts,
            state: Mutex::default(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters an operation that may be known by several keys: what the tape holds of it, if anything.
    pub(super) fn enter(&self, keys: &[Key]) -> Option<Entered> {
        let mut state = self.state();
        let mut found = None;
        for key in keys {
            let count = state.counts.entry(*key).or_default();
            *count += 1;
            found = found.or(self.held.operation(*key, *count));
        }
        drop(state);
        found.iter().for_each(|operation| self.pace(operation.enter));
        found.map(|operation| Entered { operation })
    }

    /// Has a client thread come no earlier than on the tape, counted from what it did last that the tape
    /// holds.
    fn pace(&self, place: usize) {
        let event = &self.tape.events()[place];
        // What came first has its time from the beginning.
        let (time, began) = self.state().clocks.get(&event.lane).copied().unwrap_or_default();
        let due = began.saturating_add(delay(&self.schedule, event.time.saturating_sub(time)));
        let left = due.saturating_sub(self.schedule.now());
        if !left.is_zero() {
            self.schedule.sleep(left);
        }
        self.state().clocks.insert(event.lane, (event.time, self.schedule.now()));
    }

    /// What the tape holds of the enter.
    pub(super) fn asked(&self, entered: &Entered) -> &Body {
        &self.tape.events()[entered.operation.enter].body
    }

    /// What the tape holds of the leave, once the operation has taken as long as there.
    pub(super) fn answer(&self, entered: &Entered) -> Option<&Body> {
        let leave = entered.operation.leave?;
        self.pace(leave);
        Some(&self.tape.events()[leave].body)
    }
}

/// How long something takes here that took so many nanoseconds on the tape: nothing in free time.
fn delay(schedule: &Schedule, nanoseconds: u64) -> Duration {
    match schedule.mode() {
        TimeMode::Simulated => Duration::from_nanos(nanoseconds),
        TimeMode::Free => Duration::ZERO,
    }
}

impl State {
    /// The number on a tape of a service of the mock's.
    pub(super) fn number(&mut self, service: ServiceId) -> u32 {
        let known = self.services.iter().position(|known| *known == service);
        let place = known.unwrap_or_else(|| {
            self.services.push(service);
            self.services.len() - 1
        });
        u32::try_from(place + 1).unwrap_or(u32::MAX)
    }

    /// The service of the mock's that has that number on the tape.
    pub(super) fn service(&self, number: u32) -> Option<ServiceId> {
        self.services.get((number as usize).checked_sub(1)?).copied()
    }
}
