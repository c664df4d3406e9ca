//! The bytes and words of a program, each in one allocation.

use super::LoadError;
use crate::tape::{Digest, Payload};
use std::collections::HashMap;
use std::sync::Arc;

/// Bytes and scalars of all steps.
#[derive(Debug, Default)]
pub(in crate::replay) struct Arena {
    pub(in crate::replay) bytes: Vec<u8>,
    pub(in crate::replay) words: Vec<u64>,
    /// Where a blob's bytes are: each is resolved and stored once.
    blobs: HashMap<Digest, (u64, u64)>,
}

/// Bytes of a payload in the arena.
pub(super) enum Stored {
    At(u64),
    /// They are not on the tape.
    Opaque,
}

impl Arena {
    #[inline]
    pub(in crate::replay) fn bytes(&self, at: u64, length: u64) -> &[u8] {
        &self.bytes[at as usize..(at + length) as usize]
    }

    #[inline]
    pub(in crate::replay) fn words(&self, at: u32, count: u8) -> &[u64] {
        &self.words[at as usize..at as usize + usize::from(count)]
    }

    pub(super) fn add_words(&mut self, words: &[u64]) -> Result<u32, LoadError> {
        let at = u32::try_from(self.words.len()).map_err(|_| LoadError::TooLarge)?;
        self.words.extend_from_slice(words);
        Ok(at)
    }

    pub(super) fn add(
        &mut self,
        payload: &Payload,
        blobs: &dyn Fn(&Digest) -> Option<Arc<[u8]>>,
    ) -> Result<Stored, LoadError> {
        match payload {
            Payload::Bytes(bytes) => Ok(Stored::At(self.append(bytes))),
            Payload::Blob { digest, length } => {
                let missing = LoadError::MissingBlob { digest: *digest, length: *length };
                let (at, stored) = match self.blobs.get(digest) {
                    Some(known) => *known,
                    None => {
                        let Some(bytes) = blobs(digest) else { return Err(missing) };
                        let known = (self.append(&bytes), bytes.len() as u64);
                        self.blobs.insert(*digest, known);
                        known
                    }
                };
                if stored == *length { Ok(Stored::At(at)) } else { Err(missing) }
            }
            Payload::Hash { .. } | Payload::Redacted { .. } => Ok(Stored::Opaque),
        }
    }

    fn append(&mut self, bytes: &[u8]) -> u64 {
        let at = self.bytes.len() as u64;
        self.bytes.extend_from_slice(bytes);
        at
    }
}
