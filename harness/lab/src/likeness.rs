//! How much of what a tape does others do, too.

use dextape::tape::{Body, Call, Event, Header, OutputKind, Structure};
use std::collections::BTreeSet;

/// Percent from which on a [`TapeProfile`] is near another.
pub const NEAR: u8 = 50;

/// Traits of a profile beyond this are left out.
const TRAITS_MAX: usize = 4096;

/// What a tape is made of, whatever the values are: the driver, the selectors with the shapes of their
/// calls, the types of its memories and opens, and the shapes of its completions.
///
/// # Examples
///
/// ```
/// use dextape::tape::sample;
/// use dextape_lab::TapeProfile;
///
/// let tape = sample::every_kind();
/// let profile = TapeProfile::of(tape.header(), tape.events());
/// assert_eq!(profile.percent_in(&profile), Some(100));
/// // Nothing can be said of a tape without calls.
/// let empty = TapeProfile::of(tape.header(), &[]);
/// assert_eq!(empty.percent_in(&profile), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TapeProfile {
    drivers: BTreeSet<String>,
    traits: BTreeSet<Trait>,
}

/// One thing about a tape. Sizes are those of the layout: one that is a power of two where it is long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trait {
    Open(u32),
    Memory(u32),
    Call { selector: u32, is_async: bool },
    Input { selector: u32, scalars: u32, size: u64 },
    Output { selector: u32, scalars: u32, size: u64 },
    Completion { arguments: usize },
}

impl TapeProfile {
    /// Nothing but whose tape it is.
    #[must_use]
    pub fn new(header: &Header) -> Self {
        let mut drivers = BTreeSet::new();
        for service in header.services.values() {
            let names = [&service.bundle_id, &service.user_class];
            drivers.extend(names.into_iter().flatten().take(TRAITS_MAX).cloned());
        }
        Self { drivers, traits: BTreeSet::new() }
    }

    /// What these events do.
    #[must_use]
    pub fn of<'a>(header: &Header, events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut profile = Self::new(header);
        events.into_iter().for_each(|event| profile.event(event));
        profile
    }

    /// Adds what an event does.
    pub fn event(&mut self, event: &Event) {
        match &event.body {
            Body::Open { open_type, .. } => self.add(Trait::Open(*open_type)),
            Body::Map { memory_type, .. } => self.add(Trait::Memory(*memory_type)),
            Body::Call(call) => self.call(call, false),
            Body::AsyncCall { call, .. } => self.call(call, true),
            Body::Posted { arguments, .. } => {
                self.add(Trait::Completion { arguments: arguments.len() });
            }
            _ => {}
        }
    }

    /// Adds what another tape does.
    pub fn join(&mut self, other: Self) {
        self.drivers.extend(other.drivers);
        other.traits.into_iter().for_each(|it| self.add(it));
    }

    /// How much of what this tape does the other does, too, in percent: 40 for the same driver, the rest
    /// for the share of the traits. What only the other does counts nothing, since a report can be short.
    /// `None` where this one has no call, map or open.
    #[must_use]
    pub fn percent_in(&self, other: &Self) -> Option<u8> {
        if self.traits.is_empty() {
            return None;
        }
        let common = self.traits.intersection(&other.traits).count();
        let same = self.drivers.intersection(&other.drivers).next().is_some();
        // Rounded down: only all of it is all.
        let alike = 60 * common / self.traits.len();
        Some(alike as u8 + if same { 40 } else { 0 })
    }

    fn call(&mut self, call: &Call, is_async: bool) {
        let selector = call.selector;
        let given = match &call.input {
            Structure::None => 0,
            Structure::Bytes(data) | Structure::Shared { data, .. } => data.length(),
            Structure::Null { size } | Structure::Unmapped { size } => *size,
        };
        let asked = match call.output {
            OutputKind::None => 0,
            OutputKind::Variable => u64::MAX,
            OutputKind::Bytes { size }
            | OutputKind::Shared { size, .. }
            | OutputKind::Null { size }
            | OutputKind::Unmapped { size } => size,
        };
        self.add(Trait::Call { selector, is_async });
        self.add(Trait::Input { selector, scalars: call.scalar_count, size: rough(given) });
        self.add(Trait::Output { selector, scalars: call.scalars_asked, size: rough(asked) });
    }

    fn add(&mut self, new: Trait) {
        if self.traits.len() < TRAITS_MAX {
            self.traits.insert(new);
        }
    }
}

/// A size where it is that of a layout; of a long one its order.
fn rough(size: u64) -> u64 {
    if size <= dextape::limits::INLINE_STRUCTURE_MAX {
        size
    } else {
        size.checked_next_power_of_two().unwrap_or(u64::MAX)
    }
}
