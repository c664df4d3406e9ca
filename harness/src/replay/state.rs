//! What changes while a tape is replayed.

use super::crossing::Crossing;
use super::matching::{masked_differences, symbol_pairs, write_pairs};
use super::patches::MemoryState;
use super::program::{
    CallRules, Courses, Flags, Kind, LaneIndex, MemoryIndex, NONE, Program, StepIndex,
};
use super::progress::Progress;
use super::request::{Request, recorded};
use super::symbols::Symbols;
use super::{Divergence, PatchTiming};
use crate::memory::SharedBuffer;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// The state of a replay, all under one lock.
#[derive(Debug)]
pub(super) struct State {
    pub(super) progress: Arc<Progress>,
    /// The step whose turn it is under `exact`.
    pub(super) turn: StepIndex,
    /// By course the place behind the last step entered there, for `nearest`.
    pub(super) positions: Vec<u32>,
    /// By lane the polls that found nothing, and the last step entered before them.
    pub(super) empty_polls: Vec<(StepIndex, u64)>,

    /// Lanes that a thread has, and the lane of each thread.
    pub(super) bound: Vec<bool>,
    pub(super) threads: HashMap<u64, LaneIndex>,

    pub(super) symbols: Symbols,
    pub(super) memories: Vec<MemoryState>,
    pub(super) timing: PatchTiming,
    /// One bit a patch: a read of the client has seen it.
    pub(super) seen: Vec<u64>,
    /// Shared buffers of the client and their memories.
    buffers: Vec<(SharedBuffer, MemoryIndex)>,
    /// Connections that the client has closed, or dropped.
    pub(super) closed: HashSet<u32>,
    /// Rights of the connections that had more than one, or have fewer.
    rights: HashMap<u32, u64>,
    /// References that the client gave with calls whose rules let them differ.
    pub(super) references: HashMap<StepIndex, Vec<u64>>,
    /// Differences that a mask covered.
    pub(super) masked: u64,

    /// Wakers, and what each waits for: [`Kind::Take`] or [`Kind::TakeNotice`] of a queue.
    pub(super) wakers: Vec<(Kind, u32, Waker)>,

    /// How many steps had been entered when somebody who waits without a timeout looked, and the time
    /// at which they were that many first.
    pub(super) at_rest: Option<(u64, Duration)>,

    /// How the client crosses gaps, where the policy lets it.
    pub(super) crossing: Option<Box<Crossing>>,

    pub(super) divergence: Option<Divergence>,
    pub(super) invented: u64,
    /// Somebody has been told by `finish`.
    pub(super) told: bool,
}

impl State {
    pub(super) fn new(program: &Program, progress: &Arc<Progress>, timing: PatchTiming) -> Self {
        let memories = program.memories.iter().map(|_| MemoryState::default()).collect();
        let mut state = Self {
            progress: Arc::clone(progress),
            turn: 0,
            positions: vec![0; program.courses.as_ref().map_or(0, Courses::count)],
            empty_polls: vec![(NONE, 0); program.lanes.len()],
            bound: vec![false; program.lanes.len()],
            threads: HashMap::new(),
            symbols: Symbols::default(),
            memories,
            timing,
            seen: vec![0; program.patches.len().div_ceil(64)],
            buffers: Vec::new(),
            closed: HashSet::new(),
            rights: HashMap::new(),
            references: HashMap::new(),
            masked: 0,
            wakers: Vec::new(),
            at_rest: None,
            crossing: program.segments.as_deref().map(|segments| Box::new(Crossing::new(segments))),
            divergence: None,
            invented: 0,
            told: false,
        };
        for (index, patch) in (0..).zip(&program.patches) {
            let memory = &mut state.memories[patch.memory as usize];
            memory.untaken.push_back(index);
            if patch.unattributed {
                memory.note_own_writes();
            }
        }
        for first in &program.initial_patches {
            state.arm(program, *first);
        }
        state
    }

    #[inline]
    pub(super) fn has_entered(&self, step: StepIndex) -> bool {
        self.progress.has_entered(step)
    }

    /// The next step of a stream.
    #[inline]
    pub(super) fn head(&self, stream: u32) -> StepIndex {
        self.progress.head(stream)
    }

    /// True where nothing that must stand before the step is missing.
    #[inline]
    pub(super) fn gate_is_open(&self, program: &Program, step: StepIndex) -> bool {
        let step = program.step(step);
        !step.flags.has(Flags::GATED) || self.has_entered(step.gate)
    }

    /// Enters the step; false where a plain call has taken its place meanwhile.
    #[inline]
    pub(super) fn enter(
        &mut self,
        program: &Program,
        index: StepIndex,
        request: &Request<'_>,
    ) -> bool {
        let step = program.step(index);
        if !self.progress.claim(step, index) {
            return false;
        }
        if index == self.turn {
            self.turn += 1;
        }
        if let Some(crossing) = self.crossing.as_deref_mut() {
            crossing.note_entered(program, index);
        }
        if let Some(courses) = &program.courses {
            let (course, place) = courses.behind(index);
            self.positions[course] = place;
        }
        if step.flags.has(Flags(Flags::RULES.0 | Flags::SHARED.0)) || step.kind == Kind::Write {
            self.note(program, index, request);
        }
        if step.flags.has(Flags::PATCHES) && step.kind != Kind::Wait {
            self.arm(program, step.patches);
        }
        true
    }

    /// Polls of a lane that found nothing since its last step, of which this is one more.
    pub(super) fn count_empty_poll(&mut self, lane: LaneIndex) -> u64 {
        let anchor = self.progress.anchor(lane);
        let Some((since, count)) = self.empty_polls.get_mut(lane as usize) else { return 0 };
        if *since != anchor {
            (*since, *count) = (anchor, 0);
        }
        let before = *count;
        *count = before.saturating_add(1);
        before
    }

    /// Keeps the report of a divergence; the first one stays.
    pub(super) fn poison(&mut self, report: &Divergence) {
        if self.divergence.is_none() {
            self.divergence = Some(report.clone());
            self.progress.attend();
        }
    }

    /// Binds symbols, and counts what masks covered.
    #[cold]
    fn note(&mut self, program: &Program, index: StepIndex, request: &Request<'_>) {
        match (recorded(program, index), request) {
            (Request::Call(held), Request::Call(call)) => {
                let none = CallRules::default();
                let rules = program.rules.calls(call.connection, call.selector).unwrap_or(&none);
                self.masked += masked_differences(rules, &held, call);
                self.symbols.bind(symbol_pairs(rules, &held, call));
                let loose = rules.references.iter().any(Option::is_some);
                if let Some(reference) = call.wake.and_then(|wake| wake.reference)
                    && loose
                {
                    self.references.insert(index, reference.to_vec());
                }
            }
            (Request::Write { bytes: held, .. }, Request::Write { memory, offset, bytes, .. })
                if !program.rules.writes.is_empty() && held.len() == bytes.len() =>
            {
                self.masked += u64::from(held != *bytes);
                self.symbols.bind(write_pairs(program, *memory, *offset, held, bytes));
            }
            _ => {}
        }
    }

    /// An unmap of `memory_type` worked: undoes the map of the given memory, if it is of that type, or
    /// else the first of that type, since the kernel ignores the address (F15).
    pub(super) fn undo_map(
        &mut self,
        program: &Program,
        connection: u32,
        memory_type: u32,
        given: Option<u32>,
    ) {
        let held = |index: &usize| {
            program.memories[*index].memory_type == Some(memory_type)
                && self.memories[*index].holders.contains(&connection)
        };
        let given = given.and_then(|number| program.memory(number)).map(|index| index as usize);
        let undone = given.filter(held).or_else(|| (0..self.memories.len()).find(held));
        if let Some(index) = undone {
            self.memories[index].holders.retain(|holder| *holder != connection);
        }
    }

    /// The client takes another right of a connection.
    pub(super) fn add_right(&mut self, connection: u32) {
        *self.rights.entry(connection).or_insert(1) += 1;
    }

    /// The client drops a right of a connection; with the last one its mappings go (F23, F24).
    pub(super) fn drop_right(&mut self, connection: u32) {
        let rights = self.rights.entry(connection).or_insert(1);
        *rights = rights.saturating_sub(1);
        if *rights == 0 {
            self.let_go(connection);
        }
    }

    /// A connection has no right left: its mappings go (F23).
    pub(super) fn let_go(&mut self, connection: u32) {
        self.closed.insert(connection);
        for memory in &mut self.memories {
            memory.holders.retain(|holder| *holder != connection);
        }
    }

    /// Number of a shared buffer that has been handed in or asked for before.
    pub(super) fn buffer_number(&self, program: &Program, buffer: &SharedBuffer) -> Option<u32> {
        let (_, memory) = self.buffers.iter().find(|(known, _)| known.is(buffer))?;
        program.memories.get(*memory as usize).map(|memory| memory.number)
    }

    /// True where a buffer of the client has this number already.
    pub(super) fn is_bound(&self, program: &Program, number: u32) -> bool {
        let memory = program.memory(number);
        self.buffers.iter().any(|(_, bound)| Some(*bound) == memory)
    }

    pub(super) fn bind_buffer(&mut self, buffer: &SharedBuffer, memory: MemoryIndex) {
        self.buffers.push((buffer.clone(), memory));
    }
}
