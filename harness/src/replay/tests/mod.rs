//! Tests of the replayer over tapes that are made in memory.

mod completions;
mod divergences;
mod hostile;
mod lanes;
mod memory;
mod notices;
mod oracle;
mod ordered;
mod raw;

mod rules;
mod story;
