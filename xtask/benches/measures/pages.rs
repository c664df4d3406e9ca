//! The page of a tape of 100,000 events: how long it takes to make, to open in a headless Chromium, and to
//! search. A search counts from the query to the end of the frame that shows what it found.
//!
//! Its payloads are the hard case: each is another one, half of them random bytes, half of them zeros with
//! a number in between, 19 MB in all.

use super::case;
use super::chromium::{Browser, found};
use dextape::IoReturn;
use dextape::call::Scalars;
use dextape::tape::{Body, Call, Event, Header, OutputKind, Payload, Return, Structure, Tape};
use dextape_lab::{Diff, DiffOptions, Hex, diff, diff_page, page};
use serde_json::Value;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::time::Instant;

pub(crate) const GROUP: &str = "page";

/// Calls of the tape; each is two events.
const CALLS: u64 = 50_000;

/// Bytes of each structure.
const BYTES: usize = 190;

/// Nanoseconds that a search may take.
const SEARCH_MOST: f64 = 100e6;

/// Rounds of which the median counts.
const ROUNDS: usize = 9;

/// What is searched for, and what is special about it.
const SEARCHES: [(&str, &str); 9] = [
    ("text: a number of one call", "0x1387"),
    ("text: two words of few", "badargument failed"),
    ("text: a letter of every event", "e"),
    ("text: nothing has it", "nothing-has-this"),
    ("selector, thread and kind", "sel:3 lane:2 kind:call"),
    ("bytes: random ones that nothing has", "hex:0badf00d17"),
    ("bytes: eight zeros", "hex:0000000000000000"),
    ("bytes: 89 zeros and a five", "hex:0*89 05"),
    ("bytes: without, and a selector", "-hex:0000 sel:2"),
];

pub(crate) fn print() {
    let tape = tape(0);
    let (html, made) = timed(|| page(&tape, "bench.tape.jsonl", &[], &Hex));
    let html = html.expect("the page is made");
    line("make the page of 100,000 events", made, None);
    let other = self::tape(50);
    let found = diff(&tape, &other, DiffOptions::default(), &Hex).expect("the tapes compare");
    let (both, made) = timed(|| two(&found, &tape, &other));
    line("make the page of two such tapes", made, None);
    if let Err(error) = browse(&html, &both) {
        // What is missing is missing from the table, and said.
        eprintln!("failed to measure pages in Chromium: {error}");
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    if let Some(load) = load.split(' ').next().and_then(|load| load.parse::<f64>().ok()) {
        let processors = std::thread::available_parallelism().map_or(1.0, |it| it.get() as f64);
        let what = format!("what waits for one of {processors} processors, on average");
        case::line(GROUP, &what, load, "", None, None);
    }
}

fn two(found: &Diff, one: &Tape, other: &Tape) -> String {
    diff_page(found, (one, "a.tape.jsonl"), (other, "b.tape.jsonl"), &Hex)
        .expect("the page is made")
}

fn timed<T>(make: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let made = make();
    (made, start.elapsed().as_nanos() as f64)
}

fn line(what: &str, nanoseconds: f64, most: Option<f64>) {
    case::line(GROUP, what, nanoseconds, "ns", None, most.map(|most| ("most", most)));
}

fn browse(html: &str, both: &str) -> io::Result<()> {
    let chromium = found().ok_or_else(|| io::Error::other("there is none in PATH"))?;
    let folder = tempfile::tempdir()?;
    let (one, two) = (folder.path().join("one.html"), folder.path().join("two.html"));
    std::fs::write(&one, html)?;
    std::fs::write(&two, both)?;
    let mut browser = Browser::start(&chromium)?;
    for (path, pages) in [(&one, "one tape"), (&two, "two tapes")] {
        let mut opening = Vec::new();
        for _ in 0..3 {
            opening.push(open(&mut browser, path)?);
        }
        line(&format!("open the page of {pages}"), median(opening), None);
        // The first search meets code that no compiler of the browser has seen yet.
        let mut first = Vec::new();
        for _ in 0..3 {
            open(&mut browser, path)?;
            first.extend(search(&mut browser, "hex:0badf00d17", 1)?);
        }
        line(&format!("{pages}: the first search"), median(first), Some(SEARCH_MOST));
        for (what, query) in SEARCHES {
            let taken = search(&mut browser, query, ROUNDS)?;
            line(&format!("{pages}: {what}"), median(taken), Some(SEARCH_MOST));
        }
    }
    Ok(())
}

fn open(browser: &mut Browser, path: &Path) -> io::Result<f64> {
    let (opened, taken) = timed(|| browser.open(path));
    opened.map(|()| taken)
}

/// Searches so many times; gives the nanoseconds of each.
fn search(browser: &mut Browser, query: &str, rounds: usize) -> io::Result<Vec<f64>> {
    // Zeros by their number.
    let query = match query.split_once("0*") {
        Some((before, after)) => {
            let (count, rest) = after.split_once(' ').unwrap_or((after, ""));
            let count = count.parse().map_err(io::Error::other)?;
            format!("{before}{}{rest}", "00".repeat(count))
        }
        None => query.to_owned(),
    };
    let mut script = String::from(
        "(async () => { const field = document.getElementById('search'), taken = []; \
         const frame = () => new Promise((then) => requestAnimationFrame(() => { \
           const channel = new MessageChannel(); channel.port1.onmessage = then; channel.port2.postMessage(0); })); \
         const ask = (text) => { field.value = text; field.dispatchEvent(new Event('input')); }; ",
    );
    let query = Value::from(query);
    let _ = write!(
        script,
        "for (let round = 0; round < {rounds}; round++) {{ ask(''); await frame(); await frame(); \
           const start = performance.now(); ask({query}); await frame(); taken.push(performance.now() - start); }} \
         return taken; }})()"
    );
    let taken = browser.value(&script)?;
    let taken = taken.as_array().ok_or_else(|| io::Error::other("the page gives no figures"))?;
    Ok(taken.iter().filter_map(Value::as_f64).map(|milliseconds| milliseconds * 1e6).collect())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A tape of 100,000 events; of each `every` calls one has another number (0 for none).
fn tape(every: u64) -> Tape {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut payload = |number: u64| -> Payload {
        let mut bytes = [0; BYTES];
        if number % 2 == 1 {
            bytes.iter_mut().for_each(|byte| *byte = random() as u8);
        } else {
            bytes[8..16].copy_from_slice(&number.to_le_bytes());
            bytes[100] = (number / 2 % 7) as u8;
        }
        Payload::bytes(&bytes)
    };
    let mut events = Vec::new();
    let mut positions = [0_u64; 3];
    for call in 0..CALLS {
        let lane = (call % 3) as usize;
        let other = u64::from(every > 0 && call % every == 0) << 20;
        let enter = Body::Call(Call {
            selector: (call % 5) as u32,
            scalars: Scalars::clamped(&[call + other, call << 21, 2]),
            scalar_count: 3,
            input: Structure::Bytes(payload(call * 2)),
            scalars_asked: 0,
            output: OutputKind::Bytes { size: BYTES as u64 },
        });
        let fails = call % 997 == 0;
        let leave = Body::Return(Return {
            result: if fails { IoReturn::BAD_ARGUMENT } else { IoReturn::SUCCESS },
            scalars: Scalars::clamped(&[]),
            structure_size: (!fails).then_some(BYTES as u64),
            structure: (!fails).then(|| payload(call * 2 + 1)),
        });
        let sequence = call * 2 + 1;
        for (offset, body) in [(0, enter), (1, leave)] {
            positions[lane] += 1;
            let cause = (offset == 1).then_some(sequence);
            let (sequence, time) = (sequence + offset, (sequence + offset) * 900);
            let event = Event::new(sequence, lane as u32 + 1, positions[lane], body);
            events.push(Event { connection: Some(1), cause, time, ..event });
        }
    }
    Tape::new(Header::mock(), events)
}
