//! Which part of a protocol description an event is to be read by.

use super::event::{Body, Event, Sequence};
use crate::protocol::{MemoryDescription, Protocol, ScalarDescription, SelectorDescription};
use crate::registry::{Matching, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is known of one event.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Names<'a> {
    /// The description, where it is for the event's connection.
    pub protocol: Option<&'a Protocol>,
    /// The selector of the call that the event is, returns from or completes.
    pub selector: Option<&'a SelectorDescription>,
    /// The memory type that the event maps, unmaps, writes or reads.
    pub memory: Option<&'a MemoryDescription>,
}

impl<'a> Names<'a> {
    /// Names of a completion's arguments.
    #[must_use]
    pub fn completion(self) -> &'a [ScalarDescription] {
        self.selector.map_or(&[], |selector| &selector.completion)
    }
}

/// Follows the events of a tape, so that each can be read by the names of a description: a return by the
/// selector of its call, a patch by the type of its memory.
///
/// # Examples
///
/// ```
/// use dextape::protocol::Protocol;
/// use dextape::tape::{Body, Event, Naming};
/// use std::sync::Arc;
///
/// let protocol = "format = 1\n[memory.3]\nname = \"ring\"";
/// let mut naming = Naming::new(Arc::new(Protocol::from_toml(protocol)?));
/// let map = Body::Map { memory_type: 3, options: 1, address: 0 };
/// let names = naming.follow(&Event::new(1, 1, 1, map));
/// assert_eq!(names.memory.unwrap().name, "ring");
/// # Ok::<(), dextape::protocol::ProtocolError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Naming {
    protocol: Arc<Protocol>,
    /// Selectors of calls that have not returned, or may still complete.
    calls: BTreeMap<Sequence, Pending>,
    /// Memory types of maps that have not returned.
    maps: BTreeMap<Sequence, u32>,
    /// Memory types of memories.
    memories: BTreeMap<u32, u32>,
    /// Services that the description is not for: those that were found by another class.
    others: BTreeSet<u32>,
    /// Notice queues of such services.
    other_queues: BTreeSet<u32>,
    /// Opens of such services.
    other_opens: BTreeSet<Sequence>,
    /// Connections to such services.
    other_connections: BTreeSet<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    selector: u32,
    completes: bool,
}

impl Naming {
    /// Begins before the first event.
    #[must_use]
    pub fn new(protocol: Arc<Protocol>) -> Self {
        Self {
            protocol,
            calls: BTreeMap::new(),
            maps: BTreeMap::new(),
            memories: BTreeMap::new(),
            others: BTreeSet::new(),
            other_queues: BTreeSet::new(),
            other_opens: BTreeSet::new(),
            other_connections: BTreeSet::new(),
        }
    }

    /// What is known of the next event of the tape.
    pub fn follow(&mut self, event: &Event) -> Names<'_> {
        let cause = event.cause.unwrap_or(0);
        let (mut selector, mut memory_type) = (None, None);
        match &event.body {
            Body::Matched { matching, outcome: Ok(services) } if !self.is_for(matching) => {
                self.others.extend(services);
            }
            Body::Matched { outcome: Ok(services), .. } => {
                services.iter().for_each(|service| {
                    self.others.remove(service);
                });
            }
            Body::Watch { queue, matching, .. } if !self.is_for(matching) => {
                self.other_queues.insert(*queue);
            }
            Body::Notice { queue, service, .. } if self.other_queues.contains(queue) => {
                self.others.insert(*service);
            }
            Body::Open { service, .. } if self.others.contains(service) => {
                self.other_opens.insert(event.sequence);
            }
            Body::Opened if self.other_opens.remove(&cause) => {
                self.other_connections.extend(event.connection);
            }
            Body::Call(call) | Body::AsyncCall { call, .. } => {
                let completes = matches!(event.body, Body::AsyncCall { .. });
                self.calls.insert(event.sequence, Pending { selector: call.selector, completes });
                selector = Some(call.selector);
            }
            Body::Return(returned) => {
                let call = self.calls.get(&cause).copied();
                selector = call.map(|call| call.selector);
                // A call that failed may have completed before it returned, never after.
                if !returned.result.is_success() || call.is_some_and(|call| !call.completes) {
                    self.calls.remove(&cause);
                }
            }
            Body::Posted { .. } => selector = self.calls.get(&cause).map(|call| call.selector),
            Body::Map { memory_type: of, .. } => {
                self.maps.insert(event.sequence, *of);
                memory_type = Some(*of);
            }
            Body::Unmap { memory_type: of, .. } => memory_type = Some(*of),
            Body::Mapped { outcome } => {
                memory_type = self.maps.remove(&cause);
                if let (Ok(mapped), Some(of)) = (outcome, memory_type) {
                    self.memories.insert(mapped.memory, of);
                }
            }
            Body::Write { memory, .. }
            | Body::Update { memory, .. }
            | Body::Patch { memory, .. } => {
                memory_type = self.memories.get(memory).copied();
            }
            Body::Keyframe(keyframe) => self
                .memories
                .extend(keyframe.memories.iter().map(|memory| (memory.memory, memory.memory_type))),
            _ => {}
        }
        if event.connection.is_some_and(|connection| self.other_connections.contains(&connection)) {
            return Names::default();
        }
        Names {
            protocol: Some(&self.protocol),
            selector: selector.and_then(|selector| self.protocol.selectors.get(&selector)),
            memory: memory_type.and_then(|memory| self.protocol.memory.get(&memory)),
        }
    }

    fn is_for(&self, matching: &Matching) -> bool {
        matching.conditions().any(|(_, value)| match value {
            Value::String(name) => self.protocol.describes(name),
            _ => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::transcript::TranscriptOptions;
    use super::super::{
        Call, Capture, Header, MappedMemory, OutputKind, Payload, Return, Structure, Tape,
    };
    use super::*;
    use crate::IoReturn;
    use crate::call::Scalars;

    const PROTOCOL: &str = r#"
        format = 1
        services = ["Ring"]
        [selectors.3]
        name = "submit"
        inputs = ["slot", { name = "flags", flags = "Flags" }]
        outputs = ["taken"]
        input = "Request"
        completion = [{ name = "status", show = "result" }]
        [structures.Request]
        fields = [{ name = "id", type = "u16" }, { name = "length", type = "u16" }]
        [flags.Flags]
        last = 2
        [memory.0]
        name = "ring"
        layout = "Request"
        repeated = true
        [results]
        0xe0000bad = "RingFull"
    "#;

    fn call(selector: u32) -> Call {
        Call {
            selector,
            scalars: Scalars::new(&[1, 2]).unwrap(),
            scalar_count: 2,
            input: Structure::Bytes(Payload::bytes(&[7, 0, 0, 1])),
            scalars_asked: 1,
            output: OutputKind::None,
        }
    }

    /// The same traffic on the connection to a service that was found as `class`.
    fn traffic(class: &str) -> String {
        let mut events: Vec<Event> = Vec::new();
        let mut event = |cause: u64, connection: Option<u32>, body: Body| {
            let sequence = events.len() as u64 + 1;
            let cause = Some(cause).filter(|cause| *cause != 0);
            events.push(Event { cause, connection, ..Event::new(sequence, 1, sequence, body) });
        };
        let matching = Matching::service(class);
        event(0, None, Body::Matched { matching, outcome: Ok(vec![1]) });
        event(0, None, Body::Open { service: 1, open_type: 0 });
        event(2, Some(1), Body::Opened);
        let reference = Some(vec![0]);
        event(0, Some(1), Body::AsyncCall { call: call(3), queue: Some(1), reference });
        let returned = |result, scalars: &[u64]| {
            Body::Return(Return {
                result,
                scalars: Scalars::new(scalars).unwrap(),
                structure_size: None,
                structure: None,
            })
        };
        event(4, Some(1), returned(IoReturn::SUCCESS, &[1]));
        let posted = Body::Posted {
            ordinal: 1,
            status: IoReturn(0xe000_0bad),
            arguments: Scalars::new(&[0xe000_02c2]).unwrap(),
            reference: crate::call::AsyncReference::default(),
        };
        event(4, Some(1), posted);
        event(0, Some(1), Body::Map { memory_type: 0, options: 1, address: 0 });
        let mapped = MappedMemory {
            memory: 1,
            length: 64,
            size: 16384,
            capture: Capture::Accessor,
            read_only: false,
        };
        event(7, Some(1), Body::Mapped { outcome: Ok(mapped) });
        let patch = |offset, data: &[u8]| Body::Patch {
            memory: 1,
            offset,
            data: Payload::bytes(data),
            read: 1,
            last_equal: None,
            unattributed: false,
        };
        event(8, Some(1), patch(6, &[0, 2]));
        event(8, Some(1), patch(0, &[1, 0, 2, 0, 3, 0, 4, 0]));
        event(8, Some(1), patch(1, &[9]));
        event(0, Some(1), Body::Call(call(4)));
        event(12, Some(1), returned(IoReturn::BAD_ARGUMENT, &[]));
        let protocol = Some(Arc::new(Protocol::from_toml(PROTOCOL).unwrap()));
        let options = TranscriptOptions { protocol, ..TranscriptOptions::default() };
        Tape::new(Header::mock(), events).transcript(options)
    }

    #[test]
    fn events_are_read_by_the_names_of_their_calls_and_memories() {
        insta::assert_snapshot!(traffic("Ring"), @r#"
        1  L1     match "IOProviderClass" "Ring" -> service 1
        2  L1     open service 1 type 0 -> c1 opened
        4  L1 c1  async call 3 submit(slot: 1, flags: last) input Request {id: 7, length: 256} asks 1 scalar wake queue 1 reference [0x0] -> ok (taken: 1)
        6  L1 c1  completion 1 of 4 posted: RingFull (0xe0000bad) (status: kIOReturnBadArgument (0xe00002c2))
        7  L1 c1  map type 0 ring options 0x1 -> memory 1, 64 bytes of 16384
        9  L1 c1  patch memory 1+0x6 ring[1].length = 512
       10  L1 c1  patch memory 1+0x0 ring[0].id = 8 bytes {[0].id: 1, [0].length: 2, [1].id: 3, [1].length: 4}
       11  L1 c1  patch memory 1+0x1 = 09
       12  L1 c1  call 4(0x1, 0x2) input 07000001 asks 1 scalar -> kIOReturnBadArgument (0xe00002c2)
       "#);
    }

    #[test]
    fn a_description_is_not_for_another_service() {
        let other = traffic("Other");
        assert!(!other.contains("submit") && !other.contains("ring"), "{other}");
        assert!(!other.contains("RingFull"), "{other}");
    }
}
