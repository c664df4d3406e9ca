//! The memory behind a descriptor and its sub-descriptors.

use crate::IoReturn;
use crate::boundary::{Rules, bad_pointer};
use crate::limits::PAGE_SIZE;
use crate::memory::{Backing, JoinedMemory, Memory, Part};
use std::sync::{Arc, Mutex, PoisonError};

/// The memory behind a descriptor and its sub-descriptors.
pub(super) struct Store {
    kind: Kind,
    /// Where parts meet that do not end and begin with a page: no mapping reaches across.
    gaps: Vec<u64>,
}

enum Kind {
    /// Memory in one piece.
    Whole {
        live: Arc<dyn Memory>,
        /// For memory that is copied on write: the copy that the first mapping took (B5).
        snapshot: Option<Mutex<Option<Arc<dyn Memory>>>>,
    },
    /// Parts of others, one behind the other.
    Joined { live: Arc<dyn Memory>, parts: Vec<StorePart> },
    /// Addresses at which the client has nothing (B6).
    Nothing,
}

/// Some bytes of a store.
pub(super) struct StorePart {
    pub(super) store: Arc<Store>,
    pub(super) start: u64,
    pub(super) length: u64,
}

impl Store {
    pub(super) fn new(live: Arc<dyn Memory>, copy_on_write: bool) -> Self {
        let snapshot = copy_on_write.then(|| Mutex::new(None));
        Self { kind: Kind::Whole { live, snapshot }, gaps: Vec::new() }
    }

    pub(super) fn nothing() -> Self {
        Self { kind: Kind::Nothing, gaps: Vec::new() }
    }

    /// Parts one behind the other, and where the first byte of the first one is: as far into a page as
    /// it is there. `None` where there are more bytes than fit.
    pub(super) fn join(mut parts: Vec<StorePart>) -> Option<(Self, u64)> {
        let within = parts.first().map_or(0, |first| first.start % PAGE_SIZE);
        // Whole pages are mapped: what lies before the first byte and behind the last belongs to it.
        if let Some(first) = parts.first_mut() {
            first.start -= within;
            first.length += within;
        }
        if let Some(last) = parts.last_mut()
            && let Some(live) = last.store.live()
        {
            let end = last.start.checked_add(last.length)?;
            let pages = end.checked_next_multiple_of(PAGE_SIZE)?.min(live.size());
            last.length = pages.max(end) - last.start;
        }
        let mut gaps = Vec::new();
        let mut at = 0_u64;
        for pair in parts.windows(2) {
            let [before, after] = pair else { continue };
            at = at.checked_add(before.length)?;
            let ends = before.start.checked_add(before.length)?.is_multiple_of(PAGE_SIZE);
            if !ends || !after.start.is_multiple_of(PAGE_SIZE) {
                gaps.push(at);
            }
        }
        if parts.iter().any(|part| part.store.live().is_none()) {
            return Some((Self::nothing(), within));
        }
        let live = joined(&parts, |part| part.store.live().cloned())?;
        Some((Self { kind: Kind::Joined { live, parts }, gaps }, within))
    }

    /// The memory itself, as a device or the kernel sees it: never a snapshot.
    pub(super) fn live(&self) -> Option<&Arc<dyn Memory>> {
        match &self.kind {
            Kind::Whole { live, .. } | Kind::Joined { live, .. } => Some(live),
            Kind::Nothing => None,
        }
    }

    /// Whether `length` bytes at `start` are pages one behind the other.
    pub(super) fn is_mappable(&self, start: u64, length: u64) -> bool {
        let end = start.saturating_add(length);
        let own = !self.gaps.iter().any(|gap| start < *gap && *gap < end);
        match &self.kind {
            Kind::Whole { .. } => own,
            // A part may be joined itself.
            Kind::Joined { parts, .. } => {
                let mut at = 0;
                own && parts.iter().all(|part| {
                    let (from, to) = (start.max(at), end.min(at + part.length));
                    let inside = from < to;
                    let mappable = || part.store.is_mappable(part.start + (from - at), to - from);
                    let mappable = !inside || mappable();
                    at += part.length;
                    mappable
                })
            }
            Kind::Nothing => false,
        }
    }

    /// What a mapping of these bytes in the dext shows.
    pub(super) fn to_map(
        &self,
        start: u64,
        length: u64,
        rules: Rules,
    ) -> Result<Arc<dyn Memory>, IoReturn> {
        if self.live().is_none() {
            return Err(bad_pointer(rules).unwrap_or_else(|code| code));
        }
        if !self.is_mappable(start, length) {
            return Err(IoReturn::ERROR);
        }
        self.shown().ok_or(IoReturn::ERROR)
    }

    fn shown(&self) -> Option<Arc<dyn Memory>> {
        match &self.kind {
            Kind::Whole { live, snapshot: None } => Some(Arc::clone(live)),
            Kind::Whole { live, snapshot: Some(snapshot) } => {
                let mut snapshot = snapshot.lock().unwrap_or_else(PoisonError::into_inner);
                if snapshot.is_none() {
                    *snapshot = Some(copy_of(&**live)?);
                }
                snapshot.clone()
            }
            Kind::Joined { parts, .. } => joined(parts, |part| part.store.shown()),
            Kind::Nothing => None,
        }
    }
}

fn joined(
    parts: &[StorePart],
    store: impl Fn(&StorePart) -> Option<Arc<dyn Memory>>,
) -> Option<Arc<dyn Memory>> {
    let part = |part: &StorePart| {
        Some(Part { store: store(part)?, start: part.start, length: part.length })
    };
    Some(Arc::new(JoinedMemory::new(parts.iter().map(part).collect::<Option<Vec<_>>>()?)?))
}

/// A copy of a whole store; `None` where the machine has no such memory.
fn copy_of(store: &dyn Memory) -> Option<Arc<dyn Memory>> {
    let copy = Backing::try_new(store.size())?;
    let mut page = vec![0; PAGE_SIZE as usize];
    for offset in (0..store.size()).step_by(page.len()) {
        let count = (store.size() - offset).min(PAGE_SIZE) as usize;
        let part = &mut page[..count];
        store.copy_out(offset, part).ok()?;
        copy.copy_in(offset, part).ok()?;
    }
    Some(copy)
}
