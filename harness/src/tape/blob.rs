//! Blobs: long bytes, each on a line of its own before its first use, stored once.
//!
//! `{"blob":"<hash>","size":"0x2000","lz4":"<base64>"}`: hash and size are those of the raw bytes; `raw`
//! stands in place of `lz4` where compression does not make them shorter. The line has this one
//! spelling, so that a reader can pass over it without holding it.

use super::error::{TapeError, TapeErrorKind};
use super::hex;
use super::limits::TapeLimits;
use super::payload::Digest;
use super::source::{Source, read_error};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

/// Bytes within which the head of a blob line ends.
pub(super) const HEAD_MAX: usize = 128;

/// LZ4 makes at most this many bytes out of one.
const LZ4_RATIO_MAX: u64 = 255;

/// How the bytes of a blob are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Codec {
    Raw,
    Lz4,
}

/// A blob's place in the text.
#[derive(Clone, Debug)]
pub(super) struct BlobHead {
    pub(super) digest: Digest,
    /// Raw bytes.
    pub(super) size: u64,
    codec: Codec,
    /// Line of the text.
    pub(super) line: u64,
    /// Where the base64 digits begin in the text.
    pub(super) offset: u64,
    /// How many there are.
    pub(super) length: u64,
}

/// True for the digits of base64 and its padding.
pub(super) const fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

impl BlobHead {
    /// Reads the start of a blob line; also gives how many bytes it takes.
    pub(super) fn parse(text: &[u8]) -> Result<(Self, usize), String> {
        Self::parse_text(text).ok_or_else(|| {
            "a blob line: {\"blob\":\"<64 hex digits>\",\"size\":\"0x..\",\"lz4\":\"<base64>\"}"
                .to_owned()
        })
    }

    fn parse_text(text: &[u8]) -> Option<(Self, usize)> {
        let text = &text[..text.len().min(HEAD_MAX)];
        let rest = text.strip_prefix(b"{\"blob\":\"")?;
        let digest = std::str::from_utf8(rest.get(..64)?).ok()?.parse().ok()?;
        let rest = rest[64..].strip_prefix(b"\",\"size\":\"")?;
        let digits = rest.iter().position(|byte| *byte == b'"')?;
        let size = hex::number(std::str::from_utf8(&rest[..digits]).ok()?)?;
        let rest = &rest[digits..];
        let (codec, rest) = match rest.strip_prefix(b"\",\"lz4\":\"") {
            Some(rest) => (Codec::Lz4, rest),
            None => (Codec::Raw, rest.strip_prefix(b"\",\"raw\":\"")?),
        };
        let head = Self { digest, size, codec, line: 0, offset: 0, length: 0 };
        Some((head, text.len() - rest.len()))
    }

    /// True where so many digits of base64 can hold a blob of this size.
    fn is_plausible(&self) -> bool {
        let stored = self.length / 4 * 3;
        match self.codec {
            Codec::Raw => self.size <= stored && stored <= self.size + 3,
            Codec::Lz4 => self.size <= stored.saturating_mul(LZ4_RATIO_MAX),
        }
    }

    fn broken(&self) -> TapeError {
        TapeError::at(self.line, 0, TapeErrorKind::BrokenBlob { digest: self.digest })
    }

    /// The raw bytes, from the base64 digits. `is_plausible` has been asked before, so no more memory
    /// is taken than a fixed multiple of what the tape itself takes.
    fn bytes(&self, digits: &[u8]) -> Option<Arc<[u8]>> {
        let stored = STANDARD.decode(digits).ok()?;
        let size = usize::try_from(self.size).ok()?;
        let raw = match self.codec {
            Codec::Raw => stored,
            Codec::Lz4 => {
                let mut raw = vec![0; size];
                let length = lz4_flex::block::decompress_into(&stored, &mut raw).ok()?;
                raw.truncate(length);
                raw
            }
        };
        (raw.len() == size && Digest::of(&raw) == self.digest).then(|| raw.into())
    }
}

/// Appends the line of a blob.
pub(super) fn push_line(out: &mut Vec<u8>, digest: Digest, bytes: &[u8]) {
    out.extend_from_slice(format!("{{\"blob\":\"{digest}\",\"size\":\"").as_bytes());
    hex::push_number(out, bytes.len() as u64);
    let compressed = lz4_flex::block::compress(bytes);
    let (codec, stored) = if compressed.len() < bytes.len() {
        ("\",\"lz4\":\"", compressed.as_slice())
    } else {
        ("\",\"raw\":\"", bytes)
    };
    out.extend_from_slice(codec.as_bytes());
    out.extend_from_slice(STANDARD.encode(stored).as_bytes());
    out.extend_from_slice(b"\"}\n");
}

/// The blobs of a tape: where they stand, not their bytes.
#[derive(Clone, Debug, Default)]
pub struct BlobIndex {
    blobs: BTreeMap<Digest, BlobHead>,
}

impl BlobIndex {
    /// How many blobs there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.blobs.len()
    }

    /// True where there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blobs.is_empty()
    }

    /// Hash and size in bytes of each blob, sorted by hash.
    pub fn iter(&self) -> impl Iterator<Item = (Digest, u64)> {
        self.blobs.values().map(|blob| (blob.digest, blob.size))
    }

    /// Size in bytes of a blob.
    #[must_use]
    pub fn size(&self, digest: Digest) -> Option<u64> {
        self.blobs.get(&digest).map(|blob| blob.size)
    }

    /// Notes a blob that was found.
    pub(super) fn insert(&mut self, blob: BlobHead, limits: TapeLimits) -> Result<(), TapeError> {
        let over = |what, limit, found| {
            TapeError::at(blob.line, 0, TapeErrorKind::Limit { what, limit, found })
        };
        if blob.size > limits.blob {
            return Err(over("a blob in bytes", limits.blob, blob.size));
        }
        if self.blobs.len() as u64 >= limits.blobs {
            return Err(over("a number of blobs", limits.blobs, limits.blobs + 1));
        }
        if !blob.is_plausible() {
            return Err(blob.broken());
        }
        if self.blobs.contains_key(&blob.digest) {
            return Err(TapeError::malformed(blob.line, 0, "each blob once"));
        }
        self.blobs.insert(blob.digest, blob);
        Ok(())
    }

    /// Reads a blob from the text that it was found in.
    pub(super) fn load(
        &self,
        digest: Digest,
        source: &Source,
        limits: TapeLimits,
    ) -> Result<Arc<[u8]>, TapeError> {
        let blob = self
            .blobs
            .get(&digest)
            .ok_or_else(|| TapeError::new(TapeErrorKind::NoBlob { digest }))?;
        let read = || {
            let mut digits = Vec::new();
            source.text_from(blob.offset, limits)?.take(blob.length).read_to_end(&mut digits)?;
            Ok(digits)
        };
        let digits = read().map_err(|error| TapeError::at(blob.line, 0, read_error(error)))?;
        blob.bytes(&digits).ok_or_else(|| blob.broken())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &[u8]) -> Option<Arc<[u8]>> {
        let (mut head, length) = BlobHead::parse(line).ok()?;
        let digits = &line[length..line.len() - 3];
        head.length = digits.len() as u64;
        if head.is_plausible() { head.bytes(digits) } else { None }
    }

    #[test]
    fn bytes_read_back_compressed_or_not() {
        let zeros = vec![0; 100_000];
        let noise: Vec<u8> = Digest::of(&[]).0.to_vec();
        for (bytes, codec) in [(&zeros, "lz4"), (&noise, "raw"), (&Vec::new(), "raw")] {
            let mut line = Vec::new();
            push_line(&mut line, Digest::of(bytes), bytes);
            assert!(std::str::from_utf8(&line).unwrap().contains(codec));
            assert!(line.ends_with(b"\"}\n"));
            assert_eq!(read(&line).as_deref(), Some(bytes.as_slice()));
        }
    }

    #[test]
    fn a_size_that_the_digits_cannot_hold_is_refused_before_memory_is_taken() {
        let bytes = vec![0; 1000];
        let mut line = Vec::new();
        push_line(&mut line, Digest::of(&bytes), &bytes);
        let text = String::from_utf8(line).unwrap();
        let large = text.replace("\"0x3e8\"", "\"0xffffffffff\"");
        let (mut head, _) = BlobHead::parse(large.as_bytes()).unwrap();
        head.length = 40;
        assert!(!head.is_plausible());
        assert!(head.size > 1 << 39);
        assert_eq!(read(text.replace("\"0x3e8\"", "\"0x3e9\"").as_bytes()), None);
        assert_eq!(read(text.replace("\"0x3e8\"", "\"0x3e7\"").as_bytes()), None);
    }
}
