//! The real system where there is none: the same names, so that code compiles everywhere, and no
//! value of them ever.

use super::LiveError;
use dextape::IoReturn;
use dextape::call::{ConnectionId, MapOptions, ServiceId};
use dextape::connection::{
    AsyncWake, CompletionQueue, Connection, Mapping, Matching, MethodInput, MethodOutput,
    NoticeQueue, OtherCall, OtherReply, System, Value,
};
use dextape::schedule::Schedule;
use dextape::tape::Host;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The services of this Mac. There is none in this build: see [`LiveError`].
#[derive(Debug)]
pub enum IoKitSystem {}

impl IoKitSystem {
    /// Opens the real system.
    ///
    /// # Errors
    ///
    /// Always here: what is missing.
    ///
    /// # Examples
    ///
    /// ```
    /// use dextape_recorder::iokit::IoKitSystem;
    ///
    /// match IoKitSystem::open() {
    ///     Ok(system) => println!("on {:?}", system.host()),
    ///     Err(error) => println!("failed to {error}"),
    /// }
    /// ```
    pub fn open() -> Result<Arc<Self>, LiveError> {
        Err(if cfg!(target_os = "macos") { LiveError::NotBuilt } else { LiveError::NotMacos })
    }

    /// The Mac: model and version of the system.
    #[must_use]
    pub fn host(&self) -> Host {
        match *self {}
    }

    /// Bytes of a page of memory.
    #[must_use]
    pub fn page_size(&self) -> u64 {
        match *self {}
    }
}

impl System for IoKitSystem {
    fn matching_services(&self, _: &Matching) -> Result<Vec<ServiceId>, IoReturn> {
        match *self {}
    }

    fn property(&self, _: ServiceId, _: &str) -> Result<Option<Value>, IoReturn> {
        match *self {}
    }

    fn properties(&self, _: ServiceId) -> Result<BTreeMap<String, Value>, IoReturn> {
        match *self {}
    }

    fn open(&self, _: ServiceId, _: u32) -> Result<Box<dyn Connection>, IoReturn> {
        match *self {}
    }

    fn watch(&self, _: &Matching) -> Result<Arc<dyn NoticeQueue>, IoReturn> {
        match *self {}
    }

    fn completion_queue(&self) -> Arc<dyn CompletionQueue> {
        match *self {}
    }

    fn schedule(&self) -> &Schedule {
        match *self {}
    }
}

/// A user client of this Mac. There is none in this build: see [`LiveError`].
#[derive(Debug)]
pub enum IoKitConnection {}

impl Connection for IoKitConnection {
    fn id(&self) -> ConnectionId {
        match *self {}
    }

    fn call_method(&self, _: u32, _: &MethodInput<'_>, _: &mut MethodOutput<'_>) -> IoReturn {
        match *self {}
    }

    fn call_async_method(
        &self,
        _: u32,
        _: &AsyncWake<'_>,
        _: &MethodInput<'_>,
        _: &mut MethodOutput<'_>,
    ) -> IoReturn {
        match *self {}
    }

    fn map_memory(&self, _: u32, _: MapOptions, _: u64) -> Result<Mapping, IoReturn> {
        match *self {}
    }

    fn unmap_memory(&self, _: u32, _: u64) -> IoReturn {
        match *self {}
    }

    fn close(&self) -> IoReturn {
        match *self {}
    }

    fn other_call(&self, _: &OtherCall<'_>) -> OtherReply {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said() {
        let error = IoKitSystem::open().err();
        #[cfg(not(target_os = "macos"))]
        assert_eq!(error, Some(LiveError::NotMacos));
        #[cfg(target_os = "macos")]
        assert_eq!(error, Some(LiveError::NotBuilt));
    }
}
