//! Failures of our scenarios' clients and dexts that were found once, each with its tape in
//! `fixtures/regressions`. `cargo xtask adopt` adds to them.

mod support;
