//! A zip that is written field by field, so that any of them can lie.

use miniz_oxide::deflate::compress_to_vec;

/// A file of a zip, as its two headers tell of it.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) name: Vec<u8>,
    pub(crate) method: u16,
    pub(crate) flags: u16,
    pub(crate) crc: u32,
    pub(crate) size: u32,
    pub(crate) packed: Vec<u8>,
    pub(crate) extra: Vec<u8>,
    /// What the directory says where it says something else.
    pub(crate) listed_as: Option<Vec<u8>>,
    pub(crate) listed_extra: Vec<u8>,
    pub(crate) hash: blake3::Hash,
}

impl Member {
    pub(crate) fn deflated(name: &str, content: &[u8]) -> Self {
        Self {
            name: name.as_bytes().to_vec(),
            method: 8,
            flags: 0,
            crc: crc(content),
            size: content.len() as u32,
            packed: compress_to_vec(content, 1),
            extra: Vec::new(),
            listed_as: None,
            listed_extra: Vec::new(),
            hash: blake3::hash(content),
        }
    }

    pub(crate) fn stored(name: &str, content: &[u8]) -> Self {
        Self { method: 0, packed: content.to_vec(), ..Self::deflated(name, content) }
    }

    pub(crate) fn content(&self) -> Vec<u8> {
        miniz_oxide::inflate::decompress_to_vec(&self.packed).unwrap()
    }

    /// The part that both headers have.
    fn common(&self, extra: &[u8], name: &[u8], out: &mut Vec<u8>) {
        for word in [20, self.flags, self.method, 0, 0x21] {
            out.extend(u16::to_le_bytes(word));
        }
        for long in [self.crc, self.packed.len() as u32, self.size] {
            out.extend(long.to_le_bytes());
        }
        out.extend((name.len() as u16).to_le_bytes());
        out.extend((extra.len() as u16).to_le_bytes());
    }
}

/// A zip, and where its headers stand.
#[derive(Clone)]
pub(crate) struct ZipFile {
    pub(crate) members: Vec<Member>,
    /// What stands between the files and the directory.
    pub(crate) between: Vec<u8>,
}

/// A zip's bytes.
pub(crate) struct Written {
    pub(crate) bytes: Vec<u8>,
    pub(crate) locals: Vec<usize>,
    pub(crate) centrals: Vec<usize>,
    pub(crate) end: usize,
}

impl ZipFile {
    pub(crate) fn of(members: Vec<Member>) -> Self {
        Self { members, between: Vec::new() }
    }

    pub(crate) fn write(&self) -> Written {
        let (mut bytes, mut locals, mut centrals) = (Vec::new(), Vec::new(), Vec::new());
        for member in &self.members {
            locals.push(bytes.len());
            bytes.extend(b"PK\x03\x04");
            member.common(&member.extra, &member.name, &mut bytes);
            bytes.extend(&member.name);
            bytes.extend(&member.extra);
            bytes.extend(&member.packed);
        }
        bytes.extend(&self.between);
        let begin = bytes.len();
        for (member, local) in self.members.iter().zip(&locals) {
            let name = member.listed_as.as_ref().unwrap_or(&member.name);
            centrals.push(bytes.len());
            bytes.extend(b"PK\x01\x02\x14\x03");
            member.common(&member.listed_extra, name, &mut bytes);
            // No comment, the first disk, text or not.
            bytes.extend([0; 6]);
            bytes.extend((0o100_644_u32 << 16).to_le_bytes());
            bytes.extend((*local as u32).to_le_bytes());
            bytes.extend(name);
            bytes.extend(&member.listed_extra);
        }
        let end = bytes.len();
        end_record(self.members.len() as u16, end - begin, begin, &mut bytes);
        Written { bytes, locals, centrals, end }
    }

    pub(crate) fn sealed(&self) -> Vec<u8> {
        resealed(self.write().bytes)
    }
}

/// The end of a zip, with the comment of a bundle.
pub(crate) fn end_record(entries: u16, size: usize, begin: usize, bytes: &mut Vec<u8>) {
    let comment = format!("dextape report, blake3 {}", "0".repeat(64));
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend(entries.to_le_bytes());
    bytes.extend(entries.to_le_bytes());
    bytes.extend((size as u32).to_le_bytes());
    bytes.extend((begin as u32).to_le_bytes());
    bytes.extend((comment.len() as u16).to_le_bytes());
    bytes.extend(comment.as_bytes());
}

/// Puts the right hash at the end.
pub(crate) fn resealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let sealed = bytes.len() - 64;
    let hash = blake3::hash(&bytes[..sealed]).to_hex();
    bytes[sealed..].copy_from_slice(hash.as_bytes());
    bytes
}

/// The checksum of a zip.
fn crc(content: &[u8]) -> u32 {
    !content.iter().fold(!0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            sum >> 1 ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 }
        })
    })
}
