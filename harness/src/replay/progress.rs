//! How far a replay has come: the part of its state that a plain call moves without the lock.

use super::program::{LaneIndex, NONE, Program, Step, StepIndex};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Which steps have been entered.
///
/// Each step is entered once, by whoever wins its [`claim`](Self::claim): one atomic operation,
/// and the only one of a plain call. Everything else that changes is under the lock of the state.
#[derive(Debug)]
pub(super) struct Progress {
    /// The next step of each stream; a step before it has been entered.
    heads: Box<[AtomicU32]>,
    /// Stream of each step; empty where steps have keys instead.
    streams: Box<[u32]>,
    /// Of each stream, where gaps are crossed: while it has no next step, the first step that has not been
    /// entered.
    rests: Box<[AtomicU32]>,
    /// One bit a step, where steps have keys: it has been entered.
    entered: Box<[AtomicU64]>,
    /// The last step entered of each lane.
    anchors: Box<[AtomicU32]>,
    /// Those who have to be told of a change: threads and wakers that wait, and the divergence. A
    /// plain call looks here before it enters a step, and again behind it; whoever begins to wait
    /// counts himself first and looks at the steps behind it. So one of the two sees the other.
    attention: AtomicU32,
}

impl Progress {
    pub(super) fn new(program: &Program) -> Self {
        let keyed = program.keys.is_some();
        let bits = if keyed { program.steps.len().div_ceil(64) } else { 0 };
        let streams = program.steps.iter().map(|step| step.stream);
        let rests = program.segments.as_ref().map(|segments| segments.first_rests());
        let rests = rests.into_iter().flatten().map(AtomicU32::new).collect();
        Self {
            rests,
            heads: program.streams.iter().map(|first| AtomicU32::new(*first)).collect(),
            streams: if keyed { Box::default() } else { streams.collect() },
            entered: (0..bits).map(|_| AtomicU64::new(0)).collect(),
            anchors: program.lanes.iter().map(|_| AtomicU32::new(NONE)).collect(),
            attention: AtomicU32::new(0),
        }
    }

    /// The next step of a stream.
    #[inline]
    pub(super) fn head(&self, stream: u32) -> StepIndex {
        self.stream(stream).map_or(NONE, |head| head.load(Ordering::Acquire))
    }

    /// The next step of a stream, as it changes.
    #[inline]
    pub(super) fn stream(&self, stream: u32) -> Option<&AtomicU32> {
        self.heads.get(stream as usize)
    }

    /// How many streams there are.
    pub(super) fn streams(&self) -> u32 {
        self.heads.len() as u32
    }

    /// True where the step has been entered. Steps of a stream are entered in the order of the tape.
    #[inline]
    pub(super) fn has_entered(&self, step: StepIndex) -> bool {
        if let Some(word) = self.entered.get(step as usize / 64) {
            return word.load(Ordering::Acquire) >> (step % 64) & 1 == 1;
        }
        self.streams.get(step as usize).is_some_and(|stream| match self.head(*stream) {
            NONE => self.rests.get(*stream as usize).is_none_or(|rest| {
                let rest = rest.load(Ordering::Acquire);
                rest > step
            }),
            head => head > step,
        })
    }

    /// Has a stream go on at a step, and rest at another once it has no next one.
    pub(super) fn go_on_at(&self, stream: u32, step: StepIndex, rest: StepIndex) {
        if let (Some(head), Some(at)) = (self.stream(stream), self.rests.get(stream as usize)) {
            at.store(rest, Ordering::Release);
            head.store(step, Ordering::Release);
        }
    }

    /// How many steps have been entered.
    pub(super) fn used(&self, program: &Program) -> u64 {
        (0..program.steps.len() as u32).filter(|step| self.has_entered(*step)).count() as u64
    }

    /// Enters a step; false where somebody else was there first.
    #[inline]
    pub(super) fn claim(&self, step: &Step, index: StepIndex) -> bool {
        if let Some(head) = self.stream(step.stream) {
            return self.claim_head(head, step, index);
        }
        self.claim_keyed(step, index)
    }

    /// As [`claim`](Self::claim), where steps have keys.
    #[inline]
    pub(super) fn claim_keyed(&self, step: &Step, index: StepIndex) -> bool {
        let won = self.entered.get(index as usize / 64).is_some_and(|word| {
            let bit = 1 << (index % 64);
            word.fetch_or(bit, Ordering::SeqCst) & bit == 0
        });
        if won {
            self.anchor_at(step, index);
        }
        won
    }

    /// As [`claim`](Self::claim), of the step at this head of its stream.
    #[inline]
    pub(super) fn claim_head(&self, head: &AtomicU32, step: &Step, index: StepIndex) -> bool {
        let next = step.next;
        let won = head.compare_exchange(index, next, Ordering::SeqCst, Ordering::Relaxed).is_ok();
        if won {
            self.anchor_at(step, index);
        }
        won
    }

    #[inline]
    fn anchor_at(&self, step: &Step, index: StepIndex) {
        if let Some(anchor) = self.anchors.get(step.lane as usize) {
            anchor.store(index, Ordering::Release);
        }
    }

    /// The last step that was entered of a lane.
    pub(super) fn anchor(&self, lane: LaneIndex) -> StepIndex {
        self.anchors.get(lane as usize).map_or(NONE, |anchor| anchor.load(Ordering::Acquire))
    }

    /// True where nobody has to be told of anything.
    #[inline]
    pub(super) fn is_quiet(&self) -> bool {
        self.attention.load(Ordering::SeqCst) == 0
    }

    /// Somebody has to be told from now on.
    pub(super) fn attend(&self) {
        self.attention.fetch_add(1, Ordering::SeqCst);
    }

    /// So many need not be told any more.
    pub(super) fn dismiss(&self, count: u32) {
        self.attention.fetch_sub(count, Ordering::SeqCst);
    }
}
