//! A tape of what a recording holds at one moment, while it goes on.

use super::{SealError, SealOptions, SealReport, seal};
use crate::journal::Journal;
use std::io;
use std::path::Path;

/// Makes a tape of what a journal holds now, while others go on appending to it. Any thread may call it, as
/// often as it likes; the recording is not held up. Of a forked child it takes the child's own journal.
///
/// Of a ring, the tape has the beginnings of the connections, a gap, a keyframe, and the newest events up to
/// this call. What other threads append meanwhile is not on it, and calls that are under way have no leave.
/// A copy of the ring is made beside the tape for that time, as long as the ring is and readable by its
/// owner only. In simulated time the same recording gives the same tape.
///
/// It allocates, writes files, and takes its time: it is not for a signal handler.
///
/// # Errors
///
/// Those of [`seal`]; and `Io` where the copy cannot be made. The journal is as it was.
///
/// # Examples
///
/// ```
/// use dextape_recorder::journal::{Journal, JournalOptions, Record, RingOptions, Stamp};
/// use dextape_recorder::seal::{SealOptions, cut};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("client.journal");
/// # let tape = folder.path().join("client.tape.jsonl");
/// let options = JournalOptions::default().ring(RingOptions::of_size(1 << 20));
/// let journal = Journal::create(&path, options)?;
/// journal.append(Stamp { lane: 1, ..Stamp::default() }, &Record::Queue { queue: 1 });
/// let report = cut(&journal, &tape, SealOptions::default())?;
/// assert_eq!((report.events, report.gaps), (1, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn cut(journal: &Journal, tape: &Path, options: SealOptions) -> Result<SealReport, SealError> {
    let failed = |source| SealError::Io { action: "cut tape", path: tape.to_owned(), source };
    let Some(journal) = journal.of_this_process() else {
        return Err(failed(io::Error::other("this process was forked and has recorded nothing")));
    };
    let folder = tape.parent().filter(|folder| !folder.as_os_str().is_empty());
    let copy = tempfile::Builder::new()
        .prefix(".dextape-")
        .tempfile_in(folder.unwrap_or(Path::new(".")))
        .map_err(failed)?;
    if journal.copy_ring(copy.as_file())? {
        seal(copy.path(), tape, options)
    } else {
        // Of a plain journal nothing is taken away: what stands there stays.
        seal(journal.path(), tape, options)
    }
}
