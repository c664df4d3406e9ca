//! One call: from raw pointers to the shape that the boundary knows, and back.

use super::lent::{self, Lent};
use super::service::destination;
use super::{handles, mapping};
use crate::fault::fault;
use crate::mach::vm_allocate_pages;
use crate::port::{self, Connect, Port};
use crate::raw::{In, Out, Room, Words, try_copy_from, try_copy_to};
use dextape::IoReturn;
use dextape::boundary::library::{self, Stop, send};
use dextape::boundary::{
    CallShape, ClientRange, CopyOut, Pointer, ReferenceShape, Request, Rules, StructureShape,
    Transfer, WakePort, refused,
};
use dextape::connection::{AsyncWake, MethodInput, MethodOutput, StructureInput, StructureOutput};
use dextape::coverage::rules;
use dextape::limits::{ASYNC_REFERENCE_MAX, INLINE_STRUCTURE_MAX};
use std::sync::{Arc, OnceLock};

/// The arguments of a call as the client gives them.
#[derive(Clone, Copy)]
pub(super) struct Arguments {
    pub(super) connect: u32,
    pub(super) selector: u32,
    pub(super) wake: Option<Wake>,
    pub(super) input: In<u64>,
    pub(super) input_count: u32,
    pub(super) structure: In<u8>,
    pub(super) structure_size: u64,
    pub(super) output: Out<u64>,
    pub(super) output_count: Out<u32>,
    pub(super) output_structure: Out<u8>,
    pub(super) output_structure_size: Out<u64>,
}

/// The asynchronous half.
#[derive(Clone, Copy)]
pub(super) struct Wake {
    pub(super) port: u32,
    pub(super) reference: In<u64>,
    pub(super) count: u32,
}

/// What is left to do for the client when nothing of ours is held any more: it may fault, and a
/// handler of the client's may then jump out.
enum Left {
    /// Nothing.
    Done(IoReturn),
    /// The library follows NULL.
    Fault,
}

impl Arguments {
    /// Makes the call.
    #[inline]
    pub(super) fn call(&self) -> IoReturn {
        match self.perform() {
            Left::Done(result) => result,
            Left::Fault => fault(),
        }
    }

    #[inline(always)]
    fn shape(&self, wake_port: WakePort) -> CallShape {
        let pointer = |null: bool| if null { Pointer::Null } else { Pointer::Present };
        let output_asked = self.output_structure_size.read();
        let range = |address: u64, size| match (address, size) {
            (0, _) => ClientRange::Null,
            // What travels in the message is nowhere absurd, and most of what is sent does.
            (_, ..=INLINE_STRUCTURE_MAX) => ClientRange::Somewhere,
            _ => ClientRange::of(address, size, physical_memory()),
        };
        CallShape {
            scalars: pointer(self.input.is_null()),
            scalar_count: self.input_count,
            structure: StructureShape {
                range: range(self.structure.address(), self.structure_size),
                size: self.structure_size,
            },
            scalar_output: pointer(self.output.is_null()),
            scalars_asked: self.output_count.read(),
            output: range(self.output_structure.address(), output_asked.unwrap_or(0)),
            output_asked,
            reference: self.wake.map(|wake| ReferenceShape {
                wake_port,
                pointer: pointer(wake.reference.is_null()),
                count: wake.count,
            }),
        }
    }

    #[inline(always)]
    fn perform(&self) -> Left {
        let rules = rules();
        let own = self.wake.and_then(|wake| port::port_of(wake.port));
        let wake_port = match (self.wake, &own) {
            (Some(wake), None) if wake.port != 0 => WakePort::Foreign,
            (_, Some(_)) => WakePort::Own,
            _ => WakePort::Null,
        };
        let shape = self.shape(wake_port);
        let (destination, connect) = destination(self.connect);
        let sent = send(rules, &shape, destination.check(rules));
        match (sent, &connect) {
            (Ok(request), Some(connect)) => {
                if self.wake.is_none() && travels(request.structure) && travels(request.output) {
                    return self.reach_in_line(&request, connect);
                }
                self.reach(&request, connect, own.as_ref())
            }
            (sent, connect) => self.stop(&shape, sent, connect.as_deref(), own.as_ref()),
        }
    }

    /// What comes of a call that is not sent, or that only the kernel refuses.
    #[cold]
    fn stop(
        &self,
        shape: &CallShape,
        sent: Result<Request, Stop>,
        connect: Option<&Arc<Connect>>,
        own: Option<&Arc<Port>>,
    ) -> Left {
        let rules = rules();
        match (sent, connect) {
            (Err(Stop::Fault), _) => Left::Fault,
            // An empty reference is the kernel's to refuse (D3), so that it is seen there.
            (Err(Stop::Refused(_)), Some(connect))
                if library::kernel_refuses_reference(rules, shape) =>
            {
                match library::request(rules, shape) {
                    Ok(request) => self.reach(&request, connect, own),
                    Err(Stop::Fault) => Left::Fault,
                    Err(Stop::Refused(code)) => self.refuse(rules, shape, code),
                }
            }
            (Err(Stop::Refused(code)), connect) => {
                // That the connection has ended comes before most of what else is wrong (A18, H1).
                let ended = connect.and_then(|it| it.connection.check().err());
                let again = ended.and_then(|ended| send(rules, shape, Err(ended)).err());
                let code = if let Some(Stop::Refused(first)) = again { first } else { code };
                self.refuse(rules, shape, code)
            }
            (Ok(_), _) => self.refuse(rules, shape, IoReturn::MACH_SEND_INVALID_DEST),
        }
    }

    /// The client is told `code`, and where it asked for variable output gets none (A14).
    fn refuse(&self, rules: Rules, shape: &CallShape, code: IoReturn) -> Left {
        let answer = refused(rules, shape, code);
        if matches!(answer.structure, CopyOut::Variable { .. }) {
            return self.give_variable(answer.result, None);
        }
        Left::Done(answer.result)
    }

    /// A synchronous call whose structures travel in the message reaches the system: the usual one.
    #[inline(always)]
    fn reach_in_line(&self, request: &Request, connect: &Arc<Connect>) -> Left {
        let (mut scalars, mut room) = (Words::new(), Words::new());
        let (mut input_room, mut output_room) = (Room::new(), Room::new());
        let structure = match request.structure {
            Transfer::Inline { size } => {
                StructureInput::Bytes(input_room.filled(self.structure, size as usize))
            }
            _ => StructureInput::None,
        };
        let input =
            MethodInput { scalars: scalars.filled(self.input, request.scalar_count), structure };
        let structure = match request.output {
            Transfer::Inline { size } => StructureOutput::Bytes(output_room.zeroed(size as usize)),
            _ => StructureOutput::None,
        };
        let mut output = MethodOutput::new(room.zeroed(request.scalars_asked), structure);
        output.scalar_count = self.output_count.read().unwrap_or(0);

        mapping::look(connect);
        let result = connect.connection.call_method(self.selector, &input, &mut output);
        mapping::look(connect);
        if !result.is_success() {
            return Left::Done(result);
        }
        self.give(request, &output)
    }

    /// Any other call reaches the system.
    #[inline(never)]
    fn reach(&self, request: &Request, connect: &Arc<Connect>, own: Option<&Arc<Port>>) -> Left {
        let (mut scalars, mut room) = (Words::new(), Words::new());
        let scalars = scalars.filled(self.input, request.scalar_count);
        let (mut input_room, mut output_room) = (Room::new(), Room::new());
        let (given, mut wanted) =
            (self.out_of_line_input(request), self.out_of_line_output(request));
        let (from, to) = (self.structure.address(), self.output_structure.address());
        let lends = |address: u64, bytes: &[u8]| {
            self.wake.is_some() || lent::is_shared(address, bytes.len() as u64)
        };
        let given_lent = given.as_deref().filter(|bytes| lends(from, bytes));
        let given_lent = given_lent.map(|bytes| lent::input(connect, from, bytes));
        let wanted_lent = wanted.as_deref().filter(|bytes| lends(to, bytes));
        let wanted_lent = wanted_lent.map(|bytes| lent::output(connect, to, bytes));
        let before = if wanted_lent.is_none() { wanted.clone() } else { None };

        let structure = match request.structure {
            Transfer::None | Transfer::Variable => StructureInput::None,
            Transfer::Inline { size } => {
                StructureInput::Bytes(input_room.filled(self.structure, size as usize))
            }
            Transfer::OutOfLine { size, range } => match (&given_lent, &given) {
                (Some(lent), _) => StructureInput::Shared(lent.buffer()),
                (None, Some(bytes)) => StructureInput::Bytes(bytes),
                (None, None) if range == ClientRange::Somewhere => {
                    StructureInput::Unmapped { size }
                }
                (None, None) => StructureInput::Null { size },
            },
        };
        let input = MethodInput { scalars, structure };

        let mut variable = Vec::new();
        let output_structure = match request.output {
            Transfer::None => StructureOutput::None,
            Transfer::Inline { size } => StructureOutput::Bytes(output_room.zeroed(size as usize)),
            Transfer::Variable => StructureOutput::Variable(&mut variable),
            Transfer::OutOfLine { size, range } => match (&wanted_lent, &mut wanted) {
                (Some(lent), _) => StructureOutput::Shared(lent.buffer()),
                (None, Some(bytes)) => StructureOutput::Bytes(bytes),
                (None, None) if range == ClientRange::Somewhere => {
                    StructureOutput::Unmapped { size }
                }
                (None, None) => StructureOutput::Null { size },
            },
        };
        let asked = self.output_count.read().unwrap_or(0);
        let mut output = MethodOutput::new(room.zeroed(request.scalars_asked), output_structure);
        output.scalar_count = asked;

        mapping::look(connect);
        let result = match self.wake {
            None => connect.connection.call_method(self.selector, &input, &mut output),
            Some(wake) => {
                let mut reference = [0; ASYNC_REFERENCE_MAX];
                let reference = &mut reference[..(wake.count as usize).min(ASYNC_REFERENCE_MAX)];
                wake.reference.copy_to(reference);
                handles::to_numbers(reference);
                let wake = AsyncWake {
                    queue: own.map(|port| &**port.completions()),
                    reference: (!wake.reference.is_null()).then_some(&*reference),
                };
                connect.connection.call_async_method(self.selector, &wake, &input, &mut output)
            }
        };
        mapping::look(connect);

        // What the dext wrote through the descriptor is there, whatever it answered (B8).
        if let (StructureOutput::Bytes(bytes), Some(before)) = (&output.structure, &before) {
            put_changed(self.output_structure.address(), before, bytes);
        }
        [&given_lent, &wanted_lent].into_iter().flatten().for_each(Lent::show);
        if let Transfer::Variable = request.output {
            return self
                .give_variable(result, Some((output.returned_scalars(), variable_of(&output))));
        }
        if !result.is_success() {
            return Left::Done(result);
        }
        self.give(request, &output)
    }

    /// The bytes of a structure over 4096 bytes. `None` where there is nothing to make a descriptor of
    /// (A10, B4), and where nothing is mapped.
    fn out_of_line_input(&self, request: &Request) -> Option<Vec<u8>> {
        match request.structure {
            Transfer::OutOfLine { size, range: ClientRange::Somewhere } => {
                copy_of(self.structure.address(), size)
            }
            _ => None,
        }
    }

    fn out_of_line_output(&self, request: &Request) -> Option<Vec<u8>> {
        match request.output {
            Transfer::OutOfLine { size, range: ClientRange::Somewhere } => {
                copy_of(self.output_structure.address(), size)
            }
            _ => None,
        }
    }

    /// Copies the reply of a success (C1, C7), with the fault of A6.
    #[inline]
    fn give(&self, request: &Request, output: &MethodOutput<'_>) -> Left {
        let scalars = output.returned_scalars();
        if self.output.is_null() && !scalars.is_empty() {
            return Left::Fault;
        }
        self.output.copy_from(scalars);
        self.output_count.write(output.scalar_count);
        if let (Transfer::Inline { .. }, StructureOutput::Bytes(bytes)) =
            (request.output, &output.structure)
        {
            let returned = usize::try_from(output.structure_size).unwrap_or(usize::MAX);
            let returned = &bytes[..returned.min(bytes.len())];
            if self.output_structure.is_null() && !returned.is_empty() {
                return Left::Fault;
            }
            self.output_structure.copy_from(returned);
        }
        self.output_structure_size.write(output.structure_size);
        Left::Done(IoReturn::SUCCESS)
    }

    /// Variable output: pointer and size are overwritten whatever the result (A14).
    fn give_variable(&self, result: IoReturn, reply: Option<(&[u64], &[u8])>) -> Left {
        let (mut place, mut size) = (0, 0);
        let mut result = result;
        if let Some((scalars, bytes)) = reply
            && result.is_success()
        {
            match vm_allocate_pages(bytes.len()) {
                Some(pages) => {
                    Out::<u8>::at(pages).copy_from(bytes);
                    (place, size) = (pages, bytes.len() as u64);
                }
                None => result = IoReturn::NO_MEMORY,
            }
            if self.output.is_null() && !scalars.is_empty() {
                return Left::Fault;
            }
            self.output.copy_from(scalars);
            self.output_count.write(scalars.len() as u32);
        }
        if self.output_structure.is_null() {
            return Left::Fault;
        }
        self.output_structure.cast::<u64>().put(place);
        self.output_structure_size.write(size);
        Left::Done(result)
    }
}

fn variable_of<'a>(output: &'a MethodOutput<'_>) -> &'a [u8] {
    match &output.structure {
        StructureOutput::Variable(bytes) => bytes,
        _ => &[],
    }
}

/// True where it travels in the message, or is not there at all.
#[inline(always)]
const fn travels(transfer: Transfer) -> bool {
    matches!(transfer, Transfer::None | Transfer::Inline { .. })
}

/// A copy of what is there; `None` where not all of it is, or where there is no memory for it. It takes
/// no more memory than the client has there: a size alone is no reason to.
fn copy_of(address: u64, size: u64) -> Option<Vec<u8>> {
    /// Bytes that are asked for at once.
    const STEP: usize = 1 << 20;
    let size = usize::try_from(size).ok()?;
    let mut bytes = Vec::new();
    while bytes.len() < size {
        let at = bytes.len();
        let length = (size - at).min(STEP);
        bytes.try_reserve(length).ok()?;
        bytes.resize(at + length, 0);
        try_copy_from(address.checked_add(at as u64)?, &mut bytes[at..])?;
    }
    Some(bytes)
}

/// Writes what differs to the client, and leaves alone what another thread may be writing.
pub(super) fn put_changed(address: u64, before: &[u8], after: &[u8]) {
    /// Equal bytes between two changes that are written along.
    const JOINED: usize = 64;
    let mut at = 0;
    let length = before.len().min(after.len());
    while at < length {
        let Some(start) = (at..length).find(|index| before[*index] != after[*index]) else {
            return;
        };
        let mut end = start + 1;
        let mut index = end;
        while index < length && index - end < JOINED {
            if before[index] != after[index] {
                end = index + 1;
            }
            index += 1;
        }
        // What the client has taken away meanwhile, nobody gets.
        let _gone = try_copy_to(address + start as u64, &after[start..end]);
        at = end;
    }
}

/// Bytes of memory that the machine has.
fn physical_memory() -> u64 {
    static BYTES: OnceLock<u64> = OnceLock::new();
    *BYTES.get_or_init(|| {
        // SAFETY: it takes a number and gives one.
        let pages = unsafe { libc::sysconf(libc::_SC_PHYS_PAGES) };
        // SAFETY: as above.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        let bytes = |pages: i64, page: i64| u64::try_from(pages.checked_mul(page)?).ok();
        bytes(pages, page).filter(|bytes| *bytes > 0).unwrap_or(u64::MAX)
    })
}
