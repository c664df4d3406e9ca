//! A client of `shared-buffer`: two threads put their marks into the text, at places that the driver's
//! counter gives them; a third watches the flag. Who leaves last takes the mappings down.

use super::Bug;
use super::held::Held;
use super::verdict::{Failure, Outcome, Stop, connect, join, promise, sum_up};
use dextape::connection::{Connection, ConnectionExt, Mapping, Reply, System};
use dextape::schedule::{Monitor, Schedule};
use dextape_scenarios::shared_buffer::abi::{USER_CLASS, buffer, memory_type, selector, status};
use std::sync::Arc;
use std::time::Duration;

const MILLISECOND: Duration = Duration::from_millis(1);

/// Marks that each thread sets, and the time from one to the next.
const MARKS: usize = 4;
const PACE: Duration = Duration::from_millis(3);

/// What a place holds before.
const EMPTY: u8 = b'.';
const PLACES: u64 = 16;

const BEATS: u32 = 3;

/// After this many milliseconds the driver sets the flag.
const BEAT_AFTER: u64 = 10;

/// Between two looks at the flag.
const LOOK: Duration = Duration::from_millis(5);

/// How long a beat may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is mapped, as far as it came.
#[derive(Clone, Default)]
struct Mapped {
    buffer: Option<Mapping>,
    status: Option<Mapping>,
}

impl Mapped {
    fn set_up(&mut self, held: &Held) -> Result<(), Stop> {
        self.buffer = Some(held.map(memory_type::BUFFER)?);
        self.status = Some(held.map(memory_type::STATUS)?);
        Ok(())
    }

    fn take_down(&self, held: &Held, bug: Option<Bug>) -> Result<(), Stop> {
        if bug == Some(Bug::SharedNothingOnErrorPath) {
            let status = self.status.as_ref().expect("the status is mapped");
            let unmapped = held.unmap(status);
            return unmapped.and(self.buffer.as_ref().map_or(Ok(()), |buffer| held.unmap(buffer)));
        }
        let all = [&self.status, &self.buffer].into_iter().flatten();
        all.map(|mapping| held.unmap(mapping)).fold(Ok(()), Result::and)
    }
}

struct Desk {
    /// Threads that use the mappings.
    users: u32,
    /// Calls that worked.
    calls: u32,
    beats: u32,
    is_over: bool,
}

struct Client {
    bug: Option<Bug>,
    connection: Arc<dyn Connection>,
    schedule: Schedule,
    held: Arc<Held>,
    mapped: Mapped,
    buffer: Mapping,
    status: Mapping,
    desk: Monitor<Desk>,
}

pub(super) fn run(system: &Arc<dyn System>, bug: Option<Bug>) -> Result<Outcome, Failure> {
    let connection = match connect(&**system, USER_CLASS) {
        Ok(connection) => connection,
        Err(stop) => return sum_up([Err(stop)]),
    };
    let held = Arc::new(Held::new(&connection));
    let worked = session(bug, system.schedule(), &connection, &held);
    let verified = held.verify();
    let closed = connection.close().ok().map_err(Stop::from);
    sum_up([verified, worked, closed])
}

fn session(
    bug: Option<Bug>,
    schedule: &Schedule,
    connection: &Arc<dyn Connection>,
    held: &Arc<Held>,
) -> Result<(), Stop> {
    let mut mapped = Mapped::default();
    let set_up = mapped.set_up(held);
    let (Ok(()), Some(buffer), Some(status)) = (&set_up, &mapped.buffer, &mapped.status) else {
        return set_up.and(mapped.take_down(held, bug));
    };
    buffer.copy_in(buffer::TEXT, &[EMPTY; PLACES as usize])?;
    buffer.store::<u64>(buffer::COUNTER, 0)?;
    let desk = Desk { users: 2, calls: 0, beats: 0, is_over: false };
    let client = Arc::new(Client {
        bug,
        connection: Arc::clone(connection),
        schedule: schedule.clone(),
        held: Arc::clone(held),
        buffer: buffer.clone(),
        status: status.clone(),
        mapped,
        desk: Monitor::new(schedule, "desk", desk),
    });
    let spawn = |name, part: fn(&Client) -> Result<(), Stop>| {
        let client = Arc::clone(&client);
        schedule.spawn(name, move || part(&client))
    };
    let watcher = spawn("watcher", Client::watch);
    let other = spawn("other", |client| {
        let worked = client.set_marks(b'a', 2 * MILLISECOND);
        worked.and(client.leave())
    });
    let marked = client.set_marks(b'n', 7 * MILLISECOND / 2);
    let beaten = marked.and_then(|()| client.beat());
    client.desk.lock().is_over = true;
    let watched = watcher.join();
    let counted = beaten.and_then(|()| client.count());
    let left = client.leave();
    join([watched, counted, left, other.join()])
}

impl Client {
    fn call(&self, selector: u32, scalars: &[u64], wanted: usize) -> Result<Reply, Stop> {
        let reply = self.connection.call(selector).scalars(scalars).want_scalars(wanted).send()?;
        self.desk.lock().calls += 1;
        Ok(reply)
    }

    /// Sets this thread's marks, has the driver make them capitals, and looks at them.
    fn set_marks(&self, mark: u8, phase: Duration) -> Result<(), Stop> {
        self.schedule.sleep(phase);
        let mut places = [0; MARKS];
        for place in &mut places {
            *place = buffer::TEXT + self.ticket()?;
            let before = self.buffer.swap::<u8>(*place, mark)?;
            promise!(before == EMPTY, "place {place} is given twice: {:?}", char::from(before));
            self.schedule.sleep(PACE);
        }
        let capitals = self.call(selector::CAPITALS, &[], 1);
        if self.bug != Some(Bug::SharedErrorSwallowed) {
            capitals?;
        }
        for place in places {
            let now = self.buffer.load::<u8>(place)?;
            let is_capital = now == mark.to_ascii_uppercase();
            promise!(is_capital, "place {place} is still {:?}", char::from(now));
        }
        Ok(())
    }

    /// The number of the next free place.
    fn ticket(&self) -> Result<u64, Stop> {
        if self.bug == Some(Bug::SharedTicketGuessed) {
            let next = self.call(selector::COUNT, &[0], 1)?.scalars[0];
            self.call(selector::COUNT, &[1], 1)?;
            return Ok(next);
        }
        Ok(self.call(selector::COUNT, &[1], 1)?.scalars[0])
    }

    /// The watcher: takes the flag and counts.
    fn watch(&self) -> Result<(), Stop> {
        while !self.desk.lock().is_over {
            if self.buffer.swap::<u32>(buffer::FLAG, 0)? != 0 {
                self.desk.lock().beats += 1;
                self.desk.notify_all();
            }
            self.schedule.sleep(LOOK);
        }
        Ok(())
    }

    /// Has the driver set the flag some times.
    fn beat(&self) -> Result<(), Stop> {
        for beat in 1..=BEATS {
            self.call(selector::SET_FLAG_LATER, &[BEAT_AFTER], 0)?;
            if self.bug == Some(Bug::SharedBeatsMerge) {
                self.schedule.sleep(25 * MILLISECOND);
                continue;
            }
            let deadline = self.schedule.now() + PATIENCE;
            let mut desk = self.desk.lock();
            while desk.beats < beat {
                if self.schedule.now() >= deadline {
                    return Err(Stop::trouble(format_args!("beat {beat} does not come")));
                }
                desk.wait_until(Some(deadline));
            }
        }
        Ok(())
    }

    /// Compares what was counted on both sides.
    fn count(&self) -> Result<(), Stop> {
        let (calls, beats) = {
            let desk = self.desk.lock();
            (desk.calls, desk.beats)
        };
        promise!(beats == BEATS, "{beats} beats were counted, not {BEATS}");
        let served = self.status.load::<u32>(status::SERVED)?;
        promise!(served >= calls, "{served} calls were served, and {calls} have worked");
        Ok(())
    }

    /// A thread uses the mappings no more. Before that it has the driver settle.
    fn leave(&self) -> Result<(), Stop> {
        let settle = || self.call(selector::COUNT, &[0], 1).map(drop);
        let (settled, is_last) = if self.bug == Some(Bug::SharedLastOneTwice) {
            self.desk.lock().users -= 1;
            let settled = settle();
            (settled, self.desk.lock().users == 0)
        } else {
            let settled = settle();
            let mut desk = self.desk.lock();
            desk.users -= 1;
            (settled, desk.users == 0)
        };
        let unmapped = if is_last { self.mapped.take_down(&self.held, self.bug) } else { Ok(()) };
        settled.and(unmapped)
    }
}
