//! `OSData`.

use super::object::{Object, Payload, handle};
use super::process::{DextProcess, UserClientNumber};
use std::sync::Arc;

/// Bytes of a structure up to 4096, immutable.
#[derive(Clone, Debug)]
#[doc(alias = "OSData")]
pub struct OsData {
    pub(super) object: Arc<Object<DataPayload>>,
}

pub(crate) struct DataPayload {
    bytes: Arc<[u8]>,
}

impl Payload for DataPayload {
    const CLASS: &'static str = "OSData";
}

handle!(OsData, DataPayload);

impl OsData {
    /// A copy of `bytes`, with one reference.
    ///
    /// # Panics
    ///
    /// Where the thread works for no dext process.
    #[must_use = "it has a reference that somebody must release"]
    #[track_caller]
    #[doc(alias = "withBytes")]
    pub fn with_bytes(bytes: &[u8]) -> Self {
        Self { object: Object::create(DataPayload { bytes: bytes.into() }) }
    }

    /// A structure input.
    pub(super) fn for_call(
        process: &DextProcess,
        client: Option<UserClientNumber>,
        bytes: &[u8],
    ) -> Self {
        let payload = DataPayload { bytes: bytes.into() };
        Self { object: Object::create_by_system(process, client, payload) }
    }

    /// The bytes; none once it is gone.
    #[must_use]
    #[track_caller]
    #[doc(alias = "getBytesNoCopy")]
    pub fn bytes(&self) -> Arc<[u8]> {
        if self.object.alive() { Arc::clone(&self.object.payload.bytes) } else { Arc::new([]) }
    }

    /// Number of bytes; 0 once it is gone.
    #[must_use]
    #[track_caller]
    #[doc(alias = "getLength")]
    pub fn len(&self) -> usize {
        if self.object.alive() { self.object.payload.bytes.len() } else { 0 }
    }

    /// True where there are no bytes.
    #[must_use]
    #[track_caller]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
