//! Running a program against a system.

use super::program::{Access, InputPlan, OutputPlan, Program, Step};
use crate::IoReturn;
use crate::call::{Completion, MapOptions};
use crate::connection::{
    AsyncWake, CompletionQueue, Connection, Mapping, Matching, MethodInput, MethodOutput,
    StructureInput, StructureOutput, System, Value,
};
use crate::limits::INLINE_STRUCTURE_MAX;
use crate::memory::{AccessError, Memory, SharedBuffer};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Class of the service that a program opens.
pub const SERVICE_CLASS: &str = "PlannedService";

/// One thing that a client saw.
#[derive(Clone, Debug, PartialEq)]
pub enum Observation {
    /// What an open gave.
    Opened(Result<(), IoReturn>),
    /// What a call gave: result, scalars and their count, bytes and their size.
    Returned(IoReturn, Vec<u64>, u32, Vec<u8>, u64),
    /// A completion taken, or none.
    Completion(Option<Completion>),
    /// What a map gave: length and accessible size.
    Mapped(Result<(u64, u64), IoReturn>),
    /// What an unmap or a close gave.
    Result(IoReturn),
    /// What a read of memory gave.
    Read(Result<Vec<u8>, AccessError>),
    /// What a typed read or an update gave.
    Word(Result<u64, AccessError>),
    /// What a write gave.
    Written(Result<(), AccessError>),
    /// A property.
    Property(Result<Option<Value>, IoReturn>),
}

impl Program {
    /// Runs each thread as a task of the system's schedule and gives what each saw.
    ///
    /// # Panics
    ///
    /// Where a replaying system diverges.
    pub fn run(&self, system: &Arc<dyn System>) -> Vec<Vec<Observation>> {
        let tasks: Vec<_> = self
            .threads
            .iter()
            .enumerate()
            .map(|(index, steps)| {
                let (steps, client) = (steps.clone(), Arc::clone(system));
                system
                    .schedule()
                    .spawn(&format!("client {index}"), move || Thread::new(&client).run(&steps))
            })
            .collect();
        tasks.into_iter().map(crate::schedule::TaskHandle::join).collect()
    }
}

struct Thread<'a> {
    system: &'a dyn System,
    queue: Arc<dyn CompletionQueue>,
    mappings: BTreeMap<u32, Mapping>,
    buffers: Vec<SharedBuffer>,
    seen: Vec<Observation>,
    digest: u64,
}

impl<'a> Thread<'a> {
    fn new(system: &'a Arc<dyn System>) -> Self {
        Self {
            system: &**system,
            queue: system.completion_queue(),
            mappings: BTreeMap::new(),
            buffers: Vec::new(),
            seen: Vec::new(),
            digest: 0xcbf2_9ce4_8422_2325,
        }
    }

    fn run(mut self, steps: &[Step]) -> Vec<Observation> {
        let opened = self
            .system
            .first_service(&Matching::service(SERVICE_CLASS))
            .and_then(|service| Ok((service, self.system.open(service, 0)?)));
        match opened {
            Err(error) => self.see(Observation::Opened(Err(error))),
            Ok((service, connection)) => {
                self.see(Observation::Opened(Ok(())));
                for step in steps {
                    let observation = match step {
                        Step::Property(key) => {
                            Observation::Property(self.system.property(service, key))
                        }
                        Step::Reopen(open_type) => {
                            let opened = self.system.open(service, *open_type);
                            Observation::Opened(opened.map(|second| {
                                // The result of this close is that of any; the next step tells it.
                                let _ = second.close();
                            }))
                        }
                        step => self.step(&*connection, step),
                    };
                    self.see(observation);
                    self.look_at_buffers();
                }
                // Whatever was seen last is an input of one more call.
                let last = self.call(&*connection, 0, &[], &InputPlan::None, 1, &OutputPlan::None);
                self.see(last);
                self.see(Observation::Result(connection.close()));
            }
        }
        self.seen
    }

    fn see(&mut self, observation: Observation) {
        for byte in format!("{observation:?}").bytes() {
            self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.seen.push(observation);
    }

    /// What the device has written into buffers that calls left behind.
    fn look_at_buffers(&mut self) {
        for index in 0..self.buffers.len() {
            let bytes = self.buffers[index].memory().read_vec(0, 16);
            self.see(Observation::Read(bytes));
        }
    }

    fn step(&mut self, connection: &dyn Connection, step: &Step) -> Observation {
        match step {
            Step::Call { selector, scalars, input, scalars_asked, output } => {
                self.call(connection, *selector, scalars, input, *scalars_asked, output)
            }
            Step::AsyncCall { selector, reference, input, output } => {
                let queue = Arc::clone(&self.queue);
                let wake = AsyncWake { queue: Some(&*queue), reference: reference.as_deref() };
                self.exchange(connection, Some(&wake), *selector, &[], input, 1, output)
            }
            Step::Wait(milliseconds) => {
                Observation::Completion(self.queue.wait(Some(Duration::from_millis(*milliseconds))))
            }
            Step::Poll => Observation::Completion(self.queue.poll()),
            Step::Sleep(milliseconds) => {
                self.system.schedule().sleep(Duration::from_millis(*milliseconds));
                Observation::Result(IoReturn::SUCCESS)
            }
            Step::Map(memory_type) => self.map(connection, *memory_type),
            Step::Unmap(memory_type) => {
                let address = self.mappings.get(memory_type).map_or(0, Mapping::address);
                Observation::Result(connection.unmap_memory(*memory_type, address))
            }
            Step::Access(memory_type, access) => match self.mappings.get(memory_type) {
                Some(mapping) => run_access(&**mapping, access),
                None => self.map(connection, *memory_type),
            },
            Step::Property(_) | Step::Reopen(_) => Observation::Result(IoReturn::SUCCESS),
        }
    }

    fn map(&mut self, connection: &dyn Connection, memory_type: u32) -> Observation {
        let mapped = connection.map_memory(memory_type, MapOptions::ANYWHERE, 0);
        Observation::Mapped(mapped.map(|mapping| {
            let sizes = (mapping.length(), mapping.size());
            self.mappings.insert(memory_type, mapping);
            sizes
        }))
    }

    fn call(
        &mut self,
        connection: &dyn Connection,
        selector: u32,
        scalars: &[u64],
        input: &InputPlan,
        scalars_asked: usize,
        output: &OutputPlan,
    ) -> Observation {
        let mut all = vec![self.digest];
        all.extend_from_slice(scalars);
        self.exchange(connection, None, selector, &all, input, scalars_asked, output)
    }

    #[expect(clippy::too_many_arguments, reason = "one parameter for each part of a call")]
    fn exchange(
        &mut self,
        connection: &dyn Connection,
        wake: Option<&AsyncWake<'_>>,
        selector: u32,
        scalars: &[u64],
        input: &InputPlan,
        scalars_asked: usize,
        output: &OutputPlan,
    ) -> Observation {
        let bytes = input.bytes();
        let shared_input = SharedBuffer::from_bytes(&bytes);
        let structure = match input {
            InputPlan::None => StructureInput::None,
            InputPlan::Bytes(..) => StructureInput::Bytes(&bytes),
            InputPlan::Shared(..) => StructureInput::Shared(&shared_input),
            InputPlan::Null(size) => StructureInput::Null { size: *size },
            InputPlan::Unmapped(size) => StructureInput::Unmapped { size: *size },
        };
        let mut room = vec![0x5a; scalars_asked];
        let mut buffer = Vec::new();
        let mut shared_output = None;
        let wanted = match output {
            OutputPlan::None => StructureOutput::None,
            OutputPlan::Bytes(size) => {
                buffer = vec![0x5a; *size];
                StructureOutput::Bytes(&mut buffer)
            }
            OutputPlan::Shared(size) => {
                StructureOutput::Shared(shared_output.insert(SharedBuffer::new(*size as u64)))
            }
            OutputPlan::Null(size) => StructureOutput::Null { size: *size },
            OutputPlan::Unmapped(size) => StructureOutput::Unmapped { size: *size },
            OutputPlan::Variable => StructureOutput::Variable(&mut buffer),
        };
        let mut reply = MethodOutput::new(&mut room, wanted);
        let input = MethodInput { scalars, structure };
        let result = match wake {
            None => connection.call_method(selector, &input, &mut reply),
            Some(wake) => connection.call_async_method(selector, wake, &input, &mut reply),
        };
        let (count, size) = (reply.scalar_count, reply.structure_size);
        if let Some(shared) = shared_output {
            if shared.length() > INLINE_STRUCTURE_MAX && wake.is_some() {
                self.buffers.push(shared);
            } else if let Ok(bytes) = shared.memory().read_vec(0, shared.length()) {
                buffer = bytes;
            }
        }
        Observation::Returned(result, room, count, buffer, size)
    }
}

fn run_access(memory: &dyn Memory, access: &Access) -> Observation {
    match access {
        Access::Read(offset, length) => Observation::Read(memory.read_vec(*offset, *length)),
        Access::Write(offset, bytes) => Observation::Written(memory.copy_in(*offset, bytes)),
        Access::Load(offset, width) => Observation::Word(memory.load_word(*offset, *width)),
        Access::Store(offset, width, value) => {
            Observation::Written(memory.store_word(*offset, *width, *value))
        }
        Access::Update(offset, width, update) => {
            Observation::Word(memory.update_word(*offset, *width, *update))
        }
    }
}
