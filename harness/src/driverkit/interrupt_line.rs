//! The lines on which a device interrupts: the end that its model holds.

use crate::IoReturn;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// How an interrupt is signalled: bits of `GetInterruptType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InterruptType(pub u64);

impl InterruptType {
    /// `kIOInterruptTypeEdge`: each raise is one interrupt.
    pub const EDGE: Self = Self(0);
    /// `kIOInterruptTypeLevel`: it interrupts as long as it is raised.
    pub const LEVEL: Self = Self(1);
    /// `kIOInterruptTypePCIMessaged` (MSI): as an edge.
    pub const PCI_MESSAGED: Self = Self(0x1_0000);
    /// `kIOInterruptTypePCIMessagedX` (MSI-X): as an edge.
    pub const PCI_MESSAGED_X: Self = Self(0x2_0000);

    /// True where a raise lasts until it is lowered.
    #[must_use]
    pub const fn is_level(self) -> bool {
        self.0 & Self::LEVEL.0 != 0
    }
}

/// The interrupt lines of one device, counted from 0: its model raises them, an
/// [`InterruptDispatchSource`](super::InterruptDispatchSource) hears of it. Clones are the same lines.
///
/// Raising works from any thread, inside a process or not. A line that nobody listens to, or whose
/// listener is disabled, keeps one interrupt until somebody enables it.
#[derive(Clone)]
pub struct InterruptLines {
    lines: Arc<[Line]>,
}

struct Line {
    kind: InterruptType,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    receiver: Option<Weak<dyn Receiver>>,
    enabled: bool,
    /// Level: it is raised now. Edge: it was raised while it was disabled.
    asserted: bool,
    /// Level: one was handed over and not yet handled.
    masked: bool,
}

/// Who hears of an interrupt.
pub(super) trait Receiver: Send + Sync {
    fn interrupt(self: Arc<Self>);
}

impl InterruptLines {
    /// One line of each type.
    #[must_use]
    pub fn new(types: &[InterruptType]) -> Self {
        let line = |kind: &InterruptType| Line { kind: *kind, state: Mutex::default() };
        Self { lines: types.iter().map(line).collect() }
    }

    /// Number of lines.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// True where there are no lines.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The device interrupts. False where there is no such line.
    pub fn raise(&self, index: u32) -> bool {
        self.change(index, |_, state| state.asserted = true)
    }

    /// The device no longer asserts a level interrupt; to an edge nothing happens. False where there
    /// is no such line.
    pub fn lower(&self, index: u32) -> bool {
        self.change(index, |line, state| state.asserted &= !line.kind.is_level())
    }

    /// How a line is signalled; `None` where there is no such line.
    #[must_use]
    pub fn interrupt_type(&self, index: u32) -> Option<InterruptType> {
        Some(self.line(index)?.kind)
    }

    /// Has `receiver` hear of the interrupts of a line once it is enabled.
    pub(super) fn register(
        &self,
        index: u32,
        receiver: Weak<dyn Receiver>,
    ) -> Result<(), IoReturn> {
        let line = self.line(index).ok_or(IoReturn::NO_INTERRUPT)?;
        let mut state = line.state();
        if state.receiver.as_ref().is_some_and(|taken| taken.strong_count() > 0) {
            return Err(IoReturn::NO_RESOURCES);
        }
        state.receiver = Some(receiver);
        (state.enabled, state.masked) = (false, false);
        Ok(())
    }

    pub(super) fn unregister(&self, index: u32) {
        self.change(index, |_, state| {
            state.enabled = false;
            state.receiver = None;
        });
    }

    pub(super) fn set_enabled(&self, index: u32, enabled: bool) {
        self.change(index, |_, state| (state.enabled, state.masked) = (enabled, false));
    }

    /// The last interrupt of a level line was handled.
    pub(super) fn rearm(&self, index: u32) {
        self.change(index, |_, state| state.masked = false);
    }

    /// Changes the state of a line and hands over an interrupt where one is due then.
    fn change(&self, index: u32, change: impl FnOnce(&Line, &mut State)) -> bool {
        let Some(line) = self.line(index) else { return false };
        let receiver = {
            let mut state = line.state();
            change(line, &mut state);
            if state.asserted && state.enabled && !state.masked {
                state.asserted = line.kind.is_level();
                state.masked = line.kind.is_level();
                state.receiver.as_ref().and_then(Weak::upgrade)
            } else {
                None
            }
        };
        // Called after the lock: it may come back here.
        if let Some(receiver) = receiver {
            receiver.interrupt();
        }
        true
    }

    fn line(&self, index: u32) -> Option<&Line> {
        self.lines.get(index as usize)
    }
}

impl Line {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for InterruptLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.lines.iter().map(|line| line.kind)).finish()
    }
}
