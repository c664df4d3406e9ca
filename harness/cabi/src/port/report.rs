//! What is left of rights when the process ends.

use super::Kind;
use super::table::table;
use crate::say::say;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Names listed before the rest is only counted.
const LISTED: usize = 8;

/// Says which rights are left and which releases were one too many. `DEXTAPE_LEAKS=no` silences it.
pub(crate) fn say_leaks() {
    if std::env::var_os("DEXTAPE_LEAKS").is_some_and(|value| value == "no") {
        return;
    }
    if let Some(text) = leaks() {
        say(&text);
    }
}

fn leaks() -> Option<String> {
    let table = table();
    let mut left: BTreeMap<&'static str, (u64, u64, Vec<u32>)> = BTreeMap::new();
    for (name, entry) in table.entries() {
        if matches!(entry.kind, Kind::Task | Kind::Main) {
            continue;
        }
        let (names, rights, listed) = left.entry(entry.kind.name()).or_default();
        *names += 1;
        *rights += u64::from(entry.send) + u64::from(entry.receive);
        if listed.len() < LISTED {
            listed.push(name);
        }
    }
    let mut text = String::new();
    for (kind, (names, rights, listed)) in left {
        let plural = if names == 1 { "" } else { "s" };
        let _ = write!(text, "left over: {names} {kind}{plural} with {rights} rights:");
        for name in listed {
            let _ = write!(text, " {name:#x}");
        }
        text.push_str(if names as usize > LISTED { " ..\n" } else { "\n" });
    }
    for misuse in &table.misuse {
        let _ = writeln!(text, "released too often: {misuse}");
    }
    let more = table.misuses - table.misuse.len() as u64;
    if more > 0 {
        let _ = writeln!(text, "released too often: {more} more");
    }
    (!text.is_empty()).then_some(text)
}
