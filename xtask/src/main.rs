//! `cargo xtask` over the scenarios of this workspace.

use std::process::ExitCode;

fn main() -> ExitCode {
    xtask::run(&xtask::registry(), std::env::args_os())
}
