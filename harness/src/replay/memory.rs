//! Shared memory that is served from the tape.

use super::diagnose::Reason;
use super::patches::NotKept;
use super::program::{LaneIndex, MemoryIndex, NONE, Program};
use super::request::Request;
use super::session::{Clock, Session};
use super::state::State;
use crate::memory::{
    AccessError, Author, Memory, RawReach, Update, Width, check_range, check_word,
};
use crate::tape::Capture;
use std::fmt;
use std::sync::{Arc, MutexGuard};

/// A mapping or shared buffer of a tape: reads give the shadow, with the patches that are due; writes
/// are expected by the tape, and go to the shadow as the client made them.
pub(super) struct ReplayMemory {
    session: Arc<Session>,
    clock: Arc<Clock>,
    memory: MemoryIndex,
    /// Stream of its connection under `ordered`.
    stream: u32,
    /// What was in front of a shared buffer before.
    front: Option<Arc<dyn Memory>>,
    size: u64,
}

impl ReplayMemory {
    pub(super) fn of_mapping(session: &Arc<Session>, clock: &Arc<Clock>, memory: u32) -> Self {
        Self::new(session, clock, memory, None)
    }

    pub(super) fn of_buffer(
        session: &Arc<Session>,
        clock: &Arc<Clock>,
        memory: MemoryIndex,
        front: Arc<dyn Memory>,
    ) -> Self {
        Self::new(session, clock, memory, Some(front))
    }

    fn new(
        session: &Arc<Session>,
        clock: &Arc<Clock>,
        memory: MemoryIndex,
        front: Option<Arc<dyn Memory>>,
    ) -> Self {
        let program = &session.program;
        let info = &program.memories[memory as usize];
        let stream = match info.connection {
            NONE => 0,
            connection => Program::stream_of(&program.connection_streams, connection),
        };
        let size = front.as_ref().map_or(info.size, |front| front.size());
        let (session, clock) = (Arc::clone(session), Arc::clone(clock));
        Self { session, clock, memory, stream, front, size }
    }

    /// The state, where the memory may be reached at all.
    fn state(&self, offset: u64) -> Result<Option<MutexGuard<'_, State>>, AccessError> {
        let Some(state) = self.session.check(self.session.state()) else { return Ok(None) };
        let gone = self.front.is_none() && state.memories[self.memory as usize].holders.is_empty();
        if gone { Err(AccessError::Unmapped { offset }) } else { Ok(Some(state)) }
    }

    /// Whether the word can be reached: first whether the memory is there, as everywhere.
    fn check_word(&self, offset: u64, width: Width) -> Result<(), AccessError> {
        check_word(offset, width, self.size)
            .map_err(|error| self.state(offset).err().unwrap_or(error))
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), AccessError> {
        let length = into.len() as u64;
        // Only a thread that unwinds already gets no state: zeros are as good as anything.
        let Some(mut state) = self.state(offset)? else { return Ok(()) };
        check_range(offset, length, self.size)?;
        let program = &self.session.program;
        let mut recorded = None;
        let reason = if program.memories[self.memory as usize].capture == Capture::Uncaptured {
            Some(Reason::Uncaptured(self.memory))
        } else {
            let reader = self.session.known_lane(&state);
            let applied = state.apply_due(program, self.memory, (offset, length), reader, NONE);
            match applied {
                Ok(_) if !self.read_across(&mut state, reader, (offset, length)) => {
                    Some(Reason::NeverAcross(reader))
                }
                Ok(event) => {
                    recorded = event;
                    None
                }
                Err(NotKept(patch)) => Some(Reason::PatchNotKept(patch)),
            }
        };
        if let Some(reason) = reason {
            let request =
                Request::Write { memory: self.memory, offset, width: None, bytes: &[], length };
            let _invented = self.session.diverge(state, &request, reason);
            into.fill(0);
            return Ok(());
        }
        match &self.front {
            Some(front) => {
                drop(state);
                if recorded.is_some() {
                    self.session.pass_read_time(&self.clock, recorded);
                }
                front.copy_out(offset, into)
            }
            None => {
                state.memories[self.memory as usize].shadow.read(offset, into);
                drop(state);
                if recorded.is_some() || self.is_registers() {
                    self.session.pass_read_time(&self.clock, recorded);
                }
                Ok(())
            }
        }
    }

    /// Where the client crosses a gap, what it reads leads it on. False where it has read too often.
    fn read_across(&self, state: &mut State, reader: Option<LaneIndex>, range: (u64, u64)) -> bool {
        let session = &self.session;
        !state.is_crossing(&session.program, reader)
            || session.read_across(state, self.memory, range)
    }

    fn write(&self, offset: u64, width: Option<Width>, bytes: &[u8]) -> Result<(), AccessError> {
        let length = bytes.len() as u64;
        let Some(state) = self.state(offset)? else { return Ok(()) };
        drop(state);
        check_range(offset, length, self.size)?;
        if self.is_read_only() {
            return Err(AccessError::ReadOnly { offset });
        }
        if length == 0 {
            return Ok(());
        }
        let program = &self.session.program;
        if program.memories[self.memory as usize].capture == Capture::Uncaptured {
            // Nothing is known of it, so nothing is expected.
            return Ok(());
        }
        let request = Request::Write { memory: self.memory, offset, width, bytes, length };
        let range = (offset, length);
        let entered =
            self.session.perform_with(&self.clock, self.stream, &request, |state, step| {
                state.apply_before(program, self.memory, range, step)?;
                if self.front.is_none() {
                    state.memories[self.memory as usize].put(offset, bytes);
                }
                Ok(())
            });
        if let Ok(step) = &entered {
            self.session.pass_time(&self.clock, *step);
        }
        match &self.front {
            Some(front) => match width {
                Some(width) => front.store_word(offset, width, word_of(bytes)),
                None => front.copy_in(offset, bytes),
            },
            None => {
                if entered.is_err() {
                    let mut state = self.session.state();
                    state.settle_memories(program);
                    state.memories[self.memory as usize].put(offset, bytes);
                }
                Ok(())
            }
        }
    }
}

/// Up to 8 little-endian bytes as a word.
fn word_of(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

impl Memory for ReplayMemory {
    fn size(&self) -> u64 {
        self.size
    }

    fn is_read_only(&self) -> bool {
        self.session.program.memories[self.memory as usize].read_only
    }

    fn is_registers(&self) -> bool {
        let info = &self.session.program.memories[self.memory as usize];
        info.capture == Capture::Registers
    }

    fn raw_reach(&self) -> RawReach {
        match self.session.program.memories[self.memory as usize].capture {
            Capture::Registers => RawReach::Never,
            Capture::Uncaptured => RawReach::Unknown,
            Capture::Accessor => RawReach::ByAccess,
            Capture::PageProtection | Capture::Trap | Capture::SyncPoints => RawReach::Copied,
        }
    }

    fn bring_changes(&self, idle: bool, bring: &mut dyn FnMut(u64, &[u8], Author)) -> bool {
        // What is gone has no changes any more.
        let Ok(Some(mut state)) = self.state(0) else { return false };
        let program = &self.session.program;
        match state.take_due(program, self.memory, idle) {
            Ok((due, held)) => {
                drop(state);
                for index in due {
                    let patch = &program.patches[index as usize];
                    let bytes = program.arena.bytes(patch.at, patch.length);
                    let author = if patch.unattributed { Author::Unknown } else { Author::Dext };
                    bring(patch.offset, bytes, author);
                }
                held
            }
            Err(NotKept(patch)) => {
                let (memory, bytes) = (self.memory, &[][..]);
                let request = Request::Write { memory, offset: 0, width: None, bytes, length: 0 };
                let _invented = self.session.diverge(state, &request, Reason::PatchNotKept(patch));
                false
            }
        }
    }

    fn load_word(&self, offset: u64, width: Width) -> Result<u64, AccessError> {
        self.check_word(offset, width)?;
        let mut word = [0; 8];
        self.read(offset, &mut word[..width.bytes() as usize])?;
        Ok(u64::from_le_bytes(word))
    }

    fn store_word(&self, offset: u64, width: Width, value: u64) -> Result<(), AccessError> {
        self.check_word(offset, width)?;
        self.write(offset, Some(width), &value.to_le_bytes()[..width.bytes() as usize])
    }

    fn update_word(&self, offset: u64, width: Width, update: Update) -> Result<u64, AccessError> {
        self.check_word(offset, width)?;
        let Some(state) = self.state(offset)? else { return Ok(0) };
        drop(state);
        if self.is_read_only() {
            return Err(AccessError::ReadOnly { offset });
        }
        let program = &self.session.program;
        let request = Request::Update { memory: self.memory, offset, width, update };
        let mut old = 0;
        let range = (offset, width.bytes());
        let entered =
            self.session.perform_with(&self.clock, self.stream, &request, |state, step| {
                let reader = Some(program.step(step).lane);
                state.apply_before(program, self.memory, range, step)?;
                state.apply_due(program, self.memory, range, reader, step)?;
                if self.front.is_none() {
                    old = state.update(self.memory, offset, width, update);
                }
                Ok(())
            });
        if let Ok(step) = &entered {
            self.session.pass_time(&self.clock, *step);
        }
        match &self.front {
            Some(front) => front.update_word(offset, width, update),
            None => {
                if entered.is_err() {
                    let mut state = self.session.state();
                    let reader = self.session.known_lane(&state);
                    // An update reads, too. What would be too often is told by the next one.
                    let _often = self.read_across(&mut state, reader, range);
                    state.settle_memories(program);
                    old = state.update(self.memory, offset, width, update);
                }
                Ok(old)
            }
        }
    }

    fn copy_out(&self, offset: u64, into: &mut [u8]) -> Result<(), AccessError> {
        check_range(offset, into.len() as u64, self.size)?;
        self.read(offset, into)
    }

    fn copy_in(&self, offset: u64, bytes: &[u8]) -> Result<(), AccessError> {
        self.write(offset, None, bytes)
    }
}

impl fmt::Debug for ReplayMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let info = &self.session.program.memories[self.memory as usize];
        f.debug_struct("ReplayMemory").field("number", &info.number).finish_non_exhaustive()
    }
}
