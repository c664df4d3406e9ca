//! A kext beside the dexts: what its client sees that a dext's does not.

use dextape::IoReturn;
use dextape::call::MapOptions;
use dextape::connection::{
    AsyncWake, Connection, MethodInput, MethodOutput, StructureOutput, System,
};
use dextape::driverkit::kext::{Kext, KextMethodArguments, KextService, KextUserClient};
use dextape::driverkit::{
    BufferMemoryDescriptor, Direction, MemoryDescriptor, OsObject, OsSharedPtr, Provider,
};
use dextape::kernel::{MockSystem, ServiceDescription};
use dextape::memory::AccessError;
use dextape::schedule::{Monitor, Schedule};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Sensors of the kernel: a few methods and one page of memory.
struct Sensors {
    schedule: Schedule,
    inside: Arc<Monitor<u32>>,
}

struct SensorsClient {
    schedule: Schedule,
    /// How many methods are inside at once, at most.
    inside: Arc<Monitor<u32>>,
    memory: Mutex<Option<OsSharedPtr<BufferMemoryDescriptor>>>,
}

impl Kext for Sensors {
    fn start(&self, provider: &Provider) -> bool {
        provider.class() != "none"
    }

    fn new_user_client(&self, open_type: u32) -> Result<Option<Arc<dyn KextUserClient>>, IoReturn> {
        if open_type != 0 {
            return Err(IoReturn::NOT_PERMITTED);
        }
        let (schedule, inside) = (self.schedule.clone(), Arc::clone(&self.inside));
        Ok(Some(Arc::new(SensorsClient { schedule, inside, memory: Mutex::default() })))
    }
}

impl KextUserClient for SensorsClient {
    fn stop(&self, _: &Provider) {
        *self.memory.lock().unwrap() = None;
    }

    fn external_method(&self, selector: u32, arguments: &mut KextMethodArguments<'_>) -> IoReturn {
        match selector {
            // Half of what was asked for.
            0 => {
                let half = arguments.structure_output_size / 2;
                arguments.structure_output[..half as usize].fill(7);
                arguments.structure_output_size = half;
                IoReturn::SUCCESS
            }
            // As much as it likes.
            1 => {
                arguments.structure_output.extend([8; 5000]);
                IoReturn::SUCCESS
            }
            2 => {
                let reference = arguments.async_reference.clone().unwrap();
                let many = reference.send(IoReturn::SUCCESS, &[0; 17]);
                assert_eq!(many, IoReturn::MESSAGE_TOO_LARGE);
                reference.send(IoReturn::IO_ERROR, &[1, 2])
            }
            // Waits until two are inside.
            3 => {
                *self.inside.lock() += 1;
                self.inside.notify_all();
                let deadline = self.schedule.now() + Duration::from_secs(1);
                let mut inside = self.inside.lock();
                while *inside < 2 {
                    if !inside.wait_until(Some(deadline)) {
                        return IoReturn::TIMEOUT;
                    }
                }
                IoReturn::SUCCESS
            }
            _ => IoReturn::UNSUPPORTED,
        }
    }

    fn client_memory_for_type(
        &self,
        memory_type: u32,
        options: &mut MapOptions,
        memory: &mut Option<MemoryDescriptor>,
    ) -> IoReturn {
        let mut kept = self.memory.lock().unwrap();
        let kept = kept.get_or_insert_with(|| {
            let made = BufferMemoryDescriptor::create(Direction::IN_OUT, 64, 0).unwrap();
            OsSharedPtr::adopt(made)
        });
        if memory_type == 1 {
            *options = MapOptions::READ_ONLY;
        }
        kept.retain();
        *memory = Some(kept.descriptor());
        IoReturn::SUCCESS
    }
}

fn with_kext<R>(client: impl FnOnce(&Schedule, &MockSystem, Arc<dyn Connection>) -> R) -> R {
    Schedule::simulate(3, |schedule| {
        let mock = MockSystem::new(schedule);
        let inside = Arc::new(Monitor::new(schedule, "another method of the kext", 0));
        let kext = || Sensors { schedule: schedule.clone(), inside: Arc::clone(&inside) };
        let refused = mock.publish_on(
            ServiceDescription::class("Sensors"),
            Provider::new("none"),
            KextService::new(kext()),
        );
        assert_eq!(refused, Err(IoReturn::ERROR));
        let published =
            mock.publish(ServiceDescription::class("Sensors"), KextService::new(kext()));
        let service = published.unwrap();
        assert_eq!(mock.open(service, 9).err(), Some(IoReturn::NOT_PERMITTED));
        let connection: Arc<dyn Connection> = Arc::from(mock.open(service, 0).unwrap());
        let result = client(schedule, &mock, Arc::clone(&connection));
        assert_eq!(connection.close(), IoReturn::SUCCESS);
        assert!(mock.leaks().is_empty(), "{:?}", mock.leaks());
        assert!(mock.findings().is_empty(), "{:?}", mock.findings());
        result
    })
}

#[test]
fn a_kext_says_how_much_it_returns_and_the_rest_stays_as_it_was() {
    with_kext(|_, _, connection| {
        let mut bytes = [1; 10];
        let mut output = MethodOutput::new(&mut [], StructureOutput::Bytes(&mut bytes));
        let result = connection.call_method(0, &MethodInput::default(), &mut output);
        assert_eq!((result, output.structure_size), (IoReturn::SUCCESS, 5));
        assert_eq!(bytes, [7, 7, 7, 7, 7, 1, 1, 1, 1, 1]);

        let mut variable = Vec::new();
        let mut output = MethodOutput::new(&mut [], StructureOutput::Variable(&mut variable));
        let result = connection.call_method(1, &MethodInput::default(), &mut output);
        assert_eq!((result, variable.len()), (IoReturn::SUCCESS, 5000));
    });
}

#[test]
fn a_kext_is_told_of_a_completion_that_is_too_long() {
    with_kext(|_, mock, connection| {
        let queue = mock.completion_queue();
        let wake = AsyncWake { queue: Some(&*queue), reference: Some(&[0, 5]) };
        let (input, mut output) = (MethodInput::default(), MethodOutput::default());
        assert_eq!(connection.call_async_method(2, &wake, &input, &mut output), IoReturn::SUCCESS);
        let completion = queue.poll().unwrap();
        assert_eq!(
            (completion.status, &completion.arguments[..]),
            (IoReturn::IO_ERROR, &[1, 2][..])
        );
        assert_eq!(completion.reference[1], 5);
        assert!(queue.poll().is_none());
    });
}

#[test]
fn methods_of_one_connection_are_inside_a_kext_at_once() {
    with_kext(|schedule, _, connection| {
        let other = Arc::clone(&connection);
        let call = |connection: &dyn Connection| {
            connection.call_method(3, &MethodInput::default(), &mut MethodOutput::default())
        };
        let task = schedule.spawn("other client thread", move || {
            assert_eq!(call(&*other), IoReturn::SUCCESS);
        });
        assert_eq!(call(&*connection), IoReturn::SUCCESS, "a dext's queue would let in one only");
        task.join();
    });
}

#[test]
fn a_kext_says_by_the_options_of_the_mapping_that_it_is_read_only() {
    with_kext(|_, _, connection| {
        let map =
            |memory_type| connection.map_memory(memory_type, MapOptions::ANYWHERE, 0).unwrap();
        let (writable, read_only) = (map(0), map(1));
        writable.store::<u32>(4, 7).unwrap();
        assert_eq!(read_only.load::<u32>(4), Ok(7), "the same memory");
        assert_eq!(read_only.store::<u32>(4, 8), Err(AccessError::ReadOnly { offset: 4 }));
        assert_eq!(connection.unmap_memory(1, 0), IoReturn::SUCCESS);
        assert_eq!(connection.unmap_memory(0, 0), IoReturn::SUCCESS);
        assert_eq!(connection.unmap_memory(0, 0), IoReturn::BAD_ARGUMENT);
    });
}
