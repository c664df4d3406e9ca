//! Replacements of `IOConnectMapMemory*` and `IOConnectUnmapMemory*`.

use super::client;
use super::edge::{Once, through};
use super::original::{self, Kern, Name};
use super::pages::{At, ClientPages, uncaptured};
use super::passage::{Passage, with};
use super::recorder::Recorder;
use super::region::ordinary;
use super::watch;
use dextape::IoReturn;
use dextape::call::MapOptions;
use dextape::connection::Mapping;
use dextape_recorder::iokit::accessible_size;
use mach2::traps::mach_task_self;
use std::sync::Arc;

fn this_task() -> Name {
    // SAFETY: the name of this task.
    unsafe { mach_task_self() }
}

/// Records a map into this task.
///
/// # Safety
///
/// The pointers are as the program promises to the original.
unsafe fn map(
    recorder: &Recorder,
    (connect, memory_type, options): (Name, u32, u32),
    (at_address, of_size): (*mut u64, *mut u64),
    once: &mut Once<'_, Kern>,
) {
    let Some(open) = recorder.open(connect) else { return };
    // SAFETY: the caller's promise.
    let Some(asked) = (unsafe { client::read(at_address) }) else { return };
    if of_size.is_null() {
        // The library faults before anything is sent (F6).
        return;
    }
    open.shown.look(At::Running);
    let options = MapOptions(options);
    let mut told = None;
    let mut original = || {
        IoReturn(once.make().cast_unsigned()).ok()?;
        // SAFETY: the original has just written to it.
        let address = unsafe { client::read(at_address) }.unwrap_or(0);
        // SAFETY: as above.
        let length = unsafe { client::read(of_size) }.unwrap_or(0);
        // Whole pages are mapped (F10).
        let size = accessible_size(address, length).unwrap_or(length);
        let region = ordinary(address, size, options);
        let pages = Arc::new(ClientPages::new(address, size, region.is_ok()));
        let (memory, fresh) = recorder.memory_at(address);
        told = Some((region, fresh));
        Ok(Mapping::new(memory, memory_type, address, length, pages))
    };
    let mapped = with(Passage::Map(&mut original), || {
        open.connection.map_memory(memory_type, options, asked)
    });
    let (Ok(mapping), Some((region, fresh))) = (mapped, told) else { return };
    match region {
        Ok(region) => {
            open.shown.add(mapping, region, fresh);
            open.shown.look(At::Running);
            watch::begin();
        }
        Err(reason) => uncaptured(&mapping, &reason),
    }
}

macro_rules! map {
    ($name:ident, $original:ident) => {
        /// # Safety
        ///
        /// That of the original.
        pub(super) unsafe extern "C" fn $name(
            connect: Name,
            memory_type: u32,
            task: Name,
            at_address: *mut u64,
            of_size: *mut u64,
            options: u32,
        ) -> Kern {
            through(
                // SAFETY: the program's own arguments.
                || unsafe {
                    original::$original(connect, memory_type, task, at_address, of_size, options)
                },
                |recorder, once| {
                    // Into another task nothing of it is seen here (F26), and no task is refused (F7).
                    if task == this_task() {
                        let asked = (connect, memory_type, options);
                        // SAFETY: the program's promise to the original.
                        unsafe { map(recorder, asked, (at_address, of_size), once) };
                    }
                },
            )
        }
    };
}

map!(map_memory, IOConnectMapMemory);
map!(map_memory_64, IOConnectMapMemory64);

fn unmap(
    recorder: &Recorder,
    connect: Name,
    memory_type: u32,
    address: u64,
    once: &mut Once<'_, Kern>,
) {
    let Some(open) = recorder.open(connect) else { return };
    open.shown.look(At::Last);
    let mut original = || IoReturn(once.make().cast_unsigned());
    let result =
        with(Passage::Plain(&mut original), || open.connection.unmap_memory(memory_type, address));
    if result.is_success() {
        open.shown.remove(address);
        recorder.unmapped(address);
    }
}

macro_rules! unmap {
    ($name:ident, $original:ident) => {
        /// # Safety
        ///
        /// That of the original.
        pub(super) unsafe extern "C" fn $name(
            connect: Name,
            memory_type: u32,
            task: Name,
            address: u64,
        ) -> Kern {
            through(
                // SAFETY: the program's own arguments.
                || unsafe { original::$original(connect, memory_type, task, address) },
                |recorder, once| {
                    if task == this_task() {
                        unmap(recorder, connect, memory_type, address, once);
                    }
                },
            )
        }
    };
}

unmap!(unmap_memory, IOConnectUnmapMemory);
unmap!(unmap_memory_64, IOConnectUnmapMemory64);
