//! One open user client, as its client sees it.

use super::{
    AsyncWake, CompletionQueue, Mapping, MethodInput, MethodOutput, OtherCall, OtherReply,
};
use crate::IoReturn;
use crate::call::{ConnectionId, MapOptions, ServiceId};
use crate::registry::Value;
use std::collections::BTreeMap;
use std::fmt;

/// One open user client: what `IOServiceOpen` returns. The same for a real, a mock, a recording and a
/// replaying system.
///
/// Results are what the real library and kernel would give. Dropping a connection drops all rights that
/// it still has, those of [`add_ref`](Self::add_ref) too; without a [`close`](Self::close) before, that
/// is the end of its last right (G15). Calls may come from several threads.
pub trait Connection: Send + Sync + fmt::Debug {
    /// The connection's number within its system, for messages.
    fn id(&self) -> ConnectionId;

    /// Whether a call would be looked at by the kernel now, for who refuses some calls in its place: an
    /// ended connection comes before what is wrong with the call (A18, H1). It is no call of the client
    /// and on no tape; a system that cannot tell says yes.
    ///
    /// # Errors
    ///
    /// What a call gives on a connection that has ended (H1).
    fn check(&self) -> Result<(), IoReturn> {
        Ok(())
    }

    /// Makes a synchronous call and gives its result. `output` is changed on success only (A17),
    /// but for variable output (A14) and for out-of-line memory, which the dext writes itself (B8).
    #[doc(alias = "IOConnectCallMethod")]
    #[doc(alias = "IOConnectCallScalarMethod")]
    #[doc(alias = "IOConnectCallStructMethod")]
    fn call_method(
        &self,
        selector: u32,
        input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn;

    /// Makes an asynchronous call. Result and outputs are those of the call itself (D10);
    /// completions arrive on the queue of `wake`, possibly before this returns (D17).
    ///
    /// # Panics
    ///
    /// Where room for over 4096 bytes of output is a borrowed slice: such memory must outlive the
    /// call, so it has to be a [`SharedBuffer`](crate::memory::SharedBuffer). A borrowed input of that
    /// size is copied; the dext's snapshot of it (B5) is what it was when the call was made.
    #[doc(alias = "IOConnectCallAsyncMethod")]
    #[doc(alias = "IOConnectCallAsyncScalarMethod")]
    #[doc(alias = "IOConnectCallAsyncStructMethod")]
    fn call_async_method(
        &self,
        selector: u32,
        wake: &AsyncWake<'_>,
        input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn;

    /// Maps memory of the dext. `address` counts only where `options` lack
    /// [`MapOptions::ANYWHERE`] (F8, F9).
    ///
    /// # Errors
    ///
    /// `kIOReturnBadArgument` whatever the dext said (F5), or what a dead connection gives (H1).
    #[doc(alias = "IOConnectMapMemory64")]
    fn map_memory(
        &self,
        memory_type: u32,
        options: MapOptions,
        address: u64,
    ) -> Result<Mapping, IoReturn>;

    /// Unmaps what the dext answers for `memory_type` now; the kernel ignores `address` (F15).
    #[doc(alias = "IOConnectUnmapMemory64")]
    fn unmap_memory(&self, memory_type: u32, address: u64) -> IoReturn;

    /// Closes the connection: the user client is terminated before this returns (G13).
    #[doc(alias = "IOServiceClose")]
    fn close(&self) -> IoReturn;

    /// Makes one of the calls beside methods and memory. The methods below are made of it; a client has
    /// no need of it.
    ///
    /// # Errors
    ///
    /// What the client is told: see [`OtherCall`].
    fn other_call(&self, call: &OtherCall<'_>) -> OtherReply;

    /// Asks for notifications of a type on a port: a dext's connection supports none (G16).
    #[doc(alias = "IOConnectSetNotificationPort")]
    fn set_notification_port(
        &self,
        notification_type: u32,
        queue: Option<&dyn CompletionQueue>,
        reference: u64,
    ) -> IoReturn {
        let call = OtherCall::SetNotificationPort { notification_type, queue, reference };
        told(self.other_call(&call))
    }

    /// Tells this connection of another one of the same system; `None` is a port that is no connection
    /// (G17).
    #[doc(alias = "IOConnectAddClient")]
    fn add_client(&self, client: Option<ConnectionId>) -> IoReturn {
        told(self.other_call(&OtherCall::AddClient { client }))
    }

    /// The service behind the connection, which a dext's connection does not tell (G18).
    ///
    /// # Errors
    ///
    /// `kIOReturnUnsupported` from a dext's connection. A success without a service is
    /// `kIOReturnNotFound`: on a Mac it would be the null port.
    #[doc(alias = "IOConnectGetService")]
    fn get_service(&self) -> Result<ServiceId, IoReturn> {
        self.other_call(&OtherCall::GetService)?.ok_or(IoReturn::NOT_FOUND)
    }

    /// Hands properties to the user client; `None` is an object that cannot be serialised (G19).
    #[doc(alias = "IOConnectSetCFProperties")]
    fn set_properties(&self, properties: Option<&Value>) -> IoReturn {
        told(self.other_call(&OtherCall::SetProperties { properties }))
    }

    /// Hands over one property: a dictionary of one, as the library makes it (G19).
    #[doc(alias = "IOConnectSetCFProperty")]
    fn set_property(&self, name: &str, value: Option<&Value>) -> IoReturn {
        let properties = value
            .map(|value| Value::Dictionary(BTreeMap::from([(name.to_owned(), value.clone())])));
        self.set_properties(properties.as_ref())
    }

    /// Makes a trap of that index with up to six arguments (G20, G21).
    #[doc(alias = "IOConnectTrap0")]
    #[doc(alias = "IOConnectTrap1")]
    #[doc(alias = "IOConnectTrap2")]
    #[doc(alias = "IOConnectTrap3")]
    #[doc(alias = "IOConnectTrap4")]
    #[doc(alias = "IOConnectTrap5")]
    #[doc(alias = "IOConnectTrap6")]
    fn trap(&self, index: u32, arguments: &[u64]) -> IoReturn {
        told(self.other_call(&OtherCall::Trap { index, arguments }))
    }

    /// Takes another right: a close leaves it, and mappings stay until it is released (F24, G13).
    #[doc(alias = "IOConnectAddRef")]
    #[doc(alias = "IOObjectRetain")]
    fn add_ref(&self) -> IoReturn {
        told(self.other_call(&OtherCall::AddRef))
    }

    /// Drops a right; with the last one the user client is torn down, as by a close (G15).
    #[doc(alias = "IOConnectRelease")]
    #[doc(alias = "IOObjectRelease")]
    fn release(&self) -> IoReturn {
        told(self.other_call(&OtherCall::Release))
    }
}

/// The code of a reply.
fn told(reply: OtherReply) -> IoReturn {
    reply.err().unwrap_or(IoReturn::SUCCESS)
}
