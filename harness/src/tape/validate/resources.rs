//! Connections, memories and queues: there before they are used.

use super::super::event::{Body, Event, Keyframe, OtherCall, OutputKind, Sequence, Structure};
use super::super::mapped::MappedMemory;
use super::finding::Broken;
use super::lanes::Wrong;
use crate::IoReturn;
use crate::boundary::{ConnectionState, Rule, Rules};
use crate::memory::Width;
use std::collections::{BTreeMap, BTreeSet};

/// What is known of a connection.
#[derive(Clone, Copy, Debug)]
struct Known {
    state: ConnectionState,
    /// Its state is not known for certain: it came from a keyframe, something on the device's side
    /// ended it at a moment that the tape tells only roughly, or the handle is shared.
    vague: bool,
    /// The leave of its first close, or its termination.
    ended: Option<Sequence>,
    /// The service that was opened.
    service: Option<u32>,
    /// The process that opened it.
    process: u32,
    /// The keyframe that does not name it any more: it ended where events are missing.
    gone: Option<Sequence>,
}

/// What the events so far have brought.
#[derive(Debug, Default)]
pub(super) struct Resources {
    connections: BTreeMap<u32, Known>,
    /// Accessible bytes of each memory.
    memories: BTreeMap<u32, u64>,
    queues: BTreeSet<u32>,
    /// Services that have certainly ended, by the event that says so.
    ended_services: BTreeMap<u32, Sequence>,
}

impl Resources {
    /// Checks an event and takes in what it brings. `entered` is the enter of a leave, `holes` where
    /// events may be missing before it.
    pub(super) fn event(
        &mut self,
        event: &Event,
        entered: Option<&Body>,
        page_size: u64,
        holes: bool,
        rules: Rules,
        wrong: &mut impl FnMut(Wrong),
    ) {
        self.needs(event, holes, wrong);
        self.answers_of_the_gone(event, wrong);
        let connection = event.connection.unwrap_or(0);
        match &event.body {
            Body::Queue { queue } | Body::Watch { queue, result: IoReturn::SUCCESS, .. } => {
                let is_new = self.queues.insert(*queue);
                if !is_new {
                    wrong((Broken::Resource, format!("queue {queue} is made a second time")));
                }
            }
            Body::Opened => match event.connection {
                None => wrong((Broken::Connection, "expected the connection's number".to_owned())),
                Some(number) => {
                    let new = self.opened(event, entered, rules, wrong);
                    if self.connections.insert(number, new).is_some() {
                        let message = format!("connection {number} is opened a second time");
                        wrong((Broken::Connection, message));
                    }
                }
            },
            Body::Call(call) | Body::AsyncCall { call, .. } => {
                if let Structure::Shared { memory, data } = &call.input {
                    self.share(*memory, data.length());
                }
                if let OutputKind::Shared { memory, size } = call.output {
                    self.share(memory, size);
                }
            }
            Body::Mapped { outcome: Ok(mapped) } => self.mapped(event, *mapped, page_size, wrong),
            Body::Closed { result } => {
                if let Some(known) = self.connections.get_mut(&connection) {
                    // The service may have gone away unseen: a client need not watch it.
                    let mut gone = known.state;
                    let _ = gone.terminate(rules);
                    let (after_removal, _) = gone.close(rules);
                    let (expected, _) = known.state.close(rules);
                    // It may have been on its way when the end came.
                    let came_first = known
                        .ended
                        .is_some_and(|ended| event.cause.is_none_or(|enter| enter < ended));
                    known.ended.get_or_insert(event.sequence);
                    let fits = [expected, after_removal].contains(result)
                        || came_first && result.is_success();
                    if !fits && !known.vague {
                        let message = format!("expected {expected}, found {result}");
                        wrong((Broken::Boundary(Rule::H2), message));
                    }
                }
            }
            Body::OtherReturn { outcome: Ok(_) } => {
                if let Some(known) = self.connections.get_mut(&connection) {
                    match entered {
                        Some(Body::OtherCall(OtherCall::AddRef)) => {
                            let _ = known.state.add_ref();
                        }
                        Some(Body::OtherCall(OtherCall::Release)) => {
                            let _ = known.state.release(rules);
                            if known.state.rights() == 0 {
                                known.ended.get_or_insert(event.sequence);
                            }
                        }
                        _ => {}
                    }
                }
            }
            Body::Terminated { service } => self.terminated(event, *service, rules),
            Body::Fork { .. } => {
                // The handles are shared, and the tape does not say who does what with them.
                self.connections.values_mut().for_each(|known| known.vague = true);
            }
            Body::Keyframe(keyframe) => {
                self.keyframe(event, keyframe, page_size, wrong);
            }
            _ => {}
        }
    }

    /// A connection that was opened.
    fn opened(
        &self,
        event: &Event,
        entered: Option<&Body>,
        rules: Rules,
        wrong: &mut impl FnMut(Wrong),
    ) -> Known {
        let service = match entered {
            Some(Body::Open { service, .. }) => Some(*service),
            _ => None,
        };
        let state = ConnectionState::new();
        let mut new =
            Known { state, vague: false, ended: None, service, process: event.process, gone: None };
        if let Some(ended) = service.and_then(|service| self.ended_services.get(&service)) {
            if event.cause.is_some_and(|enter| *ended < enter) {
                let message = format!("expected a failure: event {ended} terminated the service");
                wrong((Broken::Boundary(Rule::H5), message));
            }
            // It came while the user client was being made.
            let _ = new.state.terminate(rules);
            new.ended = Some(event.sequence);
        }
        new
    }

    /// A service or user client has ended: at this moment where the device's side tells it, or at one
    /// before it where a client does, who has learnt of it.
    fn terminated(&mut self, event: &Event, service: Option<u32>, rules: Rules) {
        let certain = event.lane == 0;
        if let Some(service) = service.filter(|_| certain) {
            self.ended_services.entry(service).or_insert(event.sequence);
        }
        for (number, known) in &mut self.connections {
            let (meant, unknown) = match service {
                Some(_) => (known.service == service, known.service.is_none()),
                None => (event.connection == Some(*number), false),
            };
            if unknown || meant && !certain {
                known.vague = true;
            } else if meant {
                let _ = known.state.terminate(rules);
                known.ended.get_or_insert(event.sequence);
            }
        }
    }

    /// The queue that an operation handed over and that was not made before: another system's, which
    /// only a failure can tell of (D5).
    pub(super) fn foreign_queue(&self, entered: &Body) -> Option<u32> {
        match entered {
            Body::AsyncCall { queue, .. }
            | Body::OtherCall(OtherCall::SetNotificationPort { queue, .. }) => *queue,
            _ => None,
        }
        .filter(|queue| !self.queues.contains(queue))
    }

    /// What a connection whose end is certain answers to whatever is asked of it.
    pub(super) fn dead(&self, connection: Option<u32>, rules: Rules) -> Option<IoReturn> {
        let known = self.connections.get(&connection?)?;
        if known.vague { None } else { known.state.check(rules).err() }
    }

    /// What the connection answers from the moment on in which its service goes away: the tape tells of
    /// that only where the client watches it.
    pub(super) fn gone(&self, connection: Option<u32>, rules: Rules) -> Option<IoReturn> {
        let mut state = self.connections.get(&connection?)?.state;
        let _ = state.terminate(rules);
        state.check(rules).err()
    }

    /// The event from which on the connection has certainly ended.
    pub(super) fn ended(&self, connection: Option<u32>) -> Option<Sequence> {
        self.connections.get(&connection?)?.ended
    }

    /// True where the connection may have ended at a moment that the tape tells only roughly.
    pub(super) fn is_vague(&self, connection: Option<u32>) -> bool {
        let known = connection.and_then(|connection| self.connections.get(&connection));
        known.is_none_or(|known| known.vague || known.state.check(Rules::all()).is_err())
    }

    fn share(&mut self, memory: u32, size: u64) {
        let known = self.memories.entry(memory).or_default();
        *known = size.max(*known);
    }

    fn mapped(
        &mut self,
        event: &Event,
        mapped: MappedMemory,
        page_size: u64,
        wrong: &mut impl FnMut(Wrong),
    ) {
        let MappedMemory { memory, length, size, .. } = mapped;
        if size < length || !size.is_multiple_of(page_size) {
            let message = format!(
                "expected whole pages of {page_size:#x} bytes around {length:#x}, found {size:#x}"
            );
            wrong((Broken::Boundary(Rule::F10), message));
        }
        self.share(memory, size);
        if let Some(known) = event.connection.and_then(|it| self.connections.get_mut(&it)) {
            known.state.mapped();
        }
    }

    /// A keyframe names all that its process has opened: what it does not name has ended where events are
    /// missing.
    fn keyframe(
        &mut self,
        event: &Event,
        keyframe: &Keyframe,
        page_size: u64,
        wrong: &mut impl FnMut(Wrong),
    ) {
        for (number, known) in &mut self.connections {
            let named = keyframe.connections.iter().any(|(connection, _)| connection == number);
            // Each process has a recorder of its own, which knows what its process has opened.
            if !named && known.process == event.process {
                known.vague = true;
                known.gone.get_or_insert(event.sequence);
            }
        }
        for (connection, service) in &keyframe.connections {
            let new = Known {
                state: ConnectionState::new(),
                vague: true,
                ended: None,
                service: Some(*service),
                process: event.process,
                gone: None,
            };
            self.connections.entry(*connection).or_insert(new).vague = true;
        }
        for memory in &keyframe.memories {
            let number = memory.memory;
            let owner = memory.connection;
            let named = |owner| keyframe.connections.iter().any(|(number, _)| *number == owner);
            if let Some(owner) = owner.filter(|owner| !named(*owner)) {
                let message = format!(
                    "memory {number} is of connection {owner}, which the keyframe does not name"
                );
                wrong((Broken::Resource, message));
            }
            let size = memory.length.checked_next_multiple_of(page_size).unwrap_or(u64::MAX);
            let beyond = memory.shadow.iter().find(|(offset, data)| {
                let end = offset.checked_add(data.length());
                end.is_none_or(|end| end > size)
            });
            if let Some((offset, data)) = beyond {
                let length = data.length();
                let message = format!(
                    "expected a shadow within the {size:#x} bytes of memory {number}, found {length:#x} \
                     at {offset:#x}"
                );
                wrong((Broken::Resource, message));
            }
            // The pages around it are not told, so nothing is said of its end.
            self.memories.entry(number).or_insert(u64::MAX);
        }
        if let Some(call) = keyframe.pending.iter().find(|call| **call >= event.sequence) {
            wrong((Broken::Cause, format!("expected the pending call {call} to stand before")));
        }
        self.queues.extend(&keyframe.queues);
    }

    /// A connection that a keyframe does not name answers nothing any more.
    fn answers_of_the_gone(&self, event: &Event, wrong: &mut impl FnMut(Wrong)) {
        let worked = match &event.body {
            Body::Return(returned) => returned.result.is_success(),
            Body::Mapped { outcome } => outcome.is_ok(),
            Body::OtherReturn { outcome } => outcome.is_ok(),
            Body::Unmapped { result } | Body::Closed { result } => result.is_success(),
            _ => false,
        };
        let known = event.connection.and_then(|number| self.connections.get(&number));
        if let Some(keyframe) = known.and_then(|known| known.gone)
            && worked
            && event.cause.is_some_and(|enter| keyframe < enter)
        {
            let name = event.body.name();
            let message = format!(
                "expected the failure of {name}: keyframe {keyframe} does not name its connection, so it \
                 had ended"
            );
            wrong((Broken::Connection, message));
        }
    }

    /// What the event needs to be there.
    fn needs(&self, event: &Event, holes: bool, wrong: &mut impl FnMut(Wrong)) {
        let body = &event.body;
        let of_connection = matches!(
            body,
            Body::Call(_)
                | Body::AsyncCall { .. }
                | Body::Return(_)
                | Body::Map { .. }
                | Body::Mapped { .. }
                | Body::Unmap { .. }
                | Body::Unmapped { .. }
                | Body::Close
                | Body::Closed { .. }
                | Body::OtherCall(_)
                | Body::OtherReturn { .. }
        );
        match event.connection {
            None if of_connection => {
                let message = format!("expected the connection of {}", body.name());
                wrong((Broken::Connection, message));
            }
            Some(number)
                if !matches!(body, Body::Opened)
                    && !holes
                    && !self.connections.contains_key(&number) =>
            {
                wrong((Broken::Connection, format!("connection {number} was not opened before")));
            }
            _ => {}
        }
        let mut queue = |queue: u32| {
            if !holes && !self.queues.contains(&queue) {
                wrong((Broken::Resource, format!("queue {queue} was not made before")));
            }
        };
        match body {
            Body::Notice { queue: number, .. }
            | Body::Delivered { queue: number, .. }
            | Body::Wait { queue: number, .. } => queue(*number),
            Body::Write { memory, offset, width, data } => {
                self.access(*memory, *offset, *width, data.length(), holes, wrong);
            }
            Body::Update { memory, offset, width, .. } => {
                self.access(*memory, *offset, Some(*width), width.bytes(), holes, wrong);
            }
            Body::Patch { memory, offset, data, .. } => {
                self.access(*memory, *offset, None, data.length(), holes, wrong);
            }
            Body::Unmap { memory: Some(memory), .. } | Body::Note { memory: Some(memory), .. }
                if !holes && !self.memories.contains_key(memory) =>
            {
                wrong((Broken::Resource, format!("memory {memory} was not mapped before")));
            }
            _ => {}
        }
    }

    fn access(
        &self,
        memory: u32,
        offset: u64,
        width: Option<Width>,
        length: u64,
        holes: bool,
        wrong: &mut impl FnMut(Wrong),
    ) {
        let Some(size) = self.memories.get(&memory) else {
            if !holes {
                let message = format!("memory {memory} was not mapped or shared before");
                wrong((Broken::Resource, message));
            }
            return;
        };
        if length == 0 {
            wrong((Broken::Fields, "expected at least one byte".to_owned()));
        }
        if offset.checked_add(length).is_none_or(|end| end > *size) {
            let message = format!(
                "expected an access within the {size:#x} bytes of memory {memory}, found {length:#x} \
                 at {offset:#x}"
            );
            wrong((Broken::Resource, message));
        }
        if let Some(width) = width {
            if length != width.bytes() {
                let message = format!("expected {} bytes, found {length}", width.bytes());
                wrong((Broken::Fields, message));
            }
            if !offset.is_multiple_of(width.bytes()) {
                let message = format!("expected a word at a multiple of {}", width.bytes());
                wrong((Broken::Fields, message));
            }
        }
    }
}
