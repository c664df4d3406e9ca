//! The lock of one connection (K1): methods share it, map, unmap and close have it alone.

use crate::boundary::{Hold, Rule, Rules};
use crate::schedule::{Monitor, Schedule};

/// The lock, and the count of those that are on their way through it.
#[derive(Debug)]
pub(super) struct Gate {
    monitor: Monitor<State>,
}

#[derive(Debug, Default)]
struct State {
    shared: u32,
    exclusive: bool,
    /// Whoever waits to be alone keeps new methods out (K2).
    waiting: u32,
    /// Operations that came and have not left, whether they hold the lock yet or not (H3).
    inside: u32,
}

impl Gate {
    pub(super) fn new(schedule: &Schedule) -> Self {
        Self { monitor: Monitor::new(schedule, "the lock of a connection (K1)", State::default()) }
    }

    /// Counts the caller in, so that a teardown waits for it (H3).
    pub(super) fn come(&self) -> Visit<'_> {
        self.monitor.lock().inside += 1;
        Visit { gate: self, hold: Hold::None }
    }

    /// Waits until nobody is inside.
    pub(super) fn wait_until_empty(&self) {
        let mut state = self.monitor.lock();
        while state.inside > 0 {
            state.wait_until(None);
        }
    }
}

/// Somebody's stay inside; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Visit<'a> {
    gate: &'a Gate,
    hold: Hold,
}

impl Visit<'_> {
    /// Waits for the lock (K1, K2).
    pub(super) fn lock(mut self, rules: Rules, hold: Hold) -> Self {
        let mut state = self.gate.monitor.lock();
        let waits = || [Rule::K1, Rule::K2].into_iter().for_each(|rule| rules.note(rule));
        match hold {
            Hold::None => {}
            Hold::Shared => {
                while state.exclusive || state.waiting > 0 {
                    waits();
                    state.wait_until(None);
                }
                state.shared += 1;
            }
            Hold::Exclusive => {
                state.waiting += 1;
                while state.exclusive || state.shared > 0 {
                    waits();
                    state.wait_until(None);
                }
                state.waiting -= 1;
                state.exclusive = true;
            }
        }
        drop(state);
        self.hold = hold;
        self
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.monitor.lock();
        match self.hold {
            Hold::None => {}
            Hold::Shared => state.shared -= 1,
            Hold::Exclusive => state.exclusive = false,
        }
        state.inside -= 1;
        drop(state);
        self.gate.monitor.notify_all();
    }
}
