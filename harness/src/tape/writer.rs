//! Writing a tape as a stream.

use super::blob;
use super::encode::{self, PutPayload};
use super::error::{TapeError, TapeErrorKind};
use super::event::Event;
use super::fields::NUMBER_MAX;
use super::header::Header;
use super::header_text;
use super::hex;
use super::limits::TapeLimits;
use super::payload::{Digest, INLINE_PAYLOAD_MAX, Payload};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

/// Where the bytes of a blob come from.
pub type LoadBlob<'a> = &'a dyn Fn(Digest) -> Result<Arc<[u8]>, TapeError>;

/// Writes a tape event by event. Long payloads become blobs, each written once, before its first use.
///
/// The same header and events give the same bytes. Nothing but the hashes of the blobs is kept. Without
/// [`finish`](Self::finish) the text has no closing line.
///
/// # Examples
///
/// ```
/// use dextape::tape::{Body, Event, Header, TapeWriter};
///
/// let mut writer = TapeWriter::new(Vec::new(), &Header::mock())?;
/// writer.event(&Event::new(1, 1, 1, Body::Queue { queue: 1 }))?;
/// let text = String::from_utf8(writer.finish()?)?;
/// assert!(text.contains(r#"{"seq":1,"lane":1,"pos":1,"kind":"queue","queue":1}"#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TapeWriter<W> {
    output: W,
    hasher: blake3::Hasher,
    lines: u64,
    events: u64,
    blobs: BTreeMap<Digest, u64>,
    limits: TapeLimits,
    /// The event's line.
    line: Vec<u8>,
    /// The lines of the blobs before it.
    before: Vec<u8>,
}

impl<W: Write> TapeWriter<W> {
    /// Writes the header.
    ///
    /// # Errors
    ///
    /// The output fails, or the format cannot hold the header.
    pub fn new(output: W, header: &Header) -> Result<Self, TapeError> {
        let mut writer = Self {
            output,
            hasher: blake3::Hasher::new(),
            lines: 0,
            events: 0,
            blobs: BTreeMap::new(),
            limits: TapeLimits::DEFAULT,
            line: Vec::new(),
            before: Vec::new(),
        };
        header_text::push(header, &mut writer.line)
            .map_err(|expected| writer.unwritable(expected))?;
        writer.put()?;
        Ok(writer)
    }

    /// Writes an event whose payloads are at hand, or blobs that an earlier event brought.
    ///
    /// # Errors
    ///
    /// The output fails, a blob is unknown, or the format cannot hold the event. Nothing of the event
    /// was written in the last two cases.
    pub fn event(&mut self, event: &Event) -> Result<(), TapeError> {
        self.event_from(event, &|digest| Err(TapeError::new(TapeErrorKind::NoBlob { digest })))
    }

    /// Writes an event that was read from another tape, whose blobs come from `load`.
    ///
    /// # Errors
    ///
    /// As [`event`](Self::event), or what `load` gives.
    pub fn event_from(&mut self, event: &Event, load: LoadBlob<'_>) -> Result<(), TapeError> {
        self.line.clear();
        self.before.clear();
        let mut blobs = BlobLines {
            blobs: &self.blobs,
            added: BTreeMap::new(),
            before: &mut self.before,
            limits: self.limits,
            load,
            error: None,
        };
        let encoded = encode::event(event, &mut blobs, &mut self.line);
        let added = blobs.added;
        if let Some(error) = blobs.error {
            return Err(error);
        }
        let too_long = self.line.len() as u64 > self.limits.line;
        let encoded = match encoded {
            Ok(()) if too_long => Err(format!("a line of at most {} bytes", self.limits.line)),
            Ok(()) if self.events >= NUMBER_MAX => Err(format!("at most {NUMBER_MAX} events")),
            encoded => encoded,
        };
        encoded.map_err(|expected| self.unwritable(expected))?;
        self.blobs.extend(added);
        self.put()?;
        self.events += 1;
        Ok(())
    }

    /// Events written so far.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Writes the closing line and gives the output back, flushed.
    ///
    /// # Errors
    ///
    /// The output fails.
    pub fn finish(mut self) -> Result<W, TapeError> {
        let checksum = Digest(*self.hasher.finalize().as_bytes());
        self.line = format!("{{\"end\":{},\"blake3\":\"{checksum}\"}}\n", self.events).into_bytes();
        self.before.clear();
        self.put()?;
        self.output.flush()?;
        Ok(self.output)
    }

    fn unwritable(&self, expected: String) -> TapeError {
        TapeError::at(self.lines + 1, 0, TapeErrorKind::Unwritable { expected })
    }

    /// Writes the lines that were made.
    fn put(&mut self) -> Result<(), TapeError> {
        for text in [&self.before, &self.line] {
            if !text.is_empty() {
                self.output.write_all(text)?;
                self.hasher.update(text);
                self.lines += memchr::memchr_iter(b'\n', text).count() as u64;
            }
        }
        Ok(())
    }
}

/// Gathers the lines of the blobs that an event needs.
struct BlobLines<'a> {
    blobs: &'a BTreeMap<Digest, u64>,
    added: BTreeMap<Digest, u64>,
    before: &'a mut Vec<u8>,
    limits: TapeLimits,
    load: LoadBlob<'a>,
    error: Option<TapeError>,
}

impl BlobLines<'_> {
    fn known(&self, digest: Digest) -> Option<u64> {
        self.blobs.get(&digest).or_else(|| self.added.get(&digest)).copied()
    }

    fn add(&mut self, digest: Digest, bytes: &[u8]) -> Result<(), String> {
        let length = bytes.len() as u64;
        if length > self.limits.blob {
            return Err(format!(
                "at most {} bytes in one payload, found {length}: keep their hash only",
                self.limits.blob
            ));
        }
        if (self.blobs.len() + self.added.len()) as u64 >= self.limits.blobs {
            return Err(format!("at most {} blobs", self.limits.blobs));
        }
        blob::push_line(self.before, digest, bytes);
        self.added.insert(digest, length);
        Ok(())
    }
}

impl PutPayload for BlobLines<'_> {
    fn put(&mut self, payload: &Payload, out: &mut Vec<u8>) -> Result<(), String> {
        let (form, digest, length) = match payload {
            Payload::Bytes(bytes) if bytes.len() <= INLINE_PAYLOAD_MAX => {
                hex::push_bytes(out, bytes);
                return Ok(());
            }
            Payload::Bytes(bytes) => {
                let digest = Digest::of(bytes);
                if self.known(digest).is_none() {
                    self.add(digest, bytes)?;
                }
                ("blob:", digest, bytes.len() as u64)
            }
            Payload::Blob { digest, length } => {
                let known = match self.known(*digest) {
                    Some(known) => known,
                    None => match (self.load)(*digest) {
                        Ok(bytes) if Digest::of(&bytes) == *digest => {
                            self.add(*digest, &bytes)?;
                            bytes.len() as u64
                        }
                        Ok(_) => return Err(format!("the bytes of the blob {digest}")),
                        Err(error) => {
                            self.error.get_or_insert(error);
                            return Ok(());
                        }
                    },
                };
                if known != *length {
                    return Err(format!("the size of blob {digest} to be {known:#x}"));
                }
                ("blob:", *digest, *length)
            }
            Payload::Hash { digest, length } => ("hash:", *digest, *length),
            Payload::Redacted { length } => {
                out.extend_from_slice(b"redacted:");
                hex::push_number(out, *length);
                return Ok(());
            }
        };
        out.extend_from_slice(form.as_bytes());
        hex::push_number(out, length);
        out.push(b':');
        hex::push_bytes(out, &digest.0);
        Ok(())
    }
}
