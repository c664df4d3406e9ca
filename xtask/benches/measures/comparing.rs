//! Two tapes of 100,000 events compared, from their files: what is usual, and the shapes that are worst for
//! an alignment. How time grows with the length is measured, too: four times as many events must not take
//! much more than four times as long.

use super::case::{self, Case};
use super::tapes::tape_of;
use dextape::call::Scalars;
use dextape::tape::sample::{Script, call, success};
use dextape::tape::{Body, Header, Payload, Tape};
use dextape_lab::{DiffOptions, DiffText, Hex, diff};
use std::cell::OnceCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;
use tempfile::TempDir;

pub(crate) const GROUP: &str = "diff";

/// Nanoseconds that a comparison may take.
const MOST: f64 = 2e9;

/// Times that four times the events may take; 4 would be in proportion, 16 its square.
const GROWTH_MOST: f64 = 6.0;

/// Calls of a tape of 100,000 events, where each is two.
const CALLS: u64 = 50_000;

/// Two tapes of so many calls, or of as many events.
type Shape = (&'static str, fn(u64) -> [Tape; 2]);

/// What an alignment by what is common has its troubles with.
const SHAPES: [Shape; 9] = [
    // Few values, often, in another order: nothing to hold on to.
    ("seven values shuffled", |calls| {
        [0, 1 << 40].map(|other| simple((0..calls).map(|call| (2, shuffled(call | other) % 7))))
    }),
    // Nothing stands alone, and nothing comes often.
    ("each value six times, shuffled", |calls| {
        [0, 1 << 40]
            .map(|other| simple((0..calls).map(|call| (2, shuffled(call | other) % (calls / 6)))))
    }),
    ("nothing in common", |calls| {
        [2, 3].map(|selector| simple((0..calls).map(|it| (selector, it))))
    }),
    ("one call in front of each", |calls| {
        let of = |call: u64| [(9, call + (1 << 40)), (2, call)];
        [simple((0..calls).map(|it| (2, it))), simple((0..calls).flat_map(of))]
    }),
    ("all in reverse", |calls| {
        [simple((0..calls).map(|it| (2, it))), simple((0..calls).rev().map(|it| (2, it)))]
    }),
    ("all in any order", |calls| {
        let mut order: Vec<u64> = (0..calls).collect();
        order.sort_by_key(|call| shuffled(*call));
        [simple((0..calls).map(|it| (2, it))), simple(order.into_iter().map(|it| (2, it)))]
    }),
    // A client that polls: the same few calls again and again, another number of times between others.
    ("polls, another number of times", |calls| {
        [5, 7].map(|period| {
            let step = move |call: u64| {
                if call.is_multiple_of(period) {
                    (1, call / period % 11)
                } else {
                    (7, call % period % 2)
                }
            };
            simple((0..calls).map(step))
        })
    }),
    ("completions that come at other times", |calls| [0, 400].map(|late| completions(calls, late))),
    ("completions of all in reverse", |calls| [0, u64::MAX].map(|late| completions(calls, late))),
];

pub(crate) fn cases() -> Vec<Case> {
    let case = |name: &'static str, tapes: fn(u64) -> [Tape; 2]| {
        // Written once, whatever the number of rounds, and gone with the last of them.
        let files: OnceCell<Rc<Files>> = OnceCell::new();
        Case::new(GROUP, name, move |_| {
            let files = Rc::clone(files.get_or_init(|| Rc::new(Files::write(&tapes(CALLS)))));
            move |iterations| (0..iterations).for_each(|_| files.compare())
        })
        .limit(1)
        .uncounted()
        .at_most(MOST)
    };
    let mut cases = vec![
        case("every 50th call differs", |_| {
            [tape_of(|call| call), tape_of(|call| call + u64::from(call % 50 == 0))]
        }),
        case("every call differs", |_| [tape_of(|call| call), tape_of(|call| call + (1 << 40))]),
    ];
    cases.extend(SHAPES.map(|(name, tapes)| case(name, tapes)));
    cases
}

/// How time grows, of each shape.
pub(crate) fn print() {
    for (name, tapes) in SHAPES {
        let [short, long] = [CALLS / 4, CALLS].map(|calls| {
            let [a, b] = tapes(calls);
            let mut rounds = [0, 1, 2].map(|_| {
                let start = Instant::now();
                std::hint::black_box(
                    diff(&a, &b, DiffOptions::default(), &Hex).expect("the tapes compare"),
                );
                start.elapsed()
            });
            rounds.sort();
            rounds[1].as_secs_f64()
        });
        let what = format!("{name}: 4 times the events");
        case::line(GROUP, &what, long / short, "x", None, Some(("most", GROWTH_MOST)));
    }
}

/// Another number for each (the last steps of SplitMix64).
fn shuffled(call: u64) -> u64 {
    let mixed = (call ^ (call >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Calls of these selectors with these values.
fn simple(calls: impl Iterator<Item = (u32, u64)>) -> Tape {
    let mut script = Script::new();
    for (selector, value) in calls {
        script.operation(1, 1, Body::Call(call(selector, &[value])), Body::Return(success()));
    }
    Tape::new(Header::mock(), script.into_events())
}

/// As many events, of asynchronous calls with a completion each, which come up to `late` calls later; with
/// the largest number all at the end, the last first.
fn completions(calls: u64, late: u64) -> Tape {
    let mut script = Script::new();
    let mut pending: Vec<(u64, u64, u64)> = Vec::new();
    let complete = |script: &mut Script, asked: u64, value: u64| {
        let posted = Body::Posted {
            ordinal: 1,
            status: dextape::IoReturn::SUCCESS,
            arguments: Scalars::clamped(&[value]),
            reference: [0; 8],
        };
        let posted = script.event(0, Some(1), Some(asked), posted);
        script.event(1, Some(1), Some(posted), Body::Delivered { queue: 1, polls: 0 });
    };
    for number in 0..calls / 2 {
        let mut asked = call(4, &[number]);
        asked.input = dextape::tape::Structure::Bytes(Payload::bytes(&[number as u8; 16]));
        let enter = Body::AsyncCall { call: asked, queue: Some(1), reference: Some(vec![0, 3]) };
        let asked = script.operation(1, 1, enter, Body::Return(success()));
        let when = number + if late == u64::MAX { calls } else { shuffled(number) % (late + 1) };
        pending.push((when, asked, number));
        if late == u64::MAX {
            continue;
        }
        pending.retain(|(when, asked, value)| {
            if *when > number {
                return true;
            }
            complete(&mut script, *asked, *value);
            false
        });
    }
    for (_, asked, value) in pending.into_iter().rev() {
        complete(&mut script, asked, value);
    }
    Tape::new(Header::mock(), script.into_events())
}

/// Two tapes in a folder that goes with them.
struct Files {
    folder: TempDir,
}

impl Files {
    fn write(tapes: &[Tape; 2]) -> Self {
        let files = Self { folder: tempfile::tempdir().expect("a temporary folder can be made") };
        for (name, tape) in ["a", "b"].iter().zip(tapes) {
            tape.write(&files.path(name)).expect("the tape can be written");
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
