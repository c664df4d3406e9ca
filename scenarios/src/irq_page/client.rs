//! The client: sets interrupts up, waits for them in every order, and has a thread handle them.

use super::abi::{USER_CLASS, WORDS, memory_type, page, register, selector};
use super::parameter;
use crate::print::{Outcome, Plain};
use crate::{Parameters, ScenarioError, open};
use dextape::IoReturn;
use dextape::call::{Completion, MapOptions};
use dextape::connection::{
    CallError, CompletionQueue, Connection, ConnectionExt, Mapping, Reply, System,
};
use dextape::memory::AccessError;
use dextape::schedule::Schedule;
use std::fmt::{self, Display, Write as _};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

/// What the client puts into entry 1 of the reference, where a C client has its callback.
const CALLBACK: u64 = 1;

/// How long the thread waits for an interrupt before it thinks that none will come any more.
const PATIENCE: Duration = Duration::from_millis(100);

/// How long the client waits for what should come at once.
const MOMENT: Duration = Duration::from_millis(5);

/// How long the thread handles interrupts before it waits again.
const HANDLING: Duration = Duration::from_millis(4);

/// All vectors are enabled.
const ALL: [u64; WORDS] = [u64::MAX; WORDS];

/// All but vector 4.
const ALL_BUT_4: [u64; WORDS] = [!(1 << 4), u64::MAX, u64::MAX, u64::MAX];

/// How the thread takes the pending bits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taking {
    /// It swaps them for none, and handles those.
    Swaps,
    /// It reads them, handles them, and clears the words then: what came meanwhile is cleared, too.
    ClearsLate,
}

pub(super) fn run(
    parameters: &Parameters,
    system: &Arc<dyn System>,
    out: &mut dyn Write,
) -> Result<(), ScenarioError> {
    let choices = [("right", Taking::Swaps), ("late-clear", Taking::ClearsLate)];
    let taking = parameters.choice(parameter::CLIENT, &choices)?;
    let connection: Arc<dyn Connection> = Arc::from(open(system, USER_CLASS)?);
    let device = Device { connection, queue: system.completion_queue() };

    device.too_early(out)?;
    writeln!(out, "set up: {}", Outcome(&device.set_up()))?;
    let map = device.connection.map_memory(memory_type::IRQ_PAGE, MapOptions::ANYWHERE, 0);
    let bits = map.map_err(ScenarioError::refused("map the interrupt page"))?;
    writeln!(out, "map the page: {} bytes", bits.length())?;
    device.before_the_wait(&bits, out)?;
    device.two_waits(&bits, out)?;
    device.with_a_thread(taking, &bits, system.schedule(), out)?;

    // The dext gives the vectors back in its Stop, which the close has not waited for (G14).
    system.schedule().sleep(MOMENT);
    match open(system, USER_CLASS) {
        Ok(connection) => {
            let queue = system.completion_queue();
            Device { connection: Arc::from(connection), queue }.interrupt_during_close(out)?;
        }
        Err(ScenarioError::Refused { what, result }) => writeln!(out, "{what}: {result}")?,
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Vectors 0 to 63 as bits.
struct Bits(u64);

impl Display for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("none"),
            bits => write!(f, "{bits:#04x}"),
        }
    }
}

/// What a wait was completed with, or that it was not.
struct Told<'a>(&'a Option<Completion>);

impl Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("no completion"),
            Some(Completion { status: IoReturn::SUCCESS, arguments, reference }) => {
                let vectors = arguments.first().copied().unwrap_or_default();
                write!(f, "wait {} completes with {}", reference[2], Bits(vectors))
            }
            Some(completion) => {
                write!(f, "wait {} completes: {}", completion.reference[2], completion.status)
            }
        }
    }
}

/// An open connection, and where its waits complete.
struct Device {
    connection: Arc<dyn Connection>,
    queue: Arc<dyn CompletionQueue>,
}

impl Device {
    fn set_up(&self) -> Result<Reply, CallError> {
        self.connection.call(selector::SETUP_INTERRUPTS).want_scalars(1).send()
    }

    /// Waits for an interrupt; the number comes back with the completion.
    fn arm(&self, number: u64) -> Result<Reply, CallError> {
        let reference = [0, CALLBACK, number];
        let call = self.connection.call(selector::WAIT_INTERRUPT);
        call.completing_on(&*self.queue, &reference).send()
    }

    fn mask(&self, enabled: &[u64; WORDS]) -> Result<Reply, CallError> {
        self.connection.call(selector::SET_IRQ_MASK).scalars(enabled).send()
    }

    /// Which vectors are pending.
    fn pending(&self) -> String {
        match self.connection.call(selector::CHECK_INTERRUPT).want_scalars(WORDS).send() {
            Ok(reply) => Bits(reply.scalars.first().copied().unwrap_or_default()).to_string(),
            reply => Outcome(&reply).to_string(),
        }
    }

    /// Has the device interrupt.
    fn interrupt(&self, vectors: u64) -> Result<Reply, CallError> {
        let scalars = [register::INTERRUPT, vectors];
        self.connection.call(selector::WRITE_REGISTER).scalars(&scalars).send()
    }

    /// What there is none of before the interrupts are set up.
    fn too_early(&self, out: &mut dyn Write) -> Result<(), ScenarioError> {
        writeln!(out, "wait before the setup: {}", Outcome(&self.arm(0)))?;
        writeln!(out, "pending before the setup: {}", self.pending())?;
        writeln!(out, "mask before the setup: {}", Outcome(&self.mask(&ALL)))?;
        let mapped = self.connection.map_memory(memory_type::IRQ_PAGE, MapOptions::ANYWHERE, 0);
        let mapped = mapped.err().unwrap_or(IoReturn::SUCCESS);
        writeln!(out, "map before the setup: {}", Plain(mapped))?;
        let unmapped = self.connection.unmap_memory(memory_type::IRQ_PAGE, 0);
        writeln!(out, "unmap before the setup: {}", Plain(unmapped))?;
        Ok(())
    }

    /// The device interrupts, and then somebody waits.
    fn before_the_wait(&self, bits: &Mapping, out: &mut dyn Write) -> Result<(), ScenarioError> {
        self.interrupt(1 << 2)?;
        writeln!(out, "nobody waits, pending: {}", self.pending())?;
        writeln!(out, "wait 1: {}", Outcome(&self.arm(1)))?;
        writeln!(out, "  {}", Told(&self.queue.wait(Some(MOMENT))))?;
        writeln!(out, "  found {}", Bits(take(bits)?))?;
        Ok(())
    }

    /// Two waits are outstanding, as the client sees it.
    fn two_waits(&self, bits: &Mapping, out: &mut dyn Write) -> Result<(), ScenarioError> {
        for number in [2, 3] {
            writeln!(out, "wait {number}: {}", Outcome(&self.arm(number)))?;
        }
        self.interrupt(1 << 3)?;
        for _ in 0..2 {
            writeln!(out, "  {}", Told(&self.queue.wait(Some(MOMENT))))?;
        }
        writeln!(out, "  found {}", Bits(take(bits)?))?;
        Ok(())
    }

    /// A thread handles interrupts, while this one has the device interrupt.
    fn with_a_thread(
        &self,
        taking: Taking,
        bits: &Mapping,
        schedule: &Schedule,
        out: &mut dyn Write,
    ) -> Result<(), ScenarioError> {
        let handler = Handler {
            device: Self {
                connection: Arc::clone(&self.connection),
                queue: Arc::clone(&self.queue),
            },
            bits: bits.clone(),
            schedule: schedule.clone(),
            taking,
        };
        let thread = schedule.spawn("interrupts", move || handler.run());
        let pause = |milliseconds| schedule.sleep(Duration::from_millis(milliseconds));

        pause(10);
        let mut text = String::new();
        // 1 is handled for 4 ms; 2 and 5 come meanwhile, when nobody waits.
        for (vector, after) in [(0, 10), (1, 1), (2, 1), (5, 18), (6, 10)] {
            let reply = self.interrupt(1 << vector);
            if reply.is_err() {
                let _ = writeln!(text, "interrupt {vector}: {}", Outcome(&reply));
            }
            pause(after);
        }
        let _ = writeln!(text, "disable vector 4: {}", Outcome(&self.mask(&ALL_BUT_4)));
        let _ = writeln!(text, "interrupt 4: {}", Outcome(&self.interrupt(1 << 4)));
        pause(2);
        let _ = writeln!(text, "pending: {}", self.pending());
        let _ = writeln!(text, "enable it: {}", Outcome(&self.mask(&ALL)));
        pause(10);
        let closed = self.connection.close();
        writeln!(out, "-- thread")?;
        out.write_all(thread.join()?.as_bytes())?;
        writeln!(out, "-- main")?;
        out.write_all(text.as_bytes())?;
        writeln!(out, "close: {}", Plain(closed))?;
        Ok(())
    }

    /// The device interrupts, and the connection is closed before anybody looks.
    fn interrupt_during_close(&self, out: &mut dyn Write) -> Result<(), ScenarioError> {
        writeln!(out, "set up again: {}", Outcome(&self.set_up()))?;
        writeln!(out, "wait 1: {}", Outcome(&self.arm(1)))?;
        self.interrupt(1 << 7)?;
        writeln!(out, "interrupt and close: {}", Plain(self.connection.close()))?;
        for _ in 0..2 {
            writeln!(out, "  {}", Told(&self.queue.wait(Some(MOMENT))))?;
        }
        Ok(())
    }
}

/// Takes the pending bits of the page; those of the device's vectors are in the first word.
fn take(bits: &Mapping) -> Result<u64, AccessError> {
    let mut first = 0;
    for word in (0..WORDS).rev() {
        first = bits.swap::<u64>(page::PENDING + 8 * word as u64, 0)?;
    }
    Ok(first)
}

/// The thread that handles interrupts.
struct Handler {
    device: Device,
    bits: Mapping,
    schedule: Schedule,
    taking: Taking,
}

impl Handler {
    /// Waits and handles until no wait is completed any more. Gives what it would print.
    fn run(&self) -> Result<String, AccessError> {
        let mut text = String::new();
        for number in 4.. {
            let armed = self.device.arm(number);
            if armed.is_err() {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "wait {number}: {}", Outcome(&armed));
                break;
            }
            let told = self.device.queue.wait(Some(PATIENCE));
            let _ = write!(text, "{}", Told(&told));
            if !told.is_some_and(|told| told.status.is_success()) {
                text.push('\n');
                break;
            }
            let found = self.handle()?;
            let _ = writeln!(text, ", found {}", Bits(found));
        }
        Ok(text)
    }

    fn handle(&self) -> Result<u64, AccessError> {
        match self.taking {
            Taking::Swaps => {
                let found = take(&self.bits)?;
                self.schedule.sleep(HANDLING);
                Ok(found)
            }
            Taking::ClearsLate => {
                let found = self.bits.load::<u64>(page::PENDING)?;
                self.schedule.sleep(HANDLING);
                self.bits.store::<u64>(page::PENDING, 0)?;
                Ok(found)
            }
        }
    }
}
