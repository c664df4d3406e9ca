//! Making a whole tape ready to be cut.

use super::key;
use super::ordinary::{ORDINARY, Ordinary};
use dextape::tape::{Header, Payload, Tape, TapeError};
use serde_json::Value;
use std::collections::HashMap;

/// Key of an event that says how often the operation had been made before on the whole tape, this time
/// included. Where it is missing: once more than the one before it.
pub(crate) const OCCURRENCE: &str = "occurrence";

/// True where ordinary answers stand in the header: such a tape is to be served by
/// [`Lenient`](super::Lenient), not by a replayer.
#[must_use]
pub fn is_marked(header: &Header) -> bool {
    header.extra.contains_key(ORDINARY)
}

/// Notes in a whole tape what is ordinary on it, and at each operation how often it has been made, so that
/// what is cut from it can be served by [`Lenient`](super::Lenient). A tape that is marked already stays as
/// it is. Blobs are loaded into their events; of bytes that are only a hash the length is compared.
///
/// # Errors
///
/// A blob cannot be read.
pub fn mark(tape: &mut Tape) -> Result<(), TapeError> {
    if is_marked(tape.header()) {
        return Ok(());
    }
    tape.inline_blobs()?;
    let ordinary = Ordinary::of_tape(tape);
    ordinary.enter(tape.header_mut());
    let rules = tape.header().rules.clone();
    let mut counts: HashMap<u64, u64> = HashMap::new();
    for event in tape.events_mut() {
        let Some(key) = key::of_event(event, &rules) else { continue };
        let count = counts.entry(key).or_default();
        *count += 1;
        if *count > 1 {
            event.extra.insert(OCCURRENCE.to_owned(), Value::from(*count));
        }
    }
    Ok(())
}

/// Takes what is ordinary out of a header: somebody else answers what the tape does not hold.
pub(crate) fn unmark(header: &mut Header) {
    header.extra.remove(ORDINARY);
}

/// A copy of a tape with all bytes in its events.
pub(crate) fn inlined(tape: &Tape) -> Result<Tape, TapeError> {
    let mut inlined = Tape::new(tape.header().clone(), tape.events().to_vec());
    inlined.events_mut().iter_mut().try_for_each(|event| {
        event.try_visit_payloads(|payload| {
            if let Payload::Blob { digest, .. } = payload {
                *payload = Payload::Bytes(tape.load(*digest)?);
            }
            Ok::<(), TapeError>(())
        })
    })?;
    Ok(inlined)
}
