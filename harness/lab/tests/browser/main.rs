//! The page in a browser: what it shows, clicks, keys, the search, hostile tapes. Skipped by name where
//! there is no Chromium. The figures at 100,000 events come from `cargo xtask bench page`.

mod chromium;

use chromium::Browser;
use dextape::IoReturn;
use dextape::call::Scalars;
use dextape::tape::sample::{Script, call, every_kind, failure, success};
use dextape::tape::{Body, Call, Capture, Header, MappedMemory, Payload, Return, Structure, Tape};
use dextape_lab::{DiffOptions, Hex, Mark, MarkKind, diff, diff_page, page};
use libtest_mimic::{Arguments, Failed, Trial};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use tempfile::TempDir;

/// What a test of a page does.
type Test = fn(&mut Page) -> Result<(), Failed>;

const TESTS: &[(&str, Test)] = &[
    ("a_click_shows_fields_bytes_and_what_an_event_belongs_to", clicks),
    ("the_keyboard_suffices", keyboard),
    ("the_search_finds_words_numbers_and_bytes", searches),
    ("bytes_and_words_are_found_where_a_plain_search_finds_them", plain_search),
    ("failures_faults_and_divergences_are_marked", marks),
    ("two_tapes_stand_side_by_side", two_tapes),
    ("dark_and_light_follow_the_machine_and_the_switch", themes),
    ("a_hostile_tape_is_text_and_nothing_is_fetched", hostile),
    ("a_long_tape_is_drawn_in_pieces", long_tape),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let Some(chromium) = chromium::found() else {
        let skipped = |(name, _): &(&str, Test)| {
            Trial::test(format!("{name} (no chromium here)"), || Ok(())).with_ignored_flag(true)
        };
        return libtest_mimic::run(&arguments, TESTS.iter().map(skipped).collect()).exit_code();
    };
    // One browser for all, which starts with the first.
    let shared: Arc<Mutex<Option<Page>>> = Arc::default();
    let trial = |(name, test): &(&'static str, Test)| {
        let (shared, chromium, test) = (Arc::clone(&shared), chromium.clone(), *test);
        Trial::test(*name, move || {
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            if shared.is_none() {
                let browser = Browser::start(&chromium)?;
                *shared = Some(Page { browser, folder: tempfile::tempdir()? });
            }
            let page = shared.as_mut().ok_or("the browser runs")?;
            page.browser.prefer("light")?;
            let done = test(page);
            if done.is_err() {
                // The next begins anew.
                *shared = None;
            }
            done
        })
    };
    let trials = TESTS.iter().map(trial).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    *shared.lock().unwrap_or_else(PoisonError::into_inner) = None;
    conclusion.exit_code()
}

struct Page {
    browser: Browser,
    folder: TempDir,
}

impl Page {
    fn show(&mut self, html: &str) -> Result<(), Failed> {
        let path: PathBuf = self.folder.path().join("page.html");
        std::fs::write(&path, html)?;
        self.browser.open(&path)?;
        // What is drawn first gets its height with the next frame, and what is clicked stands below it.
        let frames = "new Promise((then) => requestAnimationFrame(() => requestAnimationFrame(() => then(1))))";
        self.browser.value(frames)?;
        Ok(())
    }

    fn show_tape(&mut self, tape: &Tape, marks: &[Mark]) -> Result<(), Failed> {
        let html = page(tape, "test.tape.jsonl", marks, &Hex)?;
        self.show(&html)
    }

    fn text(&mut self, expression: &str) -> Result<String, Failed> {
        let value = self.browser.value(expression)?;
        Ok(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }

    /// Text of the panel.
    fn panel(&mut self) -> Result<String, Failed> {
        self.text("document.getElementById('panel').innerText")
    }

    /// The numbers of the events in the rows in sight.
    fn rows(&mut self) -> Result<String, Failed> {
        self.text(
            "[...document.querySelectorAll('.row')].map((row) => row.querySelector('.no').textContent).join()",
        )
    }

    fn search(&mut self, query: &str) -> Result<String, Failed> {
        // Out of the search, where a slash is one, and into it again.
        self.browser.press("Escape")?;
        self.browser.press("/")?;
        self.browser.type_in(query)?;
        self.rows()
    }

    fn no_errors(&mut self) -> Result<(), Failed> {
        let bad = |heard: &&serde_json::Value| {
            let method = heard["method"].as_str().unwrap_or_default();
            let level = heard["params"]["entry"]["level"].as_str().unwrap_or_default();
            method == "Runtime.exceptionThrown" || level == "error" || method.contains("Dialog")
        };
        match self.browser.heard.iter().find(bad) {
            Some(heard) => Err(format!("the page is in trouble: {heard}").into()),
            None => Ok(()),
        }
    }
}

fn holds(text: &str, parts: &[&str]) -> Result<(), Failed> {
    match parts.iter().find(|part| !text.contains(**part)) {
        Some(part) => Err(format!("{part:?} is missing in {text:?}").into()),
        None => Ok(()),
    }
}

fn same(found: impl AsRef<str>, expected: &str) -> Result<(), Failed> {
    let found = found.as_ref();
    if found == expected { Ok(()) } else { Err(format!("{found:?} is not {expected:?}").into()) }
}

/// Calls whose inputs differ in one byte, one of which fails, an asynchronous call with two completions, and
/// a memory that both sides write.
fn tape() -> Tape {
    let mut script = Script::new();
    let exchange = |script: &mut Script, byte: u8, result: Return| {
        let mut bytes = [0x10; 24];
        bytes[9] = byte;
        let enter = Call { input: Structure::Bytes(Payload::bytes(&bytes)), ..call(5, &[7]) };
        script.operation(1, 1, Body::Call(enter), Body::Return(result));
    };
    exchange(&mut script, 0xaa, success()); // 1, 2
    exchange(&mut script, 0xbb, success()); // 3, 4
    exchange(&mut script, 0xbb, failure(IoReturn::NO_RESOURCES)); // 5, 6
    let enter = Body::AsyncCall { call: call(9, &[]), queue: Some(1), reference: Some(vec![0, 3]) };
    let asked = script.event(2, Some(1), None, enter); // 7
    script.event(2, Some(1), Some(asked), Body::Return(success())); // 8
    for ordinal in [1, 2] {
        let posted = Body::Posted {
            ordinal,
            status: IoReturn::SUCCESS,
            arguments: Scalars::clamped(&[0x77]),
            reference: [0, 3, 0, 0, 0, 0, 0, 0],
        };
        let posted = script.event(0, Some(1), Some(asked), posted); // 9, 11
        script.event(2, Some(1), Some(posted), Body::Delivered { queue: 1, polls: 0 }); // 10, 12
    }
    let outcome = Ok(MappedMemory {
        memory: 1,
        length: 64,
        size: 64,
        capture: Capture::Accessor,
        read_only: false,
    });
    let map = Body::Map { memory_type: 3, options: 1, address: 0 };
    script.operation(1, 1, map, Body::Mapped { outcome }); // 13, 14
    let data = |byte| Payload::bytes(&[byte; 4]);
    let write = Body::Write { memory: 1, offset: 8, width: None, data: data(1) };
    script.event(1, Some(1), None, write); // 15
    let patch = Body::Patch {
        memory: 1,
        offset: 32,
        data: data(2),
        read: 1,
        last_equal: None,
        unattributed: false,
    };
    script.event(1, Some(1), None, patch); // 16
    Tape::new(Header::mock(), script.into_events())
}

fn clicks(page: &mut Page) -> Result<(), Failed> {
    page.show_tape(&tape(), &[])?;
    holds(&page.panel()?, &["Choose an event"])?;
    page.browser.click("[data-row='2']")?;
    let panel = page.panel()?;
    holds(
        &panel,
        &["call 5(0x7)", "#3", "thread 1", "scalar 0", "0x7", "result", "changed since #1"],
    )?;
    // The one byte that is another than in the call before, and no other.
    same(
        page.text("[...document.querySelectorAll('.hex .d')].map((it) => it.textContent).join()")?,
        "bb",
    )?;
    page.browser.click("[data-row='6']")?;
    holds(&page.panel()?, &["async call 9()", "posted #9", "posted #11", "its return #8"])?;
    page.browser.click(".links button:nth-child(2)")?;
    holds(
        &page.panel()?,
        &["completion 1 of selector 9: ok", "0x77", "comes of #7", "delivered #10"],
    )?;
    // The second bar of the first lane.
    let place = page.browser.value(
        "(() => { const box = document.getElementById('timeline').getBoundingClientRect(); \
         return [box.x + timeline.x(3), box.y + timeline.tapes[0].top + TRACK / 2]; })()",
    )?;
    let (x, y) = (place[0].as_f64().unwrap_or(0.0), place[1].as_f64().unwrap_or(0.0));
    page.browser.click_at(x, y)?;
    holds(&page.panel()?, &["#3"])?;
    // The heat map has the two accesses, one of each side.
    same(
        page.text("heat.choices.map((it) => it.name + ' ' + it.count).join()")?,
        "memory 1, type 0x3 2",
    )?;
    let painted = "(() => { const canvas = document.getElementById('heat'); \
         const at = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data; \
         const seen = new Set(); for (let i = 0; i < at.length; i += 4) seen.add(at.slice(i, i + 3).join()); \
         return seen.size > 3; })()";
    page.browser
        .value("new Promise((then) => requestAnimationFrame(() => requestAnimationFrame(then)))")?;
    same(page.text(painted)?, "true")?;
    page.no_errors()
}

fn keyboard(page: &mut Page) -> Result<(), Failed> {
    page.show_tape(&tape(), &[])?;
    let chosen = "String(app.tapes[0].sequence[app.rowA[app.chosen]])";
    for (key, expected) in [
        ("j", "1"),
        ("j", "2"),
        ("k", "1"),
        ("l", "2"),
        ("c", "1"),
        ("n", "6"),
        ("p", "6"),
        ("End", "16"),
        ("Home", "1"),
        ("ArrowDown", "2"),
    ] {
        page.browser.press(key)?;
        same(page.text(chosen)?, expected)
            .map_err(|_| format!("{key} does not lead to {expected}"))?;
    }
    page.browser.press("+")?;
    same(page.text("app.view.to - app.view.from < 1")?, "true")?;
    page.browser.press("0")?;
    same(page.text("app.view.to - app.view.from")?, "1")?;
    page.browser.press("o")?;
    same(page.text("app.axis")?, "time")?;
    page.browser.press("?")?;
    same(page.text("document.getElementById('keys').hidden")?, "false")?;
    page.browser.press("Escape")?;
    same(page.text("document.getElementById('keys').hidden")?, "true")?;
    // Everything that can be clicked can be reached, and the list says which row is chosen.
    same(page.text("document.querySelectorAll('button:not([type])').length")?, "0")?;
    same(
        page.text("document.getElementById('list').getAttribute('aria-activedescendant')")?,
        "row1",
    )?;
    page.no_errors()
}

fn searches(page: &mut Page) -> Result<(), Failed> {
    page.show_tape(&tape(), &[])?;
    for (query, expected) in [
        ("noresources", "6"),
        ("failed", "6"),
        ("#9", "9"),
        ("sel:9 kind:posted", "9,11"),
        ("lane:2 -kind:delivered", "7,8"),
        ("hex:10bb10", "3,5"),
        ("hex:10 bb sel:5", "3,5"),
        ("0x77 completion 2", "11"),
        ("PATCH", "16"),
    ] {
        same(page.search(query)?, expected)
            .map_err(|error| format!("{query}: {}", error.message().unwrap_or_default()))?;
    }
    holds(&page.text("document.getElementById('found').value")?, &["1 of 16 · ", " ms"])?;
    page.browser.press("Enter")?;
    holds(&page.panel()?, &["patch memory 1+0x20"])?;
    same(page.search("no such thing")?, "").or_else(|_| {
        // The box with the notice is no row.
        holds(&page.text("document.getElementById('rows').innerText")?, &["Nothing fits"])
    })?;
    page.browser.press("Escape")?;
    same(page.text("app.shown.length")?, "16")?;
    // A kind that is switched off.
    page.browser.click("#kinds button")?;
    same(page.text("app.shown.length")?, "10")?;
    page.no_errors()
}

/// Few values in long runs, where a search by what is rare finds nothing to hold on to, beside payloads in
/// which one byte is rare. Lengths from nothing on: what stands at an end must not run into the next.
fn plain_search(page: &mut Page) -> Result<(), Failed> {
    let mut script = Script::new();
    for number in 0..400_usize {
        let bytes: Vec<u8> = (0..number % 97)
            .map(|at| match number % 3 {
                0 => 0,
                1 => u8::from((at * at + number) % 7 < 3),
                _ => (at * 31 + number * 7) as u8,
            })
            .collect();
        let enter = Call { input: Structure::Bytes(Payload::bytes(&bytes)), ..call(5, &[]) };
        script.operation(1, 1, Body::Call(enter), Body::Return(success()));
    }
    page.show_tape(&Tape::new(Header::mock(), script.into_events()), &[])?;
    let compared = "(() => { \
        const told = []; for (let at = 0; at < app.payloads.length / 3; at++) told.push(String.fromCharCode(...payload(at).bytes)); \
        let state = 1, rare = 0, common = 0, found = 0; \
        const random = (below) => (state = (state * 48271) % 2147483647) % below; \
        for (let round = 0; round < 3000; round++) { \
          const from = app.payloads[random(told.length) * 3] + random(60), length = 1 + random(round % 5 ? 12 : 60); \
          const wanted = app.bytes.slice(from, from + length); \
          if (!wanted.length) continue; \
          if (round % 2) wanted[random(wanted.length)] ^= 1 << random(8); \
          const least = Math.min(...[...wanted].map((byte) => app.byteCounts[byte])); \
          if (least * Math.max(64, wanted.length) <= app.bytes.length) rare++; else common++; \
          const text = String.fromCharCode(...wanted), hits = payloadsWith(wanted); \
          for (let at = 0; at < told.length; at++) { \
            if (hits[at] !== +told[at].includes(text)) return `payload ${at}, ${[...wanted]}`; \
            found += hits[at]; } } \
        for (const word of ['5', '0x', 'input', 'nothing', 'e', ' ', '\u{2026}', 'ok']) { \
          const hits = textsWith(word); \
          for (let at = 0; at < hits.length; at++) if (hits[at] !== +app.texts[at].toLowerCase().includes(word)) return `text ${at}, ${word}`; } \
        return rare > 500 && common > 500 && found > 10000 ? 'the same' : `too little: ${[rare, common, found]}`; })()";
    same(page.text(compared)?, "the same")?;
    // Longer than anything: no table is made for it.
    same(page.search(&format!("hex:{}", "00".repeat(4096)))?, "").or_else(|_| {
        holds(&page.text("document.getElementById('rows').innerText")?, &["Nothing fits"])
    })?;
    page.no_errors()
}

fn marks(page: &mut Page) -> Result<(), Failed> {
    let mut tape = tape();
    tape.header_mut().provenance = vec!["faults: call 5 #3: error NoResources".to_owned()];
    let text = "the client wrote <b>other</b> bytes".to_owned();
    page.show_tape(&tape, &[Mark { sequence: 15, kind: MarkKind::Divergence, text }])?;
    same(
        page.text("[...document.querySelectorAll('.badge')].map((it) => it.textContent).join()")?,
        "fault,divergence",
    )?;
    page.browser.click("[data-row='14']")?;
    holds(&page.panel()?, &["the client wrote <b>other</b> bytes"])?;
    page.browser.click("[data-row='4']")?;
    holds(&page.panel()?, &["planned fault: call 5 #3: error NoResources", "failed"])?;
    page.no_errors()
}

fn two_tapes(page: &mut Page) -> Result<(), Failed> {
    let (a, b) = (tape(), tape());
    let mut events = b.events().to_vec();
    if let Body::Call(call) = &mut events[2].body {
        let mut bytes = [0x10; 24];
        bytes[9..11].copy_from_slice(&[0xbb, 0x44]);
        call.input = Structure::Bytes(Payload::bytes(&bytes));
    }
    events.truncate(15);
    let b = Tape::new(b.header().clone(), events);
    let found = diff(&a, &b, DiffOptions::default(), &Hex)?;
    let html = diff_page(&found, (&a, "a.tape.jsonl"), (&b, "b.tape.jsonl"), &Hex)?;
    page.show(&html)?;
    holds(&page.text("document.getElementById('facts').innerText")?, &["1 changed", "1 removed"])?;
    page.browser.press("n")?;
    holds(&page.panel()?, &["WHAT DIFFERS", "input 0x8", "10 bb 10 10", "10 bb 44 10"])?;
    same(
        page.text(
            "[...document.querySelectorAll('.hex.b .d')].map((it) => it.textContent).join()",
        )?,
        "44",
    )?;
    page.browser.press("d")?;
    same(page.text("document.querySelectorAll('.row').length")?, "2")?;
    same(page.text("document.querySelectorAll('.half.b.none').length")?, "1")?;
    same(page.text("timeline.tapes.length")?, "2")?;
    page.no_errors()
}

fn themes(page: &mut Page) -> Result<(), Failed> {
    let luminance = "(() => { const [r, g, b] = getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number); \
         return r + g + b < 200 ? 'dark' : 'light'; })()";
    page.browser.prefer("dark")?;
    page.show_tape(&tape(), &[])?;
    same(page.text(luminance)?, "dark")?;
    page.browser.click("#theme")?;
    same(page.text(luminance)?, "light")?;
    page.browser.press("t")?;
    same(page.text(luminance)?, "dark")?;
    page.browser.prefer("light")?;
    page.show_tape(&tape(), &[])?;
    same(page.text(luminance)?, "light")?;
    // Text stands out from what it is on, in both.
    let contrast = "(() => { const channel = (it) => { it /= 255; return it <= 0.03928 ? it / 12.92 : ((it + 0.055) / 1.055) ** 2.4; }; \
         const light = (color) => { const [r, g, b] = color.match(/[\\d.]+/g).map((it) => channel(+it)); return 0.2126 * r + 0.7152 * g + 0.0722 * b; }; \
         const style = getComputedStyle(document.documentElement), probe = document.createElement('i'); document.body.append(probe); \
         const read = (name) => { probe.style.color = `var(--${name})`; return light(getComputedStyle(probe).color); }; \
         const pairs = [['ink', 'surface'], ['ink-2', 'surface'], ['ink-3', 'surface'], ['ink-3', 'bg'], ['bad', 'surface'], ['add-ink', 'add'], ['del-ink', 'del'], ['mod-ink', 'mod'], ['move-ink', 'move']]; \
         const worst = pairs.map(([one, other]) => { const [a, b] = [read(one), read(other)].sort((x, y) => y - x); return [(a + 0.05) / (b + 0.05), one, other]; }).sort((x, y) => x[0] - y[0])[0]; \
         probe.remove(); return worst[0] >= 4.5 ? 'readable' : worst.join(); })()";
    same(page.text(contrast)?, "readable")?;
    page.browser.press("t")?;
    same(page.text(contrast)?, "readable")?;
    page.no_errors()
}

fn hostile(page: &mut Page) -> Result<(), Failed> {
    let evil = "</script><img src=x onerror=alert(1)><script>alert(2)</script>\u{202e}\u{2066}\u{1b}[2J<!--";
    let mut tape = every_kind();
    tape.header_mut().recorder = evil.to_owned();
    tape.header_mut().provenance = vec![evil.to_owned()];
    for event in tape.events_mut() {
        match &mut event.body {
            Body::Gap { reason, .. } => *reason = evil.to_owned(),
            Body::Property { key, .. } => *key = Some(evil.to_owned()),
            _ => {}
        }
    }
    let text = evil.to_owned();
    let mark = Mark { sequence: 1, kind: MarkKind::Divergence, text };
    let html = page_of(&tape, evil, &[mark])?;
    if html.contains("onerror") || html.contains('\u{202e}') {
        return Err("what the tape says stands in the page as it is".into());
    }
    page.show(&html)?;
    same(page.text("document.images.length + ' ' + document.scripts.length")?, "0 2")?;
    for query in ["onerror", "failed", ""] {
        page.search(query)?;
        page.browser.press("Enter")?;
        let body = page.text("document.body.innerText + document.title")?;
        if body.chars().any(|char| matches!(char, '\u{202e}' | '\u{2066}' | '\u{1b}')) {
            return Err("a text turns the direction of writing".into());
        }
        holds(&body, &["<img src=x onerror=alert(1)>", "\\u{202e}"])?;
    }
    let asked: Vec<_> = page
        .browser
        .heard
        .iter()
        .filter(|heard| heard["method"] == "Network.requestWillBeSent")
        .filter_map(|heard| heard["params"]["request"]["url"].as_str())
        .collect();
    // The page itself, and what is unpacked in it.
    if asked.len() > 2
        || asked.iter().any(|url| !url.starts_with("file:") && !url.starts_with("blob:"))
    {
        return Err(format!("the page asks for {asked:?}").into());
    }
    page.no_errors()
}

fn page_of(tape: &Tape, called: &str, marks: &[Mark]) -> Result<String, Failed> {
    Ok(page(tape, called, marks, &Hex)?)
}

fn long_tape(page: &mut Page) -> Result<(), Failed> {
    let mut script = Script::new();
    for number in 0..5000_u64 {
        let enter = Body::Call(call((number % 7) as u32, &[number]));
        script.operation(1 + (number % 3) as u32, 1, enter, Body::Return(success()));
    }
    let tape = Tape::new(Header::mock(), script.into_events());
    page.show_tape(&tape, &[])?;
    let few = "document.querySelectorAll('.row').length < 80";
    same(page.text(few)?, "true")?;
    page.browser.press("End")?;
    same(page.text("app.tapes[0].sequence[app.rowA[app.chosen]]")?, "10000")?;
    holds(&page.rows()?, &["9999,10000"])?;
    same(page.text(few)?, "true")?;
    // A tape without memory has no heat map, and its list the room; rows fill it from the beginning.
    page.show_tape(&tape, &[])?;
    page.browser
        .value("new Promise((then) => requestAnimationFrame(() => requestAnimationFrame(then)))")?;
    let filled = "(() => { const { clientHeight } = list.box; return clientHeight > innerHeight / 2 \
         && document.querySelectorAll('.row').length * ROW >= clientHeight; })()";
    same(page.text(filled)?, "true")?;
    same(page.search("0x1387")?, "9999")?;
    page.no_errors()
}
