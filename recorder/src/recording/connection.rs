//! A connection that records its calls, maps and unmaps.

use super::annotation::Looked;
use super::calls::Origin;
use super::context::Context;
use super::memory::{RecordingMemory, WatchedMemory};
use super::queue::RecordingQueue;
use super::redact::FieldPlace;
use super::reference::Marked;
use super::shared::{Lent, SharedBuffers, copy_store};
use crate::journal::{Call, Data, Record, Return, Structure, Token};
use dextape::IoReturn;
use dextape::call::{ConnectionId, MapOptions};
use dextape::connection::{
    AsyncWake, CompletionQueue, Connection, Mapping, MethodInput, MethodOutput, OtherCall,
    OtherReply, StructureInput, StructureOutput, System,
};
use dextape::limits::{ASYNC_REFERENCE_MAX, ASYNC_RESERVED_INDEX, INLINE_STRUCTURE_MAX};
use dextape::memory::{Memory, RawReach};
use dextape::tape::{Capture, MappedMemory, OutputKind, Pointed};
use std::sync::{Arc, PoisonError};

/// Entries of an asynchronous reference that are recorded: more than are accepted (D1), so that a
/// refused one is told from a full one.
const REFERENCE_ENTRIES: usize = ASYNC_REFERENCE_MAX * 2;

#[derive(Debug)]
pub(crate) struct RecordingConnection {
    pub(super) context: Arc<Context>,
    /// The system that it is a connection of.
    pub(super) system: Arc<dyn System>,
    pub(super) inner: Box<dyn Connection>,
    number: u32,
}

/// The shared buffers that a call names.
#[derive(Debug, Default)]
struct Buffers {
    input: Option<Lent>,
    output: Option<Lent>,
}

/// A call that has been entered.
struct Underway {
    enter: Option<Token>,
    selector: u32,
    /// Bytes of structure asked for.
    asked: u64,
    /// The dext may go on writing to a shared output: what it writes there comes as patches.
    asynchronous: bool,
    buffers: Buffers,
    /// What pointers of the call led to when it was made.
    pointed: Vec<Looked>,
}

impl RecordingConnection {
    pub(crate) fn new(
        context: Arc<Context>,
        system: Arc<dyn System>,
        inner: Box<dyn Connection>,
        number: u32,
    ) -> Self {
        Self { context, system, inner, number }
    }

    pub(super) fn append(&self, record: &Record<'_>) -> Option<Token> {
        self.context.append(Some(self.number), None, record)
    }

    pub(super) fn leave(&self, enter: Option<Token>, record: &Record<'_>) -> Option<Token> {
        self.context.leave(Some(self.number), enter, record)
    }

    /// Numbers the shared buffers of a call. Nothing to do for the usual one, which borrows.
    fn lend(&self, input: &StructureInput<'_>, output: &StructureOutput<'_>) -> Buffers {
        let lend = |buffer| SharedBuffers::lend(&self.context, self.number, buffer);
        if !self.context.session.is_recording() {
            return Buffers::default();
        }
        Buffers {
            input: match input {
                StructureInput::Shared(buffer) => Some(lend(buffer)),
                _ => None,
            },
            output: match output {
                StructureOutput::Shared(buffer) => Some(lend(buffer)),
                _ => None,
            },
        }
    }

    /// What pointers of a call lead to, as fields of its enter, which comes next.
    fn look(&self, selector: u32, input: &MethodInput<'_>) -> Vec<Looked> {
        let Some(pointers) = &self.context.session.pointers else { return Vec::new() };
        let bytes = match &input.structure {
            StructureInput::Bytes(bytes) => bytes,
            _ => &[][..],
        };
        let looked = pointers.look(selector, input.scalars, bytes);
        self.tell_pointed(selector, looked.iter().map(|looked| &looked.pointed));
        looked
    }

    fn tell_pointed<'a>(&self, selector: u32, all: impl Iterator<Item = &'a Pointed>) {
        let place = FieldPlace::Pointed { selector };
        let passed =
            |pointed: &Pointed| match self.context.hook().bytes(&place, &pointed.data).data() {
                Data::Bytes(data) => Some(Pointed { field: pointed.field, data: data.to_vec() }),
                // Left out as a whole.
                _ => None,
            };
        let all: Vec<Pointed> = all.filter_map(passed).collect();
        if !all.is_empty() {
            self.context.fields(Some(self.number), Pointed::KEY, Pointed::to_json(&all));
        }
    }

    /// Makes the enter of a call and hands it to `append`.
    fn enter(
        &self,
        selector: u32,
        input: &MethodInput<'_>,
        output: &MethodOutput<'_>,
        buffers: &Buffers,
        append: impl FnOnce(Call<'_>) -> Option<Token>,
    ) -> Option<Token> {
        if !self.context.session.is_recording() {
            return None;
        }
        let bytes = buffers.bytes_of(input);
        let handed_in = self.context.handed_in(&FieldPlace::StructureInput { selector }, bytes);
        let structure = match (&input.structure, &buffers.input) {
            (StructureInput::Bytes(_), _) => Structure::Bytes(handed_in.data()),
            (StructureInput::Shared(_), Some(lent)) => {
                Structure::Shared { memory: lent.number, data: handed_in.data() }
            }
            (StructureInput::Null { size }, _) => Structure::Null { size: *size },
            (StructureInput::Unmapped { size }, _) => Structure::Unmapped { size: *size },
            _ => Structure::None,
        };
        let place = FieldPlace::ScalarInput { selector };
        let scalars = self.context.hook().scalars(&place, bytes, input.scalars);
        append(Call {
            selector,
            scalars: scalars.as_slice(),
            scalar_count: u32::try_from(input.scalars.len()).unwrap_or(u32::MAX),
            input: structure,
            scalars_asked: output.scalar_count,
            output: output_kind(output, buffers),
        })
    }

    /// Records the leave of a call.
    fn leave_call(
        &self,
        call: &Underway,
        input: &MethodInput<'_>,
        result: IoReturn,
        output: &MethodOutput<'_>,
    ) {
        let Underway { enter, selector, asked, asynchronous, buffers, pointed } = call;
        if enter.is_none() {
            return;
        }
        if let (Some(pointers), false) = (&self.context.session.pointers, pointed.is_empty()) {
            self.tell_pointed(*selector, pointers.changed(pointed).iter());
        }
        let succeeded = result.ok().is_ok();
        // In-line outputs are what was returned; an out-of-line one is the whole buffer, which the
        // dext may have written to whatever it answered (B8).
        let out_of_line = *asked > INLINE_STRUCTURE_MAX;
        let told = if out_of_line { *asked } else { output.structure_size };
        let told = usize::try_from(told).unwrap_or(usize::MAX);
        let told_of_shared = if out_of_line { !asynchronous } else { succeeded };
        let mut copy = Vec::new();
        let bytes = match &output.structure {
            StructureOutput::Bytes(bytes) if out_of_line || succeeded => {
                Some(&bytes[..told.min(bytes.len())])
            }
            StructureOutput::Shared(buffer) if told_of_shared => {
                let length = usize::try_from(buffer.length()).unwrap_or(0);
                copy.resize(told.min(length), 0);
                copy_store(buffer, &mut copy);
                Some(&copy[..])
            }
            StructureOutput::Variable(bytes) if succeeded => Some(&bytes[..]),
            _ => None,
        };
        let hook = self.context.hook();
        let handed_in = buffers.bytes_of(input);
        let place = FieldPlace::StructureOutput { selector: *selector };
        let structure = bytes.map(|bytes| hook.bytes_of_call(&place, handed_in, bytes));
        let returned_scalars = if succeeded { output.returned_scalars() } else { &[] };
        let scalars = hook.scalars(
            &FieldPlace::ScalarOutput { selector: *selector },
            handed_in,
            returned_scalars,
        );
        let record = Record::Return(Return {
            result,
            scalars: scalars.as_slice(),
            structure_size: succeeded.then_some(output.structure_size),
            structure: structure.as_ref().map(|passed| passed.data()),
        });
        let leave = self.leave(*enter, &record);
        if let (Some(lent), Some(bytes)) = (&buffers.output, bytes) {
            lent.told(bytes, leave);
        }
    }
}

fn output_kind(output: &MethodOutput<'_>, buffers: &Buffers) -> OutputKind {
    let size = output.structure_asked();
    match (&output.structure, &buffers.output) {
        (StructureOutput::Bytes(_), _) => OutputKind::Bytes { size },
        (StructureOutput::Shared(_), Some(lent)) => {
            OutputKind::Shared { memory: lent.number, size }
        }
        (StructureOutput::Null { size }, _) => OutputKind::Null { size: *size },
        (StructureOutput::Unmapped { size }, _) => OutputKind::Unmapped { size: *size },
        (StructureOutput::Variable(_), _) => OutputKind::Variable,
        _ => OutputKind::None,
    }
}

impl Connection for RecordingConnection {
    fn id(&self) -> ConnectionId {
        self.inner.id()
    }

    fn check(&self) -> Result<(), IoReturn> {
        self.inner.check()
    }

    fn call_method(
        &self,
        selector: u32,
        input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn {
        let buffers = self.lend(&input.structure, &output.structure);
        let pointed = self.look(selector, input);
        let enter =
            self.enter(selector, input, output, &buffers, |call| self.append(&Record::Call(call)));
        buffers.called(enter);
        let asked = output.structure_asked();
        let call = Underway { enter, selector, asked, asynchronous: false, buffers, pointed };
        let result = self.inner.call_method(selector, input, output);
        self.leave_call(&call, input, result, output);
        result
    }

    fn call_async_method(
        &self,
        selector: u32,
        wake: &AsyncWake<'_>,
        input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn {
        let buffers = self.lend(&input.structure, &output.structure);
        let queue = wake.queue.map(|queue| Wake::of(queue, &self.context));
        let mut blanked = [0; REFERENCE_ENTRIES];
        let reference = wake.reference.map(|given| {
            let count = given.len().min(REFERENCE_ENTRIES);
            blanked[..count].copy_from_slice(&given[..count]);
            blanked[ASYNC_RESERVED_INDEX] = 0;
            &blanked[..count]
        });
        let queue_number = queue.as_ref().map(|queue| queue.number);
        let pointed = self.look(selector, input);
        let enter = self.enter(selector, input, output, &buffers, |call| {
            self.append(&Record::AsyncCall { call, queue: queue_number, reference })
        });
        buffers.called(enter);

        let session = &self.context.session;
        let mut inner_wake = *wake;
        let mut marked = Marked::AsIs;
        if let Some(own) = queue.and_then(|queue| queue.own) {
            inner_wake.queue = Some(own);
            // Only completions that come back through a queue of ours lose their mark again.
            if let Some(enter) = enter {
                marked = session.marks.mark(wake.reference, enter.get());
            }
        }
        if let (Marked::Marked(reference), Some(enter)) = (&marked, enter) {
            inner_wake.reference = Some(reference);
            let mut calls = session.calls.lock().unwrap_or_else(PoisonError::into_inner);
            let kept = session.hook.kept(buffers.bytes_of(input));
            calls.made(enter.get(), Origin { connection: self.number, selector, input: kept });
        }
        let asked = output.structure_asked();
        let call = Underway { enter, selector, asked, asynchronous: true, buffers, pointed };
        let result = self.inner.call_async_method(selector, &inner_wake, input, output);
        self.leave_call(&call, input, result, output);
        result
    }

    fn map_memory(
        &self,
        memory_type: u32,
        options: MapOptions,
        address: u64,
    ) -> Result<Mapping, IoReturn> {
        // An address that does not count may be anything, also one that differs between runs.
        let asked = if options.contains(MapOptions::ANYWHERE) { 0 } else { address };
        let record = Record::Map { memory_type, options: options.0, address: asked };
        let enter = self.append(&record);
        let mapping = match self.inner.map_memory(memory_type, options, address) {
            Ok(mapping) => mapping,
            Err(result) => {
                self.leave(enter, &Record::Mapped { outcome: Err(result) });
                return Err(result);
            }
        };
        if !self.context.session.is_recording() {
            return Ok(mapping);
        }
        let watched = {
            let numbers = &self.context.session.numbers;
            self.context.handles().memory(mapping.id(), || {
                let number = numbers.memories.next();
                Arc::new(WatchedMemory::new(&self.context.schedule, number))
            })
        };
        let registers = mapping.memory().is_registers();
        let outcome = Ok(MappedMemory {
            memory: watched.number(),
            length: mapping.length(),
            size: mapping.memory().size(),
            capture: match mapping.memory().raw_reach() {
                _ if registers => Capture::Registers,
                RawReach::Unknown => Capture::Uncaptured,
                // Whoever has pointers reaches it by functions.
                RawReach::Never | RawReach::ByAccess => Capture::Accessor,
                _ => self.context.session.capture,
            },
            read_only: mapping.memory().is_read_only(),
        });
        let mapped = self.leave(enter, &Record::Mapped { outcome });
        self.context.handles().mapped_at(mapping.address(), watched.number(), mapped);
        let memory = RecordingMemory::new(
            Arc::clone(&self.context),
            watched,
            Arc::clone(mapping.memory()),
            self.number,
            Some(memory_type),
        );
        memory.came_from(mapped);
        let memory: Arc<dyn Memory> = Arc::new(memory);
        Ok(Mapping::new(mapping.id(), memory_type, mapping.address(), mapping.length(), memory))
    }

    fn unmap_memory(&self, memory_type: u32, address: u64) -> IoReturn {
        let known = self.context.handles().at(address);
        let (memory, mapped) = (known.map(|it| it.0), known.and_then(|it| it.1));
        let record = Record::Unmap { memory_type, memory };
        let enter = self.context.append(Some(self.number), mapped, &record);
        let result = self.inner.unmap_memory(memory_type, address);
        self.leave(enter, &Record::Unmapped { result });
        result
    }

    fn close(&self) -> IoReturn {
        let enter = self.append(&Record::Close);
        let result = self.inner.close();
        self.leave(enter, &Record::Closed { result });
        result
    }

    fn other_call(&self, call: &OtherCall<'_>) -> OtherReply {
        self.other(call)
    }
}

impl Buffers {
    /// The structure that a call hands in, as it was when the call was made.
    fn bytes_of<'a>(&'a self, input: &MethodInput<'a>) -> &'a [u8] {
        match (&input.structure, &self.input) {
            (StructureInput::Bytes(bytes), _) => bytes,
            (StructureInput::Shared(_), Some(lent)) => &lent.bytes,
            _ => &[],
        }
    }

    /// The call that names them is on the tape.
    fn called(&self, enter: Option<Token>) {
        for lent in [&self.input, &self.output].into_iter().flatten() {
            lent.called(enter);
        }
    }
}

/// The queue of an asynchronous call.
pub(super) struct Wake<'a> {
    /// Number on the tape.
    pub(super) number: u32,
    /// The queue as the inner system knows it; `None` where it is not of this system (D5).
    pub(super) own: Option<&'a dyn CompletionQueue>,
}

impl<'a> Wake<'a> {
    pub(super) fn of(queue: &'a dyn CompletionQueue, context: &Arc<Context>) -> Self {
        match queue.as_any().downcast_ref::<RecordingQueue>() {
            Some(recording) => {
                Self { number: recording.number(), own: recording.inner_of(context) }
            }
            None => Self {
                number: context.handles().foreign_queue(queue.id(), &context.session.numbers),
                own: None,
            },
        }
    }
}
