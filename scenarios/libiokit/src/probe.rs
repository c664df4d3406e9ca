//! A dext that leaves behind what its client asks for: for whoever wants to see what a client in C makes
//! of it.
//!
//! | selector | what |
//! |---|---|
//! | 0 | nothing, with success |
//! | 1 | fills every scalar output with its place, from 1 on |
//! | 2 | as 1, and states one scalar output |
//! | 3 | as 1, and states 16 scalar outputs |
//! | 4 | as 1, with 64 bytes of structure output, and then fails with `kIOReturnOffline` |
//! | 5 | as many bytes of structure output as the first scalar says, 10 without one |
//! | 6 | an empty structure output |
//! | 7 | how it was called: see [`Seen`] |
//! | 8 | fires the completion at once: so many arguments as the first scalar says, as often as the second |
//! | 9 | how many calls it has had, this one not counted |
//! | 10 | waits so many milliseconds as the first scalar says |
//! | 11 | fills the output descriptor with 0xab, and fails where a scalar was given |
//! | 12 | the service is terminated |
//! | 13 | reads as many bytes as the structure says at its first pointer, and writes them in capitals to its second; gives back its token, and the sum of the bytes |
//! | 14 | has returned when it fills the output descriptor with 0xcd, so many milliseconds later as the first scalar says; then it fires the completion |
//!
//! Memory type 0 has 128 bytes, memory type 4 has 1 MiB, and there is no other.

use dextape::IoReturn;
use dextape::connection::System;
use dextape::driverkit::{
    self, AddressSegment, BufferMemoryDescriptor, Direction, DispatchQueue,
    ExternalMethodArguments, MappingOptions, MemoryDescriptor, OsData, OsObject, OsSharedPtr,
    Provider, QueueOptions, Service, UserClient, async_completion,
    create_memory_descriptor_from_client,
};
use dextape::kernel::{MockSystem, ServiceDescription};
use dextape_scenarios::{Parameter, Parameters, Scenario, ScenarioError};
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

/// The scenario `boundary-probe`. Its client is whoever loads the library.
#[derive(Clone, Copy, Debug, Default)]
pub struct BoundaryProbe;

/// What selector 7 gives, a scalar each.
#[derive(Clone, Copy, Debug)]
#[repr(usize)]
pub enum Seen {
    /// `scalarInputCount`.
    ScalarInputs,
    /// Length of `structureInput`; all ones without one.
    Input,
    /// Length of `structureInputDescriptor`; all ones without one.
    InputDescriptor,
    /// `structureOutputMaximumSize`.
    Maximum,
    /// Length of `structureOutputDescriptor`; all ones without one.
    OutputDescriptor,
    /// 1 where there is a completion.
    Completion,
    /// `scalarOutputCount` on entry.
    ScalarOutputs,
    /// Length of the mapping of `structureInputDescriptor`, or the code that its making gave.
    InputMapping,
}

/// Class of the service.
const CLASS: &str = "BoundaryProbe";

impl Scenario for BoundaryProbe {
    fn name(&self) -> &str {
        "boundary-probe"
    }

    fn about(&self) -> &str {
        "a dext that leaves behind what its client asks for, for clients in C"
    }

    fn parameters(&self) -> &[Parameter] {
        &[]
    }

    fn publish(
        &self,
        _parameters: &Parameters,
        system: &Arc<MockSystem>,
    ) -> Result<(), ScenarioError> {
        let probe = Arc::new(Probe { system: Arc::downgrade(system) });
        let description = ServiceDescription::class(CLASS)
            .property("Number", 7_u64)
            .property("Built-in", true)
            .property("Text", "grün");
        let published = system.publish(description, probe);
        published.map_err(ScenarioError::refused("publish BoundaryProbe"))?;
        Ok(())
    }

    fn client(
        &self,
        _parameters: &Parameters,
        _system: &Arc<dyn System>,
        out: &mut dyn Write,
    ) -> Result<(), ScenarioError> {
        writeln!(out, "the client of this scenario is a program of its own")?;
        Ok(())
    }
}

/// The service.
#[derive(Debug)]
struct Probe {
    system: Weak<MockSystem>,
}

impl Service for Probe {
    fn new_user_client(&self, open_type: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        match open_type {
            0 => {}
            1 => return Ok(None),
            code => return Err(IoReturn(code)),
        }
        Ok(Some(Arc::new(ProbeClient {
            system: self.system.clone(),
            calls: AtomicU64::new(0),
            buffers: Mutex::default(),
            queue: OnceLock::new(),
        })))
    }
}

/// One user client.
#[derive(Debug)]
struct ProbeClient {
    system: Weak<MockSystem>,
    calls: AtomicU64,
    /// One of each memory type, once it was asked for.
    buffers: Mutex<[Option<OsSharedPtr<BufferMemoryDescriptor>>; 2]>,
    /// Its own, so that its waits hold up no other client; reentrant, so that they hold up no other
    /// call.
    queue: OnceLock<OsSharedPtr<DispatchQueue>>,
}

const NONE: u64 = u64::MAX;

/// Place and bytes of a memory type.
const fn room(memory_type: u64) -> Option<(usize, u64)> {
    match memory_type {
        0 => Some((0, 128)),
        4 => Some((1, 1 << 20)),
        _ => None,
    }
}

/// What a call waits for that is to wait.
const EVENT: u64 = 1;

impl ProbeClient {
    fn seen(arguments: &ExternalMethodArguments<'_>) -> [u64; 8] {
        let mapped =
            arguments.structure_input_descriptor.as_ref().map(|descriptor| {
                match descriptor.create_mapping(MappingOptions::NONE, 0, 0, 0, 0) {
                    Ok(map) => OsSharedPtr::adopt(map).length(),
                    Err(code) => u64::from(code.0),
                }
            });
        let length = |descriptor: &Option<MemoryDescriptor>| {
            descriptor.as_ref().map_or(NONE, MemoryDescriptor::length)
        };
        [
            arguments.scalar_input.len() as u64,
            arguments.structure_input.as_ref().map_or(NONE, |data| data.len() as u64),
            length(&arguments.structure_input_descriptor),
            arguments.structure_output_maximum_size,
            length(&arguments.structure_output_descriptor),
            u64::from(arguments.completion.is_some()),
            u64::from(arguments.scalar_output_count),
            mapped.unwrap_or(NONE),
        ]
    }

    /// Writes to the client's memory when the call has long returned.
    fn write_late(&self, arguments: &ExternalMethodArguments<'_>, milliseconds: u64) -> IoReturn {
        let (Some(queue), Some(completion), Some(descriptor)) =
            (self.queue.get(), &arguments.completion, &arguments.structure_output_descriptor)
        else {
            return IoReturn::BAD_ARGUMENT;
        };
        let (completion, descriptor) =
            (OsSharedPtr::retaining(completion), OsSharedPtr::retaining(descriptor));
        queue.dispatch_after(Duration::from_millis(milliseconds.min(60_000)), move || {
            let map = descriptor.create_mapping(MappingOptions::NONE, 0, 0, 0, 0);
            let status = map.map_or_else(
                |code| code,
                |map| {
                    let bytes = vec![0xcd; descriptor.length().min(1 << 20) as usize];
                    let written = OsSharedPtr::adopt(map).copy_in(0, &bytes);
                    written.map_or(IoReturn::VM_ERROR, |()| IoReturn::SUCCESS)
                },
            );
            async_completion(&completion, status, &[]);
        });
        IoReturn::SUCCESS
    }

    fn fill(arguments: &mut ExternalMethodArguments<'_>) {
        for (place, output) in arguments.scalar_output.iter_mut().enumerate() {
            *output = place as u64 + 1;
        }
    }
}

/// Selector 13: token, two pointers, and a count of 4 bytes.
fn follow(arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
    let Some(request) = &arguments.structure_input else { return IoReturn::BAD_ARGUMENT };
    let request = request.bytes();
    let word = |at: usize| {
        let bytes = request.get(at..at + 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    };
    let (Some(token), Some(source), Some(room), Some(count)) =
        (word(0), word(8), word(16), word(24))
    else {
        return IoReturn::BAD_ARGUMENT;
    };
    let length = (count & 0xffff_ffff).min(4096);
    let mapped = |address, direction| {
        let segment = AddressSegment { address, length };
        let memory = create_memory_descriptor_from_client(direction, &[segment])?;
        let memory = OsSharedPtr::adopt(memory);
        memory.create_mapping(MappingOptions::NONE, 0, 0, 0, 0).map(OsSharedPtr::adopt)
    };
    // Without the option it would be written to a copy (I14).
    let through = Direction::IN | Direction::DISABLE_COPY_ON_WRITE;
    let (source, room) = match (mapped(source, Direction::OUT), mapped(room, through)) {
        (Ok(source), Ok(room)) => (source, room),
        (Err(code), _) | (_, Err(code)) => return code,
    };
    let mut bytes = vec![0; length as usize];
    if source.copy_out(0, &mut bytes).is_err() {
        return IoReturn::VM_ERROR;
    }
    let sum = bytes.iter().copied().map(u64::from).sum();
    bytes.make_ascii_uppercase();
    if room.copy_in(0, &bytes).is_err() {
        return IoReturn::VM_ERROR;
    }
    for (output, value) in arguments.scalar_output.iter_mut().zip([token, sum]) {
        *output = value;
    }
    IoReturn::SUCCESS
}

impl UserClient for ProbeClient {
    fn start(&self, _provider: &Provider) -> IoReturn {
        match DispatchQueue::create_with_options("probe", QueueOptions::REENTRANT) {
            Ok(queue) => {
                // A user client is started once.
                let _ = self.queue.set(OsSharedPtr::adopt(queue));
                IoReturn::SUCCESS
            }
            Err(code) => code,
        }
    }

    fn dispatch_queue(&self, _name: &str) -> Option<DispatchQueue> {
        self.queue.get().map(|queue| queue.get())
    }

    fn external_method(
        &self,
        selector: u64,
        arguments: &mut ExternalMethodArguments<'_>,
    ) -> IoReturn {
        let before = self.calls.fetch_add(1, Ordering::Relaxed);
        let scalar = |index: usize| arguments.scalar_input.get(index).copied();
        let (first, second) = (scalar(0), scalar(1));
        match selector {
            0 => {}
            1 => Self::fill(arguments),
            2 => {
                Self::fill(arguments);
                arguments.scalar_output_count = 1;
            }
            3 => {
                Self::fill(arguments);
                arguments.scalar_output_count = 16;
            }
            4 => {
                Self::fill(arguments);
                arguments.structure_output = Some(OsData::with_bytes(&[0x5a; 64]));
                return IoReturn::OFFLINE;
            }
            5 => {
                let length = first.unwrap_or(10).min(8192) as usize;
                arguments.structure_output = Some(OsData::with_bytes(&vec![0x5a; length]));
            }
            6 => arguments.structure_output = Some(OsData::with_bytes(&[])),
            7 => {
                let seen = Self::seen(arguments);
                for (output, seen) in arguments.scalar_output.iter_mut().zip(seen) {
                    *output = seen;
                }
            }
            8 => {
                let Some(completion) = &arguments.completion else { return IoReturn::BAD_ARGUMENT };
                let count = first.unwrap_or(0).min(17);
                let values: Vec<u64> = (1..=count).map(|value| value * 0x1_0000_0001).collect();
                for _ in 0..second.unwrap_or(1).min(100_000) {
                    async_completion(completion, IoReturn::ABORTED, &values);
                }
            }
            9 => {
                if let Some(output) = arguments.scalar_output.first_mut() {
                    *output = before;
                }
            }
            10 => {
                let wait = Duration::from_millis(first.unwrap_or(0).min(60_000));
                let Some(queue) = self.queue.get() else { return IoReturn::NOT_READY };
                // Nobody wakes it: the time passes.
                let _ = queue.sleep(EVENT, Some(driverkit::uptime() + wait));
            }
            11 => {
                let Some(descriptor) = &arguments.structure_output_descriptor else {
                    return IoReturn::BAD_ARGUMENT;
                };
                let map = match descriptor.create_mapping(MappingOptions::NONE, 0, 0, 0, 0) {
                    Ok(map) => OsSharedPtr::adopt(map),
                    Err(code) => return code,
                };
                let bytes = vec![0xab; descriptor.length().min(1 << 20) as usize];
                if map.copy_in(0, &bytes).is_err() {
                    return IoReturn::VM_ERROR;
                }
                if first.is_some() {
                    return IoReturn::NOT_READY;
                }
            }
            12 => {
                let Some(system) = self.system.upgrade() else { return IoReturn::OFFLINE };
                let found = system
                    .matching_services(&dextape::connection::Matching::service(CLASS))
                    .unwrap_or_default();
                found.into_iter().for_each(|service| system.terminate(service));
            }
            13 => return follow(arguments),
            14 => return self.write_late(arguments, first.unwrap_or(0)),
            _ => return IoReturn::UNSUPPORTED,
        }
        IoReturn::SUCCESS
    }

    fn copy_client_memory_for_type(
        &self,
        memory_type: u64,
        _options: &mut u64,
        memory: &mut Option<MemoryDescriptor>,
    ) -> IoReturn {
        let Some((place, size)) = room(memory_type) else { return IoReturn::NO_DEVICE };
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        let buffer = &mut buffers[place];
        if buffer.is_none() {
            match BufferMemoryDescriptor::create(Direction::IN_OUT, size, 8) {
                Ok(made) => *buffer = Some(OsSharedPtr::adopt(made)),
                Err(code) => return code,
            }
        }
        if let Some(held) = buffer {
            held.retain();
            *memory = Some(held.descriptor());
        }
        IoReturn::SUCCESS
    }
}
