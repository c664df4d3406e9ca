//! The battery on the dext of the exam: nothing from the right one, and every bug of the others.

use crate::dext::{Bug, LegalCall, Length, Sampler, Scalar, description, selector};
use dextape::IoReturn;
use dextape::battery::{
    self, Amount, Argument, Contract, MemoryContract, MethodContract, ProblemKind, Report, Subject,
};
use dextape::connection::Matching;

/// The contract that the description says.
fn contract() -> Contract {
    let described = description();
    let contract = Contract::new(Matching::user_class(described.user_class));
    let contract = described.calls.iter().map(method).fold(contract, Contract::method);
    described.memory.iter().fold(contract, |contract, memory| {
        let own = MemoryContract::new(memory.memory_type).length(memory.length);
        contract.memory(if memory.read_only { own.read_only() } else { own })
    })
}

fn method(call: &LegalCall) -> MethodContract {
    let arguments: Vec<Argument> = call
        .scalars
        .iter()
        .map(|scalar| match *scalar {
            Scalar::Any { example } => Argument::Any(example),
            Scalar::Within { least, most, example } => {
                Argument::Within { range: least..=most, example }
            }
            Scalar::Returned { by, index } => Argument::Returned { by, index },
        })
        .collect();
    let input: Vec<u8> = (0..call.input.example(0)).map(|index| index as u8 + 1).collect();
    let length = input.len() as u64;
    let mut method = MethodContract::new(call.selector)
        .arguments(&arguments)
        .input(&input)
        .wants_scalars(call.scalars_out as u32)
        .wants_bytes(call.output.example(length))
        .bytes_in(amount(call.input))
        .bytes_out(amount(call.output))
        .repeatable(call.repeatable);
    method = if call.asynchronous { method.asynchronous() } else { method.synchronous() };
    for code in codes(call.selector) {
        method = method.code(*code);
    }
    if call.before.is_empty() { method } else { method.after(call.before) }
}

/// The errors that the description leaves to the author to document.
fn codes(selector: u32) -> &'static [IoReturn] {
    match selector {
        selector::OPEN_SESSION => &[IoReturn::EXCLUSIVE_ACCESS],
        selector::CLOSE_SESSION => &[IoReturn::NOT_OPEN],
        selector::ALLOCATE => &[IoReturn::NOT_OPEN, IoReturn::NO_SPACE],
        selector::FREE => &[IoReturn::NOT_OPEN, IoReturn::NOT_FOUND],
        selector::FEED => &[IoReturn::MESSAGE_TOO_LARGE],
        _ => &[],
    }
}

fn amount(length: Length) -> Amount {
    match length {
        Length::None => Amount::Exactly(0),
        Length::Exactly(exact) => Amount::Exactly(exact),
        Length::Within { least, most, multiple_of } => {
            Amount::Multiple { within: least..=most, of: multiple_of }
        }
        Length::AsInput => Amount::AsInput,
    }
}

fn report(sampler: impl Fn() -> Sampler + Send + Sync + 'static) -> Report {
    battery::run(contract(), move |mock| sampler().publish(mock).map(drop))
}

#[test]
fn the_right_one_gives_nothing() {
    let report = report(|| Sampler::RIGHT);
    assert!(report.is_clean(), "{report}");
}

#[test]
fn a_report_is_read_by_people_and_by_programs() {
    let report = report(|| Sampler::with(Bug::SelectorOffByOne));
    let text = report.to_string().replace(&report.trials.to_string(), "TRIALS");
    insta::assert_snapshot!(text, @"
    crash, selector 10: it panics: index out of bounds: the len is 8 but the index is 10
      when selector 10 is called with nothing, and in 10 more trials
    TRIALS trials, 1 problem
    ");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["problems"][0]["kind"], "crash");
    assert_eq!(json["problems"][0]["subject"]["selector"], 10);
}

/// What the battery must say of a dext with one bug.
fn finds(bug: Bug, kind: ProblemKind, subject: Subject, says: &str) {
    let report = report(move || Sampler::with(bug));
    let said = report.problems.iter().find(|problem| {
        (problem.kind, problem.subject) == (kind, subject) && problem.message.contains(says)
    });
    assert!(said.is_some(), "{kind}, {subject}: {says}, in:\n{report}");
}

macro_rules! exam {
    ($($name:ident: $bug:ident, $kind:ident, $subject:expr, $says:literal;)*) => {
        $(
            #[test]
            fn $name() {
                finds(Bug::$bug, ProblemKind::$kind, $subject, $says);
            }
        )*

        #[test]
        fn every_bug_has_its_trial() {
            let tried = [$(Bug::$bug),*];
            assert!(Bug::ALL.iter().all(|bug| tried.contains(bug)));
        }
    };
}

exam! {
    entry_unchecked: EntryUnchecked, Accepted, Subject::Selector(0), "too many scalars in";
    selector_off_by_one: SelectorOffByOne, Crash, Subject::Selector(10), "index out of bounds";
    short_structure_cast: ShortStructureCast, Accepted, Subject::Selector(7), "too few bytes in";
    odd_tail_dropped: OddTailDropped, Accepted, Subject::Selector(8), "too few bytes in";
    descriptor_ignored: DescriptorIgnored, Output, Subject::Selector(9), "make no difference (B4)";
    length_trusted: LengthTrusted, Crash, Subject::Selector(9), "past the end of the window";
    fresh_window: FreshWindow, Memory, Subject::MemoryType(0), "it cannot be unmapped";
    status_not_retained: StatusNotRetained, Lint, Subject::MemoryType(1), "without a retain";
    sample_after_stop: SampleAfterStop, Lint, Subject::Selector(3), "use-after-release";
    stop_waits_for_watch: StopWaitsForWatch, Hang, Subject::Selector(3), "stop of connection 1 waits";
    replaced_watch_leaked: ReplacedWatchLeaked, Leak, Subject::Selector(3), "OSAction is left";
    output_longer_than_asked: OutputLongerThanAsked, Lint, Subject::Selector(6), "output-too-long";
}
