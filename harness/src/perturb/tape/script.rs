//! What a tape says, by cause instead of by order.

use super::ahead;
use super::words::{Manner, WordChange, Words, tell_manners};
use crate::call::Completion;
use crate::connection::Notice;
use crate::registry::Matching;
use crate::tape::{
    Body, Call, Capture, Comparison, Event, Field, FieldRule, Header, MappedMemory, OtherCall,
    OutputKind, Payload, Sequence, Structure, Tape, TapeError,
};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

/// Index of an event on the tape.
pub(in crate::perturb) type EventIndex = usize;

/// Index of an operation.
pub(in crate::perturb) type OperationIndex = usize;

/// An operation of the recorded client.
#[derive(Clone, Copy, Debug)]
pub(in crate::perturb) struct Recorded {
    pub(in crate::perturb) enter: EventIndex,
    /// The enter itself where the operation is one event; `None` where the tape ends in it.
    pub(in crate::perturb) leave: Option<EventIndex>,
    pub(in crate::perturb) lane: u32,
    /// The device may have heard of it.
    pub(in crate::perturb) heard: bool,
}

/// Something that the device did.
#[derive(Clone, Debug)]
pub(in crate::perturb) struct Deed {
    pub(in crate::perturb) event: EventIndex,
    /// Where on the tape it has happened at the latest: its own event or an earlier sign.
    pub(in crate::perturb) position: EventIndex,
    /// When on the tape that was, in nanoseconds.
    pub(in crate::perturb) time: u64,
    /// The last operations before it, one of each lane, that may have caused it.
    pub(in crate::perturb) causes: Vec<OperationIndex>,
    /// The completion that it goes with.
    pub(in crate::perturb) with: Option<usize>,
    /// The operation whose return showed it.
    pub(in crate::perturb) shown_by: Option<OperationIndex>,
    pub(in crate::perturb) what: What,
}

/// What the device did.
#[derive(Clone, Debug)]
pub(in crate::perturb) enum What {
    /// A completion reached a queue.
    Post { queue: u32, call: OperationIndex, ordinal: u64, completion: Completion },
    /// A notice reached a queue.
    Notice { queue: u32, notice: Notice },
    /// Shared memory changed.
    Patch {
        memory: u32,
        offset: u64,
        bytes: Arc<[u8]>,
        free: bool,
        /// It was seen otherwise before.
        seen: bool,
        /// Words among the bytes that the client writes, too.
        words: Vec<WordChange>,
    },
}

/// How operations that ask for the same are found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::perturb) enum Key {
    Registry,
    Watch,
    Queue,
    Open { service: u32, open_type: u32 },
    Call { connection: u32, selector: u32, asynchronous: bool },
    Map { connection: u32, memory_type: u32 },
    Unmap { connection: u32, memory_type: u32 },
    Close { connection: u32 },
    Other { connection: u32 },
    Write { memory: u32, offset: u64 },
    Update { memory: u32, offset: u64 },
}

/// A tape that is ready to be played in many ways.
#[derive(Clone, Debug)]
pub(in crate::perturb) struct Script {
    pub(in crate::perturb) tape: Arc<Tape>,
    pub(in crate::perturb) operations: Vec<Recorded>,
    pub(in crate::perturb) by_key: HashMap<Key, Vec<OperationIndex>>,
    /// What the device did, by position.
    pub(in crate::perturb) deeds: Vec<Deed>,
    /// Deeds that an operation may have caused, of each operation.
    pub(in crate::perturb) effects: Vec<Vec<usize>>,
    /// Changes that the return of an operation has shown.
    pub(in crate::perturb) shows: HashMap<OperationIndex, Vec<usize>>,
    /// The changes among them, in that order.
    pub(in crate::perturb) patches: Arc<[usize]>,
    /// Of each completion the one of the same call before it.
    pub(in crate::perturb) previous: Vec<Option<usize>>,
    /// What each read of device registers saw, in order, by memory and place.
    pub(in crate::perturb) register_reads: RegisterReads,
    /// What each memory was mapped as, by its number.
    pub(in crate::perturb) memories: HashMap<u32, MappedMemory>,
    pub(in crate::perturb) rules: Vec<FieldRule>,
    /// What the device does to words that the client writes, too.
    pub(in crate::perturb) manners: HashMap<(u32, u64), Manner>,
    /// The time of the last event.
    pub(in crate::perturb) ends_at: u64,
    ahead: OnceLock<Arc<Script>>,
}

/// A tape that cannot be played in other ways than its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnfitTape {
    /// It cannot be read to its end.
    #[error("load the tape: {0}")]
    Unreadable(String),
    /// Part of the story is missing.
    #[error("make other runs of the tape: {0}; record it again from the beginning to the end")]
    Holes(&'static str),
    /// Events are missing, as where a flight recorder has cut it.
    #[error(
        "make other runs of the tape: events are missing at event {0}; have the client replay it over its gap \
         in front of a recorder, and take that recording (`cargo xtask replay TAPE --record FILE`, or \
         `RecordingSession::wrap` around the replayer's system)"
    )]
    Gap(Sequence),
    /// A mock answers what it does not hold.
    #[error(
        "make other runs of the tape: it holds only in what a run on a mock differs; check the client on that \
         mock"
    )]
    OverMock,
}

impl From<TapeError> for UnfitTape {
    fn from(error: TapeError) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl Script {
    pub(in crate::perturb) fn new(tape: &Tape) -> Result<Self, UnfitTape> {
        if tape.header().extra.contains_key(Header::BASELINE) {
            return Err(UnfitTape::OverMock);
        }
        let mut events = tape.events().to_vec();
        for event in &mut events {
            event.try_visit_payloads(|payload| {
                if let Payload::Blob { digest, .. } = payload {
                    *payload = Payload::Bytes(tape.load(*digest)?);
                }
                Ok::<(), TapeError>(())
            })?;
        }
        let tape = Tape::new(tape.header().clone(), events);
        let mut reader = Reader { words: Words::new(tape.events()), ..Reader::default() };
        for (index, event) in tape.events().iter().enumerate() {
            reader.event(index, event)?;
        }
        let Reader { operations, by_key, mut deeds, memories, seen, register_reads, .. } = reader;
        settle(tape.events(), &operations, &mut deeds, &seen);
        let manners = tell_manners(&mut deeds);
        let effects = effects(&operations, &deeds);
        let is_patch = |number: &usize| matches!(deeds[*number].what, What::Patch { .. });
        let patches: Arc<[usize]> = (0..deeds.len()).filter(is_patch).collect();
        let mut shows: HashMap<OperationIndex, Vec<usize>> = HashMap::new();
        for (number, deed) in deeds.iter().enumerate() {
            if let Some(operation) = deed.shown_by {
                shows.entry(operation).or_default().push(number);
            }
        }
        let mut last_of: HashMap<OperationIndex, usize> = HashMap::new();
        let mut previous = vec![None; deeds.len()];
        for (number, deed) in deeds.iter().enumerate() {
            if let What::Post { call, .. } = deed.what {
                previous[number] = last_of.insert(call, number);
            }
        }
        let rules = tape.header().rules.clone();
        let ends_at = tape.events().iter().map(|event| event.time).max().unwrap_or(0);
        let tape = Arc::new(tape);
        Ok(Self {
            tape,
            operations,
            by_key,
            deeds,
            effects,
            shows,
            patches,
            previous,
            register_reads,
            memories,
            rules,
            manners,
            ends_at,
            ahead: OnceLock::new(),
        })
    }

    /// The same of a device that waits for no more than the tape shows that it waits for.
    pub(in crate::perturb) fn ahead(&self) -> Arc<Self> {
        let make = || {
            let mut deeds = self.deeds.clone();
            for (deed, causes) in deeds.iter_mut().zip(ahead::causes(self)) {
                deed.causes = causes;
            }
            let effects = effects(&self.operations, &deeds);
            Arc::new(Self { deeds, effects, ahead: OnceLock::new(), ..self.clone() })
        };
        Arc::clone(self.ahead.get_or_init(make))
    }

    pub(in crate::perturb) fn event(&self, index: EventIndex) -> &Event {
        &self.tape.events()[index]
    }

    /// The selector of a call.
    pub(in crate::perturb) fn selector(&self, operation: OperationIndex) -> Option<u32> {
        match &self.event(self.operations[operation].enter).body {
            Body::Call(call) | Body::AsyncCall { call, .. } => Some(call.selector),
            _ => None,
        }
    }

    /// How many completions there are.
    pub(in crate::perturb) fn posts(&self) -> usize {
        self.deeds.iter().filter(|deed| matches!(deed.what, What::Post { .. })).count()
    }

    /// Which of the completions, counted from 1, are how a request ended: their selector's calls complete
    /// once. What is told of over and over has no request that could have failed.
    pub(in crate::perturb) fn outcomes(&self) -> Vec<u64> {
        let posts = || {
            self.deeds.iter().filter_map(|deed| match deed.what {
                What::Post { call, ordinal, .. } => Some((self.selector(call), ordinal)),
                _ => None,
            })
        };
        let told_often: HashSet<Option<u32>> =
            posts().filter(|(_, ordinal)| *ordinal > 1).map(|(selector, _)| selector).collect();
        let once = |post: &(u64, (Option<u32>, u64))| !told_often.contains(&post.1.0);
        (1..).zip(posts()).filter(once).map(|(number, _)| number).collect()
    }

    /// How long an operation took.
    pub(in crate::perturb) fn took(&self, operation: OperationIndex) -> u64 {
        let Recorded { enter, leave, .. } = self.operations[operation];
        let leave = leave.map_or(self.ends_at, |leave| self.event(leave).time);
        leave.saturating_sub(self.event(enter).time)
    }

    /// Whether a call asks for what the recorded one did, as far as the tape's rules compare them. Which
    /// shared buffers they name is not looked at.
    pub(in crate::perturb) fn is_same_call(&self, held: &Call, given: &Call) -> bool {
        let rules = || {
            let of = |rule: &&FieldRule| {
                rule.selector.is_none_or(|selector| selector == held.selector)
                    && matches!(rule.comparison, Comparison::Masked | Comparison::Symbol(_))
            };
            self.rules.iter().filter(of)
        };
        let free_scalar = |index: usize| rules().any(|it| it.field == Field::ScalarInput(index));
        let free_byte = |index: u64| {
            rules().any(|rule| match rule.field {
                Field::StructureInput(from, length) => index >= from && index - from < length,
                _ => false,
            })
        };
        let scalars = held.scalars.len() == given.scalars.len()
            && (held.scalars.iter().zip(&given.scalars[..]).enumerate())
                .all(|(index, (held, given))| held == given || free_scalar(index));
        let bytes = |structure: &Structure| match structure {
            Structure::Bytes(data) | Structure::Shared { data, .. } => {
                data.as_bytes().map(<[u8]>::to_vec)
            }
            _ => None,
        };
        let structures = match (&held.input, &given.input) {
            (Structure::Bytes(a), Structure::Bytes(b))
            | (Structure::Shared { data: a, .. }, Structure::Shared { data: b, .. }) => {
                a.length() == b.length()
                    && match (bytes(&held.input), bytes(&given.input)) {
                        (Some(held), Some(given)) => (held.iter().zip(&given).enumerate())
                            .all(|(index, (a, b))| a == b || free_byte(index as u64)),
                        // What is not on the tape is not compared.
                        _ => true,
                    }
            }
            (a, b) => a == b,
        };
        scalars
            && structures
            && held.scalar_count == given.scalar_count
            && held.scalars_asked == given.scalars_asked
            && match (held.output, given.output) {
                (
                    OutputKind::Shared { memory: _, size: held },
                    OutputKind::Shared { memory: _, size: given },
                ) => held == given,
                (held, given) => held == given,
            }
    }
}

/// Deeds that each operation may have caused.
fn effects(operations: &[Recorded], deeds: &[Deed]) -> Vec<Vec<usize>> {
    let mut effects = vec![Vec::new(); operations.len()];
    for (number, deed) in deeds.iter().enumerate() {
        for cause in &deed.causes {
            effects[*cause].push(number);
        }
    }
    effects
}

/// What reads of registers saw, in order, by memory, offset and length.
type RegisterReads = HashMap<(u32, u64, u64), Vec<Arc<[u8]>>>;

/// What is gathered while the events go by.
#[derive(Default)]
struct Reader {
    operations: Vec<Recorded>,
    by_key: HashMap<Key, Vec<OperationIndex>>,
    deeds: Vec<Deed>,
    register_reads: RegisterReads,
    memories: HashMap<u32, MappedMemory>,
    /// Operation of an enter, by sequence number.
    enters: HashMap<Sequence, OperationIndex>,
    indices: HashMap<Sequence, EventIndex>,
    queues: HashMap<OperationIndex, u32>,
    /// Where patches were last seen equal: by deed.
    seen: HashMap<usize, EventIndex>,
    words: Words,
}

impl Reader {
    fn enter(&mut self, index: EventIndex, event: &Event, key: Key, heard: bool) {
        let operation = self.operations.len();
        self.enters.insert(event.sequence, operation);
        self.by_key.entry(key).or_default().push(operation);
        self.operations.push(Recorded { enter: index, leave: None, lane: event.lane, heard });
    }

    fn single(&mut self, index: EventIndex, event: &Event, key: Key, heard: bool) {
        self.enter(index, event, key, heard);
        if let Some(last) = self.operations.last_mut() {
            last.leave = Some(index);
        }
    }

    fn event(&mut self, index: EventIndex, event: &Event) -> Result<(), UnfitTape> {
        self.indices.insert(event.sequence, index);
        let connection = event.connection.unwrap_or(0);
        let words = self.words.event(&event.body);
        match &event.body {
            Body::Matched { .. } | Body::Property { .. } => {
                self.single(index, event, Key::Registry, false);
            }
            Body::Watch { .. } => self.single(index, event, Key::Watch, true),
            Body::Queue { .. } => self.single(index, event, Key::Queue, false),
            Body::Open { service, open_type } => {
                let key = Key::Open { service: *service, open_type: *open_type };
                self.enter(index, event, key, true);
            }
            Body::Call(call) => {
                let selector = call.selector;
                let key = Key::Call { connection, selector, asynchronous: false };
                self.enter(index, event, key, true);
            }
            Body::AsyncCall { call, queue, .. } => {
                let selector = call.selector;
                let key = Key::Call { connection, selector, asynchronous: true };
                if let Some(queue) = queue {
                    self.queues.insert(self.operations.len(), *queue);
                }
                self.enter(index, event, key, true);
            }
            Body::Map { memory_type, .. } => {
                let key = Key::Map { connection, memory_type: *memory_type };
                self.enter(index, event, key, true);
            }
            Body::Unmap { memory_type, .. } => {
                let key = Key::Unmap { connection, memory_type: *memory_type };
                self.enter(index, event, key, true);
            }
            Body::Close => self.enter(index, event, Key::Close { connection }, true),
            Body::OtherCall(_) => self.enter(index, event, Key::Other { connection }, true),
            Body::Write { memory, offset, .. } => {
                let key = Key::Write { memory: *memory, offset: *offset };
                self.single(index, event, key, true);
            }
            Body::Update { memory, offset, .. } => {
                let key = Key::Update { memory: *memory, offset: *offset };
                self.single(index, event, key, true);
            }
            Body::Posted { ordinal, status, arguments, reference } => {
                let call = event.cause.and_then(|cause| self.enters.get(&cause)).copied();
                let call = call.ok_or(UnfitTape::Holes("a completion has no call"))?;
                let queue = self.queues.get(&call).copied();
                let queue = queue.ok_or(UnfitTape::Holes("a completion has no queue"))?;
                let (reference, status, arguments) = (*reference, *status, *arguments);
                let completion = Completion { reference, status, arguments };
                let ordinal = *ordinal;
                self.deed(index, event, What::Post { queue, call, ordinal, completion });
            }
            Body::Notice { queue, kind, service } => {
                let service = crate::call::ServiceId(u64::from(*service));
                let notice = Notice { kind: *kind, service };
                self.deed(index, event, What::Notice { queue: *queue, notice });
            }
            Body::Patch { memory, offset, data, last_equal, .. } => {
                let bytes =
                    data.as_bytes().ok_or(UnfitTape::Holes("bytes of a change are gone"))?;
                let mapped = self.memories.get(memory);
                if mapped.is_some_and(|mapped| mapped.capture == Capture::Registers) {
                    let place = (*memory, *offset, bytes.len() as u64);
                    self.register_reads.entry(place).or_default().push(bytes.into());
                    return Ok(());
                }
                let seen = last_equal.is_some();
                if let Some(seen) = last_equal.and_then(|last| self.indices.get(&last)) {
                    self.seen.insert(self.deeds.len(), *seen);
                }
                let bytes = bytes.into();
                let (memory, offset) = (*memory, *offset);
                self.deed(
                    index,
                    event,
                    What::Patch { memory, offset, bytes, free: false, seen, words },
                );
            }
            Body::Gap { .. } => return Err(UnfitTape::Gap(event.sequence)),
            Body::Keyframe(_) => return Err(UnfitTape::Holes("it begins in the middle")),
            Body::Fork { .. } | Body::Exec => {
                return Err(UnfitTape::Holes("it is of more than one program"));
            }
            body => {
                if body.is_leave()
                    && let Some(enter) = event.cause.and_then(|cause| self.enters.get(&cause))
                {
                    self.operations[*enter].leave = Some(index);
                }
                if let Body::Mapped { outcome: Ok(mapped) } = body {
                    if mapped.capture == Capture::Uncaptured {
                        return Err(UnfitTape::Holes("a memory was not captured"));
                    }
                    self.memories.insert(mapped.memory, *mapped);
                }
            }
        }
        Ok(())
    }

    fn deed(&mut self, index: EventIndex, event: &Event, what: What) {
        let (position, time, causes) = (index, event.time, Vec::new());
        self.deeds.push(Deed {
            event: index,
            position,
            time,
            causes,
            with: None,
            shown_by: None,
            what,
        });
    }
}

/// Finds out where each change has happened at the latest, and what may have caused it.
fn settle(
    events: &[Event],
    operations: &[Recorded],
    deeds: &mut [Deed],
    seen: &HashMap<usize, EventIndex>,
) {
    // Signs of the device before an event: posts, notices and leaves, and other changes.
    let mut last_sign: Vec<Option<EventIndex>> = Vec::with_capacity(events.len());
    let mut last = None;
    for (index, event) in events.iter().enumerate() {
        last_sign.push(last);
        let is_wait = matches!(event.body, Body::Woke { .. });
        let is_sign =
            matches!(event.body, Body::Posted { .. } | Body::Notice { .. } | Body::Patch { .. })
                || (event.body.is_leave() && !is_wait);
        if is_sign {
            last = Some(index);
        }
    }
    let deed_of: HashMap<EventIndex, usize> =
        deeds.iter().enumerate().map(|(number, deed)| (deed.event, number)).collect();
    for number in 0..deeds.len() {
        let event = deeds[number].event;
        if !matches!(deeds[number].what, What::Patch { .. }) {
            continue;
        }
        // Without a place where it was seen equal it may be as old as the memory.
        let since = seen.get(&number).copied();
        let sign = last_sign[event].filter(|sign| since.is_none_or(|since| *sign > since));
        let Some(sign) = sign else { continue };
        let mut position = sign;
        if let Some(other) = deed_of.get(&sign).copied()
            && matches!(deeds[other].what, What::Patch { .. })
        {
            position = deeds[other].position;
            if since == Some(position) {
                // It came after that, and so after what this one is said to go with.
                continue;
            }
            if since.is_some_and(|since| position < since) {
                // The sign itself was no earlier than that, since this came before it.
                position = sign;
                deeds[other].position = sign;
                deeds[other].time = events[sign].time;
            }
        }
        deeds[number].position = position;
        deeds[number].time = events[position].time;
    }
    deeds.sort_by_key(|deed| (deed.position, !matches!(deed.what, What::Patch { .. }), deed.event));
    let posts: HashMap<EventIndex, usize> = (deeds.iter().enumerate())
        .filter(|(_, deed)| matches!(deed.what, What::Post { .. }))
        .map(|(number, deed)| (deed.event, number))
        .collect();
    let returns: HashMap<EventIndex, OperationIndex> = (operations.iter().enumerate())
        .filter_map(|(number, operation)| Some((operation.leave?, number)))
        .filter(|(leave, number)| *leave != operations[*number].enter)
        .collect();
    let mut lasts: Vec<(u32, OperationIndex)> = Vec::new();
    let mut next = 0;
    for deed in deeds.iter_mut() {
        while let Some(operation) = operations.get(next).filter(|it| it.enter < deed.position) {
            if operation.heard {
                lasts.retain(|(lane, _)| *lane != operation.lane);
                lasts.push((operation.lane, next));
            }
            next += 1;
        }
        deed.causes = lasts.iter().map(|(_, operation)| *operation).collect();
        match &mut deed.what {
            What::Patch { free, .. } => {
                *free = deed.position == deed.event;
                deed.with = posts.get(&deed.position).copied();
                deed.shown_by = returns.get(&deed.position).copied();
            }
            What::Post { call, .. } if !deed.causes.contains(call) => deed.causes.push(*call),
            _ => {}
        }
    }
}

/// Whether two calls beside methods and memory ask for the same.
pub(super) fn is_same_other(held: &OtherCall, given: &OtherCall) -> bool {
    match (held, given) {
        (
            OtherCall::SetNotificationPort { notification_type: held, queue: held_queue, .. },
            OtherCall::SetNotificationPort { notification_type, queue, .. },
        ) => held == notification_type && held_queue == queue,
        (held, given) => held == given,
    }
}

/// Whether a look into the registry is the recorded one.
pub(super) fn is_same_look(
    held: &Body,
    matching: Option<&Matching>,
    of: Option<(u32, Option<&str>)>,
) -> bool {
    match (held, matching, of) {
        (Body::Matched { matching: held, .. }, Some(matching), None) => held == matching,
        (Body::Property { service, key, .. }, None, Some((of, name))) => {
            *service == of && key.as_deref() == name
        }
        _ => false,
    }
}
