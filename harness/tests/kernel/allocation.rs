//! The hot path does not allocate.

use dextape::IoReturn;
use dextape::connection::{ConnectionExt, System};
use dextape::driverkit::{ExternalMethodArguments, Service, UserClient};
use dextape::kernel::{MockSystem, ServiceDescription};
use dextape::schedule::Schedule;
use std::alloc::{GlobalAlloc, Layout, System as Heap};
use std::cell::Cell;
use std::sync::Arc;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every request goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's layout, as it came.
        unsafe { Heap.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's pointer and layout, as they came.
        unsafe { Heap.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static HEAP: Counting = Counting;

struct Adder;

impl Service for Adder {
    fn new_user_client(&self, _: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        Ok(Some(Arc::new(Self)))
    }
}

impl UserClient for Adder {
    fn external_method(&self, _: u64, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        arguments.scalar_output[0] = arguments.scalar_input.iter().sum();
        IoReturn::SUCCESS
    }
}

#[test]
fn a_call_of_scalars_allocates_nothing() {
    for schedule in [Some(Schedule::free()), None] {
        let count = |schedule: &Schedule| {
            let mock = MockSystem::new(schedule);
            let description = ServiceDescription::dext("Adder", "com.example.adder");
            let service = mock.publish(description, Arc::new(Adder)).unwrap();
            let connection = mock.open(service, 0).unwrap();
            let call = || connection.call(0).scalars(&[1, 2, 3]).want_scalars(1).send().unwrap();
            assert_eq!(call().scalars[..], [6]);
            let before = ALLOCATIONS.get();
            for _ in 0..100 {
                call();
            }
            ALLOCATIONS.get() - before
        };
        let allocations = match &schedule {
            Some(schedule) => count(schedule),
            None => Schedule::simulate(1, count),
        };
        assert_eq!(allocations, 0, "{schedule:?}");
    }
}
