//! A client of `irq-page`: a dispatcher takes interrupts, masks each vector and hands it to a thread of its
//! own, which does the work and unmasks it again. The dext refuses a second wait.

use super::Bug;
use super::held::Held;
use super::verdict::{Failure, Outcome, Stop, connect, join, promise, sum_up};
use dextape::IoReturn;
use dextape::connection::{CompletionQueue, Connection, ConnectionExt, Mapping, System};
use dextape::schedule::{Monitor, Schedule};
use dextape_scenarios::irq_page::abi::{
    USER_CLASS, VECTORS, WORDS, memory_type, page, register, selector,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Vectors that the device uses, each with a thread.
const USED: usize = 2;

const ROUNDS: u32 = 5;

/// How long the work on an interrupt takes, and the time from one vector's interrupt to the other's.
const WORK: Duration = Duration::from_millis(5);
const STAGGER: Duration = Duration::from_millis(3);

/// After a round.
const PAUSE: Duration = Duration::from_millis(12);

/// After this time the dispatcher looks at the page even where nobody tells of an interrupt.
const LOOK: Duration = Duration::from_secs(1);

/// How long an interrupt may stay unhandled.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Desk {
    raised: [u32; USED],
    handled: [u32; USED],
    /// Handed to its thread, and masked from then until that is done.
    has_work: [bool; USED],
    is_masked: [bool; USED],
    trouble: Option<String>,
    /// The dispatcher has ended by itself, or the mask could not be changed.
    is_stopped: bool,
    is_over: bool,
}

struct Client {
    bug: Option<Bug>,
    connection: Arc<dyn Connection>,
    queue: Arc<dyn CompletionQueue>,
    schedule: Schedule,
    page: Mapping,
    desk: Monitor<Desk>,
    /// Held while the mask is changed.
    mask: Monitor<()>,
}

/// The waits of the dispatcher.
#[derive(Default)]
struct Waits {
    last: u64,
    /// Whether the dispatcher thinks that one is outstanding, and which really are.
    is_armed: bool,
    outstanding: BTreeSet<u64>,
}

pub(super) fn run(system: &Arc<dyn System>, bug: Option<Bug>) -> Result<Outcome, Failure> {
    let connection = match connect(&**system, USER_CLASS) {
        Ok(connection) => connection,
        Err(stop) => return sum_up([Err(stop)]),
    };
    let held = Held::new(&connection);
    let worked = session(bug, system, &connection, &held);
    let unmapped = held.unmap_rest();
    let verified = held.verify();
    let closed = connection.close().ok().map_err(Stop::from);
    sum_up([verified, worked, unmapped, closed])
}

fn session(
    bug: Option<Bug>,
    system: &Arc<dyn System>,
    connection: &Arc<dyn Connection>,
    held: &Held,
) -> Result<(), Stop> {
    let vectors = connection.call(selector::SETUP_INTERRUPTS).want_scalars(1).send()?.scalars[0];
    if vectors != u64::from(VECTORS) {
        return Err(Stop::trouble(format_args!("the device has {vectors} vectors")));
    }
    let schedule = system.schedule().clone();
    let client = Arc::new(Client {
        bug,
        connection: Arc::clone(connection),
        queue: system.completion_queue(),
        page: held.map(memory_type::IRQ_PAGE)?,
        desk: Monitor::new(&schedule, "desk", Desk::default()),
        mask: Monitor::new(&schedule, "mask", ()),
        schedule: schedule.clone(),
    });
    let workers = [0, 1].map(|vector| {
        let client = Arc::clone(&client);
        schedule.spawn(&format!("vector {vector}"), move || client.serve(vector))
    });
    let dispatcher = {
        let client = Arc::clone(&client);
        schedule.spawn("dispatcher", move || {
            let dispatched = client.dispatch();
            client.desk.lock().is_stopped = true;
            client.desk.notify_all();
            dispatched
        })
    };
    schedule.sleep(PAUSE);
    let raised = client.raise_all();
    client.desk.lock().is_over = true;
    client.desk.notify_all();
    let dispatched = dispatcher.join();
    workers.into_iter().for_each(|worker| worker.join());
    let trouble = client.desk.lock().trouble.take();
    let troubled = trouble.map_or(Ok(()), |what| Err(Stop::Trouble(what)));
    join([dispatched, raised, troubled])
}

impl Client {
    /// Main: has the device interrupt, and waits until that is handled.
    fn raise_all(&self) -> Result<(), Stop> {
        for round in 1..=ROUNDS {
            for vector in 0..USED {
                self.raise(vector)?;
                self.schedule.sleep(STAGGER);
            }
            for vector in 0..USED {
                self.wait_for(vector, round)?;
            }
            self.schedule.sleep(PAUSE);
        }
        Ok(())
    }

    fn raise(&self, vector: usize) -> Result<(), Stop> {
        // It may be handled before the call returns.
        self.desk.lock().raised[vector] += 1;
        let scalars = [register::INTERRUPT, 1 << vector];
        self.connection.call(selector::WRITE_REGISTER).scalars(&scalars).send()?;
        Ok(())
    }

    fn wait_for(&self, vector: usize, times: u32) -> Result<(), Stop> {
        let deadline = self.schedule.now() + PATIENCE;
        let mut desk = self.desk.lock();
        while desk.handled[vector] < times && self.schedule.now() < deadline {
            if desk.is_stopped {
                return Err(Stop::trouble("nobody dispatches interrupts"));
            }
            desk.wait_until(Some(deadline));
        }
        let (handled, raised) = (desk.handled[vector], desk.raised[vector]);
        drop(desk);
        promise!(handled <= raised, "vector {vector} was handled {handled} times of {raised}");
        if handled < times {
            // A device that is gone says so.
            let call = self.connection.call(selector::CHECK_INTERRUPT).want_scalars(WORDS);
            let pending = call.send()?.scalars[0] >> vector & 1 == 1;
            promise!(false, "nobody handles vector {vector}, pending: {pending}");
        }
        Ok(())
    }

    /// The dispatcher.
    fn dispatch(&self) -> Result<(), Stop> {
        let mut waits = Waits::default();
        while !self.desk.lock().is_over {
            if !waits.is_armed {
                self.arm(&mut waits)?;
            }
            if self.hand_out()? {
                continue;
            }
            let Some(told) = self.queue.wait(Some(LOOK)) else {
                if self.bug == Some(Bug::IrqArmedAfterQuiet) {
                    waits.is_armed = false;
                }
                continue;
            };
            let number = told.reference[2];
            waits.outstanding.remove(&number);
            // One that comes a second time is about no wait.
            if number == waits.last || self.bug == Some(Bug::IrqStaleDisarms) {
                waits.is_armed = false;
            }
            told.status.ok()?;
        }
        Ok(())
    }

    fn arm(&self, waits: &mut Waits) -> Result<(), Stop> {
        let number = waits.last + 1;
        let reference = [0, 1, number];
        let call = self.connection.call(selector::WAIT_INTERRUPT);
        let armed = call.completing_on(&*self.queue, &reference).send();
        if let Err(error) = armed {
            let ours = error.io_return() == Some(IoReturn::BUSY) && !waits.outstanding.is_empty();
            promise!(
                !ours,
                "wait {:?} is outstanding, and another was asked for",
                waits.outstanding
            );
            return Err(error.into());
        }
        (waits.last, waits.is_armed) = (number, true);
        waits.outstanding.insert(number);
        Ok(())
    }

    /// Takes what is pending and enabled, and hands it to its threads; false where that is nothing.
    fn hand_out(&self) -> Result<bool, Stop> {
        let enabled = self.page.load::<u64>(page::ENABLED)?;
        let pending = if self.bug == Some(Bug::IrqMaskedDropped) {
            self.page.swap::<u64>(page::PENDING, 0)?
        } else {
            // What is masked stays until it is not.
            self.page.fetch_and::<u64>(page::PENDING, !enabled)?
        };
        let found = pending & enabled;
        if found == 0 {
            return Ok(false);
        }
        self.set_mask(|desk| {
            for vector in (0..USED).filter(|vector| found >> vector & 1 == 1) {
                (desk.has_work[vector], desk.is_masked[vector]) = (true, true);
            }
        })?;
        self.desk.notify_all();
        Ok(true)
    }

    /// Changes what is masked, and has the driver do so.
    fn set_mask(&self, change: impl FnOnce(&mut Desk)) -> Result<(), Stop> {
        let held = (self.bug != Some(Bug::IrqMaskStale)).then(|| self.mask.lock());
        let is_masked = {
            let mut desk = self.desk.lock();
            change(&mut desk);
            desk.is_masked
        };
        let masked = (0..USED).filter(|vector| is_masked[*vector]);
        let mut enabled = [u64::MAX; WORDS];
        enabled[0] = masked.fold(u64::MAX, |bits, vector| bits & !(1 << vector));
        let set = self.connection.call(selector::SET_IRQ_MASK).scalars(&enabled).send();
        drop(held);
        if set.is_err() {
            self.desk.lock().is_stopped = true;
            self.desk.notify_all();
        }
        set?;
        Ok(())
    }

    /// The thread of a vector. Its trouble ends nothing.
    fn serve(&self, vector: usize) {
        loop {
            {
                let mut desk = self.desk.lock();
                while !desk.has_work[vector] && !desk.is_over {
                    desk.wait_until(None);
                }
                if desk.is_over {
                    return;
                }
                desk.has_work[vector] = false;
            }
            if let Err(stop) = self.work(vector)
                && let Stop::Trouble(what) = stop
            {
                self.desk.lock().trouble.get_or_insert(what);
            }
        }
    }

    /// Works on an interrupt, and unmasks its vector.
    fn work(&self, vector: usize) -> Result<(), Stop> {
        self.schedule.sleep(WORK);
        let looked = self.connection.call(selector::CHECK_INTERRUPT).want_scalars(WORDS).send();
        self.desk.lock().handled[vector] += 1;
        self.desk.notify_all();
        if self.bug == Some(Bug::IrqMaskedAfterError) {
            looked?;
            return self.set_mask(|desk| desk.is_masked[vector] = false);
        }
        self.set_mask(|desk| desk.is_masked[vector] = false)?;
        looked?;
        Ok(())
    }
}
