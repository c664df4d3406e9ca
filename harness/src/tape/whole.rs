//! A tape in memory.

use super::blob::BlobIndex;
use super::error::TapeError;
use super::event::{Body, Event, Sequence};
use super::header::{Header, OpenedAs};
use super::limits::TapeLimits;
use super::payload::{Digest, Payload};
use super::reader::TapeReader;
use super::source::Source;
use super::tape_file::TapeFile;
use super::writer::TapeWriter;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of blobs that a tape keeps once they were loaded.
const KEPT_MAX: usize = 16 << 20;

/// A whole tape: its header and events in memory, its blobs in the file that it was read from.
#[derive(Debug)]
pub struct Tape {
    header: Header,
    events: Vec<Event>,
    blobs: BlobIndex,
    source: Source,
    path: Option<PathBuf>,
    limits: TapeLimits,
    loaded: Mutex<BTreeMap<Digest, Arc<[u8]>>>,
}

impl Tape {
    /// A tape of these events, whose payloads are at hand.
    #[must_use]
    pub fn new(header: Header, events: Vec<Event>) -> Self {
        Self {
            header,
            events,
            blobs: BlobIndex::default(),
            source: Source::None,
            path: None,
            limits: TapeLimits::DEFAULT,
            loaded: Mutex::default(),
        }
    }

    /// Reads a tape, compressed or not. The file stays open for its blobs.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or holds no whole tape.
    pub fn read(path: &Path) -> Result<Self, TapeError> {
        Self::collect(TapeReader::open(path)?)
    }

    /// Reads a tape, compressed or not, from memory.
    ///
    /// # Errors
    ///
    /// The bytes are no whole tape.
    pub fn from_bytes(bytes: impl Into<Arc<[u8]>>) -> Result<Self, TapeError> {
        Self::collect(TapeReader::from_bytes(bytes)?)
    }

    /// Reads what is left of a reader.
    ///
    /// # Errors
    ///
    /// The tape does not read to its end.
    pub fn collect(mut reader: TapeReader) -> Result<Self, TapeError> {
        let events = reader.by_ref().collect::<Result<_, _>>()?;
        let limits = reader.limits();
        let (header, blobs, source, path) = reader.into_parts();
        Ok(Self { header, events, blobs, source, path, limits, loaded: Mutex::default() })
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The header, to be changed.
    #[must_use]
    pub fn header_mut(&mut self) -> &mut Header {
        &mut self.header
    }

    /// The events in their order.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The events, to be changed.
    #[must_use]
    pub fn events_mut(&mut self) -> &mut Vec<Event> {
        &mut self.events
    }

    /// The event of a sequence number.
    #[must_use]
    pub fn event(&self, sequence: Sequence) -> Option<&Event> {
        let at = self.events.binary_search_by_key(&sequence, |event| event.sequence).ok()?;
        self.events.get(at)
    }

    /// What each connection was opened as, by its number. Those whose service has no
    /// [`label`](super::ServiceIdentity::label) in the header are left out.
    #[must_use]
    pub fn opened(&self) -> BTreeMap<u32, OpenedAs> {
        let mut asked: BTreeMap<Sequence, (u32, u32)> = BTreeMap::new();
        let mut opened = BTreeMap::new();
        for event in &self.events {
            match event.body {
                Body::Open { service, open_type } => {
                    asked.insert(event.sequence, (service, open_type));
                }
                Body::Opened => {
                    let open = event.cause.and_then(|cause| asked.get(&cause));
                    if let (Some(connection), Some((service, open_type))) = (event.connection, open)
                        && let Some(identity) = self.header.services.get(service)
                        && let Some(label) = identity.label()
                    {
                        let on = OpenedAs { service: label.to_owned(), open_type: *open_type };
                        opened.insert(connection, on);
                    }
                }
                _ => {}
            }
        }
        opened
    }

    /// The file that it was read from.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The blobs of the file.
    #[must_use]
    pub fn blobs(&self) -> &BlobIndex {
        &self.blobs
    }

    /// Reads the bytes of a blob. Those last read are kept, up to 16 MiB.
    ///
    /// # Errors
    ///
    /// There is no such blob, it cannot be read again, or its bytes are not those of its hash.
    pub fn load(&self, digest: Digest) -> Result<Arc<[u8]>, TapeError> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = loaded.get(&digest) {
            return Ok(bytes.clone());
        }
        let bytes =
            self.blobs.load(digest, &self.source, self.limits).map_err(|error| {
                match &self.path {
                    Some(path) => error.in_file(path),
                    None => error,
                }
            })?;
        let kept: usize = loaded.values().map(|bytes| bytes.len()).sum();
        if kept + bytes.len() > KEPT_MAX {
            loaded.clear();
        }
        loaded.insert(digest, bytes.clone());
        Ok(bytes)
    }

    /// The bytes of a payload, wherever they are; `None` where only their hash was kept or they were
    /// redacted.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn bytes<'a>(&self, payload: &'a Payload) -> Result<Option<Cow<'a, [u8]>>, TapeError> {
        Ok(match payload {
            Payload::Bytes(bytes) => Some(Cow::Borrowed(bytes)),
            Payload::Blob { digest, .. } => Some(Cow::Owned(self.load(*digest)?.to_vec())),
            Payload::Hash { .. } | Payload::Redacted { .. } => None,
        })
    }

    /// Loads every blob into the events that use it, so that they stand alone.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn inline_blobs(&mut self) -> Result<(), TapeError> {
        let mut events = std::mem::take(&mut self.events);
        let inlined = events.iter_mut().try_for_each(|event| {
            event.try_visit_payloads(|payload| {
                if let Payload::Blob { digest, .. } = payload {
                    *payload = Payload::Bytes(self.load(*digest)?);
                }
                Ok(())
            })
        });
        self.events = events;
        inlined
    }

    /// Writes the tape to a file, compressed where its name ends in `.zst`.
    ///
    /// # Errors
    ///
    /// The file cannot be written, or a blob not be read.
    pub fn write(&self, path: &Path) -> Result<(), TapeError> {
        let mut file = TapeFile::create(path, &self.header)?;
        for event in &self.events {
            file.event_from(event, &|digest| self.load(digest))?;
        }
        file.finish()
    }

    /// Writes the tape's text.
    ///
    /// # Errors
    ///
    /// The output fails, or a blob cannot be read.
    pub fn write_to<W: Write>(&self, output: W) -> Result<W, TapeError> {
        let mut writer = TapeWriter::new(output, &self.header)?;
        for event in &self.events {
            writer.event_from(event, &|digest| self.load(digest))?;
        }
        writer.finish()
    }

    /// The tape's text.
    ///
    /// # Errors
    ///
    /// The format cannot hold an event, or a blob cannot be read.
    pub fn to_text(&self) -> Result<String, TapeError> {
        let bytes = self.write_to(Vec::new())?;
        // The writer puts together JSON only, so this never loses anything.
        Ok(String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }
}
