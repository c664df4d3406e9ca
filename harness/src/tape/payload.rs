//! Bytes on a tape.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Bytes up to this length stand in the event's own line; longer ones are a blob.
pub const INLINE_PAYLOAD_MAX: usize = 256;

/// BLAKE3 hash of raw bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The hash of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = Vec::with_capacity(32);
        if text.len() != 64 || !super::hex::decode(text.as_bytes(), &mut bytes) {
            return Err(ParseDigestError);
        }
        bytes.try_into().map(Self).map_err(|_| ParseDigestError)
    }
}

/// A text that is no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read a BLAKE3 hash: expected 64 hex digits")]
pub struct ParseDigestError;

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Bytes of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// The bytes themselves. A writer puts those over [`INLINE_PAYLOAD_MAX`] into a blob.
    Bytes(Arc<[u8]>),
    /// A blob that stands earlier on the tape, by the hash of its raw bytes. A streaming reader gives
    /// this for long bytes; the tape's blob index finds them.
    Blob {
        /// Hash of the raw bytes.
        digest: Digest,
        /// Length of the raw bytes.
        length: u64,
    },
    /// Only the hash was kept: an expectation of bytes too long to keep.
    Hash {
        /// Hash of the raw bytes.
        digest: Digest,
        /// Length of the raw bytes.
        length: u64,
    },
    /// A redaction took the bytes out.
    Redacted {
        /// Length of the raw bytes.
        length: u64,
    },
}

impl Payload {
    /// A payload of these bytes.
    #[must_use]
    pub fn bytes(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.into())
    }

    /// Length of the raw bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Blob { length, .. } | Self::Hash { length, .. } | Self::Redacted { length } => {
                *length
            }
        }
    }

    /// The bytes where they are at hand.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }
}
