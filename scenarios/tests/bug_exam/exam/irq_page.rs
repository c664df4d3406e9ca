//! A client of `irq-page`: has the device interrupt, and a thread that handles the interrupts.
//!
//! The dext is the one that does not look at the page when a wait begins.

use super::Bug;
use super::ledger::Ledger;
use super::stop::{Failure, Outcome, Stop, check, conclude};
use super::waiting::{completion_within, open};
use dextape::connection::{CompletionQueue, Connection, ConnectionExt, Mapping, System};
use dextape::schedule::{Monitor, Schedule};
use dextape_scenarios::irq_page::abi::{
    USER_CLASS, VECTORS, WORDS, memory_type, page, register, selector,
};
use std::sync::Arc;
use std::time::Duration;

const MILLISECOND: Duration = Duration::from_millis(1);

/// Between two interrupts.
const PAUSE: Duration = Duration::from_millis(10);

/// How long one may stay unhandled.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between two looks of the thread whether all is over.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Default)]
struct Desk {
    raised: [u32; VECTORS as usize],
    handled: [u32; VECTORS as usize],
    is_over: bool,
    /// The thread has met trouble, and reports it.
    is_stopped: bool,
}

/// The thread that handles interrupts.
struct Handler {
    bug: Option<Bug>,
    connection: Arc<dyn Connection>,
    queue: Arc<dyn CompletionQueue>,
    schedule: Schedule,
    bits: Mapping,
    desk: Arc<Monitor<Desk>>,
}

pub(super) fn run(system: &Arc<dyn System>, bug: Option<Bug>) -> Result<Outcome, Failure> {
    let connection = match open(system, USER_CLASS) {
        Ok(connection) => connection,
        Err(stop) => return conclude([Err(stop)]),
    };
    let mut ledger = Ledger::new(&*connection);
    let worked = session(bug, system, &connection, &mut ledger);
    let unmapped = ledger.unmap_all();
    let checked = ledger.check().map_err(Stop::from);
    let closed = connection.close().ok().map_err(Stop::from);
    conclude([worked, checked, unmapped, closed])
}

fn session(
    bug: Option<Bug>,
    system: &Arc<dyn System>,
    connection: &Arc<dyn Connection>,
    ledger: &mut Ledger<'_>,
) -> Result<(), Stop> {
    let schedule = system.schedule();
    let reply = connection.call(selector::SETUP_INTERRUPTS).want_scalars(1).send()?;
    if reply.scalars[..] != [u64::from(VECTORS)] {
        return Err(Stop::trouble("the device has another number of vectors"));
    }
    let handler = Handler {
        bug,
        connection: Arc::clone(connection),
        queue: system.completion_queue(),
        schedule: schedule.clone(),
        bits: ledger.map(memory_type::IRQ_PAGE)?,
        desk: Arc::new(Monitor::new(schedule, "desk", Desk::default())),
    };
    let desk = Arc::clone(&handler.desk);
    let thread = schedule.spawn("interrupts", move || {
        let worked = handler.work();
        handler.desk.lock().is_stopped = worked.is_err();
        handler.desk.notify_all();
        worked
    });
    schedule.sleep(PAUSE);
    let raised = raise_all(&**connection, &desk, schedule);
    desk.lock().is_over = true;
    let handled = thread.join();
    let desk = desk.lock();
    for (vector, (raised, handled)) in desk.raised.iter().zip(&desk.handled).enumerate() {
        check!(handled <= raised, "vector {vector} was handled {handled} times of {raised}");
    }
    drop(desk);
    // What the thread found wrong is the cause of what this one did.
    match (handled, raised) {
        (Err(Stop::Trouble(_)), Err(Stop::Check(failure))) => Err(Stop::Check(failure)),
        (handled, raised) => handled.and(raised),
    }
}

/// Has the device interrupt on one vector after the other.
fn raise_all(
    connection: &dyn Connection,
    desk: &Monitor<Desk>,
    schedule: &Schedule,
) -> Result<(), Stop> {
    for vector in 0..VECTORS as usize {
        // Before the call: it may be handled before that returns.
        desk.lock().raised[vector] += 1;
        let scalars = [register::INTERRUPT, 1 << vector];
        connection.call(selector::WRITE_REGISTER).scalars(&scalars).send()?;
        let deadline = schedule.now() + PATIENCE;
        let mut held = desk.lock();
        while held.handled[vector] == 0 && !held.is_stopped && schedule.now() < deadline {
            held.wait_until(Some(deadline));
        }
        let is_handled = held.handled[vector] > 0;
        if held.is_stopped && !is_handled {
            return Err(Stop::trouble("nobody handles interrupts any more"));
        }
        drop(held);
        if !is_handled {
            // Nobody can handle it where the device is gone.
            let reply = connection.call(selector::CHECK_INTERRUPT).want_scalars(WORDS).send()?;
            let is_pending = reply.scalars[0] >> vector & 1 == 1;
            check!(false, "nobody handled vector {vector}, pending: {is_pending}");
        }
        schedule.sleep(PAUSE);
    }
    Ok(())
}

impl Handler {
    /// Handles interrupts until all is over.
    fn work(&self) -> Result<(), Stop> {
        let mut number = 1;
        let mut vectors = [0; WORDS];
        self.arm(number)?;
        while !self.desk.lock().is_over {
            let looks_first = !matches!(
                self.bug,
                Some(Bug::IrqLostWakeUp | Bug::IrqCompletionTrusted | Bug::IrqAbortIsInterrupt)
            );
            // What came before the wait was armed completes nothing.
            if looks_first && self.take()? {
                continue;
            }
            let Some(told) = completion_within(&*self.queue, &self.schedule, LOOK) else {
                if self.bug == Some(Bug::IrqSilenceIsEnd) {
                    return Ok(());
                }
                continue;
            };
            match self.bug {
                Some(Bug::IrqAbortIsInterrupt) => {
                    for (vector, said) in vectors.iter_mut().zip(&told.arguments[..]) {
                        *vector = *said;
                    }
                    self.trust(vectors)?;
                }
                Some(Bug::IrqCompletionTrusted) => {
                    told.status.ok()?;
                    self.trust(told.arguments[..].try_into().unwrap_or_default())?;
                }
                Some(Bug::IrqLostWakeUp) => {
                    told.status.ok()?;
                    self.take()?;
                }
                _ => told.status.ok()?,
            }
            number += 1;
            self.arm(number)?;
        }
        Ok(())
    }

    fn arm(&self, number: u64) -> Result<(), Stop> {
        let reference = [0, 1, number];
        let call = self.connection.call(selector::WAIT_INTERRUPT);
        call.completing_on(&*self.queue, &reference).send()?;
        Ok(())
    }

    /// Takes and handles what is pending; false where that is nothing.
    fn take(&self) -> Result<bool, Stop> {
        let mut found = [0; WORDS];
        for (word, place) in found.iter_mut().zip((page::PENDING..).step_by(8)) {
            *word = if self.bug == Some(Bug::IrqClearedLate) {
                self.bits.load::<u64>(place)?
            } else {
                self.bits.swap::<u64>(place, 0)?
            };
        }
        if found == [0; WORDS] {
            return Ok(false);
        }
        self.handle(found[0]);
        if self.bug == Some(Bug::IrqClearedLate) {
            self.bits.store::<u64>(page::PENDING, 0)?;
        }
        Ok(true)
    }

    /// Handles the vectors that a completion names, and clears them.
    fn trust(&self, vectors: [u64; WORDS]) -> Result<(), Stop> {
        self.bits.fetch_and::<u64>(page::PENDING, !vectors[0])?;
        self.handle(vectors[0]);
        Ok(())
    }

    fn handle(&self, vectors: u64) {
        self.schedule.sleep(MILLISECOND);
        let mut desk = self.desk.lock();
        for (vector, handled) in desk.handled.iter_mut().enumerate() {
            *handled += u32::from(vectors >> vector & 1 == 1);
        }
        drop(desk);
        self.desk.notify_all();
    }
}
