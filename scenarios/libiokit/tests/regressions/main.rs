//! Failures of clients in C that were found once, each with its tape in `fixtures/regressions`.
//! `cargo xtask adopt --source` adds to them.
#![cfg(target_os = "linux")]

mod forgetful_client;
mod support;
