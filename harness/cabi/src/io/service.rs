//! `IOService*`: finding and opening.

use super::matching::Wanted;
use super::object::name;
use crate::cf::CfRef;
use crate::fault::fault;
use crate::mach::{KERN_SUCCESS, Kern, Name};
use crate::port::{self, Connect, Held, Iterator, Kind, TASK_SELF};
use crate::raw::Out;
use crate::start::system;
use dextape::IoReturn;
use dextape::boundary::library::Destination;
use dextape::boundary::open as open_check;
use dextape::call::ServiceId;
use dextape::coverage::rules;

/// The services that a dictionary asks for, which is given away.
pub(super) fn matching(dictionary: CfRef) -> Result<Vec<ServiceId>, IoReturn> {
    let wanted = Wanted::consume(dictionary).ok_or(IoReturn::BAD_ARGUMENT)?;
    let mut services = system().matching_services(&wanted.matching)?;
    wanted.narrow(&mut services);
    Ok(services)
}

/// What a name stands for, for the library.
#[inline]
pub(crate) fn destination(connect: u32) -> (Destination, Option<Held>) {
    match port::hold(connect) {
        Some(held) => (Destination::Connection, Some(held)),
        None => destination_by_table(connect),
    }
}

#[cold]
fn destination_by_table(connect: u32) -> (Destination, Option<Held>) {
    match port::lookup(connect) {
        None if connect == 0 => (Destination::Null, None),
        None => (Destination::Unknown, None),
        Some(Kind::Dead) => (Destination::Dead, None),
        Some(Kind::Connection(connect)) => (Destination::Connection, Some(Held::own(connect))),
        Some(_) => (Destination::OtherKind, None),
    }
}

fn open(service: u32, task: u32, open_type: u32, connect: Out<u32>) -> Result<(), IoReturn> {
    let rules = rules();
    let found = port::lookup(service);
    if matches!(found, None | Some(Kind::Dead)) {
        return Err(IoReturn::MACH_SEND_INVALID_DEST);
    }
    let is_service = matches!(found, Some(Kind::Service(_)));
    open_check(rules, is_service && task == TASK_SELF)?;
    let Some(Kind::Service(service)) = found else { return Err(IoReturn::BAD_ARGUMENT) };
    match system().open(service, open_type) {
        Ok(connection) => {
            connect.put(port::connection_name(Connect::new(connection)));
            Ok(())
        }
        Err(code) => {
            // Whatever the dext said: there is no connection (G2).
            connect.put(0);
            Err(code)
        }
    }
}

export! {
    fn IOServiceGetMatchingService(_main: u32, dictionary: CfRef) -> Name {
        let found = matching(dictionary).ok().and_then(|found| found.first().copied());
        found.map_or(0, |service| name(port::service_name(service)))
    }

    fn IOServiceGetMatchingServices(_main: u32, dictionary: CfRef, iterator: Out<u32>) -> Kern {
        match matching(dictionary) {
            Ok(found) => {
                iterator.put(port::insert(Kind::Iterator(Iterator::of(found))));
                KERN_SUCCESS
            }
            Err(code) => code.as_kern_return(),
        }
    }

    fn IOServiceOpen(service: u32, task: u32, open_type: u32, connect: Out<u32>) -> Kern {
        if connect.is_null() {
            fault();
        }
        open(service, task, open_type, connect).err().unwrap_or(IoReturn::SUCCESS).as_kern_return()
    }

    fn IOServiceClose(connect: u32) -> Kern {
        super::connect::close(connect).as_kern_return()
    }

    fn IOServiceAuthorize(_service: u32, _options: u32) -> Kern {
        KERN_SUCCESS
    }

    fn IOServiceMatchPropertyTable(service: u32, dictionary: CfRef, matches: Out<u32>) -> Kern {
        let Some(Kind::Service(service)) = port::lookup(service) else {
            return IoReturn::BAD_ARGUMENT.as_kern_return();
        };
        if dictionary.is_null() {
            return IoReturn::BAD_ARGUMENT.as_kern_return();
        }
        // This one function leaves the dictionary to its caller.
        dictionary.retain();
        match matching(dictionary) {
            Ok(found) => {
                matches.put(u32::from(found.contains(&service)));
                KERN_SUCCESS
            }
            Err(code) => code.as_kern_return(),
        }
    }

    fn IOServiceGetBusyState(_service: u32, state: Out<u32>) -> Kern {
        state.put(0);
        KERN_SUCCESS
    }

    fn IOServiceWaitQuiet(_service: u32, _wait: usize) -> Kern {
        KERN_SUCCESS
    }

    fn IOKitWaitQuiet(_main: u32, _wait: usize) -> Kern {
        KERN_SUCCESS
    }
}
