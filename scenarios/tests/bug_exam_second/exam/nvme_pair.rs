//! A queue pair with its rings and its data, and what of the driver's has to be given back.

use super::held::Held;
use super::verdict::{Stop, promise};
use dextape::connection::{Connection, ConnectionExt, Mapping};
use dextape_scenarios::nvme_rings::abi::{
    Completion, QueueRequest, Submission, memory_type, selector,
};
use std::sync::atomic::{Ordering, fence};

/// Entries of each ring, one of which stays empty.
pub(super) const DEPTH: u64 = 4;

/// Where things are in a ring, and the completion in an entry.
const TAIL: u64 = 8;
const HEAD: u64 = 16;
const ENTRIES: u64 = 32;
const ENTRY: u64 = size_of::<Submission>() as u64;
const COMPLETION: u64 = 64;

/// Queue pairs and buffers that the driver has made, by number, and whether they were given back.
#[derive(Default)]
pub(super) struct Stock {
    pairs: Vec<(u64, bool)>,
    buffers: Vec<(u64, bool)>,
}

impl Stock {
    /// Gives everything back, the rings being unmapped.
    pub(super) fn give_back(&mut self, connection: &dyn Connection) -> Result<(), Stop> {
        let mut given = Ok(());
        for (id, is_back) in &mut self.pairs {
            let request = QueueRequest { id: *id, ..QueueRequest::default() };
            let deleted = connection.call(selector::DELETE_QUEUE_PAIR).input(&request).send();
            given = given.and(deleted.map(drop).map_err(Stop::from));
            *is_back = true;
        }
        for (token, is_back) in &mut self.buffers {
            let freed = connection.call(selector::DEALLOC_BUFFER).input(token).send();
            given = given.and(freed.map(drop).map_err(Stop::from));
            *is_back = true;
        }
        given
    }

    pub(super) fn verify(&self) -> Result<(), Stop> {
        let kept = |things: &[(u64, bool)]| things.iter().find(|(_, is_back)| !is_back).copied();
        if let Some((id, _)) = kept(&self.pairs) {
            return Err(Stop::broken(format_args!("queue pair {id} was never deleted")));
        }
        if let Some((token, _)) = kept(&self.buffers) {
            return Err(Stop::broken(format_args!("buffer {token} was never given back")));
        }
        Ok(())
    }
}

pub(super) struct Pair {
    pub(super) id: u64,
    pub(super) token: u64,
    pub(super) data: Mapping,
    submissions: Mapping,
    completions: Mapping,
    /// Next entry of each ring.
    tail: u64,
    head: u64,
}

impl Pair {
    /// Has a pair made and a buffer of so many bytes, and maps all three.
    pub(super) fn make(
        connection: &dyn Connection,
        held: &Held,
        stock: &mut Stock,
        bytes: u64,
    ) -> Result<Self, Stop> {
        let request = QueueRequest { depth: DEPTH, vector: -1, ..QueueRequest::default() };
        let made: QueueRequest =
            connection.call(selector::CREATE_QUEUE_PAIR).input(&request).output()?;
        stock.pairs.push((made.id, false));
        let token: u64 = connection.call(selector::ALLOC_BUFFER).input(&bytes).output()?;
        stock.buffers.push((token, false));
        let id = made.id as u16;
        let submissions = held.map(memory_type::submissions(id))?;
        let completions = held.map(memory_type::completions(id))?;
        let data = held.map(memory_type::data(token))?;
        Ok(Self { id: made.id, token, data, submissions, completions, tail: 0, head: 0 })
    }

    pub(super) fn submit(&mut self, submission: &Submission) -> Result<(), Stop> {
        let next = (self.tail + 1) % DEPTH;
        if self.submissions.load::<u64>(HEAD)? == next {
            return Err(Stop::trouble("the driver takes no commands"));
        }
        self.submissions.write_struct(ENTRIES + self.tail * ENTRY, submission)?;
        fence(Ordering::Release);
        self.submissions.swap::<u64>(TAIL, next)?;
        self.tail = next;
        Ok(())
    }

    /// The next command that has ended.
    pub(super) fn take(&mut self) -> Result<Option<Completion>, Stop> {
        let tail = self.completions.load::<u64>(TAIL)?;
        fence(Ordering::Acquire);
        promise!(tail < DEPTH, "the tail of a completion ring is {tail}");
        if tail == self.head {
            return Ok(None);
        }
        let ended = self.completions.read_struct(ENTRIES + self.head * ENTRY + COMPLETION)?;
        self.head = (self.head + 1) % DEPTH;
        self.completions.swap::<u64>(HEAD, self.head)?;
        Ok(Some(ended))
    }
}
