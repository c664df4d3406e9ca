//! The journals of one recording: that of the first process and those of its forked children.

use super::SealError;
use crate::journal::{Content, JournalReader};
use dextape::limits::PAGE_SIZE;
use dextape::schedule::TimeMode;
use dextape::tape::{Body, FORMAT_VERSION, Header, Host, ServiceIdentity};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Services, and forks of one process, that are followed; a journal that was made to mislead can
/// name any number.
const NAMES_MAX: usize = 1 << 16;

/// The journals of one recording.
#[derive(Debug)]
pub(super) struct Family {
    /// In order of their processes' numbers.
    pub(super) members: Vec<Member>,
    pub(super) header: Header,
    pub(super) processes: BTreeMap<Vec<u32>, u32>,
    pub(super) ignored: Vec<PathBuf>,
}

/// The journal of one process.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) reader: JournalReader,
    /// The forks that led from the first process to this one.
    pub(super) forks: Vec<u32>,
    /// True where the parent's journal tells of the fork.
    pub(super) announced: bool,
}

impl Family {
    /// Opens a journal and those beside it that belong to it, and reads what the tape's header needs.
    pub(super) fn open(path: &Path) -> Result<Self, SealError> {
        let first = JournalReader::open(path)?;
        let (recording, depth) = (first.recording(), first.forks().len());
        let mut found = BTreeMap::from([(Vec::new(), (path.to_owned(), first))]);
        let mut ignored = Vec::new();
        for beside in beside(path)? {
            match JournalReader::open(&beside) {
                Ok(reader) if reader.recording() == recording && reader.forks().len() > depth => {
                    found.insert(reader.forks()[depth..].to_vec(), (beside, reader));
                }
                Ok(_) | Err(_) => ignored.push(beside),
            }
        }
        let mut told = BTreeSet::new();
        let mut header = None;
        let mut services = BTreeMap::new();
        for (forks, (path, _)) in &found {
            for entry in JournalReader::open(path)? {
                match entry?.content {
                    Content::Header(found) => header = Some(*found),
                    Content::Service(service, identity) if services.len() < NAMES_MAX => {
                        services.insert(service, identity);
                    }
                    Content::Event(Body::Fork { child }) if told.len() < NAMES_MAX => {
                        told.insert([forks.as_slice(), &[child]].concat());
                    }
                    _ => {}
                }
            }
        }
        let all: BTreeSet<&Vec<u32>> = found.keys().chain(&told).collect();
        let processes = all.into_iter().cloned().zip(1..).collect();
        let members = found.into_iter().map(|(forks, (_, reader))| Member {
            reader,
            announced: told.contains(&forks),
            forks,
        });
        let members = members.collect();
        Ok(Self { members, header: finish_header(header, services), processes, ignored })
    }
}

/// The tape's header from what the journal holds of it.
fn finish_header(header: Option<Header>, services: BTreeMap<u32, ServiceIdentity>) -> Header {
    let mut header = header.unwrap_or_else(|| Header {
        format: FORMAT_VERSION,
        recorder: concat!("dextape-recorder ", env!("CARGO_PKG_VERSION")).to_owned(),
        host: Host::Mock,
        page_size: PAGE_SIZE,
        time: TimeMode::Free,
        seed: None,
        scenario: None,
        services: BTreeMap::new(),
        policy: None,
        rules: Vec::new(),
        redactions: Vec::new(),
        provenance: vec!["header lost: host, page size and mode of time are not known".to_owned()],
        extra: BTreeMap::new(),
    });
    header.format = FORMAT_VERSION;
    header.services.extend(services);
    header
}

/// Files named as the journals of forked children are, sorted.
fn beside(path: &Path) -> Result<Vec<PathBuf>, SealError> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let failed = |source| SealError::Io { action: "list", path: folder.to_owned(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?.file_name();
        if is_child_name(name, &entry) {
            found.push(path.with_file_name(entry));
        }
    }
    found.sort();
    Ok(found)
}

/// True where `child` is `name` with one or more `.fork-<number>` behind it.
fn is_child_name(name: &[u8], child: &OsStr) -> bool {
    let rest = child.as_encoded_bytes().strip_prefix(name);
    let Some(rest) = rest.and_then(|rest| std::str::from_utf8(rest).ok()) else { return false };
    let mut parts = rest.split(".fork-");
    parts.next() == Some("")
        && rest.contains(".fork-")
        && parts
            .all(|number| !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit()))
}
