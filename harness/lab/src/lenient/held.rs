//! What a tape holds, by what is asked.

use super::key::{self, Key};
use super::mark::OCCURRENCE;
use dextape::tape::{Body, Field, FieldRule, Sequence, Structure, Tape};
use std::collections::{BTreeMap, HashMap};

/// An operation that the tape holds: the places of its enter and its leave.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operation {
    pub(super) enter: usize,
    pub(super) leave: Option<usize>,
}

/// A completion that the tape holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Post {
    pub(super) place: usize,
    pub(super) call: Sequence,
    /// Nanoseconds after the operation that it came after.
    pub(super) after: u64,
}

/// A change of memory that the tape holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeldPatch {
    pub(super) place: usize,
    /// Its lane, and the place of the last operation there that has to be over.
    pub(super) anchor: Option<(u32, usize)>,
}

/// What a tape holds, by what is asked.
#[derive(Debug, Default)]
pub(super) struct Held {
    operations: HashMap<(Key, u64), Operation>,
    /// Completions by the operation after which they came.
    pub(super) posts: HashMap<Sequence, Vec<Post>>,
    pub(super) patches: HashMap<u32, Vec<HeldPatch>>,
    /// Notices by queue: their places.
    pub(super) notices: HashMap<u32, Vec<usize>>,
    /// Calls whose bytes are not known.
    pub(super) is_vague: bool,
    pub(super) rules: Vec<FieldRule>,
    /// The first number that no memory has.
    pub(super) free_memory: u32,
}

impl Held {
    pub(super) fn of(tape: &Tape) -> Self {
        let header = tape.header();
        let inputs = |rule: &&FieldRule| {
            matches!(rule.field, Field::ScalarInput(_) | Field::StructureInput(..))
        };
        let mut held = Self {
            rules: header.rules.iter().filter(inputs).cloned().collect(),
            free_memory: 1,
            ..Self::default()
        };
        let mut counts: HashMap<Key, u64> = HashMap::new();
        let mut enters: HashMap<Sequence, (Key, u64)> = HashMap::new();
        // The last operation of each connection and of each lane.
        let mut of_connection: BTreeMap<Option<u32>, (Sequence, u64)> = BTreeMap::new();
        let mut of_lane: BTreeMap<u32, usize> = BTreeMap::new();
        for (place, event) in tape.events().iter().enumerate() {
            if let Some(key) = key::of_event(event, &held.rules) {
                let told = event.extra.get(OCCURRENCE).and_then(serde_json::Value::as_u64);
                let count = counts.entry(key).or_default();
                *count = told.unwrap_or(*count + 1);
                held.operations.insert((key, *count), Operation { enter: place, leave: None });
                enters.insert(event.sequence, (key, *count));
                of_connection.insert(event.connection, (event.sequence, event.time));
                of_lane.insert(event.lane, place);
            }
            match &event.body {
                Body::Posted { .. } => {
                    let Some(call) = event.cause else { continue };
                    let last = of_connection.get(&event.connection).copied();
                    let call_time = tape.event(call).map_or(0, |call| call.time);
                    let (anchor, time) = last.unwrap_or((call, call_time));
                    let after = event.time.saturating_sub(time);
                    held.posts.entry(anchor).or_default().push(Post { place, call, after });
                }
                Body::Patch { memory, .. } => {
                    let anchor = of_lane.get(&event.lane).map(|place| (event.lane, *place));
                    held.patches.entry(*memory).or_default().push(HeldPatch { place, anchor });
                }
                Body::Notice { queue, .. } => held.notices.entry(*queue).or_default().push(place),
                Body::Mapped { outcome: Ok(mapped) } => held.number_taken(mapped.memory),
                Body::Call(call) | Body::AsyncCall { call, .. } => {
                    if let Structure::Bytes(data) | Structure::Shared { data, .. } = &call.input {
                        held.is_vague |= data.as_bytes().is_none();
                    }
                }
                _ => {}
            }
            if event.body.is_leave()
                && let Some(entered) = event.cause.and_then(|enter| enters.get(&enter))
                && let Some(operation) = held.operations.get_mut(entered)
            {
                operation.leave = Some(place);
            }
        }
        held
    }

    fn number_taken(&mut self, memory: u32) {
        self.free_memory = self.free_memory.max(memory.saturating_add(1));
    }

    /// The operation that is made for the n-th time.
    pub(super) fn operation(&self, key: Key, occurrence: u64) -> Option<Operation> {
        self.operations.get(&(key, occurrence)).copied()
    }
}
