//! Mapped memory as the recorder sees it: by comparison, at sync points and while the program waits.

use super::client::copy_from;
use super::quiet::Quiet;
use super::recorder::say;
use super::region::Region;
use super::watch;
use dextape::connection::Mapping;
use dextape::memory::{
    AccessError, Compared, Comparison, Found, Memory, RawReach, ScanSource, Sight, Update, Width,
};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time for what is beyond, at one sync point of one mapping.
const BUDGET: Duration = Duration::from_millis(1);

/// Memory of the dext at an address of this process. It is read by the kernel on our behalf, so that
/// nothing faults where another thread unmaps it meanwhile, and never written.
#[derive(Debug)]
pub(super) struct ClientPages {
    address: u64,
    size: u64,
    /// Known to be memory that a read does nothing to.
    ordinary: bool,
}

impl ClientPages {
    pub(super) fn new(address: u64, size: u64, ordinary: bool) -> Self {
        Self { address, size, ordinary }
    }
}

impl Memory for ClientPages {
    fn size(&self) -> u64 {
        self.size
    }

    fn is_read_only(&self) -> bool {
        false
    }

    fn raw_reach(&self) -> RawReach {
        if self.ordinary { RawReach::Copied } else { RawReach::Unknown }
    }

    fn load_word(&self, offset: u64, width: Width) -> Result<u64, AccessError> {
        let mut bytes = [0; 8];
        self.copy_out(offset, &mut bytes[..width.bytes() as usize])?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn store_word(&self, offset: u64, _width: Width, _value: u64) -> Result<(), AccessError> {
        Err(AccessError::ReadOnly { offset })
    }

    fn update_word(&self, offset: u64, _width: Width, _update: Update) -> Result<u64, AccessError> {
        Err(AccessError::ReadOnly { offset })
    }

    fn copy_out(&self, offset: u64, into: &mut [u8]) -> Result<(), AccessError> {
        let length = into.len() as u64;
        if offset.checked_add(length).is_none_or(|end| end > self.size) {
            return Err(AccessError::OutOfRange { offset, length, size: self.size });
        }
        // What may be device registers is never read for nothing; the sum is within the mapping.
        let there = self.ordinary && copy_from(self.address + offset, into);
        there.then_some(()).ok_or(AccessError::Unmapped { offset })
    }

    fn copy_in(&self, offset: u64, _bytes: &[u8]) -> Result<(), AccessError> {
        Err(AccessError::ReadOnly { offset })
    }
}

/// Where the bytes are looked at.
struct Source(u64);

impl ScanSource for Source {
    fn read(&mut self, offset: u64, into: &mut [u8]) -> bool {
        copy_from(self.0 + offset, into)
    }
}

/// A mapping that is looked at.
#[derive(Debug)]
struct Seen {
    mapping: Mapping,
    comparison: Comparison,
}

/// How a sync point looks.
#[derive(Clone, Copy, Debug)]
pub(super) enum At<'a> {
    /// The program runs: what has changed may be its own.
    Running,
    /// It waits in a call since this began.
    Quiet(&'a Quiet),
    /// The mapping may be gone after this: all of it is looked at.
    Last,
}

/// The mappings of a connection that are looked at, in the order of the maps.
#[derive(Debug, Default)]
pub(super) struct Shown(Mutex<Vec<Seen>>);

impl Shown {
    /// True where there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// A sync point: whatever has changed is told. What can be read no longer is forgotten.
    pub(super) fn look(&self, at: At<'_>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.is_empty() {
            watch::sync_point();
            all.retain_mut(|seen| seen.look(at).there);
        }
    }

    /// The sync point before a call, which may write so many bytes of the program's at an address, each
    /// of which may lie in a mapping. To be given back to [`leave`](Self::leave).
    pub(super) fn enter(&self, writes: impl IntoIterator<Item = (u64, u64)>) -> Option<Quiet> {
        if self.is_empty() {
            return None;
        }
        let own = writes.into_iter().any(|(start, length)| self.touches(start, length));
        // What the call itself writes into a mapping is not the dext's doing.
        let quiet = if own { None } else { Quiet::begin() };
        self.look(quiet.as_ref().map_or(At::Running, At::Quiet));
        quiet
    }

    /// The sync point after it.
    pub(super) fn leave(&self, quiet: Option<Quiet>) {
        self.look(quiet.as_ref().map_or(At::Running, At::Quiet));
    }

    /// As a sync point, where nobody else is at it. False where nothing had changed.
    pub(super) fn try_look(&self) -> bool {
        let Ok(mut all) = self.0.try_lock() else { return false };
        let mut changed = false;
        all.retain_mut(|seen| {
            let compared = seen.look(At::Running);
            changed |= compared.changed;
            compared.there
        });
        changed
    }

    /// A mapping has come; mapped again at the same place it is the same one (F11). `fresh` where
    /// nobody had that memory mapped.
    pub(super) fn add(&self, mapping: Mapping, region: Region, fresh: bool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let size = mapping.memory().size();
        let same = |known: &Seen| known.mapping.address() == mapping.address();
        if let Some(known) =
            all.iter_mut().find(|known| same(known) && known.comparison.size() == size)
        {
            known.mapping = mapping;
            return;
        }
        let fresh = fresh && !all.iter().any(same);
        all.retain(|known| !same(known));
        match Comparison::begin(&**mapping.memory(), fresh, region.read_only) {
            Ok(comparison) => all.push(Seen { mapping, comparison }),
            Err(reason) => say_uncaptured(&mapping, &reason),
        }
    }

    /// Where they are.
    pub(super) fn addresses(&self) -> Vec<u64> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|seen| seen.mapping.address()).collect()
    }

    /// True where so many bytes from `start` on share one with a mapping.
    pub(super) fn touches(&self, start: u64, length: u64) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let end = start.saturating_add(length);
        all.iter().any(|seen| {
            let from = seen.mapping.address();
            start < from.saturating_add(seen.comparison.size()) && from < end
        })
    }

    /// The client has unmapped what it says is at `address`. The kernel may have unmapped something
    /// else (F15); what is gone the next look finds out.
    pub(super) fn remove(&self, address: u64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|known| known.mapping.address() != address);
    }
}

/// What the client sees there is not recorded, and that is said on the tape and to whoever records.
pub(super) fn uncaptured(mapping: &Mapping, reason: &str) {
    mapping.memory().found(Found::Uncaptured { reason });
    say_uncaptured(mapping, reason);
}

fn say_uncaptured(mapping: &Mapping, reason: &str) {
    let memory_type = mapping.memory_type();
    say(&format!(
        "what the client sees of memory type {memory_type} is not recorded, or not all of it: {reason}"
    ));
}

impl Seen {
    fn look(&mut self, at: At<'_>) -> Compared {
        let Self { mapping, comparison } = self;
        let began = Instant::now();
        let quiet = match at {
            At::Quiet(quiet) => Some(quiet),
            At::Running | At::Last => None,
        };
        let sight = Sight {
            quiet: quiet.map(Quiet::period),
            lasts: &mut || quiet.is_some_and(Quiet::holds),
            whole: matches!(at, At::Last),
            time: &mut || began.elapsed() < BUDGET,
        };
        let mut source = Source(mapping.address());
        let compared = comparison.look(&**mapping.memory(), &mut source, sight);
        if let Some(reason) = &compared.uncaptured {
            say_uncaptured(mapping, reason);
        }
        compared
    }
}
