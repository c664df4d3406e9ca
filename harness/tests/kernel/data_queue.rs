//! A queue of entries that dext and client share: the client takes them from its mapping.

use dextape::IoReturn;
use dextape::call::MapOptions;
use dextape::connection::{AsyncWake, Connection, MethodInput, MethodOutput, System};
use dextape::driverkit::{
    DataQueueDispatchSource, DispatchQueue, ExternalMethodArguments, MemoryDescriptor, OsAction,
    OsObject, OsSharedPtr, Service, UserClient, async_completion,
};
use dextape::kernel::{MockSystem, ServiceDescription};
use dextape::schedule::Schedule;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Sends what it is asked for into its queue: as many entries of 20 bytes as the first scalar says.
struct Sampler;

impl Service for Sampler {
    fn new_user_client(&self, _: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        let queue = OsSharedPtr::adopt(DispatchQueue::create("samples")?);
        let entries = OsSharedPtr::adopt(DataQueueDispatchSource::create(256, &queue)?);
        Ok(Some(Arc::new(SamplerClient { queue, entries, wake: Mutex::default() })))
    }
}

struct SamplerClient {
    queue: OsSharedPtr<DispatchQueue>,
    entries: OsSharedPtr<DataQueueDispatchSource>,
    wake: Mutex<Option<OsSharedPtr<OsAction>>>,
}

impl SamplerClient {
    /// Adds entries, waiting where there is no room, and tells the client of each that is the first.
    fn send(entries: &DataQueueDispatchSource, wake: &OsAction, from: u64, to: u64) {
        for number in from..to {
            let (result, notify) = entries.enqueue_with_coalesce(&[number as u8; 20]);
            if notify {
                async_completion(wake, IoReturn::SUCCESS, &[number]);
            }
            if result == IoReturn::OVERRUN {
                // It goes on where it stopped once the client says that it has taken one.
                let (again, wake) = (entries.clone(), OsSharedPtr::retaining(wake));
                let goes_on = OsAction::data_serviced(move |_| {
                    Self::send(&again, &wake, number, to);
                });
                entries.set_data_serviced_handler(&goes_on).ok().unwrap();
                goes_on.release();
                return;
            }
        }
    }
}

impl UserClient for SamplerClient {
    fn external_method(
        &self,
        selector: u64,
        arguments: &mut ExternalMethodArguments<'_>,
    ) -> IoReturn {
        if selector == 1 {
            self.entries.send_data_serviced();
            return IoReturn::SUCCESS;
        }
        let Some(completion) = &arguments.completion else { return IoReturn::BAD_ARGUMENT };
        let wake = OsSharedPtr::retaining(completion);
        let (entries, kept, count) = (self.entries.get(), wake.clone(), arguments.scalar_input[0]);
        *self.wake.lock().unwrap() = Some(wake);
        self.queue.dispatch_async(move || Self::send(&entries, &kept, 0, count));
        IoReturn::SUCCESS
    }

    fn copy_client_memory_for_type(
        &self,
        _: u64,
        _: &mut u64,
        memory: &mut Option<MemoryDescriptor>,
    ) -> IoReturn {
        match self.entries.copy_memory() {
            Ok(copied) => {
                *memory = Some(copied);
                IoReturn::SUCCESS
            }
            Err(code) => code,
        }
    }
}

#[test]
fn a_client_takes_from_its_mapping_what_the_dext_adds() {
    for seed in 0..20 {
        let taken = Schedule::simulate(seed, |schedule| {
            let mock = MockSystem::new(schedule);
            let description = ServiceDescription::dext("Sampler", "com.example.sampler");
            let service = mock.publish(description, Arc::new(Sampler)).unwrap();
            let connection = mock.open(service, 0).unwrap();
            let taken = take_all(&mock, &*connection, 50);
            assert_eq!(connection.close(), IoReturn::SUCCESS);
            assert!(mock.leaks().is_empty(), "{:?}", mock.leaks());
            assert!(mock.findings().is_empty(), "{:?}", mock.findings());
            taken
        });
        let expected: Vec<_> = (0..50).map(|number| vec![number; 20]).collect();
        assert_eq!(taken, expected, "seed {seed}");
    }
}

fn take_all(mock: &MockSystem, connection: &dyn Connection, count: u64) -> Vec<Vec<u8>> {
    let mapping = connection.map_memory(0, MapOptions::ANYWHERE, 0).unwrap();
    assert_eq!(mapping.length(), 256);
    let wakes = mock.completion_queue();
    let wake = AsyncWake { queue: Some(&*wakes), reference: Some(&[0]) };
    let input = MethodInput { scalars: &[count], ..Default::default() };
    let begun = connection.call_async_method(0, &wake, &input, &mut MethodOutput::default());
    assert_eq!(begun, IoReturn::SUCCESS);

    let (queue, mut taken) = (mapping.data_queue(), Vec::new());
    while taken.len() < count as usize {
        assert!(wakes.wait(Some(Duration::from_secs(1))).is_some(), "after {}", taken.len());
        loop {
            let (data, notify) = queue.dequeue();
            taken.extend(data.as_ref().ok().cloned());
            if notify {
                let told = connection.call_method(
                    1,
                    &MethodInput::default(),
                    &mut MethodOutput::default(),
                );
                assert_eq!(told, IoReturn::SUCCESS);
            }
            if data.is_err() {
                break;
            }
        }
    }
    taken
}
