//! Control requests, which a device and its interfaces share.

use super::device::DeviceCore;
use super::model::SetupPacket;
use super::transfer::{Kind, TransferMemory, UsbTransfer};
use crate::IoReturn;
use crate::driverkit::MemoryDescriptor;

/// A control request.
#[track_caller]
pub(super) fn request(
    device: &DeviceCore,
    setup: SetupPacket,
    data_buffer: Option<&MemoryDescriptor>,
    timeout_ms: u32,
) -> UsbTransfer {
    let prepared = TransferMemory::new(data_buffer, u32::from(setup.wLength), setup.is_in());
    match (prepared, device.control()) {
        (Ok(memory), Some(endpoint)) => {
            endpoint.submit_and_wait(Kind::Control(setup), memory, timeout_ms)
        }
        (Ok(_), None) => UsbTransfer { status: IoReturn::NO_DEVICE, actual_byte_count: 0 },
        (Err(status), _) => UsbTransfer { status, actual_byte_count: 0 },
    }
}
