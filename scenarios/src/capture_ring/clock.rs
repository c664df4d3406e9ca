//! The zero timestamp: two words that belong together, and a sequence that tells when they do not.
//!
//! The sequence is odd while they are written. Who reads them looks at it before and after, and reads
//! again where it was odd or has changed.

use super::abi::header;
use dextape::memory::{AccessError, Memory};
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

/// How often a reader tries.
const TRIES: u32 = 100;

/// When a packet came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ZeroTimestamp {
    /// The packet's number.
    pub(super) packet: u64,
    /// The host's time in nanoseconds.
    pub(super) time: u64,
}

/// Writes it; there is one writer.
pub(super) fn write(ring: &dyn Memory, packet: u32, time: Duration) -> Result<(), AccessError> {
    let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    ring.fetch_add::<u32>(header::CLOCK_SEQUENCE, 1)?;
    // Nobody sees the words below before the odd number.
    fence(Ordering::Release);
    ring.store::<u64>(header::CLOCK_PACKET, u64::from(packet))?;
    ring.store::<u64>(header::CLOCK_TIME, nanoseconds)?;
    ring.fetch_add::<u32>(header::CLOCK_SEQUENCE, 1)?;
    Ok(())
}

/// Reads it; `None` where there is none yet, or it is never found whole.
pub(super) fn read(ring: &dyn Memory) -> Result<Option<ZeroTimestamp>, AccessError> {
    for _ in 0..TRIES {
        let before = ring.load::<u32>(header::CLOCK_SEQUENCE)?;
        fence(Ordering::Acquire);
        let packet = ring.load(header::CLOCK_PACKET)?;
        let time = ring.load(header::CLOCK_TIME)?;
        fence(Ordering::Acquire);
        let after = ring.load::<u32>(header::CLOCK_SEQUENCE)?;
        if before == after && before.is_multiple_of(2) {
            return Ok((before > 0).then_some(ZeroTimestamp { packet, time }));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dextape::memory::Backing;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn a_clock_is_read_only_where_it_is_whole() {
        let backing = Backing::new(header::LENGTH);
        let ring: &dyn Memory = &*backing;
        assert_eq!(read(ring), Ok(None), "none yet");
        write(ring, 7, Duration::from_millis(8)).unwrap();
        let whole = ZeroTimestamp { packet: 7, time: 8_000_000 };
        assert_eq!(read(ring), Ok(Some(whole)));
        ring.fetch_add::<u32>(header::CLOCK_SEQUENCE, 1).unwrap();
        ring.store::<u64>(header::CLOCK_PACKET, 9).unwrap();
        assert_eq!(read(ring), Ok(None), "it is being written");
    }

    /// A writer that never rests: what is read belongs together all the same.
    #[test]
    fn number_and_time_belong_together() {
        let backing = Backing::new(header::LENGTH);
        let (ring, done) = (&*backing as &dyn Memory, AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for packet in 1.. {
                    write(ring, packet, Duration::from_nanos(u64::from(packet) * 3)).unwrap();
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
            let mut found = Vec::new();
            for _ in 0..100_000 {
                found.extend(read(ring).unwrap());
            }
            // Before anything can fail: the writer would never rest.
            done.store(true, Ordering::Relaxed);
            assert!(found.len() > 1000, "only {} whole", found.len());
            for ZeroTimestamp { packet, time } in &found {
                assert_eq!(*time, packet * 3);
            }
            assert!(found.is_sorted_by_key(|clock| clock.packet));
        });
    }
}
