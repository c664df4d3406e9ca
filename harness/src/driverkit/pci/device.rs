//! `IOPCIDevice`.

use super::mock::{DeviceCore, MockPciDevice};
use super::model::{BarType, ResetType};
use crate::IoReturn;
use crate::driverkit::object::{Object, Payload, handle};
use crate::driverkit::{InterruptType, MemoryDescriptor, Provider};
use crate::memory::{Memory, Width, Word};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A device, as a driver has it.
///
/// Only the driver that has it open reaches it: for any other one configuration reads give all ones.
#[derive(Clone, Debug)]
#[doc(alias = "IOPCIDevice")]
pub struct PciDevice {
    object: Arc<Object<DevicePayload>>,
}

pub(crate) struct DevicePayload {
    device: Arc<DeviceCore>,
    open: AtomicBool,
}

impl Payload for DevicePayload {
    const CLASS: &'static str = "IOPCIDevice";

    fn freed(&self) {
        self.close();
    }
}

impl DevicePayload {
    fn close(&self) {
        if self.open.swap(false, Ordering::AcqRel) {
            self.device.opened().store(false, Ordering::Release);
        }
    }
}

handle!(PciDevice, DevicePayload);

/// What `GetBARInfo` tells of a BAR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarInfo {
    /// Its place among the memories that the device has: what the other methods want.
    pub memory_index: u8,
    /// Its size in bytes.
    pub size: u64,
    /// Its kind.
    pub kind: BarType,
}

macro_rules! accessors {
    ($($integer:ty: $config_read:ident, $config_write:ident, $read:ident, $write:ident,
        $config_read_alias:literal, $config_write_alias:literal, $read_alias:literal,
        $write_alias:literal;)*) => {$(
        /// Reads the configuration space; all ones where that cannot be: the device is not open or
        /// gone, or the offset is outside or no multiple of the width.
        #[must_use]
        #[track_caller]
        #[doc(alias = $config_read_alias)]
        pub fn $config_read(&self, offset: u64) -> $integer {
            self.config_read(offset, <$integer as Word>::WIDTH) as $integer
        }

        /// Writes to the configuration space what can be written there.
        #[track_caller]
        #[doc(alias = $config_write_alias)]
        pub fn $config_write(&self, offset: u64, value: $integer) {
            self.config_write(offset, <$integer as Word>::WIDTH, u32::from(value));
        }

        accessors!(@memory $integer, $read, $write, $read_alias, $write_alias);
    )*};
    (@memory $integer:ty, $read:ident, $write:ident, $read_alias:literal, $write_alias:literal) => {
        /// Reads the memory of a BAR; all ones where nobody answers.
        #[must_use]
        #[track_caller]
        #[doc(alias = $read_alias)]
        pub fn $read(&self, memory_index: u8, offset: u64) -> $integer {
            let memory = self.memory(memory_index);
            let word = memory.and_then(|memory| memory.load::<$integer>(offset).ok());
            word.unwrap_or(<$integer>::MAX)
        }

        /// Writes the memory of a BAR; it is dropped where nobody answers.
        #[track_caller]
        #[doc(alias = $write_alias)]
        pub fn $write(&self, memory_index: u8, offset: u64, value: $integer) {
            if let Some(memory) = self.memory(memory_index) {
                let _dropped = memory.store::<$integer>(offset, value);
            }
        }
    };
}

impl PciDevice {
    /// The provider as a device, with one reference; `None` where it is something else.
    ///
    /// # Panics
    ///
    /// Where the thread works for no dext process.
    #[track_caller]
    #[doc(alias = "OSDynamicCast")]
    pub fn from_provider(provider: &Provider) -> Option<Self> {
        let device = Arc::clone(provider.downcast::<MockPciDevice>()?.core());
        let payload = DevicePayload { device, open: AtomicBool::new(false) };
        let device = Self { object: Object::create(payload) };
        if let Some(process) = device.object.header().process() {
            device.device().came_to(&process);
        }
        Some(device)
    }

    /// Takes the device for this driver. `kIOReturnNotOpen` where somebody has it: the kernel's open
    /// fails, and that is what its session call says then. `kIOReturnError` where the device is gone.
    #[track_caller]
    #[doc(alias = "Open")]
    pub fn open(&self) -> IoReturn {
        if !self.object.alive() {
            IoReturn::BAD_ARGUMENT
        } else if self.device().is_gone() {
            IoReturn::ERROR
        } else if self.is_open() {
            // A second open of the same driver changes nothing.
            IoReturn::SUCCESS
        } else if self.device().opened().swap(true, Ordering::AcqRel) {
            IoReturn::NOT_OPEN
        } else {
            self.object.payload.open.store(true, Ordering::Release);
            IoReturn::SUCCESS
        }
    }

    /// Gives the device back; nothing happens where it was not open.
    #[track_caller]
    #[doc(alias = "Close")]
    pub fn close(&self) {
        if self.object.alive() {
            self.object.payload.close();
        }
    }

    accessors! {
        u8: configuration_read8, configuration_write8, memory_read8, memory_write8,
            "ConfigurationRead8", "ConfigurationWrite8", "MemoryRead8", "MemoryWrite8";
        u16: configuration_read16, configuration_write16, memory_read16, memory_write16,
            "ConfigurationRead16", "ConfigurationWrite16", "MemoryRead16", "MemoryWrite16";
        u32: configuration_read32, configuration_write32, memory_read32, memory_write32,
            "ConfigurationRead32", "ConfigurationWrite32", "MemoryRead32", "MemoryWrite32";
    }

    accessors!(@memory u64, memory_read64, memory_write64, "MemoryRead64", "MemoryWrite64");

    /// Index, size and kind of a BAR.
    ///
    /// # Errors
    ///
    /// `kIOReturnBadArgument` for a BAR that no device has, `kIOReturnNotFound` for one that this
    /// device has not.
    #[track_caller]
    #[doc(alias = "GetBARInfo")]
    pub fn bar_info(&self, bar: u8) -> Result<BarInfo, IoReturn> {
        /// `kIOPCIRangeExpansionROM`, behind the six BARs.
        const EXPANSION_ROM: u8 = 6;
        if !self.object.alive() || bar > EXPANSION_ROM {
            return Err(IoReturn::BAD_ARGUMENT);
        }
        let device = self.device();
        let place = device.memories().iter().position(|(index, _)| *index == usize::from(bar));
        let described = device.description().bars.get(usize::from(bar)).and_then(Option::as_ref);
        match (place, described) {
            (Some(place), Some(described)) => Ok(BarInfo {
                memory_index: place as u8,
                size: described.memory.size(),
                kind: described.kind,
            }),
            _ => Err(IoReturn::NOT_FOUND),
        }
    }

    /// The memory of a BAR as a descriptor, with one reference. Each call gives the same memory: what
    /// the client maps twice lies at one address (F11).
    ///
    /// # Errors
    ///
    /// `kIOReturnNotOpen` where the device is not open, `kIOReturnBadArgument` for an index that no
    /// device has, `kIOReturnUnsupported` for one that this device has not.
    ///
    /// # Panics
    ///
    /// Where the thread works for no dext process.
    #[track_caller]
    #[doc(alias = "_CopyDeviceMemoryWithIndex")]
    pub fn copy_device_memory_with_index(&self, index: u8) -> Result<MemoryDescriptor, IoReturn> {
        /// `kIOPCIRangeExpansionROM`.
        const LAST: u8 = 6;
        if !self.object.alive() || index > LAST {
            return Err(IoReturn::BAD_ARGUMENT);
        }
        if !self.is_open() {
            return Err(IoReturn::NOT_OPEN);
        }
        let device = self.device();
        let (_, memory) = device.memories().get(usize::from(index)).ok_or(IoReturn::UNSUPPORTED)?;
        let process = self.object.header().process();
        let root = process.and_then(|process| device.root(&process, usize::from(index)));
        Ok(MemoryDescriptor::of_device_as(Arc::clone(memory), root.unwrap_or_default()))
    }

    /// Offset of the capability of that id behind `after` in the list; of the first where that is 0.
    ///
    /// # Errors
    ///
    /// `kIOReturnNotFound` where there is none.
    #[track_caller]
    #[doc(alias = "FindPCICapability")]
    pub fn find_pci_capability(&self, id: u8, after: u64) -> Result<u64, IoReturn> {
        let found =
            if self.object.alive() { self.device().find_capability(id, after) } else { None };
        found.ok_or(IoReturn::NOT_FOUND)
    }

    /// Resets the device. Its command register is cleared: memory space and mastering have to be
    /// switched on again. The result is the device's; `kIOReturnNoDevice` where it is gone.
    #[track_caller]
    #[doc(alias = "Reset")]
    pub fn reset(&self, kind: ResetType) -> IoReturn {
        if self.object.alive() { self.device().reset(kind) } else { IoReturn::BAD_ARGUMENT }
    }

    /// Asks for interrupts of one type; an [`InterruptDispatchSource`] takes them by their index
    /// then. `kIOReturnUnsupported` where the device has none of the type, `kIOReturnNoResources`
    /// where it has fewer than `required`.
    ///
    /// [`InterruptDispatchSource`]: crate::driverkit::InterruptDispatchSource
    #[track_caller]
    #[doc(alias = "ConfigureInterrupts")]
    pub fn configure_interrupts(&self, kind: InterruptType, required: u32) -> IoReturn {
        if !self.object.alive() {
            return IoReturn::BAD_ARGUMENT;
        }
        let Some(lines) = &self.device().description().interrupts else {
            return IoReturn::UNSUPPORTED;
        };
        let indices = 0..u32::try_from(lines.len()).unwrap_or(u32::MAX);
        let count = indices.filter(|index| lines.interrupt_type(*index) == Some(kind)).count();
        match u32::try_from(count) {
            Ok(0) => IoReturn::UNSUPPORTED,
            Ok(count) if count < required => IoReturn::NO_RESOURCES,
            _ => IoReturn::SUCCESS,
        }
    }

    #[track_caller]
    fn config_read(&self, offset: u64, width: Width) -> u32 {
        if self.object.alive() && self.is_open() {
            self.device().config_read(offset, width)
        } else {
            width.mask() as u32
        }
    }

    #[track_caller]
    fn config_write(&self, offset: u64, width: Width, value: u32) {
        if self.object.alive() && self.is_open() {
            self.device().config_write(offset, width, value);
        }
    }

    #[track_caller]
    fn memory(&self, index: u8) -> Option<&dyn Memory> {
        if !self.object.alive() || !self.is_open() {
            return None;
        }
        self.device().memories().get(usize::from(index)).map(|(_, memory)| &**memory)
    }

    fn is_open(&self) -> bool {
        self.object.payload.open.load(Ordering::Acquire)
    }

    pub(super) fn device(&self) -> &Arc<DeviceCore> {
        &self.object.payload.device
    }
}
