//! Reports from the field: tapes and what is known about them, in one zip that other tools open, too.
//!
//! [`pack_report`] puts one together behind a gate: what a policy names gets pseudonyms, and nothing that still
//! holds a private value is written. [`Bundle`] reads one as hostile input.

mod bundle;
mod cover;
mod error;
mod manifest;
mod pack;

pub use bundle::Bundle;
pub use error::{BundleError, PackError};
#[cfg(feature = "schema")]
pub use manifest::report_schema;
pub use manifest::{FileEntry, Manifest, TapeEntry};
pub use pack::{Gate, Packed, Report, pack_report};

/// The most bytes of a bundle.
const BUNDLE_MAX: u64 = 256 << 20;

/// The most bytes of all its files together, unpacked.
const UNPACKED_MAX: u64 = 512 << 20;

/// The most events of all tapes of a bundle together: what is done with an opened one holds them in memory.
pub const REPORT_EVENTS_MAX: u64 = 1_000_000;

/// The most tapes.
const TAPES_MAX: usize = 32;

/// The most bytes of the manifest, the note or the log.
const TEXT_MAX: u64 = 1 << 20;

/// What the comment of the zip begins with; behind it stand 64 digits of the BLAKE3 hash of all before them.
const SEAL: &str = "dextape report, blake3 ";

/// Hexadecimal digits of the hash.
const DIGITS: usize = 64;
