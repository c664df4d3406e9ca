//! Each bug shows: in its own place, and in no other.

use crate::dext::{Bug, Info, Sampler, memory_type, selector};
use crate::honest::{Bench, samplers};
use dextape::IoReturn;
use dextape::call::MapOptions;
use dextape::connection::{CallError, Connection, ConnectionExt, Reply};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// What a client does, and what it saw.
type Client = fn(&Bench, &dyn Connection) -> String;

/// A client that brings a bug to light, or two that are of the same moment.
struct Symptom {
    client: Client,
    /// What shows of a dext without them.
    right: &'static str,
    /// What shows of a dext with one.
    wrong: &'static [(Bug, &'static str)],
}

fn told(reply: &Result<Reply, CallError>) -> String {
    match reply {
        Ok(reply) => format!("{:?} and {} bytes", reply.scalars.as_slice(), reply.structure_size),
        Err(error) => error.io_return().map_or_else(|| error.to_string(), named),
    }
}

/// Without the number.
fn named(result: IoReturn) -> String {
    let text = result.to_string();
    text.split(" (").next().unwrap_or_default().to_owned()
}

fn feed(connection: &dyn Connection, length: usize) -> String {
    let bytes = vec![1; length];
    let call = connection.call(selector::FEED).scalars(&[0]).input_bytes(&bytes);
    told(&call.want_scalars(2).send())
}

/// Watches ten samples, a tenth of a second apart.
fn watch(bench: &Bench, connection: &dyn Connection) -> String {
    let queue = bench.queue();
    let call = connection.call(selector::WATCH).scalars(&[100, 10]);
    told(&call.completing_on(&*queue, &[0]).send())
}

const SYMPTOMS: [Symptom; 11] = [
    Symptom {
        client: |_, connection| {
            told(&connection.call(selector::ADD).scalars(&[1]).want_scalars(2).send())
        },
        right: "kIOReturnBadArgument",
        wrong: &[(
            Bug::EntryUnchecked,
            "crash: index out of bounds: the len is 1 but the index is 1",
        )],
    },
    Symptom {
        client: |_, connection| told(&connection.call(selector::COUNT).send()),
        right: "kIOReturnBadArgument",
        wrong: &[(
            Bug::SelectorOffByOne,
            "crash: index out of bounds: the len is 8 but the index is 10",
        )],
    },
    Symptom {
        client: |_, connection| {
            let reply = connection.call(selector::CONFIGURE).input_bytes(&[0; 8]).send();
            let info: Info = connection.call(selector::INFO).output().unwrap();
            format!("{}, mask {:x}", told(&reply), info.configuration.mask)
        },
        right: "kIOReturnBadArgument, mask 0",
        wrong: &[(Bug::ShortStructureCast, "[] and 0 bytes, mask a5a5a5a5a5a5a5a5")],
    },
    Symptom {
        client: |_, connection| {
            let mut seen = String::new();
            for length in [7, 4099] {
                let (given, mut got) = (vec![0; length], vec![7; length]);
                let call = connection.call(selector::INVERT).input_bytes(&given);
                let reply = told(&call.output_bytes(&mut got));
                write!(seen, "{reply} ending in {}; ", got[length - 1]).unwrap();
            }
            seen
        },
        right: "kIOReturnBadArgument ending in 7; kIOReturnBadArgument ending in 7; ",
        wrong: &[(
            Bug::OddTailDropped,
            "[] and 4 bytes ending in 7; [] and 4099 bytes ending in 7; ",
        )],
    },
    Symptom {
        client: |_, connection| format!("{}; {}", feed(connection, 4096), feed(connection, 4097)),
        right: "[4096, 4096] and 0 bytes; [4097, 4097] and 0 bytes",
        wrong: &[(Bug::DescriptorIgnored, "[4096, 4096] and 0 bytes; [0, 0] and 0 bytes")],
    },
    Symptom {
        client: |_, connection| feed(connection, 1 << 20),
        right: "kIOReturnMessageTooLarge",
        wrong: &[(Bug::LengthTrusted, "crash: EXC_BAD_ACCESS: a write past the end of the window")],
    },
    Symptom {
        client: |_, connection| {
            let map =
                || connection.map_memory(memory_type::WINDOW, MapOptions::ANYWHERE, 0).unwrap();
            let (first, second) = (map(), map());
            let same = first.address() == second.address();
            let unmapped = connection.unmap_memory(memory_type::WINDOW, 0);
            format!("same address: {same}, unmap: {}", named(unmapped))
        },
        right: "same address: true, unmap: kIOReturnSuccess",
        wrong: &[(
            Bug::FreshWindow,
            "same address: false, unmap: kIOReturnBadArgument, found fresh-descriptor",
        )],
    },
    Symptom {
        client: |_, connection| {
            let map = || connection.map_memory(memory_type::STATUS, MapOptions::ANYWHERE, 0);
            let first = map().unwrap().length();
            let second = map().map(|mapping| mapping.length());
            format!("{first} bytes, then {second:?}")
        },
        right: "64 bytes, then Ok(64)",
        wrong: &[(
            Bug::StatusNotRetained,
            "64 bytes, then Ok(0), found over-release, found use-after-release",
        )],
    },
    Symptom {
        client: |bench, connection| {
            let seen = watch(bench, connection);
            // The first sample is there, and others are to come.
            bench.schedule.sleep(Duration::from_millis(150));
            seen
        },
        right: "[] and 0 bytes",
        wrong: &[
            (Bug::SampleAfterStop, "[] and 0 bytes, found use-after-release"),
            (
                Bug::StopWaitsForWatch,
                "hang: stop of connection 1 waits for the end of a sampler's watch",
            ),
        ],
    },
    Symptom {
        client: |bench, connection| {
            let seen = watch(bench, connection);
            let queue = bench.queue();
            let call = connection.call(selector::WATCH).scalars(&[10, 1]);
            let again = told(&call.completing_on(&*queue, &[0]).send());
            let completion = queue.wait(Some(Duration::from_secs(1))).unwrap();
            // Nothing of the one that was replaced is under way any more at the close.
            bench.schedule.sleep(Duration::from_secs(2));
            format!("{seen}; {again}; {}", named(completion.status))
        },
        right: "[] and 0 bytes; [] and 0 bytes; kIOReturnSuccess",
        wrong: &[(
            Bug::ReplacedWatchLeaked,
            "[] and 0 bytes; [] and 0 bytes; kIOReturnSuccess, left OSAction",
        )],
    },
    Symptom {
        client: |_, connection| {
            let ask =
                |length| told(&connection.call(selector::INFO).output_bytes(&mut vec![0; length]));
            format!("{}; {}", ask(16), ask(64))
        },
        right: "kIOReturnBadArgument; kIOReturnBadArgument",
        wrong: &[(
            Bug::OutputLongerThanAsked,
            "kIOReturnBadArgument; [] and 24 bytes, found output-too-long",
        )],
    },
];

/// All that shows of a sampler: what the client saw, what the mock found, what is left, or how it ended.
fn shows(sampler: Sampler, client: Client) -> String {
    let run = || {
        Bench::with(5, sampler, |bench| {
            let connection = bench.open();
            let mut seen = client(bench, &*connection);
            assert_eq!(connection.close(), IoReturn::SUCCESS);
            bench.schedule.sleep(Duration::from_secs(60));
            let lints: BTreeSet<_> =
                bench.mock.findings().iter().map(|found| found.lint()).collect();
            lints.iter().for_each(|lint| write!(seen, ", found {lint}").unwrap());
            for leak in bench.mock.leaks() {
                write!(seen, ", left {}", leak.class).unwrap();
            }
            seen
        })
    };
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let text = text.unwrap_or_default();
        match text.lines().find(|line| line.contains("stop of")) {
            Some(stuck) => format!("hang: {}", stuck.trim()),
            None => format!("crash: {text}"),
        }
    })
}

#[test]
fn each_bug_shows_to_its_own_client_and_to_no_other() {
    let mut surprises = String::new();
    for symptom in &SYMPTOMS {
        for sampler in samplers() {
            let seen = shows(sampler, symptom.client);
            let wrong = symptom.wrong.iter().find(|(bug, _)| sampler.bug() == Some(*bug));
            if seen != wrong.map_or(symptom.right, |(_, wrong)| wrong) {
                writeln!(surprises, "{sampler:?}, not {:?}: {seen}", symptom.wrong).unwrap();
            }
        }
    }
    assert!(surprises.is_empty(), "{surprises}");
}

#[test]
fn every_bug_has_its_client() {
    let shown: Vec<_> =
        SYMPTOMS.iter().flat_map(|symptom| symptom.wrong).map(|(bug, _)| *bug).collect();
    assert_eq!(shown, Bug::ALL);
}
