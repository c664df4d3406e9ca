//! Real threads on one connection.

use dextape::IoReturn;
use dextape::call::MapOptions;
use dextape::connection::{Connection, ConnectionExt, System};
use dextape::driverkit::{
    BufferMemoryDescriptor, Direction, ExternalMethodArguments, MemoryDescriptor, OsObject,
    Service, UserClient,
};
use dextape::kernel::{MockSystem, ServiceDescription};
use dextape::memory::AccessError;
use dextape::schedule::Schedule;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Counts calls, and notices when two are inside at once.
#[derive(Default)]
struct Counter {
    calls: AtomicU64,
    inside: AtomicBool,
    overlaps: AtomicU64,
    buffer: Mutex<Option<BufferMemoryDescriptor>>,
}

struct Driver(Arc<Counter>);
struct Client(Arc<Counter>);

impl Service for Driver {
    fn new_user_client(&self, _: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        Ok(Some(Arc::new(Client(Arc::clone(&self.0)))))
    }
}

impl UserClient for Client {
    fn external_method(&self, _: u64, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let counter = &self.0;
        if counter.inside.swap(true, Ordering::SeqCst) {
            counter.overlaps.fetch_add(1, Ordering::SeqCst);
        }
        arguments.scalar_output[0] = counter.calls.fetch_add(1, Ordering::SeqCst);
        counter.inside.store(false, Ordering::SeqCst);
        IoReturn::SUCCESS
    }

    fn copy_client_memory_for_type(
        &self,
        _: u64,
        _: &mut u64,
        memory: &mut Option<MemoryDescriptor>,
    ) -> IoReturn {
        let mut kept = self.0.buffer.lock().unwrap();
        let buffer = kept.get_or_insert_with(|| {
            BufferMemoryDescriptor::create(Direction::IN_OUT, 64, 8).unwrap()
        });
        buffer.retain();
        *memory = Some(buffer.descriptor());
        IoReturn::SUCCESS
    }
}

#[test]
fn calls_and_maps_of_several_threads_keep_their_order_and_a_close_ends_them() {
    const THREADS: u64 = 4;
    const ROUNDS: u64 = 500;
    let schedule = Schedule::free();
    let mock = MockSystem::new(&schedule);
    let counter = Arc::new(Counter::default());
    let description = ServiceDescription::dext("Counter", "com.example.counter");
    let service = mock.publish(description, Arc::new(Driver(Arc::clone(&counter)))).unwrap();
    let connection: Arc<dyn Connection> = Arc::from(mock.open(service, 0).unwrap());
    let tasks: Vec<_> = (0..THREADS)
        .map(|_| {
            let connection = Arc::clone(&connection);
            schedule.spawn("client", move || {
                let mut seen = 0;
                for round in 0..ROUNDS {
                    let reply = (*connection).call(0).want_scalars(1).send().unwrap();
                    assert!(round == 0 || reply.scalars[0] > seen);
                    seen = reply.scalars[0];
                    let mapping = connection.map_memory(0, MapOptions::ANYWHERE, 0).unwrap();
                    match mapping.fetch_add::<u64>(0, 1) {
                        // Another thread's unmap undoes this one's map (F16).
                        Ok(_) | Err(AccessError::Unmapped { .. }) => {}
                        Err(other) => panic!("{other}"),
                    }
                    let unmapped = connection.unmap_memory(0, mapping.address());
                    assert!(matches!(unmapped, IoReturn::SUCCESS | IoReturn::BAD_ARGUMENT));
                }
            })
        })
        .collect();
    for task in tasks {
        task.join();
    }
    assert_eq!(counter.calls.load(Ordering::SeqCst), THREADS * ROUNDS);
    assert_eq!(counter.overlaps.load(Ordering::SeqCst), 0, "one at a time (K3)");
    assert_eq!(connection.close(), IoReturn::SUCCESS);
    let after = connection.call(0).want_scalars(1).send().unwrap_err();
    assert_eq!(after.io_return(), Some(IoReturn::MACH_SEND_INVALID_DEST));
    mock.terminate(service);
    mock.settle();
}
