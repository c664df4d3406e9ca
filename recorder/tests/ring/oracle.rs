//! What a ring's tape must be, told by the full tape of the same client.

use dextape::memory::{Update, Width};
use dextape::tape::{Body, Event, Keyframe, Payload, Tape};
use std::collections::{BTreeMap, BTreeSet};

/// What was found on a tape that is as it should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) kept: u64,
    pub(crate) given_up: u64,
    pub(crate) tail: u64,
    pub(crate) memories: u64,
    pub(crate) shadow_bytes: u64,
    pub(crate) lost: u64,
    pub(crate) pending: u64,
    /// Calls under way that there was no room for.
    pub(crate) forgotten: u64,
}

/// Compares the tape of a ring with the full one, on which each event has its place as its time. An error
/// says what should be otherwise.
pub(crate) fn compare(full: &Tape, cut: &Tape) -> Result<Account, String> {
    let full = full.events();
    let events = cut.events();
    let Some(at) = events.iter().position(|event| matches!(event.body, Body::Keyframe(_))) else {
        same_all(full, events, full.len())?;
        return Ok(Account { tail: events.len() as u64, ..Account::default() });
    };
    let Body::Keyframe(keyframe) = &events[at].body else { return Err("no keyframe".to_owned()) };
    let behind =
        events[at + 1..].iter().skip_while(|event| matches!(event.body, Body::Note { .. }));
    let tail: Vec<&Event> = behind.collect();
    let first = full.len() - tail.len();
    let mut account = Account { tail: tail.len() as u64, ..Account::default() };
    // From sequence numbers of the cut tape to places on the full one.
    let mut places = Places::default();
    let mut next = 0;
    for event in &events[..at] {
        if let Body::Gap { events: Some(missing), .. } = event.body {
            account.given_up += missing;
            next += missing as usize;
            continue;
        }
        let place = event.time as usize;
        if place != next {
            return Err(format!("event {}: expected place {next}, found {place}", event.sequence));
        }
        places.insert(event.sequence, place);
        same(full, event, place, &places)?;
        account.kept += 1;
        next += 1;
    }
    if next != first {
        return Err(format!("the gaps and what is kept end at {next}, the tail begins at {first}"));
    }
    for (event, place) in tail.into_iter().zip(first..) {
        places.insert(event.sequence, place);
        same(full, event, place, &places)?;
    }
    check_keyframe(&full[..first], keyframe, &places, &mut account)?;
    Ok(account)
}

fn same_all(full: &[Event], events: &[Event], count: usize) -> Result<(), String> {
    let mut places = Places::default();
    for (place, event) in events.iter().enumerate() {
        places.insert(event.sequence, place);
        same(full, event, place, &places)?;
    }
    if events.len() == count { Ok(()) } else { Err(format!("{} of {count}", events.len())) }
}

/// From sequence numbers of the cut tape to those of the full one.
#[derive(Default)]
struct Places {
    full: BTreeMap<u64, u64>,
    known: BTreeSet<u64>,
}

impl Places {
    fn insert(&mut self, sequence: u64, place: usize) {
        // Sequence numbers of the full tape are places, from 1 on.
        self.full.insert(sequence, place as u64 + 1);
        self.known.insert(place as u64 + 1);
    }
}

/// The event of the full tape at `place`, but for numbers.
fn same(full: &[Event], event: &Event, place: usize, places: &Places) -> Result<(), String> {
    let expected = full.get(place).ok_or_else(|| format!("no event {place}"))?;
    let cause = event.cause.map(|cause| places.full.get(&cause).copied().unwrap_or(0));
    let cause_right = cause == expected.cause.filter(|wanted| places.known.contains(wanted));
    let head = |event: &Event| (event.process, event.lane, event.connection, event.time);
    if !cause_right || head(event) != head(expected) || event.body != expected.body {
        return Err(format!("expected {expected:?}\nfound {event:?} (cause {cause:?})"));
    }
    Ok(())
}

#[derive(Default)]
struct Known {
    holders: Vec<(u32, u32)>,
    bytes: Vec<u8>,
}

/// The state that events lead to, told apart from the recorder's.
#[derive(Default)]
struct World {
    connections: BTreeMap<u32, u32>,
    memories: BTreeMap<u32, Known>,
    queues: BTreeSet<u32>,
    /// Places of asynchronous calls, and completions so far.
    pending: BTreeMap<u64, u64>,
}

impl World {
    fn of(events: &[Event]) -> Self {
        let mut world = Self::default();
        events.iter().for_each(|event| world.apply(events, event));
        world
    }

    fn apply(&mut self, events: &[Event], event: &Event) {
        let entered = event.cause.map(|cause| &events[cause as usize - 1].body);
        match (&event.body, entered) {
            (Body::Queue { queue } | Body::Watch { queue, .. }, _) => {
                self.queues.insert(*queue);
            }
            (Body::Opened, Some(Body::Open { service, .. })) => {
                self.connections.extend(event.connection.map(|number| (number, *service)));
            }
            (Body::Closed { .. }, _) => {
                let connection = event.connection.unwrap();
                self.connections.remove(&connection);
                self.pending
                    .retain(|call, _| events[*call as usize - 1].connection != Some(connection));
                self.memories.retain(|_, known| {
                    known.holders.retain(|(holder, _)| *holder != connection);
                    !known.holders.is_empty()
                });
            }
            (Body::Mapped { outcome: Ok(mapped) }, Some(Body::Map { memory_type, .. })) => {
                let known = self.memories.entry(mapped.memory).or_default();
                known.bytes.resize(mapped.length as usize, 0);
                known.holders.push((event.connection.unwrap(), *memory_type));
            }
            (Body::Unmapped { result }, Some(Body::Unmap { memory: Some(memory), .. }))
                if result.is_success() =>
            {
                self.memories.remove(memory);
            }
            (
                Body::Write { memory, offset, data, .. } | Body::Patch { memory, offset, data, .. },
                _,
            ) => {
                let bytes = &mut self.memories.get_mut(memory).unwrap().bytes;
                let data = data.as_bytes().unwrap();
                bytes[*offset as usize..][..data.len()].copy_from_slice(data);
            }
            (Body::Update { memory, offset, width, update }, _) => {
                let bytes = &mut self.memories.get_mut(memory).unwrap().bytes;
                let at = &mut bytes[*offset as usize..][..width.bytes() as usize];
                updated(at, *width, *update);
            }
            (Body::AsyncCall { .. }, _) => {
                self.pending.insert(event.sequence, 0);
            }
            (Body::Return(returned), Some(Body::AsyncCall { .. }))
                if !returned.result.is_success() =>
            {
                self.pending.remove(&event.cause.unwrap());
            }
            (Body::Posted { .. }, _) => {
                if let Some(completions) = self.pending.get_mut(&event.cause.unwrap()) {
                    *completions += 1;
                }
            }
            _ => {}
        }
    }
}

fn updated(at: &mut [u8], width: Width, update: Update) {
    assert_eq!(width, Width::Four);
    let old = u32::from_le_bytes(at.try_into().unwrap());
    let new = match update {
        Update::Swap(operand) => operand as u32,
        Update::Add(operand) => old.wrapping_add(operand as u32),
        Update::Or(operand) => old | operand as u32,
        Update::And(operand) => old & operand as u32,
        Update::CompareExchange { expected, new } => match u64::from(old) == expected {
            true => new as u32,
            false => old,
        },
    };
    at.copy_from_slice(&new.to_le_bytes());
}

fn check_keyframe(
    before: &[Event],
    keyframe: &Keyframe,
    places: &Places,
    account: &mut Account,
) -> Result<(), String> {
    let world = World::of(before);
    let connections: BTreeMap<u32, u32> = keyframe.connections.iter().copied().collect();
    if connections != world.connections {
        return Err(format!("connections: {connections:?}, not {:?}", world.connections));
    }
    let queues: BTreeSet<u32> = keyframe.queues.iter().copied().collect();
    if queues != world.queues {
        return Err(format!("queues: {queues:?}, not {:?}", world.queues));
    }
    let told: Vec<u32> = keyframe.memories.iter().map(|memory| memory.memory).collect();
    if !told.iter().eq(world.memories.keys()) {
        return Err(format!("memories: {told:?}, not {:?}", world.memories.keys()));
    }
    for memory in &keyframe.memories {
        let known = &world.memories[&memory.memory];
        let holder = memory.connection.map(|connection| (connection, memory.memory_type));
        if holder.is_none_or(|holder| !known.holders.contains(&holder)) {
            return Err(format!(
                "memory {} is of {holder:?}, not {:?}",
                memory.memory, known.holders
            ));
        }
        let mut bytes = vec![0; memory.length as usize];
        for (offset, payload) in &memory.shadow {
            let at = *offset as usize;
            match payload {
                Payload::Bytes(part) => bytes[at..][..part.len()].copy_from_slice(part),
                // Lost: nothing is said of them.
                Payload::Redacted { length } => {
                    let range = at..at + *length as usize;
                    bytes[range.clone()].copy_from_slice(&known.bytes[range]);
                    account.lost += length;
                }
                other => return Err(format!("memory {}: {other:?}", memory.memory)),
            }
        }
        if bytes != known.bytes {
            let at = bytes.iter().zip(&known.bytes).position(|(left, right)| left != right);
            return Err(format!("memory {}: another byte at {at:?}", memory.memory));
        }
        account.memories += 1;
        account.shadow_bytes += bytes.iter().filter(|byte| **byte != 0).count() as u64;
    }
    let pending: BTreeSet<u64> =
        keyframe.pending.iter().filter_map(|it| places.full.get(it)).copied().collect();
    // One that completed once most often never does again; one that did twice may go on, if that is known.
    let with = |wanted: fn(u64) -> bool| -> BTreeSet<u64> {
        world.pending.iter().filter(|(_, count)| wanted(**count)).map(|(call, _)| *call).collect()
    };
    let (must, may) = (with(|count| count == 0), with(|count| count != 1));
    account.forgotten = must.difference(&pending).count() as u64;
    if !pending.is_subset(&may) || pending.len() != keyframe.pending.len() {
        return Err(format!("pending: {pending:?}, not {must:?} to {may:?}"));
    }
    account.pending = pending.len() as u64;
    Ok(())
}
