//! Replacements of what can be asked of a connection beside methods and memory.

use super::client;
use super::edge::{Once, through};
use super::original::{self, Cf, Kern, Name};
use super::passage::{Passage, with};
use super::recorder::Recorder;
use super::registry::service_of;
use dextape::IoReturn;
use dextape::call::ServiceId;
use dextape::connection::{OtherCall, Value};
use dextape_recorder::iokit::registry_value;
use std::collections::BTreeMap;

/// Records such a call; `service` gives what was asked for, once the original has succeeded.
fn ask(
    recorder: &Recorder,
    connect: Name,
    call: &OtherCall<'_>,
    once: &mut Once<'_, Kern>,
    service: impl Fn() -> Option<ServiceId>,
) {
    let Some(open) = recorder.open(connect) else { return };
    let quiet = open.shown.enter(None);
    let mut original = || {
        IoReturn(once.make().cast_unsigned()).ok()?;
        Ok(service())
    };
    // The program has its own answer.
    let _ = with(Passage::Other(&mut original), || open.connection.other_call(call));
    open.shown.leave(quiet);
}

/// # Safety
///
/// That of the original.
pub(super) unsafe extern "C" fn set_notification_port(
    connect: Name,
    kind: u32,
    port: Name,
    reference: usize,
) -> Kern {
    through(
        // SAFETY: the program's own arguments.
        || unsafe { original::IOConnectSetNotificationPort(connect, kind, port, reference) },
        |recorder, once| {
            let port = (port != 0).then(|| recorder.ports.of(recorder, port)).flatten();
            let reference = recorder.numbers().context(reference as u64);
            let queue = port.as_ref().map(|port| &*port.queue);
            let call = OtherCall::SetNotificationPort { notification_type: kind, queue, reference };
            ask(recorder, connect, &call, once, || None);
        },
    )
}

/// # Safety
///
/// That of the original.
pub(super) unsafe extern "C" fn add_client(connect: Name, client: Name) -> Kern {
    through(
        // SAFETY: the program's own arguments.
        || unsafe { original::IOConnectAddClient(connect, client) },
        |recorder, once| {
            let client = recorder.open(client).map(|open| open.connection.id());
            ask(recorder, connect, &OtherCall::AddClient { client }, once, || None);
        },
    )
}

/// # Safety
///
/// That of the original.
pub(super) unsafe extern "C" fn get_service(connect: Name, service: *mut Name) -> Kern {
    through(
        // SAFETY: the program's own arguments.
        || unsafe { original::IOConnectGetService(connect, service) },
        |recorder, once| {
            ask(recorder, connect, &OtherCall::GetService, once, || {
                // SAFETY: the original has just written a name there.
                service_of(recorder, unsafe { client::read(service) }?)
            });
        },
    )
}

/// # Safety
///
/// That of the original.
pub(super) unsafe extern "C" fn set_properties(connect: Name, properties: Cf) -> Kern {
    through(
        // SAFETY: the program's own arguments.
        || unsafe { original::IOConnectSetCFProperties(connect, properties) },
        |recorder, once| {
            // SAFETY: the program's value. What cannot be serialised is not sent (G19).
            let Some(value) = (unsafe { registry_value(properties) }) else { return };
            let call = OtherCall::SetProperties { properties: Some(&value) };
            ask(recorder, connect, &call, once, || None);
        },
    )
}

/// # Safety
///
/// That of the original.
pub(super) unsafe extern "C" fn set_property(connect: Name, name: Cf, value: Cf) -> Kern {
    through(
        // SAFETY: the program's own arguments.
        || unsafe { original::IOConnectSetCFProperty(connect, name, value) },
        |recorder, once| {
            // SAFETY: the program's name.
            let Some(Value::String(name)) = (unsafe { registry_value(name) }) else { return };
            // SAFETY: and its value.
            let Some(value) = (unsafe { registry_value(value) }) else { return };
            // One property is a dictionary of one.
            let properties = Value::Dictionary(BTreeMap::from([(name, value)]));
            let call = OtherCall::SetProperties { properties: Some(&properties) };
            ask(recorder, connect, &call, once, || None);
        },
    )
}

macro_rules! traps {
    ($($name:ident = $original:ident($($argument:ident),*);)*) => {$(
        /// # Safety
        ///
        /// That of the original.
        pub(super) unsafe extern "C" fn $name(
            connect: Name,
            index: u32,
            $($argument: usize),*
        ) -> Kern {
            through(
                // SAFETY: the program's own arguments.
                || unsafe { original::$original(connect, index, $($argument),*) },
                |recorder, once| {
                    let call = OtherCall::Trap { index, arguments: &[$($argument as u64),*] };
                    ask(recorder, connect, &call, once, || None);
                },
            )
        }
    )*};
}

traps! {
    trap_0 = IOConnectTrap0();
    trap_1 = IOConnectTrap1(p1);
    trap_2 = IOConnectTrap2(p1, p2);
    trap_3 = IOConnectTrap3(p1, p2, p3);
    trap_4 = IOConnectTrap4(p1, p2, p3, p4);
    trap_5 = IOConnectTrap5(p1, p2, p3, p4, p5);
    trap_6 = IOConnectTrap6(p1, p2, p3, p4, p5, p6);
}
