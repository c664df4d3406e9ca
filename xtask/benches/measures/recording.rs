//! What recording adds to a call.

use super::case::{Case, line};
use dextape_recorder::exam::{append_small_call, measure_append, measure_recorded_call};
use dextape_recorder::journal::{Journal, JournalOptions, RingOptions};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use tempfile::TempDir;

/// Group of these figures.
pub(crate) const GROUP: &str = "record";

/// The two records of a small call, to a plain journal and to a ring: what a flight recorder adds on the
/// client's thread.
pub(crate) fn cases() -> Vec<Case> {
    let appending = |name, ring: Option<RingOptions>| {
        // The journal of a round goes with the next one: what it takes to be rid of it is no call's.
        let kept: RefCell<Option<(Rc<Journal>, TempDir)>> = RefCell::default();
        Case::new(GROUP, name, move |_| {
            kept.take();
            let folder = tempfile::tempdir().expect("a temporary folder can be made");
            let wait = Duration::from_secs(20);
            let options = JournalOptions { ring: ring.clone(), wait, ..JournalOptions::default() };
            let journal = Journal::create(&folder.path().join("journal"), options);
            let journal = Rc::new(journal.expect("the journal can be made"));
            kept.replace(Some((Rc::clone(&journal), folder)));
            move |calls| (0..calls).for_each(|time| assert!(append_small_call(&journal, 1, time)))
        })
        .limit(1_000)
    };
    vec![
        appending("enter and leave of a call to a plain journal", None),
        appending("enter and leave of a call to a ring", Some(RingOptions::default())),
    ]
}

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
    nanoseconds("append to the journal, sustained, helper included", append.sustained, None);
    nanoseconds("append to a ring of 64 MiB, sustained, helper included", append.ring, None);
}
