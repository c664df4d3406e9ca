//! Where services are found and opened.

use super::{CompletionQueue, Connection, EndObserver, Matching, NoticeQueue, Value};
use crate::IoReturn;
use crate::call::ServiceId;
use crate::memory::SharedBuffer;
use crate::schedule::Schedule;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Where services are found, matched and opened; the registry as far as clients read it. The same for
/// a real, a mock, a recording and a replaying system.
pub trait System: Send + Sync + fmt::Debug {
    /// The services that match now, in the registry's order.
    ///
    /// # Errors
    ///
    /// What the registry answers; a real system only.
    #[doc(alias = "IOServiceGetMatchingServices")]
    fn matching_services(&self, matching: &Matching) -> Result<Vec<ServiceId>, IoReturn>;

    /// One property of a service; `None` where it has none of that name.
    ///
    /// # Errors
    ///
    /// `kIOReturnNoDevice` for a service that this system never showed.
    #[doc(alias = "IORegistryEntryCreateCFProperty")]
    fn property(&self, service: ServiceId, key: &str) -> Result<Option<Value>, IoReturn>;

    /// All properties of a service.
    ///
    /// # Errors
    ///
    /// As [`property`](Self::property).
    #[doc(alias = "IORegistryEntryCreateCFProperties")]
    fn properties(&self, service: ServiceId) -> Result<BTreeMap<String, Value>, IoReturn>;

    /// The properties that tell which service this is, for whoever notes it down. It is no read of
    /// the client: a recorder does not record it and a replayer answers it from what was noted.
    fn identify(&self, service: ServiceId) -> BTreeMap<String, Value> {
        self.properties(service).unwrap_or_default()
    }

    /// Opens a user client. `open_type` reaches the dext unchanged (G9).
    ///
    /// # Errors
    ///
    /// The dext's own code (G2), or one of the kernel's (G1, G3 to G8).
    #[doc(alias = "IOServiceOpen")]
    fn open(&self, service: ServiceId, open_type: u32) -> Result<Box<dyn Connection>, IoReturn>;

    /// Notices of the services that match, from now on and for those that are there already.
    ///
    /// # Errors
    ///
    /// What the registry answers; a real system only.
    #[doc(alias = "IOServiceAddMatchingNotification")]
    fn watch(&self, matching: &Matching) -> Result<Arc<dyn NoticeQueue>, IoReturn>;

    /// Has `observer` called when a service or a user client ends on the other side: once the kernel
    /// refuses its calls (H1), before it does anything else. False where this system cannot see that
    /// moment (a real Mac), or has none of its own (a replay).
    fn observe_ends(&self, observer: EndObserver) -> bool {
        let _ = observer;
        false
    }

    /// A new queue for completions.
    #[doc(alias = "IONotificationPortCreate")]
    fn completion_queue(&self) -> Arc<dyn CompletionQueue>;

    /// The address at which a buffer of the client's own lies: for a dext that describes memory of its
    /// client by address (I14), to which it is handed as a scalar or in a structure. The same for a
    /// buffer each time; virtual, and the same in every run, where the system is no real one.
    #[doc(alias = "IOAddressSegment")]
    fn address_of(&self, buffer: &SharedBuffer) -> u64 {
        buffer.store().address()
    }

    /// A thread of the client has waited for `waited` now, without a timeout, for whatever may come to
    /// its ports: completions, notices, messages of its own. Whoever waits so outside of this interface
    /// says it now and then. Nothing happens, but in a replay.
    ///
    /// # Panics
    ///
    /// In a replay in which nobody has gone on for as long as its patience, with the divergence: a
    /// replay does not wait for ever.
    fn check_wait(&self, waited: Duration) {
        let _ = waited;
    }

    /// What client threads run on and what time it is for them.
    fn schedule(&self) -> &Schedule;
}

impl dyn System + '_ {
    /// The first service that matches.
    ///
    /// # Errors
    ///
    /// `kIOReturnNotFound` where none does, or what the registry answers.
    #[doc(alias = "IOServiceGetMatchingService")]
    pub fn first_service(&self, matching: &Matching) -> Result<ServiceId, IoReturn> {
        self.matching_services(matching)?.first().copied().ok_or(IoReturn::NOT_FOUND)
    }
}
