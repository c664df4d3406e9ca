//! What the device does when it does it: completions reach their queue, memory changes.

use super::script::What;
use super::stage::{Again, Piece, Stage, State};
use super::words::WordChange;
use crate::IoReturn;
use crate::call::Completion;
use crate::fault::CompletionFault;
use crate::memory::Memory;
use crate::tape::Body;
use std::time::Duration;

impl State {
    /// A completion reaches its queue, with another status where one is given.
    pub(super) fn deliver(
        &mut self,
        stage: &Stage,
        deed: usize,
        time: Duration,
        status: Option<IoReturn>,
    ) {
        let What::Post { call, ordinal, .. } = &stage.script.deeds[deed].what else { return };
        let given = self.references.get(call).cloned();
        let mut ordinal = *ordinal;
        if self.fates.is_some() {
            // Counted anew, since some may be lost and some doubled.
            let came = self.ordinals.entry(*call).or_default();
            *came += 1;
            ordinal = *came;
        }
        self.post(stage, deed, time, given, |completion| Posted {
            ordinal,
            status: status.unwrap_or(completion.status),
        });
    }

    /// A recorded completion reaches its queue once more, for another call.
    pub(super) fn deliver_again(&mut self, stage: &Stage, again: &Again) {
        let What::Post { ordinal, .. } = stage.script.deeds[again.deed].what else { return };
        stage.gate.note_moment(again.due);
        let given = Some(again.given.clone());
        self.post(stage, again.deed, again.due, given, |completion| Posted {
            ordinal,
            status: completion.status,
        });
    }

    fn post(
        &mut self,
        stage: &Stage,
        deed: usize,
        time: Duration,
        given: Option<(Vec<u64>, u64)>,
        told: impl FnOnce(&Completion) -> Posted,
    ) {
        let script = &stage.script;
        let What::Post { queue, completion, .. } = &script.deeds[deed].what else { return };
        let Posted { ordinal, status } = told(completion);
        let mut completion = Completion { status, ..*completion };
        let mut cause = None;
        if let Some((reference, enter)) = given {
            for (entry, given) in completion.reference.iter_mut().zip(reference).skip(1) {
                *entry = given;
            }
            cause = Some(enter);
        }
        let connection = script.event(script.deeds[deed].event).connection;
        let posted = self.log.as_mut().map_or(0, |log| {
            let Completion { reference, status, arguments } = completion;
            let body = Body::Posted { ordinal, status, arguments, reference };
            log.append(0, connection, cause, time, body)
        });
        self.queues.entry(*queue).or_default().push_back((completion, posted));
    }

    /// The next change of memory happens.
    pub(super) fn change(&mut self, stage: &Stage, deed: usize) {
        self.next_patch += 1;
        let progress = &mut self.deeds[deed];
        progress.done = true;
        let (split, due) = (progress.split, progress.due);
        let What::Patch { memory, offset, bytes, words, .. } = &stage.script.deeds[deed].what
        else {
            return;
        };
        if self.goes_with_a_failure(stage, deed) {
            return;
        }
        stage.gate.note_moment(due);
        let (memory, offset) = (*memory, *offset);
        let merged = self.merge(memory, words);
        match split {
            Some((at, by)) if at < bytes.len() as u64 => {
                let (first, second) = bytes.split_at(at as usize);
                self.put(stage, &Piece { due, memory, offset, bytes: first.to_vec() });
                let (due, offset) = (stage.schedule.now() + by, offset + at);
                self.pieces.push(Piece { due, memory, offset, bytes: second.to_vec() });
            }
            _ => self.put(stage, &Piece { due, memory, offset, bytes: bytes.to_vec() }),
        }
        if let Some(memory) = self.memories.get(&memory) {
            for (word, value) in merged {
                // A tape may state a change beyond a buffer's end: there is no such memory.
                let _beyond = memory.store_word(word.offset, word.width, value);
            }
        }
    }

    /// True of a change whose completion says that it was not made.
    fn goes_with_a_failure(&mut self, stage: &Stage, deed: usize) -> bool {
        let Some(post) = stage.script.deeds[deed].with else { return false };
        let What::Post { call, .. } = stage.script.deeds[post].what else { return false };
        let Some((fates, selector)) = self.fates.as_mut().zip(stage.script.selector(call)) else {
            return false;
        };
        matches!(fates.completion(post, selector), Some(CompletionFault::Fails(_)))
    }

    /// What becomes of words that are not what the device found on the tape.
    fn merge<'a>(&mut self, number: u32, words: &'a [WordChange]) -> Vec<(&'a WordChange, u64)> {
        let Some(memory) = self.memories.get(&number).filter(|_| !words.is_empty()) else {
            return Vec::new();
        };
        let mut merged = Vec::new();
        for word in words {
            let Ok(now) = memory.load_word(word.offset, word.width) else { continue };
            match word.apply(now) {
                _ if now == word.before => {}
                Some(value) => merged.push((word, value)),
                None => self.unknown.push((number, word.offset, word.width.bytes())),
            }
        }
        merged
    }

    /// True where nobody knows what these bytes are.
    pub(super) fn is_unknown(&self, memory: u32, (offset, length): (u64, u64)) -> bool {
        let overlaps = |(of, at, long): &(u32, u64, u64)| {
            *of == memory && *at < offset + length && offset < *at + *long
        };
        self.unknown.iter().any(overlaps)
    }

    /// The client has written these bytes: they are known.
    pub(super) fn is_known(&mut self, memory: u32, (offset, length): (u64, u64)) {
        self.unknown.retain(|(of, at, long)| {
            *of != memory || *at < offset || offset + length < *at + *long
        });
    }

    pub(super) fn put(&mut self, stage: &Stage, piece: &Piece) {
        // Bytes that it held when it was mapped are there before the client has it.
        let mapped = stage.script.memories.get(&piece.memory);
        let memory = match mapped {
            Some(mapped) => Some(self.memory(piece.memory, mapped.size)),
            None => self.memories.get(&piece.memory).cloned(),
        };
        if let Some(memory) = memory {
            // A tape may state a change beyond a buffer's end: there is no such memory.
            let _beyond = memory.copy_in(piece.offset, &piece.bytes);
        }
    }

    /// A read has looked at a range: what it did not see although it was due is one read later.
    pub(super) fn look(&mut self, stage: &Stage, memory: u32, offset: u64, length: u64) {
        let now = stage.schedule.now();
        let Some(deed) = self.patches.get(self.next_patch).copied() else { return };
        let progress = &mut self.deeds[deed];
        if progress.unseen == 0 || progress.missing > 0 || progress.due > now {
            return;
        }
        if let What::Patch { memory: of, offset: at, bytes, .. } = &stage.script.deeds[deed].what
            && *of == memory
            && *at < offset + length
            && offset < *at + bytes.len() as u64
        {
            progress.unseen -= 1;
        }
    }
}

/// What is told of a completion beside what it carries.
struct Posted {
    ordinal: u64,
    status: IoReturn,
}
