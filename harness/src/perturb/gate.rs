//! What every operation of a client passes: where its thread stands still, and where waits end early.

use super::operation::{Made, Operation};
use super::{Deviation, Deviations, Point};
use crate::schedule::Schedule;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Operations that one run may make: beyond it a client is taken to look for something that never comes.
const OPERATIONS_MAX: u64 = 400_000;

/// Carried by the unwinding of a run that is given up: it is no failure of the client's.
#[derive(Clone, Copy, Debug)]
pub(super) struct GivenUp;

/// The gate of one run.
#[derive(Debug)]
pub(super) struct Gate {
    schedule: Schedule,
    stalls: Vec<Stall>,
    wakes: Vec<(u32, u64)>,
    state: Mutex<State>,
    /// Whether what passes is written down.
    notes: bool,
}

#[derive(Clone, Copy, Debug)]
struct Stall {
    lane: u32,
    operation: u64,
    point: Point,
    time: Duration,
}

#[derive(Debug, Default)]
struct State {
    /// Operations by lane; there are few lanes.
    lanes: Vec<(u32, u64)>,
    all: u64,
    made: Vec<Made>,
    /// When the device did something.
    moments: Vec<Duration>,
    /// Why the run was given up: kept, since a task that joins another only learns that it panicked.
    given_up: Option<String>,
}

/// An operation that is being made.
#[derive(Clone, Copy, Debug)]
#[must_use = "the operation has an end, too"]
pub(super) struct Passage {
    lane: u32,
    number: u64,
    /// It is a wait that ends with nothing.
    pub(super) wakes: bool,
}

impl Gate {
    pub(super) fn new(schedule: &Schedule, deviations: &Deviations, notes: bool) -> Self {
        let (mut stalls, mut wakes) = (Vec::new(), Vec::new());
        for deviation in &deviations.0 {
            match *deviation {
                Deviation::Stall { lane, operation, point, time } => {
                    stalls.push(Stall { lane, operation, point, time });
                }
                Deviation::Wake { lane, operation } => wakes.push((lane, operation)),
                _ => {}
            }
        }
        Self { schedule: schedule.clone(), stalls, wakes, state: Mutex::default(), notes }
    }

    pub(super) fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An operation begins.
    pub(super) fn enter(&self, operation: Operation) -> Passage {
        let lane = Schedule::lane_of_thread().unwrap_or(0);
        let mut state = self.state();
        if state.given_up.is_some() && !std::thread::panicking() {
            drop(state);
            std::panic::resume_unwind(Box::new(GivenUp));
        }
        state.all += 1;
        if state.all > OPERATIONS_MAX && !std::thread::panicking() {
            drop(state);
            self.give_up(format!("the client has made {OPERATIONS_MAX} operations"));
        }
        let number = match state.lanes.iter_mut().find(|(known, _)| *known == lane) {
            Some((_, count)) => {
                *count += 1;
                *count
            }
            None => {
                state.lanes.push((lane, 1));
                1
            }
        };
        if self.notes {
            let began = self.schedule.now();
            state.made.push(Made { lane, number, operation, began });
        }
        drop(state);
        let wakes = self.wakes.contains(&(lane, number));
        let passage = Passage { lane, number, wakes };
        self.stall(passage, Point::Before);
        passage
    }

    /// It is halfway through what it copies.
    pub(super) fn within(&self, passage: Passage) {
        self.stall(passage, Point::Within);
    }

    /// It is done.
    pub(super) fn leave(&self, passage: Passage) {
        self.stall(passage, Point::After);
    }

    fn stall(&self, passage: Passage, point: Point) {
        for stall in &self.stalls {
            let here = (stall.lane, stall.operation, stall.point);
            // Who unwinds has nobody to wait for.
            if here == (passage.lane, passage.number, point) && !std::thread::panicking() {
                self.schedule.sleep(stall.time);
            }
        }
    }

    /// The device has done something that the client could notice.
    pub(super) fn note_moment(&self, time: Duration) {
        if self.notes {
            self.state().moments.push(time);
        }
    }

    /// Ends the run without a verdict.
    pub(super) fn give_up(&self, why: String) -> ! {
        self.state().given_up.get_or_insert(why);
        std::panic::resume_unwind(Box::new(GivenUp))
    }

    /// Why the run was given up, if it was.
    pub(super) fn given_up(&self) -> Option<String> {
        self.state().given_up.clone()
    }

    /// What has passed, and when the device did something.
    pub(super) fn take_notes(&self) -> (Vec<Made>, Vec<Duration>) {
        let mut state = self.state();
        (std::mem::take(&mut state.made), std::mem::take(&mut state.moments))
    }
}
