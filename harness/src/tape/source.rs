//! Where the text of a tape comes from: a file, a compressed file, or memory.

use super::error::{TapeError, TapeErrorKind};
use super::limits::TapeLimits;
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// First bytes of a zstd frame.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// A text that can be read more than once.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// A file of plain text. It stays open, so that places in it stay true when a new file takes its
    /// name.
    File(Arc<Mutex<File>>),
    /// A compressed file: its text is read from the start each time.
    Compressed(Arc<Mutex<File>>),
    /// Text or compressed text in memory.
    Memory(Arc<[u8]>),
    /// None: the events were never read.
    None,
}

impl Source {
    /// Opens a file and finds out whether it is compressed; by its first bytes, not by its name.
    pub(super) fn open(path: &Path) -> Result<Self, TapeError> {
        let open = || {
            let mut file = File::open(path)?;
            let mut start = [0; 4];
            let mut filled = 0;
            while filled < start.len() {
                match file.read(&mut start[filled..])? {
                    0 => break,
                    read => filled += read,
                }
            }
            let file_or = if start == ZSTD_MAGIC { Self::Compressed } else { Self::File };
            Ok(file_or(Arc::new(Mutex::new(file))))
        };
        open().map_err(|error: io::Error| TapeError::from(error).in_file(path))
    }

    /// The text from `offset` on.
    pub(super) fn text_from(&self, offset: u64, limits: TapeLimits) -> io::Result<Text> {
        let mut skipped = match self {
            Self::File(file) => {
                return Ok(Text::Plain(FileText { file: file.clone(), offset }));
            }
            Self::Compressed(file) => {
                Text::zstd(Box::new(FileText { file: file.clone(), offset: 0 }), limits)
            }
            Self::Memory(bytes) if bytes.starts_with(&ZSTD_MAGIC) => {
                Text::zstd(Box::new(Cursor::new(bytes.clone())), limits)
            }
            Self::Memory(bytes) => {
                let mut cursor = Cursor::new(bytes.clone());
                cursor.set_position(offset);
                return Ok(Text::Memory(cursor));
            }
            Self::None => Text::Memory(Cursor::new(Arc::default())),
        };
        io::copy(&mut (&mut skipped).take(offset), &mut io::sink())?;
        Ok(skipped)
    }
}

/// Text of a tape as a stream.
pub(super) enum Text {
    Plain(FileText),
    Memory(Cursor<Arc<[u8]>>),
    Zstd(Box<ZstdText>),
    Other(Box<dyn Read + Send>),
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "file",
            Self::Memory(_) => "memory",
            Self::Zstd(_) => "zstd",
            Self::Other(_) => "stream",
        })
    }
}

impl Text {
    /// A stream that may be compressed.
    pub(super) fn of_stream(stream: Box<dyn Read + Send>, limits: TapeLimits) -> io::Result<Self> {
        let mut stream = BufReader::with_capacity(1 << 16, stream);
        // One read may give less than four bytes of a pipe; a tape's own first bytes suffice to tell.
        let compressed = stream.fill_buf()?.first() == Some(&ZSTD_MAGIC[0]);
        let stream: Box<dyn Read + Send> = Box::new(stream);
        Ok(if compressed { Self::zstd(stream, limits) } else { Self::Other(stream) })
    }

    fn zstd(input: Box<dyn Read + Send>, limits: TapeLimits) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(limits.window);
        Self::Zstd(Box::new(ZstdText {
            input: BufReader::with_capacity(1 << 16, input),
            decoder,
            in_frame: false,
        }))
    }
}

impl Read for Text {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(text) => text.read(into),
            Self::Memory(text) => text.read(into),
            Self::Zstd(text) => text.read(into),
            Self::Other(text) => text.read(into),
        }
    }
}

/// A reader of a file that others read as well, each at its own place.
#[derive(Debug)]
pub(super) struct FileText {
    file: Arc<Mutex<File>>,
    offset: u64,
}

impl Read for FileText {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.offset))?;
        let read = file.read(into)?;
        self.offset += read as u64;
        Ok(read)
    }
}

/// The text of zstd frames, one after the other.
pub(super) struct ZstdText {
    input: BufReader<Box<dyn Read + Send>>,
    decoder: FrameDecoder,
    in_frame: bool,
}

impl Read for ZstdText {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let broken = |error: &dyn std::fmt::Display| io::Error::other(Broken(error.to_string()));
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.in_frame {
                if self.input.fill_buf()?.is_empty() {
                    return Ok(0);
                }
                self.decoder.init(&mut self.input).map_err(|error| broken(&error))?;
                self.in_frame = true;
            }
            if self.decoder.can_collect() > 0 {
                return self.decoder.read(into);
            }
            if self.decoder.is_finished() {
                self.in_frame = false;
                continue;
            }
            self.decoder
                .decode_blocks(&mut self.input, BlockDecodingStrategy::UptoBlocks(1))
                .map_err(|error| broken(&error))?;
        }
    }
}

/// A broken frame, on its way through the interfaces of [`io`].
#[derive(Debug)]
struct Broken(String);

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Broken {}

/// What an error of reading text says of the tape.
pub(super) fn read_error(error: io::Error) -> TapeErrorKind {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Broken>()) {
        Some(Broken(what)) => TapeErrorKind::Compression(what.clone()),
        None => TapeErrorKind::Io(error),
    }
}

/// The file that a source was opened from, for messages.
pub(super) type MaybePath = Option<PathBuf>;
