//! The real system: services and user clients of the Mac that this runs on, through the same two
//! traits as a mock or a tape.
//!
//! It is there on macOS with the feature `live` only. Everywhere else [`IoKitSystem::open`] says what
//! is missing: a replay build has no way to reach a device.
//!
//! What can be decided without a Mac stands in modules of its own, which are tested everywhere:
//! how a completion lies in its Mach message, what a matching dictionary looks like, which bytes of a
//! mapping are accessible, how completions wait for their client.

#[cfg(any(test, all(target_os = "macos", feature = "live")))]
mod extent;
#[cfg(any(test, all(target_os = "macos", feature = "live")))]
mod inbox;
#[cfg(any(test, all(target_os = "macos", feature = "live")))]
mod matching;
#[cfg(any(test, all(target_os = "macos", feature = "live")))]
mod message;

#[cfg(all(target_os = "macos", feature = "live"))]
#[expect(unsafe_code, reason = "calls Apple's functions")]
mod macos;
#[cfg(all(target_os = "macos", feature = "live"))]
pub use macos::{IoKitConnection, IoKitSystem};
/// What the library that records from inside a program needs, too.
#[cfg(all(target_os = "macos", feature = "live"))]
#[doc(hidden)]
pub use macos::{accessible_size, registry_value, this_host, this_page_size};

#[cfg(not(all(target_os = "macos", feature = "live")))]
mod unavailable;
#[cfg(not(all(target_os = "macos", feature = "live")))]
pub use unavailable::{IoKitConnection, IoKitSystem};

mod error;
pub use error::LiveError;
