//! What passes between dextape and a plug-in: the same as `include/dextape/plugin.h`, in Rust.

use std::ffi::{c_char, c_void};

/// Version of the interface. Another one is another layout.
pub(crate) const VERSION: u32 = 1;

/// An object of the mock as a plug-in has it: a number that looks like no address. 0 is none.
pub(crate) type Handle = u64;

/// A result as C has it.
pub(crate) type Code = i32;

/// An object of the plug-in's: its `IOService`.
pub(crate) type Object = *mut c_void;

/// A function of the plug-in's with its context, which `destroy` is told of once, whatever becomes of it.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct RawCallback {
    pub(crate) context: *mut c_void,
    pub(crate) call: unsafe extern "C" fn(*mut c_void, Handle, u64),
    pub(crate) destroy: unsafe extern "C" fn(*mut c_void),
}

/// `IOUserClientMethodArguments`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Arguments {
    pub(crate) version: u64,
    pub(crate) selector: u64,
    pub(crate) completion: Handle,
    pub(crate) scalar_input: *const u64,
    pub(crate) scalar_input_count: u32,
    pub(crate) structure_input: Handle,
    pub(crate) structure_input_descriptor: Handle,
    pub(crate) scalar_output: *mut u64,
    pub(crate) scalar_output_count: u32,
    pub(crate) structure_output: Handle,
    pub(crate) structure_output_descriptor: Handle,
    pub(crate) structure_output_maximum_size: u64,
    pub(crate) reserved: [u64; 30],
}

/// The demands of `IOUserClientMethodDispatch`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Checks {
    pub(crate) has_function: u32,
    pub(crate) completion_exists: u32,
    pub(crate) scalar_input_count: u32,
    pub(crate) structure_input_size: u32,
    pub(crate) scalar_output_count: u32,
    pub(crate) structure_output_size: u32,
}

/// A property of the personality that describes a user client: a dictionary of `IOClass` and
/// `IOUserClass`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct ClientProperty {
    pub(crate) key: *const c_char,
    pub(crate) class: *const c_char,
    pub(crate) user_class: *const c_char,
}

/// What a plug-in gives.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct PluginTable {
    pub(crate) version: u32,
    pub(crate) size: u32,
    pub(crate) user_class: *const c_char,
    pub(crate) bundle_id: *const c_char,
    pub(crate) properties: *const ClientProperty,
    pub(crate) property_count: u64,
    pub(crate) service_new: unsafe extern "C" fn() -> Object,
    pub(crate) service_start: unsafe extern "C" fn(Object) -> Code,
    pub(crate) service_stop: unsafe extern "C" fn(Object) -> Code,
    pub(crate) service_new_user_client: unsafe extern "C" fn(Object, u32, *mut Object) -> Code,
    pub(crate) client_start: unsafe extern "C" fn(Object, Object) -> Code,
    pub(crate) client_stop: unsafe extern "C" fn(Object, Object) -> Code,
    pub(crate) client_external_method: unsafe extern "C" fn(Object, u64, *mut Arguments) -> Code,
    pub(crate) client_copy_memory: unsafe extern "C" fn(Object, u64, *mut u64, *mut Handle) -> Code,
    pub(crate) client_queue: unsafe extern "C" fn(Object, *const c_char) -> Handle,
    pub(crate) object_release: unsafe extern "C" fn(Object),
}

/// What a plug-in is given.
#[repr(C)]
pub(crate) struct HostTable {
    pub(crate) version: u32,
    pub(crate) size: u32,
    pub(crate) retain: extern "C" fn(Handle),
    pub(crate) release: extern "C" fn(Handle),
    pub(crate) retain_count: extern "C" fn(Handle) -> u32,
    pub(crate) kind: extern "C" fn(Handle) -> u32,
    pub(crate) log: extern "C" fn(*const u8, u64),
    pub(crate) uptime: extern "C" fn() -> u64,
    pub(crate) sleep: extern "C" fn(u64),
    pub(crate) data_with_bytes: extern "C" fn(*const u8, u64) -> Handle,
    pub(crate) data_bytes: extern "C" fn(Handle, *mut u64) -> *const u8,
    pub(crate) buffer_create: extern "C" fn(u64, u64, u64, *mut Handle) -> Code,
    pub(crate) buffer_set_length: extern "C" fn(Handle, u64) -> Code,
    pub(crate) buffer_address_range: extern "C" fn(Handle, *mut u64, *mut u64) -> Code,
    pub(crate) descriptor_length: extern "C" fn(Handle, *mut u64) -> Code,
    pub(crate) descriptor_map: extern "C" fn(Handle, u64, u64, u64, u64, u64, *mut Handle) -> Code,
    pub(crate) descriptor_sub: extern "C" fn(Handle, u64, u64, u64, *mut Handle) -> Code,
    pub(crate) map_range: extern "C" fn(Handle, *mut u64, *mut u64, *mut u64) -> Code,
    pub(crate) queue_create: extern "C" fn(*const c_char, u64, *mut Handle) -> Code,
    pub(crate) queue_copy_default: extern "C" fn(*mut Handle) -> Code,
    pub(crate) queue_dispatch: extern "C" fn(Handle, RawCallback, u32),
    pub(crate) queue_on: extern "C" fn(Handle) -> u32,
    pub(crate) queue_cancel: extern "C" fn(Handle, RawCallback) -> Code,
    pub(crate) timer_create: extern "C" fn(Handle, *mut Handle) -> Code,
    pub(crate) timer_set_action: extern "C" fn(Handle, Handle) -> Code,
    pub(crate) timer_wake: extern "C" fn(Handle, u64) -> Code,
    pub(crate) timer_enable: extern "C" fn(Handle, u32) -> Code,
    pub(crate) timer_cancel: extern "C" fn(Handle, RawCallback) -> Code,
    pub(crate) action_create_timer: extern "C" fn(RawCallback, u64, *mut Handle) -> Code,
    pub(crate) action_reference: extern "C" fn(Handle) -> *mut c_void,
    pub(crate) action_cancel: extern "C" fn(Handle),
    pub(crate) async_completion: extern "C" fn(Handle, Code, *const u64, u32),
    pub(crate) check_dispatch: extern "C" fn(*const Arguments, *const Checks) -> Code,
    pub(crate) create: extern "C" fn(*const c_char, *mut c_char, u64) -> Code,
    pub(crate) base_new_user_client: extern "C" fn() -> Code,
    pub(crate) base_copy_memory: extern "C" fn() -> Code,
    pub(crate) super_stop: extern "C" fn(Object),
}
