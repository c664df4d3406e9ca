//! `IOUSBHostInterface`.

use super::device::{InterfaceNub, UsbInterfaceDescription};
use super::model::SetupPacket;
use super::pipe::UsbHostPipe;
use super::request::request;
use super::transfer::UsbTransfer;
use crate::IoReturn;
use crate::driverkit::object::{Object, Payload, handle};
use crate::driverkit::{BufferMemoryDescriptor, Direction, MemoryDescriptor, Provider};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// An interface of a device, as a driver has it.
#[derive(Clone, Debug)]
#[doc(alias = "IOUSBHostInterface")]
pub struct UsbHostInterface {
    object: Arc<Object<InterfacePayload>>,
}

pub(crate) struct InterfacePayload {
    nub: InterfaceNub,
    open: AtomicBool,
}

impl Payload for InterfacePayload {
    const CLASS: &'static str = "IOUSBHostInterface";

    fn freed(&self) {
        self.close();
    }
}

impl InterfacePayload {
    /// Ends what is pending on its pipes; false where it was not open.
    fn close(&self) -> bool {
        let was_open = self.open.swap(false, Ordering::AcqRel);
        if was_open {
            for endpoint in self.nub.endpoints() {
                endpoint.abort(IoReturn::ABORTED, false);
            }
            self.nub.give_back();
        }
        was_open
    }
}

handle!(UsbHostInterface, InterfacePayload);

impl UsbHostInterface {
    /// The provider as an interface, with one reference; `None` where it is something else.
    ///
    /// # Panics
    ///
    /// Where the thread works for no dext process.
    #[track_caller]
    #[doc(alias = "OSDynamicCast")]
    pub fn from_provider(provider: &Provider) -> Option<Self> {
        provider.downcast::<InterfaceNub>().map(Self::of)
    }

    #[track_caller]
    pub(super) fn of(nub: &InterfaceNub) -> Self {
        let payload = InterfacePayload { nub: nub.clone(), open: AtomicBool::new(false) };
        Self { object: Object::create(payload) }
    }

    /// The interface as the device's descriptors tell of it.
    #[must_use]
    #[doc(alias = "GetInterfaceDescriptor")]
    pub fn descriptor(&self) -> &UsbInterfaceDescription {
        self.nub().description()
    }

    /// Takes the interface for this driver: `kIOReturnExclusiveAccess` where somebody has it.
    #[track_caller]
    #[doc(alias = "Open")]
    pub fn open(&self) -> IoReturn {
        if !self.object.alive() {
            IoReturn::BAD_ARGUMENT
        } else if self.nub().take() {
            self.object.payload.open.store(true, Ordering::Release);
            IoReturn::SUCCESS
        } else {
            IoReturn::EXCLUSIVE_ACCESS
        }
    }

    /// Gives the interface back; what is pending on its pipes is aborted. `kIOReturnNotOpen` where it
    /// was not open.
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

    /// The pipe of an endpoint of the present setting, with one reference.
    ///
    /// # Errors
    ///
    /// `kIOReturnNotOpen` where the interface is not open, `kIOReturnNotFound` where it has no such
    /// endpoint, `kIOReturnBadArgument` where it is gone.
    #[track_caller]
    #[doc(alias = "CopyPipe")]
    pub fn copy_pipe(&self, address: u8) -> Result<UsbHostPipe, IoReturn> {
        if !self.object.alive() {
            return Err(IoReturn::BAD_ARGUMENT);
        }
        if !self.object.payload.open.load(Ordering::Acquire) {
            return Err(IoReturn::NOT_OPEN);
        }
        self.nub().endpoint(address).map(UsbHostPipe::new).ok_or(IoReturn::NOT_FOUND)
    }

    /// Chooses an alternate setting: what is pending on the pipes of the present one is aborted and
    /// those pipes are closed, so that the endpoints of the new setting have to be asked for.
    /// `kIOReturnNotOpen` where the interface is not open, `kIOReturnNotFound` where it has no such
    /// setting; nothing has changed then.
    #[track_caller]
    #[doc(alias = "SelectAlternateSetting")]
    pub fn select_alternate_setting(&self, alternate: u8) -> IoReturn {
        if !self.object.alive() {
            return IoReturn::BAD_ARGUMENT;
        }
        if !self.object.payload.open.load(Ordering::Acquire) {
            return IoReturn::NOT_OPEN;
        }
        let nub = self.nub();
        if nub.description().endpoints_of(alternate).is_none() {
            return IoReturn::NOT_FOUND;
        }
        for endpoint in nub.endpoints() {
            endpoint.close();
        }
        nub.select(alternate);
        IoReturn::SUCCESS
    }

    /// The alternate setting that the interface has now.
    #[must_use]
    pub fn alternate_setting(&self) -> u8 {
        self.nub().alternate()
    }

    /// A buffer that the device can reach, with one reference.
    ///
    /// # Errors
    ///
    /// As [`BufferMemoryDescriptor::create`].
    #[track_caller]
    #[doc(alias = "CreateIOBuffer")]
    pub fn create_io_buffer(
        &self,
        direction: Direction,
        capacity: u64,
    ) -> Result<BufferMemoryDescriptor, IoReturn> {
        if !self.object.alive() {
            return Err(IoReturn::BAD_ARGUMENT);
        }
        BufferMemoryDescriptor::create(direction, capacity, 0)
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
        request(self.nub().device(), setup, data_buffer, completion_timeout_ms)
    }

    fn nub(&self) -> &InterfaceNub {
        &self.object.payload.nub
    }
}
