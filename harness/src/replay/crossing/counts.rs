//! How far a crossing has come, and what there is to say of it.

use crate::replay::Place;
use crate::replay::program::{
    EventIndex, LaneIndex, MemoryIndex, NONE, PatchIndex, Program, Segments, StepIndex,
};
use crate::replay::progress::Progress;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::time::Duration;

/// Where a lane stands.
#[derive(Clone, Debug)]
pub(super) struct LaneCrossing {
    /// The first place that it has not come to, once the segment that it is in is over.
    pub(super) rest: u32,
    /// Where it came to in the segment that it is in; `None` before any gap.
    pub(super) start: Option<Start>,
    /// Places that it was taken past, from and to: at most one range a segment, in their order.
    pub(super) passed: Vec<(u32, u32)>,
}

/// Where a lane came to behind a gap.
#[derive(Clone, Debug)]
pub(super) struct Start {
    /// The place of the first step there.
    pub(super) place: u32,
    /// The first place that it had not come to before.
    pub(super) rest_before: u32,
    /// Lenient answers until then.
    pub(super) after: u64,
}

/// Memory that is to be as on the tape at an event, once somebody looks at it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coming {
    /// The last keyframe before it.
    pub(super) from: EventIndex,
    /// The event, and its step.
    pub(super) until: EventIndex,
    pub(super) step: StepIndex,
    /// The lane that alone has come there, while others are there already.
    pub(super) only: Option<LaneIndex>,
}

/// An asynchronous call that the client made while it crossed.
#[derive(Clone, Debug)]
pub(super) struct OpenCall {
    pub(super) queue: u32,
    pub(super) reference: Vec<u64>,
    /// The call of the tape whose completions it gets, each as long after the call as there, and how many of
    /// them it has had.
    pub(super) of: StepIndex,
    pub(super) had: usize,
    pub(super) made: Duration,
}

/// How a client crosses the gaps of a tape.
#[derive(Debug)]
pub(in crate::replay) struct Crossing {
    pub(super) lanes: Vec<LaneCrossing>,
    /// Answers given while no lane was strict, reads and empty polls among them: for the limit.
    pub(super) made: u64,
    pub(super) lenient: u64,
    pub(super) after_end: u64,
    pub(super) false_starts: u64,
    /// Sorts of calls that no call of the tape was like, by selector.
    pub(super) unknown: BTreeSet<u32>,
    pub(super) invented: u64,
    pub(super) open: Vec<OpenCall>,
    /// By queue, calls of the tape that the client has made, with one completion each, of which no step that
    /// was entered one by one has given it.
    pub(super) outstanding: BTreeSet<(u32, StepIndex)>,
    /// Of calls that complete again and again: how many of their completions were given leniently.
    pub(super) repeated: HashMap<StepIndex, usize>,
    /// The keyframe's bytes are in the client's memories.
    pub(super) is_in_keyframe: bool,
    /// By memory and range, what a crossing client last read there.
    pub(super) reads: HashMap<(MemoryIndex, u64, u64), u64>,
    pub(super) cursors: HashMap<MemoryIndex, usize>,
    /// What is still to be done to memory, so that it is as where the client came to.
    pub(super) coming: Vec<Coming>,
    /// Waits and takes at which a client seemed to have come behind its gap, and had not.
    pub(super) misled: HashSet<StepIndex>,
    /// Changes that the client was taken past: those behind a keyframe, of all lanes or of one, up to an
    /// event.
    pub(super) shown: HashMap<(EventIndex, Option<LaneIndex>), EventIndex>,
    /// Queues that it made while it crossed.
    pub(super) queues: u32,
}

impl Crossing {
    pub(in crate::replay) fn new(segments: &Segments) -> Self {
        let lane = |rest| LaneCrossing { rest, start: None, passed: Vec::new() };
        Self {
            lanes: segments.beginnings().into_iter().map(lane).collect(),
            made: 0,
            lenient: 0,
            after_end: 0,
            false_starts: 0,
            unknown: BTreeSet::new(),
            invented: 0,
            open: Vec::new(),
            outstanding: BTreeSet::new(),
            repeated: HashMap::new(),
            is_in_keyframe: false,
            reads: HashMap::new(),
            cursors: HashMap::new(),
            coming: Vec::new(),
            misled: HashSet::new(),
            shown: HashMap::new(),
            queues: 0,
        }
    }

    /// How many operations were served without the tape.
    pub(in crate::replay) fn lenient(&self) -> u64 {
        self.lenient + self.after_end
    }

    /// True where the client was taken past the step.
    pub(super) fn has_passed(&self, program: &Program, step: StepIndex) -> bool {
        let Some(segments) = program.segments.as_deref() else { return false };
        let (lane, place) = (program.step(step).lane, segments.places[step as usize]);
        let Some(LaneCrossing { passed, .. }) = self.lanes.get(lane as usize) else { return false };
        let behind = passed.partition_point(|(from, _)| *from <= place);
        behind.checked_sub(1).is_some_and(|range| place < passed[range].1)
    }

    /// True where the change is in what the client came to, or nobody could have read it.
    pub(in crate::replay) fn has_shown(&self, program: &Program, patch: PatchIndex) -> bool {
        let Some(segments) = program.segments.as_deref() else { return false };
        let patch = &program.patches[patch as usize];
        let Some(keyframe) = segments.keyframe_before(patch.event) else { return false };
        [None, Some(patch.lane)]
            .into_iter()
            .any(|lane| self.shown.get(&(keyframe, lane)).is_some_and(|until| patch.event < *until))
    }

    pub(in crate::replay) fn report(
        &self,
        program: &Program,
        progress: &Progress,
        segments: &Segments,
    ) -> CrossingReport {
        let place = |lane: usize, place: u32| {
            let step = segments.step_at(lane as u32, place);
            (step != NONE).then(|| program.place(program.step(step).enter))
        };
        let passed = self.lanes.iter().flat_map(|lane| &lane.passed);
        let mut report = CrossingReport {
            lenient: self.lenient,
            invented: self.invented,
            unknown_selectors: self.unknown.clone(),
            after_end: self.after_end,
            passed_over: passed.map(|(from, to)| u64::from(to - from)).sum(),
            false_starts: self.false_starts,
            lined_up: Vec::new(),
            not_reached: Vec::new(),
        };
        for (number, lane) in self.lanes.iter().enumerate() {
            if let Some(start) = &lane.start
                && let Some(place) = place(number, start.place)
            {
                report.lined_up.push(LinedUp { place, after: start.after });
            }
            let crosses = progress.head(number as u32) == NONE;
            if crosses && let Some(place) = place(number, lane.rest) {
                report.not_reached.push(place);
            }
        }
        report
    }
}

/// How a client crossed the gaps of a tape, under [`Policy::AcrossGaps`](super::super::Policy::AcrossGaps).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CrossingReport {
    /// Operations that are on no tape, answered with what the tape holds of the same sort.
    pub lenient: u64,
    /// Those among them for which it holds nothing of the sort: they were told that it worked, and zeros.
    pub invented: u64,
    /// Selectors of such calls.
    pub unknown_selectors: BTreeSet<u32>,
    /// Operations behind the end of the tape, answered likewise: the recording ended there, the client
    /// did not.
    pub after_end: u64,
    /// Operations of the tape that stand behind a gap and before the place to which the client came.
    pub passed_over: u64,
    /// How often the client seemed to have come there, and had not.
    pub false_starts: u64,
    /// Where each lane came to last.
    pub lined_up: Vec<LinedUp>,
    /// What stands behind the gaps that were never crossed.
    pub not_reached: Vec<Place>,
}

/// Where a client came to behind a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinedUp {
    /// The first event there that it did again.
    pub place: Place,
    /// Lenient answers until then, of all lanes.
    pub after: u64,
}

impl fmt::Display for CrossingReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} lenient answers in the gap", self.lenient)?;
        for LinedUp { place, after } in &self.lined_up {
            write!(f, "; across it at {place}, after {after} of them")?;
        }
        if self.passed_over > 0 {
            write!(f, "; {} operations behind it passed over", self.passed_over)?;
        }
        if self.after_end > 0 {
            write!(f, "; {} lenient answers behind the tape's end", self.after_end)?;
        }
        if !self.unknown_selectors.is_empty() {
            write!(f, "; nothing on the tape says what selector")?;
            for (place, selector) in self.unknown_selectors.iter().enumerate() {
                write!(f, "{} {selector}", if place > 0 { "," } else { "" })?;
            }
            write!(f, " answers: mark it sticky")?;
        }
        if let Some(first) = self.not_reached.first() {
            write!(f, "; the gap before {first} was never crossed")?;
        }
        Ok(())
    }
}
