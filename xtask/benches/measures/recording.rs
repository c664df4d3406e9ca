//! What recording adds to a call.

use super::case::line;
use dextape_recorder::exam::{measure_append, measure_recorded_call};

/// Group of these figures.
pub(crate) const GROUP: &str = "record";

/// Measures and prints. That a warm call allocates nothing and makes no system call is asserted by
/// the recorder's tests (`hot_path`, `journal`).
pub(crate) fn print() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let cost = measure_recorded_call(folder.path()).expect("the journal can be made");
    let nanoseconds = |what, value, goal| line(GROUP, what, value, "ns", None, goal);
    nanoseconds("small call, unrecorded", cost.inner, None);
    nanoseconds("small call, warm segment: added", cost.warm - cost.inner, Some(("most", 150.0)));
    nanoseconds("small call, cold segment: added", cost.cold - cost.inner, None);
    nanoseconds("unchanged read of 8 bytes", cost.read, None);
    let append = measure_append(folder.path()).expect("the journal can be made");
    nanoseconds("append to the journal, enter and leave, warm", append.warm, None);
    nanoseconds("append to the journal, enter and leave, cold", append.cold, None);
}
