//! PCIDriverKit: a device's configuration space, BARs, interrupts and DMA under DriverKit's names, and
//! the device behind them as a model in Rust.
//!
//! A test makes a [`MockPciDevice`] of a [`PciDescription`] and a [`PciDeviceModel`] and hands its
//! provider to the dext; the dext finds a [`PciDevice`] in it and does the rest as on a Mac. The device
//! reaches memory through a [`DmaMaster`], by the bus addresses that a [`DmaCommand`] gave the driver,
//! and interrupts on [`InterruptLines`](super::InterruptLines).
//!
//! The results are those of the published IOPCIFamily and PCIDriverKit. Choices where they leave room
//! or would crash the dext: an access to a BAR beyond its end or of a device that is not open reads all
//! ones, and a write is dropped; so it is with memory space off in the command register, and with a
//! device that is gone.

mod bar;
mod config;
mod device;
mod dma;
mod iommu;
mod mock;
mod model;
#[cfg(test)]
mod tests;

pub use device::{BarInfo, PciDevice};
pub use dma::{DMA_SEGMENTS_MAX, DmaCommand, DmaSegment, Prepared};
pub use iommu::{DmaError, DmaMaster, Iommu};
pub use mock::MockPciDevice;
pub use model::{BarType, PciBar, PciDescription, PciDeviceModel, ResetType};

/// Offsets of the registers that every configuration space has.
pub mod config_offset {
    /// `kIOPCIConfigurationOffsetVendorID`, 16 bits.
    pub const VENDOR_ID: u64 = 0x00;
    /// `kIOPCIConfigurationOffsetDeviceID`, 16 bits.
    pub const DEVICE_ID: u64 = 0x02;
    /// `kIOPCIConfigurationOffsetCommand`, 16 bits.
    pub const COMMAND: u64 = 0x04;
    /// `kIOPCIConfigurationOffsetStatus`, 16 bits.
    pub const STATUS: u64 = 0x06;
    /// `kIOPCIConfigurationOffsetRevisionID`, 8 bits.
    pub const REVISION_ID: u64 = 0x08;
    /// `kIOPCIConfigurationOffsetClassCode`, 24 bits.
    pub const CLASS_CODE: u64 = 0x09;
    /// `kIOPCIConfigurationOffsetBaseAddress0`, 32 bits; five more follow.
    pub const BASE_ADDRESS_0: u64 = 0x10;
    /// `kIOPCIConfigurationOffsetSubSystemVendorID`, 16 bits.
    pub const SUBSYSTEM_VENDOR_ID: u64 = 0x2c;
    /// `kIOPCIConfigurationOffsetSubSystemID`, 16 bits.
    pub const SUBSYSTEM_ID: u64 = 0x2e;
    /// `kIOPCIConfigurationOffsetCapabilitiesPtr`, 8 bits.
    pub const CAPABILITIES_POINTER: u64 = 0x34;
    /// `kIOPCIConfigurationOffsetInterruptLine`, 8 bits.
    pub const INTERRUPT_LINE: u64 = 0x3c;
}

/// Bits of the command register.
pub mod command {
    /// `kIOPCICommandIOSpace`.
    pub const IO_SPACE: u16 = 0x0001;
    /// `kIOPCICommandMemorySpace`: the BARs answer.
    pub const MEMORY_SPACE: u16 = 0x0002;
    /// `kIOPCICommandBusMaster`: the device may reach memory.
    pub const BUS_MASTER: u16 = 0x0004;
    /// `kIOPCICommandInterruptDisable`: it does not interrupt by its pin.
    pub const INTERRUPT_DISABLE: u16 = 0x0400;
}
