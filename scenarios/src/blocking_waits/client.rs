//! The client: plays, captures and watches on several threads of one connection, each of which waits
//! in a call of its own, while the main thread goes on.

use super::abi::{BOARD_ID, FRAME, USER_CLASS, interrupt, memory_type, register, selector};
use super::parameter;
use crate::print::{Outcome, Plain};
use crate::{Parameters, ScenarioError, open};
use dextape::IoReturn;
use dextape::call::MapOptions;
use dextape::connection::{CallError, Connection, ConnectionExt, Mapping, System};
use dextape::schedule::{Schedule, TaskHandle};
use std::fmt::Write as _;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

/// How long a thread waits for a frame, in milliseconds: AJA's own default.
const FRAME_TIMEOUT: u64 = 50;

/// How long one waits for a signal where there is none, in milliseconds.
const SIGNAL_TIMEOUT: u64 = 100;

/// How long the watcher waits for a change, in milliseconds.
const CHANGE_TIMEOUT: u64 = 500;

/// Frames that are played and captured.
const FRAMES: u64 = 4;

/// How often it is tried to find a signal where there is none.
const TRIES: u64 = 2;

/// When the main thread goes on, after the threads were started.
const PAUSE: Duration = Duration::from_millis(33);

/// After which further time a client closes that does not wait for its threads.
const IMPATIENCE: Duration = Duration::from_millis(12);

/// The format that is set.
const FORMAT: u64 = 2;

/// What the client does wrong, if anything.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mistake {
    None,
    /// It maps the registers while its threads wait.
    LateMap,
    /// It closes while its threads wait.
    EarlyClose,
}

pub(super) fn run(
    parameters: &Parameters,
    system: &Arc<dyn System>,
    out: &mut dyn Write,
) -> Result<(), ScenarioError> {
    let choices = [
        ("right", Mistake::None),
        ("late-map", Mistake::LateMap),
        ("early-close", Mistake::EarlyClose),
    ];
    let mistake = parameters.choice(parameter::CLIENT, &choices)?;
    let connection: Arc<dyn Connection> = Arc::from(open(system, USER_CLASS)?);
    let main = Main { connection: &connection, schedule: system.schedule() };
    if mistake != Mistake::LateMap {
        main.map(out)?;
    }
    let started = main.write(register::CONTROL, 1);
    writeln!(out, "start the board: {started}")?;
    let threads = main.start_threads();

    main.schedule.sleep(PAUSE);
    if mistake == Mistake::LateMap {
        main.map(out)?;
    }
    let (set, frames) = main.timed(|| main.write(register::FORMAT, FORMAT));
    writeln!(out, "set the format: {set}{}", Frames(frames))?;
    if mistake == Mistake::EarlyClose {
        main.schedule.sleep(IMPATIENCE);
        main.close(out)?;
    }
    for (name, thread) in threads {
        writeln!(out, "-- {name}")?;
        out.write_all(thread.join().as_bytes())?;
    }
    if mistake != Mistake::EarlyClose {
        writeln!(out, "-- main")?;
        writeln!(out, "stop the board: {}", main.write(register::CONTROL, 0))?;
        main.close(out)?;
    }
    Ok(())
}

/// What the main thread works with.
struct Main<'a> {
    connection: &'a Arc<dyn Connection>,
    schedule: &'a Schedule,
}

/// How many frames went by, where any did.
struct Frames(u64);

impl std::fmt::Display for Frames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            0 => Ok(()),
            1 => f.write_str(", a frame later"),
            frames => write!(f, ", {frames} frames later"),
        }
    }
}

impl Main<'_> {
    /// What `work` gives, and how many frames it took.
    fn timed<R>(&self, work: impl FnOnce() -> R) -> (R, u64) {
        let before = self.schedule.now();
        let result = work();
        let passed = self.schedule.now().saturating_sub(before);
        (result, (passed.as_nanos() / FRAME.as_nanos()) as u64)
    }

    fn write(&self, number: u64, value: u64) -> String {
        let call = self.connection.call(selector::WRITE_REGISTER);
        Outcome(&call.scalars(&[number, value]).send()).to_string()
    }

    /// Maps the registers, and looks what board it is.
    fn map(&self, out: &mut dyn Write) -> Result<(), ScenarioError> {
        let map = || self.connection.map_memory(memory_type::REGISTERS, MapOptions::ANYWHERE, 0);
        let (mapped, frames): (Result<Mapping, IoReturn>, u64) = self.timed(map);
        match mapped {
            Ok(registers) => {
                let board = registers.load::<u32>(4 * register::ID)?;
                let whose = if board == BOARD_ID { "the board is known" } else { "another board" };
                writeln!(out, "map the registers: {whose}{}", Frames(frames))?;
            }
            Err(result) => writeln!(out, "map the registers: {result}{}", Frames(frames))?,
        }
        Ok(())
    }

    fn close(&self, out: &mut dyn Write) -> Result<(), ScenarioError> {
        let (closed, frames) = self.timed(|| self.connection.close());
        writeln!(out, "close: {}{}", Plain(closed), Frames(frames))?;
        Ok(())
    }

    /// Starts the threads, a millisecond apart, each with a pace of its own: who comes first where
    /// they wait for each other is the same in every run.
    fn start_threads(&self) -> Vec<(&'static str, TaskHandle<String>)> {
        type Body = fn(&Thread, &mut String) -> Result<(), CallError>;
        let bodies: [(&'static str, u64, Body); 4] = [
            ("player", 70, Thread::play),
            ("capture", 110, Thread::capture),
            ("watcher", 130, Thread::watch),
            ("second input", 170, Thread::search),
        ];
        let start = |(index, (name, pace, body)): (u64, (&'static str, u64, Body))| {
            let (connection, schedule) = (Arc::clone(self.connection), self.schedule.clone());
            let pace = Duration::from_micros(pace);
            let thread = self.schedule.spawn(name, move || {
                schedule.sleep(Duration::from_millis(index));
                let mut text = String::new();
                if let Err(error) = body(&Thread { connection, schedule, pace }, &mut text) {
                    // Writing to a string cannot fail.
                    let _ = writeln!(text, "gives up: {}", Outcome(&Err(error)));
                }
                text
            });
            (name, thread)
        };
        (0..).zip(bodies).map(start).collect()
    }
}

/// What a thread works with.
struct Thread {
    connection: Arc<dyn Connection>,
    schedule: Schedule,
    /// What it does before each call takes so long.
    pace: Duration,
}

impl Thread {
    /// Calls a method that returns so many scalars, and gives the first.
    fn call(&self, selector: u32, scalars: &[u64], wanted: usize) -> Result<u64, CallError> {
        self.schedule.sleep(self.pace);
        let reply = self.connection.call(selector).scalars(scalars).want_scalars(wanted).send()?;
        Ok(reply.scalars.first().copied().unwrap_or_default())
    }

    /// Whether the interrupt came in time, and how many there were before that nobody waited for.
    fn frame(&self, line: u64, last: &mut u64) -> Result<(bool, String), CallError> {
        let came = self.call(selector::WAIT_FOR_INTERRUPT, &[line, FRAME_TIMEOUT], 1)? != 0;
        let count = self.call(selector::INTERRUPT_COUNT, &[line], 1)?;
        let since = count.saturating_sub(*last);
        *last = count;
        let missed = since.saturating_sub(u64::from(came));
        let missed = if missed > 0 { format!(", missed {missed}") } else { String::new() };
        Ok((came, missed))
    }

    fn play(&self, text: &mut String) -> Result<(), CallError> {
        let mut last = 0;
        for frame in 1..=FRAMES {
            let (came, missed) = self.frame(interrupt::OUTPUT, &mut last)?;
            self.call(selector::WRITE_REGISTER, &[register::OUTPUT_FRAME, frame], 0)?;
            let came = if came { "goes out" } else { "has no interrupt" };
            let _ = writeln!(text, "frame {frame} {came}{missed}");
        }
        Ok(())
    }

    fn capture(&self, text: &mut String) -> Result<(), CallError> {
        let mut last = 0;
        for _ in 0..FRAMES {
            let (came, missed) = self.frame(interrupt::INPUT_1, &mut last)?;
            let frame = self.call(selector::READ_REGISTER, &[register::INPUT_FRAME], 1)?;
            let came = if came { "came in" } else { "was there without an interrupt" };
            let _ = writeln!(text, "frame {frame} {came}{missed}");
        }
        Ok(())
    }

    fn watch(&self, text: &mut String) -> Result<(), CallError> {
        let came = self.call(selector::WAIT_FOR_CHANGE, &[CHANGE_TIMEOUT], 1)? != 0;
        let format = self.call(selector::READ_REGISTER, &[register::FORMAT], 1)?;
        let came = if came { "the format changed" } else { "no change was told" };
        let _ = writeln!(text, "{came}: {format}");
        Ok(())
    }

    fn search(&self, text: &mut String) -> Result<(), CallError> {
        for _ in 0..TRIES {
            let scalars = [interrupt::INPUT_2, SIGNAL_TIMEOUT];
            let came = self.call(selector::WAIT_FOR_INTERRUPT, &scalars, 1)? != 0;
            let _ = writeln!(text, "{}", if came { "a signal" } else { "no signal" });
        }
        Ok(())
    }
}
