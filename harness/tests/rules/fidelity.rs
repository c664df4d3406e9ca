//! `docs/fidelity.md`: every rule of the semantics reference, and where it stands. The page is made of
//! the tests, by `cargo xtask fidelity --write`; a test compares it.

use crate::apple::IDEAS;
use crate::kit::Way;
use crate::open_points::POINTS;
use crate::{appendix_b, caught, kit, registry, workspace};
use dextape::boundary::{Evidence, OpenPoints, Rule, RuleTest, Rules, tests_by_rule};
use libtest_mimic::Failed;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// The page, from the root of the workspace.
const PAGE: &str = "docs/fidelity.md";

/// Where programs in C are run against the C ABI, from the root of the workspace. A trial there whose name
/// begins with the number of a rule, such as `A3_null_inputs_fault`, is a test of that rule.
const C_TESTS: &str = "scenarios/libiokit/tests/clients";

/// What only a client in C can do to show a rule. Those without a trial in [`C_TESTS`] wait for one.
const C_CALLERS: &[(Rule, &str)] = &[
    (Rule::A3, "gives NULL inputs with counts"),
    (Rule::A4, "gives NULL for the output counts"),
    (Rule::A6, "gives NULL outputs with counts"),
    (Rule::A13, "asks for 4 GiB"),
    (Rule::A15, "calls on null, dead and unknown names"),
    (Rule::A16, "calls on a service's port"),
    (Rule::B6, "gives a pointer to nothing"),
    (Rule::D4, "gives NULL references with a count"),
    (Rule::D15, "receives the message itself"),
    (Rule::D16, "has its callbacks called"),
    (Rule::D22, "receives by run loop, queue and loop of its own"),
    (Rule::F6, "gives NULL for address and size"),
    (Rule::F7, "gives no task"),
    (Rule::F23, "touches a mapping after the close"),
    (Rule::F27, "touches a mapping in a forked child"),
    (Rule::G21, "traps on bad ports"),
    (Rule::G22, "sends a connection in a message"),
];

/// Rules of which only the boundary can be asked: why neither client nor dext can show them here.
const BOUNDARY_ONLY: &[(Rule, &str)] = &[
    (Rule::A1, "in Rust there is the general call only"),
    (Rule::A3, "a slice is never NULL"),
    (Rule::A4, "a count is never NULL"),
    (Rule::A6, "a slice is never NULL"),
    (Rule::A13, "the memory would have to be there"),
    (Rule::A16, "a connection is never another port"),
    (Rule::B11, "a slice has no pointer where it is empty"),
    (Rule::D4, "a slice is never NULL"),
    (Rule::D9, "a Rust client calls back by itself"),
    (Rule::D15, "a Rust client gets the parts, not the message"),
    (Rule::D16, "a Rust client calls back by itself"),
    (Rule::E8, "a kext is no dext"),
    (Rule::E9, "a kext is no dext"),
    (Rule::E10, "a kext is no dext"),
    (Rule::F6, "a mapping is returned, not written to pointers"),
    (Rule::F7, "a client's task is its own"),
    (Rule::F26, "a mock system has one task"),
    (Rule::F27, "a test that has threads does not fork"),
    (Rule::G22, "nothing that a Rust client sends carries rights"),
    (Rule::I15, "the mock is of one version"),
    (Rule::J1, "numbers are numbers"),
    (Rule::J2, "numbers are numbers"),
];

/// Open points by the rules that they touch.
const TOUCHES: &[(&str, &[Rule])] = &[
    ("bad_pointer", &[Rule::B6]),
    ("empty_scalar_input_is_pointer", &[Rule::B11]),
    ("output_beside_descriptor", &[Rule::C5]),
    ("scalar_output_start", &[Rule::B2, Rule::C8]),
    ("memory_options_start", &[Rule::F2]),
    ("foreign_wake_port", &[Rule::D5]),
    ("completion_overtakes_call", &[Rule::D17]),
    ("function_checked_first", &[Rule::E5]),
    ("base_method", &[Rule::E7]),
    ("base_new_user_client", &[Rule::G10]),
    ("close_waits_for_stop", &[Rule::G14]),
    ("address_range_length", &[Rule::I6]),
];

/// The way that the test of each rule goes, which it shows by going it. Whether it passes is its own
/// trial's matter.
fn ways() -> BTreeMap<Rule, Way> {
    let way = |(rule, test): (Rule, fn(Rules))| {
        kit::way();
        drop(caught(|| test(Rules::all())));
        (rule, kit::way())
    };
    registry().into_iter().map(way).collect()
}

/// The trials of programs in C, by rule: each is the file that it is in.
fn c_tests() -> BTreeMap<Rule, Vec<String>> {
    let mut tests = BTreeMap::<Rule, Vec<String>>::new();
    let Ok(folder) = std::fs::read_dir(format!("{}/{C_TESTS}", workspace())) else { return tests };
    let mut files: Vec<_> = folder.flatten().map(|entry| entry.path()).collect();
    files.sort();
    for path in files.iter().filter(|path| path.extension().is_some_and(|kind| kind == "rs")) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let text = std::fs::read_to_string(path).unwrap_or_default();
        // Every second part stands between quotes; a name is as good as any text that looks like one.
        for rule in text.split('"').flat_map(rules_of) {
            tests.entry(rule).or_default().push(format!("{C_TESTS}/{name}"));
        }
    }
    tests
}

/// The rules in the name of a trial: `A3_and_so_on`, or `G16_to_G20_and_so_on`.
fn rules_of(name: &str) -> Vec<Rule> {
    let mut words = name.split('_');
    let rule = |word: Option<&str>| {
        let number = word.filter(|word| word.starts_with(|first: char| first.is_ascii_uppercase()));
        number.and_then(|number| number.parse::<Rule>().ok())
    };
    let is_name = name.contains('_') && !name.contains(char::is_whitespace);
    let Some(first) = rule(words.next()).filter(|_| is_name) else { return Vec::new() };
    let last = match words.next() {
        Some("to") => rule(words.next()).unwrap_or(first),
        _ => first,
    };
    Rule::ALL.iter().copied().filter(|rule| (first..=last).contains(rule)).collect()
}

/// The whole page.
pub(crate) fn page() -> String {
    let (ways, c_tests) = (ways(), c_tests());
    let mut page = HEAD.to_owned();
    totals(&mut page, &ways, &c_tests);
    for (letter, title) in GROUPS {
        let _ = writeln!(page, "\n## {letter}. {title}\n");
        page.push_str("| rule | says | evidence | tested | C |\n|---|---|---|---|---|\n");
        for test in tests_by_rule().filter(|test| test.rule.number().starts_with(*letter)) {
            let way = ways.get(&test.rule).copied();
            row(&mut page, test, way, c_tests.get(&test.rule).map_or(&[], Vec::as_slice));
        }
    }
    open_points(&mut page);
    appendix_b(&mut page);
    apple(&mut page);
    page
}

fn row(
    page: &mut String,
    RuleTest { rule, file, .. }: RuleTest,
    way: Option<Way>,
    c_tests: &[String],
) {
    let link = |file: &str| {
        let name = file.rsplit('/').next().unwrap_or(file);
        format!("[{name}](../{file})")
    };
    let mut tested = match way {
        Some(Way::Mock) => format!("mock, {}", link(file)),
        Some(Way::Dext) => format!("dext, {}", link(file)),
        Some(Way::Boundary) => {
            let why = BOUNDARY_ONLY.iter().find(|(other, _)| *other == rule);
            format!("boundary, {}: {}", link(file), why.map_or("?", |(_, why)| why))
        }
        None => "**no**".to_owned(),
    };
    for (field, _) in TOUCHES.iter().filter(|(_, rules)| rules.contains(&rule)) {
        let _ = write!(tested, "; open: `{field}`");
    }
    let c = match (c_tests, C_CALLERS.iter().find(|(other, _)| *other == rule)) {
        ([file, ..], _) => link(file),
        ([], Some((_, does))) => format!("waits: {does}"),
        ([], None) => String::new(),
    };
    let (says, evidence) = (rule.says(), rule.evidence().letters());
    let _ = writeln!(page, "| {rule} | {says} | {evidence} | {tested} | {c} |");
}

fn totals(page: &mut String, ways: &BTreeMap<Rule, Way>, c_tests: &BTreeMap<Rule, Vec<String>>) {
    let count = |wanted: Way| ways.values().filter(|way| **way == wanted).count();
    let waiting = C_CALLERS.iter().filter(|(rule, _)| !c_tests.contains_key(rule)).count();
    let rows = [
        ("**all rules**", Rule::ALL.len()),
        ("**tested here**", ways.len()),
        ("- through the mock system", count(Way::Mock)),
        ("- in the mock DriverKit", count(Way::Dext)),
        ("- on the boundary itself", count(Way::Boundary)),
        ("tested by a program in C as well", c_tests.len()),
        ("waiting for a program in C as well", waiting),
    ];
    page.push_str("| | rules |\n|---|---:|\n");
    for (what, rules) in rows {
        let _ = writeln!(page, "| {what} | {rules} |");
    }
    let evidence =
        [Evidence::Verified, Evidence::Executed, Evidence::Documented, Evidence::Inferred];
    let counts = evidence.map(|evidence| {
        let rules = Rule::ALL.iter().filter(|rule| rule.evidence() == evidence).count();
        format!("{rules} {}", evidence.letters())
    });
    let _ = writeln!(page, "\nEvidence: {}.", counts.join(", "));
}

fn open_points(page: &mut String) {
    page.push_str(OPEN_POINTS);
    for (field, rules) in TOUCHES {
        let rules: Vec<_> = rules.iter().map(ToString::to_string).collect();
        let default = suggested(field).unwrap_or_default();
        let rules = rules.join(", ");
        let _ = writeln!(page, "| `{field}` | {rules} | `{default}` | `open_point::{field}` |");
    }
    page.push_str(
        "\nThe text that Apple's framework logs is open, too; this mock logs in its own words.\n",
    );
}

/// Name and suggestion of each open point, as the type itself tells them.
fn suggestions() -> Vec<(String, String)> {
    let text = format!("{:#?}", OpenPoints::SUGGESTED);
    let fields = text.lines().filter_map(|line| {
        let (field, value) = line.strip_prefix("    ")?.split_once(": ")?;
        Some((field.to_owned(), value.trim_end_matches(',').to_owned()))
    });
    fields.collect()
}

fn suggested(field: &str) -> Option<String> {
    suggestions().into_iter().find(|(name, _)| name == field).map(|(_, value)| value)
}

fn appendix_b(page: &mut String) {
    page.push_str(APPENDIX_B);
    for (case, through) in appendix_b::cases() {
        let _ = writeln!(page, "| `appendix_b::{case}` | {through} |");
    }
}

fn apple(page: &mut String) {
    page.push_str(APPLE);
    for idea in IDEAS {
        let _ = writeln!(page, "| {} | {} | `apple::{}` |", idea.apple, idea.says, idea.name);
    }
    page.push_str(APPLE_ELSEWHERE);
}

/// The page that is checked in is the one that the tests make.
pub(crate) fn is_current() -> Result<(), Failed> {
    let path = format!("{}/{PAGE}", workspace());
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    let made = page();
    if kept == made {
        return Ok(());
    }
    let pairs = kept.lines().chain(std::iter::repeat("")).zip(made.lines());
    let line = pairs.clone().position(|(kept, made)| kept != made).unwrap_or(made.lines().count());
    let changed = made.lines().nth(line).unwrap_or("(the end)");
    let message = format!(
        "{PAGE} is not what the tests say, from line {} on, which should be\n{changed}\n\
         `cargo xtask fidelity --write` writes it anew",
        line + 1
    );
    Err(message.into())
}

/// No rule and no open point is unaccounted for, and what the tables above say is there.
pub(crate) fn is_sound() -> Result<(), Failed> {
    let ways = ways();
    for rule in Rule::ALL {
        let why = BOUNDARY_ONLY.iter().any(|(other, _)| other == rule);
        match (ways.get(rule), why) {
            (None, _) => return Err(format!("{rule} has no test").into()),
            (Some(Way::Boundary), false) => {
                return Err(format!("{rule} goes through no mock; BOUNDARY_ONLY says why").into());
            }
            (Some(Way::Dext | Way::Mock), true) => {
                return Err(
                    format!("{rule} goes through a mock, and BOUNDARY_ONLY says not").into()
                );
            }
            _ => {}
        }
    }
    let of_type: BTreeSet<String> = suggestions().into_iter().map(|(field, _)| field).collect();
    let touching: BTreeSet<String> = TOUCHES.iter().map(|(field, _)| (*field).to_owned()).collect();
    let tested: BTreeSet<String> = POINTS.iter().map(|point| point.field.to_owned()).collect();
    if of_type != touching || of_type != tested {
        let message = format!("open points: {of_type:?}, of them {tested:?} are tested");
        return Err(message.into());
    }
    let (one, range) = (rules_of("A3_null_inputs"), rules_of("G16_to_G20_what"));
    if one != [Rule::A3] || range != [Rule::G16, Rule::G17, Rule::G18, Rule::G19, Rule::G20] {
        return Err(format!("names of trials in C are read as {one:?} and {range:?}").into());
    }
    Ok(())
}

const GROUPS: &[(char, &str)] = &[
    ('A', "The client library"),
    ('B', "What the dext sees"),
    ('C', "What comes back"),
    ('D', "Asynchronous calls and completions"),
    ('E', "Dispatch tables"),
    ('F', "Mappings"),
    ('G', "Open, close and the other calls"),
    ('H', "Death, removal, hangs"),
    ('I', "Memory descriptors"),
    ('J', "Numbers"),
    ('K', "Who waits for whom"),
];

const HEAD: &str = "\
# Fidelity

<!-- Written by `cargo xtask fidelity --write` from the tests. Do not edit. -->

Every rule of the boundary between a client and a dext, as far as Apple's published source tells it, and
where it stands here.

A rule counts as tested where the test of its number, `rule::A1` and so on, passes with all rules in force
and fails by its own assertion once that rule alone is switched off; both are trials of
`cargo test -p dextape --test rules`.

- *evidence*: V was read in Apple's source; V+X was seen as well when Apple's own library and message stubs
  were run; D comes from a header, documentation, a sample or a report from the field; I is inferred.
- *tested*: through the `mock` system, where a Rust client calls a mock dext; in a mock `dext`, where no client
  is needed; or on the `boundary`, whose function is asked where neither can express the case, and why.
- *C*: where a program in C shows it through the C ABI, in a process of its own, under the rule's number; or what
  such a program has to do.

";

const OPEN_POINTS: &str = "
## What Apple's source leaves open

Fields of `dextape::boundary::OpenPoints`, which `MockSystem::builder` takes. Each is tested with the suggestion and
with another answer.

| point | rules | suggested | tested |
|---|---|---|---|
";

const APPENDIX_B: &str = "
## What Apple's library was seen to do

Each case that was run with Apple's own library and message stubs (Appendix B of the reference). Programs in C go
through all of them once more: [appendix_b.rs](../scenarios/libiokit/tests/clients/appendix_b.rs).

| case | through |
|---|---|
";

const APPLE: &str = "
## What Apple's tests test

| Apple's test | what it asserts | here |
|---|---|---|
";

const APPLE_ELSEWHERE: &str = "\
| map_memory_port_leak_45265408.c | 200,000 rounds of open, map, unmap and close leave no port behind | \
[rounds.rs](../harness/tests/rounds.rs): memory, threads and files; in full by `cargo xtask prove rounds` |
| the sample's six selectors | what scalars, structures and callbacks come to | scenario `null-driver` |

Not restated: what tests Mach itself (`immovable_send`), the catalogue, notifications of interest in a \
service, prefaulting, remote memory, guard pages, DMA commands, accounting, and a carve-out under Rosetta.
";
