//! What runs are derived from, and one run of it.

use super::gate::{Gate, GivenUp};
use super::operation::Made;
use super::{Deviation, Deviations, live};
use crate::connection::System;
use crate::fault::FaultPlan;
use crate::schedule::{Schedule, Variation};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Makes the system of one run, with faults that strike in it.
pub(super) type MakeSystem = dyn Fn(&Schedule, FaultPlan) -> Arc<dyn System>;

/// Put around the client's side of a run, to record it for instance.
pub(super) type Wrap<'a> = &'a dyn Fn(Arc<dyn System>) -> Arc<dyn System>;

/// What runs are derived from.
pub(super) enum Origin {
    /// A system of its own: a mock.
    Live {
        /// The seed under which tasks are simulated.
        seed: u64,
        make: Box<MakeSystem>,
    },
}

/// What a client comes to, and how it tells.
pub(super) type Client<'a> = &'a dyn Fn(&Arc<dyn System>) -> Option<String>;

/// How one run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
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
    /// The waits until some time: lane, which of the lane, how long.
    pub(super) timers: Vec<(u32, u64, Duration)>,
}

impl Origin {
    /// Deviations that what it is suggests, beside those that a run of it does.
    pub(super) fn own_timing(&self) -> Vec<Deviation> {
        match self {
            Self::Live { .. } => Vec::new(),
        }
    }

    /// What stands at the place of a deviation that is one of its own.
    pub(super) fn describe(&self, _deviation: &Deviation) -> String {
        match self {
            Self::Live { .. } => String::new(),
        }
    }

    /// Makes a run once more and keeps its tape. Else why there is none.
    pub(super) fn keep_tape(
        &self,
        _deviations: &Deviations,
        _file: Option<&Path>,
        _client: Client<'_>,
    ) -> Result<PathBuf, String> {
        match self {
            Self::Live { .. } => Err("a mock's run is recorded with Check::record".into()),
        }
    }

    /// Runs a client once. `notes` asks for what it did.
    pub(super) fn run(
        &self,
        deviations: &Deviations,
        notes: bool,
        wrap: Option<Wrap<'_>>,
        client: Client<'_>,
    ) -> Run {
        let timers: Arc<Mutex<Vec<_>>> = Arc::default();
        let variation = variation(deviations, notes.then(|| Arc::clone(&timers)));
        let Self::Live { seed, make } = self;
        let mut kept = None;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            Schedule::simulate_varied(*seed, variation, |schedule| {
                let gate = Arc::new(Gate::new(schedule, deviations, notes));
                kept = Some(Arc::clone(&gate));
                let system = live::gated(make(schedule, deviations.faults()), &gate);
                let system = wrap.map_or(Arc::clone(&system), |wrap| wrap(system));
                client(&system)
            })
        }));
        let ended = match outcome {
            Ok(None) => Ended::Well,
            Ok(Some(failure)) => Ended::Failed(failure),
            Err(panic) => judge(&*panic),
        };
        let (made, moments) = kept.map(|gate| gate.take_notes()).unwrap_or_default();
        let timers = std::mem::take(&mut *timers.lock().unwrap_or_else(PoisonError::into_inner));
        Run { ended, made, moments, timers }
    }
}

/// What a panic that came out of a run says of it.
fn judge(panic: &(dyn Any + Send)) -> Ended {
    if let Some(GivenUp(why)) = panic.downcast_ref::<GivenUp>() {
        return Ended::Left(why.clone());
    }
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    Ended::Failed(format!("panicked: {}", text.unwrap_or("with something that is no text")))
}

/// What differs in the schedule itself.
fn variation(
    deviations: &Deviations,
    log: Option<Arc<Mutex<Vec<(u32, u64, Duration)>>>>,
) -> Variation {
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
