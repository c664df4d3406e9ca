//! The written side: what a tape holds and how it is read and written.

mod event;
mod header;
mod payload;

pub use event::{
    Body, Call, Capture, Event, Keyframe, KeyframeMemory, MappedMemory, OutputKind, Return,
    Sequence, Structure,
};
pub use header::{
    Comparison, FORMAT_VERSION, Field, FieldRule, FormatVersion, Header, Host, Scenario,
    ServiceIdentity,
};
pub use payload::{Digest, INLINE_PAYLOAD_MAX, Payload};
