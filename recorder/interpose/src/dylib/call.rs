//! Replacements of the `IOConnectCall*` families.

use super::client;
use super::completion::{self, Sent};
use super::edge::{Once, through};
use super::original::{self, Kern, Name};
use super::passage::{Passage, with};
use super::port::Port;
use super::recorder::{Open, Recorder};
use dextape::IoReturn;
use dextape::boundary::library::{request, send};
use dextape::boundary::{
    CallShape, ClientRange, Pointer, ReferenceShape, Request, Rules, StructureShape, Transfer,
    WakePort,
};
use dextape::connection::{AsyncWake, MethodInput, MethodOutput, StructureInput, StructureOutput};
use dextape::limits::{ASYNC_REFERENCE_MAX, SCALARS_MAX};
use dextape::memory::SharedBuffer;
use std::cell::Cell;
use std::sync::Arc;

/// The arguments of a call as the program gives them, those that its function lacks NULL and 0 (A1).
#[derive(Clone, Copy)]
struct Arguments {
    connect: Name,
    selector: u32,
    wake: Option<Wake>,
    input: *const u64,
    input_count: u32,
    structure: *const u8,
    structure_size: usize,
    output: *mut u64,
    output_count: *mut u32,
    output_structure: *mut u8,
    output_structure_size: *mut usize,
}

/// The asynchronous half.
#[derive(Clone, Copy)]
struct Wake {
    port: Name,
    reference: *mut u64,
    count: u32,
}

fn pointer<T>(pointer: *const T) -> Pointer {
    if pointer.is_null() { Pointer::Null } else { Pointer::Present }
}

fn range(start: *const u8, size: u64) -> ClientRange {
    // Only the kernel knows the machine's memory; beyond it the copy below fails, which says the same.
    ClientRange::of(start.addr() as u64, size, u64::MAX)
}

fn to_size(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

impl Arguments {
    fn new(connect: Name, selector: u32) -> Self {
        let (null, none) = (std::ptr::null(), std::ptr::null_mut());
        Self {
            connect,
            selector,
            wake: None,
            input: std::ptr::null(),
            input_count: 0,
            structure: null,
            structure_size: 0,
            output: std::ptr::null_mut(),
            output_count: std::ptr::null_mut(),
            output_structure: none,
            output_structure_size: std::ptr::null_mut(),
        }
    }

    /// # Safety
    ///
    /// `output_count` and `output_structure_size` are NULL or can be read.
    unsafe fn shape(&self) -> CallShape {
        // SAFETY: the caller's promise.
        let output_asked = unsafe { client::read(self.output_structure_size) };
        let output_asked = output_asked.map(|size| size as u64);
        CallShape {
            scalars: pointer(self.input),
            scalar_count: self.input_count,
            structure: StructureShape {
                range: range(self.structure, self.structure_size as u64),
                size: self.structure_size as u64,
            },
            scalar_output: pointer(self.output),
            // SAFETY: the caller's promise.
            scalars_asked: unsafe { client::read(self.output_count) },
            output: range(self.output_structure, output_asked.unwrap_or(0)),
            output_asked,
            reference: self.wake.map(|wake| ReferenceShape {
                wake_port: if wake.port == 0 { WakePort::Null } else { WakePort::Own },
                pointer: pointer(wake.reference),
                count: wake.count,
            }),
        }
    }

    /// What the library makes of the call; `None` where it answers itself. Such a call never reaches the
    /// connection, and a replay answers it by the same rules.
    fn request(&self, shape: &CallShape) -> Option<Request> {
        let rules = Rules::all();
        // An empty reference is the kernel's to refuse (D3), so that it is seen there.
        let empty = |it: ReferenceShape| it.pointer == Pointer::Present && it.count == 0;
        let sent = send(rules, shape, Ok(()));
        match sent {
            Err(_) if shape.reference.is_some_and(empty) => request(rules, shape).ok(),
            sent => sent.ok(),
        }
    }

    /// Records the call, with `once` to make it and `reference` to be sent in place of the program's.
    ///
    /// # Safety
    ///
    /// The pointers are as the program promises to the original.
    unsafe fn record(
        &self,
        recorder: &Recorder,
        once: &mut Once<'_, Kern>,
        reference: &Cell<Option<Sent>>,
    ) {
        let Some(open) = recorder.open(self.connect) else { return };
        // SAFETY: the caller's promise.
        let shape = unsafe { self.shape() };
        let Some(request) = self.request(&shape) else { return };
        let quiet = open.shown.enter(self.writes(&shape));
        // SAFETY: the caller's promise.
        unsafe { self.reach(recorder, &open, &request, once, reference) };
        open.shown.leave(quiet);
    }

    /// Where the call writes its answers, and how much at most.
    fn writes(&self, shape: &CallShape) -> [(u64, u64); 4] {
        let scalars = u64::from(shape.scalars_asked.unwrap_or(0)).saturating_mul(8);
        [
            (self.output.addr() as u64, scalars),
            (self.output_count.addr() as u64, 4),
            (self.output_structure.addr() as u64, shape.output_asked.unwrap_or(0)),
            (self.output_structure_size.addr() as u64, 8),
        ]
    }

    /// The call reaches the connection.
    ///
    /// # Safety
    ///
    /// That of [`record`](Self::record).
    unsafe fn reach(
        &self,
        recorder: &Recorder,
        open: &Open,
        request: &Request,
        once: &mut Once<'_, Kern>,
        sent: &Cell<Option<Sent>>,
    ) {
        // SAFETY: no more scalars than the library reads itself.
        let scalars = unsafe { client::words(self.input, request.scalar_count as usize) };
        let out_of_line = |transfer: &Transfer, start: *const u8| match transfer {
            Transfer::OutOfLine { size, range: ClientRange::Somewhere } => {
                client::copy_of(start.expose_provenance() as u64, to_size(*size))
            }
            _ => None,
        };
        let given = match &request.structure {
            Transfer::Inline { size } => {
                // SAFETY: the library copies just these.
                Some(unsafe { client::bytes(self.structure, to_size(*size)) })
            }
            other => out_of_line(other, self.structure),
        };
        // Memory that the kernel may use after the call is a buffer of its own on the tape. Here it is
        // a copy, which shows what the program handed in and what was there when the call returned.
        let long_input = matches!(request.structure, Transfer::OutOfLine { .. });
        let shared = |bytes: &Option<Vec<u8>>| bytes.as_deref().map(SharedBuffer::from_bytes);
        let given_shared = if self.wake.is_some() && long_input { shared(&given) } else { None };
        let structure = match (&request.structure, &given_shared, &given) {
            (Transfer::OutOfLine { .. }, Some(buffer), _) => StructureInput::Shared(buffer),
            (Transfer::Inline { .. } | Transfer::OutOfLine { .. }, None, Some(bytes)) => {
                StructureInput::Bytes(bytes)
            }
            (Transfer::OutOfLine { size, .. }, None, None) => StructureInput::Null { size: *size },
            _ => StructureInput::None,
        };
        let input = MethodInput { scalars: &scalars, structure };

        let mut wanted = match &request.output {
            Transfer::Inline { size } => Some(vec![0; to_size(*size)]),
            other => out_of_line(other, self.output_structure),
        };
        let long_output = matches!(request.output, Transfer::OutOfLine { .. });
        let wanted_shared = if self.wake.is_some() && long_output { shared(&wanted) } else { None };
        let mut variable = Vec::new();
        let output_structure = match (&request.output, &wanted_shared, &mut wanted) {
            (Transfer::Variable, _, _) => StructureOutput::Variable(&mut variable),
            (Transfer::OutOfLine { .. }, Some(buffer), _) => StructureOutput::Shared(buffer),
            (Transfer::Inline { .. } | Transfer::OutOfLine { .. }, None, Some(bytes)) => {
                StructureOutput::Bytes(bytes)
            }
            (Transfer::OutOfLine { size, .. }, None, None) => StructureOutput::Null { size: *size },
            _ => StructureOutput::None,
        };
        let mut room = [0; SCALARS_MAX];
        let asked = request.scalars_asked as usize;
        let mut output = MethodOutput::new(&mut room[..asked.min(SCALARS_MAX)], output_structure);
        // SAFETY: the caller's promise.
        output.scalar_count = unsafe { client::read(self.output_count) }.unwrap_or(0);

        // SAFETY: the original has returned, and its outputs are the program's to read.
        let returned =
            |result, output: &mut MethodOutput<'_>| unsafe { self.returned(result, output) };
        let Some(wake) = self.wake else {
            let mut original = |output: &mut MethodOutput<'_>| {
                let result = IoReturn(once.make().cast_unsigned());
                returned(result, output);
                result
            };
            // The program has its own answer, here and below.
            let _ = with(Passage::Method(&mut original), || {
                open.connection.call_method(self.selector, &input, &mut output)
            });
            return;
        };
        let count = (wake.count as usize).min(ASYNC_REFERENCE_MAX);
        // SAFETY: the library reads as many.
        let client_reference = unsafe { client::words(wake.reference, count) };
        let mut numbered = client_reference.clone();
        recorder.numbers().replace(&mut numbered);
        let port: Option<Arc<Port>> =
            (wake.port != 0).then(|| recorder.ports.of(recorder, wake.port)).flatten();
        let mut original = |marked: Option<&[u64]>, output: &mut MethodOutput<'_>| {
            if let (Some(port), Some(marked)) = (&port, marked) {
                sent.set(completion::redirect(port, &client_reference, marked));
            }
            let result = IoReturn(once.make().cast_unsigned());
            returned(result, output);
            result
        };
        let async_wake = AsyncWake {
            queue: port.as_ref().map(|port| &*port.queue),
            reference: (!wake.reference.is_null()).then_some(&*numbered),
        };
        let _ = with(Passage::AsyncMethod(&mut original), || {
            open.connection.call_async_method(self.selector, &async_wake, &input, &mut output)
        });
    }

    /// Copies what the program has got. Where the call failed the in-line outputs are as they were
    /// (A17), and the recorder does not look at them.
    ///
    /// # Safety
    ///
    /// The original has returned; the pointers are as the program promises.
    unsafe fn returned(&self, result: IoReturn, output: &mut MethodOutput<'_>) {
        // SAFETY: the caller's promise.
        if let Some(count) = unsafe { client::read(self.output_count) } {
            output.scalar_count = count;
            // Else nobody but the recorder would touch them, and they may be nowhere.
            let written = if result.is_success() { count as usize } else { 0 };
            let copied = written.min(output.scalars.len());
            // SAFETY: the library has written as many.
            let words = unsafe { client::words(self.output, copied) };
            output.scalars[..words.len()].copy_from_slice(&words);
        }
        // SAFETY: the caller's promise.
        let size = unsafe { client::read(self.output_structure_size) }.unwrap_or(0);
        output.structure_size = size as u64;
        let start = self.output_structure;
        match &mut output.structure {
            StructureOutput::Bytes(bytes) => {
                let address = start.expose_provenance() as u64;
                // What cannot be read stays as it was before the call.
                client::copy_from(address, bytes);
            }
            StructureOutput::Shared(buffer) => {
                let length = to_size(buffer.length());
                if let Some(bytes) = client::copy_of(start.expose_provenance() as u64, length) {
                    // The buffer was made as long.
                    let _ = dextape::memory::Memory::copy_in(&**buffer.store(), 0, &bytes);
                }
            }
            StructureOutput::Variable(bytes) => {
                // SAFETY: with this size it is the place of a pointer (A14).
                let place = unsafe { client::read(start.cast::<u64>()) }.unwrap_or(0);
                **bytes = client::copy_of(place, size).unwrap_or_default();
            }
            _ => {}
        }
    }
}

/// Makes and records a call.
///
/// # Safety
///
/// The pointers are as the program promises to the original.
unsafe fn call(arguments: Arguments, original: impl FnMut() -> Kern) -> Kern {
    through(original, |recorder, once| {
        // SAFETY: the caller's promise.
        unsafe { arguments.record(recorder, once, &Cell::new(None)) };
    })
}

/// As [`call`], with the reference to send.
///
/// # Safety
///
/// As for [`call`].
unsafe fn call_async(
    arguments: Arguments,
    wake: Wake,
    mut original: impl FnMut(*mut u64, u32) -> Kern,
) -> Kern {
    let sent: Cell<Option<Sent>> = Cell::new(None);
    let arguments = Arguments { wake: Some(wake), ..arguments };
    through(
        || match sent.get() {
            Some(mut sent) => original(sent.reference.as_mut_ptr(), sent.count),
            None => original(wake.reference, wake.count),
        },
        |recorder, once| {
            // SAFETY: the caller's promise.
            unsafe { arguments.record(recorder, once, &sent) };
        },
    )
}

/// # Safety
///
/// That of the original.
pub(super) unsafe extern "C" fn call_method(
    connect: Name,
    selector: u32,
    input: *const u64,
    input_count: u32,
    structure: *const u8,
    structure_size: usize,
    output: *mut u64,
    output_count: *mut u32,
    output_structure: *mut u8,
    output_structure_size: *mut usize,
) -> Kern {
    let arguments = Arguments {
        input,
        input_count,
        structure,
        structure_size,
        output,
        output_count,
        output_structure,
        output_structure_size,
        ..Arguments::new(connect, selector)
    };
    // SAFETY: the program's own arguments.
    let original = || unsafe {
        original::IOConnectCallMethod(
            connect,
            selector,
            input,
            input_count,
            structure,
            structure_size,
            output,
            output_count,
            output_structure,
            output_structure_size,
        )
    };
    // SAFETY: the program's promise to the original.
    unsafe { call(arguments, original) }
}

/// # Safety
///
/// That of the original.
pub(super) unsafe extern "C" fn call_scalar_method(
    connect: Name,
    selector: u32,
    input: *const u64,
    input_count: u32,
    output: *mut u64,
    output_count: *mut u32,
) -> Kern {
    let arguments =
        Arguments { input, input_count, output, output_count, ..Arguments::new(connect, selector) };
    // SAFETY: the program's own arguments.
    let original = || unsafe {
        original::IOConnectCallScalarMethod(
            connect,
            selector,
            input,
            input_count,
            output,
            output_count,
        )
    };
    // SAFETY: the program's promise to the original.
    unsafe { call(arguments, original) }
}

/// # Safety
///
/// That of the original.
pub(super) unsafe extern "C" fn call_struct_method(
    connect: Name,
    selector: u32,
    structure: *const u8,
    structure_size: usize,
    output_structure: *mut u8,
    output_structure_size: *mut usize,
) -> Kern {
    let arguments = Arguments {
        structure,
        structure_size,
        output_structure,
        output_structure_size,
        ..Arguments::new(connect, selector)
    };
    // SAFETY: the program's own arguments.
    let original = || unsafe {
        original::IOConnectCallStructMethod(
            connect,
            selector,
            structure,
            structure_size,
            output_structure,
            output_structure_size,
        )
    };
    // SAFETY: the program's promise to the original.
    unsafe { call(arguments, original) }
}

/// # Safety
///
/// That of the original.
pub(super) unsafe extern "C" fn call_async_method(
    connect: Name,
    selector: u32,
    port: Name,
    reference: *mut u64,
    count: u32,
    input: *const u64,
    input_count: u32,
    structure: *const u8,
    structure_size: usize,
    output: *mut u64,
    output_count: *mut u32,
    output_structure: *mut u8,
    output_structure_size: *mut usize,
) -> Kern {
    let arguments = Arguments {
        input,
        input_count,
        structure,
        structure_size,
        output,
        output_count,
        output_structure,
        output_structure_size,
        ..Arguments::new(connect, selector)
    };
    // SAFETY: the program's own arguments, but for the reference, which is as long as stated.
    let original = |reference, count| unsafe {
        original::IOConnectCallAsyncMethod(
            connect,
            selector,
            port,
            reference,
            count,
            input,
            input_count,
            structure,
            structure_size,
            output,
            output_count,
            output_structure,
            output_structure_size,
        )
    };
    // SAFETY: the program's promise to the original.
    unsafe { call_async(arguments, Wake { port, reference, count }, original) }
}

/// # Safety
///
/// That of the original.
pub(super) unsafe extern "C" fn call_async_scalar_method(
    connect: Name,
    selector: u32,
    port: Name,
    reference: *mut u64,
    count: u32,
    input: *const u64,
    input_count: u32,
    output: *mut u64,
    output_count: *mut u32,
) -> Kern {
    let arguments =
        Arguments { input, input_count, output, output_count, ..Arguments::new(connect, selector) };
    // SAFETY: the program's own arguments, but for the reference, which is as long as stated.
    let original = |reference, count| unsafe {
        original::IOConnectCallAsyncScalarMethod(
            connect,
            selector,
            port,
            reference,
            count,
            input,
            input_count,
            output,
            output_count,
        )
    };
    // SAFETY: the program's promise to the original.
    unsafe { call_async(arguments, Wake { port, reference, count }, original) }
}

/// # Safety
///
/// That of the original.
pub(super) unsafe extern "C" fn call_async_struct_method(
    connect: Name,
    selector: u32,
    port: Name,
    reference: *mut u64,
    count: u32,
    structure: *const u8,
    structure_size: usize,
    output_structure: *mut u8,
    output_structure_size: *mut usize,
) -> Kern {
    let arguments = Arguments {
        structure,
        structure_size,
        output_structure,
        output_structure_size,
        ..Arguments::new(connect, selector)
    };
    // SAFETY: the program's own arguments, but for the reference, which is as long as stated.
    let original = |reference, count| unsafe {
        original::IOConnectCallAsyncStructMethod(
            connect,
            selector,
            port,
            reference,
            count,
            structure,
            structure_size,
            output_structure,
            output_structure_size,
        )
    };
    // SAFETY: the program's promise to the original.
    unsafe { call_async(arguments, Wake { port, reference, count }, original) }
}
