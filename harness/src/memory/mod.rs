//! Memory that client and dext share: its store, its access, and the shadow that recorder and
//! replayer keep of it.
//!
//! 1. No Rust reference to shared memory is ever formed; every access goes through [`Memory`].
//! 2. A typed access is one relaxed atomic access of its own width, so it cannot tear and is one
//!    event on a tape. Ordered accesses are the atomic updates, which are sequentially consistent;
//!    a single load or store is ordered by a [`fence`](std::sync::atomic::fence) beside it, as for the
//!    index of a ring that is only read: load, `fence(Acquire)`, then the entry.
//! 3. A bulk copy is a documented sequence of word accesses, in ascending order; it can tear between
//!    words, as it does on a Mac.
//! 4. What would be a fault on a Mac (out of range, unmapped, a write to read-only memory) is an
//!    [`AccessError`] value, and so is an unaligned typed access.
//! 5. Device registers ([`Registers`]) are memory, too, but each access runs code of the device:
//!    nobody reads them but the program itself, and each of its reads is one event on a tape.
//! 6. Rust's memory model says nothing of atomic accesses of two widths that race for the same bytes, nor of a
//!    client in C that writes there with plain stores, through pages that are mapped for it a second time. Both
//!    happen here, as on any shared memory. What is relied on is the machine (an aligned access of up to 8
//!    bytes is whole on x86-64 and AArch64) and that the compiler leaves each atomic access as it is.

mod access;
mod author;
#[expect(unsafe_code, reason = "its pages are taken and given back")]
mod backing;
mod client_addresses;
mod client_space;
mod comparison;
mod data_queue;
mod joined;
#[expect(unsafe_code, reason = "others may give pages")]
mod pages;
#[expect(unsafe_code, reason = "every access of shared memory ends here")]
mod raw;
#[expect(unsafe_code, reason = "others follow the addresses")]
mod reach;
mod registers;
mod scan;
mod shadow;
mod shared_buffer;
mod word;
mod written;

pub use access::{AccessError, Memory};
pub(crate) use access::{check_range, check_word};
pub use author::{Author, Found};
pub use backing::Backing;
pub use client_addresses::ClientAddresses;
pub use client_space::ClientSpace;
pub(crate) use client_space::client_part;
pub use comparison::{Compared, Comparison, Sight};
pub use data_queue::{
    DATA_QUEUE_ENTRY_HEADER_SIZE, DATA_QUEUE_HEADER_SIZE, DataQueueMemory, QueueOutcome,
};
pub use joined::{JoinedMemory, Part};
pub use pages::{Pages, set_pages};
pub use raw::RawMemory;
pub use reach::{RawReach, RawView};
pub use registers::{
    ComputedRegister, Doorbell, FifoRegister, PlainRegister, ReadToClear, Register, RegisterFile,
    RegisterModel, Registers, WriteOneToClear,
};
pub use scan::{Change, Looked, Scan, ScanSource};
pub use shadow::Shadow;
pub use shared_buffer::{FrontMemory, SharedBuffer};
pub use word::{Update, Width, Word};
pub use written::{Attribution, WriteNotes};
