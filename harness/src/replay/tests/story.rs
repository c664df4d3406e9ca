//! Tapes told as stories, and clients that do as they say.

use crate::IoReturn;
use crate::call::Scalars;
use crate::connection::{
    Connection, Matching, MethodInput, MethodOutput, StructureInput, StructureOutput, System,
};
use crate::replay::{Divergence, ReplayOptions, Replayer};
use crate::schedule::Schedule;
use crate::tape::sample::Script;
use crate::tape::{
    Body, Call, Capture, Event, FieldRule, Header, MappedMemory, OutputKind, Payload, Return,
    Sequence, Structure, Tape,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A tape in the making.
pub(super) struct Story {
    pub(super) script: Script,
    pub(super) header: Header,
    connections: u32,
}

/// A call, and what it gives.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) selector: u32,
    pub(super) scalars: Vec<u64>,
    pub(super) bytes: Vec<u8>,
    pub(super) result: IoReturn,
    pub(super) reply_scalars: Vec<u64>,
    pub(super) reply: Vec<u8>,
}

/// What a client got from a call.
pub(super) type Got = (IoReturn, Vec<u64>, Vec<u8>);

impl Told {
    /// A call with one scalar in and one out.
    pub(super) fn scalar(selector: u32, scalar: u64, reply: u64) -> Self {
        Self {
            selector,
            scalars: vec![scalar],
            bytes: Vec::new(),
            result: IoReturn::SUCCESS,
            reply_scalars: vec![reply],
            reply: Vec::new(),
        }
    }

    /// A call with bytes in and as many out.
    pub(super) fn bytes(selector: u32, bytes: &[u8], reply: &[u8]) -> Self {
        Self {
            selector,
            scalars: Vec::new(),
            bytes: bytes.to_vec(),
            result: IoReturn::SUCCESS,
            reply_scalars: Vec::new(),
            reply: reply.to_vec(),
        }
    }

    pub(super) fn enter(&self) -> Call {
        Call {
            selector: self.selector,
            scalars: Scalars::clamped(&self.scalars),
            scalar_count: self.scalars.len() as u32,
            input: match &self.bytes[..] {
                [] => Structure::None,
                bytes => Structure::Bytes(Payload::bytes(bytes)),
            },
            scalars_asked: self.reply_scalars.len() as u32,
            output: match self.reply.len() as u64 {
                0 => OutputKind::None,
                size => OutputKind::Bytes { size },
            },
        }
    }

    pub(super) fn leave(&self) -> Return {
        let success = self.result.is_success();
        Return {
            result: self.result,
            scalars: if success { Scalars::clamped(&self.reply_scalars) } else { Scalars::EMPTY },
            structure_size: success.then_some(self.reply.len() as u64),
            structure: (success && !self.reply.is_empty()).then(|| Payload::bytes(&self.reply)),
        }
    }

    /// What a client gets that makes this call.
    pub(super) fn got(&self) -> Got {
        if self.result.is_success() {
            (self.result, self.reply_scalars.clone(), self.reply.clone())
        } else {
            (self.result, vec![0; self.reply_scalars.len()], vec![0; self.reply.len()])
        }
    }

    /// Makes the call.
    pub(super) fn make(&self, connection: &dyn Connection) -> Got {
        let mut scalars = vec![0; self.reply_scalars.len()];
        let mut bytes = vec![0; self.reply.len()];
        let structure = match &mut bytes[..] {
            [] => StructureOutput::None,
            bytes => StructureOutput::Bytes(bytes),
        };
        let mut output = MethodOutput::new(&mut scalars, structure);
        let structure = match &self.bytes[..] {
            [] => StructureInput::None,
            bytes => StructureInput::Bytes(bytes),
        };
        let input = MethodInput { scalars: &self.scalars, structure };
        let result = connection.call_method(self.selector, &input, &mut output);
        (result, scalars, bytes)
    }
}

impl Story {
    pub(super) fn new() -> Self {
        Self { script: Script::new(), header: Header::mock(), connections: 0 }
    }

    pub(super) fn event(
        &mut self,
        lane: u32,
        connection: Option<u32>,
        cause: Option<Sequence>,
        body: Body,
    ) -> Sequence {
        self.script.event(lane, connection, cause, body)
    }

    /// Finds and opens service 1; gives the connection's number.
    pub(super) fn open(&mut self, lane: u32) -> u32 {
        if self.connections == 0 {
            let matching = Matching::service("Test");
            self.event(lane, None, None, Body::Matched { matching, outcome: Ok(vec![1]) });
        }
        self.connections += 1;
        let enter = self.event(lane, None, None, Body::Open { service: 1, open_type: 0 });
        self.event(lane, Some(self.connections), Some(enter), Body::Opened);
        self.connections
    }

    pub(super) fn call(&mut self, lane: u32, connection: u32, told: &Told) -> Sequence {
        let enter = self.event(lane, Some(connection), None, Body::Call(told.enter()));
        self.event(lane, Some(connection), Some(enter), Body::Return(told.leave()));
        enter
    }

    /// An asynchronous call on `queue`.
    pub(super) fn call_async(
        &mut self,
        lane: u32,
        connection: u32,
        told: &Told,
        queue: u32,
        reference: &[u64],
    ) -> Sequence {
        let reference = Some(reference.to_vec());
        let body = Body::AsyncCall { call: told.enter(), queue: Some(queue), reference };
        let enter = self.event(lane, Some(connection), None, body);
        self.event(lane, Some(connection), Some(enter), Body::Return(told.leave()));
        enter
    }

    pub(super) fn queue(&mut self, lane: u32, queue: u32) {
        self.event(lane, None, None, Body::Queue { queue });
    }

    /// A completion of `call` with one argument.
    pub(super) fn posted(&mut self, call: Sequence, reference: &[u64], argument: u64) -> Sequence {
        let mut full = [0; 8];
        full[..reference.len()].copy_from_slice(reference);
        full[0] = 0;
        let body = Body::Posted {
            ordinal: 1,
            status: IoReturn::SUCCESS,
            arguments: Scalars::clamped(&[argument]),
            reference: full,
        };
        self.event(0, Some(1), Some(call), body)
    }

    pub(super) fn take(&mut self, lane: u32, queue: u32, posted: Sequence) {
        self.event(lane, Some(1), Some(posted), Body::Delivered { queue, polls: 0 });
    }

    /// A wait that gives `posted`, or times out.
    pub(super) fn wait(
        &mut self,
        lane: u32,
        queue: u32,
        timeout: Option<u64>,
        posted: Option<Sequence>,
    ) {
        let enter = self.event(lane, None, None, Body::Wait { queue, timeout });
        if let Some(posted) = posted {
            self.take(lane, queue, posted);
        }
        let timed_out = posted.is_none();
        self.event(lane, None, Some(enter), Body::Woke { timed_out });
    }

    /// Maps memory type 0 of connection 1, of 64 bytes; gives the leave.
    pub(super) fn map(&mut self, lane: u32, memory: u32) -> Sequence {
        self.map_as(lane, memory, Capture::Accessor)
    }

    pub(super) fn map_as(&mut self, lane: u32, memory: u32, capture: Capture) -> Sequence {
        let map = Body::Map { memory_type: memory - 1, options: 1, address: 0 };
        let enter = self.event(lane, Some(1), None, map);
        let read_only = false;
        let outcome = Ok(MappedMemory { memory, length: 64, size: 0x4000, capture, read_only });
        self.event(lane, Some(1), Some(enter), Body::Mapped { outcome })
    }

    pub(super) fn patch(&mut self, lane: u32, memory: u32, offset: u64, data: &[u8], read: u64) {
        let data = Payload::bytes(data);
        let body =
            Body::Patch { memory, offset, data, read, last_equal: None, unattributed: false };
        self.event(lane, Some(1), None, body);
    }

    pub(super) fn write(&mut self, lane: u32, memory: u32, offset: u64, data: &[u8]) {
        let data = Payload::bytes(data);
        self.event(lane, Some(1), None, Body::Write { memory, offset, width: None, data });
    }

    pub(super) fn rule(mut self, rule: FieldRule) -> Self {
        self.header.rules.push(rule);
        self
    }

    pub(super) fn close(&mut self, lane: u32, connection: u32) {
        let enter = self.event(lane, Some(connection), None, Body::Close);
        let closed = Body::Closed { result: IoReturn::SUCCESS };
        self.event(lane, Some(connection), Some(enter), closed);
    }

    pub(super) fn events(self) -> (Header, Vec<Event>) {
        (self.header, self.script.into_events())
    }

    pub(super) fn replayer(self, options: ReplayOptions) -> Replayer {
        let (header, events) = self.events();
        Replayer::new(Arc::new(Tape::new(header, events)), options).unwrap()
    }
}

/// Finds and opens service 1, the first time.
pub(super) fn open(system: &dyn System) -> Box<dyn Connection> {
    let service = system.first_service(&Matching::service("Test")).unwrap();
    system.open(service, 0).unwrap()
}

/// A replay with ordinary threads.
pub(super) fn free(replayer: &Replayer) -> Arc<dyn System> {
    replayer.system(&Schedule::free())
}

/// Runs what is to diverge, and gives the report.
#[track_caller]
pub(super) fn divergence(replayer: &Replayer, client: impl FnOnce()) -> Divergence {
    let panic = catch_unwind(AssertUnwindSafe(client)).expect_err("the client diverges");
    let text = panic.downcast_ref::<String>().expect("the report is text").clone();
    let divergence = replayer.finish().expect_err("finish fails with the report");
    assert_eq!(text, divergence.to_string());
    divergence
}
