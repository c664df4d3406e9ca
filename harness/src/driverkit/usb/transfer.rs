//! One request on an endpoint, packet by packet.

use super::model::{ControlData, Handshake, InPacket, OutPacket, SetupPacket, UsbDeviceModel};
use crate::IoReturn;
use crate::driverkit::MemoryDescriptor;
use crate::driverkit::finding::Lint;
use crate::driverkit::object::sealed::Handle;
use crate::driverkit::process::Context;
use crate::memory::Memory;
use std::sync::Arc;
use std::time::Duration;

/// How a transfer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the status says whether the transfer worked"]
pub struct UsbTransfer {
    /// `kIOReturnSuccess`, also for a short packet; [`USB_PIPE_STALLED`](super::USB_PIPE_STALLED),
    /// `kIOReturnAborted` (also where the plug was pulled meanwhile), `kIOReturnTimeout`,
    /// `kIOReturnOverrun`, or what the request was refused with.
    pub status: IoReturn,
    /// Bytes that went over the bus, whatever the status.
    pub actual_byte_count: u32,
}

/// Memory of a transfer: that of a descriptor, held as long as the transfer needs it.
#[derive(Clone, Debug)]
pub(super) struct TransferMemory {
    store: Option<Arc<dyn Memory>>,
    start: u64,
    length: u32,
}

impl TransferMemory {
    /// The first `length` bytes of `descriptor`.
    #[track_caller]
    pub(super) fn new(
        descriptor: Option<&MemoryDescriptor>,
        length: u32,
        to_host: bool,
    ) -> Result<Self, IoReturn> {
        let Some(descriptor) = descriptor else {
            let nothing = Self { store: None, start: 0, length: 0 };
            return if length == 0 { Ok(nothing) } else { Err(IoReturn::BAD_ARGUMENT) };
        };
        if u64::from(length) > descriptor.length() {
            return Err(IoReturn::BAD_ARGUMENT);
        }
        if to_host && descriptor.is_input() {
            let message = "a device was to fill the structure input, which is read-only".to_owned();
            descriptor.header().report_as(Lint::InputWritten, Context::place(), message);
            return Err(IoReturn::NOT_WRITABLE);
        }
        // Where the client has nothing, the pages cannot be wired.
        let store = Some(descriptor.live().ok_or(IoReturn::VM_ERROR)?.clone());
        Ok(Self { store, start: descriptor.start(), length })
    }

    fn left(&self, done: u32) -> usize {
        // A length of 32 bits, and a usize of 64 on every machine that a dext runs on; where it is
        // smaller, packets are.
        usize::try_from(self.length.saturating_sub(done)).unwrap_or(usize::MAX)
    }
}

/// What a transfer does with each packet.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Out,
    In,
    Control(SetupPacket),
}

/// A request.
pub(super) struct Transfer {
    pub(super) kind: Kind,
    pub(super) memory: TransferMemory,
    pub(super) deadline: Option<Duration>,
    /// The endpoint's count of aborts when it was made.
    pub(super) epoch: u64,
}

/// What one packet came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// So many bytes more, and further packets follow.
    More(u32),
    /// So many bytes more, and the transfer is over.
    Last(u32),
    /// The device asks to be asked again.
    NotNow,
    Stalled,
    /// So many bytes more, and then too many.
    Overrun(u32),
}

impl Transfer {
    /// Does the next packet, after `done` bytes.
    pub(super) fn step(
        &self,
        model: &dyn UsbDeviceModel,
        endpoint: u8,
        maximum: u16,
        done: u32,
    ) -> Step {
        let store = self.memory.store.as_deref();
        let start = self.memory.start + u64::from(done);
        let left = self.memory.left(done);
        let maximum = usize::from(maximum);
        match self.kind {
            Kind::Out => {
                let packet = OutPacket::new(store, start, left.min(maximum));
                let count = packet.len();
                outcome(model.out_packet(endpoint, &packet), count, count == left)
            }
            Kind::In => {
                let mut packet = InPacket::new(store, start, left, maximum);
                let handshake = model.in_packet(endpoint, &mut packet);
                received(handshake, &packet, left)
            }
            Kind::Control(setup) if setup.is_in() => {
                let mut packet = InPacket::new(store, start, left, left);
                let handshake = model.control(&setup, ControlData::In(&mut packet));
                received(handshake, &packet, packet.arrived())
            }
            Kind::Control(setup) => {
                let packet = OutPacket::new(store, start, left);
                outcome(model.control(&setup, ControlData::Out(&packet)), left, true)
            }
        }
    }
}

fn received(handshake: Handshake, packet: &InPacket<'_>, left: usize) -> Step {
    let arrived = packet.arrived();
    if handshake == Handshake::Ack && packet.is_overrun() {
        return Step::Overrun(arrived as u32);
    }
    outcome(handshake, arrived, packet.is_short() || arrived == left)
}

fn outcome(handshake: Handshake, count: usize, last: bool) -> Step {
    // At most the length of the transfer, which has 32 bits.
    let count = count as u32;
    match handshake {
        Handshake::Ack if last => Step::Last(count),
        Handshake::Ack => Step::More(count),
        Handshake::Nak => Step::NotNow,
        Handshake::Stall => Step::Stalled,
    }
}
