//! The recorder's crash-safe binary log.
//!
//! [`Journal`] appends [`Record`]s and gives each a [`Token`]; [`JournalReader`] reads them back.
//! The bytes are described in `layout.rs`, the way a record gets there in `protocol.rs`.

mod append;
mod chunks;
#[expect(unsafe_code, reason = "writes in room that is kept for it")]
mod core;
mod cut;
mod decode;
mod encode;
mod error;
mod header_code;
mod helper;
mod kind;
pub(crate) mod layout;
#[expect(unsafe_code, reason = "the file in memory")]
mod map;
mod options;
#[expect(unsafe_code, reason = "asks the C library about forks and signals")]
mod process;
#[doc(hidden)]
pub mod protocol;
mod reader;
mod record;
mod ring;
mod segments;
mod sink;
#[expect(unsafe_code, reason = "writes records to the map")]
mod slot;
mod snapshot;
mod token;
pub(crate) mod walk;

pub use append::{Journal, Status};
pub use decode::Content;
pub use error::JournalError;
pub use options::JournalOptions;
pub use reader::{Entry, JournalReader};
pub use record::{
    Call, Data, Keyframe, KeyframeMemory, OtherCall, Record, Return, Stamp, Structure,
};
pub use ring::{BadRing, RingOptions};
pub use token::Token;
