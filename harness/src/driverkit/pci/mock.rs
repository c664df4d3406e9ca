//! The device in its slot.

use super::bar::BarMemory;
use super::config::ConfigSpace;
use super::iommu::DmaMaster;
use super::model::{PciDescription, PciDeviceModel, ResetType};
use crate::IoReturn;
use crate::driverkit::process::ProcessInner;
use crate::driverkit::{DextProcess, Provider};
use crate::memory::{Memory, Width};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// A device on the mock's bus. Cheap to clone; clones are the same device.
///
/// # Examples
///
/// A device with one register, and the dext that reads it:
///
/// ```
/// use dextape::driverkit::pci::{
///     MockPciDevice, PciBar, PciDescription, PciDevice, command, config_offset,
/// };
/// use dextape::driverkit::{DextProcess, OsObject};
/// use dextape::memory::{PlainRegister, RegisterFile, Registers, Width};
/// use dextape::schedule::Schedule;
///
/// let schedule = Schedule::free();
/// let file = RegisterFile::new().with(0x10, Width::Four, PlainRegister::new(7));
/// let mut description = PciDescription { vendor_id: 0x1234, ..Default::default() };
/// description.bars[0] = Some(PciBar::memory32(Registers::new(&schedule, 0x4000, file)));
/// let device = MockPciDevice::new(description, ());
///
/// // In the dext, whose provider this is:
/// let process = DextProcess::new("com.example.dext", &schedule);
/// let _inside = process.enter();
/// let pci = PciDevice::from_provider(&device.provider()).expect("the provider is one");
/// pci.open().ok()?;
/// assert_eq!(pci.configuration_read16(config_offset::VENDOR_ID), 0x1234);
/// pci.configuration_write16(config_offset::COMMAND, command::MEMORY_SPACE);
/// let bar = pci.bar_info(0)?;
/// assert_eq!(pci.memory_read32(bar.memory_index, 0x10), 7);
/// device.remove();
/// assert_eq!(pci.memory_read32(bar.memory_index, 0x10), u32::MAX);
/// pci.release();
/// # Ok::<(), dextape::IoReturn>(())
/// ```
#[derive(Clone)]
pub struct MockPciDevice {
    core: Arc<DeviceCore>,
}

pub(super) struct DeviceCore {
    description: PciDescription,
    model: Box<dyn PciDeviceModel>,
    config: Mutex<ConfigSpace>,
    /// The memories behind the BARs, by memory index: number of the BAR, and what answers.
    memories: Vec<(usize, Arc<dyn Memory>)>,
    gone: AtomicBool,
    opened: AtomicBool,
    /// By process the numbers that stand for the BARs' descriptors there.
    roots: Mutex<Vec<(Weak<ProcessInner>, Vec<u64>)>>,
}

impl MockPciDevice {
    /// A device in its slot.
    ///
    /// # Panics
    ///
    /// Where the size of a BAR is no power of two of at least 16 bytes, or a BAR stands in the second
    /// half of one of 64 bits.
    #[must_use]
    #[track_caller]
    pub fn new(description: PciDescription, model: impl PciDeviceModel) -> Self {
        check(&description);
        let config = Mutex::new(ConfigSpace::new(&description));
        let core = Arc::new_cyclic(|core| {
            if let Some(dma) = &description.dma {
                dma.belongs_to(core);
            }
            let bars = description.bars.iter().enumerate();
            let memories = bars.filter_map(|(index, bar)| {
                let memory: Arc<dyn Memory> = BarMemory::new(core, &bar.as_ref()?.memory);
                Some((index, memory))
            });
            DeviceCore {
                memories: memories.collect(),
                description,
                model: Box::new(model),
                config,
                gone: AtomicBool::new(false),
                opened: AtomicBool::new(false),
                roots: Mutex::default(),
            }
        });
        Self { core }
    }

    /// A provider for a driver, of class `IOPCIDevice`.
    #[must_use]
    pub fn provider(&self) -> Provider {
        let provider = Provider::with_object("IOPCIDevice", self.clone());
        match &self.core.description.interrupts {
            Some(lines) => provider.with_interrupts(lines),
            None => provider,
        }
    }

    /// Pulls the device out: whoever reads it gets all ones, and it reaches nothing. The service on it
    /// is terminated by whoever owns the system, as the bus notices a moment later.
    pub fn remove(&self) {
        if !self.core.gone.swap(true, Ordering::AcqRel) {
            self.core.model.removed();
        }
    }

    /// The device itself changes its configuration space, whatever a program may write there.
    pub fn set_config(&self, offset: u64, bytes: &[u8]) {
        self.core.config().set(offset, bytes);
    }

    /// The value of the command register.
    #[must_use]
    pub fn command(&self) -> u16 {
        self.core.config().read(super::config_offset::COMMAND, Width::Two) as u16
    }

    pub(super) fn core(&self) -> &Arc<DeviceCore> {
        &self.core
    }
}

#[track_caller]
fn check(description: &PciDescription) {
    let mut taken = false;
    for (index, bar) in description.bars.iter().enumerate() {
        let Some(bar) = bar else {
            taken = false;
            continue;
        };
        let size = bar.memory.size();
        assert!(
            size.is_power_of_two() && size >= 16,
            "failed to make BAR {index}: its size of {size} bytes is no power of two from 16 on"
        );
        assert!(!taken, "failed to make BAR {index}: it is the second half of the one before");
        taken = bar.kind.is_64();
        assert!(!taken || index < 5, "failed to make BAR {index}: 64 bits need the next one, too");
    }
}

impl DeviceCore {
    pub(super) fn description(&self) -> &PciDescription {
        &self.description
    }

    pub(super) fn opened(&self) -> &AtomicBool {
        &self.opened
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    pub(super) fn memories(&self) -> &[(usize, Arc<dyn Memory>)] {
        &self.memories
    }

    pub(super) fn dma(&self) -> Option<&DmaMaster> {
        self.description.dma.as_ref()
    }

    pub(super) fn decodes_memory(&self) -> bool {
        !self.is_gone() && self.config().decodes_memory()
    }

    pub(super) fn masters_bus(&self) -> bool {
        !self.is_gone() && self.config().masters()
    }

    pub(super) fn config_read(&self, offset: u64, width: Width) -> u32 {
        let ones = width.mask() as u32;
        if self.is_gone() {
            return ones;
        }
        // Let go before the model is asked: it may look at the space itself.
        let stored = self.config().read(offset, width) & ones;
        self.model.config_read(offset, width, stored) & ones
    }

    pub(super) fn config_write(&self, offset: u64, width: Width, value: u32) {
        if self.is_gone() {
            return;
        }
        let written = self.config().write(offset, width, value);
        if written {
            self.model.config_written(offset, width, value);
        }
    }

    pub(super) fn find_capability(&self, id: u8, from: u64) -> Option<u64> {
        if self.is_gone() { None } else { self.config().find_capability(id, from) }
    }

    pub(super) fn reset(&self, kind: ResetType) -> IoReturn {
        if self.is_gone() {
            return IoReturn::NO_DEVICE;
        }
        let result = self.model.reset(kind);
        if result.is_success() {
            self.config().reset();
        }
        result
    }

    /// A process has the device: its memories have numbers there.
    pub(super) fn came_to(&self, process: &DextProcess) {
        let mut roots = self.roots();
        roots.retain(|(known, _)| known.strong_count() > 0);
        if !roots.iter().any(|(known, _)| known.ptr_eq(&process.downgrade())) {
            let numbers = self.memories.iter().map(|_| process.reserve_number()).collect();
            roots.push((process.downgrade(), numbers));
        }
    }

    /// The number that stands for the descriptor of a memory in this process: each copy of it is the
    /// same to the kernel.
    pub(super) fn root(&self, process: &DextProcess, memory_index: usize) -> Option<u64> {
        let roots = self.roots();
        let (_, numbers) = roots.iter().find(|(known, _)| known.ptr_eq(&process.downgrade()))?;
        numbers.get(memory_index).copied()
    }

    fn roots(&self) -> MutexGuard<'_, Vec<(Weak<ProcessInner>, Vec<u64>)>> {
        self.roots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn config(&self) -> MutexGuard<'_, ConfigSpace> {
        self.config.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MockPciDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let description = &self.core.description;
        write!(f, "MockPciDevice({:04x}:{:04x})", description.vendor_id, description.device_id)
    }
}
