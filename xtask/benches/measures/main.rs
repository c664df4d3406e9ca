//! The benchmarks of dextape, each beside a peer in the same run. `cargo xtask bench` runs this and
//! prints the table; by itself it prints one JSON line a figure.
//!
//! A case is timed as the median of several rounds. Its instructions are counted by running this
//! program under cachegrind twice, with other numbers of iterations: the difference is free of what it
//! takes to start. Times on a shared machine move; counts and ratios hardly do.

mod case;
#[path = "../../../harness/lab/tests/browser/chromium.rs"]
#[expect(dead_code, reason = "tests of the page click and type, too")]
mod chromium;
mod comparing;
mod count;
mod iokit;
mod pages;
mod peers;
mod perturb;
mod recording;
mod replaying;
mod tapes;

use case::Case;
use std::process::ExitCode;

fn cases() -> Vec<Case> {
    let mut cases = replaying::strict();
    cases.extend(replaying::keyed());
    cases.extend(tapes::cases());
    cases.extend(comparing::cases());
    cases.extend(recording::cases());
    cases.extend(perturb::cases());
    cases
}

fn main() -> ExitCode {
    let mut groups = Vec::new();
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        if argument == "--count" {
            let (Some(name), Some(iterations)) = (arguments.next(), arguments.next()) else {
                eprintln!("failed to count: expected --count CASE ITERATIONS");
                return ExitCode::from(2);
            };
            return count::child(&cases(), &name, &iterations);
        }
        groups.push(argument);
    }
    let wanted = |group: &str| groups.is_empty() || groups.iter().any(|name| name == group);
    for case in cases().iter().filter(|case| wanted(case.group)) {
        case.print();
    }
    if wanted(comparing::GROUP) {
        comparing::print();
    }
    if wanted(recording::GROUP) {
        recording::print();
    }
    if wanted(iokit::GROUP) {
        iokit::print();
    }
    if wanted(pages::GROUP) {
        pages::print();
    }
    ExitCode::SUCCESS
}
