//! A client of `usb-bulk`: two reads under way at a time and some writes, with a thread for their ends.

use super::Bug;
use super::stop::{Failure, Outcome, Stop, check, conclude};
use super::waiting::{completion_within, open};
use dextape::call::Completion;
use dextape::connection::{CompletionQueue, Connection, ConnectionExt, System};
use dextape::memory::SharedBuffer;
use dextape::schedule::{Monitor, Schedule};
use dextape_scenarios::usb_bulk::abi::{USER_CLASS, device, endpoint, selector, sent_byte};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How long a transfer may take, and an aborted one after that.
const PATIENCE: Duration = Duration::from_secs(1);

/// Between two looks of the thread whether all is over.
const LOOK: Duration = Duration::from_millis(100);

const READS: usize = 6;
const WRITES: u64 = 4;

/// Bytes of a buffer; what the device sends is as much or less.
const BUFFER: u64 = 8192;

/// Bytes of the read of that index.
fn size_of_read(index: usize) -> u64 {
    BUFFER - 100 * index as u64
}

/// What buffers are full of before a read.
const UNTOUCHED: u8 = 0xee;

/// A transfer under way.
#[derive(Clone, Copy)]
enum Transfer {
    /// Into that buffer, so many bytes.
    Read {
        slot: usize,
        size: u64,
    },
    Write {
        size: u64,
    },
}

#[derive(Default)]
struct Desk {
    pending: BTreeMap<u64, Transfer>,
    ended: BTreeSet<u64>,
    /// The read that each buffer belongs to.
    owner: [Option<u64>; 2],
    /// Transfers that were aborted or whose call failed.
    given_up: BTreeSet<u64>,
    /// Bytes that came in and went out.
    received: u64,
    written: u64,
    wrong: Option<String>,
    trouble: Option<String>,
    is_over: bool,
}

impl Desk {
    fn is_wrong(&mut self, what: String) {
        self.wrong.get_or_insert(what);
    }
}

struct Client {
    bug: Option<Bug>,
    connection: Arc<dyn Connection>,
    queue: Arc<dyn CompletionQueue>,
    schedule: Schedule,
    buffers: [SharedBuffer; 2],
    desk: Monitor<Desk>,
}

pub(super) fn run(system: &Arc<dyn System>, bug: Option<Bug>) -> Result<Outcome, Failure> {
    let connection = match open(system, USER_CLASS) {
        Ok(connection) => connection,
        Err(stop) => return conclude([Err(stop)]),
    };
    let schedule = system.schedule().clone();
    let client = Arc::new(Client {
        bug,
        connection,
        queue: system.completion_queue(),
        desk: Monitor::new(&schedule, "desk", Desk::default()),
        buffers: [SharedBuffer::new(BUFFER), SharedBuffer::new(BUFFER)],
        schedule,
    });
    let listener = {
        let client = Arc::clone(&client);
        let schedule = client.schedule.clone();
        schedule.spawn("transfers", move || client.listen())
    };
    let worked = client.session();
    // What is still under way ends with the abort, and its buffers are free then.
    let aborted = match &worked {
        Ok(()) => Ok(()),
        Err(_) => client.abort().and_then(|()| client.drain()),
    };
    client.desk.lock().is_over = true;
    listener.join();
    let checked = client.check();
    let closed = client.connection.close().ok().map_err(Stop::from);
    conclude([checked, worked, aborted, closed])
}

impl Client {
    fn listen(&self) {
        while !self.desk.lock().is_over {
            if let Some(came) = completion_within(&*self.queue, &self.schedule, LOOK) {
                self.take(&came);
                self.desk.notify_all();
            }
        }
    }

    fn take(&self, came: &Completion) {
        let mut desk = self.desk.lock();
        let [tag, count] = came.arguments[..] else {
            return desk.is_wrong(format!("an end that is none: {came:?}"));
        };
        let given_up = desk.given_up.contains(&tag);
        let Some(transfer) = desk.pending.remove(&tag) else {
            // It comes a second time, or its call had failed.
            if !desk.ended.contains(&tag) && !given_up {
                desk.is_wrong(format!("the end of transfer {tag}, which nobody began"));
            }
            return;
        };
        desk.ended.insert(tag);
        let is_good = came.status.is_success();
        match transfer {
            Transfer::Write { .. } if !is_good => {}
            Transfer::Write { size } if count == size => desk.written += count,
            Transfer::Write { size } => {
                desk.is_wrong(format!("{count} of {size} bytes written, and no error"));
            }
            Transfer::Read { slot, size } => {
                if desk.owner[slot] == Some(tag) {
                    desk.owner[slot] = None;
                } else {
                    desk.is_wrong(format!("the buffer of read {tag} is in use again"));
                }
                if given_up && self.bug == Some(Bug::UsbAbortRace) {
                    // Nothing that it waits for any more.
                    return;
                } else if is_good && count == size || self.bug == Some(Bug::UsbStatusIgnored) {
                    self.consume(&mut desk, slot, size);
                } else if is_good {
                    desk.trouble.get_or_insert(format!("read {tag} brought {count} of {size}"));
                }
            }
        }
        if !is_good {
            desk.trouble.get_or_insert(format!("transfer {tag}: {}", came.status));
        }
    }

    /// Takes the data of a read.
    fn consume(&self, desk: &mut Desk, slot: usize, size: u64) {
        let bytes = self.buffers[slot].memory().read_vec(0, BUFFER).unwrap_or_default();
        let (data, rest) = bytes.split_at(bytes.len().min(size as usize));
        let is_data = (0..).map(sent_byte).zip(data).all(|(sent, byte)| sent == *byte);
        if data.len() as u64 != size || !is_data || rest.iter().any(|byte| *byte != UNTOUCHED) {
            desk.is_wrong(format!("buffer {slot} does not hold the {size} bytes sent"));
        }
        desk.received += size;
    }

    fn session(&self) -> Result<(), Stop> {
        let mut tags = [None; READS];
        for index in 0..READS {
            if let Some(before) = index.checked_sub(2) {
                if self.bug == Some(Bug::UsbBufferReused) {
                    // Two were under way; one less, so the older one has ended.
                    self.until(|desk| desk.pending.len() < 2);
                } else {
                    self.finish(tags[before])?;
                }
            }
            tags[index] = Some(self.read(index)?);
        }
        self.finish(tags[READS - 2])?;
        self.finish(tags[READS - 1])?;
        for index in 0..WRITES {
            self.write(index)?;
        }
        self.ask_device()
    }

    /// Begins a read and has the device send.
    fn read(&self, index: usize) -> Result<u64, Stop> {
        let (tag, slot, size) = (1 + index as u64, index % 2, size_of_read(index));
        let buffer = &self.buffers[slot];
        buffer.memory().copy_in(0, &[UNTOUCHED; BUFFER as usize])?;
        {
            let mut desk = self.desk.lock();
            desk.owner[slot] = Some(tag);
            desk.pending.insert(tag, Transfer::Read { slot, size });
        }
        let (scalars, reference) = ([tag], [0, 1, tag]);
        let call = self.connection.call(selector::READ).scalars(&scalars);
        let begun = call.completing_on(&*self.queue, &reference).output_shared(buffer);
        if begun.is_err() {
            let mut desk = self.desk.lock();
            desk.pending.remove(&tag);
            desk.given_up.insert(tag);
        }
        begun?;
        self.connection.call(selector::DEVICE).scalars(&[device::SEND, size]).send()?;
        Ok(tag)
    }

    /// Waits for the end of a read. One that takes too long is aborted.
    fn finish(&self, tag: Option<u64>) -> Result<(), Stop> {
        let Some(tag) = tag else { return Ok(()) };
        if !self.until(|desk| desk.ended.contains(&tag)) {
            if self.bug == Some(Bug::UsbAbortRace) {
                self.desk.lock().given_up.insert(tag);
            }
            self.abort()?;
            if !self.until(|desk| desk.ended.contains(&tag)) {
                return Err(Stop::trouble(format_args!("read {tag} does not end")));
            }
        }
        self.trouble()
    }

    fn write(&self, index: u64) -> Result<(), Stop> {
        let (tag, size) = (100 + index, 1000 + index);
        let bytes = vec![1; size as usize];
        let enter = || self.desk.lock().pending.insert(tag, Transfer::Write { size });
        let late = self.bug == Some(Bug::UsbEndBeforeReturn);
        if !late {
            enter();
        }
        let (scalars, reference) = ([tag], [0, 1, tag]);
        let begin = || {
            let call = self.connection.call(selector::WRITE).scalars(&scalars);
            call.completing_on(&*self.queue, &reference).input_bytes(&bytes).send()
        };
        let mut begun = begin();
        if begun.is_err() && self.bug == Some(Bug::UsbRetryDoubles) {
            begun = begin();
        }
        if begun.is_err() {
            let mut desk = self.desk.lock();
            desk.pending.remove(&tag);
            desk.given_up.insert(tag);
        } else if late {
            enter();
        }
        begun?;
        if !self.until(|desk| desk.ended.contains(&tag)) {
            return Err(Stop::trouble(format_args!("write {tag} does not end")));
        }
        self.trouble()
    }

    /// All writes have ended well: the device has each once.
    fn ask_device(&self) -> Result<(), Stop> {
        let reply = self.connection.call(selector::COUNTS).want_scalars(4).send()?;
        let (has, desk) = (reply.scalars[1], self.desk.lock());
        check!(has == desk.written, "{} bytes were written, the device has {has}", desk.written);
        let sent: u64 = (0..READS).map(size_of_read).sum();
        check!(desk.received == sent, "{sent} bytes were sent, {} received", desk.received);
        Ok(())
    }

    fn abort(&self) -> Result<(), Stop> {
        for endpoint in [endpoint::IN, endpoint::OUT] {
            self.connection.call(selector::ABORT).scalars(&[endpoint]).send()?;
        }
        Ok(())
    }

    /// Waits until nothing is under way.
    fn drain(&self) -> Result<(), Stop> {
        let drained = self.until(|desk| desk.pending.is_empty());
        if drained { Ok(()) } else { Err(Stop::trouble("a transfer does not end")) }
    }

    fn trouble(&self) -> Result<(), Stop> {
        self.desk.lock().trouble.clone().map_or(Ok(()), |what| Err(Stop::Trouble(what)))
    }

    fn until(&self, holds: impl Fn(&Desk) -> bool) -> bool {
        let deadline = self.schedule.now() + PATIENCE;
        let mut desk = self.desk.lock();
        while !holds(&desk) && self.schedule.now() < deadline {
            desk.wait_until(Some(deadline));
        }
        holds(&desk)
    }

    fn check(&self) -> Result<(), Stop> {
        let wrong = self.desk.lock().wrong.clone().unwrap_or_default();
        check!(wrong.is_empty(), "{wrong}");
        Ok(())
    }
}
