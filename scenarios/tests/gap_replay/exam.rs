//! Recording, cutting and replaying.

use dextape::connection::System;
use dextape::fault::FaultPlan;
use dextape::kernel::MockSystem;
use dextape::replay::{ReplayOptions, ReplayReport, Replayer};
use dextape::schedule::Schedule;
use dextape::tape::{Body, Sequence, Tape};
use dextape_lab::{CutOptions, cut};
use dextape_recorder::recording::{RecordOptions, RecordingSession};
use dextape_recorder::seal::{SealOptions, seal};
use dextape_scenarios::{Parameters, Scenario, registry};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

const SEED: u64 = 1;

/// A code that no client meets otherwise.
const PLANTED: &str = "NoBandwidth";

/// A scenario with what is set.
pub(crate) struct Case {
    pub(crate) scenario: String,
    set: Vec<(&'static str, &'static str)>,
}

/// A recorded run with a failure.
pub(crate) struct Run {
    pub(crate) about: String,
    tape: Tape,
    /// The leave of the call that failed, or the first that says that the device is gone.
    failure: Sequence,
    lane: u32,
    /// What the client printed.
    output: String,
    /// The first line that says something else than without the failure.
    line: usize,
}

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) calls: u64,
    pub(crate) tail: usize,
}

/// Where the tape ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    AtTheFailure,
    AtTheEnd,
}

/// What came of a cut.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// So little is missing that there is no gap.
    NotCut,
    /// The client did all that stands behind the gap, up to the failure at least; it printed what it had
    /// printed of that, and where the tape goes on to the run's end, ended alike.
    Reached,
    /// It came to the failure, and printed something else.
    Otherwise(String),
    /// It did not come to it.
    Missed(String),
}

impl Sizes {
    /// Sizes of beginnings and tails, small and large.
    pub(crate) fn all(count: usize) -> Vec<Self> {
        let sizes =
            [(4, 24), (1, 8), (12, 60), (2, 14), (8, 12), (16, 30), (1, 40), (6, 6), (24, 100)];
        let sizes = sizes.into_iter().map(|(calls, tail)| Self { calls, tail });
        sizes.take(count.max(1)).collect()
    }
}

impl Case {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let case = |scenario: &str, set: &[(&'static str, &'static str)]| Self {
            scenario: scenario.to_owned(),
            set: set.to_vec(),
        };
        let all = [
            case("blocking-waits", &[]),
            case("capture-ring", &[("packets", "400")]),
            case("capture-ring", &[("packets", "400"), ("client", "slow"), ("full", "overwrite")]),
            case("hid-frames", &[("burst", "60")]),
            case("hid-frames", &[("burst", "60"), ("delivery", "notice-of-each")]),
            case("irq-page", &[]),
            case("input-descriptor", &[]),
            case("null-driver", &[("rounds", "8")]),
            case("nvme-rings", &[("blocks", "16")]),
            case("nvme-rings", &[("blocks", "16"), ("client", "phase"), ("queues", "2")]),
            case("pcie-bar", &[]),
            case("sbp2-commands", &[]),
            case("shared-buffer", &[]),
            case("smc", &[]),
            case("usb-bulk", &[]),
        ];
        all.into_iter()
    }

    pub(crate) fn parameters(&self, scenario: &dyn Scenario) -> Parameters {
        let mut parameters = Parameters::of(scenario);
        for (name, value) in &self.set {
            parameters.set(name, *value).unwrap();
        }
        scenario.prepare(&mut parameters).unwrap();
        parameters
    }

    fn record(&self, faults: &str) -> (Tape, String) {
        let registry = registry();
        let scenario = registry.find(&self.scenario).unwrap();
        let parameters = self.parameters(scenario);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("whole.tape.jsonl");
        let plan: FaultPlan = faults.parse().unwrap();
        let mut output = Vec::new();
        let session =
            RecordingSession::start(&folder.path().join("journal"), RecordOptions::default())
                .unwrap();
        let ended = Schedule::simulate(SEED, |schedule| {
            let mock = MockSystem::builder(schedule).faults(plan).build();
            scenario.publish(&parameters, &mock).unwrap();
            let system = session.wrap(Arc::clone(&mock) as Arc<dyn System>);
            let ended = scenario.client(&parameters, &system, &mut output);
            mock.settle();
            ended
        });
        session.finish();
        seal(&folder.path().join("journal"), &path, SealOptions::default()).unwrap();
        let mut tape = Tape::read(&path).unwrap();
        tape.inline_blobs().unwrap();
        (tape, text(&output, ended))
    }

    /// Runs with failures at several calls, as far as the client tells of them: of the first few places.
    pub(crate) fn runs(&self, places: usize) -> Vec<Run> {
        let (clean, told) = self.record("");
        let calls = clean
            .events()
            .iter()
            .filter(|it| matches!(it.body, Body::Call(_) | Body::AsyncCall { .. }))
            .count();
        let mut runs = Vec::new();
        for part in [95, 80, 60].into_iter().take(places) {
            let call = (calls * part / 100).max(1);
            for what in [format!("error {PLANTED}"), "device removed".to_owned()] {
                let faults = format!("call * #{call}: {what}");
                let (tape, output) = self.record(&faults);
                let line = told.lines().zip(output.lines()).take_while(|(a, b)| a == b).count();
                if line == output.lines().count() {
                    continue;
                }
                let differs = |(event, clean): &(&dextape::tape::Event, &dextape::tape::Event)| {
                    event.body != clean.body
                };
                let first = tape.events().iter().zip(clean.events()).find(differs);
                let Some((first, _)) = first else { continue };
                // The call that was told of it.
                let leave = tape.events().iter().find(|event| {
                    event.sequence >= first.sequence
                        && matches!(&event.body, Body::Return(returned) if !returned.result.is_success())
                });
                let Some(leave) = leave else { continue };
                let (failure, lane) = (leave.sequence, leave.lane);
                let about = format!("call {call}: {what}");
                runs.push(Run { about, failure, lane, output, line, tape });
            }
        }
        runs
    }
}

/// What a flight recorder would keep of a run; `None` where nothing is missing then.
pub(crate) fn cut_of(case: &Case, run: &Run, sizes: Sizes, ended: Ended) -> Option<Tape> {
    let mut whole = Tape::new(run.tape.header().clone(), run.tape.events().to_vec());
    if ended == Ended::AtTheFailure {
        whole.events_mut().retain(|event| event.sequence <= run.failure);
    }
    let beyond = if ended == Ended::AtTheEnd {
        run.tape.events().iter().filter(|event| event.sequence > run.failure).count()
    } else {
        0
    };
    let options = CutOptions::default().calls(sizes.calls).tail(sizes.tail + beyond);
    let tape = cut(&whole, &options).unwrap();
    let validation = tape.validate();
    assert!(validation.is_valid(), "{} {}: {validation}", case.scenario, run.about);
    let has_gap = tape.events().iter().any(|event| matches!(event.body, Body::Keyframe(_)));
    has_gap.then_some(tape)
}

/// Cuts a run and replays its client.
pub(crate) fn play(case: &Case, run: &Run, sizes: Sizes, ended: Ended) -> Verdict {
    let Some(tape) = cut_of(case, run, sizes, ended) else { return Verdict::NotCut };
    let (output, report) = match replay(case, &tape) {
        Ok(played) => played,
        Err(message) => return Verdict::Missed(message),
    };
    let failed = report.unused.keys().any(|(lane, _)| *lane == run.lane);
    let crossing = report.crossing.clone().unwrap();
    if failed || crossing.not_reached.iter().any(|place| place.lane == run.lane) {
        return Verdict::Missed(report.to_string());
    }
    // What the client printed of the middle is of the middle.
    let failing = run.output.lines().nth(run.line).unwrap_or_default();
    let same_end =
        ended == Ended::AtTheFailure || output.lines().last() == run.output.lines().last();
    let found = output.lines().any(|line| line == failing) && same_end;
    if found {
        Verdict::Reached
    } else {
        Verdict::Otherwise(format!("expected {failing:?}\nprinted:\n{output}\n{report}"))
    }
}

/// Replays the scenario's client as a program would: the tape says what to do.
pub(crate) fn replay(case: &Case, tape: &Tape) -> Result<(String, ReplayReport), String> {
    replay_behind(case, tape, ReplayOptions::default(), |system| system)
}

/// As [`replay`], in front of a recorder; and the tape that this leaves.
pub(crate) fn replay_recorded(case: &Case, tape: &Tape) -> Result<(String, Tape), String> {
    let folder = tempfile::tempdir().unwrap();
    let (journal, path) = (folder.path().join("journal"), folder.path().join("again.tape.jsonl"));
    let session = RecordingSession::start(&journal, RecordOptions::default()).unwrap();
    let options = ReplayOptions::default().recorded();
    let played = replay_behind(case, tape, options, |system| session.wrap(system));
    session.finish();
    seal(&journal, &path, SealOptions::default()).unwrap();
    let mut recorded = Tape::read(&path).unwrap();
    recorded.inline_blobs().unwrap();
    played.map(|(output, _)| (output, recorded))
}

fn replay_behind(
    case: &Case,
    tape: &Tape,
    options: ReplayOptions,
    wrap: impl Fn(Arc<dyn System>) -> Arc<dyn System>,
) -> Result<(String, ReplayReport), String> {
    let registry = registry();
    let scenario = registry.find(&case.scenario).unwrap();
    let parameters = case.parameters(scenario);
    let tape = Arc::new(Tape::new(tape.header().clone(), tape.events().to_vec()));
    let replayer = Replayer::new(tape, options).map_err(|it| it.to_string())?;
    let mut output = Vec::new();
    let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        Schedule::simulate(SEED, |schedule| {
            let system = wrap(replayer.system(schedule));
            scenario.client(&parameters, &system, &mut output)
        })
    }));
    let text = match &played {
        Ok(ended) => text(&output, ended.as_ref().map(|_| ()).map_err(ToString::to_string)),
        Err(_) => String::from_utf8_lossy(&output).into_owned(),
    };
    let report =
        replayer.finish().map_err(|divergence| format!("{divergence}\nprinted:\n{text}"))?;
    match played {
        Ok(_) => Ok((text, report)),
        Err(panic) => {
            let message = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            Err(format!("panicked: {message}\nprinted:\n{text}\n{report}"))
        }
    }
}

/// What a client printed, and why it could not go on.
fn text(output: &[u8], ended: Result<(), impl std::fmt::Display>) -> String {
    let text = String::from_utf8_lossy(output);
    match ended {
        Ok(()) => text.into_owned(),
        Err(error) => format!("{text}failed to {error}\n"),
    }
}

/// Verdicts by scenario.
#[derive(Default)]
pub(crate) struct Table {
    rows: BTreeMap<String, Counts>,
    notes: Vec<String>,
}

/// Cuts of a scenario.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) not_cut: u64,
    pub(crate) reached: u64,
    pub(crate) otherwise: u64,
    pub(crate) missed: u64,
}

impl Counts {
    /// Those that had a gap.
    pub(crate) fn cuts(&self) -> u64 {
        self.reached + self.otherwise + self.missed
    }
}

impl Table {
    pub(crate) fn add(
        &mut self,
        case: &Case,
        run: &Run,
        sizes: Sizes,
        ended: Ended,
        verdict: Verdict,
    ) {
        let counts = self.rows.entry(case.scenario.clone()).or_default();
        let (count, note) = match verdict {
            Verdict::NotCut => (&mut counts.not_cut, None),
            Verdict::Reached => (&mut counts.reached, None),
            Verdict::Otherwise(note) => (&mut counts.otherwise, Some(note)),
            Verdict::Missed(note) => (&mut counts.missed, Some(note)),
        };
        *count += 1;
        if let Some(note) = note {
            let Sizes { calls, tail } = sizes;
            let (scenario, set, about) = (&case.scenario, &case.set, &run.about);
            self.notes.push(format!(
                "==== {scenario} {set:?}, {about}, first {calls} calls, last {tail} events, {ended:?}\n{note}"
            ));
        }
    }

    pub(crate) fn rows(&self) -> &BTreeMap<String, Counts> {
        &self.rows
    }

    /// What happened where a client did not come to the failure, or told something else of it.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:20} {:>7} {:>9} {:>7} {:>7}",
            "", "reached", "otherwise", "missed", "not cut"
        )?;
        for (row, Counts { not_cut, reached, otherwise, missed }) in &self.rows {
            writeln!(f, "{row:20} {reached:7} {otherwise:9} {missed:7} {not_cut:7}")?;
        }
        Ok(())
    }
}
