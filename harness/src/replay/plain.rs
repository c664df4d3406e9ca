//! The short way of the usual call: synchronous, with borrowed bytes at most, and a step to which
//! nothing is attached. It does what [`Session::perform`] does, and gives up where there is more to do
//! than compare, enter and copy.

use super::Policy;
use super::matching::{equal, equal_words};
use super::program::{Buffer, Kind, Program, Step, StepIndex};
use super::request::CallRequest;
use super::session::Session;
use crate::IoReturn;
use crate::connection::{MethodInput, MethodOutput, StructureInput, StructureOutput};
use crate::limits::SCALARS_MAX;

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
            Policy::Lanes | Policy::Exact if program.lanes.len() == 1 => Self::Single,
            Policy::Lanes => Self::Lane,
            Policy::AnyOrder if program.has_plain_keys() => Self::Keyed,
            Policy::Exact | Policy::AnyOrder => Self::Closed,
        }
    }
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
        let (kind, bytes) = match input.structure {
            StructureInput::None => (Buffer::None, &[][..]),
            StructureInput::Bytes([]) => (Buffer::None, &[][..]),
            StructureInput::Bytes(bytes) => (Buffer::Bytes, bytes),
            StructureInput::Shared(_) | StructureInput::Null { .. } => return None,
        };
        let (room_kind, room): (_, &mut [u8]) = match &mut output.structure {
            StructureOutput::None => (Buffer::None, &mut []),
            StructureOutput::Bytes(room) => {
                (if room.is_empty() { Buffer::None } else { Buffer::Bytes }, room)
            }
            _ => return None,
        };
        if input.scalars.len() > SCALARS_MAX {
            return None;
        }
        let call = CallRequest {
            connection,
            selector,
            scalars: input.scalars,
            scalar_count: input.scalars.len() as u32,
            scalars_asked: output.scalar_count,
            input: kind,
            bytes,
            length: bytes.len() as u64,
            input_memory: None,
            output: room_kind,
            output_size: room.len() as u64,
            output_memory: None,
            same_buffer: false,
            wake: None,
        };
        let step = self.enter_plain(stream, &call)?;
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
    fn enter_plain(&self, stream: u32, call: &CallRequest<'_>) -> Option<&Step> {
        let (program, progress) = (&self.program, &*self.progress);
        if !progress.is_quiet() {
            return None;
        }
        let index = match self.route {
            Route::Connection => progress.head(stream),
            Route::Single => progress.head(0),
            Route::Lane => progress.head(self.cached_lane()?),
            Route::Keyed => self.find_keyed(call)?,
            Route::Closed => return None,
        };
        let step = program.steps.get(index as usize)?;
        if !fits(program, step, call) || !progress.claim(step, index) {
            return None;
        }
        if !progress.is_quiet() {
            self.tell();
        }
        Some(step)
    }

    #[inline]
    fn find_keyed(&self, call: &CallRequest<'_>) -> Option<StepIndex> {
        let program = &self.program;
        let keys = program.keys.as_ref()?;
        // A step of the same key that is not plain comes in its turn, and then this is not its way.
        keys.find_plain(&self.progress, call, |index| {
            let step = program.step(index);
            !is_plain(step) || fits(program, step, call)
        })
    }
}

#[inline]
fn is_plain(step: &Step) -> bool {
    step.flags.0 == 0 && step.kind == Kind::Call
}

/// True where the step is plain and its inputs are the call's. Both ways to a step want it in place:
/// a call of it costs as much as the comparison.
#[inline(always)]
fn fits(program: &Program, step: &Step, call: &CallRequest<'_>) -> bool {
    is_plain(step)
        && step.selector == call.selector
        && step.connection == call.connection
        && step.scalar_count == call.scalar_count
        && step.scalars_asked == call.scalars_asked
        && step.input == call.input
        && step.input_length == call.length
        && step.output == call.output
        && step.output_size == call.output_size
        && equal_words(program.arena.words(step.words, step.scalars_in), call.scalars)
        && equal(program.arena.bytes(step.input_at, step.input_length), call.bytes)
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
