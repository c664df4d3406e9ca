//! Two tapes of 100,000 events compared, from their files.

use super::case::Case;
use super::tapes::tape_of;
use dextape::tape::Tape;
use dextape_lab::{DiffOptions, DiffText, Hex, diff};
use std::cell::OnceCell;
use std::path::PathBuf;
use std::rc::Rc;
use tempfile::TempDir;

/// Nanoseconds that a comparison may take.
const MOST: f64 = 2e9;

pub(crate) fn cases() -> Vec<Case> {
    let case = |name: &'static str, one: fn(u64) -> u64, other: fn(u64) -> u64| {
        // Written once, whatever the number of rounds, and gone with the last of them.
        let files: OnceCell<Rc<Files>> = OnceCell::new();
        Case::new("diff", name, move |_| {
            let files = Rc::clone(files.get_or_init(|| Rc::new(Files::write(one, other))));
            move |iterations| (0..iterations).for_each(|_| files.compare())
        })
        .limit(1)
        .uncounted()
        .at_most(MOST)
    };
    vec![
        case("every 50th call differs", |call| call, |call| call + u64::from(call % 50 == 0)),
        case("every call differs", |call| call, |call| call + (1 << 40)),
        // Few values, often, in another order: nothing to hold on to.
        case("seven values shuffled", |call| shuffled(call) % 7, |call| shuffled(call + 9) % 7),
    ]
}

fn shuffled(call: u64) -> u64 {
    (call.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 29) ^ call
}

/// Two tapes in a folder that goes with them.
struct Files {
    folder: TempDir,
}

impl Files {
    fn write(one: fn(u64) -> u64, other: fn(u64) -> u64) -> Self {
        let files = Self { folder: tempfile::tempdir().expect("a temporary folder can be made") };
        for (name, value) in [("a", one), ("b", other)] {
            tape_of(value).write(&files.path(name)).expect("the tape can be written");
        }
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name).with_extension("tape.jsonl")
    }

    fn compare(&self) {
        let [a, b] = ["a", "b"].map(|name| Tape::read(&self.path(name)).expect("the tape reads"));
        let found = diff(&a, &b, DiffOptions::default(), &Hex).expect("the tapes compare");
        assert!(!found.is_same() || !found.volatile.is_empty());
        let text = DiffText {
            diff: &found,
            a: &a,
            b: &b,
            titles: ["a", "b"],
            names: &Hex,
            context: 3,
            colour: false,
        };
        std::hint::black_box(text.to_string());
    }
}
