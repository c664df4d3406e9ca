//! `completions`: what a shell sources to complete the command line.

use crate::cli::Cli;
use crate::exit::Failure;
use crate::output::Output;
use clap::CommandFactory;
use clap_complete::{Shell, generate};

/// Writes the completions of `shell` for the program itself; cargo's own completions do not look
/// behind `cargo xtask`.
pub(crate) fn run(shell: Shell, out: &mut Output) -> Result<(), Failure> {
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "xtask", &mut script);
    out.bytes(&script)
}
