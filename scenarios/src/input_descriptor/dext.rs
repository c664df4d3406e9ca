//! The dext: prepares the client's buffer for the device, whichever structure it is, and completes when
//! the device interrupts.

use super::abi::{BUNDLE_ID, USER_CLASS, selector};
use super::device::{INTERRUPT, plug_in, register};
use crate::dext::{lock, scalar};
use dextape::IoReturn;
use dextape::call::ServiceId;
use dextape::connection::System;
use dextape::driverkit::pci::{DmaCommand, Iommu, PciDevice, command, config_offset};
use dextape::driverkit::{
    Direction, DispatchQueue, ExternalMethodArguments, InterruptDispatchSource, MemoryDescriptor,
    OsAction, OsSharedPtr, Provider, Service, UserClient, UserClientMethodDispatch,
    async_completion, os_log, super_external_method,
};
use dextape::kernel::{MockSystem, ServiceDescription};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Whether the dext looks at what the memory was prepared for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flags {
    /// It does not, as the one that this is modelled on did not.
    Ignored,
    /// It refuses memory that the device cannot write.
    Checked,
}

/// The driver.
#[derive(Debug)]
pub struct InputDescriptorDriver {
    flags: Flags,
    capture: Mutex<Option<Arc<Capture>>>,
    clients: AtomicU64,
}

impl InputDescriptorDriver {
    /// Publishes the driver on a device of its own.
    ///
    /// # Errors
    ///
    /// Those of [`MockSystem::publish`].
    pub fn publish(flags: Flags, iommu: Iommu, system: &MockSystem) -> Result<ServiceId, IoReturn> {
        let device = plug_in(system.schedule(), iommu);
        let description = ServiceDescription::dext(USER_CLASS, BUNDLE_ID);
        let driver = Self { flags, capture: Mutex::default(), clients: AtomicU64::new(0) };
        system.publish_on(description, device.provider(), Arc::new(driver))
    }
}

/// The device as the driver has it, and the one capture that is under way.
#[derive(Debug)]
struct Capture {
    flags: Flags,
    pci: OsSharedPtr<PciDevice>,
    source: OsSharedPtr<InterruptDispatchSource>,
    /// Where interrupts are handled.
    _queue: OsSharedPtr<DispatchQueue>,
    job: Mutex<Option<Job>>,
}

/// A capture that is under way.
#[derive(Debug)]
struct Job {
    client: u64,
    tag: u64,
    completion: OsSharedPtr<OsAction>,
    command: OsSharedPtr<DmaCommand>,
    /// The command holds it, too; a pointer of our own says what it is prepared with.
    _memory: OsSharedPtr<MemoryDescriptor>,
}

impl Capture {
    fn open(provider: &Provider, flags: Flags) -> Result<Arc<Self>, IoReturn> {
        let pci = PciDevice::from_provider(provider).map(OsSharedPtr::adopt);
        let pci = pci.ok_or(IoReturn::NO_DEVICE)?;
        pci.open().ok()?;
        let bits = command::MEMORY_SPACE | command::BUS_MASTER;
        pci.configuration_write16(config_offset::COMMAND, bits);
        let queue = OsSharedPtr::adopt(DispatchQueue::create("InputDescriptor")?);
        let source = InterruptDispatchSource::create(provider, INTERRUPT, &queue)?;
        let source = OsSharedPtr::adopt(source);
        let capture = Arc::new(Self { flags, pci, source, _queue: queue, job: Mutex::default() });
        let handler = Arc::downgrade(&capture);
        let action = OsAction::interrupt_occurred(move |_, _, _| {
            if let Some(capture) = handler.upgrade() {
                capture.done();
            }
        });
        // The source retains it.
        let action = OsSharedPtr::adopt(action);
        capture.source.set_handler(&action).ok()?;
        capture.source.set_enable(true).ok()?;
        Ok(capture)
    }

    fn begin(&self, client: u64, arguments: &ExternalMethodArguments<'_>) -> Result<(), IoReturn> {
        let completion = arguments.completion.as_ref().ok_or(IoReturn::BAD_ARGUMENT)?;
        let memory = buffer(arguments)?;
        let mut job = lock(&self.job);
        if job.is_some() {
            return Err(IoReturn::BUSY);
        }
        let command = OsSharedPtr::adopt(DmaCommand::create(&self.pci)?);
        let prepared = command.prepare_for_dma(&memory, 0, 0)?;
        let writable = prepared.flags.0 & Direction::IN.0 != 0;
        if self.flags == Flags::Checked && !writable {
            os_log("refused a buffer that the device cannot write");
            return Err(IoReturn::NOT_WRITABLE);
        }
        let segment = prepared.segments.first().ok_or(IoReturn::NO_SPACE)?;
        let length = u32::try_from(segment.length).map_err(|_| IoReturn::NO_SPACE)?;
        *job = Some(Job {
            client,
            tag: scalar(arguments, 0),
            completion: OsSharedPtr::retaining(completion),
            command,
            _memory: memory,
        });
        drop(job);
        self.pci.memory_write64(0, register::ADDRESS, segment.address);
        self.pci.memory_write32(0, register::LENGTH, length);
        self.pci.memory_write32(0, register::DOORBELL, 1);
        Ok(())
    }

    /// The device has interrupted.
    fn done(&self) {
        let sent = self.pci.memory_read32(0, register::SENT);
        if let Some(job) = lock(&self.job).take() {
            job.finish(IoReturn::SUCCESS, u64::from(sent));
        }
    }

    /// The client goes: what it has under way is over.
    fn abandon(&self, client: u64) {
        let job = lock(&self.job).take_if(|job| job.client == client);
        if let Some(job) = job {
            job.finish(IoReturn::ABORTED, 0);
        }
    }
}

impl Job {
    fn finish(self, status: IoReturn, bytes: u64) {
        let completed = self.command.complete_dma();
        debug_assert!(completed.is_success());
        async_completion(&self.completion, status, &[self.tag, bytes]);
    }
}

/// The client's buffer. Whichever structure it is, it comes as a descriptor; that one of them is for the
/// device to read only does not show here.
fn buffer(
    arguments: &ExternalMethodArguments<'_>,
) -> Result<OsSharedPtr<MemoryDescriptor>, IoReturn> {
    let given = arguments.structure_output_descriptor.as_ref();
    let given = given.or(arguments.structure_input_descriptor.as_ref());
    let given = given.ok_or(IoReturn::BAD_ARGUMENT)?;
    Ok(OsSharedPtr::retaining(given))
}

impl Service for InputDescriptorDriver {
    fn start(&self, provider: &Provider) -> IoReturn {
        let opened = Capture::open(provider, self.flags);
        IoReturn::from(opened.map(|capture| *lock(&self.capture) = Some(capture)))
    }

    fn stop(&self, _provider: &Provider) -> IoReturn {
        let Some(capture) = lock(&self.capture).take() else { return IoReturn::SUCCESS };
        capture.source.cancel(|| ())
    }

    fn new_user_client(&self, _type: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        let capture = lock(&self.capture).clone().ok_or(IoReturn::NOT_READY)?;
        let number = self.clients.fetch_add(1, Ordering::Relaxed);
        Ok(Some(Arc::new(CaptureUserClient { number, capture })))
    }
}

/// The user client.
#[derive(Debug)]
struct CaptureUserClient {
    number: u64,
    capture: Arc<Capture>,
}

type Dispatch = UserClientMethodDispatch<CaptureUserClient>;

const CAPTURE: Dispatch = Dispatch {
    function: Some(CaptureUserClient::capture),
    check_completion_exists: 1,
    check_scalar_input_count: 1,
    check_structure_input_size: u32::MAX,
    check_structure_output_size: u32::MAX,
    ..Dispatch::PLAIN
};

impl UserClient for CaptureUserClient {
    fn stop(&self, _provider: &Provider) -> IoReturn {
        self.capture.abandon(self.number);
        IoReturn::SUCCESS
    }

    fn external_method(
        &self,
        selector: u64,
        arguments: &mut ExternalMethodArguments<'_>,
    ) -> IoReturn {
        if selector == u64::from(selector::CAPTURE) {
            return super_external_method(selector, arguments, Some(&CAPTURE), Some(self));
        }
        super_external_method::<Self>(selector, arguments, None, None)
    }
}

impl CaptureUserClient {
    fn capture(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        IoReturn::from(self.capture.begin(self.number, arguments))
    }
}
