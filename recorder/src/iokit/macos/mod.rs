//! The real system on macOS.
//!
//! From the ground up: [`object`] and [`foundation`] own handles, [`port`] receives messages,
//! [`completion`] and [`notice`] make queues of them, [`mapping`] gives access to mapped memory,
//! [`connection`] and [`system`] are the two traits.

mod completion;
mod connection;
mod foundation;
mod host;
mod mapping;
mod notice;
mod object;
mod other;
mod port;
mod service;
mod system;

pub use connection::IoKitConnection;
#[doc(hidden)]
pub use foundation::registry_value;
#[doc(hidden)]
pub use host::{accessible_size, this_host, this_page_size};
pub use system::IoKitSystem;

use dextape::IoReturn;

/// A result of the library as `Ok` or the code.
fn check(result: i32) -> Result<(), IoReturn> {
    IoReturn(result.cast_unsigned()).ok()
}
