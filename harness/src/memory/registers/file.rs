//! A model put together from single registers.

use super::cells::Register;
use super::store::RegisterModel;
use crate::memory::Width;
use std::collections::BTreeMap;
use std::fmt;

/// Registers at their offsets.
///
/// An access that touches a register in part reads all of it (so a byte of a register that a read
/// clears clears it) and writes only the bytes it has. One that spans several touches each once, in
/// ascending order. Where no register is, reads give zeros and writes do nothing.
#[derive(Default)]
pub struct RegisterFile {
    registers: BTreeMap<u64, (Width, Box<dyn Register>)>,
}

impl RegisterFile {
    /// No registers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a register of `width` at `offset`.
    ///
    /// # Panics
    ///
    /// Where the offset is no multiple of the width, or another register is there.
    #[must_use]
    #[track_caller]
    pub fn with(mut self, offset: u64, width: Width, register: impl Register) -> Self {
        assert!(
            offset.is_multiple_of(width.bytes()),
            "failed to place a register of {} bytes at {offset:#x}: not a multiple of its width",
            width.bytes()
        );
        let end = offset.saturating_add(width.bytes());
        let before = self.registers.range(..end).next_back();
        let free =
            before.is_none_or(|(start, (width, _))| start.saturating_add(width.bytes()) <= offset);
        assert!(free, "failed to place a register at {offset:#x}: another one is there");
        self.registers.insert(offset, (width, Box::new(register)));
        self
    }

    /// The registers that an access of `width` at `offset` touches.
    fn touched(&self, offset: u64, width: Width) -> impl Iterator<Item = (Place, &dyn Register)> {
        let end = offset.saturating_add(width.bytes());
        // The widest register that can reach into the access begins 7 bytes before it.
        let nearby = self.registers.range(offset.saturating_sub(7)..end);
        nearby.filter_map(move |(start, (width, register))| {
            let reaches = start.saturating_add(width.bytes()) > offset;
            reaches.then_some((Place { start: *start, width: *width, offset }, &**register))
        })
    }
}

/// Where a register lies in an access.
#[derive(Clone, Copy)]
struct Place {
    start: u64,
    width: Width,
    /// Of the access.
    offset: u64,
}

impl Place {
    /// Bits of the register as the access has them.
    fn to_access(self, bits: u64) -> u64 {
        let bits = bits & self.width.mask();
        if self.start >= self.offset {
            bits << ((self.start - self.offset) * 8)
        } else {
            bits >> ((self.offset - self.start) * 8)
        }
    }

    /// Bits of the access as the register has them.
    fn to_register(self, bits: u64) -> u64 {
        let bits = if self.start >= self.offset {
            bits >> ((self.start - self.offset) * 8)
        } else {
            bits << ((self.offset - self.start) * 8)
        };
        bits & self.width.mask()
    }
}

impl RegisterModel for RegisterFile {
    fn read(&self, offset: u64, width: Width) -> u64 {
        let touched = self.touched(offset, width);
        let word =
            touched.fold(0, |word, (place, register)| word | place.to_access(register.read()));
        word & width.mask()
    }

    fn write(&self, offset: u64, width: Width, value: u64) {
        for (place, register) in self.touched(offset, width) {
            register.write(place.to_register(value), place.to_register(width.mask()));
        }
    }
}

impl fmt::Debug for RegisterFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.registers.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        ComputedRegister, Doorbell, FifoRegister, PlainRegister, ReadToClear, WriteOneToClear,
    };
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn narrow_accesses_touch_all_of_a_register_and_write_their_bytes() {
        let plain = Arc::new(PlainRegister::new(0x1122_3344));
        let cleared = Arc::new(ReadToClear::new());
        let file = RegisterFile::new().with(0, Width::Four, Arc::clone(&plain)).with(
            4,
            Width::Four,
            Arc::clone(&cleared),
        );
        file.write(1, Width::One, 0xee);
        assert_eq!(plain.get(), 0x1122_ee44);
        file.write(2, Width::Two, 0xaabb);
        assert_eq!(plain.get(), 0xaabb_ee44);
        assert_eq!(file.read(3, Width::One), 0xaa);

        cleared.raise(0x0101_0101);
        assert_eq!(file.read(6, Width::One), 1);
        assert_eq!(file.read(4, Width::Four), 0, "the byte has cleared all of it");
    }

    #[test]
    fn a_wide_access_touches_each_register_once() {
        let fifo = Arc::new(FifoRegister::new(4, 0xdead));
        let plain = Arc::new(PlainRegister::new(0x77));
        let file = RegisterFile::new().with(0, Width::Four, Arc::clone(&fifo)).with(
            6,
            Width::Two,
            Arc::clone(&plain),
        );
        assert!(fifo.push(1) && fifo.push(2));
        assert_eq!(file.read(0, Width::Eight), 0x0077_0000_0000_0001);
        assert_eq!(fifo.waiting(), 1);
        file.write(0, Width::Eight, 0x1234_ffff_0000_0005);
        assert_eq!((fifo.take(), fifo.take(), plain.get()), (Some(5), None, 0x1234));
    }

    #[test]
    fn each_kind_does_what_its_name_says() {
        let rung = Arc::new(Mutex::new(Vec::new()));
        let ringing = Arc::clone(&rung);
        let events = Arc::new(WriteOneToClear::new());
        let fifo = Arc::new(FifoRegister::new(2, 0xffff_ffff));
        let file = RegisterFile::new()
            .with(0x00, Width::Four, Arc::clone(&events))
            .with(0x04, Width::Four, Doorbell::new(move |it| ringing.lock().unwrap().push(it)))
            .with(0x08, Width::Eight, ComputedRegister::new(|| 42))
            .with(0x10, Width::Four, Arc::clone(&fifo));
        events.raise(0b1011);
        file.write(0, Width::Four, 0b0010);
        assert_eq!(file.read(0, Width::Four), 0b1001);
        file.write(0, Width::One, 0xff);
        assert_eq!(events.pending(), 0);

        file.write(4, Width::Four, 3);
        file.write(4, Width::Four, 3);
        assert_eq!(*rung.lock().unwrap(), [3, 3]);
        assert_eq!(file.read(4, Width::Four), 0);

        file.write(8, Width::Eight, 1);
        assert_eq!(file.read(8, Width::Eight), 42);

        assert!(fifo.push(7) && fifo.push(7));
        assert!(!fifo.push(7), "the third does not fit");
        assert_eq!(fifo.lost(), 1);
        let read: Vec<_> = (0..3).map(|_| file.read(0x10, Width::Four)).collect();
        assert_eq!(read, [7, 7, 0xffff_ffff]);
        assert_eq!(file.read(0x20, Width::Four), 0, "nothing is there");
    }

    #[test]
    #[should_panic(expected = "another one is there")]
    fn registers_do_not_overlap() {
        let _ = RegisterFile::new().with(0, Width::Eight, PlainRegister::default()).with(
            4,
            Width::Four,
            PlainRegister::default(),
        );
    }
}
