//! Single registers of the usual kinds.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One register of a [`RegisterFile`](super::RegisterFile). The device keeps an [`Arc`] of it, the
/// file another.
pub trait Register: Send + Sync + 'static {
    /// A program reads the register, whole or in part: what it holds, zero-extended.
    fn read(&self) -> u64;

    /// A program writes the bits of `value` that are set in `enabled`: all of the register's, or fewer
    /// where the access is narrower than the register.
    fn write(&self, value: u64, enabled: u64);
}

impl<R: Register + ?Sized> Register for Arc<R> {
    fn read(&self) -> u64 {
        (**self).read()
    }

    fn write(&self, value: u64, enabled: u64) {
        (**self).write(value, enabled);
    }
}

/// Holds what was written last, by either side.
#[derive(Debug, Default)]
pub struct PlainRegister(AtomicU64);

impl PlainRegister {
    /// A register that holds `value`.
    #[must_use]
    pub const fn new(value: u64) -> Self {
        Self(AtomicU64::new(value))
    }

    /// What it holds.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// The device sets it.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::SeqCst);
    }
}

impl Register for PlainRegister {
    fn read(&self) -> u64 {
        self.get()
    }

    fn write(&self, value: u64, enabled: u64) {
        let merge = |old| Some(old & !enabled | value & enabled);
        // The closure never declines.
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, merge);
    }
}

/// Bits that the device raises and a read clears, all at once. A read of a part clears all of them,
/// too. Writes do nothing.
#[derive(Debug, Default)]
pub struct ReadToClear(AtomicU64);

impl ReadToClear {
    /// A register without bits.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The device raises bits.
    pub fn raise(&self, bits: u64) {
        self.0.fetch_or(bits, Ordering::SeqCst);
    }

    /// The bits that are up; the device's look clears nothing.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Register for ReadToClear {
    fn read(&self) -> u64 {
        self.0.swap(0, Ordering::SeqCst)
    }

    fn write(&self, _value: u64, _enabled: u64) {}
}

/// Bits that the device raises and a program clears by writing ones to them.
#[derive(Debug, Default)]
pub struct WriteOneToClear(AtomicU64);

impl WriteOneToClear {
    /// A register without bits.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The device raises bits.
    pub fn raise(&self, bits: u64) {
        self.0.fetch_or(bits, Ordering::SeqCst);
    }

    /// The bits that are up.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Register for WriteOneToClear {
    fn read(&self) -> u64 {
        self.pending()
    }

    fn write(&self, value: u64, enabled: u64) {
        self.0.fetch_and(!(value & enabled), Ordering::SeqCst);
    }
}

/// A queue behind one register: a read takes the oldest word that the device has put in, a write adds
/// one for the device to take.
#[derive(Debug)]
pub struct FifoRegister {
    lines: Mutex<Lines>,
    depth: usize,
    empty: u64,
}

#[derive(Debug, Default)]
struct Lines {
    to_host: VecDeque<u64>,
    to_device: VecDeque<u64>,
    lost: u64,
}

impl FifoRegister {
    /// A queue of `depth` words each way; a read of an empty one gives `empty`. What does not fit is
    /// lost, and counted.
    #[must_use]
    pub fn new(depth: usize, empty: u64) -> Self {
        Self { lines: Mutex::default(), depth, empty }
    }

    /// The device puts a word in; false where it was lost.
    pub fn push(&self, word: u64) -> bool {
        let mut lines = self.lines();
        let fits = lines.to_host.len() < self.depth;
        if fits {
            lines.to_host.push_back(word);
        } else {
            lines.lost += 1;
        }
        fits
    }

    /// The device takes the oldest word that a program has written.
    #[must_use]
    pub fn take(&self) -> Option<u64> {
        self.lines().to_device.pop_front()
    }

    /// Words that wait to be read by a program.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lines().to_host.len()
    }

    /// Words of either side that did not fit.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lines().lost
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Register for FifoRegister {
    fn read(&self) -> u64 {
        self.lines().to_host.pop_front().unwrap_or(self.empty)
    }

    fn write(&self, value: u64, enabled: u64) {
        let mut lines = self.lines();
        if lines.to_device.len() < self.depth {
            lines.to_device.push_back(value & enabled);
        } else {
            lines.lost += 1;
        }
    }
}

/// A register whose writes call the device. Reads give 0.
pub struct Doorbell<F>(F);

impl<F: Fn(u64) + Send + Sync + 'static> Doorbell<F> {
    /// A doorbell that calls `ring` with each value written. It runs on the program's task and must
    /// not wait for it.
    #[must_use]
    pub const fn new(ring: F) -> Self {
        Self(ring)
    }
}

impl<F: Fn(u64) + Send + Sync + 'static> Register for Doorbell<F> {
    fn read(&self) -> u64 {
        0
    }

    fn write(&self, value: u64, enabled: u64) {
        (self.0)(value & enabled);
    }
}

impl<F> fmt::Debug for Doorbell<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Doorbell")
    }
}

/// A register whose reads ask the device. Writes do nothing.
pub struct ComputedRegister<F>(F);

impl<F: Fn() -> u64 + Send + Sync + 'static> ComputedRegister<F> {
    /// A register that gives what `value` gives at each read.
    #[must_use]
    pub const fn new(value: F) -> Self {
        Self(value)
    }
}

impl<F: Fn() -> u64 + Send + Sync + 'static> Register for ComputedRegister<F> {
    fn read(&self) -> u64 {
        (self.0)()
    }

    fn write(&self, _value: u64, _enabled: u64) {}
}

impl<F> fmt::Debug for ComputedRegister<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ComputedRegister")
    }
}
