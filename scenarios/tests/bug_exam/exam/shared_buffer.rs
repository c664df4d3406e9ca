//! A client of `shared-buffer`: text, a flag and a counter that both sides change.

use super::Bug;
use super::ledger::Ledger;
use super::stop::{Failure, Outcome, Stop, check, conclude};
use super::waiting::open;
use dextape::connection::{Connection, ConnectionExt, Mapping, System};
use dextape::schedule::{Monitor, Schedule};
use dextape_scenarios::shared_buffer::abi::{USER_CLASS, buffer, memory_type, selector};
use std::sync::Arc;
use std::time::Duration;

const MILLISECOND: Duration = Duration::from_millis(1);

/// After how many milliseconds the driver sets the flag, and how long the client has patience.
const FLAG_AFTER: u64 = 35;
const PATIENCE: Duration = Duration::from_secs(2);

const TEXT: [u8; 64] = [b'x'; 64];

/// What the driver and the client add to the counter, and how often each.
const THEIRS: u64 = 20;
const OURS: u64 = 5;
const TIMES: u64 = 4;

struct Client {
    bug: Option<Bug>,
    connection: Arc<dyn Connection>,
    schedule: Schedule,
}

pub(super) fn run(system: &Arc<dyn System>, bug: Option<Bug>) -> Result<Outcome, Failure> {
    let connection = match open(system, USER_CLASS) {
        Ok(connection) => connection,
        Err(stop) => return conclude([Err(stop)]),
    };
    let schedule = system.schedule().clone();
    let client = Client { bug, connection: Arc::clone(&connection), schedule };
    let mut ledger = Ledger::new(&*connection);
    let worked = client.session(&mut ledger);
    let forgets = bug == Some(Bug::SharedUnmapForgotten) && worked.is_err();
    let unmapped = if forgets { Ok(()) } else { ledger.unmap_all() };
    let checked = ledger.check().map_err(Stop::from);
    let closed = connection.close().ok().map_err(Stop::from);
    conclude([checked, worked, unmapped, closed])
}

impl Client {
    fn session(&self, ledger: &mut Ledger<'_>) -> Result<(), Stop> {
        let shared = ledger.map(memory_type::BUFFER)?;
        check!(shared.length() >= buffer::TEXT + TEXT.len() as u64, "the buffer is too short");
        self.text(&shared)?;
        let flag = self.flag(&shared)?;
        self.count(&shared)?;
        // The driver took the order for the flag, and after that it still answers.
        check!(flag, "the flag was never seen, and the driver is there");
        Ok(())
    }

    /// A thread has the driver change the text, while this one reads it.
    fn text(&self, shared: &Mapping) -> Result<(), Stop> {
        shared.copy_in(buffer::TEXT, &TEXT)?;
        let lock = Arc::new(Monitor::new(&self.schedule, "text", ()));
        let worker = {
            let (connection, schedule) = (Arc::clone(&self.connection), self.schedule.clone());
            let lock = Arc::clone(&lock);
            self.schedule.spawn("capitals", move || {
                schedule.sleep(3 * MILLISECOND + MILLISECOND / 2);
                let _held = lock.lock();
                connection.call(selector::CAPITALS).want_scalars(1).send()
            })
        };
        let mut read = Vec::new();
        for _ in 0..6 {
            let held = (self.bug != Some(Bug::SharedTornText)).then(|| lock.lock());
            read.push(shared.read_vec(buffer::TEXT, TEXT.len() as u64));
            drop(held);
            self.schedule.sleep(MILLISECOND);
        }
        let changed = worker.join();
        for text in read {
            let text = text?;
            let capitals = text.iter().filter(|letter| letter.is_ascii_uppercase()).count();
            let torn = capitals != 0 && capitals != text.len();
            check!(!torn, "the text is half changed: {capitals} of {} letters", text.len());
        }
        let changed = changed?.scalars[0];
        check!(changed == TEXT.len() as u64, "{changed} letters were changed");
        Ok(())
    }

    /// Whether the flag comes.
    fn flag(&self, shared: &Mapping) -> Result<bool, Stop> {
        let clear = || shared.store::<u32>(buffer::FLAG, 0);
        let late = self.bug == Some(Bug::SharedFlagClearedLate);
        if !late {
            clear()?;
        }
        self.connection.call(selector::SET_FLAG_LATER).scalars(&[FLAG_AFTER]).send()?;
        if late {
            clear()?;
        }
        if self.bug == Some(Bug::SharedFixedSleep) {
            self.schedule.sleep(MILLISECOND * 40);
            return Ok(shared.load::<u32>(buffer::FLAG)? != 0);
        }
        let deadline = self.schedule.now() + PATIENCE;
        loop {
            let is_over = self.schedule.now() >= deadline;
            if shared.load::<u32>(buffer::FLAG)? != 0 {
                return Ok(true);
            }
            if is_over {
                return Ok(false);
            }
            self.schedule.sleep(MILLISECOND * 10);
        }
    }

    /// A thread has the driver add to the counter, while this one adds to it, too.
    fn count(&self, shared: &Mapping) -> Result<(), Stop> {
        shared.store::<u64>(buffer::COUNTER, 0)?;
        let worker = {
            let (connection, schedule) = (Arc::clone(&self.connection), self.schedule.clone());
            self.schedule.spawn("count", move || {
                for _ in 0..TIMES {
                    schedule.sleep(MILLISECOND * 2);
                    connection.call(selector::COUNT).scalars(&[THEIRS]).want_scalars(1).send()?;
                }
                Ok::<_, Stop>(())
            })
        };
        let mut added = Ok(());
        for _ in 0..TIMES {
            self.schedule.sleep(MILLISECOND * 2 + MILLISECOND / 2);
            added = added.and_then(|()| {
                if self.bug == Some(Bug::SharedCounterLost) {
                    let before = shared.load::<u64>(buffer::COUNTER)?;
                    shared.store::<u64>(buffer::COUNTER, before + OURS)
                } else {
                    shared.fetch_add::<u64>(buffer::COUNTER, OURS).map(drop)
                }
            });
        }
        worker.join()?;
        added?;
        let (counted, expected) = (shared.load::<u64>(buffer::COUNTER)?, TIMES * (THEIRS + OURS));
        check!(counted == expected, "the counter is {counted}, not {expected}");
        Ok(())
    }
}
