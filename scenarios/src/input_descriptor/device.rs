//! The device: sends samples to a bus address and interrupts when it has.

use super::abi::sample;
use dextape::driverkit::pci::{DmaMaster, Iommu, MockPciDevice, PciBar, PciDescription};
use dextape::driverkit::{DeviceTask, InterruptLines, InterruptType};
use dextape::memory::{Doorbell, PlainRegister, RegisterFile, Registers, Width};
use dextape::schedule::Schedule;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Registers of BAR 0.
pub(super) mod register {
    /// Bus address, 64 bits.
    pub(in super::super) const ADDRESS: u64 = 0x00;
    /// Bytes.
    pub(in super::super) const LENGTH: u64 = 0x08;
    /// Begins a capture.
    pub(in super::super) const DOORBELL: u64 = 0x0c;
    /// Bytes of the last capture that the device has sent.
    pub(in super::super) const SENT: u64 = 0x10;
}

/// Its only interrupt.
pub(super) const INTERRUPT: u32 = 0;

/// What a capture takes.
const WORK: Duration = Duration::from_micros(300);

/// Bytes that the device moves at once.
const BURST: u64 = 512;

/// The device.
struct Sampler {
    schedule: Schedule,
    dma: DmaMaster,
    lines: InterruptLines,
    address: Arc<PlainRegister>,
    length: Arc<PlainRegister>,
    sent: Arc<PlainRegister>,
    task: DeviceTask,
}

/// The device in its slot, behind that kind of IOMMU.
pub(super) fn plug_in(schedule: &Schedule, iommu: Iommu) -> MockPciDevice {
    let dma = DmaMaster::new(iommu);
    let lines = InterruptLines::new(&[InterruptType::PCI_MESSAGED]);
    let sampler = Arc::new_cyclic(|sampler| Sampler {
        schedule: schedule.clone(),
        dma: dma.clone(),
        lines: lines.clone(),
        address: Arc::default(),
        length: Arc::default(),
        sent: Arc::default(),
        task: DeviceTask::spawn(schedule, "sampler", sampler, Sampler::capture),
    });
    let file = RegisterFile::new()
        .with(register::ADDRESS, Width::Eight, Arc::clone(&sampler.address))
        .with(register::LENGTH, Width::Four, Arc::clone(&sampler.length))
        .with(register::SENT, Width::Four, Arc::clone(&sampler.sent))
        .with(register::DOORBELL, Width::Four, Doorbell::new(move |_| sampler.task.ring()));
    let mut description = PciDescription {
        vendor_id: 0x1b21,
        device_id: 0x5a3b,
        class_code: 0x11_8000,
        interrupts: Some(lines),
        dma: Some(dma),
        ..PciDescription::default()
    };
    let registers = Registers::new(schedule, 0x1000, file);
    description.bars[0] = Some(PciBar::memory32(registers));
    MockPciDevice::new(description, ())
}

impl Sampler {
    fn capture(&self) {
        self.schedule.sleep(WORK);
        let (address, length) = (self.address.get(), self.length.get());
        for start in (0..length).step_by(BURST as usize) {
            let samples: Vec<u8> = (start..(start + BURST).min(length)).map(sample).collect();
            // A write is posted: the device never hears that it went nowhere.
            let _posted = self.dma.write(address.wrapping_add(start), &samples);
            self.schedule.yield_now();
        }
        self.sent.set(length);
        self.lines.raise(INTERRUPT);
    }
}

impl fmt::Debug for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sampler").field("dma", &self.dma).finish_non_exhaustive()
    }
}
