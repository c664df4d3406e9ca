//! The calls of a connection beside methods and memory.

use super::check;
use super::completion::IoKitQueue;
use super::connection::{IoKitConnection, name};
use super::foundation::CfValue;
use super::object::IoObject;
use dextape::IoReturn;
use dextape::boundary::Rules;
use dextape::boundary::other::{Serialised, set_properties};
use dextape::call::{ConnectionId, ServiceId};
use dextape::connection::{CompletionQueue, OtherCall, OtherReply, Value};
use dextape::limits::TRAP_ARGUMENTS_MAX;
use io_kit_sys::{
    IOConnectAddClient, IOConnectGetService, IOConnectSetCFProperties,
    IOConnectSetNotificationPort, IOConnectTrap6,
};
use mach2::port::MACH_PORT_NULL;

impl IoKitConnection {
    pub(super) fn other(&self, call: &OtherCall<'_>) -> OtherReply {
        match *call {
            OtherCall::SetNotificationPort { notification_type, queue, reference } => {
                self.set_port(notification_type, queue, reference)
            }
            OtherCall::AddClient { client } => self.add(client),
            OtherCall::GetService => return self.service().map(Some),
            OtherCall::SetProperties { properties } => self.set(properties),
            OtherCall::Trap { index, arguments } => self.make_trap(index, arguments),
            OtherCall::AddRef => {
                // Held, so that no release is on its way to ending the mappings.
                let _mapped = self.mapped();
                self.rights.add()
            }
            OtherCall::Release => self.release_one(),
        }
        .map(|()| None)
    }

    fn set_port(
        &self,
        notification_type: u32,
        queue: Option<&dyn CompletionQueue>,
        reference: u64,
    ) -> Result<(), IoReturn> {
        let port = match queue {
            None => MACH_PORT_NULL,
            Some(queue) => match queue.as_any().downcast_ref::<IoKitQueue>() {
                Some(queue) => queue.wake_port(),
                // A queue of another system: a name without a receive right (D5).
                None => return Err(IoReturn::MACH_SEND_INVALID_RIGHT),
            },
        };
        let right = self.rights.one();
        let connect = name(right.as_ref());
        let reference = usize::try_from(reference).unwrap_or(usize::MAX);
        // SAFETY: names only; the reference is never followed.
        check(unsafe { IOConnectSetNotificationPort(connect, notification_type, port, reference) })
    }

    fn add(&self, client: Option<ConnectionId>) -> Result<(), IoReturn> {
        let right = self.rights.one();
        let other = client.and_then(|client| self.shared.rights_of(client)?.one());
        // SAFETY: both names live, or are null.
        check(unsafe { IOConnectAddClient(name(right.as_ref()), name(other.as_ref())) })
    }

    fn service(&self) -> Result<ServiceId, IoReturn> {
        let right = self.rights.one();
        let mut service = 0;
        // SAFETY: the library writes one handle.
        check(unsafe { IOConnectGetService(name(right.as_ref()), &raw mut service) })?;
        // SAFETY: on success the function hands over a reference, or null.
        let service = unsafe { IoObject::owned(service) };
        self.shared.number(service.ok_or(IoReturn::NOT_FOUND)?)
    }

    fn set(&self, properties: Option<&Value>) -> Result<(), IoReturn> {
        let Some(properties) = properties else {
            // The library finds no form to send, and does not send.
            return set_properties(Rules::all(), Ok(()), Serialised::Nothing);
        };
        let properties = CfValue::of(properties).ok_or(IoReturn::NO_MEMORY)?;
        let right = self.rights.one();
        // SAFETY: the value lives during the call.
        check(unsafe { IOConnectSetCFProperties(name(right.as_ref()), properties.raw()) })
    }

    /// All traps are one to the kernel: those with fewer arguments pass zeros.
    fn make_trap(&self, index: u32, arguments: &[u64]) -> Result<(), IoReturn> {
        let mut words = [0; TRAP_ARGUMENTS_MAX];
        for (word, argument) in words.iter_mut().zip(arguments) {
            *word = *argument as usize;
        }
        let [first, second, third, fourth, fifth, sixth] = words;
        let right = self.rights.one();
        let connect = name(right.as_ref());
        // SAFETY: what the words mean is between the client and its driver, as in a C client; a
        // kernel that takes one for an address checks it.
        check(unsafe { IOConnectTrap6(connect, index, first, second, third, fourth, fifth, sixth) })
    }
}
