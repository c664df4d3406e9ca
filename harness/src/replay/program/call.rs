//! Calls and what they returned, on the way from events to steps.

use super::LoadError;
use super::arena::Stored;
use super::compile::Compiler;
use super::step::{Buffer, EventIndex, Flags, Kind, NONE};
use crate::replay::request::output_of;
use crate::tape::{Call, Event, OutputKind, Return, Structure};

impl Compiler<'_> {
    pub(super) fn call(
        &mut self,
        index: EventIndex,
        event: &Event,
        call: &Call,
        kind: Kind,
    ) -> Result<(), LoadError> {
        let words = self.program.arena.add_words(&call.scalars)?;
        let (input, memory, stored, length) = match &call.input {
            Structure::None => (Buffer::None, NONE, Stored::At(0), 0),
            // A size of 0 is no structure (A7).
            Structure::Bytes(data) if data.length() == 0 => (Buffer::None, NONE, Stored::At(0), 0),
            Structure::Null { size: 0 } | Structure::Unmapped { size: 0 } => {
                (Buffer::None, NONE, Stored::At(0), 0)
            }
            Structure::Null { size } => (Buffer::Null, NONE, Stored::At(0), *size),
            Structure::Unmapped { size } => (Buffer::Unmapped, NONE, Stored::At(0), *size),
            Structure::Bytes(data) => {
                let stored = self.program.arena.add(data, self.blobs)?;
                (Buffer::Bytes, NONE, stored, data.length())
            }
            Structure::Shared { memory, data } => {
                let stored = self.program.arena.add(data, self.blobs)?;
                (Buffer::Shared, *memory, stored, data.length())
            }
        };
        let (output, output_size, output_memory) = output_of(&call.output);
        if memory != NONE {
            self.shared_memory(event, memory, length);
        }
        if let OutputKind::Shared { memory, size } = &call.output {
            self.shared_memory(event, *memory, *size);
        }
        self.enter(index, event, kind);
        let ruled =
            self.program.rules.calls(event.connection.unwrap_or(NONE), call.selector).is_some();
        let opaque = matches!(stored, Stored::Opaque);
        self.opaque_input |= opaque;
        let step = self.last();
        step.words = words;
        // At most 16.
        step.scalars_in = call.scalars.len() as u8;
        step.selector = call.selector;
        step.scalar_count = call.scalar_count;
        step.scalars_asked = call.scalars_asked;
        step.input = input;
        step.input_memory = memory;
        step.input_length = length;
        if let Stored::At(at) = stored {
            step.input_at = at;
        }
        step.output = output;
        step.output_size = output_size;
        step.output_memory = output_memory;
        for (flag, holds) in [
            (Flags::RULES, ruled),
            (Flags::OPAQUE_INPUT, opaque),
            (Flags::SHARED, memory != NONE || output_memory != NONE),
        ] {
            if holds {
                step.flags.set(flag);
            }
        }
        Ok(())
    }

    pub(super) fn returned(
        &mut self,
        index: EventIndex,
        event: &Event,
        returned: &Return,
    ) -> Result<(), LoadError> {
        let stored = match &returned.structure {
            Some(data) => Some((self.program.arena.add(data, self.blobs)?, data.length())),
            None => None,
        };
        // The scalars of a step are one run of words: those handed in are copied behind the others
        // where other calls came between enter and leave.
        let entered = event.cause.and_then(|cause| self.steps.get(&cause)).copied();
        let words = &mut self.program.arena.words;
        if let Some(step) = entered.and_then(|number| self.program.steps.get_mut(number as usize)) {
            let end = step.words as usize + usize::from(step.scalars_in);
            if end != words.len() && !returned.scalars.is_empty() {
                let at = u32::try_from(words.len()).map_err(|_| LoadError::TooLarge)?;
                words.extend_from_within(step.words as usize..end);
                step.words = at;
            }
        }
        if !returned.scalars.is_empty() {
            self.program.arena.add_words(&returned.scalars)?;
        }
        let Some(step) = self.leave(index, event, Kind::Call)? else { return Ok(()) };
        step.result = returned.result;
        // At most 16.
        step.scalars_out = returned.scalars.len() as u8;
        step.reply_size = returned.structure_size.unwrap_or(0);
        match stored {
            Some((Stored::At(at), length)) => (step.reply_at, step.reply_length) = (at, length),
            Some((Stored::Opaque, length)) => {
                step.reply_length = length;
                step.flags.set(Flags::OPAQUE_REPLY);
            }
            None => {}
        }
        Ok(())
    }
}
