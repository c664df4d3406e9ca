//! Where files are kept when nobody says where.

use std::path::{Path, PathBuf};

/// Root of the workspace that the current folder lies in: the nearest folder above with a lock file;
/// the current folder where there is none.
pub(crate) fn workspace() -> PathBuf {
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    let root = here.ancestors().find(|folder| folder.join("Cargo.lock").is_file());
    root.map_or_else(|| here.clone(), Path::to_owned)
}

/// Where a recording of `scenario` goes: a folder of its own among what cargo builds.
pub(crate) fn recording(scenario: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| workspace().join("target"));
    target.join("dextape").join(format!("{scenario}.tape.jsonl"))
}

/// The folder with the tapes that are kept.
pub(crate) fn fixtures() -> PathBuf {
    workspace().join("fixtures")
}

/// A path as people read it: from the current folder where it lies below.
pub(crate) fn shown(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let below = here.and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned));
    below.as_deref().unwrap_or(path).display().to_string()
}
