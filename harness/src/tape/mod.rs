//! The written side: what a tape holds and how it is read and written.
//!
//! A tape is a text of JSON lines: a header, one event a line, blobs before their first use, and a
//! closing line with the number of events and the BLAKE3 hash of all that stands before it. 64-bit
//! values are hex texts, because JavaScript and jq lose them as numbers; sequence numbers, lanes,
//! selectors and counts are numbers. Bytes are hex; long ones are blobs. A field that has its default
//! is left out, and fields stand in one order, so that the same events are the same bytes.
//!
//! - [`Tape`] is a whole tape in memory, [`TapeReader`] reads one as a stream, [`TapeWriter`] and
//!   [`TapeFile`] write one.
//! - [`Transcript`] shows events to people.
//! - [`validate`](validate()) reports everything that is wrong with a tape.
//! - [`upgrade`](upgrade()) makes old versions current, [`recover`](recover()) saves what is whole, and
//!   [`reseal`](reseal()) closes a tape that was edited by hand.
//!
//! A newer minor version may add keys to a line and kinds; it never adds keys within the objects of a
//! line, nor takes a key from a kind.

#[cfg(any(test, feature = "proptest"))]
pub mod arbitrary;
mod blob;
mod decode;
mod describe;
mod describe_call;
mod describe_value;
mod encode;
mod error;
mod event;
#[doc(hidden)]
pub mod exam;
mod fields;
mod header;
mod header_text;
mod hex;
mod limits;
mod line;
mod lines;
mod mapped;
mod naming;
mod note;
mod payload;
mod pointed;
mod reader;
mod recover;
mod reseal;
#[cfg(test)]
mod round_trip;
#[doc(hidden)]
pub mod sample;
#[cfg(feature = "schema")]
pub mod schema;
mod source;
mod tape_file;
mod transcript;
mod upgrade;
mod validate;
mod value;
mod whole;
mod writer;

pub use blob::BlobIndex;
pub use error::{TapeError, TapeErrorKind};
pub use event::{
    Body, Call, Event, Keyframe, KeyframeMemory, OtherCall, OutputKind, Return, Sequence, Structure,
};
pub use fields::Kind;
pub use header::{
    Comparison, FORMAT_VERSION, Field, FieldRule, FormatVersion, Header, Host, OLDEST_VERSION,
    OpenedAs, ParseVersionError, Readability, Scenario, ServiceIdentity,
};
pub use limits::TapeLimits;
pub use mapped::{Capture, MappedMemory};
pub use naming::{Names, Naming};
pub use note::NoteSubject;
pub use payload::{Digest, INLINE_PAYLOAD_MAX, ParseDigestError, Payload};
pub use pointed::Pointed;
pub use reader::TapeReader;
pub use recover::{Recovery, recover, recover_bytes};
pub use reseal::{EDITED, ResealOptions, Resealed, reseal};
pub use tape_file::{COMPRESSED_ENDING, TapeFile};
pub use transcript::{Transcript, TranscriptOptions, render_event, render_payload};
pub use upgrade::upgrade;
pub use validate::{
    Broken, FINDINGS_MAX, TapeFinding, Validation, Validator, validate, validate_reader,
};
pub use whole::Tape;
pub use writer::{LoadBlob, TapeWriter};
