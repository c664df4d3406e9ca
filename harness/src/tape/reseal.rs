//! Closing a tape again that was edited by hand.

use super::error::{TapeError, TapeErrorKind};
use super::event::{Body, Event, Sequence};
use super::reader::TapeReader;
use super::tape_file::TapeFile;
use std::collections::BTreeMap;
use std::path::Path;

/// What the provenance of a tape says that was edited by hand.
pub const EDITED: &str = "edited";

/// How a tape is closed again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResealOptions {
    /// Numbers events and positions anew, in the order of the lines, and lets causes follow.
    pub renumber: bool,
}

impl ResealOptions {
    /// Options that number events anew.
    #[must_use]
    pub const fn renumbering() -> Self {
        Self { renumber: true }
    }
}

/// What resealing a tape did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resealed {
    /// Events of the tape.
    pub events: u64,
    /// False where the tape was closed as it is already, and nothing was written.
    pub changed: bool,
}

/// Closes a tape again whose text was edited: gives every line its one spelling, counts the events,
/// takes the checksum and notes in the provenance that the tape was edited. `to` may be the same file.
///
/// A tape that is closed as it is stays alone unless it is to be renumbered.
///
/// # Errors
///
/// A line cannot be read; the tape lacks its closing line, where [`recover`](super::recover()) helps;
/// or, where events are numbered anew, an event names one that does not stand before it.
pub fn reseal(from: &Path, to: &Path, options: ResealOptions) -> Result<Resealed, TapeError> {
    let mut edited = false;
    let mut survey = TapeReader::open(from)?;
    for event in survey.by_ref() {
        match event {
            Ok(_) => {}
            Err(error) if is_edit(&error) => edited = true,
            Err(error) => return Err(error),
        }
    }
    let events = survey.events();
    if !edited && !options.renumber {
        return Ok(Resealed { events, changed: false });
    }

    let mut reader = TapeReader::open(from)?;
    let mut header = reader.header().clone();
    if !header.provenance.iter().any(|note| note == EDITED) {
        header.provenance.push(EDITED.to_owned());
    }
    let mut file = TapeFile::create(to, &header)?;
    let mut numbers = Numbers::default();
    for _ in 0..events {
        let Some(event) = reader.next() else { break };
        let mut event = event?;
        if options.renumber {
            numbers.renumber(&mut event).map_err(|missing| {
                let expected = format!("event {missing} to stand before the event that names it");
                TapeError::malformed(reader.line(), 0, expected).in_file(from)
            })?;
        }
        file.event_from(&event, &|digest| reader.load(digest))?;
    }
    file.finish()?;
    Ok(Resealed { events, changed: true })
}

/// True for what an edit of whole lines leaves behind.
fn is_edit(error: &TapeError) -> bool {
    matches!(error.kind, TapeErrorKind::CountDiffers { .. } | TapeErrorKind::ChecksumDiffers { .. })
}

/// New numbers of events by their old ones.
#[derive(Default)]
struct Numbers {
    events: BTreeMap<Sequence, Sequence>,
    count: Sequence,
    positions: BTreeMap<(u32, u32), u64>,
}

impl Numbers {
    /// Numbers an event anew, or gives the number that it names and nobody has.
    fn renumber(&mut self, event: &mut Event) -> Result<(), Sequence> {
        let find = |old: &mut Sequence| -> Result<(), Sequence> {
            *old = *self.events.get(old).ok_or(*old)?;
            Ok(())
        };
        event.cause.as_mut().map_or(Ok(()), find)?;
        match &mut event.body {
            Body::Patch { last_equal: Some(last_equal), .. } => find(last_equal)?,
            Body::Keyframe(keyframe) => keyframe.pending.iter_mut().try_for_each(find)?,
            _ => {}
        }
        self.count += 1;
        self.events.insert(event.sequence, self.count);
        event.sequence = self.count;
        let position = self.positions.entry((event.process, event.lane)).or_default();
        *position += 1;
        event.position = *position;
        Ok(())
    }
}
