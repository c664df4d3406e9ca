//! What a client sees of shared memory: the shadow, and the patches that are due.

use super::program::{
    EventIndex, Kind, LaneIndex, MemoryIndex, NONE, Patch, PatchIndex, Program, StepIndex,
};
use super::progress::Progress;
use super::state::State;
use super::{PatchTiming, Policy};
use crate::memory::{Backing, Memory, Shadow};
use crate::tape::Capture;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

/// One memory of the client.
#[derive(Debug, Default)]
pub(super) struct MemoryState {
    /// Bytes of a mapping.
    pub(super) shadow: Shadow,
    /// The store of a shared buffer, which takes the shadow's place.
    pub(super) store: Option<Arc<Backing>>,
    /// Connections that have it mapped (F14).
    pub(super) holders: Vec<u32>,
    /// Bytes that the client has written since a change of them that it may have made itself. Kept
    /// where there are such.
    own: Option<Shadow>,
    /// Patches whose predecessors have happened, in the order in which they became due.
    armed: Vec<Armed>,
    /// Patches that were not brought to a copy of the memory, in the order of the tape.
    pub(super) untaken: VecDeque<PatchIndex>,
    /// Of registers instead: the reads that come, each one a patch, in the order of the tape.
    reads: VecDeque<PatchIndex>,
}

#[derive(Clone, Copy, Debug)]
struct Armed {
    patch: PatchIndex,
    /// Reads that overlapped it so far, where that counts.
    reads: u64,
}

impl MemoryState {
    /// Keeps in mind which bytes the client writes.
    pub(super) fn note_own_writes(&mut self) {
        self.own.get_or_insert_default();
    }

    /// The client has written these bytes.
    pub(super) fn put(&mut self, offset: u64, bytes: &[u8]) {
        if let Some(own) = &mut self.own {
            own.write(offset, &vec![1; bytes.len()]);
        }
        self.set(offset, bytes);
    }

    /// All bytes are zero again, and nothing is due.
    pub(super) fn begin_anew(&mut self) {
        self.shadow = Shadow::new();
        self.own = self.own.as_ref().map(|_| Shadow::new());
        self.armed.clear();
        self.reads.clear();
    }

    /// The bytes as the client would read them.
    pub(super) fn get(&self, offset: u64, length: u64) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        match &self.store {
            Some(store) => {
                let _beyond = store.copy_out(offset, &mut bytes);
            }
            None => self.shadow.read(offset, &mut bytes),
        }
        bytes
    }

    /// Makes one change due.
    pub(super) fn arm_one(&mut self, program: &Program, patch: PatchIndex) {
        if is_registers(program, program.patches[patch as usize].memory) {
            self.reads.push_back(patch);
        } else if self.armed.iter().all(|armed| armed.patch != patch) {
            self.armed.push(Armed { patch, reads: 0 });
        }
    }

    pub(super) fn set(&mut self, offset: u64, bytes: &[u8]) {
        match &self.store {
            // A tape may state a patch beyond the buffer's end: there is no such memory.
            Some(store) => {
                let _beyond = store.copy_in(offset, bytes);
            }
            None => self.shadow.write(offset, bytes),
        }
    }

    fn put_patch(&mut self, program: &Program, index: PatchIndex) -> Result<(), NotKept> {
        let patch = &program.patches[index as usize];
        if patch.opaque {
            return Err(NotKept(index));
        }
        let bytes = program.arena.bytes(patch.at, patch.length);
        let Some(own) = &mut self.own else {
            self.set(patch.offset, bytes);
            return Ok(());
        };
        let mut owned = vec![0; bytes.len()];
        own.read(patch.offset, &mut owned);
        // What the client has written there accounts for one such change, not for the next.
        own.write(patch.offset, &vec![0; bytes.len()]);
        for (index, byte) in bytes.iter().enumerate() {
            if !patch.unattributed || owned[index] == 0 {
                self.set(patch.offset.saturating_add(index as u64), &[*byte]);
            }
        }
        Ok(())
    }
}

fn is_registers(program: &Program, memory: MemoryIndex) -> bool {
    program.memories[memory as usize].capture == Capture::Registers
}

/// A patch is due, and its bytes are not on the tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotKept(pub(super) PatchIndex);

/// Whether a lane that is held to its order has a step to make that the tape holds before the patch: what
/// it reads until then did not show the patch when it was recorded, and an unchanged read is no event.
fn comes_first(program: &Program, progress: &Progress, lane: LaneIndex, patch: &Patch) -> bool {
    let held =
        matches!(program.policy, Policy::Exact | Policy::Lanes) && program.segments.is_none();
    let next = if held { progress.head(lane) } else { NONE };
    next != NONE && program.step(next).enter < patch.event
}

impl State {
    /// Makes a chain of patches due.
    pub(super) fn arm(&mut self, program: &Program, first: PatchIndex) {
        self.settle_memories(program);
        let supersedes = self.timing == PatchTiming::FirstRead;
        let crosses = self.crossing.is_some();
        let mut index = first;
        while let Some(patch) = program.patches.get(index as usize) {
            let memory = &mut self.memories[patch.memory as usize];
            if is_registers(program, patch.memory) {
                memory.reads.push_back(index);
                index = patch.next;
                continue;
            }
            // An update that is being made has yet to read the older ones.
            let updates = || {
                let anchor = program.steps.get(patch.anchor as usize);
                anchor.is_some_and(|step| step.kind == Kind::Update)
            };
            if supersedes && patch.previous == NONE && !memory.armed.is_empty() && !updates() {
                // Whoever reads what the older one changed would see the newer one over it.
                memory.armed.retain(|armed| {
                    let older = &program.patches[armed.patch as usize];
                    older.lane != patch.lane
                        || older.offset < patch.offset
                        || older.offset.saturating_add(older.length)
                            > patch.offset.saturating_add(patch.length)
                });
            }
            // A client that was taken past what it stands behind has it already.
            let again = crosses && memory.armed.iter().any(|armed: &Armed| armed.patch == index);
            if !again {
                memory.armed.push(Armed { patch: index, reads: 0 });
            }
            index = patch.next;
        }
    }

    /// Applies what a read of `length` bytes at `offset` sees for the first time. `update` is the step
    /// that reads, where it is one ([`NONE`] otherwise): what follows it on the tape came later. Gives
    /// the event that the read was when it was recorded: of registers, and where it sees a patch as it was
    /// seen then.
    pub(super) fn apply_due(
        &mut self,
        program: &Program,
        memory: MemoryIndex,
        place: (u64, u64),
        reader: Option<LaneIndex>,
        update: StepIndex,
    ) -> Result<Option<EventIndex>, NotKept> {
        self.settle_memories(program);
        let state = &mut self.memories[memory as usize];
        if state.armed.is_empty() {
            // Of registers all patches are reads.
            let any = !state.reads.is_empty() && update == NONE;
            return if any { self.apply_read(program, memory, place, reader) } else { Ok(None) };
        }
        let (offset, length) = place;
        let (timing, progress, seen) = (self.timing, &self.progress, &mut self.seen);
        let state = &mut self.memories[memory as usize];
        // Patches that this read has applied or may not see yet: what comes later in their lane and
        // overlaps them was seen by a later read.
        let mut held: Vec<PatchIndex> = Vec::new();
        let mut shown: Vec<PatchIndex> = Vec::new();
        let mut place = 0;
        while let Some(armed) = state.armed.get_mut(place) {
            let index = armed.patch;
            let patch = &program.patches[index as usize];
            let follows = update != NONE && patch.anchor == update;
            if follows || !patch.overlaps(offset, length) {
                place += 1;
                continue;
            }
            let gone_on = progress.anchor(patch.lane) != patch.anchor;
            if !gone_on {
                let later = held.iter().any(|held| {
                    let held = &program.patches[*held as usize];
                    (held.lane, held.anchor) == (patch.lane, patch.anchor)
                        && held.overlaps(patch.offset, patch.length)
                });
                // Reads count from the event before the patch, and that may be a patch, too: the read
                // that shows that one is not the first behind it.
                let behind = patch.previous != NONE
                    && (shown.contains(&patch.previous)
                        || seen[patch.previous as usize / 64] >> (patch.previous % 64) & 1 == 0);
                let early = timing == PatchTiming::AsRecorded && {
                    if !behind && reader.is_none_or(|reader| reader == patch.lane) && !later {
                        armed.reads += 1;
                    }
                    behind
                        || armed.reads < patch.read
                        || reader.is_some_and(|reader| {
                            reader != patch.lane && comes_first(program, progress, reader, patch)
                        })
                };
                if later || early {
                    held.push(index);
                    place += 1;
                    continue;
                }
                held.push(index);
            }
            let gone = Self::apply(program, state, place)?;
            // Those before it that went with it are gone from the list, too.
            place -= gone.len() - 1;
            for index in gone {
                seen[index as usize / 64] |= 1 << (index % 64);
                shown.push(index);
            }
        }
        let last = shown.last().filter(|_| timing == PatchTiming::AsRecorded);
        Ok(last.map(|last| program.patches[*last as usize].event))
    }

    /// A read of registers (what an update saw stands before it): it sees what the next read of its place saw that its lane made when it
    /// was recorded, whatever the timing. Once the lane has gone on, what it did not read is passed
    /// over; a read more than were recorded sees what the last one saw.
    fn apply_read(
        &mut self,
        program: &Program,
        memory: MemoryIndex,
        (offset, length): (u64, u64),
        reader: Option<LaneIndex>,
    ) -> Result<Option<EventIndex>, NotKept> {
        let (progress, seen) = (&self.progress, &mut self.seen);
        let state = &mut self.memories[memory as usize];
        let mut place = 0;
        while let Some(index) = state.reads.get(place).copied() {
            let patch = &program.patches[index as usize];
            let mine = reader.is_none_or(|reader| reader == patch.lane);
            if !mine || !patch.overlaps(offset, length) {
                place += 1;
                continue;
            }
            state.reads.remove(place);
            state.put_patch(program, index)?;
            if progress.anchor(patch.lane) == patch.anchor {
                seen[index as usize / 64] |= 1 << (index % 64);
                return Ok(Some(patch.event));
            }
        }
        Ok(None)
    }

    /// As [`apply_before`](Self::apply_before), of registers. What an update found there is the last
    /// of them.
    fn apply_reads_before(
        &mut self,
        program: &Program,
        memory: MemoryIndex,
        (offset, length): (u64, u64),
        step: StepIndex,
    ) -> Result<(), NotKept> {
        let step = program.step(step);
        let seen = &mut self.seen;
        let state = &mut self.memories[memory as usize];
        let (mut place, mut last) = (0, None);
        while let Some(index) = state.reads.get(place).copied() {
            let patch = &program.patches[index as usize];
            let before = patch.lane == step.lane && patch.event < step.enter;
            if !before || !patch.overlaps(offset, length) {
                place += 1;
                continue;
            }
            state.reads.remove(place);
            state.put_patch(program, index)?;
            last = Some(index);
        }
        if let Some(index) = last.filter(|_| step.kind == Kind::Update) {
            seen[index as usize / 64] |= 1 << (index % 64);
        }
        Ok(())
    }

    /// Applies the patches that stand before `step` in its lane and overlap what it writes: the
    /// client's bytes come over them.
    pub(super) fn apply_before(
        &mut self,
        program: &Program,
        memory: MemoryIndex,
        (offset, length): (u64, u64),
        step: StepIndex,
    ) -> Result<(), NotKept> {
        self.settle_memories(program);
        if is_registers(program, memory) {
            return self.apply_reads_before(program, memory, (offset, length), step);
        }
        let step = program.step(step);
        let state = &mut self.memories[memory as usize];
        let mut place = 0;
        while let Some(armed) = state.armed.get(place) {
            let patch = &program.patches[armed.patch as usize];
            let before = patch.lane == step.lane && patch.event < step.enter;
            if before && patch.overlaps(offset, length) {
                let gone = Self::apply(program, state, place)?;
                place -= gone.len() - 1;
                if step.kind == Kind::Update {
                    // The update gives the client what the word held before.
                    for index in gone {
                        self.seen[index as usize / 64] |= 1 << (index % 64);
                    }
                }
            } else {
                place += 1;
            }
        }
        Ok(())
    }

    /// Applies the patch at `place` of the list, and before it those of its lane that it covers in
    /// part. Gives all of them.
    fn apply(
        program: &Program,
        state: &mut MemoryState,
        place: usize,
    ) -> Result<Vec<PatchIndex>, NotKept> {
        let last = state.armed[place].patch;
        let patch = &program.patches[last as usize];
        let goes = |other: &Patch| {
            other.lane == patch.lane
                && other.event <= patch.event
                && other.overlaps(patch.offset, patch.length)
        };
        let mut going = Vec::new();
        let mut index = 0;
        state.armed.retain(|armed| {
            let other = &program.patches[armed.patch as usize];
            let take = armed.patch == last || (index < place && goes(other));
            index += 1;
            if take {
                going.push(armed.patch);
            }
            !take
        });
        for index in &going {
            state.put_patch(program, *index)?;
        }
        Ok(going)
    }

    /// Takes all patches of a memory that are due, for a copy of it that a client reaches by raw
    /// pointers: where they overlap, in the order of the tape, and none before what happened before the
    /// change. One of unknown author waits until its lane has gone on or the client is `idle`. True
    /// where one waits for that.
    pub(super) fn take_due(
        &mut self,
        program: &Program,
        memory: MemoryIndex,
        idle: bool,
    ) -> Result<(Vec<PatchIndex>, bool), NotKept> {
        self.settle_memories(program);
        let progress = &self.progress;
        let state = &mut self.memories[memory as usize];
        if state.armed.is_empty() {
            return Ok((Vec::new(), false));
        }
        let (mut due, mut waiting, mut waits) = (Vec::new(), Vec::<PatchIndex>::new(), false);
        let armed: HashSet<PatchIndex> = state.armed.iter().map(|armed| armed.patch).collect();
        let mut left = armed.len();
        while left > 0
            && let Some(index) = state.untaken.pop_front()
        {
            let patch = &program.patches[index as usize];
            let behind = || {
                let overlaps = |other: &PatchIndex| {
                    program.patches[*other as usize].overlaps(patch.offset, patch.length)
                };
                waiting.iter().any(overlaps)
            };
            let is_armed = armed.contains(&index);
            left -= usize::from(is_armed);
            let early =
                !is_armed || patch.since != NONE && !progress.has_entered(patch.since) || behind();
            let own = !early
                && patch.unattributed
                && !idle
                && progress.anchor(patch.lane) == patch.anchor;
            waits |= own;
            if early || own {
                waiting.push(index);
            } else {
                due.push(index);
            }
        }
        let taken: HashSet<PatchIndex> = due.iter().copied().collect();
        waiting.iter().rev().for_each(|index| state.untaken.push_front(*index));
        state.armed.retain(|armed| !taken.contains(&armed.patch));
        for index in &due {
            state.put_patch(program, *index)?;
            self.seen[*index as usize / 64] |= 1 << (index % 64);
        }
        Ok((due, waits))
    }

    /// The patches that no read has seen.
    pub(super) fn unread(&self, program: &Program) -> impl Iterator<Item = PatchIndex> {
        let seen = |index: &u32| self.seen[*index as usize / 64] >> (index % 64) & 1 == 1;
        (0..program.patches.len() as u32).filter(move |index| !seen(index))
    }
}
