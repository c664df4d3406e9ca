//! USBDriverKit: a host's device, interfaces and pipes under DriverKit's names, and the device behind
//! them as a model that sees packets.
//!
//! A test makes a [`MockUsbDevice`] of a [`UsbDeviceModel`] and hands its provider to the dext; the
//! dext finds a [`UsbHostInterface`] in it and does the rest as on a Mac. Data goes straight between
//! the memory of a descriptor and the packets that the model sees.
//!
//! Choices where Apple's documentation leaves room: a buffer shorter than the length asked for is
//! `kIOReturnBadArgument`; a device that sends more than there is room for ends the transfer with
//! `kIOReturnOverrun` and halts the pipe; a timeout counts from the request and does not halt it; a
//! device that is pulled out ends what is pending with `kIOReturnAborted`, as programs see it on a Mac,
//! and refuses what comes later with `kIOReturnNoDevice`; a pipe of an alternate setting that the
//! interface has left is `kIOReturnNotOpen`.

mod device;
mod endpoint;
mod host_device;
mod interface;
mod model;
mod pipe;
mod request;
mod transfer;

pub use device::{MockUsbDevice, UsbDeviceDescription, UsbInterfaceDescription};
pub use endpoint::{UsbEndpoint, UsbEndpointKind};
pub use host_device::UsbHostDevice;
pub use interface::UsbHostInterface;
pub use model::{ControlData, Handshake, InPacket, OutPacket, SetupPacket, UsbDeviceModel};
pub use pipe::{AbortOption, UsbHostPipe};
pub use transfer::UsbTransfer;

use crate::IoReturn;

/// `kIOUSBPipeStalled`: the device answered with a stall, and the pipe is halted until
/// [`UsbHostPipe::clear_stall`].
#[doc(alias = "kIOUSBPipeStalled")]
pub const USB_PIPE_STALLED: IoReturn = IoReturn(0xe000_404f);

#[cfg(test)]
mod tests;
