//! `IOObject*`, and the main port.

use crate::mach::{KERN_SUCCESS, Kern, Name};
use crate::port::{self, Kind, MAIN_PORT, Right};
use crate::raw::{In, Out};
use crate::start::system;
use dextape::connection::Value;
use dextape::{IoReturn, call::ServiceId};
use std::ffi::c_char;

/// Room for a name: `io_name_t`.
pub(super) const NAME_ROOM: usize = 128;

export_static! {
    // A null port stands for the main port.
    static kIOMasterPortDefault: u32 = 0;
    static kIOMainPortDefault: u32 = 0;
}

/// The class of a service as the registry has it.
pub(super) fn class_of(service: ServiceId) -> String {
    match system().identify(service).remove("IOClass") {
        Some(Value::String(class)) => class,
        _ => "IOService".to_owned(),
    }
}

/// The class of whatever has a name.
fn class(object: u32) -> Option<String> {
    Some(match port::lookup(object)? {
        Kind::Service(service) => class_of(service),
        Kind::Root => "IORegistryEntry".to_owned(),
        Kind::Iterator(_) => "IOUserIterator".to_owned(),
        Kind::Connection(_) => "IOUserUserClient".to_owned(),
        Kind::Task | Kind::Main | Kind::Port(_) | Kind::Dead => return None,
    })
}

export! {
    fn IOMasterPort(_bootstrap: u32, main: Out<u32>) -> Kern {
        main.put(MAIN_PORT);
        let _ = port::retain(MAIN_PORT);
        KERN_SUCCESS
    }

    fn IOMainPort(_bootstrap: u32, main: Out<u32>) -> Kern {
        main.put(MAIN_PORT);
        let _ = port::retain(MAIN_PORT);
        KERN_SUCCESS
    }

    fn IOObjectRelease(object: u32) -> Kern {
        super::release(object).as_kern_return()
    }

    fn IOObjectRetain(object: u32) -> Kern {
        super::retain(object).as_kern_return()
    }

    fn IOObjectGetRetainCount(object: u32) -> u32 {
        port::references(object, Right::Send).unwrap_or(0)
    }

    fn IOObjectGetKernelRetainCount(object: u32) -> u32 {
        port::references(object, Right::Send).unwrap_or(0)
    }

    fn IOObjectGetUserRetainCount(object: u32) -> u32 {
        port::references(object, Right::Send).unwrap_or(0)
    }

    fn IOObjectIsEqualTo(a: u32, b: u32) -> u32 {
        u32::from(a == b)
    }

    fn IOObjectGetClass(object: u32, to: Out<c_char>) -> Kern {
        match class(object) {
            Some(class) => {
                to.put_text(class.as_bytes(), NAME_ROOM);
                KERN_SUCCESS
            }
            None => IoReturn::BAD_ARGUMENT.as_kern_return(),
        }
    }

    fn IOObjectCopyClass(object: u32) -> crate::cf::CfRef {
        class(object).map_or(crate::cf::CfRef::NULL, |class| {
            crate::cf::from_value(&Value::String(class)).give()
        })
    }

    fn IOObjectConformsTo(object: u32, class_name: In<c_char>) -> u32 {
        let asked = class_name.string().unwrap_or_default();
        let Some(class) = class(object) else { return 0 };
        let service = matches!(port::lookup(object), Some(Kind::Service(_)));
        let base = service && matches!(&asked[..], "IOService" | "IORegistryEntry" | "OSObject");
        u32::from(base || class == asked)
    }
}

/// A name as a return value.
pub(super) fn name(of: u32) -> Name {
    Name::from(of)
}
