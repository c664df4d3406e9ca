//! Shared memory of a script.

use super::script::Key;
use super::stage::{Stage, State};
use super::words::Manner;
use crate::memory::{
    AccessError, Backing, Memory, RawReach, Update, Width, check_range, check_word,
};
use crate::perturb::live::half_of;
use crate::perturb::operation::{Operation, Place};
use crate::tape::{Body, Payload};
use std::fmt;
use std::sync::Arc;

/// Why a run ends where a change waits for others than the operation whose return showed it.
const HALF_CAUSED: &str = "what an operation changes here before another one";

/// What a run ends for that looks at bytes which the device changed after the client had.
const UNKNOWN: &str = "what the device made of bytes here that it found otherwise";

/// A mapping or shared buffer: the memory of the device, with what it did so far.
pub(super) struct PlayedMemory {
    pub(super) stage: Arc<Stage>,
    pub(super) number: u32,
    /// Memory type that it was mapped as; `None` of a shared buffer.
    pub(super) memory_type: Option<u32>,
    pub(super) store: Arc<Backing>,
    pub(super) size: u64,
    pub(super) read_only: bool,
    pub(super) registers: bool,
}

impl PlayedMemory {
    fn at(&self, offset: u64) -> Place {
        Place { memory_type: self.memory_type, offset }
    }

    fn check(&self, state: &State, offset: u64) -> Result<(), AccessError> {
        let held = state.holders.get(&self.number).is_some_and(|holders| !holders.is_empty());
        let is_there = self.memory_type.is_none() || held;
        if is_there { Ok(()) } else { Err(AccessError::Unmapped { offset }) }
    }

    fn check_write(&self, offset: u64) -> Result<(), AccessError> {
        if self.read_only { Err(AccessError::ReadOnly { offset }) } else { Ok(()) }
    }

    /// Reads what is there now. `halves` of one copy are one read.
    fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), AccessError> {
        let stage = &*self.stage;
        let length = into.len() as u64;
        let mut state = stage.now();
        self.check(&state, offset)?;
        check_range(offset, length, self.size)?;
        if self.registers {
            let place = (self.number, offset, length);
            let seen = stage.script.register_reads.get(&place).map(|reads| {
                let next = state.registers.entry(place).or_default();
                let read = reads.get(*next).or(reads.last()).cloned();
                *next += 1;
                read
            });
            let Some(Some(bytes)) = seen else {
                drop(state);
                stage.leave_tape("a read of these registers");
            };
            into.copy_from_slice(&bytes);
            return Ok(());
        }
        if state.is_unsure(stage, self.number, (offset, length)) {
            drop(state);
            stage.leave_tape("what the dext had changed here when it ended");
        }
        if state.is_half_caused(stage, self.number, (offset, length)) {
            drop(state);
            stage.leave_tape(HALF_CAUSED);
        }
        if state.is_unknown(self.number, (offset, length)) {
            drop(state);
            stage.leave_tape(UNKNOWN);
        }
        self.store.copy_out(offset, into)?;
        state.look(stage, self.number, offset, length);
        Ok(())
    }

    fn log_read(&self, offset: u64, bytes: &[u8], counts: bool) {
        let stage = &*self.stage;
        let mut state = stage.state();
        let at = (stage.lane(), stage.schedule.now());
        if let Some(log) = &mut state.log {
            log.read(at, self.number, offset, bytes, (self.registers, counts));
        }
    }

    /// The client has written: what may come of it can come.
    fn wrote(&self, state: &mut State, offset: u64, bytes: &[u8], width: Option<Width>) {
        let stage = &*self.stage;
        let key = Key::Write { memory: self.number, offset };
        let is_same = |held: &Body| {
            matches!(held, Body::Write { width: it, data, .. }
                if *it == width && data.length() == bytes.len() as u64)
        };
        let is_equal = |held: &Body| matches!(held, Body::Write { data, .. } if data.as_bytes() == Some(bytes));
        // One more than on the tape has no effect.
        let _recorded = state.take_store(stage, &key, is_same, is_equal);
        self.log_write(state, offset, bytes, |memory| Body::Write {
            memory,
            offset,
            width,
            data: Payload::bytes(bytes),
        });
    }

    fn log_write(
        &self,
        state: &mut State,
        offset: u64,
        bytes: &[u8],
        body: impl FnOnce(u32) -> Body,
    ) {
        let stage = &*self.stage;
        if let Some(log) = &mut state.log {
            let (connection, origin) = log.origin(self.number);
            let now = stage.schedule.now();
            let sequence = log.append(stage.lane(), connection, origin, now, body(self.number));
            log.knows(self.number, offset, bytes, sequence);
        }
    }

    /// What the device changed before a recorded write of this place has happened before this one. Where
    /// it cannot have happened yet, nobody knows what it would make of this write.
    fn before_write(&self, key: &Key, length: u64, is_word: bool) {
        let stage = &*self.stage;
        let mut state = stage.now();
        let Some(position) = state.place_of_next(stage, key) else { return };
        state.flush(stage, position);
        let (Key::Write { offset, .. } | Key::Update { offset, .. }) = *key else { return };
        let manner = stage.script.manners.get(&(self.number, offset));
        if is_word && manner.is_some_and(|manner| *manner != Manner::Unknown) && !state.is_over() {
            // What the device makes of another word shows.
            return;
        }
        if state.is_ahead(stage, position, self.number, (offset, length)) {
            drop(state);
            stage.leave_tape("this write before a change of the same bytes that it came after");
        }
    }
}

impl Memory for PlayedMemory {
    fn size(&self) -> u64 {
        self.size
    }

    fn is_read_only(&self) -> bool {
        self.read_only
    }

    fn is_registers(&self) -> bool {
        self.registers
    }

    fn raw_reach(&self) -> RawReach {
        RawReach::Never
    }

    fn load_word(&self, offset: u64, width: Width) -> Result<u64, AccessError> {
        let gate = &self.stage.gate;
        let passage = gate.enter(Operation::Load(self.at(offset)));
        check_word(offset, width, self.size)?;
        let mut bytes = [0; 8];
        let bytes = &mut bytes[..width.bytes() as usize];
        self.read(offset, bytes)?;
        self.log_read(offset, bytes, true);
        gate.leave(passage);
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        Ok(u64::from_le_bytes(word))
    }

    fn store_word(&self, offset: u64, width: Width, value: u64) -> Result<(), AccessError> {
        let gate = &self.stage.gate;
        let passage = gate.enter(Operation::Store(self.at(offset)));
        check_word(offset, width, self.size)?;
        self.check_write(offset)?;
        self.before_write(&Key::Write { memory: self.number, offset }, width.bytes(), true);
        let mut state = self.stage.now();
        self.check(&state, offset)?;
        self.store.store_word(offset, width, value)?;
        state.is_known(self.number, (offset, width.bytes()));
        let bytes = value.to_le_bytes();
        self.wrote(&mut state, offset, &bytes[..width.bytes() as usize], Some(width));
        drop(state);
        gate.leave(passage);
        Ok(())
    }

    fn update_word(&self, offset: u64, width: Width, update: Update) -> Result<u64, AccessError> {
        let stage = &*self.stage;
        let passage = stage.gate.enter(Operation::Update(self.at(offset)));
        check_word(offset, width, self.size)?;
        self.check_write(offset)?;
        let key = Key::Update { memory: self.number, offset };
        self.before_write(&key, width.bytes(), true);
        let mut state = stage.now();
        self.check(&state, offset)?;
        if state.is_half_caused(stage, self.number, (offset, width.bytes())) {
            drop(state);
            stage.leave_tape(HALF_CAUSED);
        }
        if state.is_unknown(self.number, (offset, width.bytes())) {
            drop(state);
            stage.leave_tape(UNKNOWN);
        }
        let before = self.store.update_word(offset, width, update)?;
        let is_equal =
            |held: &Body| matches!(held, Body::Update { update: it, .. } if *it == update);
        let _recorded = state.take_store(stage, &key, |_| true, is_equal);
        let size = width.bytes() as usize;
        if let Some(log) = &mut state.log {
            let at = (stage.lane(), stage.schedule.now());
            let before = before.to_le_bytes();
            log.read(at, self.number, offset, &before[..size], (self.registers, false));
        }
        let mut after = [0; 8];
        let after = &mut after[..size];
        self.store.copy_out(offset, after)?;
        let body = |memory| Body::Update { memory, offset, width, update };
        self.log_write(&mut state, offset, after, body);
        drop(state);
        stage.gate.leave(passage);
        Ok(before)
    }

    fn copy_out(&self, offset: u64, into: &mut [u8]) -> Result<(), AccessError> {
        let gate = &self.stage.gate;
        let passage = gate.enter(Operation::CopyOut(self.at(offset), into.len() as u64));
        let half = half_of(into.len());
        if half == 0 || self.registers || check_range(offset, into.len() as u64, self.size).is_err()
        {
            self.read(offset, into)?;
        } else {
            let (first, second) = into.split_at_mut(half);
            self.read(offset, first)?;
            gate.within(passage);
            self.read(offset + half as u64, second)?;
        }
        self.log_read(offset, into, true);
        gate.leave(passage);
        Ok(())
    }

    fn copy_in(&self, offset: u64, bytes: &[u8]) -> Result<(), AccessError> {
        let gate = &self.stage.gate;
        let passage = gate.enter(Operation::CopyIn(self.at(offset), bytes.len() as u64));
        check_range(offset, bytes.len() as u64, self.size)?;
        if !bytes.is_empty() {
            self.check_write(offset)?;
        }
        self.before_write(&Key::Write { memory: self.number, offset }, bytes.len() as u64, false);
        let half = half_of(bytes.len());
        let state = self.stage.now();
        self.check(&state, offset)?;
        drop(state);
        self.store.copy_in(offset, &bytes[..half])?;
        gate.within(passage);
        let mut state = self.stage.now();
        self.store.copy_in(offset + half as u64, &bytes[half..])?;
        state.is_known(self.number, (offset, bytes.len() as u64));
        if !bytes.is_empty() {
            self.wrote(&mut state, offset, bytes, None);
        }
        drop(state);
        gate.leave(passage);
        Ok(())
    }
}

impl fmt::Debug for PlayedMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlayedMemory").field("number", &self.number).finish_non_exhaustive()
    }
}
