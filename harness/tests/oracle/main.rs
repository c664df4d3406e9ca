//! Groups D, F, G and H together: random programs of a client against a second, much smaller account
//! of the same rules, which was written from the reference and not from the implementation.
//!
//! The account is `model.rs`; `play.rs` plays a program on a mock system and holds each answer against
//! it. That the account sees anything at all is shown by switching rules off.

mod dext;
mod model;
mod play;
mod program;

use dextape::boundary::{Rule, Rules};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, TestCaseError, TestRunner};

/// Programs against the account, unless `DEXTAPE_ORACLE` sets another number; and those among which one
/// must tell that a rule is off.
const CASES: u32 = 400;

fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    )
}

#[test]
fn every_answer_is_the_one_that_the_reference_tells() {
    let cases = std::env::var("DEXTAPE_ORACLE").ok();
    let cases = cases.map(|text| text.parse().expect("DEXTAPE_ORACLE is a number of programs"));
    runner(cases.unwrap_or(CASES))
        .run(&program::programs(), |steps| {
            play::play(Rules::all(), &steps).map_err(TestCaseError::fail)
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
}

/// Whether some program among the first few hundred shows that `rule` is off.
fn notices(rule: Rule) -> bool {
    let mut runner = runner(CASES);
    let programs = program::programs();
    (0..CASES).any(|_| {
        let steps = programs.new_tree(&mut runner).expect("steps have no filter").current();
        play::play(Rules::all().without(rule), &steps).is_err()
    })
}

/// The rules of the four groups that a single client can see through its own answers.
const SEEN: &[Rule] = &[
    Rule::A2,
    Rule::D7,
    Rule::D8,
    Rule::D11,
    Rule::D12,
    Rule::D13,
    Rule::D14,
    Rule::F1,
    Rule::F2,
    Rule::F3,
    Rule::F5,
    Rule::F8,
    Rule::F9,
    Rule::F10,
    Rule::F11,
    Rule::F12,
    Rule::F13,
    Rule::F14,
    Rule::F15,
    Rule::F16,
    Rule::F17,
    Rule::F18,
    Rule::F19,
    Rule::F20,
    Rule::F23,
    Rule::F24,
    Rule::F25,
    Rule::G12,
    Rule::G13,
    Rule::G15,
    Rule::G20,
    Rule::G21,
    Rule::H1,
    Rule::H2,
];

#[test]
fn a_rule_that_is_off_is_noticed() {
    let missed: Vec<_> = SEEN.iter().filter(|rule| !notices(**rule)).collect();
    assert!(missed.is_empty(), "nothing tells that these are off: {missed:?}");
}
