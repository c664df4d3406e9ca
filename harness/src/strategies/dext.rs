//! A dext that does what a plan says.

use super::plan::{DextPlan, MemoryPlan, MethodPlan};
use crate::IoReturn;
use crate::driverkit::{
    BufferMemoryDescriptor, Direction, DispatchQueue, ExternalMethodArguments, MappingOptions,
    MemoryDescriptor, OsData, OsObject, Provider, Service, USER_CLIENT_MEMORY_READ_ONLY,
    UserClient, async_completion, os_log,
};
use crate::limits::INLINE_STRUCTURE_MAX;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// A service whose user clients do what a [`DextPlan`] says.
#[derive(Clone, Debug)]
pub struct PlannedService {
    plan: Arc<DextPlan>,
}

impl PlannedService {
    /// A service for the plan.
    #[must_use]
    pub fn new(plan: DextPlan) -> Self {
        Self { plan: Arc::new(plan) }
    }
}

impl Service for PlannedService {
    fn new_user_client(&self, open_type: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        match self.plan.refuse_open {
            Some((from, code)) if open_type >= from => Err(code),
            _ => Ok(Some(Arc::new(PlannedClient {
                plan: Arc::clone(&self.plan),
                state: OnceLock::new(),
                calls: AtomicU64::new(0),
            }))),
        }
    }
}

struct PlannedClient {
    plan: Arc<DextPlan>,
    state: OnceLock<Arc<State>>,
    calls: AtomicU64,
}

/// What lives from start to stop.
struct State {
    buffers: Vec<BufferMemoryDescriptor>,
    queue: DispatchQueue,
    stopped: Mutex<bool>,
}

impl State {
    fn is_stopped(&self) -> bool {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The device changes the first word of a buffer, again and again.
    fn tick(self: &Arc<Self>, index: usize, every: u64) {
        let state = Arc::clone(self);
        self.queue.dispatch_after(Duration::from_millis(every), move || {
            if !state.is_stopped() {
                let memory = state.buffers[index].address_range();
                // The buffer is there until stop; a failed access would show as a missing tick.
                let _ = memory.fetch_add::<u64>(0, 1);
                state.tick(index, every);
            }
        });
    }
}

impl UserClient for PlannedClient {
    fn start(&self, _provider: &Provider) -> IoReturn {
        let made: Result<Vec<_>, IoReturn> = self
            .plan
            .memories
            .iter()
            .map(|memory| BufferMemoryDescriptor::create(Direction::IN_OUT, memory.capacity, 0))
            .collect();
        let (buffers, queue) = match (made, DispatchQueue::create("planned")) {
            (Ok(buffers), Ok(queue)) => (buffers, queue),
            (Err(error), _) | (_, Err(error)) => return error,
        };
        let state = Arc::new(State { buffers, queue, stopped: Mutex::new(false) });
        for (index, memory) in self.plan.memories.iter().enumerate() {
            if let Some(every) = memory.ticks {
                state.tick(index, every);
            }
        }
        // Start is called once.
        let _ = self.state.set(state);
        IoReturn::SUCCESS
    }

    fn stop(&self, _provider: &Provider) -> IoReturn {
        if let Some(state) = self.state.get() {
            *state.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
            for buffer in &state.buffers {
                buffer.release();
            }
            state.queue.release();
        }
        IoReturn::SUCCESS
    }

    fn external_method(
        &self,
        selector: u64,
        arguments: &mut ExternalMethodArguments<'_>,
    ) -> IoReturn {
        let Some(plan) = self.plan.methods.get(selector as usize) else {
            return IoReturn::UNSUPPORTED;
        };
        let Some(state) = self.state.get() else { return IoReturn::NOT_READY };
        let sum = self.sum_of_inputs(arguments);
        os_log(format!("method {selector}"));
        answer(plan, sum, arguments);
        if let Some((memory, offset, length)) = plan.changes
            && let Some(buffer) = state.buffers.get(memory)
        {
            let bytes: Vec<u8> =
                (0..length).map(|index| (sum as u8).wrapping_add(index as u8)).collect();
            // A range beyond a small buffer's page changes nothing.
            let _ = buffer.address_range().copy_in(offset, &bytes);
        }
        complete(plan, sum, state, arguments);
        plan.result
    }

    fn copy_client_memory_for_type(
        &self,
        memory_type: u64,
        options: &mut u64,
        memory: &mut Option<MemoryDescriptor>,
    ) -> IoReturn {
        let Some((plan, state)) =
            self.plan.memories.get(memory_type as usize).zip(self.state.get())
        else {
            return IoReturn::UNSUPPORTED;
        };
        give(plan, &state.buffers[memory_type as usize], options, memory)
    }
}

impl PlannedClient {
    /// A number that every input byte takes part in, and that differs from call to call.
    fn sum_of_inputs(&self, arguments: &ExternalMethodArguments<'_>) -> u64 {
        let mut sum = self.calls.fetch_add(1, Ordering::Relaxed);
        for scalar in arguments.scalar_input {
            sum = sum.wrapping_mul(31).wrapping_add(*scalar);
        }
        let bytes = match (&arguments.structure_input, &arguments.structure_input_descriptor) {
            (Some(data), _) => data.bytes().to_vec(),
            (None, Some(descriptor)) => descriptor
                .create_mapping(MappingOptions::default(), 0, 0, 0, 0)
                .map(|map| {
                    let bytes = map.read_vec(0, descriptor.length()).unwrap_or_default();
                    map.release();
                    bytes
                })
                .unwrap_or_default(),
            (None, None) => Vec::new(),
        };
        bytes.iter().fold(sum, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)))
    }
}

fn answer(plan: &MethodPlan, sum: u64, arguments: &mut ExternalMethodArguments<'_>) {
    for index in 0..arguments.scalar_output.len() {
        arguments.scalar_output[index] =
            sum.wrapping_add(plan.scalar_offset).wrapping_add(index as u64);
    }
    if let Some(count) = plan.scalar_count {
        arguments.scalar_output_count = count;
    }
    let Some(length) = plan.structure else { return };
    let bytes: Vec<u8> =
        (0..length).map(|index| (sum as u8).wrapping_add((index as u8).wrapping_mul(7))).collect();
    match &arguments.structure_output_descriptor {
        Some(descriptor) => {
            if let Ok(map) = descriptor.create_mapping(MappingOptions::default(), 0, 0, 0, 0) {
                let fits = bytes.len().min(map.length() as usize);
                // The range was cut to the mapping.
                let _ = map.copy_in(0, &bytes[..fits]);
                map.release();
            }
        }
        None => arguments.structure_output = Some(OsData::with_bytes(&bytes)),
    }
}

fn complete(
    plan: &MethodPlan,
    sum: u64,
    state: &Arc<State>,
    arguments: &ExternalMethodArguments<'_>,
) {
    let Some(completion) = &arguments.completion else { return };
    let output = arguments
        .structure_output_descriptor
        .as_ref()
        .filter(|descriptor| descriptor.length() > INLINE_STRUCTURE_MAX);
    for (ordinal, (delay, count)) in plan.completions.iter().enumerate() {
        let values: Vec<u64> =
            (0..*count as u64).map(|index| sum.wrapping_add(index + ordinal as u64)).collect();
        if *delay == 0 {
            async_completion(completion, IoReturn::SUCCESS, &values);
            continue;
        }
        completion.retain();
        if let Some(output) = output {
            output.retain();
        }
        let (completion, output, stopped) =
            (completion.clone(), output.cloned(), Arc::clone(state));
        state.queue.dispatch_after(Duration::from_millis(*delay), move || {
            if let Some(output) = output {
                if let Ok(map) = output.create_mapping(MappingOptions::default(), 0, 0, 0, 0) {
                    // The descriptor is longer than 4096 bytes.
                    let _ = map.store::<u64>(0, sum);
                    map.release();
                }
                output.release();
            }
            if !stopped.is_stopped() {
                async_completion(&completion, IoReturn(ordinal as u32), &values);
            }
            completion.release();
        });
    }
}

fn give(
    plan: &MemoryPlan,
    buffer: &BufferMemoryDescriptor,
    options: &mut u64,
    memory: &mut Option<MemoryDescriptor>,
) -> IoReturn {
    if let Some(error) = plan.error {
        return error;
    }
    if plan.read_only {
        *options |= USER_CLIENT_MEMORY_READ_ONLY;
    }
    if plan.fresh {
        match BufferMemoryDescriptor::create(Direction::IN_OUT, plan.capacity, 0) {
            Ok(fresh) => *memory = Some(fresh.descriptor()),
            Err(error) => return error,
        }
    } else {
        buffer.retain();
        *memory = Some(buffer.descriptor());
    }
    IoReturn::SUCCESS
}
