//! `IORegistryEntry*`: what clients read of a service.

use super::matching::entry_id;
use super::object::{NAME_ROOM, class_of};
use crate::cf::{CfRef, from_value, text_of};
use crate::mach::{KERN_SUCCESS, Kern, Name};
use crate::port::{self, Iterator, Kind};
use crate::raw::{In, Out};
use crate::start::system;
use dextape::IoReturn;
use dextape::call::ServiceId;
use dextape::connection::{Matching, Value};
use std::ffi::c_char;

/// Room for a path: `io_string_t`.
const STRING_ROOM: usize = 512;

fn service(entry: u32) -> Result<ServiceId, IoReturn> {
    match port::lookup(entry) {
        Some(Kind::Service(service)) => Ok(service),
        Some(Kind::Root) => Err(IoReturn::NO_DEVICE),
        None | Some(Kind::Dead) => Err(IoReturn::MACH_SEND_INVALID_DEST),
        Some(_) => Err(IoReturn::BAD_ARGUMENT),
    }
}

/// The name of a service in the registry.
fn name_of(service: ServiceId) -> String {
    let mut properties = system().identify(service);
    for key in ["IORegistryEntryName", Matching::NAME, Matching::USER_CLASS] {
        if let Some(Value::String(name)) = properties.remove(key) {
            return name;
        }
    }
    class_of(service)
}

fn path_of(service: ServiceId) -> String {
    format!("IOService:/IOResources/{}", name_of(service))
}

fn property(entry: u32, key: CfRef) -> CfRef {
    let (Ok(service), Some(key)) = (service(entry), text_of(key)) else { return CfRef::NULL };
    match system().property(service, &key) {
        Ok(Some(value)) => from_value(&value).give(),
        _ => CfRef::NULL,
    }
}

fn put_name(entry: u32, to: Out<c_char>) -> Kern {
    if matches!(port::lookup(entry), Some(Kind::Root)) {
        to.put_text(b"Root", NAME_ROOM);
        return KERN_SUCCESS;
    }
    match service(entry) {
        Ok(service) => {
            to.put_text(name_of(service).as_bytes(), NAME_ROOM);
            KERN_SUCCESS
        }
        Err(code) => code.as_kern_return(),
    }
}

/// An iterator over nothing: services stand side by side here.
fn nothing(iterator: Out<u32>) -> Kern {
    iterator.put(port::insert(Kind::Iterator(Iterator::of(Vec::new()))));
    KERN_SUCCESS
}

fn all_services() -> Vec<ServiceId> {
    system().matching_services(&Matching::service("IOService")).unwrap_or_default()
}

export! {
    fn IORegistryEntryCreateCFProperty(entry: u32, key: CfRef, _allocator: CfRef, _options: u32) -> CfRef {
        property(entry, key)
    }

    fn IORegistryEntrySearchCFProperty(
        entry: u32,
        _plane: In<c_char>,
        key: CfRef,
        _allocator: CfRef,
        _options: u32,
    ) -> CfRef {
        property(entry, key)
    }

    fn IORegistryEntryCreateCFProperties(
        entry: u32,
        properties: Out<CfRef>,
        _allocator: CfRef,
        _options: u32,
    ) -> Kern {
        match service(entry).and_then(|service| system().properties(service)) {
            Ok(values) => {
                properties.put(from_value(&Value::Dictionary(values)).give());
                KERN_SUCCESS
            }
            Err(code) => code.as_kern_return(),
        }
    }

    fn IORegistryEntryGetProperty(entry: u32, key: In<c_char>, to: Out<u8>, size: Out<u32>) -> Kern {
        let key = key.string().unwrap_or_default();
        let value = service(entry).and_then(|service| system().property(service, &key));
        let bytes = match value {
            Ok(Some(Value::Data(bytes))) => bytes,
            Ok(Some(Value::String(text))) => [text.as_bytes(), &[0]].concat(),
            Ok(_) => return IoReturn::NOT_FOUND.as_kern_return(),
            Err(code) => return code.as_kern_return(),
        };
        let room = size.as_in().read_at(0) as usize;
        if bytes.len() > room {
            return IoReturn::NO_SPACE.as_kern_return();
        }
        to.copy_from(&bytes);
        size.put(bytes.len() as u32);
        KERN_SUCCESS
    }

    fn IORegistryEntryGetRegistryEntryID(entry: u32, id: Out<u64>) -> Kern {
        match service(entry) {
            Ok(service) => {
                id.put(entry_id(service));
                KERN_SUCCESS
            }
            Err(code) => code.as_kern_return(),
        }
    }

    fn IORegistryEntryGetName(entry: u32, to: Out<c_char>) -> Kern {
        put_name(entry, to)
    }

    fn IORegistryEntryGetNameInPlane(entry: u32, _plane: In<c_char>, to: Out<c_char>) -> Kern {
        put_name(entry, to)
    }

    fn IORegistryEntryGetLocationInPlane(_entry: u32, _plane: In<c_char>, _to: Out<c_char>) -> Kern {
        IoReturn::NOT_FOUND.as_kern_return()
    }

    fn IORegistryEntryGetPath(entry: u32, _plane: In<c_char>, to: Out<c_char>) -> Kern {
        if matches!(port::lookup(entry), Some(Kind::Root)) {
            to.put_text(b"IOService:/", STRING_ROOM);
            return KERN_SUCCESS;
        }
        match service(entry) {
            Ok(service) => {
                to.put_text(path_of(service).as_bytes(), STRING_ROOM);
                KERN_SUCCESS
            }
            Err(code) => code.as_kern_return(),
        }
    }

    fn IORegistryEntryFromPath(_main: u32, path: In<c_char>) -> Name {
        let path = path.string().unwrap_or_default();
        if path == "IOService:/" {
            return Name::from(port::insert(Kind::Root));
        }
        let found = all_services().into_iter().find(|service| path_of(*service) == path);
        found.map_or(0, |service| Name::from(port::service_name(service)))
    }

    fn IORegistryGetRootEntry(_main: u32) -> Name {
        Name::from(port::insert(Kind::Root))
    }

    fn IORegistryEntryGetChildIterator(entry: u32, _plane: In<c_char>, iterator: Out<u32>) -> Kern {
        match port::lookup(entry) {
            Some(Kind::Root) => {
                iterator.put(port::insert(Kind::Iterator(Iterator::of(all_services()))));
                KERN_SUCCESS
            }
            Some(Kind::Service(_)) => nothing(iterator),
            _ => IoReturn::BAD_ARGUMENT.as_kern_return(),
        }
    }

    fn IORegistryEntryGetParentIterator(entry: u32, _plane: In<c_char>, iterator: Out<u32>) -> Kern {
        match port::lookup(entry) {
            Some(Kind::Service(_)) => nothing(iterator),
            _ => IoReturn::BAD_ARGUMENT.as_kern_return(),
        }
    }

    fn IORegistryEntryGetChildEntry(_entry: u32, _plane: In<c_char>, child: Out<u32>) -> Kern {
        child.put(0);
        IoReturn::NO_DEVICE.as_kern_return()
    }

    fn IORegistryEntryGetParentEntry(_entry: u32, _plane: In<c_char>, parent: Out<u32>) -> Kern {
        parent.put(0);
        IoReturn::NO_DEVICE.as_kern_return()
    }

    fn IORegistryEntryCreateIterator(
        _entry: u32,
        _plane: In<c_char>,
        _options: u32,
        iterator: Out<u32>,
    ) -> Kern {
        iterator.put(port::insert(Kind::Iterator(Iterator::of(all_services()))));
        KERN_SUCCESS
    }

    fn IORegistryCreateIterator(_main: u32, _plane: In<c_char>, _options: u32, iterator: Out<u32>) -> Kern {
        iterator.put(port::insert(Kind::Iterator(Iterator::of(all_services()))));
        KERN_SUCCESS
    }

    fn IORegistryEntryInPlane(entry: u32, _plane: In<c_char>) -> u32 {
        u32::from(service(entry).is_ok())
    }

    fn IORegistryEntrySetCFProperty(entry: u32, _name: CfRef, _value: CfRef) -> Kern {
        service(entry).err().unwrap_or(IoReturn::UNSUPPORTED).as_kern_return()
    }

    fn IORegistryEntrySetCFProperties(entry: u32, _properties: CfRef) -> Kern {
        service(entry).err().unwrap_or(IoReturn::UNSUPPORTED).as_kern_return()
    }

}
