//! Many calls: random argument sets held against a second account of the rules, and threads that call
//! for long. The test run takes a sample of each; `cargo xtask prove iokit` takes them all.
//!
//! Here each thread checks every answer, byte and reference for being its own; data races are looked for
//! by the thread sanitizer, in `races`.

use crate::program::{Program, trial};
use libtest_mimic::Trial;
use std::process::Command;

pub(crate) const PRELUDE: &str = include_str!("prelude.h");
const FUZZ: &str = include_str!("fuzz.c");
pub(crate) const SOAK: &str = include_str!("soak.c");

/// Argument sets of a sample.
const FUZZ_SAMPLE: u64 = 10_000;

/// Calls of a sample.
const SOAK_SAMPLE: u64 = 40_000;

/// What each thread of the soak makes of its calls: see the program.
const THREADS: u64 = 8;

/// The count that the environment asks for, or that of a sample.
pub(crate) fn cases(variable: &str, sample: u64) -> u64 {
    let Ok(set) = std::env::var(variable) else { return sample };
    set.parse().unwrap_or_else(|_| panic!("{variable} is {set:?}, which is no number"))
}

fn program(compiler: &[&str], source: &str, cases: u64) -> Program {
    let program = Program::compile(compiler, "c", &format!("{PRELUDE}\n{source}"));
    program.on("boundary-probe").argument(&cases.to_string())
}

/// What the program of the soak says of so many calls, but for its figures.
#[track_caller]
pub(crate) fn soaked(out: &str, calls: u64) {
    let each = calls / THREADS;
    let of = |place: u64| (0..each).filter(|call| call % 16 == place).count() as u64;
    let expected = format!(
        "{} calls by {THREADS} threads: {} completions, {} maps, {} opens",
        each * THREADS,
        of(3) * 2 * THREADS,
        of(11) * THREADS / 2,
        2 + (1 + each / 500) * THREADS / 2 + (each + 50) / 100,
    );
    assert_eq!(out.lines().next(), Some(&*expected));
}

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("fuzz::argument_sets_get_the_documented_code", &["gcc"], || {
            let cases = cases("DEXTAPE_IOKIT_FUZZ", FUZZ_SAMPLE);
            let ran = program(&["gcc"], FUZZ, cases).run();
            // Every way was taken, and often enough to mean something.
            let said: Vec<_> = ran.well().split_whitespace().collect();
            for (pair, share) in said.chunks(2).zip([50, 4, 20, 50, 2_000, 400, 4_000]) {
                let count: u64 = pair[1].parse().unwrap();
                assert!(count >= cases / share, "{} of {cases}: {ran}", pair[0]);
            }
            println!("{cases} argument sets: {}", ran.out.trim());
        }),
        trial("fuzz::the_same_sets_every_time", &["gcc"], || {
            let ran = || program(&["gcc"], FUZZ, 2_000).run();
            assert_eq!(ran().well(), ran().well());
        }),
        trial("soak::eight_threads_leave_nothing_behind", &["gcc"], || {
            let calls = cases("DEXTAPE_IOKIT_SOAK", SOAK_SAMPLE);
            // Its stderr is empty, so no name and no object was left over.
            let ran = program(&["gcc"], SOAK, calls).run();
            soaked(ran.well(), calls);
            println!("{}", ran.out.trim());
        }),
        trial("soak::the_leak_sanitizer_finds_nothing", &["gcc"], || {
            let ran = program(&["gcc", "-fsanitize=leak"], SOAK, 8_000).run();
            soaked(ran.well(), 8_000);
        }),
        trial("soak::memcheck_finds_nothing", &["gcc", "valgrind"], || {
            let program = program(&["gcc"], SOAK, 800);
            let mut command = Command::new("valgrind");
            command.args(["--quiet", "--error-exitcode=9", "--leak-check=full"]);
            command.args(["--errors-for-leak-kinds=definite", "--show-leak-kinds=definite"]);
            command.arg(program.path("program")).arg("800");
            let ran = program.run_command(command);
            assert_eq!(ran.code, Some(0), "{ran}");
            soaked(&ran.out, 800);
        }),
    ]
}
