//! Which events of a tape belong together.

use dextape::tape::{Body, Call, Event, MappedMemory, Sequence};
use std::collections::HashMap;

/// What each event of a tape has to do with others. Places are indices into the tape's events. A tape that
/// names what it does not hold has no link there.
#[derive(Debug, Default)]
pub(crate) struct Links {
    places: HashMap<Sequence, u32>,
    /// For each event, the place of its cause.
    causes: Vec<Option<u32>>,
    /// For each enter, the place of its leave.
    leaves: Vec<Option<u32>>,
    /// For each event that a call brought about, and the call itself, its selector.
    selectors: Vec<Option<u32>>,
    /// Memory type of each memory that was mapped.
    memory_types: HashMap<(u32, u32), u32>,
}

impl Links {
    pub(crate) fn of(events: &[Event]) -> Self {
        let mut links = Self {
            places: HashMap::with_capacity(events.len()),
            causes: Vec::with_capacity(events.len()),
            leaves: vec![None; events.len()],
            selectors: Vec::with_capacity(events.len()),
            memory_types: HashMap::new(),
        };
        for (place, event) in events.iter().enumerate() {
            links.places.entry(event.sequence).or_insert(place as u32);
            // Only what stands before is a cause, so no chain of causes turns back.
            let cause = event
                .cause
                .and_then(|cause| links.place(cause))
                .filter(|cause| (*cause as usize) < place);
            links.causes.push(cause);
            let from = cause.map(|cause| &events[cause as usize]);
            if let (Some(cause), Some(from)) = (cause, from)
                && event.body.is_leave_of(&from.body)
            {
                links.leaves[cause as usize].get_or_insert(place as u32);
            }
            let selector = match &event.body {
                Body::Call(Call { selector, .. })
                | Body::AsyncCall { call: Call { selector, .. }, .. } => Some(*selector),
                Body::Return(_) | Body::Posted { .. } | Body::Delivered { .. } => {
                    cause.and_then(|cause| links.selectors[cause as usize])
                }
                _ => None,
            };
            links.selectors.push(selector);
            if let Body::Mapped { outcome: Ok(MappedMemory { memory, .. }) } = &event.body
                && let Some(Body::Map { memory_type, .. }) = from.map(|from| &from.body)
            {
                links.memory_types.insert((event.process, *memory), *memory_type);
            }
            if let Body::Keyframe(keyframe) = &event.body {
                for memory in keyframe.memories.iter().filter(|it| it.connection.is_some()) {
                    links.memory_types.insert((event.process, memory.memory), memory.memory_type);
                }
            }
        }
        links
    }

    /// The place of the event of a number.
    pub(crate) fn place(&self, sequence: Sequence) -> Option<u32> {
        self.places.get(&sequence).copied()
    }

    /// The place of the event's cause.
    pub(crate) fn cause(&self, place: usize) -> Option<usize> {
        self.causes.get(place).copied().flatten().map(|place| place as usize)
    }

    /// The place of the enter's leave.
    pub(crate) fn leave(&self, place: usize) -> Option<usize> {
        self.leaves.get(place).copied().flatten().map(|place| place as usize)
    }

    /// The selector of the call that the event is, or that it comes from.
    pub(crate) fn selector(&self, place: usize) -> Option<u32> {
        self.selectors.get(place).copied().flatten()
    }

    /// The memory type that a memory was mapped as; `None` for a shared buffer.
    pub(crate) fn memory_type(&self, process: u32, memory: u32) -> Option<u32> {
        self.memory_types.get(&(process, memory)).copied()
    }
}
