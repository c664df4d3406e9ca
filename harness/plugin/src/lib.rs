#![doc = include_str!("../README.md")]
//!
//! A map of the code: `abi` is `include/dextape/plugin.h` in Rust; [`Plugin`] loads a library; `dext` is its
//! service and user clients as the mock sees them, `arguments` what a method is called with; `host` is
//! what C++ can call, `handles` the objects that it has, `carry` keeps panics off its frames, `raw`
//! follows its pointers. `iig` makes headers of `.iig` files.

#![deny(unsafe_code)]

mod abi;
mod arguments;
mod carry;
#[expect(unsafe_code, reason = "calls the plug-in")]
mod dext;
mod handles;
mod host;
mod iig;
#[expect(unsafe_code, reason = "loads it")]
mod load;
#[expect(unsafe_code, reason = "follows its pointers")]
mod raw;
mod stops;

pub use iig::{IigError, header_of_iig};
pub use load::{Plugin, PluginError};

use std::path::{Path, PathBuf};

/// The folders with the headers that a dext in C++ is compiled with, where dextape was built: those of
/// DriverKit (`-I`), and those that they stand on (`-isystem`).
#[must_use]
pub fn include_folders() -> [PathBuf; 2] {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    [here.join("include"), here.join("../cabi/include")]
}
