//! From file to file.

use super::{SealError, SealOptions, SealReport, Sealing};
use dextape::tape::{Body, Event, TapeErrorKind, TapeFile};
use std::path::Path;

/// Makes a tape of a journal, and of those of forked children beside it. The tape appears whole or
/// not at all; one of that name is replaced. The journal stays as it is.
///
/// A journal of a process that was killed seals like any other. Where it is damaged or cut, the tape
/// has gaps. The same journal gives the same bytes.
///
/// # Errors
///
/// Where the journal cannot be read or the tape cannot be written. See [`SealError`].
///
/// # Examples
///
/// ```
/// use dextape_recorder::journal::{Journal, JournalOptions, Record, Stamp};
/// use dextape_recorder::seal::{SealOptions, seal};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("client.journal");
/// # let tape = folder.path().join("client.tape.jsonl");
/// let journal = Journal::create(&path, JournalOptions::default())?;
/// journal.append(Stamp { lane: 1, ..Stamp::default() }, &Record::Queue { queue: 1 });
/// drop(journal);
///
/// let report = seal(&path, &tape, SealOptions::default())?;
/// assert_eq!((report.events, report.gaps), (1, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn seal(journal: &Path, tape: &Path, options: SealOptions) -> Result<SealReport, SealError> {
    let mut sealing = Sealing::open(journal, options)?;
    let mut file = TapeFile::create(tape, sealing.header())?;
    let (mut replaced, mut time) = (0, 0);
    while let Some(event) = sealing.next_event()? {
        match file.event(&event) {
            Ok(()) => time = event.time,
            Err(error) if matches!(error.kind, TapeErrorKind::Unwritable { .. }) => {
                replaced += u64::from(!matches!(event.body, Body::Gap { .. }));
                file.event(&gap_instead(event, time, &error.kind.to_string()))?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    file.finish()?;
    let io = |source| SealError::Io { action: "read the length of", path: tape.to_owned(), source };
    let bytes = std::fs::metadata(tape).map_err(io)?.len();
    let report = sealing.report();
    Ok(SealReport { bytes, gaps: report.gaps + replaced, ..report })
}

/// What stands in the place of an event that no tape can hold: longer than a tape's bounds, or with
/// numbers that only a journal made to mislead has. It keeps its place in the lane.
fn gap_instead(event: Event, time: u64, why: &str) -> Event {
    let reason = format!("an event that no tape can hold: {why}");
    let body = Body::Gap { events: Some(1), reason };
    Event { connection: None, cause: None, time, body, ..event }
}
