//! What serves the program, and how it ends.

use crate::control::{self, Asked};
use crate::environment::{Answer, Environment};
use dextape::IoReturn;
use dextape::connection::System;
use dextape::fault::FaultPlan;
use dextape::kernel::MockSystem;
use dextape::perturb::Deviation;
use dextape::protocol::Protocol;
use dextape::replay::{OnDivergence, Policy, ReplayOptions, Replayer};
use dextape::schedule::Schedule;
use dextape::tape::{Capture, Tape};
use dextape_cabi::{Backend, Finish, StartError, client_space, say};
use dextape_lab::{Baseline, Lenient, is_marked, lay_over};
use dextape_plugin::Plugin;
use dextape_recorder::flight::{FlightOptions, FlightRecorder};
use dextape_recorder::journal::JournalOptions;
use dextape_recorder::program::{Begun, begin};
use dextape_recorder::recording::{
    Annotations, ClientPointers, PolicyRedactor, RecordOptions, RecordingSession, Redactor,
};
use dextape_recorder::seal::{SealOptions, seal};
use dextape_scenarios::{Parameters, Registry};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Exit code of a replay that diverged, where the client was let go on.
const DIVERGED: i32 = 101;

/// Exit code of a strict replay that left events unused.
const UNUSED: i32 = 102;

/// Makes what the environment of this process says.
///
/// # Errors
///
/// [`StartError`] where that cannot be made.
pub fn start(registry: fn() -> Registry) -> Result<Box<dyn Backend>, StartError> {
    let asked = control::asked();
    let started = Environment::read(|name| std::env::var_os(name)).and_then(|mut environment| {
        if let Some(Asked { tape, flight }) = asked {
            environment.record = Some(tape);
            if let Some((ring, triggers)) = flight {
                (environment.ring, environment.triggers) = (Some(ring), Some(triggers));
            }
        }
        Served::new(&environment, &registry())
    });
    let recording = started.as_ref().ok().and_then(|served| served.recording.clone());
    control::started(recording);
    // Whoever asks for strictness must not take a client that found no service for a good replay.
    let is_strict = std::env::var_os("DEXTAPE_STRICT").is_some_and(|value| value == "1");
    let ending = |error: StartError| if is_strict { error.ending_with(UNUSED) } else { error };
    Ok(Box::new(started.map_err(ending)?))
}

/// What serves one program.
struct Served {
    system: Arc<dyn System>,
    replayer: Option<Replayer>,
    recording: Option<Arc<Recording>>,
    strict: bool,
}

/// A recording in progress.
pub(crate) struct Recording {
    session: Arc<RecordingSession>,
    tape: PathBuf,
    is_sealed: AtomicBool,
}

impl Served {
    fn new(environment: &Environment, registry: &Registry) -> Result<Self, StartError> {
        let (system, replayer) = match &environment.answer {
            Answer::Scenario { name, parameters, slower } => {
                (mock(registry, name, parameters, *slower, FaultPlan::default())?, None)
            }
            Answer::Tape { path, policy, on_divergence, patience } => {
                let tape = Arc::new(Tape::read(path).map_err(StartError::new)?);
                let baseline = Baseline::of_header(tape.header()).map_err(StartError::new)?;
                if let Some(baseline) = baseline {
                    (over_mock(registry, path, &tape, &baseline)?, None)
                } else if is_marked(tape.header()) {
                    (lenient(path, tape)?, None)
                } else {
                    let replayer = replayer(path, tape, *policy, *on_divergence, *patience)?;
                    (replayer.system(&Schedule::free()), Some(replayer))
                }
            }
            Answer::Plugin { path, slower } => (plugin(path, *slower)?, None),
        };
        let annotations = environment.annotations.as_deref().map(annotations).transpose()?;
        // A policy that cannot be followed is an error, also where nothing is recorded: no secret leaks by a
        // slip of the pen.
        let redactor = environment.redact.as_deref().map(redactor).transpose()?;
        let record = |tape| Recording::start(tape, environment, annotations, redactor);
        let recording = environment.record.as_deref().map(record).transpose()?.map(Arc::new);
        let system = match &recording {
            Some(recording) => recording.session.wrap(system),
            None => system,
        };
        Ok(Self { system, replayer, recording, strict: environment.strict })
    }
}

/// The mock of a scenario, in free time.
fn mock(
    registry: &Registry,
    name: &str,
    given: &[(String, String)],
    slower: NonZeroU32,
    faults: FaultPlan,
) -> Result<Arc<dyn System>, StartError> {
    let scenario = registry.find(name).map_err(StartError::new)?;
    let mut parameters = Parameters::of(scenario);
    for (name, value) in given {
        parameters.set(name, value).map_err(StartError::new)?;
    }
    let failed = |error| StartError::new(format!("start scenario {name}: {error}"));
    scenario.prepare(&mut parameters).map_err(failed)?;
    let mock = mock_of_this_process(slower, faults);
    scenario.publish(&parameters, &mock).map_err(failed)?;
    Ok(mock)
}

/// A mock whose dexts reach the memory of this process by its addresses.
fn mock_of_this_process(slower: NonZeroU32, faults: FaultPlan) -> Arc<MockSystem> {
    let schedule = Schedule::free_slower(slower);
    MockSystem::builder(&schedule).client_space(client_space()).faults(faults).build()
}

/// Reads what is known of the values in calls.
fn annotations(path: &Path) -> Result<Annotations, StartError> {
    let read = Protocol::read(path)
        .map_err(|error| StartError::new(format!("read {}: {error}", path.display())));
    Ok(Annotations::new(&read?))
}

/// Follows a redaction policy.
fn redactor(path: &Path) -> Result<Arc<dyn Redactor>, StartError> {
    Ok(Arc::new(PolicyRedactor::read(path).map_err(StartError::new)?))
}

fn replayer(
    path: &Path,
    tape: Arc<Tape>,
    policy: Option<Policy>,
    on_divergence: Option<IoReturn>,
    patience: Option<Duration>,
) -> Result<Replayer, StartError> {
    let mut options = ReplayOptions::default();
    options.policy = policy;
    options.patience = patience.unwrap_or(options.patience);
    if let Some(code) = on_divergence {
        options.on_divergence = OnDivergence::Answer(code);
    }
    let failed = |error| StartError::new(format!("replay {}: {error}", path.display()));
    let replayer = Replayer::new(tape, options).map_err(failed)?;
    replayer.reach_client(client_space());
    Ok(replayer)
}

/// What is left of a tape that was minimised for a client, with usual answers to all else.
fn lenient(path: &Path, tape: Arc<Tape>) -> Result<Arc<dyn System>, StartError> {
    let failed = |error| StartError::new(format!("answer from {}: {error}", path.display()));
    Ok(Lenient::new(tape).map_err(failed)?.system(&Schedule::free()))
}

/// A mock, in free time, with what is left of a tape imposed on it.
fn over_mock(
    registry: &Registry,
    path: &Path,
    tape: &Arc<Tape>,
    baseline: &Baseline,
) -> Result<Arc<dyn System>, StartError> {
    let faults = baseline.deviations.faults();
    if let Some(other) = baseline.deviations.0.iter().find(|it| !matches!(it, Deviation::Fault(_)))
    {
        return Err(StartError::new(format!(
            "answer from {}: `{other}` strikes in simulated time, and a program runs in free time; a client in \
             Rust runs over the mock",
            path.display()
        )));
    }
    let given: Vec<_> = match &tape.header().scenario {
        Some(recorded) if recorded.name == baseline.mock => {
            recorded.parameters.clone().into_iter().collect()
        }
        _ => Vec::new(),
    };
    let mock = mock(registry, &baseline.mock, &given, NonZeroU32::MIN, faults)?;
    let failed = |error| StartError::new(format!("answer from {}: {error}", path.display()));
    lay_over(tape, mock).map_err(failed)
}

/// The dext of a library that somebody else made, in free time.
fn plugin(path: &Path, slower: NonZeroU32) -> Result<Arc<dyn System>, StartError> {
    let plugin = Plugin::load(path).map_err(StartError::new)?;
    let mock = mock_of_this_process(slower, FaultPlan::default());
    let failed = |code: IoReturn| {
        StartError::new(format!("start the dext of the plug-in {}: {code}", path.display()))
    };
    plugin.publish(&mock).map_err(failed)?;
    Ok(mock)
}

impl Recording {
    fn start(
        tape: &Path,
        environment: &Environment,
        annotations: Option<Annotations>,
        redactor: Option<Arc<dyn Redactor>>,
    ) -> Result<Self, StartError> {
        let annotations = annotations.map(Arc::new);
        let Environment { ring, triggers, .. } = environment;
        let options = || RecordOptions {
            capture: Capture::SyncPoints,
            redactor: redactor.clone(),
            journal: JournalOptions { ring: ring.clone(), ..JournalOptions::default() },
            rules: annotations.as_ref().map_or_else(Vec::new, |it| it.rules().to_vec()),
            pointers: annotations
                .as_ref()
                .map(|it| ClientPointers::new(Arc::clone(it), client_space())),
            ..RecordOptions::default()
        };
        let begun = begin(tape, options)
            .map_err(|error| StartError::new(format!("record {}: {error}", tape.display())))?;
        let Begun { session, tape, notes } = begun;
        notes.iter().for_each(|note| say(note));
        if ring.is_some() || triggers.is_some() {
            let triggers = triggers.clone().unwrap_or_default();
            let options = FlightOptions { say, ..FlightOptions::default() };
            if let Err(error) = FlightRecorder::start(&session, &tape, triggers, options) {
                // The recording goes on, and whoever wanted a tape of it has the whole.
                say(&format!("failed to {error}; so nothing has a tape cut"));
            }
        }
        Ok(Self { session, tape, is_sealed: AtomicBool::new(false) })
    }

    /// Marks this place, and has a tape cut where that was asked for.
    pub(crate) fn trigger(&self, reason: &str) -> bool {
        !self.is_sealed.load(Ordering::Acquire) && self.session.trigger(reason)
    }

    /// Makes the tape of what was recorded, or says why not; `None` where that was done already.
    pub(crate) fn seal(&self) -> Option<Result<(), String>> {
        (!self.is_sealed.swap(true, Ordering::AcqRel)).then(|| self.seal_now())
    }

    fn seal_now(&self) -> Result<(), String> {
        self.session.finish();
        let (journal, tape) = (self.session.path(), self.tape.display());
        seal(journal, &self.tape, SealOptions::default()).map_err(|error| {
            format!(
                "failed to seal {tape}: {error}\n`cargo xtask recover {}` tries again",
                journal.display()
            )
        })?;
        fs_err::remove_file(journal).map_err(|error| format!("sealed {tape}, but {error}"))
    }
}

impl Backend for Served {
    fn system(&self) -> &Arc<dyn System> {
        &self.system
    }

    fn finish(&self, diverged: bool) -> Finish {
        let mut finish = Finish::default();
        let mut messages = Vec::new();
        if let Some(Err(message)) = self.recording.as_ref().and_then(|it| it.seal()) {
            messages.push(message);
        }
        match self.replayer.as_ref().map(Replayer::finish) {
            Some(Err(divergence)) if !diverged => {
                messages.push(format!("failed to replay: {divergence}"));
                finish.exit_code = Some(DIVERGED);
            }
            Some(Ok(report)) if self.strict && !report.is_complete() => {
                messages.push(format!("failed to use the whole tape: {report}"));
                finish.exit_code = Some(UNUSED);
            }
            _ => {}
        }
        finish.message = (!messages.is_empty()).then(|| messages.join("\n"));
        finish
    }
}
