//! The dext: opens the device, hands its BARs to the client, and makes the client's memory reachable.

use super::abi::{BUNDLE_ID, USER_CLASS, selector};
use super::device::Gpu;
use crate::dext::{lock, scalar};
use dextape::IoReturn;
use dextape::call::ServiceId;
use dextape::connection::System;
use dextape::driverkit::pci::{DmaCommand, PciDevice, Prepared, ResetType, command, config_offset};
use dextape::driverkit::{
    Direction, ExternalMethodArguments, MappingOptions, MemoryDescriptor, OsSharedPtr, Provider,
    Service, UserClient, UserClientMethodDispatch, os_log, super_external_method,
};
use dextape::kernel::{MockSystem, ServiceDescription};
use dextape::memory::AccessError;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long it takes the system to notice that a device is gone.
const NOTICED_AFTER: Duration = Duration::from_millis(2);

/// Whether the device is pulled out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unplug {
    /// It stays.
    Never,
    /// It goes in the middle of a command that hangs.
    WhenHung,
}

/// The driver.
#[derive(Debug)]
pub struct PcieBarDriver {
    pci: Mutex<Option<Arc<OsSharedPtr<PciDevice>>>>,
}

impl PcieBarDriver {
    /// Publishes the driver on a device of its own.
    ///
    /// # Errors
    ///
    /// Those of [`MockSystem::publish`].
    pub fn publish(unplug: Unplug, system: &Arc<MockSystem>) -> Result<ServiceId, IoReturn> {
        let gpu = Gpu::new(system.schedule());
        let device = gpu.plug_in();
        let description = ServiceDescription::dext(USER_CLASS, BUNDLE_ID);
        let driver = Arc::new(Self { pci: Mutex::default() });
        let service = system.publish_on(description, device.provider(), driver)?;
        if unplug == Unplug::WhenHung {
            let system = Arc::downgrade(system);
            gpu.when_hung(Box::new(move || {
                device.remove();
                if let Some(system) = system.upgrade() {
                    system.schedule().sleep(NOTICED_AFTER);
                    system.terminate(service);
                }
            }));
        }
        Ok(service)
    }

    /// The device, opened, so that it answers and may master the bus.
    fn open(provider: &Provider) -> Result<OsSharedPtr<PciDevice>, IoReturn> {
        let pci = PciDevice::from_provider(provider).map(OsSharedPtr::adopt);
        let pci = pci.ok_or(IoReturn::NO_DEVICE)?;
        pci.open().ok()?;
        let vendor = pci.configuration_read16(config_offset::VENDOR_ID);
        let device = pci.configuration_read16(config_offset::DEVICE_ID);
        os_log(format!("opened {vendor:04x}:{device:04x}"));
        let bits = command::MEMORY_SPACE | command::BUS_MASTER;
        let now = pci.configuration_read16(config_offset::COMMAND);
        pci.configuration_write16(config_offset::COMMAND, now | bits);
        Ok(pci)
    }
}

impl Service for PcieBarDriver {
    fn start(&self, provider: &Provider) -> IoReturn {
        let opened = Self::open(provider);
        IoReturn::from(opened.map(|pci| *lock(&self.pci) = Some(Arc::new(pci))))
    }

    fn stop(&self, _provider: &Provider) -> IoReturn {
        // The last reference closes the device; a client that is still there has one.
        drop(lock(&self.pci).take());
        IoReturn::SUCCESS
    }

    fn new_user_client(&self, _type: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        let pci = lock(&self.pci).clone().ok_or(IoReturn::NOT_READY)?;
        Ok(Some(Arc::new(BarUserClient { pci, prepared: Mutex::default() })))
    }
}

/// The user client.
#[derive(Debug)]
struct BarUserClient {
    pci: Arc<OsSharedPtr<PciDevice>>,
    /// What the device reaches for this client, and the descriptors that it is prepared with.
    prepared: Mutex<Vec<(OsSharedPtr<DmaCommand>, OsSharedPtr<MemoryDescriptor>)>>,
}

type Dispatch = UserClientMethodDispatch<BarUserClient>;

const READ_CONFIG: Dispatch = Dispatch {
    function: Some(BarUserClient::read_config),
    check_scalar_input_count: 2,
    check_scalar_output_count: 1,
    ..Dispatch::PLAIN
};

const WRITE_CONFIG: Dispatch = Dispatch {
    function: Some(BarUserClient::write_config),
    check_scalar_input_count: 3,
    ..Dispatch::PLAIN
};

const RESET: Dispatch = Dispatch { function: Some(BarUserClient::reset), ..Dispatch::PLAIN };

const PREPARE_DMA: Dispatch = Dispatch {
    function: Some(BarUserClient::prepare_dma),
    check_structure_output_size: u32::MAX,
    ..Dispatch::PLAIN
};

impl UserClient for BarUserClient {
    fn stop(&self, _provider: &Provider) -> IoReturn {
        // Before anything is released the device must no longer reach it.
        for (command, _) in lock(&self.prepared).drain(..) {
            let completed = command.complete_dma();
            debug_assert!(completed.is_success());
        }
        IoReturn::SUCCESS
    }

    fn external_method(
        &self,
        selector: u64,
        arguments: &mut ExternalMethodArguments<'_>,
    ) -> IoReturn {
        let dispatch = match u32::try_from(selector) {
            Ok(selector::READ_CONFIG) => &READ_CONFIG,
            Ok(selector::WRITE_CONFIG) => &WRITE_CONFIG,
            Ok(selector::RESET) => &RESET,
            Ok(selector::PREPARE_DMA) => &PREPARE_DMA,
            _ => return super_external_method::<Self>(selector, arguments, None, None),
        };
        super_external_method(selector, arguments, Some(dispatch), Some(self))
    }

    fn copy_client_memory_for_type(
        &self,
        memory_type: u64,
        _options: &mut u64,
        memory: &mut Option<MemoryDescriptor>,
    ) -> IoReturn {
        // The device's own descriptor: each copy of it is the same one to the kernel.
        let copied = u8::try_from(memory_type)
            .map_err(|_| IoReturn::BAD_ARGUMENT)
            .and_then(|bar| self.pci.bar_info(bar))
            .and_then(|info| self.pci.copy_device_memory_with_index(info.memory_index));
        IoReturn::from(copied.map(|copied| *memory = Some(copied)))
    }
}

impl BarUserClient {
    fn read_config(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let offset = scalar(arguments, 0);
        let value = match scalar(arguments, 1) {
            1 => u32::from(self.pci.configuration_read8(offset)),
            2 => u32::from(self.pci.configuration_read16(offset)),
            4 => self.pci.configuration_read32(offset),
            _ => return IoReturn::BAD_ARGUMENT,
        };
        arguments.scalar_output[0] = u64::from(value);
        IoReturn::SUCCESS
    }

    fn write_config(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let (offset, value) = (scalar(arguments, 0), scalar(arguments, 2));
        match scalar(arguments, 1) {
            1 => self.pci.configuration_write8(offset, value as u8),
            2 => self.pci.configuration_write16(offset, value as u16),
            4 => self.pci.configuration_write32(offset, value as u32),
            _ => return IoReturn::BAD_ARGUMENT,
        }
        IoReturn::SUCCESS
    }

    fn reset(&self, _arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let result = self.pci.reset(ResetType::Function);
        if result.is_success() {
            return result;
        }
        os_log("no reset of the function: resetting the link");
        self.pci.reset(ResetType::Hot)
    }

    fn prepare_dma(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        IoReturn::from(self.prepare(arguments))
    }

    fn prepare(&self, arguments: &ExternalMethodArguments<'_>) -> Result<(), IoReturn> {
        // In-line output has no memory of the client's behind it.
        let output = arguments.structure_output_descriptor.as_ref();
        let output = output.ok_or(IoReturn::BAD_ARGUMENT)?;
        // An output is prepared for the device to write; wrapped, it can be read, too.
        let sources = std::slice::from_ref(output);
        let whole = MemoryDescriptor::create_with_memory_descriptors(Direction::IN_OUT, sources)?;
        let whole = OsSharedPtr::adopt(whole);
        let command = OsSharedPtr::adopt(DmaCommand::create(&self.pci)?);
        let prepared = command.prepare_for_dma(&whole, 0, 0)?;
        if prepared.flags != Direction::IN_OUT {
            os_log("the device could not both read and write it");
            return Err(IoReturn::NOT_WRITABLE);
        }
        tell(output, &prepared)?;
        lock(&self.prepared).push((command, whole));
        Ok(())
    }
}

/// Writes the table of bus addresses to the head of the client's memory.
fn tell(output: &MemoryDescriptor, prepared: &Prepared) -> Result<(), IoReturn> {
    let map = output.create_mapping(MappingOptions::NONE, 0, 0, 0, 0).map(OsSharedPtr::adopt)?;
    let pairs = prepared.segments.iter().flat_map(|segment| [segment.address, segment.length]);
    let fits = |_: AccessError| IoReturn::NO_SPACE;
    for (index, word) in (0_u64..).zip(pairs.chain([0, 0])) {
        map.store::<u64>(index * 8, word).map_err(fits)?;
    }
    Ok(())
}
