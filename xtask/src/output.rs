//! Results: on stdout, as text or as JSON.

use crate::exit::Failure;
use clap::ValueEnum;
use serde_json::Value;
use std::fmt;
use std::io::{self, BufWriter, StdoutLock, Write};

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON value, or one a line where there are many.
    Json,
}

/// Where results go. Buffered: `show` writes hundreds of thousands of lines.
pub(crate) struct Output {
    format: Format,
    to: BufWriter<StdoutLock<'static>>,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        Self { format, to: BufWriter::with_capacity(1 << 16, io::stdout().lock()) }
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Writes a line for people, with `text`, or a value for programs, with `json`.
    pub(crate) fn result(
        &mut self,
        text: impl FnOnce() -> String,
        json: impl FnOnce() -> Value,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Text => self.line(text()),
            Format::Json => self.line(json()),
        }
    }

    /// Writes one line.
    pub(crate) fn line(&mut self, line: impl fmt::Display) -> Result<(), Failure> {
        writeln!(self.to, "{line}").map_err(|error| Failure::output(&error))
    }

    /// Writes a text of lines as it is.
    pub(crate) fn text(&mut self, text: impl fmt::Display) -> Result<(), Failure> {
        write!(self.to, "{text}").map_err(|error| Failure::output(&error))
    }

    /// Writes bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.to.write_all(bytes).map_err(|error| Failure::output(&error))
    }

    /// Sees to it that all of it is written.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        self.to.flush().map_err(|error| Failure::output(&error))
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("format", &self.format).finish_non_exhaustive()
    }
}
