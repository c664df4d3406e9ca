//! The short way of the usual call: synchronous, with borrowed bytes at most, and a step to which
//! nothing is attached. It does what [`Session::perform`] does, and gives up where there is more to do
//! than compare, enter and copy.

use super::Policy;
use super::program::{Buffer, Kind, Program, Step};
use super::session::Session;
use crate::IoReturn;
use crate::connection::{MethodInput, MethodOutput, StructureInput, StructureOutput};
use crate::limits::SCALARS_MAX;
use std::sync::atomic::Ordering;

/// Bytes up to which a copy in words beats the C library's.
const SHORT: usize = 64;

/// How a plain call finds its step; settled when the replay begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// The head of the connection's stream.
    Connection,
    /// The head of the only stream.
    Single,
    /// The head of the thread's stream.
    Lane,
    /// By its key.
    Keyed,
    /// Not at all.
    Closed,
}

impl Route {
    pub(super) fn new(program: &Program) -> Self {
        match program.policy {
            Policy::Ordered => Self::Connection,
            Policy::Lanes | Policy::Exact | Policy::AcrossGaps if program.lanes.len() == 1 => {
                Self::Single
            }
            Policy::Lanes | Policy::AcrossGaps => Self::Lane,
            Policy::AnyOrder if program.has_plain_keys() => Self::Keyed,
            Policy::Exact | Policy::AnyOrder | Policy::Nearest => Self::Closed,
        }
    }
}

/// What a plain call asks. Small, and handed on by value, so that on the way by a stream it never leaves
/// the registers.
#[derive(Clone, Copy)]
pub(super) struct PlainCall<'a> {
    pub(super) connection: u32,
    pub(super) selector: u32,
    /// At most as many as fit a call.
    pub(super) scalars: &'a [u64],
    pub(super) scalars_asked: u32,
    pub(super) bytes: &'a [u8],
    /// Bytes of structure asked for.
    pub(super) room: u64,
}

impl Session {
    /// Serves a plain call; `None` where it is none, or is not the step's, and nothing has happened.
    #[inline]
    pub(super) fn call_plain(
        &self,
        connection: u32,
        stream: u32,
        selector: u32,
        input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> Option<IoReturn> {
        let bytes = match input.structure {
            StructureInput::None => &[][..],
            StructureInput::Bytes(bytes) => bytes,
            StructureInput::Shared(_)
            | StructureInput::Null { .. }
            | StructureInput::Unmapped { .. } => return None,
        };
        let room: &mut [u8] = match &mut output.structure {
            StructureOutput::None => &mut [],
            StructureOutput::Bytes(room) => room,
            _ => return None,
        };
        if input.scalars.len() > SCALARS_MAX {
            return None;
        }
        let call = PlainCall {
            connection,
            selector,
            scalars: input.scalars,
            scalars_asked: output.scalar_count,
            bytes,
            room: room.len() as u64,
        };
        let step = self.enter_plain(stream, call)?;
        let arena = &self.program.arena;
        if step.result.is_success() {
            let words = arena.words(step.words + u32::from(step.scalars_in), step.scalars_out);
            for (room, word) in output.scalars.iter_mut().zip(words) {
                *room = *word;
            }
            copy(arena.bytes(step.reply_at, step.reply_length), room);
            output.scalar_count = words.len() as u32;
            output.structure_size = step.reply_size;
            return Some(step.result);
        }
        // What a failed call returns out of line is rare, and not for this way.
        super::connection::give_failed(step, arena, output);
        Some(step.result)
    }

    #[inline]
    fn enter_plain(&self, stream: u32, call: PlainCall<'_>) -> Option<&Step> {
        let (program, progress) = (&self.program, &*self.progress);
        if !progress.is_quiet() {
            return None;
        }
        let stream = match self.route {
            Route::Connection => stream,
            Route::Single => 0,
            Route::Lane => self.cached_lane()?,
            Route::Keyed => return self.enter_keyed(call),
            Route::Closed => return None,
        };
        let head = progress.stream(stream)?;
        let index = head.load(Ordering::Acquire);
        let step = program.steps.get(index as usize)?;
        if !fits(program, step, call) || !progress.claim_head(head, step, index) {
            return None;
        }
        if !progress.is_quiet() {
            self.tell();
        }
        Some(step)
    }

    /// By its key: the first step of that key that is left, if it is the call's. What else has the same
    /// key is for the long way. A way of its own, so that the others do not pay for what it needs.
    #[inline(never)]
    fn enter_keyed(&self, call: PlainCall<'_>) -> Option<&Step> {
        let (program, progress) = (&self.program, &*self.progress);
        let left = program.keys.as_ref()?.left(call);
        let index = left.first();
        let step = program.steps.get(index as usize)?;
        if !fits(program, step, call) || !progress.claim_keyed(step, index) {
            return None;
        }
        left.take(index);
        if !progress.is_quiet() {
            self.tell();
        }
        Some(step)
    }
}

/// True where nothing is attached to the step, and lengths alone tell how its structures are handed in
/// and asked for: what a plain call may be served by.
pub(super) fn is_plain(step: &Step) -> bool {
    let by_length = |kind, length: u64| match kind {
        Buffer::None => length == 0,
        Buffer::Bytes => length > 0,
        Buffer::Shared | Buffer::Null | Buffer::Unmapped | Buffer::Variable => false,
    };
    step.flags.0 == 0
        && step.kind == Kind::Call
        && step.scalar_count == u32::from(step.scalars_in)
        && by_length(step.input, step.input_length)
        && by_length(step.output, step.output_size)
}

/// True where the step is plain and its inputs are the call's. Both ways to a step want it in place:
/// a call of it costs as much as the comparison.
#[inline(always)]
fn fits(program: &Program, step: &Step, call: PlainCall<'_>) -> bool {
    step.plain
        && step.selector == call.selector
        && step.connection == call.connection
        && step.scalars_asked == call.scalars_asked
        && usize::from(step.scalars_in) == call.scalars.len()
        && step.input_length == call.bytes.len() as u64
        && step.output_size == call.room
        && same_words(program.arena.words(step.words, step.scalars_in), call.scalars)
        && same_bytes(program.arena.bytes(step.input_at, step.input_length), call.bytes)
}

/// Compares what is of one length, and most often short: a loop that ends early, which no compiler
/// widens, is shorter then than all that a wide one does before and behind.
#[inline(always)]
fn same_words(held: &[u64], given: &[u64]) -> bool {
    held.iter().zip(given).all(|(held, given)| held == given)
}

/// As [`same_words`], for bytes.
#[inline(always)]
fn same_bytes(held: &[u8], given: &[u8]) -> bool {
    const COMPARED_IN_WORDS: usize = 128;
    if held.len() > COMPARED_IN_WORDS {
        return held == given;
    }
    let (held_words, held_rest) = held.as_chunks::<8>();
    let (given_words, given_rest) = given.as_chunks::<8>();
    let mut words = held_words.iter().zip(given_words);
    let mut rest = held_rest.iter().zip(given_rest);
    words.all(|(held, given)| u64::from_ne_bytes(*held) == u64::from_ne_bytes(*given))
        && rest.all(|(held, given)| held == given)
}

/// Copies as many bytes as both have room for.
#[inline]
fn copy(from: &[u8], into: &mut [u8]) {
    let count = from.len().min(into.len());
    let (from, into) = (&from[..count], &mut into[..count]);
    if count > SHORT {
        into.copy_from_slice(from);
        return;
    }
    let (words, rest) = from.as_chunks::<8>();
    let (into_words, into_rest) = into.as_chunks_mut::<8>();
    for (into, word) in into_words.iter_mut().zip(words) {
        *into = *word;
    }
    for (into, byte) in into_rest.iter_mut().zip(rest) {
        *into = *byte;
    }
}
