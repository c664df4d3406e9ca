//! The lines of a text, one at a time, in bounded memory, with the hash of what has passed.

use super::blob::{BlobHead, HEAD_MAX, is_base64};
use super::error::{TapeError, TapeErrorKind};
use super::limits::TapeLimits;
use super::payload::Digest;
use super::source::read_error;
use std::io::{self, Read};
use std::ops::Range;

/// Bytes that are read at a time, and that the buffer holds while lines are short.
const BUFFER: usize = 1 << 18;

/// How a blob line begins. It has this one spelling, since it is passed over without being held.
const BLOB: &[u8] = b"{\"blob\":\"";

/// What stands on the next line.
pub(super) enum Found {
    /// A line, without its line feed; the range is for [`Lines::text`].
    Line(Range<usize>),
    /// A blob, passed over.
    Blob(BlobHead),
}

/// Lines of a text.
#[derive(Debug)]
pub(super) struct Lines<R> {
    input: R,
    buffer: Vec<u8>,
    /// The next line begins here in the buffer.
    start: usize,
    /// The buffer is filled to here.
    filled: usize,
    /// What lies before has gone into the hash.
    hashed: usize,
    hasher: blake3::Hasher,
    /// Offset of the buffer's first byte in the text.
    base: u64,
    /// Number of the line last found, from 1 on.
    line: u64,
    /// Offset in the text where that line begins.
    line_offset: u64,
    at_end: bool,
    /// The line last found ended with the text, not with a line feed.
    torn: bool,
    limits: TapeLimits,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(input: R, limits: TapeLimits) -> Self {
        Self {
            input,
            buffer: vec![0; BUFFER],
            start: 0,
            filled: 0,
            hashed: 0,
            hasher: blake3::Hasher::new(),
            base: 0,
            line: 0,
            line_offset: 0,
            at_end: false,
            torn: false,
            limits,
        }
    }

    /// Number of the line last found, from 1 on; 0 before the first.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Offset in the text where the line last found begins.
    pub(super) fn line_offset(&self) -> u64 {
        self.line_offset
    }

    /// The bytes of a line that was just found.
    pub(super) fn text(&self, range: Range<usize>) -> &[u8] {
        &self.buffer[range]
    }

    /// Hash of all that stands before the line last found, which is the line at `range`.
    pub(super) fn hash_before(&mut self, range: &Range<usize>) -> Digest {
        self.hasher.update(&self.buffer[self.hashed..range.start]);
        self.hashed = range.start;
        Digest(*self.hasher.finalize().as_bytes())
    }

    /// True where the line last found ended with the text, not with a line feed.
    pub(super) fn is_torn(&self) -> bool {
        self.torn
    }

    /// True where nothing follows the line last found.
    pub(super) fn is_done(&mut self) -> Result<bool, TapeError> {
        if self.start == self.filled && !self.at_end {
            self.fill()?;
        }
        Ok(self.start == self.filled)
    }

    /// The next line; `None` at the end of the text.
    pub(super) fn next(&mut self) -> Result<Option<Found>, TapeError> {
        self.line += 1;
        self.line_offset = self.base + self.start as u64;
        let mut searched = 0;
        loop {
            let rest = &self.buffer[self.start + searched..self.filled];
            if let Some(length) = memchr::memchr(b'\n', rest) {
                let begin = self.start;
                let end = begin + searched + length;
                if self.buffer[begin..end].starts_with(BLOB) {
                    return self.blob().map(Some);
                }
                self.start = end + 1;
                self.check_length(end - begin)?;
                return Ok(Some(Found::Line(begin..end)));
            }
            searched = self.filled - self.start;
            if self.buffer[self.start..self.filled].starts_with(BLOB) {
                return self.blob().map(Some);
            }
            if self.at_end {
                let begin = self.start;
                self.start = self.filled;
                self.torn = true;
                self.check_length(searched)?;
                return Ok((searched > 0).then_some(Found::Line(begin..self.filled)));
            }
            self.check_length(searched)?;
            self.fill()?;
        }
    }

    fn check_length(&self, length: usize) -> Result<(), TapeError> {
        let limit = self.limits.line;
        if length as u64 > limit {
            return Err(TapeError::at(self.line, 0, TapeErrorKind::LineTooLong { limit }));
        }
        Ok(())
    }

    /// Reads more, after what is held; notes the end of the text.
    fn fill(&mut self) -> Result<(), TapeError> {
        if self.filled == self.buffer.len() {
            self.hasher.update(&self.buffer[self.hashed..self.start]);
            if self.start == 0 {
                self.buffer.resize(self.buffer.len() * 2, 0);
            } else {
                self.buffer.copy_within(self.start..self.filled, 0);
                self.base += self.start as u64;
                self.filled -= self.start;
                self.start = 0;
            }
            self.hashed = 0;
        }
        loop {
            match self.input.read(&mut self.buffer[self.filled..]) {
                Ok(read) => {
                    self.filled += read.min(self.buffer.len() - self.filled);
                    self.at_end = read == 0;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.at_end = true;
                    return Err(TapeError::at(self.line, 0, read_error(error)));
                }
            }
        }
    }

    /// Passes over a blob line, holding no more of it than the buffer does.
    fn blob(&mut self) -> Result<Found, TapeError> {
        while self.filled - self.start < HEAD_MAX && !self.at_end {
            self.fill()?;
        }
        let head = BlobHead::parse(&self.buffer[self.start..self.filled])
            .map_err(|expected| TapeError::malformed(self.line, 1, expected))?;
        let (mut head, length) = head;
        self.start += length;
        head.line = self.line;
        head.offset = self.base + self.start as u64;
        loop {
            let rest = &self.buffer[self.start..self.filled];
            let column = self.base + self.start as u64 - self.line_offset + 1;
            if let Some(length) = rest.iter().position(|byte| !is_base64(*byte)) {
                let column = column + length as u64;
                self.start += length;
                head.length = self.base + self.start as u64 - head.offset;
                return self.blob_end(column).map(|()| Found::Blob(head));
            }
            self.start = self.filled;
            if self.at_end {
                return Err(TapeError::at(self.line, 0, TapeErrorKind::NotClosed));
            }
            self.fill()?;
        }
    }

    fn blob_end(&mut self, column: u64) -> Result<(), TapeError> {
        const END: &[u8] = b"\"}\n";
        while self.filled - self.start < END.len() && !self.at_end {
            self.fill()?;
        }
        let rest = &self.buffer[self.start..self.filled];
        if rest.starts_with(END) {
            self.start += END.len();
            return Ok(());
        }
        if END.starts_with(rest) {
            self.start = self.filled;
            return Err(TapeError::at(self.line, 0, TapeErrorKind::NotClosed));
        }
        Err(TapeError::malformed(self.line, column, "base64 digits up to the line's closing `\"}`"))
    }
}
