//! A reader that does not show the files of a zip before its directory has been read.

use std::io::{Read, Result, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Shows zeros in the place of the first bytes, until the [`Cover`] is lifted.
///
/// Where the directory at the end of a zip is broken, the reader of zips looks for another one in all that
/// stands before. Such a one may name millions of files, and each takes ten times its bytes in memory.
#[derive(Debug)]
pub(super) struct Covered<R> {
    reader: R,
    position: u64,
    until: Arc<AtomicU64>,
}

/// What lies over the first bytes.
#[derive(Debug)]
pub(super) struct Cover(Arc<AtomicU64>);

impl Cover {
    /// Shows everything.
    pub(super) fn lift(self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

impl<R: Read + Seek> Covered<R> {
    /// Covers the bytes before `until`.
    pub(super) fn new(mut reader: R, until: u64) -> Result<(Self, Cover)> {
        reader.rewind()?;
        let until = Arc::new(AtomicU64::new(until));
        let cover = Cover(until.clone());
        Ok((Self { reader, position: 0, until }, cover))
    }
}

impl<R: Read> Read for Covered<R> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        let count = self.reader.read(into)?;
        let covered = self.until.load(Ordering::Relaxed).saturating_sub(self.position);
        let covered = usize::try_from(covered).map_or(count, |covered| covered.min(count));
        into[..covered].fill(0);
        self.position += count as u64;
        Ok(count)
    }
}

impl<R: Seek> Seek for Covered<R> {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        self.position = self.reader.seek(to)?;
        Ok(self.position)
    }
}
