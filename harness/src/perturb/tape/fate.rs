//! What goes wrong in a run of a script: a plan of faults, struck where the dext would be.
//!
//! The boundary decides what the client sees of it, as on the mock. From the first fault on the device is
//! another than the recorded one: what the tape does not hold then is refused with an error, as a dext
//! may always do, and nothing is made up.

use super::stage::{Stage, State};
use crate::IoReturn;
use crate::boundary::{
    ConnectionState, Meanwhile, Operation as Inside, Rules, came_out, map_failure, opened,
    unmap_failure,
};
use crate::fault::{
    CallFault, CompletionFault, Ending, FaultCounter, FaultPlan, MapFault, OpenFault, Strike,
    UnmapFault,
};
use crate::perturb::operation::Operation;
use std::collections::HashMap;
use std::time::Duration;

/// What a call is told that the tape does not hold, once something has gone wrong.
pub(super) const ASTRAY: IoReturn = IoReturn::NOT_RESPONDING;

/// The plan of a run, and what it has brought about.
#[derive(Debug)]
pub(super) struct Fates {
    pub(super) counter: FaultCounter,
    /// What is planned for times, the last first.
    times: Vec<(Duration, Ending)>,
    /// Something has gone wrong.
    pub(super) struck: bool,
    /// How the services have ended; they all do together.
    pub(super) ended: Option<Ending>,
    pub(super) connections: HashMap<u32, ConnectionState>,
    /// What becomes of completions whose turn has come, by deed.
    completions: HashMap<usize, Option<CompletionFault>>,
}

/// How an operation goes on that has come to the dext.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// As on the tape.
    Goes,
    /// As on the tape, but the client is told this.
    Told(IoReturn),
    /// As on the tape, and then the service ends.
    Ends(Ending),
    /// Nothing happens, and the client is told this.
    Refused(IoReturn),
}

impl Fates {
    /// `None` where nothing goes wrong.
    pub(super) fn new(plan: FaultPlan) -> Option<Self> {
        if plan.is_empty() {
            return None;
        }
        let counter = FaultCounter::new(plan);
        let mut times: Vec<_> = counter.at_times().collect();
        times.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
        let (connections, completions) = (HashMap::new(), HashMap::new());
        Some(Self { counter, times, struck: false, ended: None, connections, completions })
    }

    /// What becomes of a completion; it has its turn when it or what goes with it comes first.
    pub(super) fn completion(&mut self, deed: usize, selector: u32) -> Option<CompletionFault> {
        let Self { counter, completions, struck, .. } = self;
        let new = || {
            let fault = counter.completion(selector);
            *struck |= fault.is_some();
            fault
        };
        *completions.entry(deed).or_insert_with(new)
    }

    /// When the next planned end comes.
    pub(super) fn next_end(&self) -> Option<Duration> {
        self.times.last().map(|(time, _)| *time).filter(|_| self.ended.is_none())
    }

    /// The planned end of this moment comes.
    pub(super) fn end_in_time(&mut self) {
        if let Some((_, ending)) = self.times.pop() {
            self.end(ending);
        }
    }

    /// The services end.
    pub(super) fn end(&mut self, ending: Ending) {
        if self.ended.is_some() {
            return;
        }
        (self.struck, self.ended) = (true, Some(ending));
        for connection in self.connections.values_mut() {
            // Mappings stay (F25).
            let _stop = connection.terminate(Rules::all());
        }
    }

    /// A connection was opened; of a dext that has ended meanwhile it is terminated.
    pub(super) fn opened(&mut self, number: u32) {
        let mut connection = ConnectionState::new();
        if self.ended.is_some() {
            let _stop = connection.terminate(Rules::all());
        }
        self.connections.insert(number, connection);
    }

    /// What happened to what is inside the dext.
    fn meanwhile(&self) -> Meanwhile {
        match self.ended {
            None => Meanwhile::Nothing,
            Some(Ending::Removed) => Meanwhile::Terminated,
            Some(Ending::Died) => Meanwhile::Died,
        }
    }

    pub(super) fn came_out(&self, operation: Operation) -> Result<(), IoReturn> {
        came_out(Rules::all(), inside(operation), self.meanwhile())
    }

    /// What strikes an operation that comes now, and how long it takes before.
    fn strike(&mut self, operation: Operation) -> Strike<CallFault> {
        let of_map = |it: MapFault| match it {
            MapFault::Delay(time) => CallFault::Delay(time),
            MapFault::Fails(code) => CallFault::Fails(map_failure(Rules::all(), code)),
            MapFault::Refused => CallFault::Fails(map_failure(Rules::all(), IoReturn::NO_SPACE)),
            MapFault::Ends(ending) => CallFault::Ends(ending),
        };
        let of_unmap = |it: UnmapFault| match it {
            UnmapFault::Delay(time) => CallFault::Delay(time),
            UnmapFault::Fails(code) => CallFault::Fails(unmap_failure(Rules::all(), code)),
            UnmapFault::Ends(ending) => CallFault::Ends(ending),
        };
        let strike = match operation {
            Operation::Call(selector) | Operation::AsyncCall(selector) => {
                self.counter.call(selector)
            }
            Operation::Map(memory_type) => {
                let Strike { delay, what } = self.counter.map(memory_type);
                Strike { delay, what: what.map(of_map) }
            }
            Operation::Unmap(memory_type) => {
                let Strike { delay, what } = self.counter.unmap(memory_type);
                Strike { delay, what: what.map(of_unmap) }
            }
            _ => Strike::default(),
        };
        // What only takes longer is no other device.
        self.struck |= strike.what.is_some();
        strike
    }
}

fn inside(operation: Operation) -> Inside {
    match operation {
        Operation::Open => Inside::Open,
        Operation::Map(_) => Inside::Map,
        Operation::Unmap(_) => Inside::Unmap,
        _ => Inside::Method,
    }
}

impl Stage {
    /// What becomes of an operation of a connection that comes now.
    pub(super) fn fate(&self, connection: u32, operation: Operation) -> Fate {
        let mut state = self.now();
        let Some(fates) = &mut state.fates else { return Fate::Goes };
        if operation == Operation::Close {
            let Some(of) = fates.connections.get_mut(&connection) else { return Fate::Goes };
            let was_terminated = of.is_terminated();
            let (result, _) = of.close(Rules::all());
            return if was_terminated { Fate::Refused(result) } else { Fate::Goes };
        }
        if let Some(of) = fates.connections.get(&connection).filter(|of| of.is_terminated()) {
            let is_trap = operation == Operation::Other;
            let there = if is_trap { of.check_trap(Rules::all()) } else { of.check(Rules::all()) };
            if let Err(code) = there {
                return Fate::Refused(code);
            }
        }
        let strike = fates.strike(operation);
        drop(state);
        if !strike.delay.is_zero() && !std::thread::panicking() {
            self.schedule.sleep(strike.delay);
        }
        let mut state = self.now();
        let Some(fates) = &mut state.fates else { return Fate::Goes };
        if let Err(code) = fates.came_out(operation) {
            return Fate::Refused(code);
        }
        match strike.what {
            None | Some(CallFault::Delay(_)) => Fate::Goes,
            Some(CallFault::Fails(code)) => Fate::Refused(code),
            Some(CallFault::FailsAfter(code)) => Fate::Told(code),
            Some(CallFault::EndsAfter(ending)) => Fate::Ends(ending),
            // It finishes (H3); what it does to memory comes before the end.
            Some(CallFault::Ends(Ending::Removed)) => Fate::Ends(Ending::Removed),
            Some(CallFault::Ends(ending)) => {
                fates.end(ending);
                fates.came_out(operation).map_or_else(Fate::Refused, |()| Fate::Goes)
            }
            Some(CallFault::NeverReturns) => {
                drop(state);
                self.hang(operation)
            }
        }
    }

    /// What an open is told that comes now, where it fails.
    pub(super) fn open_fails(&self) -> Option<IoReturn> {
        let mut state = self.now();
        let fates = state.fates.as_mut()?;
        if fates.ended.is_some() {
            // As on a Mac, a service that has ended is offline for an open (H5).
            return Some(IoReturn::OFFLINE);
        }
        let strike = fates.counter.open();
        fates.struck |= strike.what.is_some();
        drop(state);
        if !strike.delay.is_zero() && !std::thread::panicking() {
            self.schedule.sleep(strike.delay);
        }
        let mut state = self.now();
        let fates = state.fates.as_mut()?;
        if let Some(OpenFault::Ends(ending)) = strike.what {
            fates.end(ending);
        }
        match strike.what {
            Some(OpenFault::Fails(code)) => opened(Rules::all(), Err(code)).err(),
            Some(OpenFault::Refused(refusal)) => Some(refusal.code()),
            _ => fates.came_out(Operation::Open).err(),
        }
    }

    /// Waits until the dext is dead (H7).
    fn hang(&self, operation: Operation) -> Fate {
        let mut state = self.now();
        loop {
            let fates = state.fates.as_ref();
            if let Some(Err(code)) = fates.map(|fates| fates.came_out(operation)) {
                return Fate::Refused(code);
            }
            let next = fates.and_then(Fates::next_end);
            state.wait_until(next);
            drop(state);
            state = self.now();
        }
    }

    /// How an operation ends that went on, and what the client is told instead of what is on the tape.
    pub(super) fn fate_at_end(&self, fate: Fate, operation: Operation) -> Option<IoReturn> {
        let mut state = self.state();
        let fates = state.fates.as_mut()?;
        let came_out = fates.came_out(operation);
        match (came_out, fate) {
            (Err(code), _) | (Ok(()), Fate::Told(code) | Fate::Refused(code)) => Some(code),
            (Ok(()), Fate::Ends(ending)) => {
                fates.end(ending);
                None
            }
            (Ok(()), Fate::Goes) => None,
        }
    }
}

impl State {
    /// True once something has gone wrong.
    pub(super) fn is_astray(&self) -> bool {
        self.fates.as_ref().is_some_and(|fates| fates.struck)
    }
}
