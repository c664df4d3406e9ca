//! A client of `nvme-rings`: one thread writes blocks through a queue pair of its own, main reads each back
//! through another, as soon as it is written. More commands are under way than a ring has room for.

use super::Bug;
use super::held::Held;
use super::nvme_pair::{DEPTH, Pair, Stock};
use super::verdict::{Failure, Outcome, Stop, connect, join, promise, sum_up};
use dextape::connection::{Connection, ConnectionExt, System};
use dextape::schedule::{Monitor, Schedule};
use dextape_scenarios::nvme_rings::abi::{
    BLOCK, Command, Submission, USER_CLASS, admin_opcode, opcode, selector,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Commands of a thread that may be under way: more than a ring holds.
const SLOTS: u64 = DEPTH + 1;

const BLOCKS: u64 = 12;
const FIRST_BLOCK: u64 = 40;

/// Between two looks into a ring where something moves, and at the most.
const LOOK: Duration = Duration::from_millis(1);
const LOOK_MAX: Duration = Duration::from_millis(64);

/// How long a command may take before it is asked for, and as long again.
const PATIENCE: Duration = Duration::from_secs(20);

const UNTOUCHED: u8 = 0xee;

fn pattern(block: u64) -> u8 {
    (block * 29 + 5) as u8
}

#[derive(Default)]
struct Desk {
    /// Blocks that were written, to be read back.
    written: VecDeque<u64>,
    writer_is_done: bool,
    is_over: bool,
}

#[derive(Clone, Copy)]
struct UnderWay {
    block: u64,
    slot: u64,
    since: Duration,
    is_asked_for: bool,
}

/// A thread with its queue pair.
struct Worker {
    bug: Option<Bug>,
    connection: Arc<dyn Connection>,
    schedule: Schedule,
    desk: Arc<Monitor<Desk>>,
    opcode: u8,
    pair: Pair,
    last_id: u16,
    free: VecDeque<u64>,
    under_way: BTreeMap<u16, UnderWay>,
}

pub(super) fn run(system: &Arc<dyn System>, bug: Option<Bug>) -> Result<Outcome, Failure> {
    let connection = match connect(&**system, USER_CLASS) {
        Ok(connection) => connection,
        Err(stop) => return sum_up([Err(stop)]),
    };
    let (held, mut stock) = (Held::new(&connection), Stock::default());
    let worked = session(bug, system.schedule(), &connection, &held, &mut stock);
    let verified = held.verify().and(stock.verify());
    let closed = connection.close().ok().map_err(Stop::from);
    sum_up([worked, verified, closed])
}

fn session(
    bug: Option<Bug>,
    schedule: &Schedule,
    connection: &Arc<dyn Connection>,
    held: &Held,
    stock: &mut Stock,
) -> Result<(), Stop> {
    connection.call(selector::INIT).send()?;
    let made = Pair::make(&**connection, held, stock, SLOTS * BLOCK)
        .and_then(|first| Ok((first, Pair::make(&**connection, held, stock, SLOTS * BLOCK)?)));
    let (first, second) = match made {
        Ok(pairs) => pairs,
        Err(stop) => {
            // What the driver says to that is less than why.
            let _ = held.unmap_rest();
            if bug != Some(Bug::NvmeFirstPairKept) {
                let _ = stock.give_back(&**connection);
            }
            return Err(stop);
        }
    };
    let desk = Arc::new(Monitor::new(schedule, "desk", Desk::default()));
    let worker = |opcode, pair| Worker {
        bug,
        connection: Arc::clone(connection),
        schedule: schedule.clone(),
        desk: Arc::clone(&desk),
        opcode,
        pair,
        last_id: 0,
        free: (0..SLOTS).collect(),
        under_way: BTreeMap::new(),
    };
    let (mut writer, mut reader) = (worker(opcode::WRITE, first), worker(opcode::READ, second));
    let thread = schedule.spawn("writer", move || {
        let written = writer.work();
        writer.desk.lock().writer_is_done = true;
        written
    });
    let read = reader.work();
    let early = (read.is_err() && bug == Some(Bug::NvmeTornDownUnderWriter))
        .then(|| held.unmap_rest().and(stock.give_back(&**connection)));
    desk.lock().is_over = early.is_none();
    let written = thread.join();
    let torn_down = early.unwrap_or_else(|| held.unmap_rest().and(stock.give_back(&**connection)));
    join([written, read, torn_down])
}

impl Worker {
    fn work(&mut self) -> Result<(), Stop> {
        // The reader looks in between.
        if self.opcode == opcode::READ {
            self.schedule.sleep(LOOK / 2);
        }
        let (mut next, mut done, mut pause) = (0, 0, LOOK);
        while done < BLOCKS && !self.desk.lock().is_over {
            let mut moved = false;
            while !self.free.is_empty() && next < BLOCKS {
                let Some(block) = self.wanted(next) else { break };
                self.begin(block)?;
                next += 1;
                moved = true;
            }
            if next == done && self.desk.lock().writer_is_done && !self.has_wanted() {
                // The rest was never written; the writer knows why.
                return Ok(());
            }
            let taken = self.reap()?;
            done += taken;
            self.expire()?;
            pause = if moved || taken > 0 { LOOK } else { (pause * 2).min(LOOK_MAX) };
            self.schedule.sleep(pause);
        }
        Ok(())
    }

    /// The block that comes next.
    fn wanted(&self, next: u64) -> Option<u64> {
        if self.opcode == opcode::WRITE {
            return Some(next);
        }
        self.desk.lock().written.pop_front()
    }

    fn has_wanted(&self) -> bool {
        self.opcode == opcode::WRITE || !self.desk.lock().written.is_empty()
    }

    fn begin(&mut self, block: u64) -> Result<(), Stop> {
        let slot = self.free.pop_front().unwrap_or_default();
        let filling = if self.opcode == opcode::WRITE { pattern(block) } else { UNTOUCHED };
        self.pair.data.copy_in(slot * BLOCK, &[filling; BLOCK as usize])?;
        let id = self.put(block, slot)?;
        if self.bug == Some(Bug::NvmeReadBeforeWritten) {
            self.hand_over(block);
        }
        let rung = self.bell();
        if rung.is_err() && self.opcode == opcode::WRITE {
            if self.bug == Some(Bug::NvmePutAgain) {
                self.under_way.remove(&id);
                self.put(block, slot)?;
            }
            // The bell may be rung twice: it says nothing of its own.
            self.bell()?;
        } else {
            rung?;
        }
        let now = self.schedule.now();
        self.under_way.values_mut().filter(|command| command.slot == slot).for_each(|command| {
            command.since = now;
        });
        Ok(())
    }

    /// Puts a command into the ring.
    fn put(&mut self, block: u64, slot: u64) -> Result<u16, Stop> {
        self.last_id += 1;
        let id = self.last_id;
        let command = Command {
            opcode: self.opcode,
            command_id: id,
            namespace: 1,
            first_block: FIRST_BLOCK + block,
            ..Command::default()
        };
        let submission = Submission {
            command,
            queue: self.pair.id,
            data_bytes: BLOCK,
            data_offset: slot * BLOCK,
            data_token: self.pair.token,
            ..Submission::default()
        };
        let since = self.schedule.now();
        self.under_way.insert(id, UnderWay { block, slot, since, is_asked_for: false });
        self.pair.submit(&submission)?;
        Ok(id)
    }

    fn bell(&self) -> Result<(), Stop> {
        let queues = [self.pair.id, self.pair.id];
        self.connection.call(selector::POKE).scalars(&queues).send()?;
        Ok(())
    }

    fn hand_over(&self, block: u64) {
        if self.opcode == opcode::WRITE {
            self.desk.lock().written.push_back(block);
        }
    }

    /// Takes what has ended, and gives how much that was.
    fn reap(&mut self) -> Result<u64, Stop> {
        let mut taken = 0;
        while let Some(ended) = self.pair.take()? {
            let (id, status) = (ended.command_id, ended.status >> 1);
            let Some(UnderWay { block, slot, .. }) = self.under_way.remove(&id) else {
                return Err(Stop::broken(format_args!(
                    "command {id} ended, which is not under way"
                )));
            };
            if status != 0 {
                let what = format_args!("command {id} ended with status {status:#x}");
                return Err(Stop::trouble(what));
            }
            let data = self.pair.data.read_vec(slot * BLOCK, BLOCK)?;
            let is_right = data.iter().all(|byte| *byte == pattern(block));
            promise!(is_right, "block {block} is read as {:#x}", data[0]);
            self.free.push_back(slot);
            if self.bug != Some(Bug::NvmeReadBeforeWritten) {
                self.hand_over(block);
            }
            taken += 1;
        }
        // There is room again, for what ended when the ring was full.
        let waits = taken > 0 && !self.under_way.is_empty();
        if waits && self.bug != Some(Bug::NvmeFullRingUnheard) {
            self.bell()?;
        }
        Ok(taken)
    }

    /// Asks for what takes too long, then ends the work.
    fn expire(&mut self) -> Result<(), Stop> {
        let now = self.schedule.now();
        let late = self.under_way.iter_mut().find(|(_, command)| now >= command.since + PATIENCE);
        let Some((id, command)) = late else { return Ok(()) };
        let id = *id;
        if command.is_asked_for {
            return Err(Stop::trouble(format_args!("no word of command {id}")));
        }
        (command.is_asked_for, command.since) = (true, now);
        if self.bug != Some(Bug::NvmeFullRingUnheard) {
            return self.bell();
        }
        let command = Command { opcode: admin_opcode::IDENTIFY, ..Command::default() };
        let submission = Submission { command, ..Submission::default() };
        let _: Submission = self.connection.call(selector::ONESHOT).input(&submission).output()?;
        Err(Stop::broken(format_args!("no word of command {id}, and the driver answers")))
    }
}
