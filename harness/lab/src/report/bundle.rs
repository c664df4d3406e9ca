//! Reading a bundle, which may come from anybody.

use super::cover::Covered;
use super::error::BundleError;
use super::manifest::{FORMAT, Manifest};
use super::{BUNDLE_MAX, DIGITS, REPORT_EVENTS_MAX, SEAL, TAPES_MAX, TEXT_MAX, UNPACKED_MAX};
use std::io::{Read, Seek, SeekFrom, Write};
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

/// Bytes of the record at the end of a zip, before its comment.
const END: usize = 22;

/// The most bytes of the directory of a zip with as many files as a bundle can have.
const DIRECTORY_MAX: u64 = 16 << 10;

/// A bundle that is whole: nothing in it has another name, size or hash than its manifest says.
///
/// Files are unpacked one at a time, never by a name that stands in the bundle, and never beyond the size that
/// the manifest says.
#[derive(Debug)]
pub struct Bundle<R> {
    archive: ZipArchive<Covered<R>>,
    manifest: Manifest,
    note: String,
    log: String,
}

impl<R: Read + Seek> Bundle<R> {
    /// Reads a bundle but for its tapes.
    ///
    /// # Errors
    ///
    /// [`BundleError`] where it is none, or not as it was packed.
    pub fn read(mut reader: R) -> Result<Self, BundleError> {
        let (entries, begin) = sealed(&mut reader)?;
        let (reader, cover) = Covered::new(reader, begin)?;
        let mut archive =
            ZipArchive::new(reader).map_err(|error| of_zip("the directory", error))?;
        cover.lift();
        if archive.len() != entries || archive.offset() != 0 || archive.has_duplicate_names() {
            return Err(BundleError::broken("the directory", "each file once, and nothing else"));
        }
        let mut manifest = Vec::new();
        let size = unpack(&mut archive, "manifest.json", TEXT_MAX, &mut manifest)?.0;
        let manifest: Manifest = serde_json::from_slice(&manifest).map_err(|error| {
            BundleError::broken("manifest.json", format!("a manifest ({error})"))
        })?;
        agree(&manifest, entries, size)?;
        let mut bundle = Self { archive, manifest, note: String::new(), log: String::new() };
        bundle.note = bundle.text("note.txt")?;
        bundle.log = bundle.text("log.txt")?;
        Ok(bundle)
    }

    /// What it says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What the user says; empty where nothing.
    #[must_use]
    pub fn note(&self) -> &str {
        &self.note
    }

    /// Lines of a log; empty where there are none.
    #[must_use]
    pub fn log(&self) -> &str {
        &self.log
    }

    /// Unpacks the tape of this index, from 0 on.
    ///
    /// # Errors
    ///
    /// There is no such tape, its bytes are not those of the manifest or not text, or they cannot be written.
    /// What was written by then is not to be read.
    pub fn unpack_tape(&mut self, index: usize, to: &mut dyn Write) -> Result<(), BundleError> {
        let Some(tape) = self.manifest.tapes.get(index) else {
            return Err(BundleError::broken("the manifest", format!("tape {}", index + 1)));
        };
        let name = tape.file.clone();
        let mut begun = Begun { to, first: None };
        self.checked(&name, &mut begun)?;
        // Tapes are packed as text: a compressed one could be of any size when it is read.
        if begun.first == Some(b'{') {
            Ok(())
        } else {
            Err(BundleError::broken(name, "a tape that is not compressed"))
        }
    }

    fn text(&mut self, name: &str) -> Result<String, BundleError> {
        let mut bytes = Vec::new();
        if self.manifest.files.iter().any(|file| file.name == name) {
            self.checked(name, &mut bytes)?;
        }
        String::from_utf8(bytes).map_err(|_| BundleError::broken(name, "UTF-8"))
    }

    fn checked(&mut self, name: &str, to: &mut dyn Write) -> Result<(), BundleError> {
        let missing = || BundleError::broken(name, "a line of the manifest");
        let file = self.manifest.files.iter().find(|file| file.name == name).ok_or_else(missing)?;
        let (size, hash) = unpack(&mut self.archive, name, file.size, to)?;
        if size == file.size && hash == file.blake3 {
            Ok(())
        } else {
            Err(BundleError::broken(name, "the bytes of its size and hash"))
        }
    }
}

/// Keeps the first byte of what is written.
struct Begun<'a> {
    to: &'a mut dyn Write,
    first: Option<u8>,
}

impl Write for Begun<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.first = self.first.or(bytes.first().copied());
        self.to.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.to.flush()
    }
}

/// Sees that the file ends as a bundle does, with the hash of all before it, and gives the number of files and
/// where their directory begins.
/// Everything that takes memory by what the end says is bounded here, before the zip is looked at.
fn sealed<R: Read + Seek>(reader: &mut R) -> Result<(usize, u64), BundleError> {
    let tail_length = END + SEAL.len() + DIGITS;
    let length = reader.seek(SeekFrom::End(0))?;
    if length < tail_length as u64 {
        return Err(BundleError::Seal("it is too short"));
    }
    if length > BUNDLE_MAX {
        return Err(BundleError::broken("the file", format!("at most {BUNDLE_MAX} bytes")));
    }
    let end = length - tail_length as u64;
    reader.seek(SeekFrom::Start(end))?;
    let mut tail = vec![0; tail_length];
    reader.read_exact(&mut tail)?;
    let word = |at: usize| u64::from(u16::from_le_bytes([tail[at], tail[at + 1]]));
    let long = |at: usize| word(at) | word(at + 2) << 16;
    if !tail.starts_with(b"PK\x05\x06") || !tail[END..].starts_with(SEAL.as_bytes()) {
        return Err(BundleError::Seal("it ends otherwise"));
    }
    reader.rewind()?;
    let mut hasher = blake3::Hasher::new();
    std::io::copy(&mut reader.by_ref().take(length - DIGITS as u64), &mut hasher)?;
    if hasher.finalize().to_hex().as_bytes() != &tail[tail_length - DIGITS..] {
        return Err(BundleError::Seal("the hash is another one, so it was changed"));
    }
    let (entries, directory, begin) = (word(10), long(12), long(16));
    let one_disk = word(4) == 0 && word(6) == 0 && word(8) == entries;
    let fits = entries as usize <= TAPES_MAX + 3 && directory <= DIRECTORY_MAX;
    let comment = word(20) == (SEAL.len() + DIGITS) as u64;
    if !(one_disk && fits && comment && begin + directory == end) {
        return Err(BundleError::broken("the end", "one directory of few files right before it"));
    }
    reader.seek(SeekFrom::Start(begin))?;
    let mut bytes = vec![0; directory as usize];
    reader.read_exact(&mut bytes)?;
    // An end within it, of a zip or of a large one, would lead to another directory.
    let ends = [b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"];
    if bytes.windows(4).any(|found| ends.iter().any(|end| found == *end)) {
        return Err(BundleError::broken("the directory", "no other end of a zip within it"));
    }
    Ok((entries as usize, begin))
}

/// Sees that the manifest names just what there is.
fn agree(manifest: &Manifest, entries: usize, size: u64) -> Result<(), BundleError> {
    let broken = |expected: &str| Err(BundleError::broken("manifest.json", expected));
    if manifest.format != FORMAT {
        return broken("format 1");
    }
    if manifest.files.len() + 1 != entries || manifest.tapes.len() > TAPES_MAX {
        return broken("a line for each file");
    }
    let mut names: Vec<&str> = manifest.files.iter().map(|file| &*file.name).collect();
    names.sort_unstable();
    names.dedup();
    let of_tapes = (1..).zip(&manifest.tapes);
    let numbered =
        of_tapes.clone().all(|(number, tape)| tape.file == format!("tapes/{number}.tape.jsonl"));
    let known = |name: &&str| {
        ["note.txt", "log.txt"].contains(name) || manifest.tapes.iter().any(|it| it.file == **name)
    };
    let has = |name: &str| names.binary_search(&name).is_ok();
    let all_there = manifest.tapes.iter().all(|tape| has(&tape.file));
    if names.len() != manifest.files.len() || !numbered || !names.iter().all(known) || !all_there {
        return broken("files called tapes/1.tape.jsonl and so on, note.txt and log.txt");
    }
    let events = manifest.tapes.iter().fold(0, |sum: u64, tape| sum.saturating_add(tape.events));
    if events > REPORT_EVENTS_MAX {
        return broken("tapes of at most 1000000 events together");
    }
    let texts = manifest.files.iter().filter(|file| !file.name.starts_with("tapes/"));
    let sum = manifest.files.iter().fold(size, |sum, file| sum.saturating_add(file.size));
    if sum > UNPACKED_MAX || texts.map(|file| file.size).any(|size| size > TEXT_MAX) {
        return broken("files of at most 512 MiB together, and texts of 1 MiB");
    }
    Ok(())
}

/// Unpacks a file of at most so many bytes; gives its size and hash.
fn unpack<R: Read + Seek>(
    archive: &mut ZipArchive<R>,
    name: &str,
    most: u64,
    to: &mut dyn Write,
) -> Result<(u64, String), BundleError> {
    let file = archive.by_name(name).map_err(|error| of_zip(name, error))?;
    let plain =
        matches!(file.compression(), CompressionMethod::Stored | CompressionMethod::Deflated);
    if !plain || file.encrypted() || !file.is_file() || file.size() > most {
        return Err(BundleError::broken(name, format!("a deflated file of at most {most} bytes")));
    }
    let (mut hasher, mut size) = (blake3::Hasher::new(), 0);
    let mut file = file.take(most.saturating_add(1));
    let mut buffer = vec![0; 64 << 10];
    loop {
        // What the inflater or the check of the sum says is of the file, not of this machine.
        let count =
            file.read(&mut buffer).map_err(|error| BundleError::broken(name, error.to_string()))?;
        if count == 0 {
            return Ok((size, hasher.finalize().to_hex().to_string()));
        }
        size += count as u64;
        if size > most {
            return Err(BundleError::broken(name, format!("at most {most} bytes")));
        }
        hasher.update(&buffer[..count]);
        to.write_all(&buffer[..count])?;
    }
}

fn of_zip(place: &str, error: ZipError) -> BundleError {
    match error {
        ZipError::Io(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => error.into(),
        error => BundleError::broken(place, format!("what a zip holds ({error})")),
    }
}
