//! The client: a security key in software, which answers what the host asks for.

use super::abi::{BROADCAST, FRAME, Frame, USER_CLASS, command, from_scalars, selector};
use super::dext::Delivery;
use super::message::{Assembler, Message};
use super::{DELIVERIES, parameter};
use crate::print::{Outcome, Plain};
use crate::{Parameters, ScenarioError, open};
use dextape::IoReturn;
use dextape::call::Completion;
use dextape::connection::{CallError, CompletionQueue, Connection, ConnectionExt, System};
use dextape::schedule::Schedule;
use std::collections::VecDeque;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

/// How long the client waits for a frame before it thinks that there are no more.
const PATIENCE: Duration = Duration::from_secs(1);

/// For how long it is busy with something else while the host sends its burst.
const BUSY: Duration = Duration::from_millis(50);

/// The channel that it gives out.
const CHANNEL: u32 = 0x0000_0101;

/// What stands in the reference, where a C client has its callback and its context.
const REFERENCE: [u64; 3] = [0, 1, 2];

/// How the client listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    /// It registers before it starts the device, and fetches until there is nothing more.
    Right,
    /// It registers when the device has started.
    Late,
    /// It fetches one frame for each notice.
    OneANotice,
}

const HABITS: [(&str, Habit); 3] =
    [("right", Habit::Right), ("late", Habit::Late), ("one-a-notice", Habit::OneANotice)];

pub(super) fn run(
    parameters: &Parameters,
    system: &Arc<dyn System>,
    out: &mut dyn Write,
) -> Result<(), ScenarioError> {
    let delivery = parameters.choice(parameter::DELIVERY, &DELIVERIES)?;
    let habit = parameters.choice(parameter::CLIENT, &HABITS)?;
    let burst = parameters.number(parameter::BURST, 0..=100_000)?;
    let connection = open(system, USER_CLASS)?;
    let queue = system.completion_queue();
    let schedule = system.schedule();
    let mut key = Key {
        connection: &*connection,
        queue: &*queue,
        schedule,
        out,
        delivery,
        habit,
        frames: VecDeque::new(),
        assembler: Assembler::default(),
    };
    key.begin()?;
    key.answer()?;
    key.burst(burst)?;
    key.end()?;
    writeln!(out, "close: {}", Plain(connection.close()))?;
    Ok(())
}

/// A security key.
struct Key<'a> {
    connection: &'a dyn Connection,
    queue: &'a dyn CompletionQueue,
    schedule: &'a Schedule,
    out: &'a mut dyn Write,
    delivery: Delivery,
    habit: Habit,
    /// Frames fetched and not looked at yet.
    frames: VecDeque<Frame>,
    assembler: Assembler,
}

impl Key<'_> {
    fn plain(&self, selector: u32) -> String {
        Outcome(&self.connection.call(selector).send()).to_string()
    }

    fn register(&mut self) -> Result<(), ScenarioError> {
        let call = self.connection.call(selector::NOTIFY_FRAME);
        let reply = call.completing_on(self.queue, &REFERENCE).send();
        writeln!(self.out, "notify: {}", Outcome(&reply))?;
        Ok(())
    }

    fn begin(&mut self) -> Result<(), ScenarioError> {
        writeln!(self.out, "send before start: {}", told(&self.send_bytes(&[0; FRAME])))?;
        writeln!(self.out, "notify without a port: {}", self.plain(selector::NOTIFY_FRAME))?;
        if self.habit != Habit::Late {
            self.register()?;
            // As programs do that think it is good for one frame only.
            self.register()?;
        }
        writeln!(self.out, "start: {}", self.plain(selector::START))?;
        writeln!(self.out, "start again: {}", self.plain(selector::START))?;
        if self.habit == Habit::Late {
            // Long enough for the host to begin.
            self.schedule.sleep(BUSY);
            self.register()?;
        }
        for (what, bytes) in [("63", &[0; 63][..]), ("65 without a report", &[1; 65])] {
            writeln!(self.out, "send {what}: {}", told(&self.send_bytes(bytes)))?;
        }
        Ok(())
    }

    /// Answers the host until it has pinged.
    fn answer(&mut self) -> Result<(), ScenarioError> {
        loop {
            let Some(message) = self.message()? else {
                writeln!(self.out, "no frame within {} s", PATIENCE.as_secs())?;
                return Ok(());
            };
            let length = message.payload.len();
            match message.command {
                command::INIT => {
                    writeln!(self.out, "init, {length} bytes on {:#x}", message.channel)?;
                    let mut payload = message.payload;
                    payload.extend(CHANNEL.to_be_bytes());
                    // Version 2 of the protocol, version 1.0.0 of the device, no capabilities.
                    payload.extend([2, 1, 0, 0, 0]);
                    self.send(&Message::new(BROADCAST, command::INIT, payload))?;
                }
                command::PING => {
                    writeln!(self.out, "ping, {length} bytes on {:#x}", message.channel)?;
                    return self.send(&message);
                }
                other => writeln!(self.out, "command {other:#x}, {length} bytes")?,
            }
        }
    }

    /// Does something else while the host sends reports, then takes them.
    fn burst(&mut self, burst: u64) -> Result<(), ScenarioError> {
        self.schedule.sleep(BUSY);
        let mut came = 0;
        let mut in_order = true;
        while came < burst {
            let Some(message) = self.message()? else { break };
            came += 1;
            let number = message.payload.first_chunk().copied().map(u32::from_be_bytes);
            in_order &= message.command == command::NUMBERED;
            in_order &= number.map(u64::from) == Some(came);
        }
        let order = if in_order { "" } else { ", not in order" };
        writeln!(self.out, "reports while busy: {came} of {burst}{order}")?;
        Ok(())
    }

    /// Unplugs the device and sees whether it is quiet.
    fn end(&mut self) -> Result<(), ScenarioError> {
        writeln!(self.out, "stop: {}", self.plain(selector::STOP))?;
        let mut late = 0;
        while self.message()?.is_some() {
            late += 1;
        }
        writeln!(self.out, "reports after stop: {late}")?;
        writeln!(self.out, "send after stop: {}", told(&self.send_bytes(&[0; FRAME])))?;
        if self.delivery != Delivery::Scalars {
            let left = self.fetch().err().map_or(IoReturn::SUCCESS, |error| code(&error));
            writeln!(self.out, "fetch after stop: {}", Plain(left))?;
        }
        Ok(())
    }

    /// The next message of the host, if one comes in time.
    fn message(&mut self) -> Result<Option<Message>, ScenarioError> {
        loop {
            while let Some(frame) = self.frames.pop_front() {
                if let Some(message) = self.assembler.push(&frame) {
                    return Ok(Some(message));
                }
            }
            let Some(completion) = self.queue.wait(Some(PATIENCE)) else { return Ok(None) };
            self.take(&completion)?;
        }
    }

    /// Takes the frame of a completion, or fetches those that it tells of.
    fn take(&mut self, completion: &Completion) -> Result<(), ScenarioError> {
        if !completion.status.is_success() {
            writeln!(self.out, "a completion with {}", completion.status)?;
            return Ok(());
        }
        if self.delivery == Delivery::Scalars {
            match from_scalars(&completion.arguments) {
                Some(frame) => self.frames.push_back(frame),
                None => {
                    let count = completion.arguments.len();
                    writeln!(self.out, "a completion of {count} arguments")?;
                }
            }
            return Ok(());
        }
        loop {
            match self.fetch() {
                Ok(frame) => self.frames.push_back(frame),
                // Fetched already, for an earlier notice.
                Err(error) if code(&error) == IoReturn::NO_FRAMES => return Ok(()),
                Err(error) => {
                    writeln!(self.out, "fetch: {}", Plain(code(&error)))?;
                    return Ok(());
                }
            }
            if self.habit == Habit::OneANotice {
                return Ok(());
            }
        }
    }

    fn fetch(&self) -> Result<Frame, CallError> {
        let mut frame = [0; FRAME];
        self.connection.call(selector::GET_FRAME).output_bytes(&mut frame)?;
        Ok(frame)
    }

    fn send(&mut self, message: &Message) -> Result<(), ScenarioError> {
        for (number, frame) in message.frames().iter().enumerate() {
            // With the number of the report and without it: the dext takes both.
            let sent = if number % 2 == 0 {
                self.send_bytes(frame)
            } else {
                let mut bytes = [0; FRAME + 1];
                bytes[1..].copy_from_slice(frame);
                self.send_bytes(&bytes)
            };
            if sent.is_err() {
                writeln!(self.out, "send: {}", told(&sent))?;
            }
        }
        Ok(())
    }

    fn send_bytes(&self, bytes: &[u8]) -> Result<(), CallError> {
        self.connection.call(selector::SEND_FRAME).input_bytes(bytes).send().map(drop)
    }
}

fn code(error: &CallError) -> IoReturn {
    error.io_return().unwrap_or(IoReturn::ERROR)
}

fn told(result: &Result<(), CallError>) -> String {
    Plain(result.as_ref().err().map_or(IoReturn::SUCCESS, code)).to_string()
}
