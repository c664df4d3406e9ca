//! The device as it sees the bus: packets.

use crate::memory::Memory;
use std::fmt;

/// What a device answers to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// The packet is taken, or filled.
    Ack,
    /// Not now: the host asks again when the device is [ready](super::MockUsbDevice::ready), or has
    /// taken another packet.
    Nak,
    /// The endpoint is halted.
    Stall,
}

/// A device. Packets of one endpoint come one at a time and in order; endpoints are independent. It is
/// called outside any dext process.
///
/// # Examples
///
/// A device that takes everything and sends nothing:
///
/// ```
/// use dextape::driverkit::usb::{Handshake, InPacket, OutPacket, UsbDeviceModel};
///
/// struct Sink;
///
/// impl UsbDeviceModel for Sink {
///     fn out_packet(&self, _endpoint: u8, _packet: &OutPacket<'_>) -> Handshake {
///         Handshake::Ack
///     }
///
///     fn in_packet(&self, _endpoint: u8, _packet: &mut InPacket<'_>) -> Handshake {
///         Handshake::Nak
///     }
/// }
/// ```
pub trait UsbDeviceModel: Send + Sync + 'static {
    /// The host sends a packet, of length 0 to the endpoint's maximum.
    fn out_packet(&self, endpoint: u8, packet: &OutPacket<'_>) -> Handshake;

    /// The host asks for a packet. With [`Handshake::Ack`] what was written to it is sent: a packet
    /// shorter than the endpoint's maximum ends the transfer.
    fn in_packet(&self, endpoint: u8, packet: &mut InPacket<'_>) -> Handshake;

    /// A control request on the default endpoint. A stall refuses it and halts nothing.
    fn control(&self, setup: &SetupPacket, data: ControlData<'_, '_>) -> Handshake {
        let _ = (setup, data);
        Handshake::Stall
    }

    /// The host has chosen an alternate setting of an interface.
    fn alternate_selected(&self, interface: u8, alternate: u8) {
        let _ = (interface, alternate);
    }

    /// The host has cleared the halt of an endpoint with a request to the device.
    fn clear_halt(&self, endpoint: u8) {
        let _ = endpoint;
    }
}

/// The eight bytes of a control request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(non_snake_case, reason = "the USB specification's names")]
pub struct SetupPacket {
    /// Direction (bit 7: to the host), type and recipient.
    pub bmRequestType: u8,
    /// The request.
    pub bRequest: u8,
    /// Its value.
    pub wValue: u16,
    /// Its index.
    pub wIndex: u16,
    /// Bytes of data that go with it.
    pub wLength: u16,
}

impl SetupPacket {
    /// True where the data goes to the host.
    #[must_use]
    pub const fn is_in(&self) -> bool {
        self.bmRequestType & 0x80 != 0
    }
}

/// The data of a control request.
#[derive(Debug)]
pub enum ControlData<'packet, 'memory> {
    /// From the host, all of it.
    Out(&'packet OutPacket<'memory>),
    /// To the host, up to `wLength` bytes.
    In(&'packet mut InPacket<'memory>),
}

/// Bytes of the host's memory on their way to the device.
pub struct OutPacket<'a> {
    /// `None` for a packet without data.
    store: Option<&'a dyn Memory>,
    start: u64,
    length: usize,
}

impl<'a> OutPacket<'a> {
    pub(super) fn new(store: Option<&'a dyn Memory>, start: u64, length: usize) -> Self {
        Self { store, start, length }
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// True for a packet of no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// A copy of the bytes.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.length];
        if let Some(store) = self.store {
            // The transfer has checked that the packet lies inside the memory.
            let copied = store.copy_out(self.start, &mut bytes);
            debug_assert!(copied.is_ok());
        }
        bytes
    }
}

impl fmt::Debug for OutPacket<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutPacket").field("length", &self.length).finish_non_exhaustive()
    }
}

/// Bytes of the host's memory that the device may fill.
pub struct InPacket<'a> {
    store: Option<&'a dyn Memory>,
    start: u64,
    /// Bytes of memory left, at most the packet's maximum.
    room: usize,
    maximum: usize,
    written: usize,
}

impl<'a> InPacket<'a> {
    pub(super) fn new(
        store: Option<&'a dyn Memory>,
        start: u64,
        room: usize,
        maximum: usize,
    ) -> Self {
        Self { store, start, room: room.min(maximum), maximum, written: 0 }
    }

    /// Bytes that a packet of the endpoint may have. The host may have room for less: what does not
    /// fit is lost, and the transfer ends with `kIOReturnOverrun`.
    #[must_use]
    pub fn maximum(&self) -> usize {
        self.maximum
    }

    /// Appends bytes to the packet.
    pub fn write(&mut self, bytes: &[u8]) {
        let fits = bytes.len().min(self.room.saturating_sub(self.written));
        if let (Some(store), Some(fitting)) = (self.store, bytes.get(..fits)) {
            // The transfer has checked that the packet lies inside the memory.
            let copied = store.copy_in(self.start + self.written as u64, fitting);
            debug_assert!(copied.is_ok());
        }
        self.written = self.written.saturating_add(bytes.len());
    }

    /// Bytes that arrived.
    pub(super) fn arrived(&self) -> usize {
        self.written.min(self.room)
    }

    pub(super) fn is_overrun(&self) -> bool {
        self.written > self.room
    }

    pub(super) fn is_short(&self) -> bool {
        self.written < self.maximum
    }
}

impl fmt::Debug for InPacket<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InPacket")
            .field("maximum", &self.maximum)
            .field("room", &self.room)
            .field("written", &self.written)
            .finish_non_exhaustive()
    }
}
