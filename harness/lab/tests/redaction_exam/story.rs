//! The story that a random tape tells, event by event.

use super::plant::Piece;
use dextape::call::Scalars;
use dextape::registry::Matching;
use dextape::tape::sample::{Script, call, success};
use dextape::tape::{Body, Call, Capture, MappedMemory, OutputKind, Payload, Return};
use std::collections::BTreeMap;

/// Ordinary memory, and the registers of a device.
pub(crate) const BUFFER: u32 = 1;
pub(crate) const REGISTERS: u32 = 2;
pub(crate) const BUFFER_SIZE: u64 = 64 << 10;

/// Selectors of calls that hold nothing private.
pub(crate) const OTHER_SELECTORS: u32 = 1000;

/// One step of the story; gives the pieces that it planted.
pub(crate) type Step = Box<dyn FnOnce(&mut Story) -> Vec<Piece>>;

/// The tape so far.
#[derive(Debug, Default)]
pub(crate) struct Story {
    pub(crate) script: Script,
    pub(crate) events: usize,
    /// The events that mapped the memories.
    pub(crate) mapped: BTreeMap<u32, u64>,
    pub(crate) extras: Vec<(usize, String, serde_json::Value)>,
}

impl Story {
    pub(crate) fn event(&mut self, connection: Option<u32>, cause: Option<u64>, body: Body) -> u64 {
        let lane = if matches!(body, Body::Posted { .. }) { 0 } else { 1 };
        self.events += 1;
        self.script.event(lane, connection, cause, body)
    }

    /// A call; gives the index of its enter.
    pub(crate) fn call(&mut self, call: Call, scalars: &[u64], output: Option<&[u8]>) -> usize {
        let index = self.events;
        let call = Call {
            scalars_asked: scalars.len() as u32,
            output: match output {
                Some(bytes) => OutputKind::Bytes { size: bytes.len() as u64 },
                None => OutputKind::None,
            },
            ..call
        };
        let enter = self.event(Some(1), None, Body::Call(call));
        let answer = Return {
            scalars: Scalars::clamped(scalars),
            structure_size: Some(output.map_or(0, |bytes| bytes.len() as u64)),
            structure: output.map(Payload::bytes),
            ..success()
        };
        self.event(Some(1), Some(enter), Body::Return(answer));
        index
    }

    pub(crate) fn patch(&mut self, memory: u32, offset: u64, bytes: &[u8]) -> usize {
        let (data, read) = (Payload::bytes(bytes), 1);
        let patch =
            Body::Patch { memory, offset, data, read, last_equal: None, unattributed: false };
        let cause = self.mapped.get(&memory).copied();
        self.event(Some(1), cause, patch);
        self.events - 1
    }

    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8]) -> usize {
        let data = Payload::bytes(bytes);
        let write = Body::Write { memory: BUFFER, offset, width: None, data };
        let cause = self.mapped.get(&BUFFER).copied();
        self.event(Some(1), cause, write);
        self.events - 1
    }

    /// An asynchronous call with one completion, delivered by a poll.
    pub(crate) fn async_call(
        &mut self,
        selector: u32,
        reference: [u64; 8],
        arguments: &[u64],
    ) -> usize {
        let index = self.events;
        let enter = Body::AsyncCall {
            call: call(selector, &[]),
            queue: Some(1),
            reference: Some([&[0], &reference[1..]].concat()),
        };
        let enter = self.event(Some(1), None, enter);
        self.event(Some(1), Some(enter), Body::Return(success()));
        let posted = Body::Posted {
            ordinal: 1,
            status: dextape::IoReturn::SUCCESS,
            arguments: Scalars::clamped(arguments),
            reference,
        };
        let posted = self.event(Some(1), Some(enter), posted);
        self.event(Some(1), Some(posted), Body::Delivered { queue: 1, polls: 0 });
        index
    }

    pub(crate) fn begin(&mut self) {
        let found = Body::Matched { matching: Matching::user_class("Exam"), outcome: Ok(vec![1]) };
        self.event(None, None, found);
        self.event(None, None, Body::Queue { queue: 1 });
        let open = self.event(None, None, Body::Open { service: 1, open_type: 0 });
        self.event(Some(1), Some(open), Body::Opened);
        for (memory, capture) in [(BUFFER, Capture::Accessor), (REGISTERS, Capture::Registers)] {
            let map = Body::Map { memory_type: memory, options: 1, address: 0 };
            let map = self.event(Some(1), None, map);
            let outcome = Ok(MappedMemory {
                memory,
                length: BUFFER_SIZE,
                size: BUFFER_SIZE,
                capture,
                read_only: false,
            });
            let mapped = self.event(Some(1), Some(map), Body::Mapped { outcome });
            self.mapped.insert(memory, mapped);
        }
    }
}
