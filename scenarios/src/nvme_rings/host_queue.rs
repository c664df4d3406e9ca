//! The client's side of a queue pair: submit, ring the bell, look for what has ended.

use super::abi::{Command, QueueRequest, Submission, memory_type, selector};
use super::ring::{Ended, Ring, layout};
use crate::ScenarioError;
use dextape::call::MapOptions;
use dextape::connection::{CallError, Connection, ConnectionExt, Mapping};
use dextape::memory::AccessError;
use dextape::schedule::Schedule;
use std::time::Duration;

/// How often the client looks for what has ended, and after how many looks it gives up.
const LOOK_INTERVAL: Duration = Duration::from_millis(1);
const LOOKS_MAX: u32 = 1000;

/// How the client uses the rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Habit {
    /// Compares the indices of the completion ring.
    Right,
    /// Looks at the phase of the next completion.
    Phase,
    /// Looks at the phase and forgets that it turns with each pass.
    StuckPhase,
    /// Read the head of the submission ring once and believes it for ever.
    StaleHead,
    /// Does not tell the dext which completions it has taken.
    SilentHead,
    /// Submits without a look whether there is room.
    Overfill,
    /// Deletes the queue pair before it unmaps the rings.
    DeleteFirst,
}

impl Habit {
    pub(super) const CHOICES: [(&str, Self); 7] = [
        ("right", Self::Right),
        ("phase", Self::Phase),
        ("stuck-phase", Self::StuckPhase),
        ("stale-head", Self::StaleHead),
        ("silent-head", Self::SilentHead),
        ("overfill", Self::Overfill),
        ("delete-first", Self::DeleteFirst),
    ];
}

/// A queue pair, its rings mapped.
#[derive(Debug)]
pub(super) struct HostQueue {
    habit: Habit,
    pub(super) id: u16,
    depth: u64,
    submissions: Mapping,
    completions: Mapping,
    /// The head of the submission ring as it was when the queue was made.
    first_head: u64,
    /// Next entry of the completion ring, and the phase that it has once it is filled.
    head: u64,
    phase: u16,
}

/// Data of a command.
#[derive(Clone, Copy, Debug)]
pub(super) struct DataPlace {
    pub(super) token: u64,
    pub(super) offset: u64,
    pub(super) bytes: u64,
}

impl HostQueue {
    /// Has a queue pair made, and maps its rings.
    pub(super) fn new(
        connection: &dyn Connection,
        depth: u64,
        habit: Habit,
    ) -> Result<Self, ScenarioError> {
        let request = QueueRequest { depth, vector: -1, ..QueueRequest::default() };
        let made: QueueRequest =
            connection.call(selector::CREATE_QUEUE_PAIR).input(&request).output()?;
        let id = made.id as u16;
        let map = |memory_type, what| {
            connection
                .map_memory(memory_type, MapOptions::ANYWHERE, 0)
                .map_err(ScenarioError::refused(what))
        };
        let submissions = map(memory_type::submissions(id), "map a submission ring")?;
        let completions = map(memory_type::completions(id), "map a completion ring")?;
        let ring = Ring { memory: &*submissions, depth };
        let first_head = ring.head()?;
        Ok(Self { habit, id, depth, submissions, completions, first_head, head: 0, phase: 1 })
    }

    fn ring<'a>(&self, mapping: &'a Mapping) -> Ring<'a> {
        Ring { memory: &**mapping, depth: self.depth }
    }

    /// What both rings say of themselves, for people.
    pub(super) fn describe(&self) -> Result<String, AccessError> {
        let of = |mapping: &Mapping| -> Result<String, AccessError> {
            let depth = mapping.load::<u64>(layout::DEPTH)?;
            let size = mapping.load::<u64>(layout::SIZE)?;
            let known = if size == mapping.length() { "" } else { ", not as mapped" };
            Ok(format!("{depth} entries in {size} bytes{known}"))
        };
        Ok(format!("{}; {}", of(&self.submissions)?, of(&self.completions)?))
    }

    /// Puts a command into the submission ring. False where that has no room.
    pub(super) fn submit(&self, command: Command, data: DataPlace) -> Result<bool, ScenarioError> {
        let ring = self.ring(&self.submissions);
        let tail = ring.tail()?;
        if tail >= self.depth {
            return Err(ScenarioError::Other("a submission ring's tail is beyond it".into()));
        }
        let head = match self.habit {
            Habit::StaleHead => Some(self.first_head),
            Habit::Overfill => None,
            _ => Some(ring.head()?),
        };
        if head == Some(ring.after(tail)) {
            return Ok(false);
        }
        let submission = Submission {
            command,
            opaque: 0x1000 + u64::from(command.command_id),
            queue: u64::from(self.id),
            data_bytes: data.bytes,
            data_offset: data.offset,
            data_token: data.token,
            ..Submission::default()
        };
        ring.write(tail, &submission)?;
        if !ring.advance(layout::TAIL, tail)? {
            return Err(ScenarioError::Other("another thread submits to this queue".into()));
        }
        Ok(true)
    }

    /// Rings the bell: the dext takes what is in the submission ring.
    pub(super) fn poke(&self, connection: &dyn Connection) -> Result<(), CallError> {
        let id = u64::from(self.id);
        connection.call(selector::POKE).scalars(&[id, id]).send().map(drop)
    }

    /// The next command that has ended, if there is one.
    fn ended(&mut self) -> Result<Option<Ended>, ScenarioError> {
        let ring = Ring { memory: &*self.completions, depth: self.depth };
        let is_there = match self.habit {
            Habit::Phase | Habit::StuckPhase => ring.phase(self.head)? == self.phase,
            _ => ring.tail()? != self.head,
        };
        if !is_there {
            return Ok(None);
        }
        let ended = ring.ended(self.head)?;
        if self.habit != Habit::SilentHead && !ring.advance(layout::HEAD, self.head)? {
            return Err(ScenarioError::Other("another thread takes from this queue".into()));
        }
        self.head = ring.after(self.head);
        if self.habit == Habit::Phase && self.head == 0 {
            self.phase ^= 1;
        }
        Ok(Some(ended))
    }

    /// Looks for the next command that has ended until there is one or it has had enough.
    pub(super) fn wait(&mut self, schedule: &Schedule) -> Result<Option<Ended>, ScenarioError> {
        for _ in 0..LOOKS_MAX {
            if let Some(ended) = self.ended()? {
                return Ok(Some(ended));
            }
            schedule.sleep(LOOK_INTERVAL);
        }
        Ok(None)
    }

    /// Unmaps the rings and deletes the queue pair; tells the results in the order in which it did so.
    pub(super) fn delete(&self, connection: &dyn Connection) -> Vec<(&'static str, String)> {
        let unmap = |what, mapping: &Mapping| {
            let result = connection.unmap_memory(mapping.memory_type(), mapping.address());
            (what, crate::print::Plain(result).to_string())
        };
        let delete = || {
            let request = QueueRequest { id: u64::from(self.id), ..QueueRequest::default() };
            let reply = connection.call(selector::DELETE_QUEUE_PAIR).input(&request).send();
            ("delete the queue pair", crate::print::Outcome(&reply).to_string())
        };
        let unmaps = || {
            let submissions = unmap("unmap the submission ring", &self.submissions);
            [submissions, unmap("unmap the completion ring", &self.completions)]
        };
        if self.habit == Habit::DeleteFirst {
            let deleted = delete();
            [vec![deleted], unmaps().to_vec()].concat()
        } else {
            let unmapped = unmaps();
            [unmapped.to_vec(), vec![delete()]].concat()
        }
    }

    /// Whether the completion ring is still mapped.
    pub(super) fn is_mapped(&self) -> bool {
        self.ring(&self.completions).head().is_ok()
    }
}
