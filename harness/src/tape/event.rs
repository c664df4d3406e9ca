//! What a tape holds: one [`Event`] a line, in the order in which they were recorded.
//!
//! An operation of the client is two events, *enter* (before it is made) and *leave*; the leave names
//! its enter as its cause. A completion is two, *posted* and *delivered*, and a wait is two. Memory
//! events are one each. Numbers of connections, memories, queues and services are those of the tape:
//! given out in order of first use, compared as numbers.

use super::fields::Kind;
use super::mapped::MappedMemory;
use super::note::NoteSubject;
use super::payload::Payload;
use crate::IoReturn;
use crate::call::{AsyncReference, Scalars};
use crate::memory::{Update, Width};
use crate::registry::{Matching, NoticeKind, Value};
use std::collections::BTreeMap;

/// Global number of an event, from 1 on, without holes but at gaps.
pub type Sequence = u64;

/// One event of a tape.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Global sequence number.
    pub sequence: Sequence,
    /// Process, from 1 on; a forked child is the next.
    pub process: u32,
    /// Lane: a client thread, from 1 on; 0 is the device's side, where completions are posted.
    pub lane: u32,
    /// Position in the lane, from 1 on.
    pub position: u64,
    /// Connection that the event belongs to.
    pub connection: Option<u32>,
    /// The event that brought this one about: leave to enter, posted to its call, delivered to its
    /// posted, unmap to map, use of a memory to what mapped it.
    pub cause: Option<Sequence>,
    /// Nanoseconds since the recording began: virtual in a simulated run, real in a free one.
    pub time: u64,
    /// A reader that does not know the kind must refuse the tape.
    pub must_understand: bool,
    /// What happened.
    pub body: Body,
    /// Optional fields that this version does not know; kept by a rewrite.
    pub extra: BTreeMap<String, serde_json::Value>,
}

impl Event {
    /// An event of process 1 at time 0, of no connection and without a cause.
    #[must_use]
    pub const fn new(sequence: Sequence, lane: u32, position: u64, body: Body) -> Self {
        Self {
            sequence,
            process: 1,
            lane,
            position,
            connection: None,
            cause: None,
            time: 0,
            must_understand: false,
            body,
            extra: BTreeMap::new(),
        }
    }

    /// Calls `visit` with each payload of the event.
    pub fn for_each_payload(&self, mut visit: impl FnMut(&Payload)) {
        match &self.body {
            Body::Call(Call { input, .. }) | Body::AsyncCall { call: Call { input, .. }, .. } => {
                match input {
                    Structure::Bytes(data) | Structure::Shared { data, .. } => visit(data),
                    Structure::None | Structure::Null { .. } | Structure::Unmapped { .. } => {}
                }
            }
            Body::Return(Return { structure: Some(data), .. })
            | Body::Write { data, .. }
            | Body::Patch { data, .. } => visit(data),
            Body::Keyframe(keyframe) => keyframe
                .memories
                .iter()
                .flat_map(|memory| &memory.shadow)
                .for_each(|(_, data)| visit(data)),
            _ => {}
        }
    }

    /// Calls `visit` with each payload of the event, which may put another in its place.
    ///
    /// # Errors
    ///
    /// The first that `visit` gives.
    pub fn try_visit_payloads<E>(
        &mut self,
        mut visit: impl FnMut(&mut Payload) -> Result<(), E>,
    ) -> Result<(), E> {
        match &mut self.body {
            Body::Call(call) | Body::AsyncCall { call, .. } => match &mut call.input {
                Structure::Bytes(data) | Structure::Shared { data, .. } => visit(data),
                Structure::None | Structure::Null { .. } | Structure::Unmapped { .. } => Ok(()),
            },
            Body::Return(Return { structure: Some(data), .. })
            | Body::Write { data, .. }
            | Body::Patch { data, .. } => visit(data),
            Body::Keyframe(keyframe) => keyframe
                .memories
                .iter_mut()
                .flat_map(|memory| &mut memory.shadow)
                .try_for_each(|(_, data)| visit(data)),
            _ => Ok(()),
        }
    }
}

/// What happened. Kinds are named on the tape as the variants are here, in snake case.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Body {
    /// Services were looked for; enter and leave in one, since no dext is asked.
    Matched {
        /// What was looked for.
        matching: Matching,
        /// The services found, or what the registry answered.
        outcome: Result<Vec<u32>, IoReturn>,
    },
    /// A property was read.
    Property {
        /// Of which service.
        service: u32,
        /// Its key; `None` where all properties were read, which are a dictionary then.
        key: Option<String>,
        /// Its value, or what the registry answered.
        outcome: Result<Option<Value>, IoReturn>,
    },
    /// Notices were asked for.
    Watch {
        /// Number of the notice queue.
        queue: u32,
        /// What was asked for.
        matching: Matching,
        /// What the registry answered.
        result: IoReturn,
    },
    /// The client took a notice.
    Notice {
        /// From which queue.
        queue: u32,
        /// What happened.
        kind: NoticeKind,
        /// To which service.
        service: u32,
    },
    /// The client made a completion queue.
    Queue {
        /// Its number.
        queue: u32,
    },

    /// Enter of an open.
    Open {
        /// Of which service.
        service: u32,
        /// With which type (G9).
        open_type: u32,
    },
    /// Leave of an open that worked; the event's connection is the new one.
    Opened,
    /// Leave of an open that failed.
    OpenFailed {
        /// What the client was told.
        result: IoReturn,
    },

    /// Enter of a synchronous call.
    Call(Call),
    /// Enter of an asynchronous call.
    AsyncCall {
        /// The call.
        call: Call,
        /// The queue of its wake port; `None` for `MACH_PORT_NULL` (D6).
        queue: Option<u32>,
        /// The reference as the client gave it, entry 0 blanked; `None` for NULL (D2).
        reference: Option<Vec<u64>>,
    },
    /// Leave of a call, either kind.
    Return(Return),

    /// The dext's completion reached the wake port.
    Posted {
        /// Which completion of its call this is, from 1 on.
        ordinal: u64,
        /// Its status (D14).
        status: IoReturn,
        /// Its arguments.
        arguments: Scalars,
        /// Its reference (D7, D8).
        reference: AsyncReference,
    },
    /// The client took a completion from its queue.
    Delivered {
        /// The queue.
        queue: u32,
        /// How many polls of the queue found nothing since the lane's last operation: the next one
        /// found this completion. 0 where a wait did.
        polls: u64,
    },
    /// Enter of a wait for a completion or a notice. A poll that finds nothing is no event.
    Wait {
        /// The queue.
        queue: u32,
        /// How long at most, in nanoseconds; `None` for ever.
        timeout: Option<u64>,
    },
    /// Leave of a wait.
    Woke {
        /// True where the timeout passed; else a delivered event of the same lane stands before.
        timed_out: bool,
    },

    /// Enter of a map.
    Map {
        /// The memory type.
        memory_type: u32,
        /// The client's options, all of them.
        options: u32,
        /// The address asked for, where the options lack `kIOMapAnywhere`, else 0.
        address: u64,
    },
    /// Leave of a map.
    Mapped {
        /// What the client got.
        outcome: Result<MappedMemory, IoReturn>,
    },
    /// Enter of an unmap.
    Unmap {
        /// The memory type.
        memory_type: u32,
        /// The mapping whose address the client gave, if it was one; the kernel ignores it (F15).
        memory: Option<u32>,
    },
    /// Leave of an unmap.
    Unmapped {
        /// What the client was told.
        result: IoReturn,
    },
    /// Enter of a close.
    Close,
    /// Leave of a close.
    Closed {
        /// What the client was told.
        result: IoReturn,
    },

    /// Enter of a call beside methods and memory.
    OtherCall(OtherCall),
    /// Leave of such a call.
    OtherReturn {
        /// The service that was asked for, where it was told (G18); or what the client was told.
        outcome: Result<Option<u32>, IoReturn>,
    },

    /// The client wrote to shared memory: an expectation, never applied by a replayer.
    Write {
        /// The memory.
        memory: u32,
        /// First byte.
        offset: u64,
        /// Width of a typed store; `None` for a bulk copy.
        width: Option<Width>,
        /// The bytes, or their hash where they are long.
        data: Payload,
    },
    /// The client updated a word atomically: its operand is an expectation. What the word held before
    /// is in the shadow, after the patch that stands before this event if the two differed.
    Update {
        /// The memory.
        memory: u32,
        /// Offset of the word.
        offset: u64,
        /// Width of the word.
        width: Width,
        /// What was done.
        update: Update,
    },
    /// The client saw bytes that differ from its shadow: the dext or the device changed them. Of
    /// device registers ([`Capture::Registers`](crate::tape::Capture::Registers)) each read is one, whatever it saw.
    Patch {
        /// The memory.
        memory: u32,
        /// First byte.
        offset: u64,
        /// What the client saw.
        data: Payload,
        /// The read that saw it: the k-th, from 1 on, that overlaps the range since the event before
        /// this one in the lane.
        read: u64,
        /// The event after which the bytes were last seen equal to the shadow; `None` if never.
        /// The change lies between it and this event.
        last_equal: Option<Sequence>,
        /// The client itself may have made the change, by a raw pointer: a comparison of the memory
        /// found it, and the order of what was seen does not say who it was. A replay never puts such
        /// bytes over those that its client has written meanwhile.
        unattributed: bool,
    },

    /// The service or the user client behind the connection was terminated.
    Terminated {
        /// The service, if it was one.
        service: Option<u32>,
    },
    /// Events are missing here.
    Gap {
        /// How many, where it is known.
        events: Option<u64>,
        /// Why, for people.
        reason: String,
    },
    /// The state at this point, so that a replay can begin here.
    Keyframe(Keyframe),
    /// A child process was forked.
    Fork {
        /// Its process number.
        child: u32,
    },
    /// The process became another program.
    Exec,
    /// Something that whoever reads the tape should know. A replay passes it over.
    Note {
        /// What it is about.
        subject: NoteSubject,
        /// The memory that it is about, if it is one.
        memory: Option<u32>,
        /// What it says, for people.
        reason: String,
    },
    /// A kind that this version does not know, with its fields.
    Unknown {
        /// The kind as it stands on the tape.
        kind: String,
    },
}

impl Body {
    /// The kind; `None` where this version does not know it.
    #[must_use]
    pub const fn kind(&self) -> Option<Kind> {
        Some(match self {
            Self::Matched { .. } => Kind::Matched,
            Self::Property { .. } => Kind::Property,
            Self::Watch { .. } => Kind::Watch,
            Self::Notice { .. } => Kind::Notice,
            Self::Queue { .. } => Kind::Queue,
            Self::Open { .. } => Kind::Open,
            Self::Opened => Kind::Opened,
            Self::OpenFailed { .. } => Kind::OpenFailed,
            Self::Call(_) => Kind::Call,
            Self::AsyncCall { .. } => Kind::AsyncCall,
            Self::Return(_) => Kind::Return,
            Self::Posted { .. } => Kind::Posted,
            Self::Delivered { .. } => Kind::Delivered,
            Self::Wait { .. } => Kind::Wait,
            Self::Woke { .. } => Kind::Woke,
            Self::Map { .. } => Kind::Map,
            Self::Mapped { .. } => Kind::Mapped,
            Self::Unmap { .. } => Kind::Unmap,
            Self::Unmapped { .. } => Kind::Unmapped,
            Self::Close => Kind::Close,
            Self::Closed { .. } => Kind::Closed,
            Self::OtherCall(_) => Kind::OtherCall,
            Self::OtherReturn { .. } => Kind::OtherReturn,
            Self::Write { .. } => Kind::Write,
            Self::Update { .. } => Kind::Update,
            Self::Patch { .. } => Kind::Patch,
            Self::Terminated { .. } => Kind::Terminated,
            Self::Gap { .. } => Kind::Gap,
            Self::Keyframe(_) => Kind::Keyframe,
            Self::Fork { .. } => Kind::Fork,
            Self::Exec => Kind::Exec,
            Self::Note { .. } => Kind::Note,
            Self::Unknown { .. } => return None,
        })
    }

    /// True for the enter of an operation, whose leave comes later in the lane.
    #[must_use]
    pub const fn is_enter(&self) -> bool {
        matches!(
            self,
            Self::Open { .. }
                | Self::Call(_)
                | Self::AsyncCall { .. }
                | Self::Wait { .. }
                | Self::Map { .. }
                | Self::Unmap { .. }
                | Self::Close
                | Self::OtherCall(_)
        )
    }

    /// True for the leave of an operation.
    #[must_use]
    pub const fn is_leave(&self) -> bool {
        matches!(
            self,
            Self::Opened
                | Self::OpenFailed { .. }
                | Self::Return(_)
                | Self::Woke { .. }
                | Self::Mapped { .. }
                | Self::Unmapped { .. }
                | Self::Closed { .. }
                | Self::OtherReturn { .. }
        )
    }

    /// True where this is the leave of such an enter.
    #[must_use]
    pub const fn is_leave_of(&self, enter: &Self) -> bool {
        matches!(
            (self, enter),
            (Self::Opened | Self::OpenFailed { .. }, Self::Open { .. })
                | (Self::Return(_), Self::Call(_) | Self::AsyncCall { .. })
                | (Self::Woke { .. }, Self::Wait { .. })
                | (Self::Mapped { .. }, Self::Map { .. })
                | (Self::Unmapped { .. }, Self::Unmap { .. })
                | (Self::Closed { .. }, Self::Close)
                | (Self::OtherReturn { .. }, Self::OtherCall(_))
        )
    }

    /// The kind as it stands on the tape.
    #[must_use]
    pub fn name(&self) -> &str {
        match (self, self.kind()) {
            (Self::Unknown { kind }, _) => kind,
            (_, kind) => kind.map_or("", Kind::name),
        }
    }
}

/// Enter of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The selector.
    pub selector: u32,
    /// Scalars handed in, the first 16.
    pub scalars: Scalars,
    /// How many the client said that there are; more than 16 make the library refuse (A2).
    pub scalar_count: u32,
    /// The structure handed in.
    pub input: Structure,
    /// Scalars asked for, unclamped (A5).
    pub scalars_asked: u32,
    /// Structure asked for.
    pub output: OutputKind,
}

/// A structure handed in.
#[derive(Clone, Debug, PartialEq)]
pub enum Structure {
    /// None.
    None,
    /// Its bytes.
    Bytes(Payload),
    /// A shared buffer: its number, and its bytes when the call was made.
    Shared {
        /// The memory.
        memory: u32,
        /// The bytes.
        data: Payload,
    },
    /// NULL with a size (A10).
    Null {
        /// The size stated.
        size: u64,
    },
    /// A pointer to where the client has nothing mapped (B6).
    Unmapped {
        /// The size stated.
        size: u64,
    },
}

/// A structure asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputKind {
    /// None.
    None,
    /// Room for so many bytes.
    Bytes {
        /// Bytes asked for.
        size: u64,
    },
    /// A shared buffer. What the device writes to it comes as patches of this memory.
    Shared {
        /// The memory.
        memory: u32,
        /// Its length.
        size: u64,
    },
    /// NULL with a size (A12).
    Null {
        /// The size stated.
        size: u64,
    },
    /// Room where the client has nothing mapped (B6).
    Unmapped {
        /// The size stated.
        size: u64,
    },
    /// Variable output (A14).
    Variable,
}

/// Leave of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Return {
    /// What the client was told.
    pub result: IoReturn,
    /// Scalars returned; empty on failure (A17).
    pub scalars: Scalars,
    /// Size of the structure returned; `None` on failure (A17).
    pub structure_size: Option<u64>,
    /// The bytes: of an in-line or variable output those returned; of an out-of-line output the whole
    /// buffer after the call, also on failure (B8). `None` where there are none to tell.
    pub structure: Option<Payload>,
}

/// Enter of a call beside methods and memory: those of [`connection::OtherCall`], with numbers of the
/// tape.
///
/// [`connection::OtherCall`]: crate::connection::OtherCall
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum OtherCall {
    /// `IOConnectSetNotificationPort`.
    SetNotificationPort {
        /// The type.
        notification_type: u32,
        /// The queue; `None` for `MACH_PORT_NULL`.
        queue: Option<u32>,
        /// The client's reference: kept, but no expectation, since it is often a pointer and never
        /// comes back (G16).
        reference: u64,
    },
    /// `IOConnectAddClient`.
    AddClient {
        /// The other connection; `None` for what is none.
        client: Option<u32>,
    },
    /// `IOConnectGetService`.
    GetService,
    /// `IOConnectSetCFProperties`.
    SetProperties {
        /// The properties; `None` where they could not be serialised.
        properties: Option<Value>,
    },
    /// `IOConnectTrap0` to `IOConnectTrap6`.
    Trap {
        /// The index.
        index: u32,
        /// The arguments, six at most.
        arguments: Scalars,
    },
    /// `IOConnectAddRef`.
    AddRef,
    /// `IOConnectRelease`.
    Release,
}

/// The state at one point of a recording, so that a tape can begin in the middle.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Keyframe {
    /// Open connections: number and service.
    pub connections: Vec<(u32, u32)>,
    /// Live memories: number, connection (`None` for a shared buffer), memory type, length.
    pub memories: Vec<KeyframeMemory>,
    /// Live completion queues.
    pub queues: Vec<u32>,
    /// Asynchronous calls that may still complete, by the sequence number of their enter.
    pub pending: Vec<Sequence>,
}

/// A memory of a keyframe.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyframeMemory {
    /// Number of the memory.
    pub memory: u32,
    /// Connection that mapped it.
    pub connection: Option<u32>,
    /// Memory type that it was mapped as.
    pub memory_type: u32,
    /// The descriptor's length.
    pub length: u64,
    /// The shadow: offset and bytes of each range that is not zero.
    pub shadow: Vec<(u64, Payload)>,
}
