//! Steps: what a client does, one after the other, and what it gets.

use super::arena::Arena;
use super::courses::Courses;
use super::keys::KeyTable;
use super::pointed::PointedBytes;
use super::rules::FieldRules;
use super::segments::Segments;
use crate::IoReturn;
use crate::call::{AsyncReference, Scalars};
use crate::connection::NoticeKind;
use crate::memory::ClientSpace;
use crate::replay::{Place, Policy};
use crate::schedule::TimeMode;
use crate::tape::{Capture, Event, Tape};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// Index of a step; [`NONE`] where there is none. So are the others.
pub(in crate::replay) type StepIndex = u32;
/// Index of an event.
pub(in crate::replay) type EventIndex = u32;
/// Index of a lane.
pub(in crate::replay) type LaneIndex = u32;
/// Index of a memory.
pub(in crate::replay) type MemoryIndex = u32;
/// Index of a patch.
pub(in crate::replay) type PatchIndex = u32;

/// No index.
pub(in crate::replay) const NONE: u32 = u32::MAX;

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(in crate::replay) enum Kind {
    Call,
    AsyncCall,
    Matched,
    Property,
    Watch,
    Queue,
    Open,
    /// A wait with its outcome.
    Wait,
    /// A completion taken by a poll.
    Take,
    /// A notice taken by a poll.
    TakeNotice,
    Map,
    Unmap,
    Close,
    /// A call beside methods and memory.
    Other,
    Write,
    Update,
}

/// What a step needs beyond the plain comparison, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::replay) struct Flags(pub(in crate::replay) u8);

impl Flags {
    /// Field rules apply to its inputs or outputs.
    pub(in crate::replay) const RULES: Self = Self(1);
    /// A step that must have been entered before: `gate`.
    pub(in crate::replay) const GATED: Self = Self(2);
    /// Patches are anchored to it: `patches`.
    pub(in crate::replay) const PATCHES: Self = Self(4);
    /// Time passed between enter and leave.
    pub(in crate::replay) const TIME: Self = Self(8);
    /// The input is only a hash, or redacted.
    pub(in crate::replay) const OPAQUE_INPUT: Self = Self(16);
    /// The reply's bytes are not on the tape.
    pub(in crate::replay) const OPAQUE_REPLY: Self = Self(32);
    /// The tape has no leave for it.
    pub(in crate::replay) const IN_FLIGHT: Self = Self(64);
    /// A shared buffer is handed in or asked for.
    pub(in crate::replay) const SHARED: Self = Self(128);

    #[inline]
    pub(in crate::replay) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(in crate::replay) const fn set(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// How a structure is handed in or asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(in crate::replay) enum Buffer {
    None,
    Bytes,
    Shared,
    Null,
    Unmapped,
    Variable,
}

/// One operation of the client and what it gives. Sized and ordered for the hot path: what a plain
/// call compares and returns is here, everything else is in the event.
#[derive(Clone, Debug)]
pub(in crate::replay) struct Step {
    pub(in crate::replay) kind: Kind,
    pub(in crate::replay) flags: Flags,
    pub(in crate::replay) input: Buffer,
    pub(in crate::replay) output: Buffer,
    /// Nothing is attached to it, so that a plain call may be served by it.
    pub(in crate::replay) plain: bool,
    /// Scalars handed in and returned, in the arena's words from `words` on.
    pub(in crate::replay) scalars_in: u8,
    pub(in crate::replay) scalars_out: u8,
    /// Of a call the selector, of a wait or take the queue, of a write or update the memory's index.
    pub(in crate::replay) selector: u32,
    /// Number of the connection; [`NONE`] without one.
    pub(in crate::replay) connection: u32,
    /// Scalars that the client said there are.
    pub(in crate::replay) scalar_count: u32,
    pub(in crate::replay) scalars_asked: u32,
    pub(in crate::replay) result: IoReturn,
    pub(in crate::replay) words: u32,
    /// The input's bytes in the arena; of a NULL only its length counts.
    pub(in crate::replay) input_at: u64,
    pub(in crate::replay) input_length: u64,
    /// Structure asked for, in bytes.
    pub(in crate::replay) output_size: u64,
    /// The returned bytes in the arena.
    pub(in crate::replay) reply_at: u64,
    pub(in crate::replay) reply_length: u64,
    /// The returned size, which may be more than the bytes at hand.
    pub(in crate::replay) reply_size: u64,
    /// Memories of shared buffers, as numbers of the tape.
    pub(in crate::replay) input_memory: u32,
    pub(in crate::replay) output_memory: u32,
    pub(in crate::replay) enter: EventIndex,
    pub(in crate::replay) leave: EventIndex,
    pub(in crate::replay) lane: LaneIndex,
    /// Stream of the policy, and the next step in it.
    pub(in crate::replay) stream: u32,
    pub(in crate::replay) next: StepIndex,
    /// Step that must have been entered before this one.
    pub(in crate::replay) gate: StepIndex,
    /// First patch anchored to this step.
    pub(in crate::replay) patches: PatchIndex,
    /// Of a wait or take, its outcome; of a map, what it gives.
    pub(in crate::replay) outcome: u32,
}

/// What a wait or take gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::replay) enum Outcome {
    /// A completion: index of the post.
    Completion(u32),
    /// A notice.
    Notice(NoticeKind, u32),
    /// Nothing until the timeout.
    TimedOut,
    /// The tape does not say: it ends there.
    Unknown,
}

/// A completion that reached a queue.
#[derive(Clone, Debug)]
pub(in crate::replay) struct Post {
    /// The call it belongs to; [`NONE`] where the tape does not tell.
    pub(in crate::replay) call: StepIndex,
    pub(in crate::replay) status: IoReturn,
    pub(in crate::replay) arguments: Scalars,
    pub(in crate::replay) reference: AsyncReference,
    /// The event that says so.
    pub(in crate::replay) event: EventIndex,
    /// When it was posted, in nanoseconds of the recording.
    pub(in crate::replay) time: u64,
}

/// Bytes of shared memory that the dext changed.
#[derive(Clone, Debug)]
pub(in crate::replay) struct Patch {
    pub(in crate::replay) event: EventIndex,
    pub(in crate::replay) memory: MemoryIndex,
    pub(in crate::replay) lane: LaneIndex,
    /// The step before it in its lane; [`NONE`] at the lane's beginning.
    pub(in crate::replay) anchor: StepIndex,
    /// The patch before it with the same anchor.
    pub(in crate::replay) previous: PatchIndex,
    /// The patch after it with the same anchor.
    pub(in crate::replay) next: PatchIndex,
    pub(in crate::replay) offset: u64,
    pub(in crate::replay) at: u64,
    pub(in crate::replay) length: u64,
    pub(in crate::replay) read: u64,
    /// The bytes are not on the tape.
    pub(in crate::replay) opaque: bool,
    /// The client itself may have made the change.
    pub(in crate::replay) unattributed: bool,
    /// The last step that was entered before the change; [`NONE`] where that is not known.
    pub(in crate::replay) since: StepIndex,
}

impl Patch {
    /// True where the patch shares a byte with `length` bytes at `offset`.
    pub(in crate::replay) fn overlaps(&self, offset: u64, length: u64) -> bool {
        offset < self.offset.saturating_add(self.length)
            && self.offset < offset.saturating_add(length)
    }
}

/// A memory of the tape.
#[derive(Clone, Copy, Debug)]
pub(in crate::replay) struct MemoryInfo {
    pub(in crate::replay) number: u32,
    /// Connection that it was first seen on.
    pub(in crate::replay) connection: u32,
    /// Memory type of its first map; `None` for a shared buffer.
    pub(in crate::replay) memory_type: Option<u32>,
    /// Accessible bytes.
    pub(in crate::replay) size: u64,
    /// Address that the client is given.
    pub(in crate::replay) address: u64,
    pub(in crate::replay) capture: Capture,
    /// The client's writes are refused (F2).
    pub(in crate::replay) read_only: bool,
}

/// A lane of the tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::replay) struct LaneInfo {
    pub(in crate::replay) process: u32,
    pub(in crate::replay) number: u32,
}

/// A tape made ready.
#[derive(Debug)]
pub(in crate::replay) struct Program {
    pub(in crate::replay) tape: Arc<Tape>,
    /// Mode of time of the recording.
    pub(in crate::replay) time: TimeMode,
    pub(in crate::replay) policy: Policy,
    pub(in crate::replay) steps: Vec<Step>,
    pub(in crate::replay) arena: Arena,
    pub(in crate::replay) outcomes: Vec<Outcome>,
    pub(in crate::replay) posts: Vec<Post>,
    /// By lane and the step before it there: what a poll took, and how many found nothing before.
    pub(in crate::replay) takes: HashMap<(LaneIndex, StepIndex), (StepIndex, u64)>,
    pub(in crate::replay) patches: Vec<Patch>,
    /// First patch of each lane that stands before any step.
    pub(in crate::replay) initial_patches: Vec<PatchIndex>,
    pub(in crate::replay) memories: Vec<MemoryInfo>,
    pub(in crate::replay) memory_indices: HashMap<u32, MemoryIndex>,
    pub(in crate::replay) lanes: Vec<LaneInfo>,
    /// Completion queues that the client makes, sorted.
    pub(in crate::replay) queues: Vec<u32>,
    /// First step of each stream. One stream a lane for exact and lanes, one a connection or queue
    /// and one for the registry for ordered, none for any order.
    pub(in crate::replay) streams: Vec<StepIndex>,
    /// Stream by connection, and by queue, for ordered; sorted by number.
    pub(in crate::replay) connection_streams: Vec<(u32, u32)>,
    pub(in crate::replay) queue_streams: Vec<(u32, u32)>,
    pub(in crate::replay) keys: Option<KeyTable>,
    /// For the nearest of several steps.
    pub(in crate::replay) courses: Option<Courses>,
    pub(in crate::replay) rules: FieldRules,
    /// What pointers of a step led to: when the call was made, and what was changed when it returned.
    pub(in crate::replay) pointed: HashMap<StepIndex, PointedBytes>,
    /// The client's own memory, where it can be reached.
    pub(in crate::replay) space: OnceLock<Arc<dyn ClientSpace>>,
    /// Events are missing at some place.
    pub(in crate::replay) gaps: Vec<EventIndex>,
    /// Parts of lanes between gaps, where the policy crosses them.
    pub(in crate::replay) segments: Option<Box<Segments>>,
    /// The event that ended each connection from the device's side.
    pub(in crate::replay) ends: HashMap<u32, EventIndex>,
}

impl Program {
    #[inline]
    pub(in crate::replay) fn step(&self, index: StepIndex) -> &Step {
        &self.steps[index as usize]
    }

    pub(in crate::replay) fn event(&self, index: EventIndex) -> &Event {
        &self.tape.events()[index as usize]
    }

    pub(in crate::replay) fn place(&self, index: EventIndex) -> Place {
        let event = self.event(index);
        Place {
            sequence: event.sequence,
            line: None,
            lane: event.lane,
            position: event.position,
            connection: event.connection,
        }
    }

    /// Index of the memory with this number.
    pub(in crate::replay) fn memory(&self, number: u32) -> Option<MemoryIndex> {
        self.memory_indices.get(&number).copied()
    }

    /// True where a plain call's key is all of its inputs.
    pub(in crate::replay) fn has_plain_keys(&self) -> bool {
        self.rules.has_no_calls() && self.keys.as_ref().is_some_and(KeyTable::holds_bytes)
    }

    /// Stream of a connection or queue under `ordered`.
    pub(in crate::replay) fn stream_of(streams: &[(u32, u32)], number: u32) -> u32 {
        match streams.binary_search_by_key(&number, |(number, _)| *number) {
            Ok(found) => streams[found].1,
            Err(_) => NONE,
        }
    }
}
