//! Shared memory that records what its client reads and writes, by the shadow rule.

use super::beside::is_beside;
use super::context::Context;
use super::redact::FieldPlace;
use super::watched::{Change, Watched};
use crate::journal::{Record, Token};
use dextape::memory::{AccessError, Author, Found, Memory, RawReach, Update, Width, WriteNotes};
use dextape::schedule::{Monitor, Schedule};
use dextape::tape::NoteSubject;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// One memory, whatever mappings of it there are: its number and its shadow.
///
/// The shadow's lock is held from an access to the append of its event, so that the journal has the
/// accesses of several threads in the order in which they took effect. It is a [`Monitor`], so
/// that a memory which waits in an access stops only those who want the same memory.
#[derive(Debug)]
pub(crate) struct WatchedMemory {
    number: u32,
    pub(crate) state: Monitor<Watched<Token>>,
}

impl WatchedMemory {
    pub(crate) fn new(schedule: &Schedule, number: u32) -> Self {
        Self { number, state: Monitor::new(schedule, "a recorded memory", Watched::new()) }
    }

    /// Number on the tape.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }
}

/// A client's access to a memory.
pub(crate) struct RecordingMemory {
    context: Arc<Context>,
    watched: Arc<WatchedMemory>,
    inner: Arc<dyn Memory>,
    connection: u32,
    /// Memory type that it was mapped as; `None` for a shared buffer.
    memory_type: Option<u32>,
    /// Each read is an event by itself.
    registers: bool,
    /// The event that gave the client this access.
    origin: OnceLock<Token>,
}

impl RecordingMemory {
    pub(crate) fn new(
        context: Arc<Context>,
        watched: Arc<WatchedMemory>,
        inner: Arc<dyn Memory>,
        connection: u32,
        memory_type: Option<u32>,
    ) -> Self {
        let registers = inner.is_registers();
        let origin = OnceLock::new();
        Self { context, watched, inner, connection, memory_type, registers, origin }
    }

    /// The event that gave the client this access is on the tape now.
    pub(crate) fn came_from(&self, origin: Option<Token>) {
        if let Some(origin) = origin {
            // Set once: a shared buffer comes from the first call that named it.
            let _ = self.origin.set(origin);
        }
    }

    fn origin(&self) -> Option<Token> {
        self.origin.get().copied()
    }

    fn place(&self, offset: u64) -> FieldPlace<'static> {
        FieldPlace::Memory { memory_type: self.memory_type, offset }
    }

    fn append(&self, record: &Record<'_>) -> Option<Token> {
        let connection = Some(self.connection);
        if is_beside() {
            return self.context.append_device(connection, self.origin(), record);
        }
        self.context.append(connection, self.origin(), record)
    }

    fn last_of_lane(&self) -> Option<Token> {
        self.context.session.lanes.with(|lane| lane.last)
    }

    /// A comparison has found these bytes, at `offset`, where the shadow has others.
    fn changed(&self, watched: &mut Watched<Token>, offset: u64, bytes: &[u8], unattributed: bool) {
        // The comparison has its own view; what the shadow has already is no news.
        if !self.context.session.is_recording() {
            return;
        }
        let Some(Change { range, last_equal }) = watched.compare(offset, bytes) else { return };
        let within = (range.start - offset) as usize..(range.end - offset) as usize;
        let changed = &bytes[within];
        let passed = self.context.session.hook.bytes(&self.place(range.start), changed);
        let record = Record::Patch {
            memory: self.watched.number,
            offset: range.start,
            data: passed.data(),
            read: 1,
            last_equal,
            unattributed,
        };
        if self.append(&record).is_some() {
            watched.set(range.start, changed);
        }
    }

    /// The client has seen these bytes: a patch where it could not know them, which is always so of
    /// registers. `counts` where the access is a read that is no event by itself.
    fn saw(&self, watched: &mut Watched<Token>, offset: u64, seen: &[u8], counts: bool) {
        let session = &self.context.session;
        if seen.is_empty() || !session.is_recording() {
            return;
        }
        let (memory, length) = (self.watched.number, seen.len() as u64);
        let change = if self.registers {
            Some(Change { range: offset..offset + length, last_equal: None })
        } else {
            watched.compare(offset, seen)
        };
        let Some(change) = change else {
            let last = session.lanes.with(|lane| {
                if counts {
                    lane.reads.count(memory, offset, length);
                }
                lane.last
            });
            if let Some(after) = last.or(self.origin()) {
                watched.known(offset, length, after);
            }
            return;
        };
        let range = change.range;
        let within = (range.start - offset) as usize..(range.end - offset) as usize;
        let changed = &seen[within];
        let read = session.lanes.with(|lane| lane.reads.overlapping(memory, &range)) + 1;
        let passed = session.hook.bytes(&self.place(range.start), changed);
        let record = Record::Patch {
            memory,
            offset: range.start,
            data: passed.data(),
            read,
            last_equal: change.last_equal,
            unattributed: false,
        };
        // A patch that was lost stays a difference: the next read tries again.
        if let Some(patch) = self.append(&record) {
            watched.set(range.start, changed);
            watched.known(offset, length, patch);
        }
    }

    /// The client wrote these bytes.
    fn wrote(&self, watched: &mut Watched<Token>, offset: u64, width: Option<Width>, bytes: &[u8]) {
        if bytes.is_empty() || !self.context.session.is_recording() {
            return;
        }
        let handed_in = self.context.handed_in(&self.place(offset), bytes);
        let memory = self.watched.number;
        let write = self.append(&Record::Write { memory, offset, width, data: handed_in.data() });
        // The client knows its own bytes, on the tape or not.
        watched.set(offset, bytes);
        if let Some(write) = write {
            watched.known(offset, bytes.len() as u64, write);
        }
    }
}

impl Memory for RecordingMemory {
    fn size(&self) -> u64 {
        self.inner.size()
    }

    fn is_read_only(&self) -> bool {
        self.inner.is_read_only()
    }

    fn is_registers(&self) -> bool {
        self.registers
    }

    fn raw_reach(&self) -> RawReach {
        match self.inner.raw_reach() {
            RawReach::At(view) => RawReach::At(view.watched()),
            other => other,
        }
    }

    fn note_writes(&self) -> Option<WriteNotes> {
        self.inner.note_writes()
    }

    fn written_unseen(&self) {
        self.inner.written_unseen();
    }

    fn found(&self, found: Found<'_>) {
        let mut watched = self.watched.state.lock();
        match found {
            // No event: a pointer's writes are neither ordered nor counted, so nobody can expect them.
            Found::Changed { offset, bytes, author: Author::Client } => watched.set(offset, bytes),
            Found::Changed { offset, bytes, author } => {
                self.changed(&mut watched, offset, bytes, author == Author::Unknown);
            }
            Found::AllTold => {
                let last = if is_beside() { None } else { self.last_of_lane() };
                if let Some(after) = last.or(self.origin()) {
                    watched.known(0, self.inner.size(), after);
                }
            }
            Found::Uncaptured { reason } => {
                let memory = Some(self.watched.number);
                let subject = NoteSubject::Uncaptured;
                self.append(&Record::Note { subject, memory, reason });
            }
        }
    }

    fn load_word(&self, offset: u64, width: Width) -> Result<u64, AccessError> {
        let mut watched = self.watched.state.lock();
        let word = self.inner.load_word(offset, width)?;
        self.saw(&mut watched, offset, word_bytes(&word.to_le_bytes(), width), true);
        Ok(word)
    }

    fn store_word(&self, offset: u64, width: Width, value: u64) -> Result<(), AccessError> {
        let mut watched = self.watched.state.lock();
        self.inner.store_word(offset, width, value)?;
        let bytes = value.to_le_bytes();
        self.wrote(&mut watched, offset, Some(width), word_bytes(&bytes, width));
        Ok(())
    }

    fn update_word(&self, offset: u64, width: Width, update: Update) -> Result<u64, AccessError> {
        let mut watched = self.watched.state.lock();
        let old = self.inner.update_word(offset, width, update)?;
        if !self.context.session.is_recording() {
            return Ok(old);
        }
        self.saw(&mut watched, offset, word_bytes(&old.to_le_bytes(), width), false);
        let hook = self.context.hook();
        let operand = |word| hook.word(&self.place(offset), word, width.bytes() as usize);
        let on_tape = match update {
            Update::Swap(word) => Update::Swap(operand(word)),
            Update::Add(word) => Update::Add(operand(word)),
            Update::Or(word) => Update::Or(operand(word)),
            Update::And(word) => Update::And(operand(word)),
            Update::CompareExchange { expected, new } => {
                Update::CompareExchange { expected: operand(expected), new: operand(new) }
            }
        };
        let memory = self.watched.number;
        let event = self.append(&Record::Update { memory, offset, width, update: on_tape });
        let new = update.apply(old, width).to_le_bytes();
        watched.set(offset, word_bytes(&new, width));
        if let Some(event) = event {
            watched.known(offset, width.bytes(), event);
        }
        Ok(old)
    }

    fn copy_out(&self, offset: u64, into: &mut [u8]) -> Result<(), AccessError> {
        let mut watched = self.watched.state.lock();
        self.inner.copy_out(offset, into)?;
        self.saw(&mut watched, offset, into, true);
        Ok(())
    }

    fn copy_in(&self, offset: u64, bytes: &[u8]) -> Result<(), AccessError> {
        let mut watched = self.watched.state.lock();
        self.inner.copy_in(offset, bytes)?;
        self.wrote(&mut watched, offset, None, bytes);
        Ok(())
    }
}

impl fmt::Debug for RecordingMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordingMemory")
            .field("number", &self.watched.number)
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

/// The bytes of a word that its width holds.
fn word_bytes(bytes: &[u8; 8], width: Width) -> &[u8] {
    &bytes[..width.bytes() as usize]
}
