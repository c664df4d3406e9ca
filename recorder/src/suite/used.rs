//! Which tapes a test run asked for.

use super::TapeForError;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;

/// The variable that names a folder in which every process of a test run notes the tapes that it asks for:
/// `cargo xtask tapes` tells then which tapes nobody asks for any more.
pub const USED: &str = "DEXTAPE_TAPES_USED";

/// One file a process, and one line at a time in it.
static FILE: Mutex<()> = Mutex::new(());

/// Notes that a tape was asked for.
pub(super) fn note(folder: &Path, tape: &Path) -> Result<(), TapeForError> {
    let _one_at_a_time = FILE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    fs_err::create_dir_all(folder)?;
    let path = folder.join(format!("{}.tapes", std::process::id()));
    let mut file = fs_err::OpenOptions::new().create(true).append(true).open(path)?;
    let tape = std::path::absolute(tape)?;
    writeln!(file, "{}", tape.display())?;
    Ok(())
}
