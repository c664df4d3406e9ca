//! What runs are derived from, and one run of it.

use super::gate::{Gate, GivenUp};
use super::operation::Made;
use super::tape::{PlayedSystem, Script, Stage};
use super::{Deviation, Deviations, StartRecording, live};
use crate::connection::System;
use crate::fault::FaultPlan;
use crate::schedule::{ENDLESS, Schedule, Variation};
use crate::tape::{Digest, Event, Tape};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The virtual time for which a run is waited for: a client that shows how far it is every second, and never
/// gets on, would go on for ever. One that takes more than half of it undisturbed gets twice what it takes.
const HOUR: Duration = Duration::from_hours(1);

/// The same for an undisturbed run.
const DAY: Duration = Duration::from_hours(24);

/// Makes the mock of one run, in the run's schedule and with faults that strike in it.
pub type MakeMock<'a> = dyn Fn(&Schedule, FaultPlan) -> Arc<dyn System> + 'a;

/// Put around the client's side of a run, to record it for instance.
pub(super) type Wrap<'a> = &'a dyn Fn(Arc<dyn System>) -> Arc<dyn System>;

/// What runs are derived from.
pub(super) enum Origin<'a> {
    /// A system of its own: a mock.
    Live {
        /// The seed under which tasks are simulated.
        seed: u64,
        make: Box<MakeMock<'a>>,
        /// Makes tapes of its runs.
        recorder: Option<Box<StartRecording>>,
    },
    /// A tape.
    Tape(Arc<Script>),
}

/// What a client comes to, and how it tells.
pub(super) type Client<'a> = &'a dyn Fn(&Arc<dyn System>) -> Option<String>;

/// How one run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// As it should.
    Well,
    /// The client failed, by its own account or by a panic.
    Failed(String),
    /// Nobody can tell: the run went where nothing is known.
    Left(String),
}

/// What one run left behind.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) ended: Ended,
    pub(super) made: Vec<Made>,
    /// When the device did something that the client could notice.
    pub(super) moments: Vec<Duration>,
    /// Virtual time until the client had ended.
    lasted: Duration,
    /// The waits until some time: lane, which of the lane, how long.
    pub(super) timers: Vec<(u32, u64, Duration)>,
}

impl Origin<'_> {
    /// Deviations that what it is suggests, beside those that a run of it does.
    pub(super) fn own_timing(&self) -> Vec<Deviation> {
        match self {
            Self::Live { .. } => Vec::new(),
            Self::Tape(script) => script.timing(),
        }
    }

    /// How many completions came in a run: each of them can come in another way.
    pub(super) fn posts(&self, run: &Run) -> usize {
        match self {
            Self::Live { .. } => run.moments.len(),
            Self::Tape(script) => script.posts(),
        }
    }

    /// Which completions, counted from 1, are how a request ended. A mock's are not known: it has a dext
    /// that ends requests with errors of its own.
    pub(super) fn outcomes(&self) -> Vec<u64> {
        match self {
            Self::Live { .. } => Vec::new(),
            Self::Tape(script) => script.outcomes(),
        }
    }

    /// What stands at the place of a deviation that is one of its own.
    pub(super) fn describe(&self, deviation: &Deviation) -> String {
        match self {
            Self::Live { .. } => String::new(),
            Self::Tape(script) => script.describe(deviation),
        }
    }

    /// Makes a run once more and keeps its tape. Else why there is none.
    pub(super) fn keep_tape(
        &self,
        deviations: &Deviations,
        file: Option<&Path>,
        client: Client<'_>,
    ) -> Result<PathBuf, String> {
        let tape = self.record(deviations, client)?;
        let path = match file {
            Some(file) => file.to_owned(),
            None => {
                // Two tests that fail at once by the same deviations have tapes of their own.
                let text = tape.to_text().map_err(|error| format!("failed to {error}"))?;
                let name = Digest::of(text.as_bytes()).to_string();
                std::env::temp_dir().join(format!("dextape-{}.tape.jsonl", &name[..12]))
            }
        };
        tape.write(&path).map_err(|error| format!("failed to {error}"))?;
        Ok(path)
    }

    /// Makes a run and gives its tape, or tells why there is none.
    pub(super) fn record(
        &self,
        deviations: &Deviations,
        client: Client<'_>,
    ) -> Result<Tape, String> {
        let mut tape = match self {
            Self::Tape(script) => {
                let (_, events) = self.run_once(deviations, false, true, None, client);
                let mut header = script.tape.header().clone();
                // What it says of the order was learned from other runs.
                header.policy = None;
                Tape::new(header, events)
            }
            Self::Live { recorder: None, .. } => {
                return Err(
                    "the mock's runs are not recorded; `Check::recorder` has them so".into()
                );
            }
            Self::Live { recorder: Some(start), .. } => {
                let failed = |error| format!("failed to {error}");
                let recorder = start().map_err(failed)?;
                let wrap = |system| recorder.wrap(system);
                let _ended = self.run_once(deviations, false, false, Some(&wrap), client);
                let mut tape = recorder.finish().map_err(failed)?;
                deviations.enter(tape.header_mut());
                tape
            }
        };
        tape.header_mut().provenance.push(format!("perturbed: {deviations}"));
        Ok(tape)
    }

    /// Runs a client once. `notes` asks for what it did.
    pub(super) fn run(
        &self,
        deviations: &Deviations,
        notes: bool,
        wrap: Option<Wrap<'_>>,
        client: Client<'_>,
    ) -> Run {
        self.run_once(deviations, notes, false, wrap, client).0
    }

    fn seed(&self) -> u64 {
        match self {
            Self::Live { seed, .. } => *seed,
            Self::Tape(script) => script.tape.header().seed.unwrap_or(0),
        }
    }

    /// Runs a client once, to its end or until it is taken to have none.
    fn run_once(
        &self,
        deviations: &Deviations,
        notes: bool,
        logs: bool,
        wrap: Option<Wrap<'_>>,
        client: Client<'_>,
    ) -> (Run, Vec<Event>) {
        let longest = if deviations.is_empty() { DAY } else { HOUR };
        let ran = self.run_within(longest, deviations, notes, logs, wrap, client);
        if longest == DAY || !is_endless(&ran.0.ended) {
            return ran;
        }
        // Such a client may take as long undisturbed.
        let usual = self.run_within(DAY, &Deviations::NONE, false, false, None, client).0;
        let longer = usual.lasted.saturating_mul(2);
        if is_endless(&usual.ended) || longer <= longest {
            return ran;
        }
        self.run_within(longer, deviations, notes, logs, wrap, client)
    }

    fn run_within(
        &self,
        longest: Duration,
        deviations: &Deviations,
        notes: bool,
        logs: bool,
        wrap: Option<Wrap<'_>>,
        client: Client<'_>,
    ) -> (Run, Vec<Event>) {
        let timers: Arc<Mutex<Vec<_>>> = Arc::default();
        let mut variation = variation(deviations, notes.then(|| Arc::clone(&timers)));
        variation.longest = Some(longest);
        let (mut kept, mut played, mut lasted) = (None, None, Duration::ZERO);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            Schedule::simulate_varied(self.seed(), variation, |schedule| {
                let gate = Arc::new(Gate::new(schedule, deviations, notes));
                kept = Some(Arc::clone(&gate));
                let system = match self {
                    Self::Live { make, .. } => {
                        live::gated(make(schedule, deviations.faults()), &gate)
                    }
                    Self::Tape(script) => {
                        let stage = Stage::new(script, &gate, deviations, logs);
                        played = Some(Arc::clone(&stage));
                        Arc::new(PlayedSystem::new(&stage))
                    }
                };
                let system = wrap.map_or(Arc::clone(&system), |wrap| wrap(system));
                let failure = client(&system);
                lasted = schedule.now();
                failure
            })
        }));
        let mut ended = match outcome {
            Ok(None) => Ended::Well,
            Ok(Some(failure)) => Ended::Failed(failure),
            Err(panic) => judge(&*panic),
        };
        // What comes of a task that was given up is nothing of the client's.
        if let Some(why) = kept.as_ref().and_then(|gate| gate.given_up()) {
            ended = Ended::Left(why);
        }
        let mut events = Vec::new();
        if let Some(stage) = played {
            // A client that waits for ever may wait for what the tape does not tell how to bring about.
            if stuck(&ended) && stage.has_more() {
                ended = Ended::Left("the client waits for ever, and the tape goes on".into());
            }
            events = stage.take_events();
        }
        let (made, moments) = kept.map(|gate| gate.take_notes()).unwrap_or_default();
        let timers = std::mem::take(&mut *timers.lock().unwrap_or_else(PoisonError::into_inner));
        (Run { ended, made, moments, timers, lasted }, events)
    }
}

/// True where tasks went on for as long as a run is waited for.
fn is_endless(ended: &Ended) -> bool {
    stuck(ended) && matches!(ended, Ended::Failed(what) if what.contains(ENDLESS))
}

/// True where every task waited for another.
fn stuck(ended: &Ended) -> bool {
    matches!(ended, Ended::Failed(what) if what.starts_with("panicked: stuck at "))
}

/// What a panic that came out of a run says of it.
fn judge(panic: &(dyn Any + Send)) -> Ended {
    if panic.is::<GivenUp>() {
        return Ended::Left("it was given up".into());
    }
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    Ended::Failed(format!("panicked: {}", text.unwrap_or("with something that is no text")))
}

/// Which waits had a timeout: lane, wait of the lane, and how long.
type TimerLog = Arc<Mutex<Vec<(u32, u64, Duration)>>>;

/// What differs in the schedule itself.
fn variation(deviations: &Deviations, log: Option<TimerLog>) -> Variation {
    let late: Vec<_> = (deviations.0.iter())
        .filter_map(|deviation| match *deviation {
            Deviation::Timer { lane, wait, late } => Some((lane, wait, late)),
            _ => None,
        })
        .collect();
    let priorities = deviations.0.iter().find_map(|deviation| match *deviation {
        Deviation::Priorities { seed } => Some(seed),
        _ => None,
    });
    let mut variation = Variation { is_one_of_many: true, priorities, ..Variation::default() };
    if !late.is_empty() || log.is_some() {
        variation.lateness = Some(Arc::new(move |lane, wait, long| {
            if let Some(log) = &log {
                log.lock().unwrap_or_else(PoisonError::into_inner).push((lane, wait, long));
            }
            let this = late.iter().find(|(of, nth, _)| (*of, *nth) == (lane, wait));
            this.map_or(Duration::ZERO, |(_, _, late)| *late)
        }));
    }
    variation
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::MockSystem;
    use crate::perturb::run_on_mock;

    /// Runs a client that waits so often for a minute, in a run that differs from the undisturbed one.
    fn waits(minutes: u64) -> Ended {
        let make = |schedule: &Schedule, faults: FaultPlan| {
            MockSystem::builder(schedule).faults(faults).build() as Arc<dyn System>
        };
        let differs = Deviations(vec![Deviation::Priorities { seed: 3 }]);
        run_on_mock(1, &make, &differs, |system| {
            let schedule = system.schedule();
            (0..minutes).for_each(|_| schedule.sleep(Duration::from_mins(1)));
        })
    }

    #[test]
    fn a_client_that_only_waits_again_and_again_fails() {
        let Ended::Failed(what) = waits(u64::MAX) else { panic!("it ended") };
        let said = "panicked: stuck at 3600s: every task waits, again and again\n  main waits for ";
        assert!(what.starts_with(said), "{what}");
    }

    #[test]
    fn a_client_that_takes_long_undisturbed_may_do_so() {
        assert_eq!(waits(60 * 20), Ended::Well);
    }
}
