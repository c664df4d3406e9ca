//! Replacements of what looks for services and reads their properties.

use super::edge::through;
use super::original::{self, Cf, Kern, Name};
use super::passage::{Passage, with};
use super::recorder::Recorder;
use dextape::IoReturn;
use dextape::call::ServiceId;
use dextape::connection::{Matching, Value};
use dextape_recorder::iokit::registry_value;
use std::collections::BTreeMap;

/// Services of one look that are recorded: a bound for an iterator that never ends.
const FOUND_MAX: usize = 1 << 16;

/// Properties that are conditions of a matching dictionary like its other entries.
const PROPERTY_MATCH: &str = "IOPropertyMatch";

/// The value of a reference, if the registry can hold it.
///
/// # Safety
///
/// NULL, or alive and not being changed.
unsafe fn value_of(value: Cf) -> Option<Value> {
    // SAFETY: the caller's promise.
    unsafe { registry_value(value) }
}

/// The service of a name. What tells it is read when it is first seen.
pub(super) fn service_of(recorder: &Recorder, entry: Name) -> Option<ServiceId> {
    if entry == 0 {
        return None;
    }
    let mut id = 0;
    // SAFETY: whatever the name is, the kernel says; the place takes 64 bits.
    let result = unsafe { original::IORegistryEntryGetRegistryEntryID(entry, &raw mut id) };
    IoReturn(result.cast_unsigned()).ok().ok()?;
    let service = ServiceId(id);
    recorder.originals.seen(service, || {
        let mut properties: Cf = std::ptr::null();
        // SAFETY: a live name; the place takes a reference, which is ours.
        let result = unsafe {
            let place = &raw mut properties;
            original::IORegistryEntryCreateCFProperties(entry, place, std::ptr::null(), 0)
        };
        if result != 0 || properties.is_null() {
            return BTreeMap::new();
        }
        // SAFETY: a value of our own.
        let value = unsafe { value_of(properties) };
        // SAFETY: the one reference that the function gave.
        unsafe { original::CFRelease(properties) };
        entries(value)
    });
    Some(service)
}

fn entries(value: Option<Value>) -> BTreeMap<String, Value> {
    match value {
        Some(Value::Dictionary(entries)) => entries,
        _ => BTreeMap::new(),
    }
}

/// What a matching dictionary asks for.
///
/// # Safety
///
/// As for [`value_of`].
unsafe fn matching_of(dictionary: Cf) -> Option<Matching> {
    // SAFETY: the caller's promise.
    let Some(Value::Dictionary(asked)) = (unsafe { value_of(dictionary) }) else { return None };
    let mut conditions = BTreeMap::new();
    for (key, value) in asked {
        match (&key[..], value) {
            (PROPERTY_MATCH, Value::Dictionary(properties)) => conditions.extend(properties),
            (_, value) => {
                conditions.insert(key, value);
            }
        }
    }
    Some(conditions.into_iter().collect())
}

/// All services that match: a look of the recorder's own, since the program's iterator is the
/// program's to take from.
///
/// # Safety
///
/// `dictionary` is alive, and one reference of it is given away.
unsafe fn all_of(
    recorder: &Recorder,
    main: Name,
    dictionary: Cf,
) -> Result<Vec<ServiceId>, IoReturn> {
    let mut iterator = 0;
    // SAFETY: the caller's promise; the place takes a name.
    let result =
        unsafe { original::IOServiceGetMatchingServices(main, dictionary, &raw mut iterator) };
    IoReturn(result.cast_unsigned()).ok()?;
    let mut found = Vec::new();
    while iterator != 0 && found.len() < FOUND_MAX {
        // SAFETY: a live iterator.
        let service = unsafe { original::IOIteratorNext(iterator) };
        if service == 0 {
            break;
        }
        found.extend(service_of(recorder, service));
        // SAFETY: the reference that the iterator gave.
        unsafe { original::IOObjectRelease(service) };
    }
    // SAFETY: the iterator is ours.
    unsafe { original::IOObjectRelease(iterator) };
    Ok(found)
}

/// Records a look for services that gives away a reference to the dictionary.
///
/// # Safety
///
/// `dictionary` is NULL or alive until `make` is called.
unsafe fn look(
    recorder: &Recorder,
    main: Name,
    dictionary: Cf,
    make: &mut dyn FnMut() -> IoReturn,
) {
    // SAFETY: the caller's promise.
    let Some(matching) = (unsafe { matching_of(dictionary) }) else { return };
    // SAFETY: alive; the reference is for our own look.
    unsafe { original::CFRetain(dictionary) };
    let mut original = || {
        let result = make();
        // SAFETY: retained above, and given away here.
        let found = unsafe { all_of(recorder, main, dictionary) };
        result.ok()?;
        found
    };
    // The program has its own answer.
    let _ = with(Passage::Services(&mut original), || recorder.system.matching_services(&matching));
}

/// # Safety
///
/// That of the original.
pub(super) unsafe extern "C" fn get_matching_service(main: Name, dictionary: Cf) -> Name {
    through(
        // SAFETY: the program's own arguments.
        || unsafe { original::IOServiceGetMatchingService(main, dictionary) },
        |recorder, once| {
            // That nothing matches is an answer, too.
            let mut make = || {
                once.make();
                IoReturn::SUCCESS
            };
            // SAFETY: the program gives its reference away to the original.
            unsafe { look(recorder, main, dictionary, &mut make) };
        },
    )
}

/// # Safety
///
/// That of the original.
pub(super) unsafe extern "C" fn get_matching_services(
    main: Name,
    dictionary: Cf,
    found: *mut Name,
) -> Kern {
    through(
        // SAFETY: the program's own arguments.
        || unsafe { original::IOServiceGetMatchingServices(main, dictionary, found) },
        |recorder, once| {
            let mut make = || IoReturn(once.make().cast_unsigned());
            // SAFETY: the program gives its reference away to the original.
            unsafe { look(recorder, main, dictionary, &mut make) };
        },
    )
}

/// # Safety
///
/// That of the original.
pub(super) unsafe extern "C" fn create_property(
    entry: Name,
    key: Cf,
    allocator: Cf,
    options: u32,
) -> Cf {
    through(
        // SAFETY: the program's own arguments.
        || unsafe { original::IORegistryEntryCreateCFProperty(entry, key, allocator, options) },
        |recorder, once| {
            // SAFETY: the program's key.
            let Some(Value::String(text)) = (unsafe { value_of(key) }) else { return };
            let Some(service) = service_of(recorder, entry) else { return };
            // SAFETY: the program's answer, which it does not have yet.
            let mut original = || Ok(unsafe { value_of(once.make()) });
            // The program has its own answer.
            let _ =
                with(Passage::Property(&mut original), || recorder.system.property(service, &text));
        },
    )
}

/// # Safety
///
/// That of the original.
pub(super) unsafe extern "C" fn create_properties(
    entry: Name,
    properties: *mut Cf,
    allocator: Cf,
    options: u32,
) -> Kern {
    through(
        // SAFETY: the program's own arguments.
        || unsafe {
            original::IORegistryEntryCreateCFProperties(entry, properties, allocator, options)
        },
        |recorder, once| {
            let Some(service) = service_of(recorder, entry) else { return };
            let mut original = || {
                IoReturn(once.make().cast_unsigned()).ok()?;
                // SAFETY: the original has written a reference there.
                let made = unsafe { super::client::read(properties) };
                // SAFETY: the program's answer, which it does not have yet.
                Ok(entries(unsafe { value_of(made.unwrap_or(std::ptr::null())) }))
            };
            // The program has its own answer.
            let _ =
                with(Passage::Properties(&mut original), || recorder.system.properties(service));
        },
    )
}
