//! What only a further run does, put into the tape of the first.

use super::flow::Flows;
use super::operations::{Operation, called};
use super::pairs::{Pairs, Renaming};
use super::place::{At, WORD};
use dextape::call::Scalars;
use dextape::tape::{
    Body, Call, Event, MappedMemory, OtherCall, Payload, Return, Sequence, Structure, Tape,
    TapeError,
};
use std::collections::BTreeMap;

/// Numbers of another tape as this one has them; further ones get further numbers.
#[derive(Debug, Default)]
struct Numbers {
    ours: BTreeMap<u32, u32>,
    last: u32,
}

impl Numbers {
    fn known(&mut self, their: u32, own: u32) {
        self.ours.insert(their, own);
    }

    fn get(&mut self, their: u32) -> u32 {
        let last = &mut self.last;
        *self.ours.entry(their).or_insert_with(|| {
            *last += 1;
            *last
        })
    }
}

/// Puts one run into the tape of others.
pub(super) struct Merge<'a> {
    tape: &'a mut Tape,
    other: &'a Tape,
    flows: &'a Flows,
    services: Numbers,
    connections: Numbers,
    memories: Numbers,
    queues: Numbers,
    /// Operations put in.
    pub(super) inserted: u64,
    /// Names of what was left out, and how often.
    pub(super) left_out: BTreeMap<String, u64>,
}

impl<'a> Merge<'a> {
    pub(super) fn new(tape: &'a mut Tape, other: &'a Tape, flows: &'a Flows) -> Self {
        let mut this = Self {
            other,
            flows,
            services: Numbers::default(),
            connections: Numbers::default(),
            memories: Numbers::default(),
            queues: Numbers::default(),
            inserted: 0,
            left_out: BTreeMap::new(),
            tape,
        };
        for event in this.tape.events() {
            let connection = event.connection.unwrap_or(0);
            this.connections.last = this.connections.last.max(connection);
            let mut service = |number: u32| this.services.last = this.services.last.max(number);
            match &event.body {
                Body::Matched { outcome: Ok(services), .. } => {
                    services.iter().copied().for_each(service);
                }
                Body::Open { service: number, .. }
                | Body::Property { service: number, .. }
                | Body::Notice { service: number, .. } => service(*number),
                Body::Mapped { outcome: Ok(mapped) } => {
                    this.memories.last = this.memories.last.max(mapped.memory);
                }
                Body::Watch { queue, .. } | Body::Queue { queue } => {
                    this.queues.last = this.queues.last.max(*queue);
                }
                Body::Call(call) | Body::AsyncCall { call, .. } => {
                    if let Structure::Shared { memory, .. } = call.input {
                        this.memories.last = this.memories.last.max(memory);
                    }
                }
                _ => {}
            }
        }
        let known = this.tape.header().services.keys().max().copied().unwrap_or(0);
        this.services.last = this.services.last.max(known);
        // Services are the same by name.
        let ours: BTreeMap<String, u32> = this
            .tape
            .header()
            .services
            .keys()
            .map(|number| (called(this.tape, *number), *number))
            .collect();
        for number in this.other.header().services.keys() {
            if let Some(own) = ours.get(&called(this.other, *number)) {
                this.services.known(*number, *own);
            }
        }
        this
    }

    /// Puts in what of `theirs` is no pair, behind what that run does before it.
    pub(super) fn insert(
        &mut self,
        ours: &[Operation],
        theirs: &[Operation],
        pairs: &mut Pairs,
    ) -> Result<(), TapeError> {
        for (own, their) in &pairs.pairs {
            self.learn_numbers(&ours[*own], &theirs[*their]);
        }
        let mut closes: BTreeMap<u32, usize> = BTreeMap::new();
        for (place, event) in self.tape.events().iter().enumerate() {
            if let (Body::Close, Some(connection)) = (&event.body, event.connection) {
                closes.insert(connection, place);
            }
        }
        let mut added: BTreeMap<usize, Vec<Event>> = BTreeMap::new();
        let mut courses: BTreeMap<u32, usize> = BTreeMap::new();
        // Where each of their connections is open on our tape.
        let mut opened: BTreeMap<u32, usize> = BTreeMap::new();
        let Pairs { pairs, renaming } = pairs;
        let (mut at, mut known) = (0, pairs.iter().peekable());
        for (number, operation) in theirs.iter().enumerate() {
            let (other, at_leave) = (self.other, operation.leave);
            let their = &other.events()[operation.enter];
            let leave = at_leave.map(|leave| &other.events()[leave]);
            let opens = leave.filter(|leave| leave.body == Body::Opened);
            let opens = opens.and_then(|leave| leave.connection);
            if let Some((own, _)) = known.next_if(|(_, their)| *their == number) {
                at = ours[*own].leave.unwrap_or(ours[*own].enter) + 1;
                let course = courses.entry(operation.course).or_default();
                *course = at.max(*course);
                opens.map(|connection| opened.insert(connection, at));
                continue;
            }
            let body = &their.body;
            let whole = body.is_enter() == operation.leave.is_some();
            let can = matches!(
                body,
                Body::Call(_)
                    | Body::Open { .. }
                    | Body::Close
                    | Body::Map { .. }
                    | Body::Unmap { .. }
                    | Body::OtherCall(_)
                    | Body::Matched { .. }
                    | Body::Property { .. }
                    | Body::Watch { .. }
                    | Body::Queue { .. }
            );
            if !can || !whole {
                *self.left_out.entry(body.name().to_owned()).or_default() += 1;
                continue;
            }
            let mut place = at.max(courses.get(&operation.course).copied().unwrap_or(0));
            if let Some(connection) = their.connection {
                place = place.max(opened.get(&connection).copied().unwrap_or(0));
                // Not behind the close of the same connection.
                let own = self.connections.ours.get(&connection);
                if let Some(close) = own.and_then(|own| closes.get(own)) {
                    place = place.min(*close);
                }
            }
            courses.insert(operation.course, place);
            opens.map(|connection| opened.insert(connection, place));
            for index in [Some(operation.enter), operation.leave].into_iter().flatten() {
                let mut event = self.other.events()[index].clone();
                event.try_visit_payloads(|payload| inlined(self.other, payload))?;
                self.rename(&mut event, operation, renaming);
                added.entry(place).or_default().push(event);
            }
            self.inserted += 1;
        }
        self.name_services();
        put(self.tape, added);
        Ok(())
    }

    fn learn_numbers(&mut self, ours: &Operation, theirs: &Operation) {
        let (own, their) = (&self.tape.events()[ours.enter], &self.other.events()[theirs.enter]);
        match (&own.body, &their.body) {
            (Body::Watch { queue: own, .. }, Body::Watch { queue, .. })
            | (Body::Queue { queue: own }, Body::Queue { queue }) => {
                self.queues.known(*queue, *own)
            }
            (
                Body::Matched { outcome: Ok(own), .. },
                Body::Matched { outcome: Ok(services), .. },
            ) => {
                for (own, their) in own.iter().zip(services) {
                    if called(self.tape, *own) == called(self.other, *their)
                        || !self.other.header().services.contains_key(their)
                    {
                        self.services.ours.entry(*their).or_insert(*own);
                    }
                }
            }
            _ => {}
        }
        let (Some(own), Some(their)) = (ours.leave, theirs.leave) else { return };
        let (own, their) = (&self.tape.events()[own], &self.other.events()[their]);
        match (&own.body, &their.body) {
            (Body::Opened, Body::Opened) => {
                if let (Some(own), Some(their)) = (own.connection, their.connection) {
                    self.connections.known(their, own);
                }
            }
            (Body::Mapped { outcome: Ok(own) }, Body::Mapped { outcome: Ok(their) }) => {
                self.memories.known(their.memory, own.memory);
            }
            _ => {}
        }
    }

    /// Gives an event of the other run the numbers and values of this tape.
    fn rename(&mut self, event: &mut Event, operation: &Operation, renaming: &mut Renaming) {
        event.connection = event.connection.map(|number| self.connections.get(number));
        match &mut event.body {
            Body::Matched { outcome: Ok(services), .. } => {
                services.iter_mut().for_each(|number| *number = self.services.get(*number));
            }
            Body::Property { service, .. } | Body::Open { service, .. } => {
                *service = self.services.get(*service);
            }
            Body::Watch { queue, .. } | Body::Queue { queue } => *queue = self.queues.get(*queue),
            Body::Mapped { outcome: Ok(MappedMemory { memory, .. }) } => {
                *memory = self.memories.get(*memory);
            }
            Body::Unmap { memory, .. } => {
                *memory = memory.map(|number| self.memories.get(number));
            }
            Body::OtherCall(OtherCall::AddClient { client }) => {
                *client = client.map(|number| self.connections.get(number));
            }
            _ => {}
        }
        let Some(call) = &operation.call else { return };
        let fields: Vec<_> = self.flows.of(call).collect();
        for ((_, at), set, value) in fields {
            let named = renaming.name(set, value);
            if named != value && value != 0 {
                write(&mut event.body, at, named);
            }
        }
    }

    /// The names of further services.
    fn name_services(&mut self) {
        let theirs = self.other.header().services.clone();
        for (their, own) in &self.services.ours {
            if let Some(identity) = theirs.get(their) {
                let services = &mut self.tape.header_mut().services;
                services.entry(*own).or_insert_with(|| identity.clone());
            }
        }
    }
}

/// Puts a value in the place of another one.
fn write(body: &mut Body, at: At, value: u64) {
    let word = |payload: &mut Payload, word: u32| {
        let Payload::Bytes(bytes) = payload else { return };
        let mut bytes = bytes.to_vec();
        let field = bytes.chunks_mut(WORD).nth(word as usize);
        field.into_iter().for_each(|it| it.copy_from_slice(&value.to_le_bytes()[..it.len()]));
        *payload = Payload::bytes(&bytes);
    };
    let scalar = |scalars: &mut Scalars, index: u32| {
        let mut words = scalars.to_vec();
        words.get_mut(index as usize).into_iter().for_each(|it| *it = value);
        *scalars = Scalars::clamped(&words);
    };
    match (body, at) {
        (Body::Call(Call { scalars, .. }), At::Scalar(index))
        | (Body::Return(Return { scalars, .. }), At::ScalarOut(index)) => scalar(scalars, index),
        (Body::Call(Call { input: Structure::Bytes(data), .. }), At::Input(index))
        | (Body::Return(Return { structure: Some(data), .. }), At::Output(index)) => {
            word(data, index);
        }
        _ => {}
    }
}

/// Takes bytes out of the file that they are in.
pub(super) fn inlined(from: &Tape, payload: &mut Payload) -> Result<(), TapeError> {
    if let Payload::Blob { digest, .. } = payload {
        *payload = Payload::Bytes(from.load(*digest)?);
    }
    Ok(())
}

/// Puts events in and numbers all anew.
fn put(tape: &mut Tape, mut added: BTreeMap<usize, Vec<Event>>) {
    let mut events = Vec::new();
    let old = std::mem::take(tape.events_mut());
    let end = old.len();
    let mut last: Option<Event> = None;
    for (place, event) in old.into_iter().map(Some).chain([None]).enumerate() {
        for mut more in added.remove(&place.min(end)).unwrap_or_default() {
            // In the lane and at the time of what stands before it.
            if let Some(before) = &last {
                (more.lane, more.process, more.time) = (before.lane, before.process, before.time);
            }
            events.push((more, true));
        }
        if let Some(event) = event {
            last = Some(event.clone());
            events.push((event, false));
        }
    }
    let mut numbers: BTreeMap<(bool, Sequence), Sequence> = BTreeMap::new();
    let mut positions: BTreeMap<(u32, u32), u64> = BTreeMap::new();
    for (index, (event, new)) in events.iter_mut().enumerate() {
        let sequence = index as Sequence + 1;
        numbers.insert((*new, event.sequence), sequence);
        event.sequence = sequence;
        event.cause = event.cause.and_then(|cause| numbers.get(&(*new, cause)).copied());
        if let Body::Patch { last_equal, .. } = &mut event.body {
            *last_equal = last_equal.and_then(|last| numbers.get(&(*new, last)).copied());
        }
        let position = positions.entry((event.process, event.lane)).or_default();
        *position += 1;
        event.position = *position;
    }
    *tape.events_mut() = events.into_iter().map(|(event, _)| event).collect();
}
