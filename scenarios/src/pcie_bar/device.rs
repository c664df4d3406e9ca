//! The device: two BARs, a doorbell, and three commands.

use super::abi::{IDENTITY, NO_RESULT, bar, command, event, fault, fill_byte, register};
use dextape::IoReturn;
use dextape::driverkit::DeviceTask;
use dextape::driverkit::pci::{
    DmaMaster, Iommu, MockPciDevice, PciBar, PciDescription, PciDeviceModel, ResetType,
};
use dextape::memory::{
    Backing, ComputedRegister, Doorbell, FifoRegister, PlainRegister, ReadToClear, RegisterFile,
    Registers, Width, WriteOneToClear,
};
use dextape::schedule::Schedule;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// What a command takes.
const WORK: Duration = Duration::from_nanos(250_500);

/// Bytes of the device's memory.
const VIDEO_SIZE: u64 = 0x1_0000;

/// Bytes that the device moves at once.
const BURST: u64 = 1024;

/// What happens when a command never ends.
pub(super) type OnHang = Box<dyn Fn() + Send + Sync>;

/// The device.
pub(super) struct Gpu {
    schedule: Schedule,
    dma: DmaMaster,
    events: Arc<ReadToClear>,
    faults: Arc<WriteOneToClear>,
    address: Arc<PlainRegister>,
    length: Arc<PlainRegister>,
    results: Arc<FifoRegister>,
    /// The command that the doorbell was rung with.
    asked: AtomicU64,
    on_hang: OnceLock<OnHang>,
    task: DeviceTask,
}

/// The device as its function on the bus.
struct Function(Arc<Gpu>);

impl Gpu {
    pub(super) fn new(schedule: &Schedule) -> Arc<Self> {
        Arc::new_cyclic(|gpu| Self {
            schedule: schedule.clone(),
            dma: DmaMaster::new(Iommu::Enforcing),
            events: Arc::default(),
            faults: Arc::default(),
            address: Arc::default(),
            length: Arc::default(),
            results: Arc::new(FifoRegister::new(16, u64::from(NO_RESULT))),
            asked: AtomicU64::new(0),
            on_hang: OnceLock::new(),
            task: DeviceTask::spawn(schedule, "gpu", gpu, Self::work),
        })
    }

    /// The device in its slot.
    pub(super) fn plug_in(self: &Arc<Self>) -> MockPciDevice {
        let mut description = PciDescription {
            vendor_id: 0x10de,
            device_id: 0x2504,
            subsystem_vendor_id: 0x1043,
            subsystem_id: 0x881d,
            revision_id: 0xa1,
            class_code: 0x03_0000,
            capabilities: vec![(0x01, vec![0; 6])],
            dma: Some(self.dma.clone()),
            ..PciDescription::default()
        };
        let registers = Registers::new(&self.schedule, 0x4000, self.registers());
        description.bars[bar::REGISTERS as usize] = Some(PciBar::memory32(registers));
        let video = Backing::new(VIDEO_SIZE);
        description.bars[bar::VIDEO as usize] = Some(PciBar::memory64_prefetchable(video));
        MockPciDevice::new(description, Function(Arc::clone(self)))
    }

    /// What happens when a command never ends.
    pub(super) fn when_hung(&self, what: OnHang) {
        // Set once, when the device is published.
        let _ = self.on_hang.set(what);
    }

    fn registers(self: &Arc<Self>) -> RegisterFile {
        let gpu = Arc::downgrade(self);
        let doorbell = Doorbell::new(move |command| {
            if let Some(gpu) = gpu.upgrade() {
                gpu.asked.store(command, Ordering::Relaxed);
                gpu.task.ring();
            }
        });
        RegisterFile::new()
            .with(register::IDENTITY, Width::Four, ComputedRegister::new(|| u64::from(IDENTITY)))
            .with(register::EVENTS, Width::Four, Arc::clone(&self.events))
            .with(register::FAULTS, Width::Four, Arc::clone(&self.faults))
            .with(register::DOORBELL, Width::Four, doorbell)
            .with(register::ADDRESS, Width::Eight, Arc::clone(&self.address))
            .with(register::LENGTH, Width::Four, Arc::clone(&self.length))
            .with(register::RESULT, Width::Four, Arc::clone(&self.results))
    }

    /// Does the command that was asked for, on the device's own task.
    fn work(&self) {
        let command = self.asked.swap(0, Ordering::Relaxed);
        self.schedule.sleep(WORK);
        match u32::try_from(command) {
            Ok(command::FILL) => self.fill(),
            Ok(command::SUM) => self.sum(),
            Ok(command::HANG) => {
                if let Some(what) = self.on_hang.get() {
                    what();
                }
                return;
            }
            _ => return,
        }
        self.events.raise(u64::from(event::DONE));
    }

    /// First address and length of each burst of the command.
    fn bursts(&self) -> impl Iterator<Item = (u64, u64)> {
        let (address, length) = (self.address.get(), self.length.get());
        let starts = (0..length).step_by(BURST as usize);
        starts.map(move |start| (address.wrapping_add(start), BURST.min(length - start)))
    }

    fn fill(&self) {
        let mut position = 0;
        for (address, length) in self.bursts() {
            let bytes: Vec<u8> = (position..position + length).map(fill_byte).collect();
            position += length;
            // A write is posted: the device never hears of one that reached nothing.
            let _posted = self.dma.write(address, &bytes);
            self.schedule.yield_now();
        }
    }

    fn sum(&self) {
        let (mut sum, mut count) = (0_u64, 0);
        for (address, length) in self.bursts() {
            let mut bytes = vec![0; length as usize];
            if self.dma.read(address, &mut bytes).is_err() {
                self.faults.raise(u64::from(fault::READ));
                break;
            }
            sum += bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
            count += length;
        }
        for word in [sum, count] {
            self.results.push(word & u64::from(u32::MAX));
        }
    }

    fn forget(&self) {
        self.asked.store(0, Ordering::Relaxed);
        for register in [&self.address, &self.length] {
            register.set(0);
        }
    }
}

impl PciDeviceModel for Function {
    /// It has no reset of its own function: the link has to be reset.
    fn reset(&self, kind: ResetType) -> IoReturn {
        if kind == ResetType::Function {
            return IoReturn::UNSUPPORTED;
        }
        self.0.forget();
        IoReturn::SUCCESS
    }
}

impl fmt::Debug for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gpu").field("dma", &self.dma).finish_non_exhaustive()
    }
}
