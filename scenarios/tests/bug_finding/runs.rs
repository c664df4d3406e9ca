//! Runs made of a tape: none breaks a rule of the boundary or an edge of the tape.

use super::candidates::record;
use super::exam::CANDIDATES;
use dextape::perturb::{Check, Deviation, Deviations, Point, Shift};
use dextape::replay::{PatchTiming, Policy, ReplayOptions, Replayer};
use dextape::schedule::{Generator, Schedule};
use dextape::tape::{Body, Event, Tape};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Lists that are tried of each tape, unless the proof asks for more.
fn lists() -> u64 {
    let asked = std::env::var("DEXTAPE_PERTURBED_RUNS").ok();
    asked.map_or(12, |asked| asked.parse().expect("DEXTAPE_PERTURBED_RUNS is a number"))
}

/// Without deviations it is the recorded run: the same operations, answers and completions, lane by
/// lane, at the same times.
#[test]
fn the_run_without_deviations_is_the_recorded_one() {
    for candidate in &CANDIDATES {
        let tape = record(candidate, None);
        let check = Check::new(&tape).unwrap();
        let own = check.record(&Deviations::NONE, |system| (candidate.run)(system, None)).unwrap();
        let calls = |tape: &Tape| {
            let mut lanes: BTreeMap<u32, Vec<(u64, String)>> = BTreeMap::new();
            for event in tape.events() {
                // Which read saw a change depends on who came first at the same moment.
                let is_told = !matches!(
                    event.body,
                    Body::Patch { .. } | Body::Write { .. } | Body::Wait { .. } | Body::Woke { .. }
                );
                if is_told {
                    let line = (event.time, format!("{:?}", event.body));
                    lanes.entry(event.lane).or_default().push(line);
                }
            }
            lanes
        };
        let (own, held) = (calls(&own), calls(&tape));
        assert!(own.keys().eq(held.keys()), "{}", candidate.scenario.name());
        for (lane, held) in held {
            for (own, held) in own[&lane].iter().zip(&held) {
                assert_eq!(own, held, "{}, lane {lane}", candidate.scenario.name());
            }
            assert_eq!(own[&lane].len(), held.len(), "{}", candidate.scenario.name());
        }
    }
}

/// A list of deviations by chance: of one to five.
fn list(tape: &Tape, generator: &mut Generator) -> Deviations {
    let mut below = |bound: u64| generator.below(bound);
    let times = [1, 700, 3_000, 20_000, 400_000, 6_000_000].map(Duration::from_micros);
    let mut list = Vec::new();
    if below(2) == 0 {
        list.push(Deviation::Ahead);
    }
    for _ in 0..=below(5) {
        let (lane, operation) = (1 + below(3) as u32, 1 + below(40));
        let event = 1 + below(tape.events().len() as u64);
        let time = times[below(times.len() as u64) as usize];
        let point = [Point::Before, Point::Within, Point::After][below(3) as usize];
        list.push(match below(9) {
            0..=3 => Deviation::Stall { lane, operation, point, time },
            4 => Deviation::Wake { lane, operation },
            5 => Deviation::Timer { lane, wait: operation, late: time },
            6 => {
                let early = below(2) == 0;
                let shift = if early { Shift::Early(time) } else { Shift::Late(time) };
                let posts: Vec<u64> = (tape.events().iter())
                    .filter(|event| matches!(event.body, Body::Posted { .. }))
                    .map(|event| event.sequence)
                    .collect();
                let event = if posts.is_empty() {
                    event
                } else {
                    posts[below(posts.len() as u64) as usize]
                };
                Deviation::Post { event, shift }
            }
            7 => Deviation::PatchEarly { event, by: time },
            _ => match below(2) {
                0 => Deviation::PatchLate { event },
                _ => Deviation::PatchSplit { event, at: 8, by: time },
            },
        });
    }
    Deviations(list)
}

#[test]
fn no_run_breaks_a_rule_or_an_edge() {
    for (number, candidate) in CANDIDATES.iter().enumerate() {
        let name = candidate.scenario.name();
        let tape = record(candidate, None);
        let check = Check::new(&tape).unwrap();
        let mut generator = Generator::new(number as u64);
        let mut different = 0;
        for _ in 0..lists() {
            let list = list(&tape, &mut generator);
            let run = check.record(&list, |system| (candidate.run)(system, None)).unwrap();
            let validation = run.validate();
            assert!(validation.is_valid(), "{name}, {list}: {validation}");
            if let Err(broken) = edges(&tape, &run) {
                panic!("{name}, {list}: {broken}");
            }
            different += u64::from(run.events() != tape.events());
        }
        assert!(different * 8 > lists(), "{name}: only {different} runs differ");
    }
}

/// What a client is told when something goes wrong is what the boundary's rules say.
#[test]
fn no_fault_breaks_a_rule() {
    let faults = [
        "open: error Busy",
        "open: dext dies",
        "call * #2: error Timeout",
        "call * #3: error NoDevice afterwards",
        "call * #3: dext dies",
        "call * #3: device removed",
        "call * #4: device removed afterwards",
        "completion * #1: lost",
        "completion * #2: late 30ms",
        "completion * #1: error Aborted",
        "map *: error NoMemory",
        "unmap *: error NoMemory",
        "at 20ms: device removed",
        "at 20ms: dext dies",
    ];
    for candidate in &CANDIDATES {
        let tape = record(candidate, None);
        let check = Check::new(&tape).unwrap();
        let manners = ["", "extrapolated: device ahead; extrapolated: calls answered; "];
        for (fault, manner) in faults.iter().flat_map(|it| manners.map(|manner| (it, manner))) {
            let list: Deviations = format!("{manner}fault {fault}").parse().unwrap();
            let run = check.record(&list, |system| (candidate.run)(system, None)).unwrap();
            let validation = run.validate();
            let name = candidate.scenario.name();
            assert!(validation.is_valid(), "{name}, {list}: {validation}");
        }
    }
}

/// A tape of a run is the run: the ordinary replayer plays it to the same client, to its end.
#[test]
fn the_tape_of_a_run_replays() {
    for (number, candidate) in CANDIDATES.iter().enumerate() {
        let tape = record(candidate, None);
        let check = Check::new(&tape).unwrap();
        let mut generator = Generator::new(77 + number as u64);
        for _ in 0..lists().div_ceil(3) {
            let list = list(&tape, &mut generator);
            let mut ended = None;
            let cell = std::cell::RefCell::new(&mut ended);
            let run = check.record(&list, |system| {
                **cell.borrow_mut() = Some((candidate.run)(system, None));
            });
            let run = Arc::new(run.unwrap());
            // A run that left the tape has no end.
            let Some(ended) = ended else { continue };
            let options =
                ReplayOptions::default().policy(Policy::Exact).patches(PatchTiming::AsRecorded);
            let replayer = Replayer::new(Arc::clone(&run), options).unwrap();
            let replayed = Schedule::simulate(run.header().seed.unwrap(), |schedule| {
                (candidate.run)(&replayer.system(schedule), None)
            });
            let report = replayer.finish().unwrap_or_else(|divergence| {
                panic!("{}, {list}: {divergence}", candidate.scenario.name())
            });
            assert!(report.used > 0);
            assert_eq!(replayed, ended, "{}, {list}", candidate.scenario.name());
        }
    }
}

/// Whether the run keeps what the tape says: each completion is one of its call's and they come in
/// their order, and each byte of shared memory changes to what it changed to, in that order.
fn edges(tape: &Tape, run: &Tape) -> Result<(), String> {
    let posts = |tape: &Tape| {
        let by_number: HashMap<u64, &Event> =
            tape.events().iter().map(|event| (event.sequence, event)).collect();
        let mut posts: BTreeMap<String, Vec<(u64, String)>> = BTreeMap::new();
        for event in tape.events() {
            if let Body::Posted { ordinal, status, arguments, .. } = &event.body {
                let call = by_number[&event.cause.expect("a completion has a call")];
                // Calls that ask for the same may have each other's completions.
                let call = format!("{:?} {:?}", call.connection, call.body);
                let what = (*ordinal, format!("{status:?} {arguments:?}"));
                posts.entry(call).or_default().push(what);
            }
        }
        posts
    };
    let recorded = posts(tape);
    for (call, came) in posts(run) {
        let held = recorded.get(&call).ok_or(format!("{call} never completed"))?;
        for post in &came {
            let same = |it: &&(u64, String)| *it == post;
            if came.iter().filter(same).count() > held.iter().filter(same).count() {
                return Err(format!("{call} never completed as {post:?}"));
            }
        }
    }
    let words = words(tape);
    let (recorded, mut made) = (changes(tape, &words), changes(run, &words));
    for ((memory, place), bytes) in made.bytes {
        let held = recorded.bytes.get(&(memory, place)).map(Vec::as_slice).unwrap_or_default();
        let mut left = held.iter();
        // What the client wrote over what it had written itself shows as no change at all.
        if !bytes.iter().all(|byte| left.any(|held| held == byte)) {
            return Err(format!("byte {place:#x} of memory {memory} is {bytes:x?}, not {held:x?}"));
        }
    }
    for (place, made) in made.words.drain() {
        let held = recorded.words.get(&place).map(Vec::as_slice).unwrap_or_default();
        if !are_made_of(held, &made) {
            return Err(format!(
                "word {place:x?} changes as {made:x?}, and on the tape as {held:x?}"
            ));
        }
    }
    Ok(())
}

/// Words of shared memory that the client writes one by one, with their width in bytes.
type Words = BTreeMap<(u32, u64), u64>;

fn words(tape: &Tape) -> Words {
    let stored = |event: &Event| match event.body {
        Body::Write { memory, offset, width: Some(width), .. }
        | Body::Update { memory, offset, width, .. } => Some(((memory, offset), width.bytes())),
        _ => None,
    };
    tape.events().iter().filter_map(stored).collect()
}

/// What the device changed, in order.
#[derive(Default)]
struct Changes {
    /// What each byte became that the client does not write by words.
    bytes: HashMap<(u32, u64), Vec<u8>>,
    /// What each word was and became.
    words: HashMap<(u32, u64), Vec<(u64, u64)>>,
}

/// A change that is told as one range may span bytes that did not change: they are none.
fn changes(tape: &Tape, words: &Words) -> Changes {
    let mut changes = Changes::default();
    let mut known: HashMap<(u32, u64), u8> = HashMap::new();
    let word = |known: &HashMap<(u32, u64), u8>, memory: u32, offset: u64, width: u64| {
        let byte = |at: u64| u64::from(known.get(&(memory, offset + at)).copied().unwrap_or(0));
        (0..width).map(|at| byte(at) << (8 * at)).sum::<u64>()
    };
    let word_of = |memory: u32, place: u64| {
        let (at, width) = words.range(..=(memory, place)).next_back()?;
        (at.0 == memory && place < at.1 + width).then_some((at.1, *width))
    };
    for event in tape.events() {
        match &event.body {
            Body::Patch { memory, offset, data, .. } => {
                let bytes = tape.bytes(data).unwrap().expect("the bytes are on the tape");
                let mut touched = BTreeMap::new();
                for (place, byte) in (*offset..).zip(&*bytes) {
                    match word_of(*memory, place) {
                        Some((at, width)) => {
                            let before = word(&known, *memory, at, width);
                            touched.entry((at, width)).or_insert(before);
                            known.insert((*memory, place), *byte);
                        }
                        None if known.insert((*memory, place), *byte).unwrap_or(0) != *byte => {
                            changes.bytes.entry((*memory, place)).or_default().push(*byte);
                        }
                        None => {}
                    }
                }
                for ((at, width), before) in touched {
                    let after = word(&known, *memory, at, width);
                    if before != after {
                        changes.words.entry((*memory, at)).or_default().push((before, after));
                    }
                }
            }
            Body::Write { memory, offset, data, .. } => {
                let bytes = tape.bytes(data).unwrap().expect("the bytes are on the tape");
                for (place, byte) in (*offset..).zip(&*bytes) {
                    known.insert((*memory, place), *byte);
                }
            }
            Body::Update { memory, offset, width, update } => {
                let now = update.apply(word(&known, *memory, *offset, width.bytes()), *width);
                let bytes = now.to_le_bytes();
                for (place, byte) in (*offset..*offset + width.bytes()).zip(bytes) {
                    known.insert((*memory, place), byte);
                }
            }
            _ => {}
        }
    }
    changes
}

/// What a word becomes where it is `now`, by a change from one value to another.
type Manner = fn(u64, (u64, u64)) -> u64;

/// True where each change of a word is one or several of the recorded ones in their order, made of
/// whatever was there: the same was stored, the same added, or the same bits were set.
fn are_made_of(held: &[(u64, u64)], made: &[(u64, u64)]) -> bool {
    let manners: [Manner; 3] = [
        |_, (_, after)| after,
        |now, (before, after)| now.wrapping_add(after.wrapping_sub(before)),
        |now, (before, after)| now | (after & !before),
    ];
    let mut from = 0;
    made.iter().all(|(before, after)| {
        let end = (from..held.len()).find_map(|first| {
            manners.iter().find_map(|manner| {
                let mut now = *before;
                (first..held.len()).find(|next| {
                    now = manner(now, held[*next]);
                    now == *after
                })
            })
        });
        from = end.map_or(from, |last| last + 1);
        end.is_some()
    })
}
