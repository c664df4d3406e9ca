//! The lines of a log, two a call.

use super::error::{ImportError, Wrong};
use super::literal::{self, Literal, Value};
use std::io::{BufRead, Read};
use std::path::Path;

/// Longest line in bytes. A structure of 4096 bytes takes about 20 KiB.
pub(super) const LINE_MAX: u64 = 16 << 20;

/// A call of the log: its function, and its parameters on the way in and out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LoggedCall {
    pub(super) function: String,
    pub(super) inputs: Parameters,
    pub(super) outputs: Parameters,
    /// Line of the inputs; the outputs are on the next.
    pub(super) line: u64,
}

/// The parameters of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) line: u64,
    /// Byte of the line where they end, for what is missing.
    pub(super) end: usize,
    pub(super) all: Vec<Vec<(String, Literal)>>,
}

/// Reads a log line by line.
pub(super) struct Log<R> {
    input: R,
    line: u64,
    text: Vec<u8>,
}

/// What comes next.
pub(super) enum Next {
    Call(LoggedCall),
    End,
    /// The log ends within a call of this function.
    Cut(String),
}

impl<R: BufRead> Log<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, line: 0, text: Vec::new() }
    }

    /// The next call. `path` is for what is said where it cannot be read.
    pub(super) fn next(&mut self, path: &Path) -> Result<Next, ImportError> {
        let Some((way, function, inputs)) = self.half(path)? else { return Ok(Next::End) };
        let line = self.line;
        if way != "IN" {
            return Err(at(line, Wrong::new(0, "expected the inputs of a call (IN)")));
        }
        let Some((way, returned, outputs)) = self.half(path)? else {
            return Ok(Next::Cut(function));
        };
        if way != "OUT" || returned != function {
            let problem = format!(
                "expected the outputs of {function} (OUT), since its inputs are on the line \
                 before; calls of several threads cannot be told apart, so log one thread at a time"
            );
            return Err(at(self.line, Wrong::new(0, problem)));
        }
        Ok(Next::Call(LoggedCall { function, inputs, outputs, line }))
    }

    fn half(
        &mut self,
        path: &Path,
    ) -> Result<Option<(&'static str, String, Parameters)>, ImportError> {
        loop {
            self.text.clear();
            let mut limited = (&mut self.input).take(LINE_MAX + 1);
            let read = limited
                .read_until(b'\n', &mut self.text)
                .map_err(|error| ImportError::Read { path: path.to_owned(), error })?;
            if read == 0 {
                return Ok(None);
            }
            self.line += 1;
            if read as u64 > LINE_MAX {
                let problem =
                    format!("expected a line of at most {LINE_MAX} bytes; is this a log?");
                return Err(at(self.line, Wrong::new(LINE_MAX as usize, problem)));
            }
            let end = self.text.trim_ascii_end().len();
            self.text.truncate(end);
            if !self.text.is_empty() {
                let half = half(&self.text, self.line);
                return half.map(Some).map_err(|wrong| at(self.line, wrong));
            }
        }
    }
}

/// The same, with its line.
pub(super) fn at(line: u64, Wrong { column, problem }: Wrong) -> ImportError {
    ImportError::Line { line, column, problem }
}

fn half(text: &[u8], line: u64) -> Result<(&'static str, String, Parameters), Wrong> {
    let (way, start) = if text.starts_with(b"IN ") {
        ("IN", 3)
    } else if text.starts_with(b"OUT ") {
        ("OUT", 4)
    } else {
        return Err(Wrong::new(0, "expected IN or OUT; is this a log of IMF's interposer?"));
    };
    let Literal { column, value } = literal::parse(text, start)?;
    let function = "expected the name of a function and its parameters, in a list";
    let Value::List(items) = value else { return Err(Wrong::new(column, function)) };
    let mut items = items.into_iter();
    let Some(Literal { value: Value::Text(name), .. }) = items.next() else {
        return Err(Wrong::new(column, function));
    };
    let all = items.map(|item| match item.value {
        Value::Dictionary(entries) => Ok(entries),
        _ => Err(Wrong::new(item.column, "expected a parameter, as a dictionary")),
    });
    let all = all.collect::<Result<_, _>>()?;
    Ok((way, name, Parameters { line, end: text.len(), all }))
}
