//! What can be wrong with a tape: where, what was expected, and what to do.

use super::header::{FORMAT_VERSION, FormatVersion, OLDEST_VERSION};
use super::payload::Digest;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a tape could not be read or written: the place, what was expected there, and the remedy.
///
/// Its text completes "failed to ...".
#[derive(Debug)]
pub struct TapeError {
    /// The file, where there is one.
    pub path: Option<PathBuf>,
    /// Line of the text, from 1 on; 0 where no line is to blame.
    pub line: u64,
    /// Column in bytes, from 1 on; 0 where the whole line is to blame.
    pub column: u64,
    /// What is wrong.
    pub kind: TapeErrorKind,
}

/// What is wrong with a tape.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TapeErrorKind {
    /// The operating system refused.
    #[error("{0}")]
    Io(#[source] io::Error),
    /// The first line is no header.
    #[error("expected the header of a tape, which begins with {{\"tape\":\"{FORMAT_VERSION}\"")]
    NotATape,
    /// The format is older than what any release wrote.
    #[error("expected format {OLDEST_VERSION} or later, found {0}")]
    TooOld(FormatVersion),
    /// The format has a newer major version.
    #[error("expected format {major}.x or earlier, found {0}", major = FORMAT_VERSION.major)]
    TooNew(FormatVersion),
    /// A line does not say what it should.
    #[error("expected {expected}")]
    Malformed {
        /// What was expected, and what was found.
        expected: String,
    },
    /// A line is longer than the limit.
    #[error("expected a line of at most {limit} bytes")]
    LineTooLong {
        /// The limit in bytes.
        limit: u64,
    },
    /// A kind that must be understood and is not.
    #[error("expected a kind that this version knows, found {kind:?}, which must be understood")]
    UnknownKind {
        /// The kind.
        kind: String,
    },
    /// A blob is used that does not stand before its use.
    #[error("expected the blob {digest} to stand before its use")]
    NoBlob {
        /// Hash of the blob.
        digest: Digest,
    },
    /// A blob is longer than the limit, or there are too many.
    #[error("expected {what} of at most {limit}, found {found}")]
    Limit {
        /// What is limited.
        what: &'static str,
        /// The limit.
        limit: u64,
        /// What was found.
        found: u64,
    },
    /// A blob's text does not give the bytes that its hash and size promise.
    #[error("expected the blob {digest} to hold the bytes of its hash and size")]
    BrokenBlob {
        /// Hash of the blob.
        digest: Digest,
    },
    /// The text ends without its closing line.
    #[error("expected a closing line, found the end of the text")]
    NotClosed,
    /// The closing line counts another number of events.
    #[error("expected {stated} events as the closing line says, found {found}")]
    CountDiffers {
        /// What the closing line says.
        stated: u64,
        /// What the tape holds.
        found: u64,
    },
    /// The bytes are not those that were closed.
    #[error("expected the checksum {stated}, found {found}")]
    ChecksumDiffers {
        /// What the closing line says.
        stated: Digest,
        /// That of the text.
        found: Digest,
    },
    /// Something stands after the closing line.
    #[error("expected nothing after the closing line")]
    AfterClosing,
    /// The compressed form is broken.
    #[error("expected a zstd frame: {0}")]
    Compression(String),
    /// An event that the format cannot hold.
    #[error("expected {expected}")]
    Unwritable {
        /// What was expected.
        expected: String,
    },
}

impl TapeErrorKind {
    /// What to do about it.
    #[must_use]
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Io(_) => "see that the file is there and readable, and the disk not full",
            Self::NotATape => "give a *.tape.jsonl or *.tape.jsonl.zst file",
            Self::TooOld(_) => "upgrade the tape with a release that reads it, or record again",
            Self::TooNew(_) => "update dextape to read this tape",
            Self::Malformed { .. } => {
                "mend the line and run `cargo xtask reseal`, or record the tape again"
            }
            Self::LineTooLong { .. } => "raise the limit if the tape is your own",
            Self::UnknownKind { .. } => "update dextape to read this tape",
            Self::NoBlob { .. } => "put the blob line back before the event that uses it",
            Self::Limit { .. } => "raise the limit if the tape is your own",
            Self::BrokenBlob { .. } => "take the blob line from the original, or record again",
            Self::NotClosed => "run `cargo xtask recover` to keep its whole events",
            Self::CountDiffers { .. } | Self::ChecksumDiffers { .. } => {
                "run `cargo xtask reseal` if the edit was yours, or take the original"
            }
            Self::AfterClosing => "remove what follows, then run `cargo xtask reseal`",
            Self::Compression(_) => "compress the text again, or give the text itself",
            Self::Unwritable { .. } => "mend the event before it is written",
        }
    }
}

impl TapeError {
    /// An error of no line in particular.
    #[must_use]
    pub const fn new(kind: TapeErrorKind) -> Self {
        Self { path: None, line: 0, column: 0, kind }
    }

    pub(super) const fn at(line: u64, column: u64, kind: TapeErrorKind) -> Self {
        Self { path: None, line, column, kind }
    }

    pub(super) fn malformed(line: u64, column: u64, expected: impl Into<String>) -> Self {
        Self::at(line, column, TapeErrorKind::Malformed { expected: expected.into() })
    }

    /// Names the file, where none is named yet.
    #[must_use]
    pub fn in_file(mut self, path: &Path) -> Self {
        self.path.get_or_insert_with(|| path.to_owned());
        self
    }

    /// True where the tape ends before its closing line: [`recover`](super::recover) helps.
    #[must_use]
    pub const fn is_cut_off(&self) -> bool {
        matches!(self.kind, TapeErrorKind::NotClosed)
    }

    /// True where the version of the format is the trouble.
    #[must_use]
    pub const fn is_unsupported_version(&self) -> bool {
        matches!(self.kind, TapeErrorKind::TooOld(_) | TapeErrorKind::TooNew(_))
    }
}

impl fmt::Display for TapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.kind {
            TapeErrorKind::Unwritable { .. } => "write",
            _ => "read",
        };
        match &self.path {
            Some(path) => write!(f, "{verb} {}", path.display())?,
            None => write!(f, "{verb} the tape")?,
        }
        match (self.line, self.column) {
            (0, _) => {}
            (line, 0) => write!(f, ", line {line}")?,
            (line, column) => write!(f, ", line {line}, column {column}")?,
        }
        write!(f, ": {}; {}", self.kind, self.kind.remedy())
    }
}

impl std::error::Error for TapeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            TapeErrorKind::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for TapeError {
    fn from(error: io::Error) -> Self {
        Self::new(TapeErrorKind::Io(error))
    }
}
