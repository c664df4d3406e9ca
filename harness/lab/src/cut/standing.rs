//! What stands at a place of a tape: everything that is open, mapped, made or on its way.

use dextape::memory::{Shadow, Width};
use dextape::tape::{
    Body, Event, Keyframe, KeyframeMemory, OtherCall, OutputKind, Payload, Sequence, Structure,
    Tape, TapeError,
};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of a piece of a keyframe's shadow: pieces that are all zero are left out.
const PIECE: u64 = 256;

/// An asynchronous call that was made.
#[derive(Debug)]
struct Asynchronous {
    connection: Option<u32>,
    /// Places of its enter, and of its leave.
    places: Vec<usize>,
    failed: bool,
    completed: bool,
    /// Shared memories of it.
    memories: Vec<u32>,
}

/// A memory.
#[derive(Debug)]
struct Held {
    /// Connections that have it mapped; none of a shared buffer.
    holders: BTreeSet<u32>,
    connection: Option<u32>,
    memory_type: u32,
    length: u64,
    shadow: Shadow,
    /// End of what was ever written.
    end: u64,
}

/// What stands after the events that it has taken.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// Service and rights of each open connection.
    connections: BTreeMap<u32, (u32, u64)>,
    queues: BTreeSet<u32>,
    memories: BTreeMap<u32, Held>,
    calls: BTreeMap<Sequence, Asynchronous>,
    /// Places of completions that nobody has taken.
    posted: BTreeMap<Sequence, usize>,
}

impl Standing {
    /// Takes the event at `place`, whose enter is `entered` where it is a leave.
    pub(super) fn event(
        &mut self,
        tape: &Tape,
        place: usize,
        entered: Option<&Event>,
    ) -> Result<(), TapeError> {
        let event = &tape.events()[place];
        let connection = event.connection.unwrap_or(0);
        match (&event.body, entered.map(|enter| &enter.body)) {
            (Body::Opened, Some(Body::Open { service, .. })) => {
                self.connections.insert(connection, (*service, 1));
            }
            (Body::Closed { .. }, _) => self.drop_right(connection),
            (Body::OtherReturn { outcome: Ok(_) }, Some(Body::OtherCall(OtherCall::AddRef))) => {
                if let Some((_, rights)) = self.connections.get_mut(&connection) {
                    *rights += 1;
                }
            }
            (Body::OtherReturn { outcome: Ok(_) }, Some(Body::OtherCall(OtherCall::Release))) => {
                self.drop_right(connection);
            }
            (Body::Queue { queue }, _)
            | (Body::Watch { queue, result: dextape::IoReturn::SUCCESS, .. }, _) => {
                self.queues.insert(*queue);
            }
            (Body::Mapped { outcome: Ok(mapped) }, Some(Body::Map { memory_type, .. })) => {
                let held = self.memories.entry(mapped.memory).or_insert_with(|| Held {
                    holders: BTreeSet::new(),
                    connection: event.connection,
                    memory_type: *memory_type,
                    length: mapped.length,
                    shadow: Shadow::new(),
                    end: 0,
                });
                held.holders.insert(connection);
            }
            (Body::Unmapped { result }, Some(Body::Unmap { memory_type, memory }))
                if result.is_success() =>
            {
                let given = memory.filter(|memory| {
                    let held = self.memories.get(memory);
                    held.is_some_and(|held| held.holders.contains(&connection))
                });
                let of_type = || {
                    let mut held = self.memories.iter();
                    held.find(|(_, held)| {
                        held.memory_type == *memory_type && held.holders.contains(&connection)
                    })
                    .map(|(number, _)| *number)
                };
                if let Some(number) = given.or_else(of_type)
                    && let Some(held) = self.memories.get_mut(&number)
                {
                    held.holders.remove(&connection);
                    if held.holders.is_empty() {
                        self.memories.remove(&number);
                    }
                }
            }
            (Body::Call(call), _) => {
                self.shared(tape, &call.input, call.output)?;
            }
            (Body::AsyncCall { call, .. }, _) => {
                let memories = self.shared(tape, &call.input, call.output)?;
                let made = Asynchronous {
                    connection: event.connection,
                    places: vec![place],
                    failed: false,
                    completed: false,
                    memories,
                };
                self.calls.insert(event.sequence, made);
            }
            (Body::Return(returned), Some(Body::AsyncCall { .. })) => {
                if let Some(call) = event.cause.and_then(|cause| self.calls.get_mut(&cause)) {
                    call.places.push(place);
                    call.failed = !returned.result.is_success();
                }
            }
            (Body::Posted { .. }, _) => {
                self.posted.insert(event.sequence, place);
                if let Some(call) = event.cause.and_then(|cause| self.calls.get_mut(&cause)) {
                    call.completed = true;
                }
            }
            (Body::Delivered { .. }, _) => {
                event.cause.and_then(|cause| self.posted.remove(&cause));
            }
            (Body::Write { memory, offset, data, .. }, _)
            | (Body::Patch { memory, offset, data, .. }, _) => {
                self.write(tape, *memory, *offset, data)?;
            }
            (Body::Update { memory, offset, width, update }, _) => {
                if let Some(held) = self.memories.get_mut(memory) {
                    let old = held.word(*offset, *width);
                    let new = update.apply(old, *width).to_le_bytes();
                    held.put(*offset, &new[..width.bytes() as usize]);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// With the last right its mappings go, and what it waits for.
    fn drop_right(&mut self, connection: u32) {
        let Some((_, rights)) = self.connections.get_mut(&connection) else { return };
        *rights = rights.saturating_sub(1);
        if *rights > 0 {
            return;
        }
        self.connections.remove(&connection);
        self.memories.retain(|_, held| {
            let mapped = held.holders.remove(&connection);
            !mapped || !held.holders.is_empty()
        });
    }

    /// Takes the shared buffers of a call; gives their numbers.
    fn shared(
        &mut self,
        tape: &Tape,
        input: &Structure,
        output: OutputKind,
    ) -> Result<Vec<u32>, TapeError> {
        let mut numbers = Vec::new();
        let mut buffer = |memory: u32, length: u64| {
            let held = self.memories.entry(memory).or_insert_with(|| Held {
                holders: BTreeSet::new(),
                connection: None,
                memory_type: 0,
                length,
                shadow: Shadow::new(),
                end: 0,
            });
            held.length = held.length.max(length);
            numbers.push(memory);
        };
        if let Structure::Shared { memory, data } = input {
            buffer(*memory, data.length());
        }
        if let OutputKind::Shared { memory, size } = output {
            buffer(memory, size);
        }
        if let Structure::Shared { memory, data } = input {
            self.write(tape, *memory, 0, data)?;
        }
        Ok(numbers)
    }

    fn write(
        &mut self,
        tape: &Tape,
        memory: u32,
        offset: u64,
        data: &Payload,
    ) -> Result<(), TapeError> {
        if let Some(held) = self.memories.get_mut(&memory)
            && let Some(bytes) = tape.bytes(data)?
        {
            held.put(offset, &bytes);
        }
        Ok(())
    }

    /// Places of the calls that may still complete, with their leaves, and of completions that nobody has
    /// taken, with their calls. `completes` tells of a call whether the tape holds a completion of it later.
    pub(super) fn under_way(
        &self,
        tape: &Tape,
        completes: impl Fn(Sequence) -> bool,
    ) -> BTreeSet<usize> {
        let untaken = self.posted.values().filter_map(|place| tape.events()[*place].cause);
        let untaken = untaken.filter_map(|call| self.calls.get(&call));
        let pending = self.pending(completes).map(|(_, call)| call);
        let calls = pending.chain(untaken).flat_map(|call| call.places.iter().copied());
        calls.chain(self.posted.values().copied()).collect()
    }

    fn pending(
        &self,
        completes: impl Fn(Sequence) -> bool,
    ) -> impl Iterator<Item = (Sequence, &Asynchronous)> {
        let open = |call: &Asynchronous| {
            call.connection.is_none_or(|connection| self.connections.contains_key(&connection))
        };
        self.calls
            .iter()
            .filter(move |(sequence, call)| {
                completes(**sequence) || !call.failed && !call.completed && open(call)
            })
            .map(|(sequence, call)| (*sequence, call))
    }

    /// The keyframe.
    pub(super) fn keyframe(&self, completes: impl Fn(Sequence) -> bool) -> Keyframe {
        let pending: Vec<(Sequence, &Asynchronous)> = self.pending(completes).collect();
        let lent: BTreeSet<u32> =
            pending.iter().flat_map(|(_, call)| call.memories.iter().copied()).collect();
        let stands = |number: &u32, held: &Held| !held.holders.is_empty() || lent.contains(number);
        let memories = self.memories.iter().filter(|(number, held)| stands(number, held));
        Keyframe {
            connections: self
                .connections
                .iter()
                .map(|(connection, (service, _))| (*connection, *service))
                .collect(),
            memories: memories.map(|(number, held)| held.keyframe(*number)).collect(),
            queues: self.queues.iter().copied().collect(),
            pending: pending.iter().map(|(sequence, _)| *sequence).collect(),
        }
    }
}

impl Held {
    fn put(&mut self, offset: u64, bytes: &[u8]) {
        self.shadow.write(offset, bytes);
        self.end = self.end.max(offset.saturating_add(bytes.len() as u64));
    }

    fn word(&self, offset: u64, width: Width) -> u64 {
        let mut word = [0; 8];
        self.shadow.read(offset, &mut word[..width.bytes() as usize]);
        u64::from_le_bytes(word)
    }

    fn keyframe(&self, memory: u32) -> KeyframeMemory {
        let mut shadow: Vec<(u64, Vec<u8>)> = Vec::new();
        let mut offset = 0;
        while offset < self.end {
            let mut piece = vec![0; PIECE.min(self.end - offset) as usize];
            self.shadow.read(offset, &mut piece);
            if piece.iter().any(|byte| *byte != 0) {
                match shadow.last_mut() {
                    Some((at, bytes)) if *at + bytes.len() as u64 == offset => bytes.extend(piece),
                    _ => shadow.push((offset, piece)),
                }
            }
            offset += PIECE;
        }
        let held = shadow.into_iter().map(|(offset, bytes)| (offset, Payload::bytes(&bytes)));
        KeyframeMemory {
            memory,
            connection: self.connection,
            memory_type: self.memory_type,
            length: self.length,
            shadow: held.collect(),
        }
    }
}
