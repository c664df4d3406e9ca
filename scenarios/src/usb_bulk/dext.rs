//! The dext: a driver that has the interface, and a user client that moves buffers through its pipes.

use super::abi::{BUNDLE_ID, PACKET, USER_CLASS, device, endpoint, selector};
use super::device::{
    BulkDevice, COUNTS_LENGTH, IN_ENDPOINT, OUT_ENDPOINT, VENDOR_IN, VENDOR_OUT, request,
};
use crate::dext::{lock, scalar};
use dextape::IoReturn;
use dextape::call::ServiceId;
use dextape::connection::System;
use dextape::driverkit::usb::{
    AbortOption, MockUsbDevice, SetupPacket, UsbDeviceDescription, UsbEndpoint, UsbHostInterface,
    UsbHostPipe, UsbInterfaceDescription,
};
use dextape::driverkit::{
    Direction, DispatchQueue, ExternalMethodArguments, MemoryDescriptor, OsAction, OsObject,
    OsSharedPtr, Provider, Service, UserClient, UserClientMethodDispatch, async_completion, os_log,
    super_external_method,
};
use dextape::kernel::{MockSystem, ServiceDescription};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

/// What the dext does with a read whose output is too small to outlive the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmallReads {
    /// It refuses it: there is no memory of the client's to fill later.
    Refused,
    /// It begins it all the same, naively, into a buffer that the client never sees.
    Lost,
}

/// The driver of the interface; it serves one client at a time.
#[derive(Debug)]
pub struct UsbBulkDriver {
    small_reads: SmallReads,
    bus: Mutex<Option<Arc<Bus>>>,
    client: Mutex<Weak<BulkUserClient>>,
}

/// What the driver and its user client share: the interface and its pipes.
#[derive(Debug)]
struct Bus {
    interface: OsSharedPtr<UsbHostInterface>,
    out_pipe: OsSharedPtr<UsbHostPipe>,
    in_pipe: OsSharedPtr<UsbHostPipe>,
}

impl UsbBulkDriver {
    /// Publishes it on an interface of a device of its own.
    ///
    /// # Errors
    ///
    /// Those of [`MockSystem::publish`].
    pub fn publish(small_reads: SmallReads, system: &MockSystem) -> Result<ServiceId, IoReturn> {
        let packet = PACKET as u16;
        let endpoints =
            vec![UsbEndpoint::bulk(OUT_ENDPOINT, packet), UsbEndpoint::bulk(IN_ENDPOINT, packet)];
        let interface = UsbInterfaceDescription { endpoints, ..UsbInterfaceDescription::default() };
        let description =
            UsbDeviceDescription { interfaces: vec![interface], ..UsbDeviceDescription::default() };
        let model = Arc::new(BulkDevice::default());
        let device = MockUsbDevice::new(system.schedule(), description, model);
        let provider = device.interface_provider(0).ok_or(IoReturn::NO_DEVICE)?;
        let driver = Self { small_reads, bus: Mutex::default(), client: Mutex::default() };
        let description = ServiceDescription::dext(USER_CLASS, BUNDLE_ID);
        system.publish_on(description, provider, Arc::new(driver))
    }
}

impl Bus {
    fn open(provider: &Provider) -> Result<Self, IoReturn> {
        let interface = UsbHostInterface::from_provider(provider).ok_or(IoReturn::NO_DEVICE)?;
        let interface = OsSharedPtr::adopt(interface);
        interface.open().ok()?;
        let pipe = |address| interface.copy_pipe(address).map(OsSharedPtr::adopt);
        match (pipe(OUT_ENDPOINT), pipe(IN_ENDPOINT)) {
            (Ok(out_pipe), Ok(in_pipe)) => Ok(Self { interface, out_pipe, in_pipe }),
            (Err(result), _) | (_, Err(result)) => {
                let closed = interface.close();
                debug_assert!(closed.is_success());
                Err(result)
            }
        }
    }

    fn pipe(&self, endpoint: u64) -> Result<&UsbHostPipe, IoReturn> {
        match endpoint {
            endpoint::OUT => Ok(&self.out_pipe),
            endpoint::IN => Ok(&self.in_pipe),
            _ => Err(IoReturn::BAD_ARGUMENT),
        }
    }
}

impl Service for UsbBulkDriver {
    fn start(&self, provider: &Provider) -> IoReturn {
        IoReturn::from(Bus::open(provider).map(|bus| *lock(&self.bus) = Some(Arc::new(bus))))
    }

    fn stop(&self, _provider: &Provider) -> IoReturn {
        // Closing the interface aborts what is pending on its pipes.
        let bus = lock(&self.bus).take();
        bus.map_or(IoReturn::SUCCESS, |bus| bus.interface.close())
    }

    fn new_user_client(&self, _type: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        let bus = lock(&self.bus).clone().ok_or(IoReturn::NOT_READY)?;
        let mut present = lock(&self.client);
        if present.upgrade().is_some_and(|client| lock(&client.queue).is_some()) {
            return Err(IoReturn::EXCLUSIVE_ACCESS);
        }
        let client = Arc::new(BulkUserClient {
            bus,
            small_reads: self.small_reads,
            queue: Mutex::default(),
            copied: AtomicU64::new(0),
        });
        *present = Arc::downgrade(&client);
        Ok(Some(client))
    }
}

/// The user client.
#[derive(Debug)]
struct BulkUserClient {
    bus: Arc<Bus>,
    small_reads: SmallReads,
    /// Where transfers complete; there from start to stop.
    queue: Mutex<Option<OsSharedPtr<DispatchQueue>>>,
    /// Bytes that went through a buffer of the dext's.
    copied: AtomicU64,
}

type Dispatch = UserClientMethodDispatch<BulkUserClient>;

const WRITE: Dispatch = Dispatch {
    function: Some(BulkUserClient::write),
    check_completion_exists: 1,
    check_scalar_input_count: 1,
    check_structure_input_size: u32::MAX,
    ..Dispatch::PLAIN
};

const READ: Dispatch = Dispatch {
    function: Some(BulkUserClient::read),
    check_completion_exists: 1,
    check_scalar_input_count: 1,
    check_structure_output_size: u32::MAX,
    ..Dispatch::PLAIN
};

const ABORT: Dispatch = Dispatch {
    function: Some(BulkUserClient::abort),
    check_scalar_input_count: 1,
    ..Dispatch::PLAIN
};

const CLEAR_STALL: Dispatch = Dispatch {
    function: Some(BulkUserClient::clear_stall),
    check_scalar_input_count: 1,
    ..Dispatch::PLAIN
};

const DEVICE: Dispatch = Dispatch {
    function: Some(BulkUserClient::device),
    check_scalar_input_count: 2,
    ..Dispatch::PLAIN
};

const COUNTS: Dispatch = Dispatch {
    function: Some(BulkUserClient::counts),
    check_scalar_output_count: 4,
    ..Dispatch::PLAIN
};

impl UserClient for BulkUserClient {
    fn start(&self, _provider: &Provider) -> IoReturn {
        let made = DispatchQueue::create("UsbBulkUserClient").map(OsSharedPtr::adopt);
        IoReturn::from(made.map(|queue| *lock(&self.queue) = Some(queue)))
    }

    fn stop(&self, _provider: &Provider) -> IoReturn {
        // What is pending belongs to this client, which is the only one. Its completions are still
        // fired on the queue, which goes when they have been.
        for pipe in [&self.bus.out_pipe, &self.bus.in_pipe] {
            let aborted = pipe.abort(AbortOption::Synchronous, IoReturn::ABORTED);
            debug_assert!(aborted.is_success());
        }
        drop(lock(&self.queue).take());
        IoReturn::SUCCESS
    }

    fn external_method(
        &self,
        selector: u64,
        arguments: &mut ExternalMethodArguments<'_>,
    ) -> IoReturn {
        let dispatch = match u32::try_from(selector) {
            Ok(selector::WRITE) => &WRITE,
            Ok(selector::READ) => &READ,
            Ok(selector::ABORT) => &ABORT,
            Ok(selector::CLEAR_STALL) => &CLEAR_STALL,
            Ok(selector::DEVICE) => &DEVICE,
            Ok(selector::COUNTS) => &COUNTS,
            _ => return super_external_method::<Self>(selector, arguments, None, None),
        };
        super_external_method(selector, arguments, Some(dispatch), Some(self))
    }
}

impl BulkUserClient {
    fn write(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let begun = match (&arguments.structure_input, &arguments.structure_input_descriptor) {
            // The client's own memory goes to the pipe: nothing is copied.
            (None, Some(descriptor)) => self.begin(&self.bus.out_pipe, descriptor, arguments),
            (Some(data), _) => self
                .buffer_of(&data.bytes())
                .and_then(|buffer| self.begin(&self.bus.out_pipe, &buffer, arguments)),
            (None, None) => Err(IoReturn::BAD_ARGUMENT),
        };
        IoReturn::from(begun)
    }

    fn read(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let begun = match &arguments.structure_output_descriptor {
            Some(descriptor) => self.begin(&self.bus.in_pipe, descriptor, arguments),
            None => self.small_read(arguments),
        };
        IoReturn::from(begun)
    }

    /// A read whose output goes back in the reply of the call itself, so that it cannot be filled
    /// when the data comes.
    fn small_read(&self, arguments: &ExternalMethodArguments<'_>) -> Result<(), IoReturn> {
        let size = arguments.structure_output_maximum_size;
        if self.small_reads == SmallReads::Refused || size == 0 {
            os_log(format!("refused to read {size} bytes: the output ends with the call"));
            return Err(IoReturn::BAD_ARGUMENT);
        }
        let buffer = self.bus.interface.create_io_buffer(Direction::IN, size)?;
        self.begin(&self.bus.in_pipe, &OsSharedPtr::adopt(buffer), arguments)
    }

    /// A buffer that the device can reach, with these bytes.
    fn buffer_of(
        &self,
        bytes: &[u8],
    ) -> Result<OsSharedPtr<dextape::driverkit::BufferMemoryDescriptor>, IoReturn> {
        let length = bytes.len() as u64;
        let buffer = self.bus.interface.create_io_buffer(Direction::OUT, length)?;
        let buffer = OsSharedPtr::adopt(buffer);
        buffer.address_range().copy_in(0, bytes).map_err(|_| IoReturn::NO_MEMORY)?;
        self.copied.fetch_add(length, Ordering::Relaxed);
        Ok(buffer)
    }

    /// Begins a transfer of all of `memory`, which the pipe holds until it is over. The client's
    /// completion is retained until then.
    fn begin(
        &self,
        pipe: &UsbHostPipe,
        memory: &MemoryDescriptor,
        arguments: &ExternalMethodArguments<'_>,
    ) -> Result<(), IoReturn> {
        let completion = arguments.completion.as_ref().ok_or(IoReturn::BAD_ARGUMENT)?;
        let tag = scalar(arguments, 0);
        let length = u32::try_from(memory.length()).map_err(|_| IoReturn::BAD_ARGUMENT)?;
        let queue = lock(&self.queue).clone().ok_or(IoReturn::NOT_READY)?;
        let client = Mutex::new(Some(OsSharedPtr::retaining(completion)));
        let done = move |action: &OsAction, status, count: u32, _timestamp| {
            if let Some(client) = lock(&client).take() {
                async_completion(&client, status, &[tag, u64::from(count)]);
                // It is fired once; this was the reference from its making.
                action.release();
            }
        };
        let action = UsbHostPipe::create_action_complete_async_io(&queue, done);
        let begun = pipe.async_io(Some(memory), length, &action, 0).ok();
        if begun.is_err() {
            action.release();
        }
        begun
    }

    fn abort(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        match self.bus.pipe(scalar(arguments, 0)) {
            Ok(pipe) => pipe.abort(AbortOption::Asynchronous, IoReturn::ABORTED),
            Err(result) => result,
        }
    }

    fn clear_stall(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        match self.bus.pipe(scalar(arguments, 0)) {
            Ok(pipe) => pipe.clear_stall(true),
            Err(result) => result,
        }
    }

    fn device(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let (command, argument) = (scalar(arguments, 0), scalar(arguments, 1));
        let (request, value) = match (command, u16::try_from(argument)) {
            (device::SEND, Ok(value)) => (request::SEND, value),
            (device::STALL, Ok(value)) => (request::STALL, value),
            _ => return IoReturn::BAD_ARGUMENT,
        };
        let setup = SetupPacket {
            bmRequestType: VENDOR_OUT,
            bRequest: request,
            wValue: value,
            ..SetupPacket::default()
        };
        self.bus.interface.device_request(setup, None, 0).status
    }

    fn counts(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        IoReturn::from(self.read_counts(arguments))
    }

    fn read_counts(&self, arguments: &mut ExternalMethodArguments<'_>) -> Result<(), IoReturn> {
        let interface = &self.bus.interface;
        let buffer = interface.create_io_buffer(Direction::IN, u64::from(COUNTS_LENGTH))?;
        let buffer = OsSharedPtr::adopt(buffer);
        let setup = SetupPacket {
            bmRequestType: VENDOR_IN,
            bRequest: request::COUNTS,
            wLength: COUNTS_LENGTH,
            ..SetupPacket::default()
        };
        let transfer = interface.device_request(setup, Some(&buffer), 0);
        transfer.status.ok()?;
        if transfer.actual_byte_count != u32::from(COUNTS_LENGTH) {
            return Err(IoReturn::UNDERRUN);
        }
        let counts = buffer.address_range();
        for (index, offset) in (0..u64::from(COUNTS_LENGTH)).step_by(8).enumerate() {
            let count = counts.load::<u64>(offset).map_err(|_| IoReturn::VM_ERROR)?;
            arguments.scalar_output[index] = count;
        }
        arguments.scalar_output[3] = self.copied.load(Ordering::Relaxed);
        Ok(())
    }
}
