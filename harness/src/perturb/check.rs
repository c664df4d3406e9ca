//! What a user writes: a client, what it is run against, and how far to go.

use super::explore::{Plan, explore};
use super::failure::{Failure, describe};
use super::origin::{Ended, MakeMock, Origin};
use super::tape::Script;
use super::{Deviations, Explored, RunRecorder, UnfitTape, Verdict};
use crate::connection::System;
use crate::fault::FaultPlan;
use crate::schedule::Schedule;
use crate::tape::Tape;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Runs that a check makes unless told otherwise.
pub(super) const SCHEDULES: u64 = 1000;

/// Has a client live through the runs that the recorded system could as well have given, and fails where
/// it does in one of them: all that a test of a client needs. It prints how many runs were made and how
/// many there would be.
///
/// `client` is called once for each run with a `&Arc<dyn System>`, and gives what a [`Verdict`] is. What
/// else can be set, [`Check`] and the [environment](Check::from_environment) do.
///
/// [`Verdict`]: crate::perturb::Verdict
/// [`Check`]: crate::perturb::Check
///
/// # Panics
///
/// Where a run fails: with what differs from the recorded run, how to make the run again, and the file
/// that its tape is in. Where the tape cannot be used.
///
/// # Examples
///
/// ```
/// use dextape::connection::{ConnectionExt, Matching, System};
/// use dextape::tape::Tape;
/// use std::{error::Error, path::Path, sync::Arc};
///
/// fn client(system: &dyn System) -> Result<(), Box<dyn Error>> {
///     let service = system.first_service(&Matching::user_class("NullDriver"))?;
///     let connection = system.open(service, 0)?;
///     connection.call(1).input_bytes(&[0; 16]).send()?;
///     Ok(())
/// }
///
/// # let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/null-driver/null-driver.tape.jsonl");
/// let tape = Tape::read(&fixture)?;
/// dextape::check!(tape, |system| client(&**system));
/// # Ok::<(), Box<dyn Error>>(())
/// ```
#[macro_export]
macro_rules! check {
    ($tape:expr, $client:expr $(,)?) => {
        match $crate::perturb::Check::new(&$tape) {
            ::std::result::Result::Ok(check) => {
                let explored = check.from_environment().check($client);
                ::std::println!("{explored}");
            }
            ::std::result::Result::Err(error) => ::std::panic!("failed to {error}"),
        }
    };
}

/// Has a client live through many runs.
///
/// # Examples
///
/// A client of a mock dext that thinks that its flag is set once the call has returned:
///
/// ```
/// # use dextape::IoReturn;
/// # use dextape::connection::{ConnectionExt, Matching, System};
/// # use dextape::driverkit::{ExternalMethodArguments, Service, UserClient};
/// # use dextape::kernel::{MockSystem, ServiceDescription};
/// # use dextape::perturb::Check;
/// # use std::sync::Arc;
/// # struct Adder;
/// # impl UserClient for Adder {
/// #     fn external_method(&self, _: u64, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
/// #         arguments.scalar_output[0] = 5;
/// #         IoReturn::SUCCESS
/// #     }
/// # }
/// # struct Driver;
/// # impl Service for Driver {
/// #     fn new_user_client(&self, _: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
/// #         Ok(Some(Arc::new(Adder)))
/// #     }
/// # }
/// let check = Check::mock(1, |schedule, faults| {
///     let mock = MockSystem::builder(schedule).faults(faults).build();
///     mock.publish(ServiceDescription::class("Adder"), Arc::new(Driver)).unwrap();
///     mock
/// });
/// let failure = check.schedules(200).run(|system: &Arc<dyn System>| {
///     let connection = system.open(system.first_service(&Matching::service("Adder"))?, 0)?;
///     let reply = connection.call(0).scalars(&[2, 3]).want_scalars(1).send();
///     // The author has never seen a call fail.
///     assert_eq!(reply.unwrap().scalars[..], [5]);
///     Ok::<(), IoReturn>(())
/// });
/// assert!(failure.is_err());
/// ```
#[must_use = "nothing is run before `run`"]
pub struct Check {
    origin: Origin<'static>,
    pub(super) seed: u64,
    pub(super) schedules: u64,
    pub(super) only: Option<u64>,
    timing: bool,
    faults: bool,
    extrapolate: bool,
    pub(super) list: Option<Deviations>,
    keep: Option<PathBuf>,
}

impl Check {
    /// Of a tape: its runs are those that the recorded system could as well have given, and with
    /// [`faults`](Self::faults) those that it could have given on a bad day.
    ///
    /// # Errors
    ///
    /// The tape cannot be read, or misses something without which no other run can be made of it.
    pub fn new(tape: &Tape) -> Result<Self, UnfitTape> {
        // A client that says what went wrong would fail, and most do.
        Ok(Self::of(Origin::Tape(Arc::new(Script::new(tape)?))).faults(false))
    }

    /// Of a mock: `make` builds it anew for each run, in the run's schedule and with its faults. `seed`
    /// is that of the run from which all others are derived.
    pub fn mock<S: System + 'static>(
        seed: u64,
        make: impl Fn(&Schedule, FaultPlan) -> Arc<S> + 'static,
    ) -> Self {
        let make =
            move |schedule: &Schedule, faults: FaultPlan| make(schedule, faults) as Arc<dyn System>;
        Self::of(Origin::Live { seed, make: Box::new(make), recorder: None })
    }

    pub(super) fn of(origin: Origin<'static>) -> Self {
        Self {
            origin,
            seed: 1,
            schedules: SCHEDULES,
            only: None,
            timing: true,
            faults: true,
            extrapolate: false,
            list: None,
            keep: None,
        }
    }

    /// The seed by which runs are drawn, 1 unless set: the same seed makes the same runs on every
    /// machine.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How many runs are made at most, 1000 unless set.
    pub fn schedules(mut self, schedules: u64) -> Self {
        self.schedules = schedules;
        self
    }

    /// Makes this one of the seed's runs only, from 0 on, as a failure names it.
    pub fn only(mut self, schedule: u64) -> Self {
        self.only = Some(schedule);
        self.schedules = self.schedules.max(schedule.saturating_add(1));
        self
    }

    /// Whether the timing differs; so unless set.
    pub fn timing(mut self, timing: bool) -> Self {
        self.timing = timing;
        self
    }

    /// Whether things go wrong that the system or its device does: of a mock so unless set, of a tape
    /// not. A client that gives an error as it should is then no failed one: give a verdict of your own.
    pub fn faults(mut self, faults: bool) -> Self {
        self.faults = faults;
        self
    }

    /// Whether runs are made of a tape that it suggests and does not prove: the device is ahead of the
    /// client ([`Deviation::Ahead`](super::Deviation::Ahead)), and calls that it does not hold are answered
    /// ([`Deviation::Answered`](super::Deviation::Answered)). Not so unless set. A failure that needs it
    /// says `extrapolated` among what differs: then look whether the device could really have done this.
    /// Of a mock nothing is extrapolated.
    pub fn extrapolate(mut self, extrapolate: bool) -> Self {
        self.extrapolate = extrapolate;
        self
    }

    /// Makes the run of this list only.
    pub fn deviations(mut self, list: Deviations) -> Self {
        self.list = Some(list);
        self
    }

    /// The file that takes the tape of a failed run; without it the file has a name of the failure's
    /// own in the folder for temporary files.
    pub fn keep(mut self, tape: impl AsRef<Path>) -> Self {
        self.keep = Some(tape.as_ref().to_owned());
        self
    }

    /// Of a mock: has its runs recorded, so that a failed one leaves a tape, whose header names the
    /// deviations. `start` begins one recording: `dextape_recorder::recording::RunRecording::start` for
    /// instance. A tape's runs are recorded without.
    pub fn recorder(
        mut self,
        start: impl Fn() -> Result<Box<dyn RunRecorder>, String> + 'static,
    ) -> Self {
        if let Origin::Live { recorder, .. } = &mut self.origin {
            *recorder = Some(Box::new(start));
        }
        self
    }

    /// Runs a client. It is called once for each run, with a system of its own.
    ///
    /// # Errors
    ///
    /// The first run that fails, shrunk to the deviations that it needs.
    pub fn run<V: Verdict>(
        &self,
        client: impl Fn(&Arc<dyn System>) -> V,
    ) -> Result<Explored, Box<Failure>> {
        let client = |system: &Arc<dyn System>| client(system).failure();
        let (explored, found) = match &self.list {
            Some(list) => self.run_list(list, &client),
            None => {
                let plan = Plan {
                    origin: &self.origin,
                    seed: self.seed,
                    schedules: self.schedules,
                    only: self.only,
                    timing: self.timing,
                    faults: self.faults,
                    extrapolate: self.extrapolate,
                };
                explore(&plan, &client)
            }
        };
        let Some(found) = found else { return Ok(explored) };
        let described = describe(&self.origin, &found.needed, &client);
        let tape = self.origin.keep_tape(&found.needed, self.keep.as_deref(), &client);
        Err(Box::new(Failure {
            what: found.what,
            seed: self.list.is_none().then_some(self.seed),
            schedule: found.schedule,
            had: found.had,
            deviations: found.needed,
            described,
            tape,
            explored,
        }))
    }

    /// Makes the run of a list once, and gives its tape.
    ///
    /// # Errors
    ///
    /// Why there is none: a mock's runs are recorded by a [`recorder`](Self::recorder) only.
    pub fn record<V: Verdict>(
        &self,
        list: &Deviations,
        client: impl Fn(&Arc<dyn System>) -> V,
    ) -> Result<Tape, String> {
        self.origin.record(list, &|system: &Arc<dyn System>| client(system).failure())
    }

    /// As [`run`](Self::run), with the failure as a panic: what [`check!`](crate::check) does.
    ///
    /// # Panics
    ///
    /// With the first run that fails.
    #[track_caller]
    pub fn check<V: Verdict>(&self, client: impl Fn(&Arc<dyn System>) -> V) -> Explored {
        match self.run(client) {
            Ok(explored) => explored,
            Err(failure) => panic!("{failure}"),
        }
    }

    fn run_list(
        &self,
        list: &Deviations,
        client: super::origin::Client<'_>,
    ) -> (Explored, Option<super::explore::Found>) {
        let ended = self.origin.run(list, false, None, client).ended;
        let depth = super::Depth { explored: 1, of: 1 };
        let mut depths = vec![super::Depth::default(); list.len()];
        depths.push(depth);
        let mut explored = Explored { depths, ..Explored::default() };
        let found = match ended {
            Ended::Failed(what) => Some(super::explore::Found {
                schedule: 0,
                had: list.clone(),
                needed: list.clone(),
                what,
            }),
            Ended::Left(why) => {
                explored.leave(why);
                None
            }
            Ended::Well => None,
        };
        (explored, found)
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check")
            .field("seed", &self.seed)
            .field("schedules", &self.schedules)
            .finish_non_exhaustive()
    }
}

/// Makes one run of a client on a mock, which `make` builds: with these deviations, under that seed. How
/// it ends is a function of these alone.
///
/// # Examples
///
/// ```
/// use dextape::connection::{Matching, System};
/// use dextape::kernel::MockSystem;
/// use dextape::perturb::{Deviations, Ended, run_on_mock};
/// use std::sync::Arc;
///
/// let empty = |schedule: &_, faults| {
///     MockSystem::builder(schedule).faults(faults).build() as Arc<dyn System>
/// };
/// let ended = run_on_mock(1, &empty, &Deviations::NONE, |system| {
///     system.first_service(&Matching::service("AppleSMC")).map(drop)
/// });
/// assert!(matches!(ended, Ended::Failed(what) if what.starts_with("kIOReturnNotFound")));
/// ```
pub fn run_on_mock<V: Verdict>(
    seed: u64,
    make: &MakeMock<'_>,
    list: &Deviations,
    client: impl Fn(&Arc<dyn System>) -> V,
) -> Ended {
    let client = |system: &Arc<dyn System>| client(system).failure();
    of_mock(seed, make).run(list, false, None, &client).ended
}

/// As [`run_on_mock`]: to each deviation what stands at its place, for people; empty where nothing does.
pub fn describe_on_mock<V: Verdict>(
    seed: u64,
    make: &MakeMock<'_>,
    list: &Deviations,
    client: impl Fn(&Arc<dyn System>) -> V,
) -> Vec<String> {
    describe(&of_mock(seed, make), list, &|system: &Arc<dyn System>| client(system).failure())
}

fn of_mock<'a>(seed: u64, make: &'a MakeMock<'a>) -> Origin<'a> {
    Origin::Live { seed, make: Box::new(make), recorder: None }
}
