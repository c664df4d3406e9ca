//! How far a crossing has come, and what there is to say of it.

use crate::replay::Place;
use crate::replay::program::{MemoryIndex, NONE, PatchIndex, Program, Segments, StepIndex};
use crate::replay::progress::Progress;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt;
use std::time::Duration;

/// Where a lane stands.
#[derive(Clone, Debug)]
pub(super) struct LaneCrossing {
    /// The first place that it has not come to, once the segment that it is in is over.
    pub(super) rest: u32,
    /// Where it came to in the segment that it is in; `None` before any gap.
    pub(super) start: Option<Start>,
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

/// An asynchronous call that the client made while it crossed.
#[derive(Clone, Debug)]
pub(super) struct OpenCall {
    pub(super) queue: u32,
    pub(super) reference: Vec<u64>,
    /// Completions that the tape holds of a call like it, each with how long after the call it came.
    pub(super) posts: VecDeque<(u32, Duration)>,
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
    /// Of calls that complete again and again: how many of their completions were given leniently.
    pub(super) repeated: HashMap<StepIndex, usize>,
    /// The keyframe's bytes are in the client's memories.
    pub(super) is_in_keyframe: bool,
    /// By memory and range, what a crossing client last read there.
    pub(super) reads: HashMap<(MemoryIndex, u64, u64), u64>,
    pub(super) cursors: HashMap<MemoryIndex, usize>,
    /// Waits and takes at which a client seemed to have come behind its gap, and had not.
    pub(super) misled: HashSet<StepIndex>,
    /// Steps and changes that the client was taken past.
    pub(super) passed: HashSet<StepIndex>,
    pub(super) shown: HashSet<PatchIndex>,
    /// Queues that it made while it crossed.
    pub(super) queues: u32,
}

impl Crossing {
    pub(in crate::replay) fn new(segments: &Segments) -> Self {
        let lane = |rest| LaneCrossing { rest, start: None };
        Self {
            lanes: segments.beginnings().into_iter().map(lane).collect(),
            made: 0,
            lenient: 0,
            after_end: 0,
            false_starts: 0,
            unknown: BTreeSet::new(),
            invented: 0,
            open: Vec::new(),
            repeated: HashMap::new(),
            is_in_keyframe: false,
            reads: HashMap::new(),
            cursors: HashMap::new(),
            misled: HashSet::new(),
            passed: HashSet::new(),
            shown: HashSet::new(),
            queues: 0,
        }
    }

    /// How many operations were served without the tape.
    pub(in crate::replay) fn lenient(&self) -> u64 {
        self.lenient + self.after_end
    }

    /// True where the client was taken past the step.
    pub(in crate::replay) fn has_passed(&self, step: StepIndex) -> bool {
        self.passed.contains(&step)
    }

    /// True where the change is in what the client came to, or nobody could have read it.
    pub(in crate::replay) fn has_shown(&self, patch: PatchIndex) -> bool {
        self.shown.contains(&patch)
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
        let mut report = CrossingReport {
            lenient: self.lenient,
            invented: self.invented,
            unknown_selectors: self.unknown.clone(),
            after_end: self.after_end,
            passed_over: self.passed.len() as u64,
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
