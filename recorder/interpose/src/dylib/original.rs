//! The functions that are interposed, as this library imports them: to its own imports dyld does not
//! apply its tuples, so these are the originals. (`dlsym` would give the replacements.)

use std::ffi::{c_char, c_void};

/// `mach_port_t` and all its other names.
pub(super) type Name = u32;
/// `kern_return_t`.
pub(super) type Kern = i32;
/// A Core Foundation value.
pub(super) type Cf = *const c_void;
/// `IONotificationPortRef`.
pub(super) type Notification = *mut c_void;

#[link(name = "IOKit", kind = "framework")]
unsafe extern "C" {
    pub(super) fn IOServiceGetMatchingService(main: Name, matching: Cf) -> Name;
    pub(super) fn IOServiceGetMatchingServices(main: Name, matching: Cf, found: *mut Name) -> Kern;
    pub(super) fn IOIteratorNext(iterator: Name) -> Name;
    pub(super) fn IOObjectRelease(object: Name) -> Kern;
    pub(super) fn IORegistryEntryGetRegistryEntryID(entry: Name, id: *mut u64) -> Kern;
    pub(super) fn IORegistryEntryCreateCFProperty(
        entry: Name,
        key: Cf,
        allocator: Cf,
        options: u32,
    ) -> Cf;
    pub(super) fn IORegistryEntryCreateCFProperties(
        entry: Name,
        properties: *mut Cf,
        allocator: Cf,
        options: u32,
    ) -> Kern;

    pub(super) fn IOServiceOpen(service: Name, task: Name, kind: u32, connect: *mut Name) -> Kern;
    pub(super) fn IOServiceClose(connect: Name) -> Kern;

    pub(super) fn IOConnectCallMethod(
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
    ) -> Kern;
    pub(super) fn IOConnectCallScalarMethod(
        connect: Name,
        selector: u32,
        input: *const u64,
        input_count: u32,
        output: *mut u64,
        output_count: *mut u32,
    ) -> Kern;
    pub(super) fn IOConnectCallStructMethod(
        connect: Name,
        selector: u32,
        structure: *const u8,
        structure_size: usize,
        output_structure: *mut u8,
        output_structure_size: *mut usize,
    ) -> Kern;
    pub(super) fn IOConnectCallAsyncMethod(
        connect: Name,
        selector: u32,
        wake_port: Name,
        reference: *mut u64,
        reference_count: u32,
        input: *const u64,
        input_count: u32,
        structure: *const u8,
        structure_size: usize,
        output: *mut u64,
        output_count: *mut u32,
        output_structure: *mut u8,
        output_structure_size: *mut usize,
    ) -> Kern;
    pub(super) fn IOConnectCallAsyncScalarMethod(
        connect: Name,
        selector: u32,
        wake_port: Name,
        reference: *mut u64,
        reference_count: u32,
        input: *const u64,
        input_count: u32,
        output: *mut u64,
        output_count: *mut u32,
    ) -> Kern;
    pub(super) fn IOConnectCallAsyncStructMethod(
        connect: Name,
        selector: u32,
        wake_port: Name,
        reference: *mut u64,
        reference_count: u32,
        structure: *const u8,
        structure_size: usize,
        output_structure: *mut u8,
        output_structure_size: *mut usize,
    ) -> Kern;

    pub(super) fn IOConnectMapMemory(
        connect: Name,
        memory_type: u32,
        task: Name,
        at_address: *mut u64,
        of_size: *mut u64,
        options: u32,
    ) -> Kern;
    pub(super) fn IOConnectMapMemory64(
        connect: Name,
        memory_type: u32,
        task: Name,
        at_address: *mut u64,
        of_size: *mut u64,
        options: u32,
    ) -> Kern;
    pub(super) fn IOConnectUnmapMemory(
        connect: Name,
        memory_type: u32,
        task: Name,
        address: u64,
    ) -> Kern;
    pub(super) fn IOConnectUnmapMemory64(
        connect: Name,
        memory_type: u32,
        task: Name,
        address: u64,
    ) -> Kern;

    pub(super) fn IOConnectSetNotificationPort(
        connect: Name,
        kind: u32,
        port: Name,
        reference: usize,
    ) -> Kern;
    pub(super) fn IOConnectAddClient(connect: Name, client: Name) -> Kern;
    pub(super) fn IOConnectGetService(connect: Name, service: *mut Name) -> Kern;
    pub(super) fn IOConnectSetCFProperties(connect: Name, properties: Cf) -> Kern;
    pub(super) fn IOConnectSetCFProperty(connect: Name, name: Cf, value: Cf) -> Kern;
    pub(super) fn IOConnectTrap0(connect: Name, index: u32) -> Kern;
    pub(super) fn IOConnectTrap1(connect: Name, index: u32, p1: usize) -> Kern;
    pub(super) fn IOConnectTrap2(connect: Name, index: u32, p1: usize, p2: usize) -> Kern;
    pub(super) fn IOConnectTrap3(
        connect: Name,
        index: u32,
        p1: usize,
        p2: usize,
        p3: usize,
    ) -> Kern;
    pub(super) fn IOConnectTrap4(
        connect: Name,
        index: u32,
        p1: usize,
        p2: usize,
        p3: usize,
        p4: usize,
    ) -> Kern;
    pub(super) fn IOConnectTrap5(
        connect: Name,
        index: u32,
        p1: usize,
        p2: usize,
        p3: usize,
        p4: usize,
        p5: usize,
    ) -> Kern;
    pub(super) fn IOConnectTrap6(
        connect: Name,
        index: u32,
        p1: usize,
        p2: usize,
        p3: usize,
        p4: usize,
        p5: usize,
        p6: usize,
    ) -> Kern;

    pub(super) fn IONotificationPortCreate(main: Name) -> Notification;
    pub(super) fn IONotificationPortGetMachPort(port: Notification) -> Name;
    pub(super) fn IONotificationPortDestroy(port: Notification);
}

#[link(name = "CoreFoundation", kind = "framework")]
unsafe extern "C" {
    pub(super) fn CFRetain(value: Cf) -> Cf;
    pub(super) fn CFRelease(value: Cf);
}

unsafe extern "C" {
    /// The C library's own.
    pub(super) fn atexit(function: extern "C" fn()) -> i32;
    pub(super) fn pthread_get_stackaddr_np(thread: libc::pthread_t) -> *mut c_void;
    pub(super) fn getenv(name: *const c_char) -> *const c_char;
}
