//! A client of `nvme-rings`: writes blocks and reads them back, four commands under way at a time.

use super::Bug;
use super::ledger::Ledger;
use super::stop::{Failure, Outcome, Stop, check, conclude};
use super::waiting::open;
use dextape::IoReturn;
use dextape::connection::{Connection, ConnectionExt, Mapping, System};
use dextape::schedule::Schedule;
use dextape_scenarios::nvme_rings::abi::{
    BLOCK, Command, Completion, QueueRequest, Submission, USER_CLASS, memory_type, opcode, selector,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

/// Where things are in a ring: the indices, then the entries; the completion within one.
const TAIL: u64 = 8;
const HEAD: u64 = 16;
const ENTRIES: u64 = 32;
const ENTRY: u64 = size_of::<Submission>() as u64;
const COMPLETION: u64 = 64;

/// Entries of each ring.
const DEPTH: u64 = 8;

/// Places for the data of commands, and so commands under way.
const SLOTS: u64 = 4;

const BLOCKS: u64 = 12;
const FIRST_BLOCK: u64 = 3;

const LOOK: Duration = Duration::from_millis(1);

/// How long a command may take once the controller knows of it.
const PATIENCE: Duration = Duration::from_millis(500);

/// The limit of the client that counts the doorbell call in; four commands take 8 ms.
const IMPATIENCE: Duration = Duration::from_millis(50);

const UNTOUCHED: u8 = 0xee;

fn pattern(block: u64) -> u8 {
    (block * 37 + 1) as u8
}

/// A command under way.
#[derive(Clone, Copy)]
struct UnderWay {
    opcode: u8,
    block: u64,
    slot: u64,
    deadline: Duration,
}

struct Client<'a> {
    bug: Option<Bug>,
    connection: &'a dyn Connection,
    schedule: Schedule,
    queue: u64,
    token: u64,
    submissions: Mapping,
    completions: Mapping,
    data: Mapping,
    /// Next entry of the completion ring.
    head: u64,
    last_id: u16,
    free: VecDeque<u64>,
    under_way: BTreeMap<u16, UnderWay>,
    /// The command that each slot belongs to.
    owner: BTreeMap<u64, u16>,
    given_up: BTreeMap<u16, UnderWay>,
}

pub(super) fn run(system: &Arc<dyn System>, bug: Option<Bug>) -> Result<Outcome, Failure> {
    let connection = match open(system, USER_CLASS) {
        Ok(connection) => connection,
        Err(stop) => return conclude([Err(stop)]),
    };
    let mut ledger = Ledger::new(&*connection);
    let worked = session(bug, &*connection, system.schedule(), &mut ledger);
    let checked = ledger.check().map_err(Stop::from);
    let closed = connection.close().ok().map_err(Stop::from);
    conclude([checked, worked, closed])
}

/// Makes a queue pair, works with it, and takes it down.
fn session(
    bug: Option<Bug>,
    connection: &dyn Connection,
    schedule: &Schedule,
    ledger: &mut Ledger<'_>,
) -> Result<(), Stop> {
    connection.call(selector::INIT).send()?;
    let request = QueueRequest { depth: DEPTH, vector: -1, ..QueueRequest::default() };
    let made: QueueRequest =
        connection.call(selector::CREATE_QUEUE_PAIR).input(&request).output()?;
    let id = made.id as u16;
    let submissions = ledger.map(memory_type::submissions(id))?;
    let completions = match ledger.map(memory_type::completions(id)) {
        Ok(completions) => completions,
        // The ring before has nobody any more.
        Err(stop) if bug == Some(Bug::NvmeFirstRingLeaked) => return Err(stop),
        Err(stop) => {
            // A refused unmap is less than what came before it.
            let _ = ledger.unmap_all();
            return Err(stop);
        }
    };
    let allocated = connection.call(selector::ALLOC_BUFFER).input(&(SLOTS * BLOCK)).output();
    let worked = allocated.map_err(Stop::from).and_then(|token: u64| {
        let data = ledger.map(memory_type::data(token))?;
        let mut client = Client {
            bug,
            connection,
            schedule: schedule.clone(),
            queue: made.id,
            token,
            submissions,
            completions,
            data,
            head: 0,
            last_id: 0,
            free: (0..SLOTS).collect(),
            under_way: BTreeMap::new(),
            owner: BTreeMap::new(),
            given_up: BTreeMap::new(),
        };
        client.transfer(opcode::WRITE)?;
        client.transfer(opcode::READ)
    });
    let unmapped = ledger.unmap_all();
    let request = QueueRequest { id: made.id, ..QueueRequest::default() };
    let deleted = connection.call(selector::DELETE_QUEUE_PAIR).input(&request).send();
    worked.and(unmapped).and(deleted.map(drop).map_err(Stop::from))
}

impl Client<'_> {
    /// Writes or reads all blocks.
    fn transfer(&mut self, opcode: u8) -> Result<(), Stop> {
        let mut wanted: VecDeque<u64> = (0..BLOCKS).collect();
        while !wanted.is_empty() || !self.under_way.is_empty() {
            while let (Some(slot), false) = (self.free.front().copied(), wanted.is_empty()) {
                self.free.pop_front();
                let block = wanted.pop_front().unwrap_or_default();
                self.begin(opcode, block, slot)?;
            }
            wanted.extend(self.expire_early());
            self.reap()?;
            self.expire()?;
            self.schedule.sleep(LOOK);
        }
        Ok(())
    }

    fn begin(&mut self, opcode: u8, block: u64, slot: u64) -> Result<(), Stop> {
        let filling = if opcode == opcode::WRITE { pattern(block) } else { UNTOUCHED };
        self.data.copy_in(slot * BLOCK, &[filling; BLOCK as usize])?;
        self.last_id += 1;
        let command_id = self.last_id;
        let first_block = FIRST_BLOCK + block;
        let submission = Submission {
            command: Command {
                opcode,
                command_id,
                namespace: 1,
                first_block,
                ..Command::default()
            },
            queue: self.queue,
            data_bytes: BLOCK,
            data_offset: slot * BLOCK,
            data_token: self.token,
            ..Submission::default()
        };
        let tail = self.submissions.load::<u64>(TAIL)?;
        check!(tail < DEPTH, "the tail of the submission ring is {tail}");
        self.submissions.write_struct(ENTRIES + tail * ENTRY, &submission)?;
        fence(Ordering::Release);
        self.submissions.swap::<u64>(TAIL, (tail + 1) % DEPTH)?;
        let begun = self.schedule.now();
        self.owner.insert(slot, command_id);
        self.poke()?;
        let deadline = if self.bug == Some(Bug::NvmeBufferOfTheSlow) {
            begun + IMPATIENCE
        } else {
            self.schedule.now() + PATIENCE
        };
        self.under_way.insert(command_id, UnderWay { opcode, block, slot, deadline });
        Ok(())
    }

    /// Rings the bell.
    fn poke(&self) -> Result<(), Stop> {
        let queues = [self.queue, self.queue];
        let Err(error) = self.connection.call(selector::POKE).scalars(&queues).send() else {
            return Ok(());
        };
        // What a connection gives that has mapped memory and is gone.
        let is_gone = error.io_return() == Some(IoReturn::BAD_ARGUMENT);
        let ours = is_gone && self.bug == Some(Bug::NvmeGoneIsOurMistake);
        check!(!ours, "the number of the queue was wrong: {error}");
        Err(Stop::trouble(error))
    }

    /// Takes what has ended.
    fn reap(&mut self) -> Result<(), Stop> {
        match self.bug {
            Some(Bug::NvmeEntryBeforeTail) => loop {
                let ended = self.entry(self.head)?;
                if self.tail()? == self.head {
                    return Ok(());
                }
                self.advance((self.head + 1) % DEPTH)?;
                self.end(ended)?;
            },
            Some(Bug::NvmeIndexRunsOn) => {
                let tail = self.tail()?;
                let end = if tail < self.head { tail + DEPTH } else { tail };
                for index in self.head..end {
                    let ended = self.entry(index)?;
                    self.end(ended)?;
                }
                if end != self.head { self.advance(tail) } else { Ok(()) }
            }
            _ => {
                let tail = self.tail()?;
                while self.head != tail {
                    let ended = self.entry(self.head)?;
                    self.advance((self.head + 1) % DEPTH)?;
                    self.end(ended)?;
                }
                Ok(())
            }
        }
    }

    fn tail(&self) -> Result<u64, Stop> {
        let tail = self.completions.load::<u64>(TAIL)?;
        fence(Ordering::Acquire);
        check!(tail < DEPTH, "the tail of the completion ring is {tail}");
        Ok(tail)
    }

    fn entry(&self, index: u64) -> Result<Completion, Stop> {
        Ok(self.completions.read_struct(ENTRIES + index * ENTRY + COMPLETION)?)
    }

    fn advance(&mut self, head: u64) -> Result<(), Stop> {
        self.completions.swap::<u64>(HEAD, head)?;
        self.head = head;
        Ok(())
    }

    /// A command has ended.
    fn end(&mut self, ended: Completion) -> Result<(), Stop> {
        let id = ended.command_id;
        if let Some(late) = self.given_up.remove(&id) {
            let owner = self.owner.get(&late.slot).copied();
            check!(owner == Some(id), "command {id} had the buffer that is {owner:?}'s by now");
            return Ok(());
        }
        let Some(UnderWay { opcode, block, slot, .. }) = self.under_way.remove(&id) else {
            return Err(Stop::check(format_args!("command {id} ended, which is not under way")));
        };
        let status = ended.status >> 1;
        if status != 0 {
            return Err(Stop::trouble(format_args!("command {id} ended with status {status:#x}")));
        }
        let bytes = self.data.read_vec(slot * BLOCK, BLOCK)?;
        let is_right = bytes.iter().all(|byte| *byte == pattern(block));
        check!(is_right, "block {block} is not in its buffer after command {id} ({opcode})");
        self.owner.remove(&slot);
        self.free.push_back(slot);
        Ok(())
    }

    /// What has taken too long after the last look ends the work: the controller has its buffers.
    fn expire(&mut self) -> Result<(), Stop> {
        let now = self.schedule.now();
        if self.under_way.values().all(|command| now < command.deadline) {
            return Ok(());
        }
        // A thread that has not run for long looks once more, and rings the bell: somebody who is gone
        // says so.
        self.reap()?;
        let late = self.under_way.iter().find(|(_, command)| now >= command.deadline);
        let Some((id, _)) = late else { return Ok(()) };
        self.poke()?;
        Err(Stop::trouble(format_args!("no word of command {id}")))
    }

    /// Gives up what has taken too long, to be begun again, before it looks what has ended.
    fn expire_early(&mut self) -> Vec<u64> {
        if self.bug != Some(Bug::NvmeBufferOfTheSlow) {
            return Vec::new();
        }
        let now = self.schedule.now();
        let is_over = |command: &UnderWay| now >= command.deadline;
        let late: Vec<_> = (self.under_way.iter())
            .filter(|(_, command)| is_over(command))
            .map(|(id, command)| (*id, *command))
            .collect();
        for (id, command) in &late {
            self.under_way.remove(id);
            self.given_up.insert(*id, *command);
            self.free.push_back(command.slot);
        }
        late.into_iter().map(|(_, command)| command.block).collect()
    }
}
