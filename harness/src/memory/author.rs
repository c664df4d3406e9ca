//! What a comparison of shared memory finds, and whose it is.

/// Whose change a comparison of shared memory has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Author {
    /// The client wrote it, by a raw pointer: it knows the bytes.
    Client,
    /// The dext, or its device.
    Dext,
    /// One of the two: what was seen, and in which order, does not say which.
    Unknown,
}

/// What a comparison of shared memory with what it held before has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// Bytes have changed.
    Changed {
        /// Offset of the first.
        offset: u64,
        /// What is there now; all of them differ from what was there.
        bytes: &'a [u8],
        /// Whose change it is.
        author: Author,
    },
    /// All changes up to now have been told.
    AllTold,
    /// From now on the client may see what is not found, or is found later.
    Uncaptured {
        /// Why, for people.
        reason: &'a str,
    },
}
