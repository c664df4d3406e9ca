//! Reading a tape as a stream.

use super::blob::BlobIndex;
use super::decode;
use super::error::{TapeError, TapeErrorKind};
use super::event::{Body, Event};
use super::header::{FormatVersion, Header, Readability};
use super::header_text;
use super::limits::TapeLimits;
use super::line;
use super::lines::{Found, Lines};
use super::payload::{Digest, Payload};
use super::source::{MaybePath, Source, Text};
use super::upgrade;
use serde::Deserialize;
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// Reads a tape event by event, in bounded memory whatever the file holds. Blobs are passed over; their
/// places are kept, and [`load`](Self::load) reads one when it is asked for.
///
/// As an iterator it gives events up to the closing line, which it checks, or up to the first error.
///
/// # Examples
///
/// ```
/// use dextape::tape::{Body, Event, Header, Tape, TapeReader};
///
/// let tape = Tape::new(Header::mock(), vec![Event::new(1, 1, 1, Body::Queue { queue: 1 })]);
/// let reader = TapeReader::from_bytes(tape.to_text()?.into_bytes())?;
/// assert_eq!(reader.header().recorder, Header::mock().recorder);
/// for event in reader {
///     assert_eq!(event?.body, Body::Queue { queue: 1 });
/// }
/// # Ok::<(), dextape::tape::TapeError>(())
/// ```
#[derive(Debug)]
pub struct TapeReader {
    lines: Lines<Text>,
    source: Source,
    path: MaybePath,
    limits: TapeLimits,
    header: Header,
    version: FormatVersion,
    readability: Readability,
    blobs: BlobIndex,
    events: u64,
    scratch: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Reading,
    Closed,
    Failed,
}

/// The closing line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Closing {
    end: u64,
    blake3: String,
}

impl TapeReader {
    /// Opens a tape, compressed or not.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or its first line is no header of a version that is readable.
    pub fn open(path: &Path) -> Result<Self, TapeError> {
        Self::open_within(path, TapeLimits::DEFAULT)
    }

    /// Opens a tape within other limits.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_within(path: &Path, limits: TapeLimits) -> Result<Self, TapeError> {
        let source = Source::open(path)?;
        Self::of_source(source, Some(path.to_owned()), limits)
    }

    /// Reads a tape, compressed or not, from memory.
    ///
    /// # Errors
    ///
    /// The first line is no header of a version that is readable.
    pub fn from_bytes(bytes: impl Into<Arc<[u8]>>) -> Result<Self, TapeError> {
        Self::from_bytes_within(bytes, TapeLimits::DEFAULT)
    }

    /// Reads a tape from memory within other limits.
    ///
    /// # Errors
    ///
    /// As [`from_bytes`](Self::from_bytes).
    pub fn from_bytes_within(
        bytes: impl Into<Arc<[u8]>>,
        limits: TapeLimits,
    ) -> Result<Self, TapeError> {
        Self::of_source(Source::Memory(bytes.into()), None, limits)
    }

    /// Reads a tape, compressed or not, from a stream that can be read once only, such as a pipe: its
    /// blobs cannot be loaded.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn from_stream(stream: Box<dyn Read + Send>) -> Result<Self, TapeError> {
        let limits = TapeLimits::DEFAULT;
        let text = Text::of_stream(stream, limits)?;
        Self::of_text(text, Source::None, None, limits)
    }

    pub(super) fn of_source(
        source: Source,
        path: MaybePath,
        limits: TapeLimits,
    ) -> Result<Self, TapeError> {
        let text = source.text_from(0, limits).map_err(|error| in_file(error.into(), &path))?;
        Self::of_text(text, source, path, limits)
    }

    fn of_text(
        text: Text,
        source: Source,
        path: MaybePath,
        limits: TapeLimits,
    ) -> Result<Self, TapeError> {
        let mut lines = Lines::new(text, limits);
        let (version, readability, header) =
            read_header(&mut lines).map_err(|error| in_file(error, &path))?;
        Ok(Self {
            lines,
            source,
            path,
            limits,
            header,
            version,
            readability,
            blobs: BlobIndex::default(),
            events: 0,
            scratch: Vec::new(),
            state: State::Reading,
        })
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The version that the file states; the header and events are those of the current one.
    #[must_use]
    pub fn version(&self) -> FormatVersion {
        self.version
    }

    /// Whether the tape is of the current version, was upgraded, or is newer.
    #[must_use]
    pub fn readability(&self) -> Readability {
        self.readability
    }

    /// Line of the event last read, from 1 on.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.lines.line()
    }

    /// Events read so far.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The blobs found so far.
    #[must_use]
    pub fn blobs(&self) -> &BlobIndex {
        &self.blobs
    }

    /// True once the closing line has been read and found right.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Offset in the text at which the line last read begins.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.lines.line_offset()
    }

    /// Reads the bytes of a blob that stands on the tape so far.
    ///
    /// # Errors
    ///
    /// There is no such blob, it cannot be read again, or its bytes are not those of its hash.
    pub fn load(&self, digest: Digest) -> Result<Arc<[u8]>, TapeError> {
        self.blobs
            .load(digest, &self.source, self.limits)
            .map_err(|error| in_file(error, &self.path))
    }

    /// The limits within which the tape is read.
    #[must_use]
    pub fn limits(&self) -> TapeLimits {
        self.limits
    }

    pub(super) fn into_parts(self) -> (Header, BlobIndex, Source, MaybePath) {
        (self.header, self.blobs, self.source, self.path)
    }

    /// The next event; `None` after the closing line.
    fn read(&mut self) -> Result<Option<Event>, TapeError> {
        loop {
            let range = match self.lines.next()? {
                None => return Err(TapeError::at(self.line(), 0, TapeErrorKind::NotClosed)),
                Some(Found::Blob(blob)) => {
                    self.blobs.insert(blob, self.limits)?;
                    continue;
                }
                Some(Found::Line(range)) => range,
            };
            if is_closing(self.lines.text(range.clone())) {
                return self.close(range).map(|()| None);
            }
            let line = self.lines.line();
            let mut scratch = std::mem::take(&mut self.scratch);
            let event = self.event(self.lines.text(range), line, &mut scratch);
            self.scratch = scratch;
            return match event {
                Ok(event) => {
                    self.events += 1;
                    Ok(Some(event))
                }
                // The last line of a tape that was cut off is most often half an event.
                Err(_) if self.lines.is_torn() => {
                    Err(TapeError::at(line, 0, TapeErrorKind::NotClosed))
                }
                Err(error) => Err(error),
            };
        }
    }

    fn event(&self, text: &[u8], line: u64, scratch: &mut Vec<u8>) -> Result<Event, TapeError> {
        let malformed = |(column, expected)| TapeError::malformed(line, column, expected);
        let upgraded;
        let text = match self.readability {
            Readability::Upgraded => {
                upgraded = upgrade::event_line(text).map_err(malformed)?;
                upgraded.as_slice()
            }
            _ => text,
        };
        let fields = line::read_line(text, scratch).map_err(malformed)?;
        let mut event = decode::event(fields).map_err(|expected| malformed((0, expected)))?;
        if let Body::Unknown { kind } = &event.body
            && event.must_understand
        {
            let kind = kind.clone();
            return Err(TapeError::at(line, 0, TapeErrorKind::UnknownKind { kind }));
        }
        event.try_visit_payloads(|payload| match payload {
            Payload::Blob { digest, length } => match self.blobs.size(*digest) {
                Some(size) if size == *length => Ok(()),
                Some(size) => Err(TapeError::malformed(
                    line,
                    0,
                    format!("the size of blob {digest} to be {size:#x}, found {length:#x}"),
                )),
                None => Err(TapeError::at(line, 0, TapeErrorKind::NoBlob { digest: *digest })),
            },
            _ => Ok(()),
        })?;
        Ok(event)
    }

    fn close(&mut self, range: Range<usize>) -> Result<(), TapeError> {
        let line = self.lines.line();
        let read = header_text::read_small::<Closing>(self.lines.text(range.clone()));
        let stated = read.and_then(|closing| {
            let digest: Result<Digest, _> = closing.blake3.parse();
            digest.map(|digest| (closing.end, digest)).map_err(|error| (0, error.to_string()))
        });
        let (end, stated) = match stated {
            Ok(stated) => stated,
            Err(_) if self.lines.is_torn() => {
                return Err(TapeError::at(line, 0, TapeErrorKind::NotClosed));
            }
            Err((column, expected)) => return Err(TapeError::malformed(line, column, expected)),
        };
        let found = self.lines.hash_before(&range);
        if end != self.events {
            let kind = TapeErrorKind::CountDiffers { stated: end, found: self.events };
            return Err(TapeError::at(line, 0, kind));
        }
        if stated != found {
            let kind = TapeErrorKind::ChecksumDiffers { stated, found };
            return Err(TapeError::at(line, 0, kind));
        }
        if !self.lines.is_done()? {
            return Err(TapeError::at(line + 1, 0, TapeErrorKind::AfterClosing));
        }
        Ok(())
    }
}

impl Iterator for TapeReader {
    type Item = Result<Event, TapeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state != State::Reading {
            return None;
        }
        match self.read() {
            Ok(Some(event)) => Some(Ok(event)),
            Ok(None) => {
                self.state = State::Closed;
                None
            }
            Err(error) => {
                self.state = State::Failed;
                Some(Err(in_file(error, &self.path)))
            }
        }
    }
}

impl std::iter::FusedIterator for TapeReader {}

fn in_file(error: TapeError, path: &MaybePath) -> TapeError {
    match path {
        Some(path) => error.in_file(path),
        None => error,
    }
}

/// True where the line's first key is that of a closing line.
fn is_closing(text: &[u8]) -> bool {
    let rest = text.trim_ascii_start().strip_prefix(b"{");
    rest.is_some_and(|rest| rest.trim_ascii_start().starts_with(b"\"end\""))
}

fn read_header(lines: &mut Lines<Text>) -> Result<(FormatVersion, Readability, Header), TapeError> {
    let range = match lines.next()? {
        Some(Found::Line(range)) => range,
        _ => return Err(TapeError::at(1, 0, TapeErrorKind::NotATape)),
    };
    let text = lines.text(range);
    let version =
        header_text::version(text).ok_or_else(|| TapeError::at(1, 0, TapeErrorKind::NotATape))?;
    let readability = version.readability().map_err(|kind| TapeError::at(1, 0, kind))?;
    let header = match readability {
        Readability::Upgraded => {
            upgrade::header_line(text).and_then(|upgraded| header_text::read(&upgraded))
        }
        _ => header_text::read(text),
    };
    match header {
        Ok(header) => Ok((version, readability, header)),
        Err(_) if lines.is_torn() => Err(TapeError::at(1, 0, TapeErrorKind::NotClosed)),
        Err((column, expected)) => Err(TapeError::malformed(1, column, expected)),
    }
}
