//! The configuration space.

use super::model::PciDescription;
use super::{command, config_offset};
use crate::memory::Width;

/// Bytes of a PCI Express configuration space.
const SIZE: usize = 4096;

/// Where the list of capabilities begins, behind the header.
const CAPABILITIES: usize = 0x40;

/// Bit of the status register: there is a list of capabilities.
const HAS_CAPABILITIES: u8 = 0x10;

/// Bits of the command register that can be written.
const COMMAND_BITS: u16 = 0x0547;

/// First address that is given to a BAR.
const BAR_BASE: u64 = 0x1_0000_0000;

/// Registers of a configuration space, and which of their bits can be written.
#[derive(Debug)]
pub(super) struct ConfigSpace {
    bytes: Vec<u8>,
    writable: Vec<u8>,
}

impl ConfigSpace {
    /// The space of a device that was just found: BARs have addresses, decoding and mastering are
    /// off.
    pub(super) fn new(description: &PciDescription) -> Self {
        let mut space = Self { bytes: vec![0; SIZE], writable: vec![0; SIZE] };
        let class = description.class_code.to_le_bytes();
        space.put(config_offset::VENDOR_ID, &description.vendor_id.to_le_bytes());
        space.put(config_offset::DEVICE_ID, &description.device_id.to_le_bytes());
        space.put(config_offset::REVISION_ID, &[description.revision_id]);
        space.put(config_offset::CLASS_CODE, &class[..3]);
        let subsystem = description.subsystem_vendor_id.to_le_bytes();
        space.put(config_offset::SUBSYSTEM_VENDOR_ID, &subsystem);
        space.put(config_offset::SUBSYSTEM_ID, &description.subsystem_id.to_le_bytes());
        space.allow(config_offset::COMMAND, &COMMAND_BITS.to_le_bytes());
        space.allow(config_offset::INTERRUPT_LINE, &[0xff]);
        space.bars(description);
        space.capabilities(description);
        space
    }

    fn bars(&mut self, description: &PciDescription) {
        let mut next = BAR_BASE;
        for (index, bar) in description.bars.iter().enumerate() {
            let Some(bar) = bar else { continue };
            let (at, size) = (config_offset::BASE_ADDRESS_0 + index as u64 * 4, bar.memory.size());
            // Addresses are multiples of the size, so a mask of the bits above it is what sizing finds.
            let address = next.next_multiple_of(size);
            next = address + size;
            let (address, mask) = (address | u64::from(bar.kind.bits()), !(size - 1));
            let width = if bar.kind.is_64() { 8 } else { 4 };
            self.put(at, &address.to_le_bytes()[..width]);
            self.allow(at, &mask.to_le_bytes()[..width]);
        }
    }

    fn capabilities(&mut self, description: &PciDescription) {
        let mut at = CAPABILITIES;
        let mut pointer = config_offset::CAPABILITIES_POINTER;
        for (id, body) in &description.capabilities {
            // What does not fit the first 256 bytes cannot be pointed at.
            let Ok(place) = u8::try_from(at) else { return };
            self.put(pointer, &[place]);
            self.bytes[config_offset::STATUS as usize] |= HAS_CAPABILITIES;
            self.put(at as u64, &[*id, 0]);
            self.put(at as u64 + 2, body);
            pointer = at as u64 + 1;
            at = (at + 2 + body.len()).next_multiple_of(4);
        }
    }

    fn put(&mut self, offset: u64, bytes: &[u8]) {
        let from = self.bytes.iter_mut().skip(offset as usize);
        from.zip(bytes).for_each(|(place, byte)| *place = *byte);
    }

    fn allow(&mut self, offset: u64, mask: &[u8]) {
        let from = self.writable.iter_mut().skip(offset as usize);
        from.zip(mask).for_each(|(place, byte)| *place |= *byte);
    }

    /// The value there; all ones outside the space or where the access is not aligned.
    pub(super) fn read(&self, offset: u64, width: Width) -> u32 {
        let Some(range) = range(offset, width) else { return u32::MAX };
        let mut word = [0; 4];
        word[..range.len()].copy_from_slice(&self.bytes[range]);
        u32::from_le_bytes(word)
    }

    /// Writes the bits that can be written; false outside the space or where it is not aligned.
    pub(super) fn write(&mut self, offset: u64, width: Width, value: u32) -> bool {
        let Some(range) = range(offset, width) else { return false };
        for (index, byte) in range.zip(value.to_le_bytes()) {
            let mask = self.writable[index];
            self.bytes[index] = self.bytes[index] & !mask | byte & mask;
        }
        true
    }

    /// The device itself changes a register.
    pub(super) fn set(&mut self, offset: u64, bytes: &[u8]) {
        self.put(offset, bytes);
    }

    /// A reset: the device neither answers nor masters until the driver says so again.
    pub(super) fn reset(&mut self) {
        self.put(config_offset::COMMAND, &[0, 0]);
    }

    pub(super) fn has(&self, bits: u16) -> bool {
        self.read(config_offset::COMMAND, Width::Two) as u16 & bits == bits
    }

    /// Offset of the capability of that id after `from`; of the first where `from` is 0.
    pub(super) fn find_capability(&self, id: u8, from: u64) -> Option<u64> {
        let first = self.read(config_offset::CAPABILITIES_POINTER, Width::One);
        let next_of = |at: u64| u64::from(self.read(at + 1, Width::One));
        let mut at = if from == 0 { u64::from(first) } else { next_of(from) };
        // A list that the device has tied into a loop ends, too.
        for _ in 0..64 {
            if at == 0 {
                return None;
            }
            if self.read(at, Width::One) == u32::from(id) {
                return Some(at);
            }
            at = next_of(at);
        }
        None
    }

    pub(super) fn decodes_memory(&self) -> bool {
        self.has(command::MEMORY_SPACE)
    }

    pub(super) fn masters(&self) -> bool {
        self.has(command::BUS_MASTER)
    }
}

fn range(offset: u64, width: Width) -> Option<std::ops::Range<usize>> {
    let fits = offset.checked_add(width.bytes()).is_some_and(|end| end <= SIZE as u64);
    let wide = width == Width::Eight;
    let aligned = offset.is_multiple_of(width.bytes());
    (fits && aligned && !wide).then(|| offset as usize..(offset + width.bytes()) as usize)
}
