//! A copy of a ring at one moment, while others go on writing to it.
//!
//! Nobody is held up: the copy is made segment by segment, and afterwards the state that was saved last
//! says which of the segments were left all the while. What was recycled under the copy is in that state.

use super::layout::{HEADER_SIZE, SegmentHeader};
use super::ring::{Geometry, Ring, State};
use super::walk::{Piece, Walk};
use super::{Journal, JournalError};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{Ordering, fence};

/// How often a copy is begun again that the writers have overtaken, and a state read again that was being
/// saved.
const ATTEMPTS: u32 = 16;

/// How often a segment is copied again in which a record was being finished at that moment.
const AGAIN: u32 = 4;

impl Journal {
    /// Copies a ring into an empty file: the records whose append had returned when this was called, but for
    /// those that the ring gives up meanwhile. False for a journal that is no ring; nothing is copied then.
    ///
    /// Any thread may call it, at any time, also when the journal was finished. It takes as long as reading
    /// and writing the ring's bytes once.
    ///
    /// # Errors
    ///
    /// `Io` where the file cannot be read or written, and where the ring is written around faster than it can
    /// be copied.
    pub(crate) fn copy_ring(&self, to: &File) -> Result<bool, JournalError> {
        let Some(geometry) = self.geometry else { return Ok(false) };
        let failed = |source| JournalError::Io { action: "copy", path: self.path.clone(), source };
        to.set_len(geometry.file_size()).map_err(failed)?;
        for _ in 0..ATTEMPTS {
            if self.copy_once(geometry, to).map_err(failed)? {
                return Ok(true);
            }
        }
        Err(failed(io::Error::other(
            "the ring is written around faster than it can be copied; record with a larger one",
        )))
    }

    /// False where nothing of the copy holds any more.
    fn copy_once(&self, geometry: Geometry, to: &File) -> io::Result<bool> {
        let size = u64::from(geometry.segment_size);
        let end = self.core.ground.frontier().head();
        let last = end / size;
        let mut bytes = vec![0; size as usize];
        for place in 0..u64::from(geometry.places) {
            let at = place * size;
            self.file.read_exact_at(&mut bytes[..HEADER_SIZE], at)?;
            let header = SegmentHeader::decode(&bytes[..HEADER_SIZE]);
            let Some(number) = header.ok().map(|header| header.number).filter(|it| *it <= last)
            else {
                // Made ahead, never used, or recycled at this moment.
                to.write_all_at(&[0; HEADER_SIZE], at)?;
                continue;
            };
            for _ in 0..AGAIN {
                self.file.read_exact_at(&mut bytes, at)?;
                if number == last {
                    // Nothing that was begun later.
                    bytes[(end % size) as usize..].fill(0);
                }
                if number + 2 < last || !is_torn(number, &bytes) {
                    break;
                }
            }
            to.write_all_at(&bytes, at)?;
        }
        fence(Ordering::SeqCst);
        let oldest = self.core.ground.ring().map_or(0, Ring::oldest);
        let mut saved = vec![0; geometry.state_size as usize];
        for _ in 0..ATTEMPTS {
            let mut newest = None;
            for place in 0..2 {
                let at = geometry.states() + place * geometry.state_size;
                self.file.read_exact_at(&mut saved, at)?;
                // One that was being saved is whole for no reader of the copy either.
                to.write_all_at(&saved, at)?;
                newest = newest.max(State::decode(&saved).map(|state| state.oldest));
            }
            // An older one would call segments left that were recycled under the copy.
            if let Some(newest) = newest.filter(|newest| *newest >= oldest) {
                return Ok(newest <= last);
            }
        }
        Ok(false)
    }
}

/// True where a record was copied while it was being finished.
fn is_torn(number: u64, bytes: &[u8]) -> bool {
    let mut walk = Walk::new(number.saturating_mul(bytes.len() as u64), bytes.len());
    std::iter::from_fn(|| walk.next(bytes)).any(|piece| matches!(piece, Piece::Damage(_)))
}
