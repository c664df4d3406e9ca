//! What the tests of this room share.

use super::{DextProcess, Finding};
use crate::schedule::Schedule;

/// Runs `test` in a process on a free schedule.
pub(super) fn in_process<R>(test: impl FnOnce(&DextProcess) -> R) -> R {
    let process = DextProcess::new("com.example.dext", &Schedule::free());
    let _inside = process.enter();
    test(&process)
}

/// Runs `test` in a process on a simulated schedule.
pub(super) fn in_simulated_process<R>(
    seed: u64,
    test: impl FnOnce(&DextProcess, &Schedule) -> R,
) -> R {
    Schedule::simulate(seed, |schedule| {
        let process = DextProcess::new("com.example.dext", schedule);
        let _inside = process.enter();
        test(&process, schedule)
    })
}

/// Names of the lints of all findings.
pub(super) fn lints(process: &DextProcess) -> Vec<&'static str> {
    process.findings().iter().map(|finding| finding.lint().name()).collect()
}

/// The findings as people read them, without lines of our own source.
pub(super) fn texts(process: &DextProcess) -> String {
    let texts: Vec<String> = process.findings().iter().map(Finding::to_string).collect();
    without_lines(&texts.join("\n"))
}

/// Puts `HERE` in place of each place in this crate's source.
pub(super) fn without_lines(text: &str) -> String {
    let mut parts = text.split("harness/src/");
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let line = part.find(':').map_or(part.len(), |colon| colon + 1);
        let rest = part[line..].trim_start_matches(|letter: char| letter.is_ascii_digit());
        clean.push_str("HERE");
        clean.push_str(rest);
    }
    clean
}
