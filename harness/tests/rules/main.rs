//! Each rule of the boundary has a test under its number, which is run twice: with all rules on it
//! passes, and with this rule off it fails. A test takes the rules to run with and states the results
//! of the semantics reference; it goes through the mock wherever a Rust client can express it, and
//! asks the boundary itself where only a C client could.

mod a;
mod appendix_b;
mod apple;
mod b;
mod c;
mod d;
mod d_message;
mod e;
mod f;
mod f_unmap;
mod fidelity;
mod g;
mod h;
mod i;
mod j;
mod k;
mod kit;
mod open_points;
mod touched;

use dextape::boundary::{Rule, Rules, tests_by_rule};
use libtest_mimic::{Arguments, Failed, Trial};
use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

/// A rule and its test.
pub(crate) type RuleTest = (Rule, fn(Rules));

thread_local! {
    /// Where the last panic of the thread was.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

fn main() -> ExitCode {
    // Half of the trials are there to panic; what a trial says is said by the trial.
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        PLACE.set(place);
    }));
    if std::env::args().any(|argument| argument == "--fidelity") {
        print!("{}", fidelity::page());
        return ExitCode::SUCCESS;
    }
    let mut trials: Vec<Trial> = registry().into_iter().flat_map(rule_trials).collect();
    trials.push(Trial::test("every_rule_has_one_test_in_the_file_of_its_group", complete));
    trials.push(Trial::test("fidelity::the_page_is_what_the_tests_say", fidelity::is_current));
    trials.push(Trial::test("fidelity::the_tables_hold_together", fidelity::is_sound));
    trials.extend(appendix_b::trials());
    trials.extend(apple::trials());
    trials.extend(open_points::trials());
    trials.extend(touched::trials());
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Root of the workspace.
pub(crate) fn workspace() -> &'static str {
    concat!(env!("CARGO_MANIFEST_DIR"), "/..")
}

fn registry() -> Vec<RuleTest> {
    let groups = [
        a::TESTS,
        b::TESTS,
        c::TESTS,
        d::TESTS,
        d_message::TESTS,
        e::TESTS,
        f::TESTS,
        f_unmap::TESTS,
        g::TESTS,
        h::TESTS,
        i::TESTS,
        j::TESTS,
        k::TESTS,
    ];
    groups.concat()
}

fn rule_trials((rule, test): RuleTest) -> [Trial; 2] {
    let name = format!("rule::{rule}");
    let off = format!("{name}::switched_off");
    [
        Trial::test(name, move || caught(|| test(Rules::all())).map_err(Failed::from)),
        Trial::test(off, move || switched_off(rule, test)),
    ]
}

/// The test must notice that its rule is off, and by what it asserts: or because somebody waits for
/// ever.
fn switched_off(rule: Rule, test: fn(Rules)) -> Result<(), Failed> {
    let Err(report) = caught(|| test(Rules::all().without(rule))) else {
        let message = format!("the test of {rule} does not notice that the rule is switched off");
        return Err(message.into());
    };
    if report.starts_with("harness/tests/rules/") || report.contains("every task waits") {
        Ok(())
    } else {
        Err(format!("with {rule} off something else than its test failed: {report}").into())
    }
}

/// Runs a test, and gives what it panicked with.
pub(crate) fn caught(test: impl FnOnce()) -> Result<(), String> {
    panic::catch_unwind(AssertUnwindSafe(test))
        .map_err(|payload| format!("{}: {}", PLACE.take(), message(&*payload)))
}

/// Text of a panic.
fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().cloned();
    let text = text.or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string));
    text.unwrap_or_else(|| "a panic without text".to_owned())
}

/// What the boundary says of its tests is what there is.
fn complete() -> Result<(), Failed> {
    let mut tests = BTreeMap::new();
    for (rule, _) in registry() {
        *tests.entry(rule).or_insert(0) += 1;
    }
    for test in tests_by_rule() {
        let count = tests.get(&test.rule).copied().unwrap_or(0);
        let file = std::fs::read_to_string(format!("{}/{}", workspace(), test.file))?;
        if count != 1 || !file.contains(&format!("(Rule::{},", test.rule)) {
            let message = format!("{} has {count} tests, {} names it or not", test.rule, test.file);
            return Err(message.into());
        }
    }
    Ok(())
}
