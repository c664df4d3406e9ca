//! `IOUSBHostDevice`.

use super::device::{DeviceCore, InterfaceNub, MockUsbDevice, UsbDeviceDescription};
use super::interface::UsbHostInterface;
use super::model::SetupPacket;
use super::request::request;
use super::transfer::UsbTransfer;
use crate::IoReturn;
use crate::driverkit::object::{Object, Payload, handle};
use crate::driverkit::{MemoryDescriptor, Provider};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A device, as a driver has it.
#[derive(Clone, Debug)]
#[doc(alias = "IOUSBHostDevice")]
pub struct UsbHostDevice {
    object: Arc<Object<DevicePayload>>,
}

pub(crate) struct DevicePayload {
    device: Arc<DeviceCore>,
    open: AtomicBool,
}

impl Payload for DevicePayload {
    const CLASS: &'static str = "IOUSBHostDevice";

    fn freed(&self) {
        self.close();
    }
}

impl DevicePayload {
    /// False where it was not open.
    fn close(&self) -> bool {
        let was_open = self.open.swap(false, Ordering::AcqRel);
        if was_open {
            self.device.opened().store(false, Ordering::Release);
        }
        was_open
    }
}

handle!(UsbHostDevice, DevicePayload);

impl UsbHostDevice {
    /// The provider as a device, with one reference; `None` where it is something else.
    ///
    /// # Panics
    ///
    /// Where the thread works for no dext process.
    #[track_caller]
    #[doc(alias = "OSDynamicCast")]
    pub fn from_provider(provider: &Provider) -> Option<Self> {
        let device = Arc::clone(provider.downcast::<MockUsbDevice>()?.core());
        let payload = DevicePayload { device, open: AtomicBool::new(false) };
        Some(Self { object: Object::create(payload) })
    }

    /// The device as its descriptors tell of it.
    #[must_use]
    #[doc(alias = "CopyDeviceDescriptor")]
    pub fn descriptor(&self) -> &UsbDeviceDescription {
        self.device().description()
    }

    /// A string descriptor by its index; `None` where the device has none such. The mock's devices have
    /// each string in one language.
    #[must_use]
    #[track_caller]
    #[doc(alias = "CopyStringDescriptor")]
    pub fn copy_string_descriptor(&self, index: u8) -> Option<&str> {
        if !self.object.alive() {
            return None;
        }
        let index = usize::from(index).checked_sub(1)?;
        self.descriptor().strings.get(index).map(String::as_str)
    }

    /// Takes the device for this driver: `kIOReturnExclusiveAccess` where somebody has it.
    #[track_caller]
    #[doc(alias = "Open")]
    pub fn open(&self) -> IoReturn {
        if !self.object.alive() {
            return IoReturn::BAD_ARGUMENT;
        }
        if self.device().opened().swap(true, Ordering::AcqRel) {
            return IoReturn::EXCLUSIVE_ACCESS;
        }
        self.object.payload.open.store(true, Ordering::Release);
        IoReturn::SUCCESS
    }

    /// Gives the device back: `kIOReturnNotOpen` where it was not open.
    #[track_caller]
    #[doc(alias = "Close")]
    pub fn close(&self) -> IoReturn {
        if !self.object.alive() {
            IoReturn::BAD_ARGUMENT
        } else if self.object.payload.close() {
            IoReturn::SUCCESS
        } else {
            IoReturn::NOT_OPEN
        }
    }

    /// Chooses a configuration: the mock's devices have one, of value 1, and 0 is none.
    /// `kIOReturnNotOpen` where the device is not open, `kIOReturnNotFound` for any other value.
    #[track_caller]
    #[doc(alias = "SetConfiguration")]
    pub fn set_configuration(&self, value: u8) -> IoReturn {
        if !self.object.alive() {
            IoReturn::BAD_ARGUMENT
        } else if !self.object.payload.open.load(Ordering::Acquire) {
            IoReturn::NOT_OPEN
        } else if value > 1 {
            IoReturn::NOT_FOUND
        } else {
            self.device().configuration().store(value, Ordering::Release);
            IoReturn::SUCCESS
        }
    }

    /// The interfaces of the present configuration, each with one reference.
    ///
    /// # Errors
    ///
    /// `kIOReturnBadArgument` where the device is gone.
    #[track_caller]
    #[doc(alias = "CreateInterfaceIterator")]
    #[doc(alias = "CopyInterface")]
    pub fn copy_interfaces(&self) -> Result<Vec<UsbHostInterface>, IoReturn> {
        if !self.object.alive() {
            return Err(IoReturn::BAD_ARGUMENT);
        }
        if self.device().configuration().load(Ordering::Acquire) == 0 {
            return Ok(Vec::new());
        }
        let numbers = self.descriptor().interfaces.iter().map(|found| found.bInterfaceNumber);
        let mut interfaces = Vec::new();
        for number in numbers {
            if let Some(nub) = InterfaceNub::find(self.device(), number) {
                interfaces.push(UsbHostInterface::of(&nub));
            }
        }
        Ok(interfaces)
    }

    /// Does a control request on the default endpoint, and waits for it.
    #[track_caller]
    #[doc(alias = "DeviceRequest")]
    pub fn device_request(
        &self,
        setup: SetupPacket,
        data_buffer: Option<&MemoryDescriptor>,
        completion_timeout_ms: u32,
    ) -> UsbTransfer {
        if !self.object.alive() {
            return UsbTransfer { status: IoReturn::BAD_ARGUMENT, actual_byte_count: 0 };
        }
        request(self.device(), setup, data_buffer, completion_timeout_ms)
    }

    fn device(&self) -> &Arc<DeviceCore> {
        &self.object.payload.device
    }
}
