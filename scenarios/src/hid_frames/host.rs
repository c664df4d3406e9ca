//! The host at the other end: a program that talks to the device, such as a browser to a security key.
//!
//! It asks for a channel, pings, then sends a burst of numbered reports in one go, and after a pause
//! some more for as long as the device is plugged in.

use super::abi::{BROADCAST, Frame, command};
use super::message::{Assembler, Message};
use dextape::driverkit::os_log;
use std::time::Duration;

/// How long the host thinks before it sends.
const THINKING: Duration = Duration::from_millis(1);

/// The pause after the burst, and between the reports that come then.
const PAUSE: Duration = Duration::from_millis(900);
const INTERVAL: Duration = Duration::from_millis(10);

/// How many come then.
const AFTERWARDS: u32 = 5;

const NONCE: [u8; 8] = *b"nonce-01";

/// The host.
#[derive(Debug)]
pub(super) struct Host {
    /// Bytes that it pings with, and reports of its burst.
    ping: usize,
    burst: u32,
    assembler: Assembler,
    channel: u32,
    step: Step,
    sent: u32,
}

/// What it does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Init,
    AwaitInit,
    Ping,
    AwaitPing,
    Burst,
    Afterwards(u32),
    Done,
}

impl Host {
    pub(super) fn new(ping: usize, burst: u32) -> Self {
        let assembler = Assembler::default();
        Self { ping, burst, assembler, channel: BROADCAST, step: Step::Init, sent: 0 }
    }

    /// When it wants to send next, from now on; `None` where it waits for an answer.
    pub(super) fn thinks(&self) -> Option<Duration> {
        match self.step {
            Step::Init | Step::Ping | Step::Burst => Some(THINKING),
            Step::Afterwards(0) => Some(PAUSE),
            Step::Afterwards(_) => Some(INTERVAL),
            Step::AwaitInit | Step::AwaitPing | Step::Done => None,
        }
    }

    /// What it sends now that its time has come.
    pub(super) fn speak(&mut self) -> Vec<Frame> {
        match self.step {
            Step::Init => {
                self.step = Step::AwaitInit;
                Message::new(BROADCAST, command::INIT, NONCE).frames()
            }
            Step::Ping => {
                self.step = Step::AwaitPing;
                Message::new(self.channel, command::PING, self.ping_bytes()).frames()
            }
            Step::Burst => {
                self.step = Step::Afterwards(0);
                (0..self.burst).map(|_| self.numbered()).collect()
            }
            Step::Afterwards(count) => {
                let last = count + 1 == AFTERWARDS;
                self.step = if last { Step::Done } else { Step::Afterwards(count + 1) };
                vec![self.numbered()]
            }
            Step::AwaitInit | Step::AwaitPing | Step::Done => Vec::new(),
        }
    }

    /// Takes a frame of the device. True where the host wants to speak thereupon.
    pub(super) fn hear(&mut self, frame: &Frame) -> bool {
        let Some(Message { channel, command, payload }) = self.assembler.push(frame) else {
            return false;
        };
        match (self.step, command) {
            (Step::AwaitInit, command::INIT) if payload.starts_with(&NONCE) => {
                let given = payload.get(8..12).and_then(|bytes| bytes.first_chunk());
                self.channel = given.copied().map_or(BROADCAST, u32::from_be_bytes);
                os_log(format!("host: channel {:#x}", self.channel));
                self.step = Step::Ping;
                true
            }
            (Step::AwaitPing, command::PING) if channel == self.channel => {
                let same = payload == self.ping_bytes();
                let how = if same { "as it went" } else { "changed" };
                os_log(format!("host: a ping of {} bytes came back {how}", payload.len()));
                self.step = Step::Burst;
                true
            }
            _ => {
                os_log(format!("host: did not expect command {command:#x}"));
                false
            }
        }
    }

    fn ping_bytes(&self) -> Vec<u8> {
        (0..self.ping).map(|index| (index % 251) as u8).collect()
    }

    fn numbered(&mut self) -> Frame {
        self.sent += 1;
        let message = Message::new(self.channel, command::NUMBERED, self.sent.to_be_bytes());
        message.frames()[0]
    }
}
