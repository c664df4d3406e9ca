//! What a plug-in can call: the mock's DriverKit, function by function.
//!
//! Each refuses a handle of another class with `kIOReturnBadArgument`, or does nothing.

use crate::abi::{Checks, Code, Handle, HostTable, RawCallback, VERSION};
use crate::carry::from_plugin;
use crate::handles::{self, Managed, give, look_after};
use crate::raw::{Callback, get, items, put, put_text, text};
use crate::{arguments, stops};
use dextape::IoReturn;
use dextape::driverkit::{
    self, BufferMemoryDescriptor, Direction, DispatchQueue, MappingOptions, MemoryDescriptor,
    OsAction, OsData, QueueOptions, Service, TimerDispatchSource, UserClient,
};
use dextape::memory::{Backing, Memory, RawReach};
use dextape::registry::Value;
use std::ffi::{c_char, c_void};
use std::ptr::{null, null_mut, with_exposed_provenance_mut};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// What every plug-in is given.
pub(crate) static HOST: HostTable = HostTable {
    version: VERSION,
    size: size_of::<HostTable>() as u32,
    retain,
    release,
    retain_count,
    kind,
    log,
    uptime,
    sleep,
    data_with_bytes,
    data_bytes,
    buffer_create,
    buffer_set_length,
    buffer_address_range,
    descriptor_length,
    descriptor_map,
    descriptor_sub,
    map_range,
    queue_create,
    queue_copy_default,
    queue_dispatch,
    queue_on,
    queue_cancel,
    timer_create,
    timer_set_action,
    timer_wake,
    timer_enable,
    timer_cancel,
    action_create_timer,
    action_reference,
    action_cancel,
    async_completion,
    check_dispatch,
    create,
    base_new_user_client,
    base_copy_memory,
    super_stop,
};

/// Functions of the table: what each gives where it cannot go on stands behind its result.
macro_rules! host {
    ($(
        fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty, $otherwise:expr;)? $body:block
    )*) => {$(
        extern "C" fn $name($($argument: $type),*) $(-> $result)? {
            let otherwise = { $($otherwise)? };
            from_plugin(otherwise, move || $body)
        }
    )*};
}

const ABORTED: Code = code(IoReturn::ABORTED);

pub(crate) const fn code(result: IoReturn) -> Code {
    result.0.cast_signed()
}

/// Writes a new object where it was made.
fn made(out: *mut Handle, object: Result<Managed, IoReturn>) -> Code {
    match object {
        Ok(object) => {
            put(out, give(object));
            code(IoReturn::SUCCESS)
        }
        Err(result) => code(result),
    }
}

const BAD: Code = code(IoReturn::BAD_ARGUMENT);

fn queue_of(handle: Handle) -> Option<DispatchQueue> {
    match handles::get(handle)? {
        Managed::Queue(queue) => Some(queue),
        _ => None,
    }
}

fn timer_of(handle: Handle) -> Option<TimerDispatchSource> {
    match handles::get(handle)? {
        Managed::Timer(timer) => Some(timer),
        _ => None,
    }
}

pub(crate) fn action_of(handle: Handle) -> Option<OsAction> {
    match handles::get(handle)? {
        Managed::Action(action, _) => Some(action),
        _ => None,
    }
}

pub(crate) fn data_of(handle: Handle) -> Option<OsData> {
    match handles::get(handle)? {
        Managed::Data(data) => Some(data),
        _ => None,
    }
}

pub(crate) fn descriptor_of(handle: Handle) -> Option<MemoryDescriptor> {
    match handles::get(handle)? {
        Managed::Buffer(buffer) => Some(buffer.descriptor()),
        Managed::Descriptor(descriptor) => Some(descriptor),
        _ => None,
    }
}

/// Where C++ finds the bytes; 0 where it cannot, as for registers.
fn address_of(memory: &dyn Memory) -> u64 {
    match memory.raw_reach() {
        RawReach::At(view) => {
            memory.written_unseen();
            view.address()
        }
        _ => 0,
    }
}

host! {
    fn retain(handle: Handle) {
        if let Some(object) = handles::get(handle) {
            object.retain();
        }
    }

    fn release(handle: Handle) {
        if let Some(object) = handles::get(handle) {
            object.release();
            look_after(handle);
        }
    }

    fn retain_count(handle: Handle) -> u32, 0; {
        handles::get(handle).map_or(0, |object| object.retain_count())
    }

    fn kind(handle: Handle) -> u32, 0; {
        handles::get(handle).map_or(0, |object| object.kind())
    }

    fn log(line: *const u8, length: u64) {
        driverkit::os_log(String::from_utf8_lossy(&items(line, length as usize)));
    }

    fn uptime() -> u64, 0; {
        u64::try_from(driverkit::uptime().as_nanos()).unwrap_or(u64::MAX)
    }

    fn sleep(nanoseconds: u64) {
        driverkit::sleep(Duration::from_nanos(nanoseconds));
    }

    fn data_with_bytes(bytes: *const u8, length: u64) -> Handle, 0; {
        give(Managed::Data(OsData::with_bytes(&items(bytes, length as usize))))
    }

    // The bytes stay where they are as long as the object is known.
    fn data_bytes(handle: Handle, length: *mut u64) -> *const u8, null(); {
        let bytes = data_of(handle).map(|data| data.bytes());
        let bytes = bytes.filter(|bytes| !bytes.is_empty());
        put(length, bytes.as_ref().map_or(0, |bytes| bytes.len() as u64));
        bytes.map_or(null(), |bytes| bytes.as_ptr())
    }

    fn buffer_create(options: u64, capacity: u64, alignment: u64, out: *mut Handle) -> Code, ABORTED; {
        let buffer = BufferMemoryDescriptor::create(Direction(options), capacity, alignment);
        made(out, buffer.map(Managed::Buffer))
    }

    fn buffer_set_length(handle: Handle, length: u64) -> Code, ABORTED; {
        match handles::get(handle) {
            Some(Managed::Buffer(buffer)) => code(buffer.set_length(length)),
            _ => BAD,
        }
    }

    fn buffer_address_range(handle: Handle, address: *mut u64, length: *mut u64) -> Code, ABORTED; {
        let Some(Managed::Buffer(buffer)) = handles::get(handle) else { return BAD };
        let range = buffer.address_range();
        put(address, address_of(&*range));
        put(length, range.length());
        code(IoReturn::SUCCESS)
    }

    fn descriptor_length(handle: Handle, length: *mut u64) -> Code, ABORTED; {
        let Some(descriptor) = descriptor_of(handle) else { return BAD };
        put(length, descriptor.length());
        code(IoReturn::SUCCESS)
    }

    fn descriptor_map(
        handle: Handle,
        options: u64,
        address: u64,
        offset: u64,
        length: u64,
        alignment: u64,
        out: *mut Handle,
    ) -> Code, ABORTED; {
        let Some(descriptor) = descriptor_of(handle) else { return BAD };
        let options = MappingOptions(options);
        let map = descriptor.create_mapping(options, address, offset, length, alignment);
        made(out, map.map(Managed::Map))
    }

    fn descriptor_sub(
        handle: Handle,
        options: u64,
        offset: u64,
        length: u64,
        out: *mut Handle,
    ) -> Code, ABORTED; {
        let Some(descriptor) = descriptor_of(handle) else { return BAD };
        let part = descriptor.create_sub_memory_descriptor(Direction(options), offset, length);
        made(out, part.map(Managed::Descriptor))
    }

    fn map_range(
        handle: Handle,
        address: *mut u64,
        length: *mut u64,
        offset: *mut u64,
    ) -> Code, ABORTED; {
        let Some(Managed::Map(map)) = handles::get(handle) else { return BAD };
        // An access of no bytes, which tells of one that is gone.
        let there = map.copy_out(0, &mut []).is_ok();
        put(address, if there { address_of(&*map) } else { 0 });
        put(length, map.length());
        put(offset, map.offset());
        code(IoReturn::SUCCESS)
    }

    fn queue_create(name: *const c_char, options: u64, out: *mut Handle) -> Code, ABORTED; {
        let queue = DispatchQueue::create_with_options(&text(name), QueueOptions(options));
        made(out, queue.map(Managed::Queue))
    }

    fn queue_copy_default(out: *mut Handle) -> Code, ABORTED; {
        made(out, DispatchQueue::copy_default().map(Managed::Queue))
    }

    fn queue_dispatch(handle: Handle, callback: RawCallback, sync: u32) {
        let callback = Callback::new(callback);
        let Some(queue) = queue_of(handle) else { return };
        if sync == 0 {
            queue.dispatch_async(move || callback.call(0, 0));
        } else {
            queue.dispatch_sync(|| callback.call(0, 0));
        }
    }

    fn queue_on(handle: Handle) -> u32, 0; {
        queue_of(handle).is_some_and(|queue| queue.on_queue()).into()
    }

    fn queue_cancel(handle: Handle, callback: RawCallback) -> Code, ABORTED; {
        let callback = Callback::new(callback);
        let Some(queue) = queue_of(handle) else { return BAD };
        code(queue.cancel(move || callback.call(0, 0)))
    }

    fn timer_create(queue: Handle, out: *mut Handle) -> Code, ABORTED; {
        let Some(queue) = queue_of(queue) else { return BAD };
        made(out, TimerDispatchSource::create(&queue).map(Managed::Timer))
    }

    fn timer_set_action(timer: Handle, action: Handle) -> Code, ABORTED; {
        match (timer_of(timer), action_of(action)) {
            (Some(timer), Some(action)) => code(timer.set_action(&action)),
            _ => BAD,
        }
    }

    fn timer_wake(timer: Handle, deadline: u64) -> Code, ABORTED; {
        let Some(timer) = timer_of(timer) else { return BAD };
        timer.wake_at_time(Duration::from_nanos(deadline));
        code(IoReturn::SUCCESS)
    }

    fn timer_enable(timer: Handle, enable: u32) -> Code, ABORTED; {
        let Some(timer) = timer_of(timer) else { return BAD };
        timer.set_enable(enable != 0);
        code(IoReturn::SUCCESS)
    }

    fn timer_cancel(timer: Handle, callback: RawCallback) -> Code, ABORTED; {
        let callback = Callback::new(callback);
        let Some(timer) = timer_of(timer) else { return BAD };
        timer.cancel(move || callback.call(0, 0));
        code(IoReturn::SUCCESS)
    }

    fn action_create_timer(callback: RawCallback, reference: u64, out: *mut Handle) -> Code, ABORTED; {
        let callback = Callback::new(callback);
        let Some(reference) = Backing::try_new(reference) else { return code(IoReturn::NO_MEMORY) };
        let own = Arc::new(OnceLock::new());
        let known = Arc::clone(&own);
        let action = OsAction::timer_occurred(move |_, time| {
            let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            callback.call(known.get().copied().unwrap_or(0), time);
        });
        let handle = give(Managed::Action(action, Some(reference)));
        let _ = own.set(handle);
        put(out, handle);
        code(IoReturn::SUCCESS)
    }

    fn action_reference(handle: Handle) -> *mut c_void, null_mut(); {
        match handles::get(handle) {
            Some(Managed::Action(_, Some(bytes))) => {
                with_exposed_provenance_mut(bytes.address() as usize)
            }
            _ => null_mut(),
        }
    }

    fn action_cancel(handle: Handle) {
        if let Some(action) = action_of(handle) {
            action.cancel();
        }
    }

    fn async_completion(action: Handle, status: Code, arguments: *const u64, count: u32) {
        if let Some(action) = action_of(action) {
            // More than a completion can carry is dropped with it, without a look (D13).
            let most = count.min(dextape::limits::COMPLETION_ARGUMENTS_MAX as u32) as usize;
            let mut arguments = items(arguments, most);
            arguments.resize(arguments.len() + (count as usize - most).min(1), 0);
            driverkit::async_completion(&action, IoReturn(status.cast_unsigned()), &arguments);
        }
    }

    fn check_dispatch(
        arguments: *const crate::abi::Arguments,
        checks: *const Checks,
    ) -> Code, ABORTED; {
        code(arguments::check(arguments, get(checks)))
    }

    fn create(key: *const c_char, class: *mut c_char, room: u64) -> Code, ABORTED; {
        match driverkit::create(None, &text(key)) {
            Ok(created) => {
                let class_of = match created.properties.get("IOUserClass") {
                    Some(Value::String(class)) => class.as_str(),
                    _ => "",
                };
                put_text(class, room, class_of);
                stops::created(created.class);
                code(IoReturn::SUCCESS)
            }
            Err(result) => code(result),
        }
    }

    fn base_new_user_client() -> Code, ABORTED; {
        struct Base;
        impl Service for Base {}
        Base.new_user_client(0).map_or_else(code, |_| code(IoReturn::ERROR))
    }

    fn base_copy_memory() -> Code, ABORTED; {
        struct Base;
        impl UserClient for Base {}
        code(Base.copy_client_memory_for_type(0, &mut 0, &mut None))
    }

    fn super_stop(object: crate::abi::Object) {
        stops::passed_on(object);
    }
}
