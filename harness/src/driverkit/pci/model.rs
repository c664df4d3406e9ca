//! The device as it sees the bus.

use super::iommu::DmaMaster;
use crate::IoReturn;
use crate::driverkit::InterruptLines;
use crate::memory::{Memory, Width};
use std::sync::Arc;

/// Kind of a BAR, as `GetBARInfo` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BarType {
    /// `kPCIBARTypeM32`.
    Memory32,
    /// `kPCIBARTypeM32PF`: prefetchable.
    Memory32Prefetchable,
    /// `kPCIBARTypeM64`; it takes the place of two.
    Memory64,
    /// `kPCIBARTypeM64PF`; it takes the place of two.
    Memory64Prefetchable,
}

impl BarType {
    /// The low bits of the register.
    pub(super) const fn bits(self) -> u32 {
        match self {
            Self::Memory32 => 0x0,
            Self::Memory64 => 0x4,
            Self::Memory32Prefetchable => 0x8,
            Self::Memory64Prefetchable => 0xc,
        }
    }

    pub(super) const fn is_64(self) -> bool {
        matches!(self, Self::Memory64 | Self::Memory64Prefetchable)
    }
}

/// What lies behind a BAR: [`Registers`](crate::memory::Registers), a
/// [`Backing`](crate::memory::Backing), or any other memory.
#[derive(Clone, Debug)]
pub struct PciBar {
    /// Its kind.
    pub kind: BarType,
    /// Its memory; the size is that of the BAR and a power of two.
    pub memory: Arc<dyn Memory>,
}

impl PciBar {
    /// A BAR of 32-bit memory space.
    #[must_use]
    pub fn memory32(memory: Arc<dyn Memory>) -> Self {
        Self { kind: BarType::Memory32, memory }
    }

    /// A prefetchable BAR of 64-bit memory space.
    #[must_use]
    pub fn memory64_prefetchable(memory: Arc<dyn Memory>) -> Self {
        Self { kind: BarType::Memory64Prefetchable, memory }
    }
}

/// A device as its configuration space and its pins tell of it.
#[derive(Clone, Debug, Default)]
pub struct PciDescription {
    /// Vendor.
    pub vendor_id: u16,
    /// Device.
    pub device_id: u16,
    /// Vendor of the board.
    pub subsystem_vendor_id: u16,
    /// The board.
    pub subsystem_id: u16,
    /// Revision.
    pub revision_id: u8,
    /// Base class, subclass and programming interface, 24 bits.
    pub class_code: u32,
    /// BARs by their number. After one of 64 bits the next must be empty.
    pub bars: [Option<PciBar>; 6],
    /// Capabilities in the order of the list: each its id and what follows the pointer to the next.
    pub capabilities: Vec<(u8, Vec<u8>)>,
    /// The lines on which it interrupts; the model keeps a clone.
    pub interrupts: Option<InterruptLines>,
    /// The port through which it reaches memory; the model keeps a clone.
    pub dma: Option<DmaMaster>,
}

/// How a device is reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResetType {
    /// `kIOPCIDeviceResetTypeFunctionReset`: by the function itself; not every device can.
    Function,
    /// `kIOPCIDeviceResetTypeHotReset`: by the link.
    Hot,
    /// `kIOPCIDeviceResetTypeWarmReset`: by its reset pin.
    Warm,
}

/// What a device does that its description does not say. It is called outside any dext process, on
/// the task that makes the access, and must not wait for that task.
pub trait PciDeviceModel: Send + Sync + 'static {
    /// A program reads the configuration space; `stored` is what lies there. What this gives is read.
    fn config_read(&self, offset: u64, width: Width, stored: u32) -> u32 {
        let _ = (offset, width);
        stored
    }

    /// A program has written to the configuration space, as far as the registers there can be written.
    fn config_written(&self, offset: u64, width: Width, value: u32) {
        let _ = (offset, width, value);
    }

    /// The device is reset: it forgets its state, and the bus clears command register and BARs'
    /// decoding. `kIOReturnUnsupported` where it cannot be reset in this way.
    fn reset(&self, kind: ResetType) -> IoReturn {
        match kind {
            ResetType::Function | ResetType::Hot | ResetType::Warm => IoReturn::SUCCESS,
        }
    }

    /// The device was pulled out: nobody hears of it any more.
    fn removed(&self) {}
}

/// A device that does nothing of its own.
impl PciDeviceModel for () {}
