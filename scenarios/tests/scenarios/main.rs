//! What each scenario's client prints on the mock, written down from the rules it exercises.

/// AppleSMC from the built-in dump: every kind of line, writing, and a service that goes away.
mod smc;

/// Serial numbers planted in its keys, and what keeps them from leaving.
mod serials;

/// Apple's six selectors: alone, from several threads, and with the driver removed in mid-run.
mod null_driver;

/// A PCIe device: configuration, BARs, DMA, and its removal.
mod pcie_bar;

/// A buffer for the device to fill, as output and as input.
mod input_descriptor;

/// A buffer that both sides write, mapped rightly and naively.
mod shared_buffer;

/// Registers with side effects, recorded and replayed.
mod registers;

/// Transfers of every size, with a stall, an abort and a read that is too small.
mod usb_bulk;

/// Rings with a doorbell: used rightly, in all the wrong ways, and with a device that goes away.
mod nvme_rings;

/// Frames both ways, with the client's loop stopped and faults on the way.
mod hid_frames;

/// A stream in a ring: kept up with, overrun, and misread.
mod capture_ring;

/// Calls that wait inside the dext: beside each other, in each other's way, and when everything ends.
mod blocking_waits;

/// Interrupts in a page: none lost, late or lost by either side's mistake, and the end of all waits.
mod irq_page;

/// Commands that are polled for: in time, too late, and lost with the bus or the disk.
mod sbp2_commands;

/// The same seed gives the same run, and any seed the same output.
mod determinism;

/// Runs that no fixture can hold: services that go away, and real threads.
mod recorded;

/// Shared by the others.
#[path = "../tapes/mod.rs"]
mod tapes;

/// Shared by the others.
mod support;
