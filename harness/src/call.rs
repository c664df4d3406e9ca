//! The words of a call: scalars, numbers of things, completions, mapping options.

use crate::io_return::IoReturn;
use crate::limits::{ASYNC_REFERENCE_MAX, SCALARS_MAX};
use std::fmt;
use std::ops::Deref;

/// Up to [`SCALARS_MAX`] 64-bit scalars, kept in place so that no call allocates.
///
/// # Examples
///
/// ```
/// use dextape::call::Scalars;
///
/// let scalars = Scalars::new(&[1, 2]).unwrap();
/// assert_eq!(&scalars[..], &[1, 2]);
/// assert!(Scalars::new(&[0; 17]).is_none());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scalars {
    count: u8,
    values: [u64; SCALARS_MAX],
}

impl Scalars {
    /// No scalars.
    pub const EMPTY: Self = Self { count: 0, values: [0; SCALARS_MAX] };

    /// Copies the values, or gives `None` where there are more than [`SCALARS_MAX`].
    #[must_use]
    pub fn new(values: &[u64]) -> Option<Self> {
        (values.len() <= SCALARS_MAX).then(|| Self::clamped(values))
    }

    /// Copies the first [`SCALARS_MAX`] values.
    #[must_use]
    pub fn clamped(values: &[u64]) -> Self {
        let count = values.len().min(SCALARS_MAX);
        let mut copy = Self::EMPTY;
        copy.values[..count].copy_from_slice(&values[..count]);
        copy.count = count as u8;
        copy
    }

    /// The scalars as a slice.
    #[must_use]
    pub fn as_slice(&self) -> &[u64] {
        &self.values[..usize::from(self.count)]
    }
}

impl Default for Scalars {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Deref for Scalars {
    type Target = [u64];

    fn deref(&self) -> &[u64] {
        self.as_slice()
    }
}

impl fmt::Debug for Scalars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x?}", self.as_slice())
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

number! {
    /// A service that a system has shown, by the number it got when it was first seen.
    /// On a Mac it stands for the registry entry.
    ServiceId, "service "
}
number! {
    /// An open user client, by the number it got at open, from 1 on within its system.
    ConnectionId, "connection "
}
number! {
    /// Memory shared between client and dext (a mapping, or a shared buffer of an asynchronous
    /// call), by the number it got when it was first shared. Aliases of one mapping share it.
    MemoryId, "memory "
}
number! {
    /// A completion queue (on a Mac: a notification port), by the number it got when it was made.
    QueueId, "queue "
}

/// The asynchronous reference as it comes back with a completion: entry 0 is 0 (D7), entries that
/// the client did not supply are 0 (D8).
pub type AsyncReference = [u64; ASYNC_REFERENCE_MAX];

/// One delivery of an asynchronous call's callback (D14, D15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The reference that the client gave with the call (D7, D8).
    pub reference: AsyncReference,
    /// What the dext passed as status; independent of the call's own result (D14).
    pub status: IoReturn,
    /// Up to 16 arguments (D13).
    pub arguments: Scalars,
}

/// Options of `IOConnectMapMemory64`, as the client gives them. The kernel keeps the low 12 bits
/// only (F1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MapOptions(pub u32);

impl MapOptions {
    /// `kIOMapAnywhere`: the kernel chooses the address (F8).
    pub const ANYWHERE: Self = Self(0x1);
    /// Mask of the cache mode bits, `kIOMapCacheMask`.
    pub const CACHE_MASK: Self = Self(0xf00);
    /// `kIOMapReadOnly`, which the kernel drops when it comes from a client (F1, F2).
    pub const READ_ONLY: Self = Self(0x1000);
    /// `kIOMapUserOptionsMask`: what the kernel keeps (F1).
    pub const USER_MASK: Self = Self(0xfff);

    /// True where all bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl Default for MapOptions {
    fn default() -> Self {
        Self::ANYWHERE
    }
}

impl std::ops::BitOr for MapOptions {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
