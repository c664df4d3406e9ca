//! A tape that is written to a file, all of it or not at all.

use super::error::TapeError;
use super::event::Event;
use super::header::Header;
use super::writer::{LoadBlob, TapeWriter};
use ruzstd::encoding::{CompressionLevel, compress};
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::NamedTempFile;

/// Ending of the name of a compressed tape.
pub const COMPRESSED_ENDING: &str = ".zst";

/// Writes a tape to a file. The text goes to another file in the same directory, which takes the name
/// when it is finished and safe on the disk: nobody ever sees half a tape, and an existing file stays
/// as it is when something fails.
///
/// A name that ends in [`COMPRESSED_ENDING`] gives the compressed form.
#[derive(Debug)]
pub struct TapeFile {
    path: PathBuf,
    writer: TapeWriter<BufWriter<NamedTempFile>>,
}

impl TapeFile {
    /// Begins a tape.
    ///
    /// # Errors
    ///
    /// The directory cannot be written to, or the format cannot hold the header.
    pub fn create(path: &Path, header: &Header) -> Result<Self, TapeError> {
        let new = || {
            let output = BufWriter::with_capacity(1 << 16, beside(path)?);
            TapeWriter::new(output, header)
        };
        let writer = new().map_err(|error| error.in_file(path))?;
        Ok(Self { path: path.to_owned(), writer })
    }

    /// Writes an event, as [`TapeWriter::event`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn event(&mut self, event: &Event) -> Result<(), TapeError> {
        self.writer.event(event).map_err(|error| error.in_file(&self.path))
    }

    /// Writes an event that was read from another tape, as [`TapeWriter::event_from`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn event_from(&mut self, event: &Event, load: LoadBlob<'_>) -> Result<(), TapeError> {
        self.writer.event_from(event, load).map_err(|error| error.in_file(&self.path))
    }

    /// Events written so far.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.writer.events()
    }

    /// Closes the tape and gives it its name.
    ///
    /// # Errors
    ///
    /// The disk is full, or the file cannot take the name.
    pub fn finish(self) -> Result<(), TapeError> {
        let Self { path, writer } = self;
        let text = writer.finish().map_err(|error| error.in_file(&path))?;
        let finish = || {
            let text = text.into_inner().map_err(io::IntoInnerError::into_error)?;
            let compressed =
                path.as_os_str().as_encoded_bytes().ends_with(COMPRESSED_ENDING.as_bytes());
            let file = if compressed { compressed_copy(text, &path)? } else { text };
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)?;
            // The name is on the disk only when the directory is.
            File::open(directory(&path))?.sync_all()
        };
        finish().map_err(|error: io::Error| TapeError::from(error).in_file(&path))
    }
}

/// The directory that a file lies in.
fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A new file in the same directory, which goes away unless it takes the name.
fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // A tape is a document like others; the process's mask takes away what it takes from those.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.prefix(".dextape-").tempfile_in(directory(path))
}

fn compressed_copy(mut text: NamedTempFile, path: &Path) -> io::Result<NamedTempFile> {
    let mut file = beside(path)?;
    text.rewind()?;
    let compressed = compress_text(text.as_file_mut(), file.as_file_mut());
    compressed.map(|()| file)
}

fn compress_text(text: &mut File, file: &mut File) -> io::Result<()> {
    let mut source = Source { input: text, error: None };
    let mut drain = Drain { output: BufWriter::new(file), error: None };
    compress(&mut source, &mut drain, CompressionLevel::Fastest);
    match source.error.or(drain.error) {
        Some(error) => Err(error),
        None => drain.output.flush(),
    }
}

/// The compressed form of a text.
pub(super) fn compress_bytes(text: &[u8]) -> Arc<[u8]> {
    let mut compressed = Vec::new();
    compress(text, &mut compressed, CompressionLevel::Fastest);
    compressed.into()
}

/// An input that ends at its first error, since the encoder would panic.
struct Source<'a> {
    input: &'a mut File,
    error: Option<io::Error>,
}

impl Read for Source<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.input.read(into) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.error.get_or_insert(error);
                    return Ok(0);
                }
                read => return read,
            }
        }
    }
}

/// An output that keeps its first error, for the same reason.
struct Drain<W> {
    output: W,
    error: Option<io::Error>,
}

impl<W: Write> Write for Drain<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.error.is_none()
            && let Err(error) = self.output.write_all(bytes)
        {
            self.error = Some(error);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
