//! What goes into a journal: the events of a tape in borrowed form, so that recording one copies its
//! bytes once, into the map, and allocates nothing.

use super::Token;
use dextape::IoReturn;
use dextape::call::AsyncReference;
use dextape::connection::{Matching, NoticeKind, Value};
use dextape::memory::{Update, Width};
use dextape::tape::{Digest, Header, MappedMemory, NoteSubject, OutputKind, ServiceIdentity};

/// What stands in front of every record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Lane: a client thread, from 1 on; 0 is the device's side.
    pub lane: u32,
    /// Connection that the event belongs to, by its number on the tape.
    pub connection: Option<u32>,
    /// The record that brought this one about.
    pub cause: Option<Token>,
    /// Nanoseconds since the recording began.
    pub time: u64,
}

/// One record. The kinds are those of [`Body`](dextape::tape::Body), with tokens where a tape has
/// sequence numbers; [`Header`](Self::Header) and [`Service`](Self::Service) become the tape's
/// header and no event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Record<'a> {
    /// What the tape's header says. Comes first; a later one replaces it.
    Header(&'a Header),
    /// A service that the client has seen, for the tape's header.
    Service {
        /// Its number on the tape.
        service: u32,
        /// Which one it is.
        identity: &'a ServiceIdentity,
    },

    /// Further fields of the next event of the lane, as the text of a JSON object.
    Fields(&'a str),

    /// Services were looked for.
    Matched {
        /// What was looked for.
        matching: &'a Matching,
        /// The services found, or what the registry answered.
        outcome: Result<&'a [u32], IoReturn>,
    },
    /// A property was read.
    Property {
        /// Of which service.
        service: u32,
        /// Its key; `None` where all properties were read, which are a dictionary then.
        key: Option<&'a str>,
        /// Its value, or what the registry answered.
        outcome: Result<Option<&'a Value>, IoReturn>,
    },
    /// Notices were asked for.
    Watch {
        /// Number of the notice queue.
        queue: u32,
        /// What was asked for.
        matching: &'a Matching,
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
        /// With which type.
        open_type: u32,
    },
    /// Leave of an open that worked; the stamp's connection is the new one.
    Opened,
    /// Leave of an open that failed.
    OpenFailed {
        /// What the client was told.
        result: IoReturn,
    },

    /// Enter of a synchronous call.
    Call(Call<'a>),
    /// Enter of an asynchronous call.
    AsyncCall {
        /// The call.
        call: Call<'a>,
        /// The queue of its wake port; `None` for `MACH_PORT_NULL`.
        queue: Option<u32>,
        /// The reference as the client gave it, entry 0 blanked; `None` for NULL.
        reference: Option<&'a [u64]>,
    },
    /// Leave of a call, either kind.
    Return(Return<'a>),

    /// The dext's completion reached the wake port.
    Posted {
        /// Which completion of its call this is, from 1 on.
        ordinal: u64,
        /// Its status.
        status: IoReturn,
        /// Its arguments; those after the first 16 are left out.
        arguments: &'a [u64],
        /// Its reference.
        reference: &'a AsyncReference,
    },
    /// The client took a completion from its queue.
    Delivered {
        /// The queue.
        queue: u32,
        /// Polls of the queue that found nothing since the lane's last operation.
        polls: u64,
    },
    /// Enter of a wait.
    Wait {
        /// The queue.
        queue: u32,
        /// How long at most, in nanoseconds; `None` for ever.
        timeout: Option<u64>,
    },
    /// Leave of a wait.
    Woke {
        /// True where the timeout passed.
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
        /// The mapping whose address the client gave, if it was one.
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
    OtherCall(OtherCall<'a>),
    /// Leave of such a call.
    OtherReturn {
        /// The service that was asked for, where it was told, or what the client was told.
        outcome: Result<Option<u32>, IoReturn>,
    },

    /// The client wrote to shared memory.
    Write {
        /// The memory.
        memory: u32,
        /// First byte.
        offset: u64,
        /// Width of a typed store; `None` for a bulk copy.
        width: Option<Width>,
        /// What it wrote.
        data: Data<'a>,
    },
    /// The client updated a word atomically.
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
    /// The client saw bytes that differ from its shadow.
    Patch {
        /// The memory.
        memory: u32,
        /// First byte.
        offset: u64,
        /// What the client saw.
        data: Data<'a>,
        /// Which read saw it, as on the tape.
        read: u64,
        /// The record after which the bytes were last seen equal to the shadow.
        last_equal: Option<Token>,
        /// The client itself may have made the change.
        unattributed: bool,
    },

    /// The service or the user client behind the connection was terminated.
    Terminated {
        /// The service, if it was one.
        service: Option<u32>,
    },
    /// Records are missing here.
    Gap {
        /// How many, where it is known.
        events: Option<u64>,
        /// Why, for people.
        reason: &'a str,
    },
    /// The state at this point.
    Keyframe(Keyframe<'a>),
    /// A child process was forked.
    Fork {
        /// The how many-th fork of this process it was, from 1 on.
        child: u32,
    },
    /// The process became another program.
    Exec,
    /// Something that whoever reads the tape should know.
    Note {
        /// What it is about.
        subject: NoteSubject,
        /// The memory that it is about, if it is one.
        memory: Option<u32>,
        /// What it says, for people.
        reason: &'a str,
    },
}

/// Enter of a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Call<'a> {
    /// The selector.
    pub selector: u32,
    /// Scalars handed in; those after the first 16 are left out.
    pub scalars: &'a [u64],
    /// How many the client said that there are.
    pub scalar_count: u32,
    /// The structure handed in.
    pub input: Structure<'a>,
    /// Scalars asked for, unclamped.
    pub scalars_asked: u32,
    /// Structure asked for.
    pub output: OutputKind,
}

/// A structure handed in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Structure<'a> {
    /// None.
    None,
    /// Its bytes.
    Bytes(Data<'a>),
    /// A shared buffer: its number, and its bytes when the call was made.
    Shared {
        /// The memory.
        memory: u32,
        /// The bytes.
        data: Data<'a>,
    },
    /// NULL with a size.
    Null {
        /// The size stated.
        size: u64,
    },
    /// A pointer to where the client has nothing mapped.
    Unmapped {
        /// The size stated.
        size: u64,
    },
}

/// Enter of a call beside methods and memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OtherCall<'a> {
    /// `IOConnectSetNotificationPort`.
    SetNotificationPort {
        /// The type.
        notification_type: u32,
        /// The queue; `None` for `MACH_PORT_NULL`.
        queue: Option<u32>,
        /// The client's reference.
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
        properties: Option<&'a Value>,
    },
    /// A trap.
    Trap {
        /// The index.
        index: u32,
        /// The arguments; those after the first six are left out.
        arguments: &'a [u64],
    },
    /// `IOConnectAddRef`.
    AddRef,
    /// `IOConnectRelease`.
    Release,
}

/// Leave of a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Return<'a> {
    /// What the client was told.
    pub result: IoReturn,
    /// Scalars returned; those after the first 16 are left out.
    pub scalars: &'a [u64],
    /// Size of the structure returned; `None` on failure.
    pub structure_size: Option<u64>,
    /// Its bytes, as on the tape.
    pub structure: Option<Data<'a>>,
}

/// Bytes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data<'a> {
    /// The bytes themselves, of any length.
    Bytes(&'a [u8]),
    /// Only their hash.
    Hash {
        /// Hash of the bytes.
        digest: Digest,
        /// How many they are.
        length: u64,
    },
    /// A redaction took them out.
    Redacted {
        /// How many they were.
        length: u64,
    },
}

/// The state at one point of a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Keyframe<'a> {
    /// Open connections: number and service.
    pub connections: &'a [(u32, u32)],
    /// Live memories.
    pub memories: &'a [KeyframeMemory<'a>],
    /// Live completion queues.
    pub queues: &'a [u32],
    /// Enters of asynchronous calls that may still complete.
    pub pending: &'a [Token],
}

/// A memory of a keyframe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KeyframeMemory<'a> {
    /// Number of the memory.
    pub memory: u32,
    /// Connection that mapped it.
    pub connection: Option<u32>,
    /// Memory type that it was mapped as.
    pub memory_type: u32,
    /// The descriptor's length.
    pub length: u64,
    /// The shadow: offset and bytes of each range that is not zero.
    pub shadow: &'a [(u64, &'a [u8])],
}
