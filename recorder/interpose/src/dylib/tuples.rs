//! The table that dyld reads: in place of which import which function of this library is bound.

use super::{call, map, open, original, other, port, registry};
use std::ffi::c_void;

/// A replacement and the import that it replaces. dyld takes a tuple only where the first is an address
/// in this library and the second an import.
#[repr(C)]
struct Tuple {
    replacement: *const c_void,
    replaced: *const c_void,
}

// SAFETY: addresses of functions, which never change.
unsafe impl Sync for Tuple {}

macro_rules! tuples {
    ($($original:ident => $replacement:path;)*) => {
        /// `__DATA` and no other segment: that is where every dyld looks.
        #[used]
        #[unsafe(link_section = "__DATA,__interpose")]
        static TUPLES: [Tuple; [$(stringify!($original)),*].len()] = [$(Tuple {
            replacement: $replacement as *const c_void,
            replaced: original::$original as *const c_void,
        }),*];
    };
}

tuples! {
    IOServiceGetMatchingService => registry::get_matching_service;
    IOServiceGetMatchingServices => registry::get_matching_services;
    IORegistryEntryCreateCFProperty => registry::create_property;
    IORegistryEntryCreateCFProperties => registry::create_properties;
    IOServiceOpen => open::open;
    IOServiceClose => open::close;
    IOConnectCallMethod => call::call_method;
    IOConnectCallScalarMethod => call::call_scalar_method;
    IOConnectCallStructMethod => call::call_struct_method;
    IOConnectCallAsyncMethod => call::call_async_method;
    IOConnectCallAsyncScalarMethod => call::call_async_scalar_method;
    IOConnectCallAsyncStructMethod => call::call_async_struct_method;
    IOConnectMapMemory => map::map_memory;
    IOConnectMapMemory64 => map::map_memory_64;
    IOConnectUnmapMemory => map::unmap_memory;
    IOConnectUnmapMemory64 => map::unmap_memory_64;
    IOConnectSetNotificationPort => other::set_notification_port;
    IOConnectAddClient => other::add_client;
    IOConnectGetService => other::get_service;
    IOConnectSetCFProperties => other::set_properties;
    IOConnectSetCFProperty => other::set_property;
    IOConnectTrap0 => other::trap_0;
    IOConnectTrap1 => other::trap_1;
    IOConnectTrap2 => other::trap_2;
    IOConnectTrap3 => other::trap_3;
    IOConnectTrap4 => other::trap_4;
    IOConnectTrap5 => other::trap_5;
    IOConnectTrap6 => other::trap_6;
    IONotificationPortCreate => port::create;
    IONotificationPortGetMachPort => port::get_mach_port;
    IONotificationPortDestroy => port::destroy;
}
