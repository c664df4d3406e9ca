//! The device at the other end of the cable.

use super::endpoint::{Endpoint, UsbEndpoint};
use super::model::UsbDeviceModel;
use crate::driverkit::Provider;
use crate::schedule::Schedule;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock, Weak};

/// A device as its descriptors tell of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(non_snake_case, reason = "the USB specification's names")]
pub struct UsbDeviceDescription {
    /// Vendor.
    pub idVendor: u16,
    /// Product.
    pub idProduct: u16,
    /// Interfaces of its only configuration.
    pub interfaces: Vec<UsbInterfaceDescription>,
    /// String descriptors by index, from 1 on.
    pub strings: Vec<String>,
}

/// An interface as a device's descriptors tell of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(non_snake_case, reason = "the USB specification's names")]
pub struct UsbInterfaceDescription {
    /// Its number.
    pub bInterfaceNumber: u8,
    /// Its class.
    pub bInterfaceClass: u8,
    /// Its endpoints: those of alternate setting 0, which it begins with.
    pub endpoints: Vec<UsbEndpoint>,
    /// Endpoints of its other alternate settings, from 1 on.
    pub alternates: Vec<Vec<UsbEndpoint>>,
}

impl UsbInterfaceDescription {
    /// The endpoints of an alternate setting; `None` where it has no such setting.
    #[must_use]
    pub fn endpoints_of(&self, alternate: u8) -> Option<&[UsbEndpoint]> {
        match alternate {
            0 => Some(&self.endpoints),
            other => self.alternates.get(usize::from(other) - 1).map(Vec::as_slice),
        }
    }
}

/// Where an endpoint belongs: the place of its interface among the device's (`None` is the device
/// itself), the alternate setting, and the address.
type EndpointKey = (Option<usize>, u8, u8);

/// A device on the mock's bus. Cheap to clone; clones are the same device.
///
/// # Examples
///
/// ```
/// use dextape::driverkit::usb::{
///     Handshake, InPacket, MockUsbDevice, OutPacket, UsbDeviceDescription, UsbDeviceModel,
///     UsbEndpoint, UsbHostInterface, UsbInterfaceDescription,
/// };
/// use dextape::driverkit::{DextProcess, Direction, OsSharedPtr};
/// use dextape::schedule::Schedule;
/// use dextape::IoReturn;
/// use std::sync::Arc;
///
/// /// Takes what comes and answers with the number 7.
/// struct Seven;
///
/// impl UsbDeviceModel for Seven {
///     fn out_packet(&self, _endpoint: u8, _packet: &OutPacket<'_>) -> Handshake {
///         Handshake::Ack
///     }
///     fn in_packet(&self, _endpoint: u8, packet: &mut InPacket<'_>) -> Handshake {
///         packet.write(&[7]);
///         Handshake::Ack
///     }
/// }
///
/// let endpoints = vec![UsbEndpoint::bulk(0x02, 512), UsbEndpoint::bulk(0x81, 512)];
/// let interface = UsbInterfaceDescription { endpoints, ..Default::default() };
/// let description = UsbDeviceDescription { interfaces: vec![interface], ..Default::default() };
/// let schedule = Schedule::free();
/// let device = MockUsbDevice::new(&schedule, description, Arc::new(Seven));
///
/// // In the dext, whose provider this is:
/// let process = DextProcess::new("com.example.dext", &schedule);
/// let _inside = process.enter();
/// let provider = device.interface_provider(0).expect("the device has it");
/// let interface = UsbHostInterface::from_provider(&provider).map(OsSharedPtr::adopt);
/// let interface = interface.expect("the provider is one");
/// interface.open().ok()?;
/// let pipe = OsSharedPtr::adopt(interface.copy_pipe(0x81)?);
/// let buffer = OsSharedPtr::adopt(interface.create_io_buffer(Direction::IN, 512)?);
/// let transfer = pipe.io(Some(&buffer), 512, 0);
/// assert_eq!((transfer.status, transfer.actual_byte_count), (IoReturn::SUCCESS, 1));
/// assert_eq!(buffer.address_range().load::<u8>(0), Ok(7));
/// # Ok::<(), IoReturn>(())
/// ```
#[derive(Clone)]
pub struct MockUsbDevice {
    core: Arc<DeviceCore>,
}

pub(super) struct DeviceCore {
    description: UsbDeviceDescription,
    model: Arc<dyn UsbDeviceModel>,
    /// Endpoint 0 and those of the interfaces.
    endpoints: OnceLock<BTreeMap<EndpointKey, Arc<Endpoint>>>,
    /// The alternate setting of each interface.
    alternates: Vec<AtomicU8>,
    configuration: AtomicU8,
    opened: AtomicBool,
    opened_interfaces: Vec<AtomicBool>,
}

impl MockUsbDevice {
    /// A device whose transfers run on `schedule`. Of two endpoints of one interface and
    /// setting with the same address the later one counts.
    #[must_use]
    pub fn new(
        schedule: &Schedule,
        description: UsbDeviceDescription,
        model: Arc<dyn UsbDeviceModel>,
    ) -> Self {
        let mut endpoints = vec![((None, 0, 0), UsbEndpoint::bulk(0, 64))];
        for (index, interface) in description.interfaces.iter().enumerate() {
            for alternate in 0..=u8::MAX {
                let Some(listed) = interface.endpoints_of(alternate) else { break };
                let key = |endpoint: &UsbEndpoint| (Some(index), alternate, endpoint.address);
                endpoints.extend(listed.iter().map(|endpoint| (key(endpoint), *endpoint)));
            }
        }
        let opened_interfaces = description.interfaces.iter().map(|_| AtomicBool::new(false));
        let core = Arc::new(DeviceCore {
            opened_interfaces: opened_interfaces.collect(),
            alternates: description.interfaces.iter().map(|_| AtomicU8::new(0)).collect(),
            description,
            model: Arc::clone(&model),
            endpoints: OnceLock::new(),
            configuration: AtomicU8::new(1),
            opened: AtomicBool::new(false),
        });
        let made = endpoints.into_iter().map(|(key, endpoint)| {
            let device: Weak<DeviceCore> = Arc::downgrade(&core);
            let on_packet = Box::new(move || {
                if let Some(device) = device.upgrade() {
                    device.ready();
                }
            });
            let model = Arc::clone(&model);
            (key, Endpoint::new(schedule, endpoint, model, on_packet))
        });
        let made = core.endpoints.set(made.collect());
        debug_assert!(made.is_ok(), "the core is new");
        Self { core }
    }

    /// The device as what a driver is started on, an `IOUSBHostDevice`.
    #[must_use]
    pub fn provider(&self) -> Provider {
        Provider::with_object("IOUSBHostDevice", self.clone())
    }

    /// An interface as what a driver is started on, an `IOUSBHostInterface`; `None` where the device
    /// has no such interface.
    #[must_use]
    pub fn interface_provider(&self, number: u8) -> Option<Provider> {
        let nub = InterfaceNub::find(&self.core, number)?;
        Some(Provider::with_object("IOUSBHostInterface", nub))
    }

    /// The device has something to send or room to take something: what it did not take before is
    /// offered again. A packet that it takes has the same effect.
    pub fn ready(&self) {
        self.core.ready();
    }

    /// Pulls the plug: what is pending ends with `kIOReturnAborted`, and what comes later is refused with
    /// `kIOReturnNoDevice`.
    pub fn disconnect(&self) {
        for endpoint in self.core.endpoints() {
            endpoint.disconnect();
        }
    }

    pub(super) fn core(&self) -> &Arc<DeviceCore> {
        &self.core
    }
}

impl fmt::Debug for MockUsbDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockUsbDevice")
            .field("description", &self.core.description)
            .finish_non_exhaustive()
    }
}

impl DeviceCore {
    pub(super) fn description(&self) -> &UsbDeviceDescription {
        &self.description
    }

    /// The default endpoint.
    pub(super) fn control(&self) -> Option<&Arc<Endpoint>> {
        self.endpoint((None, 0, 0))
    }

    fn endpoint(&self, key: EndpointKey) -> Option<&Arc<Endpoint>> {
        self.endpoints.get().and_then(|endpoints| endpoints.get(&key))
    }

    pub(super) fn endpoints(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.endpoints.get().into_iter().flat_map(BTreeMap::values)
    }

    pub(super) fn configuration(&self) -> &AtomicU8 {
        &self.configuration
    }

    /// Whether somebody has the device open.
    pub(super) fn opened(&self) -> &AtomicBool {
        &self.opened
    }

    fn ready(&self) {
        for endpoint in self.endpoints() {
            endpoint.ready();
        }
    }
}

/// An interface before a driver has it.
#[derive(Clone)]
pub(super) struct InterfaceNub {
    device: Arc<DeviceCore>,
    /// Its place among the device's interfaces.
    index: usize,
}

impl InterfaceNub {
    pub(super) fn find(device: &Arc<DeviceCore>, number: u8) -> Option<Self> {
        let mut interfaces = device.description.interfaces.iter();
        let index = interfaces.position(|interface| interface.bInterfaceNumber == number)?;
        Some(Self { device: Arc::clone(device), index })
    }

    pub(super) fn device(&self) -> &Arc<DeviceCore> {
        &self.device
    }

    pub(super) fn description(&self) -> &UsbInterfaceDescription {
        &self.device.description.interfaces[self.index]
    }

    /// The alternate setting that it has now.
    pub(super) fn alternate(&self) -> u8 {
        self.device.alternates[self.index].load(Ordering::Acquire)
    }

    /// An endpoint of the present setting.
    pub(super) fn endpoint(&self, address: u8) -> Option<&Arc<Endpoint>> {
        self.device.endpoint((Some(self.index), self.alternate(), address))
    }

    /// The endpoints of the present setting.
    pub(super) fn endpoints(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        let listed = self.description().endpoints_of(self.alternate()).unwrap_or_default();
        listed.iter().filter_map(|endpoint| self.endpoint(endpoint.address))
    }

    /// Chooses another setting, which there is.
    pub(super) fn select(&self, alternate: u8) {
        self.device.alternates[self.index].store(alternate, Ordering::Release);
        self.device.model.alternate_selected(self.description().bInterfaceNumber, alternate);
    }

    /// Takes the interface for one driver; false where another has it.
    pub(super) fn take(&self) -> bool {
        !self.device.opened_interfaces[self.index].swap(true, Ordering::AcqRel)
    }

    pub(super) fn give_back(&self) {
        self.device.opened_interfaces[self.index].store(false, Ordering::Release);
    }
}
