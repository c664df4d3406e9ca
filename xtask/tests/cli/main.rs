//! The command line as a person meets it: what it prints, where, and the exit code.

mod adopt;
mod common;
mod determinism;
mod diff;
mod doctor;
mod drive;
#[cfg(target_os = "linux")]
mod exec;
mod faults;
mod flight;
mod iig;
mod import;
mod learn;
mod minimize;
mod over_mock;
mod pictures;
mod protocol;
mod questions;
mod recordings;
mod redact;
mod report;
mod schema;
mod suite;
mod tables;
mod tapes;
