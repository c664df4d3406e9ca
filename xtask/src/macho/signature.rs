//! What an image is signed with: the flags, who signed, and the entitlements. The signature itself is not
//! checked: macOS does that, and a file whose signature is broken runs nowhere.

use super::property_list::read_property_list;
use object::ReadRef;
use std::collections::BTreeMap;

/// Blobs of one signature that are looked at; real ones have ten.
const BLOBS_MAX: u32 = 64;

/// Bytes of entitlements; real ones have some thousand.
const ENTITLEMENTS_MAX: u64 = 1 << 20;

/// Bytes of an identifier.
const TEXT_MAX: u64 = 1024;

/// Numbers of the format, all big-endian.
mod magic {
    pub(super) const SIGNATURE: u32 = 0xfade_0cc0;
    pub(super) const DIRECTORY: u32 = 0xfade_0c02;
    pub(super) const ENTITLEMENTS: u32 = 0xfade_7171;
    pub(super) const ENTITLEMENTS_DER: u32 = 0xfade_7172;
}

/// Flags of a code directory.
pub(crate) mod flag {
    /// Signed by nobody.
    pub(crate) const ADHOC: u32 = 0x2;
    /// No variables of dyld.
    pub(crate) const RESTRICT: u32 = 0x800;
    /// Libraries of the same team and Apple's only.
    pub(crate) const REQUIRE_LIBRARY_VALIDATION: u32 = 0x2000;
    /// The hardened runtime.
    pub(crate) const RUNTIME: u32 = 0x1_0000;
}

/// What an image is signed with.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Signature {
    /// Flags of the code directory.
    pub(crate) flags: u32,
    /// The identifier.
    pub(crate) identifier: String,
    /// The team that signed it.
    pub(crate) team: Option<String>,
    /// It calls itself a part of macOS.
    pub(crate) is_platform: bool,
    /// The entitlements by name.
    pub(crate) entitlements: BTreeMap<String, plist::Value>,
    /// It has entitlements in a form only that is not read here.
    pub(crate) has_other_entitlements: bool,
}

impl Signature {
    /// True where it has all of these flags.
    pub(crate) const fn has(&self, flags: u32) -> bool {
        self.flags & flags == flags
    }

    /// True where the entitlement is there and not false.
    pub(crate) fn is_entitled(&self, name: &str) -> bool {
        match self.entitlements.get(name) {
            Some(plist::Value::Boolean(value)) => *value,
            value => value.is_some(),
        }
    }

    /// True where nobody's certificate stands behind it.
    pub(crate) const fn is_ad_hoc(&self) -> bool {
        self.has(flag::ADHOC)
    }
}

/// A part of the file, with every offset checked against it.
#[derive(Clone, Copy)]
struct Part<R> {
    data: R,
    start: u64,
    length: u64,
}

impl<'data, R: ReadRef<'data>> Part<R> {
    fn bytes(&self, at: u64, length: u64) -> Result<&'data [u8], String> {
        let end = at.checked_add(length).filter(|end| *end <= self.length);
        let place = end.and_then(|_| self.start.checked_add(at));
        let bytes = place.and_then(|place| self.data.read_bytes_at(place, length).ok());
        bytes.ok_or_else(|| format!("the signature ends before its byte {at:#x}"))
    }

    fn word(&self, at: u64) -> Result<u32, String> {
        let bytes = self.bytes(at, 4)?;
        Ok(bytes.iter().fold(0, |word, byte| word << 8 | u32::from(*byte)))
    }

    /// The blob at an offset, with its magic.
    fn blob(&self, at: u64) -> Result<(u32, Self), String> {
        let (magic, length) = (self.word(at)?, u64::from(self.word(at + 4)?));
        self.bytes(at, 0)?;
        if length < 8 || at.checked_add(length).is_none_or(|end| end > self.length) {
            return Err(format!("a part of the signature has no {length} bytes"));
        }
        Ok((magic, Self { start: self.start + at, length, ..*self }))
    }

    /// A text that ends in 0.
    fn text(&self, at: u64) -> Result<String, String> {
        let room = self.length.saturating_sub(at).min(TEXT_MAX);
        let bytes = self.bytes(at, room)?;
        let end = bytes.iter().position(|byte| *byte == 0).ok_or("a name without an end")?;
        Ok(String::from_utf8_lossy(&bytes[..end]).into_owned())
    }
}

/// Reads the signature of `length` bytes at `start`.
///
/// # Errors
///
/// What is wrong with it.
pub(super) fn read_signature<'data, R: ReadRef<'data>>(
    data: R,
    start: u64,
    length: u64,
) -> Result<Signature, String> {
    let whole = Part { data, start, length };
    let (found, whole) = whole.blob(0)?;
    if found != magic::SIGNATURE {
        return Err(format!("expected a signature, found {found:#010x}"));
    }
    let count = whole.word(8)?;
    if count > BLOBS_MAX {
        return Err(format!("expected at most {BLOBS_MAX} parts of a signature, found {count}"));
    }
    let mut signature = Signature::default();
    let (mut has_directory, mut in_der) = (false, false);
    for index in 0..u64::from(count) {
        let at = whole.word(12 + 8 * index + 4)?;
        let (found, blob) = whole.blob(at.into())?;
        match found {
            // The first one is that which every macOS knows; others have longer hashes.
            magic::DIRECTORY if !has_directory => {
                has_directory = true;
                directory(&blob, &mut signature)?;
            }
            magic::ENTITLEMENTS => entitlements(&blob, &mut signature)?,
            magic::ENTITLEMENTS_DER => in_der = true,
            _ => {}
        }
    }
    if !has_directory {
        return Err("expected a code directory in the signature".to_owned());
    }
    signature.has_other_entitlements = in_der && signature.entitlements.is_empty();
    Ok(signature)
}

fn directory<'data, R: ReadRef<'data>>(
    blob: &Part<R>,
    signature: &mut Signature,
) -> Result<(), String> {
    /// The first version that has a team.
    const WITH_TEAM: u32 = 0x2_0200;

    let version = blob.word(8)?;
    signature.flags = blob.word(12)?;
    signature.identifier = blob.text(blob.word(20)?.into())?;
    signature.is_platform = blob.bytes(38, 1)? != [0];
    if version >= WITH_TEAM {
        let team = blob.word(48)?;
        signature.team = (team != 0).then(|| blob.text(team.into())).transpose()?;
    }
    Ok(())
}

fn entitlements<'data, R: ReadRef<'data>>(
    blob: &Part<R>,
    signature: &mut Signature,
) -> Result<(), String> {
    let length = blob.length - 8;
    if length > ENTITLEMENTS_MAX {
        return Err(format!("expected at most {ENTITLEMENTS_MAX} bytes of entitlements"));
    }
    if length == 0 {
        return Ok(());
    }
    let bytes = blob.bytes(8, length)?;
    let value = read_property_list(bytes).map_err(|error| format!("entitlements: {error}"))?;
    let all = value.into_dictionary().ok_or("expected entitlements to be a dictionary")?;
    signature.entitlements = all.into_iter().collect();
    Ok(())
}
