//! The memory that accesses go through.

use crate::memory::access::{check_range, check_word};
use crate::memory::{AccessError, Memory, Update, Width};
use crate::schedule::{Schedule, TimeMode};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Time of a read where nothing else was said: about that of a read across PCIe.
const READ_TIME: Duration = Duration::from_micros(1);

/// A device as its registers show it.
///
/// It is called outside any dext process, on the task that makes the access, and must not wait for
/// that task. Offsets and widths are those of the program, inside the memory and aligned.
pub trait RegisterModel: Send + Sync + 'static {
    /// A program reads. Bits beyond the width are dropped.
    fn read(&self, offset: u64, width: Width) -> u64;

    /// A program writes the low bits of `value`; the others are zero.
    fn write(&self, offset: u64, width: Width, value: u64);
}

/// Memory whose accesses run the code of a [`RegisterModel`].
///
/// # Examples
///
/// A status register that a read clears, and a doorbell:
///
/// ```
/// use dextape::memory::{Doorbell, Memory, ReadToClear, RegisterFile, Registers, Width};
/// use dextape::schedule::Schedule;
/// use std::sync::Arc;
///
/// let status = Arc::new(ReadToClear::new());
/// let raised = Arc::clone(&status);
/// let file = RegisterFile::new()
///     .with(0x00, Width::Four, status)
///     .with(0x04, Width::Four, Doorbell::new(move |work| raised.raise(work << 8)));
/// let registers = Registers::new(&Schedule::free(), 0x1000, file);
/// let memory: &dyn Memory = &*registers;
/// memory.store::<u32>(4, 3)?;
/// assert_eq!(memory.load::<u32>(0)?, 0x300);
/// assert_eq!(memory.load::<u32>(0)?, 0, "the read has cleared it");
/// # Ok::<(), dextape::memory::AccessError>(())
/// ```
pub struct Registers {
    schedule: Schedule,
    model: Box<dyn RegisterModel>,
    size: u64,
    bus_width: Width,
    read_time: Duration,
}

impl Registers {
    /// `size` bytes of registers on a bus of 32 bits, where a read takes a microsecond.
    #[must_use]
    pub fn new(schedule: &Schedule, size: u64, model: impl RegisterModel) -> Arc<Self> {
        Self::on_bus(schedule, size, model, Width::Four, READ_TIME)
    }

    /// As [`Registers::new`], with the width of the accesses that a bulk copy is made of, and the
    /// virtual time that a read takes in a simulated schedule. A write is posted: it takes none.
    #[must_use]
    pub fn on_bus(
        schedule: &Schedule,
        size: u64,
        model: impl RegisterModel,
        bus_width: Width,
        read_time: Duration,
    ) -> Arc<Self> {
        let (schedule, model) = (schedule.clone(), Box::new(model));
        Arc::new(Self { schedule, model, size, bus_width, read_time })
    }

    /// A read is on its way to the device and back.
    fn pass_read_time(&self) {
        if self.schedule.mode() == TimeMode::Simulated && !std::thread::panicking() {
            self.schedule.sleep(self.read_time);
        }
    }

    fn read(&self, offset: u64, width: Width) -> u64 {
        self.model.read(offset, width) & width.mask()
    }

    fn write(&self, offset: u64, width: Width, value: u64) {
        self.model.write(offset, width, value & width.mask());
    }

    /// Calls `access` with the place and width of each access of a bulk copy.
    fn for_each_access(&self, offset: u64, length: u64, mut access: impl FnMut(u64, Width)) {
        let (end, bus) = (offset + length, self.bus_width.bytes());
        let mut at = offset;
        while at < end {
            let whole = at.is_multiple_of(bus) && end - at >= bus;
            let width = if whole { self.bus_width } else { Width::One };
            access(at, width);
            at += width.bytes();
        }
    }
}

impl Memory for Registers {
    fn size(&self) -> u64 {
        self.size
    }

    fn is_registers(&self) -> bool {
        true
    }

    fn load_word(&self, offset: u64, width: Width) -> Result<u64, AccessError> {
        check_word(offset, width, self.size)?;
        self.pass_read_time();
        Ok(self.read(offset, width))
    }

    fn store_word(&self, offset: u64, width: Width, value: u64) -> Result<(), AccessError> {
        check_word(offset, width, self.size)?;
        self.schedule.yield_now();
        self.write(offset, width, value);
        Ok(())
    }

    fn update_word(&self, offset: u64, width: Width, update: Update) -> Result<u64, AccessError> {
        check_word(offset, width, self.size)?;
        self.pass_read_time();
        let old = self.read(offset, width);
        let stores = match update {
            Update::CompareExchange { expected, .. } => old == expected & width.mask(),
            _ => true,
        };
        if stores {
            self.write(offset, width, update.apply(old, width));
        }
        Ok(old)
    }

    fn copy_out(&self, offset: u64, into: &mut [u8]) -> Result<(), AccessError> {
        check_range(offset, into.len() as u64, self.size)?;
        let mut rest = into;
        let length = rest.len() as u64;
        self.for_each_access(offset, length, |at, width| {
            self.pass_read_time();
            let word = self.read(at, width).to_le_bytes();
            let (part, behind) = std::mem::take(&mut rest).split_at_mut(width.bytes() as usize);
            part.copy_from_slice(&word[..part.len()]);
            rest = behind;
        });
        Ok(())
    }

    fn copy_in(&self, offset: u64, bytes: &[u8]) -> Result<(), AccessError> {
        check_range(offset, bytes.len() as u64, self.size)?;
        self.for_each_access(offset, bytes.len() as u64, |at, width| {
            let start = (at - offset) as usize;
            let mut word = [0; 8];
            let length = width.bytes() as usize;
            word[..length].copy_from_slice(&bytes[start..start + length]);
            self.schedule.yield_now();
            self.write(at, width, u64::from_le_bytes(word));
        });
        Ok(())
    }
}

impl fmt::Debug for Registers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registers").field("size", &self.size).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Read or write, offset, width, value.
    type Access = (char, u64, Width, u64);

    /// Notes each access; a read gives the number of accesses so far.
    #[derive(Clone, Default)]
    struct Noted(Arc<Mutex<Vec<Access>>>);

    impl RegisterModel for Noted {
        fn read(&self, offset: u64, width: Width) -> u64 {
            let mut noted = self.0.lock().unwrap();
            noted.push(('r', offset, width, 0));
            noted.len() as u64 | 0xabcd_0000_0000_0000
        }

        fn write(&self, offset: u64, width: Width, value: u64) {
            self.0.lock().unwrap().push(('w', offset, width, value));
        }
    }

    fn noted(bus: Width) -> (Noted, Arc<Registers>) {
        let noted = Noted::default();
        let schedule = Schedule::free();
        let registers =
            Registers::on_bus(&schedule, 64, noted.clone(), bus, Duration::from_micros(1));
        (noted, registers)
    }

    #[test]
    fn a_typed_access_reaches_the_model_once_with_its_own_width() {
        let (noted, registers) = noted(Width::Four);
        let memory: &dyn Memory = &*registers;
        assert_eq!(memory.load::<u8>(3), Ok(1), "bits beyond the width are dropped");
        assert_eq!(memory.load::<u16>(2), Ok(2));
        assert_eq!(memory.load::<u64>(8), Ok(0xabcd_0000_0000_0003));
        memory.store::<i16>(4, -1).unwrap();
        let seen = noted.0.lock().unwrap().clone();
        let expected = [
            ('r', 3, Width::One, 0),
            ('r', 2, Width::Two, 0),
            ('r', 8, Width::Eight, 0),
            ('w', 4, Width::Two, 0xffff),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn what_is_refused_never_reaches_the_model() {
        let (noted, registers) = noted(Width::Four);
        let memory: &dyn Memory = &*registers;
        assert_eq!(memory.load::<u32>(2), Err(AccessError::Unaligned { offset: 2, width: 4 }));
        let outside = AccessError::OutOfRange { offset: 60, length: 8, size: 64 };
        assert_eq!(memory.copy_in(60, &[0; 8]), Err(outside));
        assert_eq!(memory.copy_out(60, &mut [0; 8]), Err(outside));
        assert!(noted.0.lock().unwrap().is_empty());
    }

    #[test]
    fn a_bulk_copy_is_made_of_accesses_of_the_width_of_the_bus() {
        for (bus, expected) in [
            (Width::Four, vec![(3, 1), (4, 4), (8, 4), (12, 1)]),
            (Width::Eight, vec![(3, 1), (4, 1), (5, 1), (6, 1), (7, 1)]),
        ] {
            let (noted, registers) = noted(bus);
            let mut bytes = [0; 10];
            registers.copy_out(3, &mut bytes).unwrap();
            registers.copy_in(3, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]).unwrap();
            let seen = noted.0.lock().unwrap().clone();
            let (reads, writes) = seen.split_at(seen.len() / 2);
            let places = |accesses: &[Access]| -> Vec<_> {
                accesses.iter().map(|(_, offset, width, _)| (*offset, width.bytes())).collect()
            };
            assert_eq!(places(reads)[..expected.len()], expected);
            assert_eq!(places(reads), places(writes));
            // Each access got its own number, and the copy has them in order.
            let mut told = Vec::new();
            for (number, (_, width)) in places(reads).into_iter().enumerate() {
                told.extend_from_slice(&(number as u64 + 1).to_le_bytes()[..width.min(6) as usize]);
            }
            assert_eq!(bytes[..5], told[..5]);
            let first_word = writes.iter().find(|write| write.2 == Width::Four);
            if bus == Width::Four {
                assert_eq!(first_word.map(|write| write.3), Some(0x0504_0302));
            }
        }
    }

    #[test]
    fn an_update_is_a_read_and_a_write_and_a_failed_exchange_only_a_read() {
        let (noted, registers) = noted(Width::Four);
        let memory: &dyn Memory = &*registers;
        assert_eq!(memory.fetch_or::<u32>(4, 0x80), Ok(1));
        assert_eq!(memory.compare_exchange::<u32>(4, 7, 9), Ok(3));
        assert_eq!(memory.compare_exchange::<u32>(4, 4, 9), Ok(4));
        let seen: Vec<_> = noted.0.lock().unwrap().iter().map(|it| (it.0, it.3)).collect();
        assert_eq!(seen, [('r', 0), ('w', 0x81), ('r', 0), ('r', 0), ('w', 9)]);
    }

    #[test]
    fn a_loop_of_reads_lets_virtual_time_pass_and_other_tasks_run() {
        struct Clock(Schedule);
        impl RegisterModel for Clock {
            fn read(&self, _: u64, _: Width) -> u64 {
                self.0.now().as_micros() as u64
            }
            fn write(&self, _: u64, _: Width, _: u64) {}
        }
        let reads = Schedule::simulate(1, |schedule| {
            let registers = Registers::new(schedule, 8, Clock(schedule.clone()));
            let memory: &dyn Memory = &*registers;
            (1..1000).find(|_| memory.load::<u64>(0).unwrap() >= 50)
        });
        assert_eq!(reads, Some(50));
    }
}
