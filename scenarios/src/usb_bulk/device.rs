//! The device: counts what it receives, sends what it is told to send.

use super::abi::{PACKET, sent_byte};
use dextape::driverkit::usb::{
    ControlData, Handshake, InPacket, OutPacket, SetupPacket, UsbDeviceModel,
};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Address of the bulk OUT endpoint.
pub(super) const OUT_ENDPOINT: u8 = 0x01;

/// Address of the bulk IN endpoint.
pub(super) const IN_ENDPOINT: u8 = 0x82;

/// Type of a vendor request that the host sends, and of one that asks for data.
pub(super) const VENDOR_OUT: u8 = 0x40;
pub(super) const VENDOR_IN: u8 = 0xc0;

/// Vendor requests; the value of `SEND` is how many bytes.
pub(super) mod request {
    pub(in super::super) const SEND: u8 = 0;
    pub(in super::super) const STALL: u8 = 1;
    pub(in super::super) const COUNTS: u8 = 2;
}

/// Length of the counts: packets, bytes and sum, 64 bits each, little-endian.
pub(super) const COUNTS_LENGTH: u16 = 24;

/// The device, with one bulk endpoint each way.
#[derive(Debug, Default)]
pub(super) struct BulkDevice {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    packets: u64,
    bytes: u64,
    sum: u64,
    /// The next packet that comes in is refused, and so is every other until the halt is cleared.
    halted: bool,
    /// Transfers to the host that are not over: bytes sent, and bytes to be sent.
    sending: VecDeque<(u64, u64)>,
}

impl BulkDevice {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UsbDeviceModel for BulkDevice {
    fn out_packet(&self, _endpoint: u8, packet: &OutPacket<'_>) -> Handshake {
        let mut state = self.state();
        if state.halted {
            return Handshake::Stall;
        }
        state.packets += 1;
        state.bytes += packet.len() as u64;
        state.sum += packet.to_vec().iter().map(|byte| u64::from(*byte)).sum::<u64>();
        Handshake::Ack
    }

    fn in_packet(&self, _endpoint: u8, packet: &mut InPacket<'_>) -> Handshake {
        let mut state = self.state();
        let Some((sent, length)) = state.sending.front_mut() else { return Handshake::Nak };
        let end = (*sent + u64::from(PACKET)).min(*length);
        packet.write(&(*sent..end).map(sent_byte).collect::<Vec<_>>());
        *sent = end;
        // The host ends a transfer when its buffer is full; a shorter one ends with a short packet,
        // which has no bytes where there are none to send at all.
        if end == *length {
            state.sending.pop_front();
        }
        Handshake::Ack
    }

    fn control(&self, setup: &SetupPacket, data: ControlData<'_, '_>) -> Handshake {
        let mut state = self.state();
        match (setup.bmRequestType, setup.bRequest, data) {
            (VENDOR_OUT, request::SEND, _) => {
                state.sending.push_back((0, u64::from(setup.wValue)));
                Handshake::Ack
            }
            (VENDOR_OUT, request::STALL, _) => {
                state.halted = true;
                Handshake::Ack
            }
            (VENDOR_IN, request::COUNTS, ControlData::In(packet)) => {
                for count in [state.packets, state.bytes, state.sum] {
                    packet.write(&count.to_le_bytes());
                }
                Handshake::Ack
            }
            _ => Handshake::Stall,
        }
    }

    fn clear_halt(&self, endpoint: u8) {
        if endpoint == OUT_ENDPOINT {
            self.state().halted = false;
        }
    }
}
