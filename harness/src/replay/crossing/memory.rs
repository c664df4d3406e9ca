//! Shared memory of a client that crosses a gap: the keyframe's bytes, then the changes that the tape holds
//! of them, so that a client which waits for one is led on; and the tape's own state from where the client
//! comes to what stands behind the gap.

use super::counts::Coming;
use crate::memory::{Update, Width};
use crate::replay::program::{
    EventIndex, LaneIndex, MemoryIndex, NONE, PatchIndex, Program, Segments, StepIndex,
};
use crate::replay::session::Session;
use crate::replay::state::State;
use crate::tape::{Body, Payload};
use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Changes of a memory that are looked at for one read.
const LOOKED_AT: usize = 4096;

impl Session {
    /// Puts the keyframe's bytes into the client's memories, when it crosses for the first time.
    pub(super) fn show_keyframe(&self, state: &mut State, segments: &Segments) {
        let Some(crossing) = state.crossing.as_deref_mut() else { return };
        if std::mem::replace(&mut crossing.is_in_keyframe, true) {
            return;
        }
        if let Some(keyframe) = segments.keyframes.last() {
            state.put_keyframe(&self.program, *keyframe);
        }
    }

    /// A lane comes to `step`. Where nobody else is behind the gap, memories become what they were on the
    /// tape then; otherwise they get what the lane was taken past. That is done when somebody looks: a client
    /// may seem to have come behind a gap with every few operations, and not have.
    pub(super) fn bring_memories(
        &self,
        state: &mut State,
        segments: &Segments,
        (lane, step): (LaneIndex, StepIndex),
        alone: bool,
    ) {
        let until = self.program.step(step).enter;
        let Some(from) = segments.keyframe_before(until) else { return };
        let Some(crossing) = state.crossing.as_deref_mut() else { return };
        crossing.is_in_keyframe = true;
        crossing.reads.clear();
        crossing.cursors.clear();
        let only = (!alone).then_some(lane);
        // What was to be done for a place where nobody has looked is done with.
        crossing.coming.retain(|coming| !alone && coming.only != only);
        crossing.coming.push(Coming { from, until, step, only });
        let shown = crossing.shown.entry((from, only)).or_default();
        *shown = until.max(*shown);
    }

    /// A client that crosses reads: where it has read the same there before, it is shown the next change
    /// that the tape holds of that place, beginning behind the keyframe and then from the tape's beginning
    /// on. False where it has read too often.
    #[cold]
    pub(in crate::replay) fn read_across(
        &self,
        state: &mut State,
        memory: MemoryIndex,
        (offset, length): (u64, u64),
    ) -> bool {
        let program = &self.program;
        let Some(segments) = program.segments.as_deref() else { return true };
        if !self.may_go_on(state, segments) {
            return false;
        }
        state.settle_memories(program);
        let is_anew = self.read_hash(state, memory, offset, length);
        let key = (memory, offset, length);
        let known = state.crossing.as_deref().and_then(|it| it.reads.get(&key)).copied();
        if known == Some(is_anew) {
            self.show_next_change(state, segments, memory, (offset, length));
        }
        let now = self.read_hash(state, memory, offset, length);
        if let Some(crossing) = state.crossing.as_deref_mut() {
            crossing.reads.insert(key, now);
        }
        true
    }

    fn read_hash(&self, state: &State, memory: MemoryIndex, offset: u64, length: u64) -> u64 {
        let mut hasher = DefaultHasher::new();
        state.memories[memory as usize].get(offset, length).hash(&mut hasher);
        hasher.finish()
    }

    fn show_next_change(
        &self,
        state: &mut State,
        segments: &Segments,
        memory: MemoryIndex,
        (offset, length): (u64, u64),
    ) {
        let program = &self.program;
        let patches = &segments.lookups.patches[memory as usize];
        let behind = segments.keyframes.last().copied().unwrap_or(segments.first_gap);
        let first =
            patches.partition_point(|patch| program.patches[*patch as usize].event < behind);
        let Some(crossing) = state.crossing.as_deref() else { return };
        let cursor = crossing.cursors.get(&memory).copied().unwrap_or(first);
        let around = (cursor..patches.len()).chain(0..cursor).take(LOOKED_AT);
        let current = state.memories[memory as usize].get(offset, length);
        let changes = |place: &usize| {
            let patch = &program.patches[patches[*place] as usize];
            if patch.opaque || !patch.overlaps(offset, length) {
                return false;
            }
            let bytes = program.arena.bytes(patch.at, patch.length);
            let (from, to) = (
                offset.max(patch.offset),
                offset.saturating_add(length).min(patch.offset.saturating_add(patch.length)),
            );
            let now = &current[(from - offset) as usize..(to - offset) as usize];
            let then = &bytes[(from - patch.offset) as usize..(to - patch.offset) as usize];
            now != then
        };
        let Some(place) = around.into_iter().find(changes) else { return };
        let patch = &program.patches[patches[place] as usize];
        let bytes = program.arena.bytes(patch.at, patch.length);
        state.memories[memory as usize].set(patch.offset, bytes);
        if let Some(crossing) = state.crossing.as_deref_mut() {
            crossing.cursors.insert(memory, place + 1);
        }
    }
}

impl State {
    /// Has memories be as where the client came to, before anybody looks at them or changes them.
    #[inline]
    pub(in crate::replay) fn settle_memories(&mut self, program: &Program) {
        if self.crossing.as_ref().is_some_and(|crossing| !crossing.coming.is_empty()) {
            self.bring_what_comes(program);
        }
    }

    #[cold]
    fn bring_what_comes(&mut self, program: &Program) {
        let Some(segments) = program.segments.as_deref() else { return };
        let crossing = self.crossing.as_deref_mut();
        let coming = crossing.map(|crossing| std::mem::take(&mut crossing.coming));
        for Coming { from, until, step, only } in coming.unwrap_or_default() {
            if only.is_none() {
                self.put_keyframe(program, from);
            }
            let lookups = &segments.lookups;
            let events = match only {
                None => &lookups.memory_events,
                Some(lane) => &lookups.lane_memory_events[lane as usize],
            };
            let between = |events: &[EventIndex], from, until| {
                events.partition_point(|event| *event < from)
                    ..events.partition_point(|event| *event < until)
            };
            for event in &events[between(events, from, until)] {
                self.put_event(program, &program.event(*event).body);
            }
            if only.is_some() {
                continue;
            }
            for patches in &lookups.lane_patches {
                let behind =
                    patches.partition_point(|patch| program.patches[*patch as usize].event < until);
                // What it stood behind has been passed over.
                let is_due = |patch: &&PatchIndex| {
                    let anchor = program.patches[**patch as usize].anchor;
                    anchor == NONE || anchor < step
                };
                for patch in patches[behind..].iter().take_while(is_due) {
                    let memory = program.patches[*patch as usize].memory;
                    self.memories[memory as usize].arm_one(program, *patch);
                }
            }
        }
    }

    /// Gives each mapping that a keyframe names the keyframe's bytes.
    fn put_keyframe(&mut self, program: &Program, event: EventIndex) {
        let Some(keyframe) = program.keyframe(event) else { return };
        for held in &keyframe.memories {
            let Some(index) = program.memory(held.memory) else { continue };
            let memory = &mut self.memories[index as usize];
            // A buffer of the client's own is as the client has it.
            if memory.store.is_some() {
                continue;
            }
            memory.begin_anew();
            for (offset, data) in &held.shadow {
                if let Some(bytes) = bytes_of(program, data) {
                    memory.set(*offset, &bytes);
                }
            }
        }
    }

    /// Does what an event did to memory.
    fn put_event(&mut self, program: &Program, body: &Body) {
        match body {
            Body::Patch { memory, offset, data, .. } | Body::Write { memory, offset, data, .. } => {
                if let (Some(index), Some(bytes)) =
                    (program.memory(*memory), bytes_of(program, data))
                {
                    self.memories[index as usize].set(*offset, &bytes);
                }
            }
            Body::Update { memory, offset, width, update } => {
                if let Some(index) = program.memory(*memory) {
                    self.update(index, *offset, *width, *update);
                }
            }
            _ => {}
        }
    }

    /// Updates a word of the shadow; gives what it held.
    pub(in crate::replay) fn update(
        &mut self,
        memory: MemoryIndex,
        offset: u64,
        width: Width,
        update: Update,
    ) -> u64 {
        let memory = &mut self.memories[memory as usize];
        let mut word = [0; 8];
        let length = width.bytes() as usize;
        memory.shadow.read(offset, &mut word[..length]);
        let old = u64::from_le_bytes(word);
        memory.put(offset, &update.apply(old, width).to_le_bytes()[..length]);
        old
    }
}

fn bytes_of<'a>(program: &'a Program, data: &'a Payload) -> Option<Cow<'a, [u8]>> {
    program.tape.bytes(data).ok().flatten()
}
