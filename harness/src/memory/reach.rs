//! Whether a raw pointer can stand for a memory.

/// How code that has nothing but raw pointers can reach a memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RawReach {
    /// Not at all: an access does something, as one of a device's register does.
    #[default]
    Never,
    /// Not at all: nobody knows what is there. The client can have it mapped, but not touch it.
    Unknown,
    /// Through a copy that is kept like it from time to time: what comes from a tape.
    Copied,
    /// As [`Copied`](Self::Copied), but that a tape has each access of its client and expects it again:
    /// what a raw pointer does to the copy is missing there.
    ByAccess,
    /// At an address of this process.
    At(RawView),
}

/// Ordinary memory of this process. Whoever has one may follow its address, so that one is made only where
/// somebody answers for it, or of another one that it is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawView {
    address: u64,
    length: u64,
    watched: bool,
}

impl RawView {
    /// So many bytes from an address on.
    ///
    /// # Safety
    ///
    /// The bytes can be read and written there as long as the [`Memory`](super::Memory) lives whose
    /// [`raw_reach`](super::Memory::raw_reach) gives the view, and so does every memory that hands it on.
    #[must_use]
    pub const unsafe fn new(address: u64, length: u64) -> Self {
        Self { address, length, watched: false }
    }

    /// The part of it from `offset` on; `None` where it has no such part.
    ///
    /// # Examples
    ///
    /// ```
    /// use dextape::memory::{Backing, Memory, RawReach};
    ///
    /// let backing = Backing::new(4096);
    /// let RawReach::At(all) = backing.raw_reach() else { panic!("a store is ordinary memory") };
    /// let part = all.part(64, 32).unwrap();
    /// assert_eq!((part.address() - all.address(), part.length()), (64, 32));
    /// assert_eq!(part.part(16, 17), None);
    /// ```
    #[must_use]
    pub const fn part(self, offset: u64, length: u64) -> Option<Self> {
        match offset.checked_add(length) {
            Some(end) if end <= self.length => {
                Some(Self { address: self.address + offset, length, ..self })
            }
            _ => None,
        }
    }

    /// As it is, but watched.
    #[must_use]
    pub const fn watched(self) -> Self {
        Self { watched: true, ..self }
    }

    /// Address of the first byte.
    #[must_use]
    pub const fn address(self) -> u64 {
        self.address
    }

    /// Bytes.
    #[must_use]
    pub const fn length(self) -> u64 {
        self.length
    }

    /// Somebody wants to see what the client sees, and raw accesses pass it by: it has to be shown the
    /// memory from time to time, by a read of it.
    #[must_use]
    pub const fn is_watched(self) -> bool {
        self.watched
    }
}

impl RawReach {
    /// How the part of a memory from `offset` on is reached, where the whole is reached so.
    #[must_use]
    pub fn part(self, offset: u64, length: u64) -> Self {
        match self {
            Self::At(view) => view.part(offset, length).map_or(Self::Never, Self::At),
            other => other,
        }
    }
}
