//! A client of `usb-bulk`: a greeting is read while writes go out, a read idles until it is aborted, and a
//! stream of reads. One thread takes what has ended; another keeps the time of every transfer, so that main
//! waits for ends without any limit.

use super::Bug;
use super::verdict::{Failure, Outcome, Stop, connect, promise, sum_up};
use dextape::call::Completion;
use dextape::connection::{CallError, CompletionQueue, Connection, ConnectionExt, Reply, System};
use dextape::memory::SharedBuffer;
use dextape::schedule::{Monitor, Schedule};
use dextape_scenarios::usb_bulk::abi::{USER_CLASS, device, endpoint, selector, sent_byte};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How long a transfer may take, and as long again once it is aborted.
const LIMIT: Duration = Duration::from_secs(1);

/// How long a read may idle.
const IDLE_LIMIT: Duration = Duration::from_secs(120);

/// Between two looks of the thread that takes ends.
const LOOK: Duration = Duration::from_millis(200);

/// What main does besides, after it has begun a transfer.
const ASIDE: Duration = Duration::from_millis(80);

/// What the device takes from a read until it sends.
const LATENCY: Duration = Duration::from_millis(4);

/// Writes are numbered in 16 bits, from a number close to the last on; reads have others.
const FIRST_WRITE: u16 = u16::MAX - 3;
const FIRST_READ: u16 = 0x4000;

const WRITES: u16 = 14;
const BLOCKS: u64 = 5;

/// Bytes of a buffer for reads, and of a write.
const BUFFER: u64 = 8192;
const WRITE: u64 = 4200;

const UNTOUCHED: u8 = 0xee;

/// Buffers: two for reads, one for writes.
const IDLE: usize = 0;
const GREETING: usize = 1;
const OUT: usize = 2;

/// Bytes of that block of the stream.
fn block(index: u64) -> u64 {
    BUFFER - 64 * index
}

/// A transfer under way.
#[derive(Clone, Copy)]
struct Transfer {
    slot: usize,
    /// What it moves; nothing where it is to be aborted.
    bytes: Option<u64>,
    /// When its call had returned.
    since: Option<Duration>,
    aborted: Option<Duration>,
}

impl Transfer {
    fn endpoint(&self) -> u64 {
        if self.slot == OUT { endpoint::OUT } else { endpoint::IN }
    }

    fn limit(&self) -> Duration {
        if self.bytes.is_none() { IDLE_LIMIT } else { LIMIT }
    }
}

#[derive(Default)]
struct Desk {
    pending: BTreeMap<u16, Transfer>,
    /// Who has each buffer.
    owner: [Option<u16>; 3],
    ended: BTreeSet<u16>,
    last_write: u16,
    /// Those that never ended or never began.
    lost: BTreeSet<u16>,
    received: u64,
    written: u64,
    last_sign: Duration,
    is_at_end: bool,
    trouble: Option<String>,
    wrong: Option<Failure>,
    is_over: bool,
}

impl Desk {
    fn note(&mut self, what: impl ToString) {
        self.trouble.get_or_insert(what.to_string());
    }

    fn accuse(&mut self, what: String) {
        self.wrong.get_or_insert(Failure(what));
    }

    fn lose(&mut self, tag: u16) {
        if self.pending.remove(&tag).is_some() {
            self.lost.insert(tag);
        }
    }
}

struct Client {
    bug: Option<Bug>,
    connection: Arc<dyn Connection>,
    queue: Arc<dyn CompletionQueue>,
    schedule: Schedule,
    buffers: [SharedBuffer; 3],
    desk: Monitor<Desk>,
}

pub(super) fn run(system: &Arc<dyn System>, bug: Option<Bug>) -> Result<Outcome, Failure> {
    let connection = match connect(&**system, USER_CLASS) {
        Ok(connection) => connection,
        Err(stop) => return sum_up([Err(stop)]),
    };
    let schedule = system.schedule().clone();
    let desk = Desk { last_write: FIRST_WRITE.wrapping_sub(1), ..Desk::default() };
    let client = Arc::new(Client {
        bug,
        connection,
        queue: system.completion_queue(),
        buffers: [BUFFER, BUFFER, WRITE].map(SharedBuffer::new),
        desk: Monitor::new(&schedule, "desk", desk),
        schedule,
    });
    let spawn = |name, part: fn(&Client)| {
        let client = Arc::clone(&client);
        system.schedule().spawn(name, move || part(&client))
    };
    let threads = [spawn("ends", Client::take_ends), spawn("time", Client::keep_time)];
    let worked = client.work();
    let settled = client.settle();
    client.desk.lock().is_over = true;
    client.desk.notify_all();
    for thread in threads {
        thread.join();
    }
    let (wrong, trouble) = {
        let mut desk = client.desk.lock();
        (desk.wrong.take(), desk.trouble.take())
    };
    let wrong = wrong.map_or(Ok(()), |failure| Err(Stop::Check(failure)));
    let trouble = trouble.map_or(Ok(()), |what| Err(Stop::Trouble(what)));
    let closed = client.connection.close().ok().map_err(Stop::from);
    sum_up([wrong, worked, trouble, settled, closed])
}

impl Client {
    fn work(&self) -> Result<(), Stop> {
        let mut reads = FIRST_READ..;
        let mut tag = || reads.next().unwrap_or_default();

        let greeting = tag();
        self.read(greeting, GREETING, Some(BUFFER))?;
        self.call(selector::DEVICE, &[device::SEND, BUFFER], 0)?;
        for index in 0..WRITES {
            let write = FIRST_WRITE.wrapping_add(index);
            self.write(write)?;
            self.schedule.sleep(ASIDE);
            if self.bug == Some(Bug::UsbSequenceAcrossWrap) {
                self.wait_for(write, |desk| desk.last_write >= write)?;
            } else {
                self.finish(write)?;
            }
        }
        self.finish(greeting)?;

        let idle = tag();
        self.read(idle, IDLE, None)?;
        self.schedule.sleep(ASIDE);
        self.abort(endpoint::IN)?;
        self.mark_aborted();
        if self.bug == Some(Bug::UsbReusedAfterAbort) {
            self.schedule.sleep(LATENCY);
        } else {
            self.finish(idle)?;
        }

        let mut before = None;
        for index in 0..BLOCKS {
            let read = tag();
            self.read(read, index as usize % 2, Some(block(index)))?;
            self.schedule.sleep(LATENCY);
            self.call(selector::DEVICE, &[device::SEND, block(index)], 0)?;
            if let Some(before) = before.replace(read) {
                self.finish(before)?;
            }
            if self.desk.lock().is_at_end {
                break;
            }
        }
        before.map_or(Ok(()), |last| self.finish(last))?;

        let sent = BUFFER + (0..BLOCKS).map(block).sum::<u64>();
        let received = self.desk.lock().received;
        promise!(received == sent, "the stream has ended after {received} of {sent} bytes");
        let counts = self.call(selector::COUNTS, &[], 4)?;
        let (has, written) = (counts.scalars[1], self.desk.lock().written);
        promise!(has == written, "{written} bytes were written, the device has {has}");
        Ok(())
    }

    fn call(&self, selector: u32, scalars: &[u64], wanted: usize) -> Result<Reply, CallError> {
        self.connection.call(selector).scalars(scalars).want_scalars(wanted).send()
    }

    fn abort(&self, endpoint: u64) -> Result<(), CallError> {
        self.call(selector::ABORT, &[endpoint], 0).map(drop)
    }

    /// Begins a read; of no bytes an idle one, that is only ever aborted.
    fn read(&self, tag: u16, slot: usize, bytes: Option<u64>) -> Result<(), Stop> {
        let buffer = &self.buffers[slot];
        buffer.memory().copy_in(0, &[UNTOUCHED; BUFFER as usize])?;
        self.enter(tag, slot, bytes);
        let (scalars, reference) = ([u64::from(tag)], [0, 1, u64::from(tag)]);
        let call = self.connection.call(selector::READ).scalars(&scalars);
        let begun = call.completing_on(&*self.queue, &reference).output_shared(buffer);
        self.begun(tag, begun)
    }

    fn write(&self, tag: u16) -> Result<(), Stop> {
        let buffer = &self.buffers[OUT];
        buffer.memory().copy_in(0, &[tag as u8; WRITE as usize])?;
        self.enter(tag, OUT, Some(WRITE));
        let (scalars, reference) = ([u64::from(tag)], [0, 1, u64::from(tag)]);
        let call = self.connection.call(selector::WRITE).scalars(&scalars);
        let begun = call.completing_on(&*self.queue, &reference).input_shared(buffer).send();
        self.begun(tag, begun)
    }

    /// Its end may come before its call returns.
    fn enter(&self, tag: u16, slot: usize, bytes: Option<u64>) {
        let mut desk = self.desk.lock();
        desk.pending.insert(tag, Transfer { slot, bytes, since: None, aborted: None });
        desk.owner[slot] = Some(tag);
        drop(desk);
        self.desk.notify_all();
    }

    /// Its call has returned: from now on the time counts.
    fn begun(&self, tag: u16, begun: Result<Reply, CallError>) -> Result<(), Stop> {
        let mut desk = self.desk.lock();
        if begun.is_err() {
            desk.lose(tag);
        } else if let Some(transfer) = desk.pending.get_mut(&tag) {
            transfer.since = Some(self.schedule.now());
        }
        drop(desk);
        self.desk.notify_all();
        begun?;
        Ok(())
    }

    /// Waits for an end. The thread that keeps the time sees to it that there is one.
    fn finish(&self, tag: u16) -> Result<(), Stop> {
        self.wait_for(tag, |desk| desk.ended.contains(&tag))
    }

    fn wait_for(&self, tag: u16, has_ended: impl Fn(&Desk) -> bool) -> Result<(), Stop> {
        let mut desk = self.desk.lock();
        loop {
            if has_ended(&desk) {
                return desk.trouble.clone().map_or(Ok(()), |what| Err(Stop::Trouble(what)));
            }
            if desk.lost.contains(&tag) {
                return Err(Stop::trouble(format_args!("transfer {tag} does not end")));
            }
            desk.wait_until(None);
        }
    }

    /// All that is under way has been aborted; its time begins anew.
    fn mark_aborted(&self) {
        let (now, mut desk) = (self.schedule.now(), self.desk.lock());
        desk.pending.values_mut().for_each(|transfer| transfer.aborted = Some(now));
        drop(desk);
        self.desk.notify_all();
    }

    /// Ends what is under way, and waits until it has.
    fn settle(&self) -> Result<(), Stop> {
        if self.desk.lock().pending.is_empty() {
            return Ok(());
        }
        let aborted = self.abort(endpoint::IN).and(self.abort(endpoint::OUT));
        self.mark_aborted();
        let mut desk = self.desk.lock();
        while !desk.pending.is_empty() {
            desk.wait_until(None);
        }
        Ok(aborted?)
    }

    /// The thread that keeps the time: aborts what takes too long, and gives up what ends not even then.
    fn keep_time(&self) {
        let mut desk = self.desk.lock();
        while !desk.is_over {
            let (now, last_sign) = (self.schedule.now(), desk.last_sign);
            let (mut aborts, mut next) = (BTreeSet::new(), None::<Duration>);
            for (tag, transfer) in desk.pending.clone() {
                let due = match (transfer.aborted, transfer.since) {
                    (Some(aborted), _) => aborted + LIMIT,
                    (None, Some(since)) if self.bug == Some(Bug::UsbTimeRestarts) => {
                        since.max(last_sign) + transfer.limit()
                    }
                    (None, Some(since)) => since + transfer.limit(),
                    (None, None) => continue,
                };
                if now < due {
                    next = Some(next.map_or(due, |next| next.min(due)));
                    continue;
                }
                if transfer.aborted.is_none() {
                    aborts.insert(transfer.endpoint());
                    desk.note(format_args!("transfer {tag} takes too long"));
                } else {
                    desk.note(format_args!("transfer {tag} does not end"));
                    desk.lose(tag);
                    self.desk.notify_all();
                }
            }
            for transfer in desk.pending.values_mut() {
                if aborts.contains(&transfer.endpoint()) {
                    transfer.aborted.get_or_insert(now);
                }
            }
            Self::look_for_forgotten(&mut desk, now);
            if aborts.is_empty() {
                desk.wait_until(next);
                continue;
            }
            drop(desk);
            let refused: Vec<_> =
                aborts.into_iter().filter_map(|end| self.abort(end).err()).collect();
            desk = self.desk.lock();
            refused.iter().for_each(|error| desk.note(error));
        }
    }

    /// After a look nothing is over its time that was not aborted.
    fn look_for_forgotten(desk: &mut Desk, now: Duration) {
        let is_late = |transfer: &Transfer| {
            let over = transfer.since.is_some_and(|since| now >= since + transfer.limit());
            over && transfer.aborted.is_none()
        };
        let late = desk.pending.iter().find(|(_, transfer)| is_late(transfer));
        if let Some(tag) = late.map(|(tag, _)| *tag) {
            desk.accuse(format!("transfer {tag} is over its time, and nobody aborts it"));
        }
    }

    /// The thread that takes ends.
    fn take_ends(&self) {
        loop {
            {
                let mut desk = self.desk.lock();
                while desk.pending.is_empty() && !desk.is_over {
                    desk.wait_until(None);
                }
                if desk.is_over {
                    return;
                }
            }
            if let Some(came) = self.queue.wait(Some(LOOK)) {
                self.take(&came);
            }
        }
    }

    fn take(&self, came: &Completion) {
        let mut desk = self.desk.lock();
        let tag = came.reference[2] as u16;
        let Some(transfer) = desk.pending.remove(&tag) else {
            // A second time, or after it was given up.
            if !desk.ended.contains(&tag) && !desk.lost.contains(&tag) {
                desk.accuse(format!("transfer {tag} ends, which nobody began"));
            }
            return;
        };
        desk.ended.insert(tag);
        if transfer.slot == OUT && tag.wrapping_sub(desk.last_write) < 1 << 15 {
            desk.last_write = tag;
        }
        desk.last_sign = self.schedule.now();
        if desk.owner[transfer.slot] != Some(tag) {
            desk.accuse(format!("the buffer of transfer {tag} was used before it ended"));
        }
        match transfer.bytes {
            None => {}
            Some(_) if !came.status.is_success() => {
                if self.bug == Some(Bug::UsbGoneIsEnd) && transfer.slot != OUT {
                    desk.is_at_end = true;
                } else {
                    desk.note(format_args!("transfer {tag}: {}", came.status));
                }
                if self.bug == Some(Bug::UsbErrorWakesNobody) {
                    return;
                }
            }
            Some(bytes) => self.consume(&mut desk, tag, transfer.slot, bytes, came),
        }
        drop(desk);
        self.desk.notify_all();
    }

    /// A transfer has moved its bytes.
    fn consume(&self, desk: &mut Desk, tag: u16, slot: usize, bytes: u64, came: &Completion) {
        let moved = came.arguments.get(1).copied().unwrap_or_default();
        if moved != bytes {
            return desk.note(format_args!("transfer {tag} has moved {moved} of {bytes} bytes"));
        }
        if slot == OUT {
            desk.written += moved;
            return;
        }
        let data = self.buffers[slot].memory().read_vec(0, bytes).unwrap_or_default();
        if !(0..).map(sent_byte).zip(&data).all(|(sent, byte)| sent == *byte) {
            desk.accuse(format!("transfer {tag} has brought other bytes"));
        }
        desk.received += moved;
    }
}
