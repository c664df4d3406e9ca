//! What notes on a tape are about.

/// What a note is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoteSubject {
    /// Somebody marked this place of the recording as the one that matters.
    Trigger,
    /// What the client sees of a memory is not on the tape, or comes later than the client saw it.
    Uncaptured,
}
