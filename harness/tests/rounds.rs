//! Opening, mapping, unmapping and closing, over and over: nothing grows. Apple's own test of a leak
//! of ports counts 200,000 rounds; here it is memory, threads, files, and what the mock itself keeps.
//!
//! `DEXTAPE_ROUNDS` sets the number of rounds.

use dextape::IoReturn;
use dextape::call::MapOptions;
use dextape::connection::System;
use dextape::driverkit::{
    BufferMemoryDescriptor, Direction, MemoryDescriptor, OsObject, Provider, Service, UserClient,
};
use dextape::kernel::{MockSystem, ServiceDescription};
use dextape::schedule::Schedule;
use std::alloc::{GlobalAlloc, Layout, System as Heap};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// Blocks and bytes of the heap that are in use.
static BLOCKS: AtomicI64 = AtomicI64::new(0);
static BYTES: AtomicI64 = AtomicI64::new(0);

struct Counting;

// SAFETY: every request goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BLOCKS.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller's layout, as it came.
        unsafe { Heap.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        BLOCKS.fetch_sub(1, Ordering::Relaxed);
        BYTES.fetch_sub(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller's pointer and layout, as they came.
        unsafe { Heap.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static HEAP: Counting = Counting;

/// User clients that there are.
static CLIENTS: AtomicU64 = AtomicU64::new(0);

/// Each user client shares a buffer of a page with its client, whatever the memory type.
struct Driver;

struct Client {
    buffer: OnceLock<BufferMemoryDescriptor>,
}

impl Service for Driver {
    fn new_user_client(&self, open_type: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        assert_eq!(open_type, 1);
        CLIENTS.fetch_add(1, Ordering::Relaxed);
        Ok(Some(Arc::new(Client { buffer: OnceLock::new() })))
    }
}

impl UserClient for Client {
    fn start(&self, _: &Provider) -> IoReturn {
        match BufferMemoryDescriptor::create(Direction::IN_OUT, 4096, 0) {
            Ok(buffer) => self.buffer.set(buffer).map_or(IoReturn::ERROR, |()| IoReturn::SUCCESS),
            Err(code) => code,
        }
    }

    fn stop(&self, _: &Provider) -> IoReturn {
        if let Some(buffer) = self.buffer.get() {
            buffer.release();
        }
        IoReturn::SUCCESS
    }

    fn copy_client_memory_for_type(
        &self,
        _: u64,
        _: &mut u64,
        memory: &mut Option<MemoryDescriptor>,
    ) -> IoReturn {
        let Some(buffer) = self.buffer.get() else { return IoReturn::NOT_READY };
        buffer.retain();
        *memory = Some(buffer.descriptor());
        IoReturn::SUCCESS
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        CLIENTS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What must not grow.
#[derive(Clone, Copy, Debug)]
struct InUse {
    blocks: i64,
    bytes: i64,
    /// Of the whole process, in KiB; 0 where this machine does not tell.
    resident: i64,
    files: usize,
    threads: usize,
    clients: u64,
}

impl InUse {
    fn now() -> Self {
        let entries = |path: &str| std::fs::read_dir(path).map_or(0, Iterator::count);
        let (files, threads) = (entries("/proc/self/fd"), entries("/proc/self/task"));
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.and_then(|line| line.split_whitespace().next()?.parse().ok());
        Self {
            blocks: BLOCKS.load(Ordering::Relaxed),
            bytes: BYTES.load(Ordering::Relaxed),
            resident: resident.unwrap_or(0),
            files,
            threads,
            clients: CLIENTS.load(Ordering::Relaxed),
        }
    }
}

fn rounds() -> u64 {
    let rounds = std::env::var("DEXTAPE_ROUNDS").ok();
    let rounds = rounds.map(|text| text.parse().expect("DEXTAPE_ROUNDS is a number of rounds"));
    rounds.unwrap_or(2_000)
}

#[test]
fn opening_mapping_unmapping_and_closing_leaves_nothing_behind() {
    let rounds = rounds();
    let (start, end) = Schedule::simulate(1, |schedule| {
        let mock = MockSystem::new(schedule);
        let description = ServiceDescription::dext("Sharer", "com.example.sharer")
            .user_client_property("IOUserClientSharedInstance", true);
        let service = mock.publish(description, Arc::new(Driver)).unwrap();
        // With read-only, which has no effect (F1), and whatever was in the address.
        let options = MapOptions::ANYWHERE | MapOptions(0x1000);
        let round = |number: u64| {
            let connection = mock.open(service, 1).unwrap();
            let mapping = connection.map_memory(0, options, number << 14).unwrap();
            mapping.store::<u32>(0, number as u32).unwrap();
            assert_eq!(connection.unmap_memory(0, mapping.address()), IoReturn::SUCCESS);
            assert!(mapping.load::<u32>(0).is_err());
            assert_eq!(connection.close(), IoReturn::SUCCESS);
            drop(connection);
            mock.settle();
        };
        (0..200).for_each(round);
        let start = InUse::now();
        (0..rounds).for_each(round);
        let end = InUse::now();
        assert_eq!(mock.leaks(), []);
        assert_eq!(mock.findings(), []);
        assert!(format!("{mock:?}").contains("connections: []"), "{mock:?}");
        (start, end)
    });
    println!("{rounds} rounds: {start:?} to {end:?}");
    // The last threads may still be on their way out, and tables may have room to spare; that is as
    // much after 200,000 rounds as after 2,000.
    assert!(end.blocks - start.blocks <= 64, "{start:?} to {end:?}");
    assert!(end.bytes - start.bytes <= 8192, "{start:?} to {end:?}");
    assert!(end.resident - start.resident <= 4096, "{start:?} to {end:?}");
    assert!(end.threads <= start.threads + 4, "{start:?} to {end:?}");
    assert_eq!((end.clients, start.clients), (0, 0));
    assert_eq!(end.files, start.files);
}
