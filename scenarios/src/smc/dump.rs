//! A dump: every key of one machine, as a key dumper printed it.
//!
//! The public keys come first, in the order of their indices, which is sorted; behind them stand the
//! hidden ones, which are read by name. A heading `Hidden keys (?):` may stand between; where it was
//! taken out, the first key that is not in order begins the hidden ones.

use super::abi::result;
use super::abi::{DATA_MAX, FourCharacters};
use super::line::{CODE_OF_A_FAILED_CALL, KeyLine, LineError, Reading, join_keys};
use dextape::IoReturn;
use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Longest dump that is read, in bytes. The longest known has 53 KiB.
pub const DUMP_MAX: u64 = 1 << 20;

/// A small machine of our own, with every kind of line, for where there are no real dumps.
pub const SMALL: &str = include_str!("small.txt");

/// Name of [`SMALL`] as a model.
pub const SMALL_MODEL: &str = "small";

/// The keys of one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dump {
    /// Line of the system's version, such as `macOS 10.14.5 (18F132)`, where the dump has one.
    pub system: Option<String>,
    /// The number in the heading of the public keys: what `#KEY` said.
    pub stated: u32,
    /// Public keys in the order of their indices, then hidden ones.
    pub keys: Vec<DumpedKey>,
    /// How many of `keys` are public.
    pub public: usize,
}

/// A key of a dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DumpedKey {
    /// Its line.
    pub line: KeyLine,
    /// With what the call failed that should have read it, where one did.
    pub failure: Option<IoReturn>,
}

/// Why a text is no dump.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DumpError {
    /// The file cannot be read; the error names it.
    #[error(transparent)]
    Read(#[from] std::io::Error),
    /// The file is longer than any dump.
    #[error("read {}: it is longer than {DUMP_MAX} bytes, so it is no dump", .0.display())]
    TooLong(PathBuf),
    /// A line is none of a dump.
    #[error("read line {line} of {origin}: {source}")]
    Line {
        /// File, or what else it came from.
        origin: String,
        /// Line, from 1 on.
        line: usize,
        /// What is wrong with it.
        source: LineError,
    },
    /// A line says what no dump can say.
    #[error("read line {line} of {origin}: {problem}")]
    Content {
        /// File, or what else it came from.
        origin: String,
        /// Line, from 1 on.
        line: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl Dump {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// [`DumpError`], with the file and the line.
    pub fn read(path: &Path) -> Result<Self, DumpError> {
        let mut bytes = Vec::new();
        fs_err::File::open(path)?.take(DUMP_MAX + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > DUMP_MAX {
            return Err(DumpError::TooLong(path.to_owned()));
        }
        Self::parse(&String::from_utf8_lossy(&bytes), &path.display().to_string())
    }

    /// The small machine of our own.
    ///
    /// # Panics
    ///
    /// Never: a test reads it.
    #[must_use]
    pub fn small() -> Self {
        match Self::parse(SMALL, "the built-in dump") {
            Ok(dump) => dump,
            Err(error) => unreachable!("{error}"),
        }
    }

    /// Reads a text; `origin` is where it came from, for messages.
    ///
    /// # Errors
    ///
    /// [`DumpError::Line`] and [`DumpError::Content`].
    pub fn parse(text: &str, origin: &str) -> Result<Self, DumpError> {
        let mut reader = Reader::default();
        for (index, line) in text.lines().enumerate() {
            reader.line(line).map_err(|problem| {
                let (origin, line) = (origin.to_owned(), index + 1);
                match problem {
                    Problem::Line(source) => DumpError::Line { origin, line, source },
                    Problem::Content(problem) => DumpError::Content { origin, line, problem },
                }
            })?;
        }
        let Some(stated) = reader.stated else {
            let problem = "the heading `Public keys (N):` is missing";
            let line = text.lines().count().max(1);
            return Err(DumpError::Content { origin: origin.to_owned(), line, problem });
        };
        let sorted = || {
            let keys = reader.keys.iter().map(|key| key.line.key.characters());
            1 + keys.clone().zip(keys.skip(1)).take_while(|(key, next)| key < next).count()
        };
        let public = reader.hidden_from.unwrap_or_else(sorted).min(reader.keys.len());
        Ok(Self { system: reader.system, stated, keys: reader.keys, public })
    }

    /// The public keys, in the order of their indices.
    #[must_use]
    pub fn public(&self) -> &[DumpedKey] {
        &self.keys[..self.public]
    }

    /// The hidden keys.
    #[must_use]
    pub fn hidden(&self) -> &[DumpedKey] {
        &self.keys[self.public..]
    }

    /// Names of the hidden keys, as the client's parameter takes them.
    #[must_use]
    pub fn hidden_names(&self) -> String {
        join_keys(self.hidden().iter().map(|key| key.line.key))
    }
}

enum Problem {
    Line(LineError),
    Content(&'static str),
}

#[derive(Default)]
struct Reader {
    system: Option<String>,
    stated: Option<u32>,
    keys: Vec<DumpedKey>,
    seen: BTreeSet<FourCharacters>,
    hidden_from: Option<usize>,
    /// A failed call, told on a line of its own before the key's.
    failure: Option<IoReturn>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), Problem> {
        if line.starts_with('[') {
            return self.key(line.parse().map_err(Problem::Line)?);
        }
        if line.is_empty() {
            return Ok(());
        }
        if line == "Hidden keys (?):" {
            self.hidden_from = Some(self.keys.len());
            return Ok(());
        }
        if let Some(code) = line.strip_prefix("Unable to read smc value ") {
            let code = u32::from_str_radix(code, 16)
                .map_err(|_| Problem::Content("expected a result code in hex at its end"))?;
            self.failure = Some(IoReturn(code));
            return Ok(());
        }
        let stated = line.strip_prefix("Public keys (").and_then(|rest| rest.strip_suffix("):"));
        if let Some(number) = stated {
            let number = number.parse();
            self.stated =
                Some(number.map_err(|_| Problem::Content("expected a number of public keys"))?);
            return Ok(());
        }
        if self.stated.is_none() && self.system.is_none() {
            self.system = Some(line.to_owned());
            return Ok(());
        }
        Err(Problem::Content("expected a key's line, which begins with `[`, or a heading"))
    }

    fn key(&mut self, line: KeyLine) -> Result<(), Problem> {
        let told = self.failure.take();
        if self.stated.is_none() {
            return Err(Problem::Content("a key stands before the heading `Public keys (N):`"));
        }
        if !self.seen.insert(line.key) {
            return Err(Problem::Content("the key stands in the dump already"));
        }
        let long = line.info.data_size as usize > DATA_MAX;
        let failure = match &line.reading {
            Reading::Value(value) => {
                let mut data = [0; DATA_MAX];
                let carried = value.len().min(DATA_MAX);
                data[..carried].copy_from_slice(&value[..carried]);
                if Reading::printed(line.key, line.info.data_size, &data) != line.reading {
                    return Err(Problem::Content(
                        "a value longer than 32 bytes goes on as no dumper prints it: a reply \
                         carries 32 bytes, behind which come the key and zeros",
                    ));
                }
                None
            }
            Reading::NotReadable { code: Some(result::SUCCESS | result::ERROR) } => {
                return Err(Problem::Content(
                    "codes 00 and 01 state no reason why the key is not readable",
                ));
            }
            // The dumper has no result byte where the call itself failed, and prints FF. Which
            // failure it was is told by the size where no line of its own tells it.
            Reading::NotReadable { code: Some(CODE_OF_A_FAILED_CALL) } => {
                Some(told.unwrap_or(if long {
                    IoReturn::BAD_ARGUMENT
                } else {
                    IoReturn::NOT_PRIVILEGED
                }))
            }
            Reading::NotReadable { .. } => None,
        };
        self.keys.push(DumpedKey { line, failure });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_small_machine_has_every_kind_of_line() {
        let dump = Dump::small();
        let reading =
            |wanted: fn(&DumpedKey) -> bool| dump.keys.iter().filter(|key| wanted(key)).count();
        assert!(dump.system.is_some());
        assert!(!dump.hidden().is_empty());
        assert_ne!(dump.stated as usize, dump.keys.len());
        assert_ne!(dump.stated as usize, dump.public);
        let long = |key: &DumpedKey| key.line.info.data_size > 32;
        assert!(
            dump.keys.iter().any(|key| long(key) && matches!(key.line.reading, Reading::Value(_)))
        );
        assert!(dump.keys.iter().any(|key| long(key) && key.failure.is_none()));
        assert_ne!(reading(|key| key.line.reading == Reading::NotReadable { code: None }), 0);
        assert_ne!(reading(|key| key.line.reading == Reading::NotReadable { code: Some(0x85) }), 0);
        assert_ne!(reading(|key| key.failure == Some(IoReturn::NOT_PRIVILEGED)), 0);
        assert_ne!(reading(|key| key.failure == Some(IoReturn::BAD_ARGUMENT)), 0);
        assert_ne!(reading(|key| key.line.info.data_type.characters()[3] == 0), 0);
        let back: Vec<_> = SMALL.lines().filter(|line| line.starts_with('[')).collect();
        let lines: Vec<_> = dump.keys.iter().map(|key| key.line.to_string()).collect();
        assert_eq!(lines, back);
    }

    const HEAD: &str = "Public keys (9):\n";
    const FIRST: &str = "[AAAA] type [ui8 ] 75693820 len [ 1] attr [80] -> 01\n";
    const LAST: &str = "[ZZZZ] type [ui8 ] 75693820 len [ 1] attr [80] -> 02\n";
    const FAILED: &str =
        "[MMMM] type [ui8 ] 75693820 len [ 1] attr [80] -> NOT READABLE, code FF\n";

    #[test]
    fn hidden_keys_begin_at_their_heading_or_where_the_order_ends() {
        let split = |text: String| {
            let dump = Dump::parse(&text, "test").unwrap();
            (dump.public, dump.hidden_names())
        };
        assert_eq!(split(format!("{HEAD}{FIRST}{LAST}")), (2, String::new()));
        assert_eq!(split(format!("{HEAD}{LAST}{FIRST}")), (1, "AAAA".to_owned()));
        let heading = "\nHidden keys (?):\n";
        assert_eq!(split(format!("{HEAD}{FIRST}{heading}{LAST}")), (1, "ZZZZ".to_owned()));
        assert_eq!(split(HEAD.to_owned()), (0, String::new()));
    }

    #[test]
    fn a_failed_call_is_told_by_a_line_before_or_by_the_size() {
        let told = format!("{HEAD}Unable to read smc value E00002D7\r\n{FAILED}");
        let dump = Dump::parse(&told, "test").unwrap();
        assert_eq!(dump.keys[0].failure, Some(IoReturn::OFFLINE));
        let dump = Dump::parse(&format!("{HEAD}{FAILED}"), "test").unwrap();
        assert_eq!(dump.keys[0].failure, Some(IoReturn::NOT_PRIVILEGED));
    }

    #[test]
    fn what_is_no_dump_is_refused_with_its_line() {
        let message = |text: String| Dump::parse(&text, "x.txt").unwrap_err().to_string();
        assert_eq!(
            message(String::new()),
            "read line 1 of x.txt: the heading `Public keys (N):` is missing"
        );
        assert_eq!(
            message(format!("{HEAD}{FIRST}{FIRST}")),
            "read line 3 of x.txt: the key stands in the dump already"
        );
        assert_eq!(
            message(format!("{HEAD}{FIRST}[AAA")),
            "read line 3 of x.txt: expected a key of four characters in column 2"
        );
        assert!(message(FIRST.to_owned()).contains("before the heading"));
        assert!(
            message(format!("{HEAD}{}", FAILED.replace("FF", "01"))).contains("state no reason")
        );
        let long = format!("[AAAA] type [hex_] 6865785F len [33] attr [80] -> {}", "11".repeat(33));
        assert!(message(format!("{HEAD}{long}")).contains("no dumper prints"));
        assert!(message(format!("{HEAD}rubbish")).contains("begins with `[`"));
    }

    proptest::proptest! {
        /// Whatever is done to a dump: it is refused, or its keys come out as they went in.
        #[test]
        fn a_damaged_dump_is_refused_or_read(
            damage in proptest::collection::vec((0..SMALL.len(), ".?", 0..3_usize), 0..4)
        ) {
            let mut text = SMALL.to_owned();
            for (at, put, cut) in damage {
                let at = at.min(text.len());
                let end = (at + cut).min(text.len());
                if text.is_char_boundary(at) && text.is_char_boundary(end) {
                    text.replace_range(at..end, &put);
                }
            }
            if let Ok(dump) = Dump::parse(&text, "test") {
                let keys = text.lines().filter(|line| line.starts_with('['));
                proptest::prop_assert!(dump.keys.iter().map(|key| key.line.to_string()).eq(keys));
                proptest::prop_assert!(dump.public <= dump.keys.len());
                let names = super::super::split_keys(&dump.hidden_names());
                proptest::prop_assert_eq!(names.map(|names| names.len()), Some(dump.hidden().len()));
            }
        }
    }
}
