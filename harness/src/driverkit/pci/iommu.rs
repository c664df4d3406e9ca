//! The way from a device to memory: bus addresses, and who may read or write there.

use super::mock::DeviceCore;
use crate::boundary::descriptor::DeviceAccess;
use crate::driverkit::finding::{Lint, Place};
use crate::driverkit::object::Managed;
use crate::limits::PAGE_SIZE;
use crate::memory::Memory;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

/// First bus address that is given out.
const FIRST_ADDRESS: u64 = 0x8000_0000;

/// Whether the way in looks at the direction that memory was prepared for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Iommu {
    /// As AppleVTD of an Intel Mac: what was prepared for reading only cannot be written, and the
    /// device's writes vanish.
    #[default]
    Enforcing,
    /// As DART of Apple silicon, which lets such writes through. The mistake is found all the same.
    Lenient,
}

/// Why an access of the device did not reach memory. A real device hears of a read at most, as a
/// completion with an error; a write vanishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DmaError {
    /// The command register does not let the device master the bus, or the device is gone.
    #[error("reach bus address {address:#x}: the device is no bus master")]
    NotMaster {
        /// First address of the access.
        address: u64,
    },
    /// No prepared memory lies at all of the addresses.
    #[error("reach {length} bytes at bus address {address:#x}: nothing is prepared there")]
    NotPrepared {
        /// First address of the access.
        address: u64,
        /// Bytes of the access.
        length: u64,
    },
    /// The memory was prepared for the other direction only.
    #[error("reach bus address {address:#x}: the memory was not prepared for that direction")]
    Denied {
        /// First address of the access.
        address: u64,
    },
}

/// A device's port to memory. Clones are the same port; one belongs to the model, the other goes into
/// the [`PciDescription`](super::PciDescription).
#[derive(Clone, Default)]
pub struct DmaMaster {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    iommu: Iommu,
    device: OnceLock<Weak<DeviceCore>>,
    windows: Mutex<Windows>,
}

#[derive(Default)]
struct Windows {
    next: u64,
    by_address: BTreeMap<u64, Window>,
}

/// Memory that was prepared, at its bus addresses.
#[derive(Clone)]
pub(super) struct Window {
    pub(super) length: u64,
    pub(super) memory: Arc<dyn Memory>,
    /// First byte in the memory.
    pub(super) start: u64,
    pub(super) access: DeviceAccess,
    /// The descriptor and where it was prepared, for the one who has to be told.
    pub(super) descriptor: Arc<dyn Managed>,
    pub(super) place: Place,
    /// It is a structure input of the client's.
    pub(super) is_input: bool,
}

impl DmaMaster {
    /// A port behind that kind of IOMMU.
    #[must_use]
    pub fn new(iommu: Iommu) -> Self {
        Self { inner: Arc::new(Inner { iommu, ..Inner::default() }) }
    }

    /// The device reads memory at a bus address.
    ///
    /// # Errors
    ///
    /// [`DmaError`]; nothing was read then.
    pub fn read(&self, address: u64, into: &mut [u8]) -> Result<(), DmaError> {
        let length = into.len() as u64;
        let (window, at) = self.reach(address, length)?;
        if !window.access.reads && self.inner.iommu == Iommu::Enforcing {
            return Err(DmaError::Denied { address });
        }
        window.memory.copy_out(at, into).map_err(|_| DmaError::NotPrepared { address, length })
    }

    /// The device writes memory at a bus address.
    ///
    /// # Errors
    ///
    /// [`DmaError`]; nothing was written then. A write to memory that was prepared for reading only is
    /// found as the lint `input-written`, whether or not it gets through.
    pub fn write(&self, address: u64, bytes: &[u8]) -> Result<(), DmaError> {
        let length = bytes.len() as u64;
        let (window, at) = self.reach(address, length)?;
        if !window.access.writes {
            window.report_write(address, length, self.inner.iommu);
            if self.inner.iommu == Iommu::Enforcing {
                return Err(DmaError::Denied { address });
            }
        }
        window.memory.copy_in(at, bytes).map_err(|_| DmaError::NotPrepared { address, length })
    }

    /// Bus windows that are prepared now.
    #[must_use]
    pub fn prepared(&self) -> usize {
        self.windows().by_address.len()
    }

    /// The window at an address and the offset in its memory.
    fn reach(&self, address: u64, length: u64) -> Result<(Window, u64), DmaError> {
        let device = self.inner.device.get().and_then(Weak::upgrade);
        if !device.is_some_and(|device| device.masters_bus()) {
            return Err(DmaError::NotMaster { address });
        }
        let windows = self.windows();
        let below = windows.by_address.range(..=address).next_back();
        let found = below.filter(|(start, window)| {
            address.checked_add(length).is_some_and(|end| end <= **start + window.length)
        });
        let (start, window) = found.ok_or(DmaError::NotPrepared { address, length })?;
        Ok((window.clone(), window.start + (address - start)))
    }

    pub(super) fn belongs_to(&self, device: &Weak<DeviceCore>) {
        // Set once: a port has one device.
        let _ = self.inner.device.set(Weak::clone(device));
    }

    /// Gives memory bus addresses; what lies at an odd place in its page does so on the bus, too.
    pub(super) fn map(&self, window: Window) -> u64 {
        let mut windows = self.windows();
        let base = windows.next.max(FIRST_ADDRESS);
        let within = window.start % PAGE_SIZE;
        let address = base + within;
        // A page between two windows: an access that runs over the end of one hits nothing.
        let pages = (within + window.length).next_multiple_of(PAGE_SIZE) + PAGE_SIZE;
        windows.next = base + pages;
        windows.by_address.insert(address, window);
        address
    }

    pub(super) fn unmap(&self, address: u64) {
        let window = self.windows().by_address.remove(&address);
        // Dropped after the lock: what it holds may come back here.
        drop(window);
    }

    fn windows(&self) -> MutexGuard<'_, Windows> {
        self.inner.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    fn report_write(&self, address: u64, length: u64, iommu: Iommu) {
        let what = if self.is_input { "the structure input" } else { "memory of direction Out" };
        let effect = match iommu {
            Iommu::Enforcing => "the write vanishes",
            Iommu::Lenient => "the write gets through here, and vanishes on an Intel Mac",
        };
        let message = format!(
            "the device wrote {length} bytes at bus address {address:#x} to {what}, which was prepared \
             for it to read only (the flags of PrepareForDMA say so): {effect}"
        );
        let place = self.place.clone();
        self.descriptor.header().report_as(Lint::InputWritten, place, message);
    }
}

impl fmt::Debug for DmaMaster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DmaMaster")
            .field("iommu", &self.inner.iommu)
            .field("prepared", &self.prepared())
            .finish_non_exhaustive()
    }
}
