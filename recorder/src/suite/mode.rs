//! What a run does with its tape.

use super::TapeForError;
use std::ffi::OsString;
use std::str::FromStr;

/// The variable that sets the mode of a whole run.
pub const MODE: &str = "DEXTAPE_MODE";

/// What a run does with its tape: see [the table](super).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Tapes are played, and nothing is recorded.
    #[default]
    None,
    /// What has no tape is recorded.
    Once,
    /// What has no tape, or does what its tape does not hold, is recorded.
    NewEpisodes,
    /// All is recorded.
    All,
}

impl FromStr for Mode {
    type Err = TapeForError;

    fn from_str(name: &str) -> Result<Self, TapeForError> {
        match name {
            "none" => Ok(Self::None),
            "once" => Ok(Self::Once),
            "new_episodes" => Ok(Self::NewEpisodes),
            "all" => Ok(Self::All),
            _ => Err(TapeForError::Mode(name.chars().take(64).collect())),
        }
    }
}

impl Mode {
    /// What the environment says; `value` is that of [`MODE`]. Set to nothing is not set.
    pub(super) fn of(value: Option<OsString>) -> Result<Self, TapeForError> {
        match value.filter(|value| !value.is_empty()) {
            None => Ok(Self::None),
            Some(value) => value.to_string_lossy().parse(),
        }
    }
}
