//! One open user client, as its client sees it.

use super::{AsyncWake, Mapping, MethodInput, MethodOutput};
use crate::IoReturn;
use crate::call::{ConnectionId, MapOptions};
use std::fmt;

/// One open user client: what `IOServiceOpen` returns. The same for a real, a mock, a recording and a
/// replaying system.
///
/// Results are what the real library and kernel would give. Dropping a connection without
/// [`close`](Self::close) is dropping its last right (G15). Calls may come from several threads.
pub trait Connection: Send + Sync + fmt::Debug {
    /// The connection's number within its system, for messages.
    fn id(&self) -> ConnectionId;

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
}
