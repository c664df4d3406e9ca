//! The examiner's own search: every place is decoded in every way, what follows upon each other is put
//! together, and the value itself is looked for in all of it. Slow and plain on purpose.

use super::secret::Secret;
use aho_corasick::AhoCorasick;
use dextape::call::Scalars;
use dextape::registry::{Matching, Value};
use dextape::tape::{
    Body, Call, Event, Header, OtherCall, Payload, Pointed, Return, Structure, Tape,
};
use std::collections::BTreeMap;

/// What is looked for: the values in the few forms that no decoding leads to.
#[derive(Debug)]
pub(crate) struct Search {
    automaton: AhoCorasick,
    /// The secret of each needle.
    of: Vec<usize>,
}

impl Search {
    pub(crate) fn new(secrets: &[Secret]) -> Self {
        let mut needles: Vec<Vec<u8>> = Vec::new();
        let mut of = Vec::new();
        for (index, secret) in secrets.iter().enumerate() {
            let mut add = |bytes: Vec<u8>| {
                needles.push(bytes);
                of.push(index);
            };
            if let Some(text) = &secret.text {
                add(text.as_bytes().to_vec());
                add(text.to_lowercase().into_bytes());
            }
            if let Some(bytes) = &secret.binary {
                add(bytes.clone());
                if let Ok([a, b, c, d, e, f, g, h, rest @ ..]) = <[u8; 16]>::try_from(&bytes[..]) {
                    add([&[d, c, b, a, f, e, h, g][..], &rest].concat());
                }
            }
            if let Some(number) = secret.number {
                add(number.to_le_bytes().to_vec());
                add(format!("{number:x}").into_bytes());
                add(format!("{number:X}").into_bytes());
                if let Ok(small) = u32::try_from(number) {
                    add(small.to_le_bytes().to_vec());
                    add(small.to_be_bytes().to_vec());
                }
            }
        }
        Self { automaton: AhoCorasick::new(&needles).expect("the needles are few"), of }
    }

    /// Adds the secrets that stand in these bytes, in whatever form.
    pub(crate) fn look(&self, bytes: &[u8], found: &mut Vec<usize>) {
        let mut direct = |view: &[u8]| {
            for hit in self.automaton.find_overlapping_iter(view) {
                let secret = self.of[hit.pattern().as_usize()];
                if !found.contains(&secret) {
                    found.push(secret);
                }
            }
        };
        direct(bytes);
        let reversed: Vec<u8> = bytes.iter().rev().copied().collect();
        direct(&reversed);
        for word in [2, 4, 8] {
            for first in 0..word.min(bytes.len()) {
                let mut view = bytes.to_vec();
                view[first..].chunks_mut(word).for_each(<[u8]>::reverse);
                direct(&view);
            }
        }
        for first in [0, 1] {
            for big in [false, true] {
                let Some(rest) = bytes.get(first..) else { continue };
                let units = rest.chunks_exact(2).map(|pair| match big {
                    true => u16::from_be_bytes([pair[0], pair[1]]),
                    false => u16::from_le_bytes([pair[0], pair[1]]),
                });
                let text: String = char::decode_utf16(units)
                    .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
                    .collect();
                direct(text.as_bytes());
                hex_views(text.as_bytes(), &mut direct);
            }
        }
        hex_views(bytes, &mut direct);
        base64_views(bytes, &mut direct);
    }
}

fn nibble(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

/// What pairs of hexadecimal digits stand for, whatever single marks stand between them.
fn hex_views(bytes: &[u8], look: &mut impl FnMut(&[u8])) {
    let marks = [b':', b'-', b' '];
    let bare: Vec<u8> = bytes.iter().filter(|byte| !marks.contains(byte)).copied().collect();
    for run in bare.split(|byte| nibble(*byte).is_none()).filter(|run| run.len() >= 8) {
        for first in [0, 1] {
            let pairs = run[first..].chunks_exact(2);
            let decoded: Option<Vec<u8>> =
                pairs.map(|pair| Some(nibble(pair[0])? << 4 | nibble(pair[1])?)).collect();
            look(&decoded.unwrap_or_default());
        }
    }
}

fn six_bits(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

/// What base64 stands for, wherever a group of four begins.
fn base64_views(bytes: &[u8], look: &mut impl FnMut(&[u8])) {
    for run in bytes.split(|byte| six_bits(*byte).is_none()).filter(|run| run.len() >= 6) {
        for first in 0..4 {
            let mut decoded = Vec::new();
            for group in run[first..].chunks(4) {
                let mut word = 0_u32;
                for index in 0..4 {
                    let bits = group.get(index).and_then(|byte| six_bits(*byte)).unwrap_or(0);
                    word = word << 6 | u32::from(bits);
                }
                decoded.extend(&word.to_be_bytes()[1..]);
            }
            look(&decoded);
        }
    }
}

/// Numbers one behind the other, in every width and order of bytes.
pub(crate) fn of_numbers(numbers: &[u64]) -> Vec<Vec<u8>> {
    let mut streams = Vec::new();
    for width in [1, 2, 4, 8] {
        let little = |number: &u64| number.to_le_bytes()[..width].to_vec();
        let big = |number: &u64| number.to_be_bytes()[8 - width..].to_vec();
        streams.push(numbers.iter().flat_map(little).collect());
        streams.push(numbers.iter().flat_map(big).collect());
    }
    streams
}

/// Everything in a registry value: texts and data as bytes, numbers as they are.
pub(crate) fn of_value(value: &Value, bytes: &mut Vec<Vec<u8>>, numbers: &mut Vec<u64>) {
    match value {
        Value::String(text) => bytes.push(text.as_bytes().to_vec()),
        Value::Data(data) => bytes.push(data.clone()),
        Value::Number(number) => numbers.push(*number),
        Value::Array(values) => values.iter().for_each(|value| of_value(value, bytes, numbers)),
        Value::Dictionary(entries) => {
            for (key, value) in entries {
                bytes.push(key.as_bytes().to_vec());
                of_value(value, bytes, numbers);
            }
        }
        _ => {}
    }
}

/// The streams of a tape: what follows upon each other, by what it is.
#[derive(Debug, Default)]
struct Streams {
    bytes: BTreeMap<String, Vec<u8>>,
    numbers: BTreeMap<String, Vec<u64>>,
    /// What each memory held at the end, range by range.
    memories: BTreeMap<(&'static str, u32), BTreeMap<u64, u8>>,
    single: Vec<Vec<u8>>,
}

impl Streams {
    fn bytes(&mut self, name: String, bytes: &[u8]) {
        self.single.push(bytes.to_vec());
        self.bytes.entry(name).or_default().extend(bytes);
    }

    fn numbers(&mut self, name: &str, numbers: &[u64]) {
        self.single.extend(of_numbers(numbers));
        for (index, number) in numbers.iter().enumerate() {
            self.numbers.entry(format!("{name} {index}")).or_default().push(*number);
        }
        self.numbers.entry(name.to_owned()).or_default().extend(numbers);
    }

    fn memory(&mut self, what: &'static str, memory: u32, offset: u64, bytes: &[u8]) {
        self.bytes(format!("{what} {memory}"), bytes);
        self.bytes(format!("{what} {memory} at {offset:#x}"), bytes);
        let image = self.memories.entry((what, memory)).or_default();
        image.extend(bytes.iter().enumerate().map(|(at, byte)| (offset + at as u64, *byte)));
    }

    fn value(&mut self, name: &str, value: &Value) {
        let (mut bytes, mut numbers) = (Vec::new(), Vec::new());
        of_value(value, &mut bytes, &mut numbers);
        bytes.iter().for_each(|bytes| self.bytes(name.to_owned(), bytes));
        self.numbers(name, &numbers);
    }

    fn call(&mut self, connection: u32, call: &Call) {
        let name = format!("connection {connection} selector {}", call.selector);
        self.numbers(&format!("{name} scalars in"), &call.scalars);
        if let Structure::Bytes(data) | Structure::Shared { data, .. } = &call.input {
            self.bytes(format!("{name} in"), data.as_bytes().unwrap_or_default());
        }
    }

    fn event(&mut self, event: &Event, selector: Option<u32>) {
        let connection = event.connection.unwrap_or(0);
        if let Ok(pointed) = Pointed::of(event) {
            pointed.iter().for_each(|one| self.bytes("pointed".to_owned(), &one.data));
        }
        for (key, value) in &event.extra {
            self.bytes("extra".to_owned(), key.as_bytes());
            json(value, &mut |text| self.bytes("extra".to_owned(), text.as_bytes()));
        }
        match &event.body {
            Body::Call(call) => self.call(connection, call),
            Body::AsyncCall { call, reference, .. } => {
                self.call(connection, call);
                self.numbers("reference in", reference.as_deref().unwrap_or_default());
            }
            Body::Return(Return { scalars, structure, .. }) => {
                let name = format!("connection {connection} selector {selector:?}");
                self.numbers(&format!("{name} scalars out"), scalars);
                let data = structure.as_ref().and_then(|data| data.as_bytes());
                self.bytes(format!("{name} out"), data.unwrap_or_default());
            }
            Body::Posted { arguments, reference, .. } => {
                let name = format!("connection {connection} selector {selector:?} completions");
                self.numbers(&name, arguments);
                self.numbers("reference", reference);
            }
            Body::Patch { memory, offset, data, .. } => {
                self.memory("patch", *memory, *offset, data.as_bytes().unwrap_or_default());
            }
            Body::Write { memory, offset, data, .. } => {
                self.memory("write", *memory, *offset, data.as_bytes().unwrap_or_default());
            }
            Body::Keyframe(keyframe) => {
                for memory in &keyframe.memories {
                    for (offset, data) in &memory.shadow {
                        let data = data.as_bytes().unwrap_or_default();
                        self.memory("keyframe", memory.memory, *offset, data);
                    }
                }
            }
            Body::Property { key, outcome: Ok(Some(value)), .. } => {
                self.bytes("key".to_owned(), key.as_deref().unwrap_or_default().as_bytes());
                self.value(&format!("property {key:?}"), value);
            }
            Body::OtherCall(OtherCall::SetProperties { properties: Some(value) }) => {
                self.value("set properties", value);
            }
            Body::OtherCall(OtherCall::Trap { index, arguments }) => {
                self.numbers(&format!("trap {index}"), arguments);
            }
            Body::Matched { matching, .. } | Body::Watch { matching, .. } => {
                for (key, value) in matching.conditions() {
                    self.bytes("matching".to_owned(), key.as_bytes());
                    self.value("matching", value);
                }
            }
            Body::Gap { reason, .. } | Body::Note { reason, .. } => {
                self.bytes("reason".to_owned(), reason.as_bytes());
            }
            _ => {}
        }
    }
}

fn json(value: &serde_json::Value, visit: &mut impl FnMut(&str)) {
    match value {
        serde_json::Value::String(text) => visit(text),
        serde_json::Value::Array(values) => values.iter().for_each(|value| json(value, visit)),
        serde_json::Value::Object(entries) => {
            for (key, value) in entries {
                visit(key);
                json(value, visit);
            }
        }
        serde_json::Value::Number(number) => visit(&number.to_string()),
        _ => {}
    }
}

/// The secrets that the format itself writes, read in one of the ways of this search: those that stand on a tape with
/// these events of which everything was taken out that a recording puts there, bytes, numbers and texts. A search of the
/// whole tape says nothing of them, and each place where one was planted is examined like any other.
pub(crate) fn of_the_format(tape: &Tape, search: &Search) -> Vec<usize> {
    let events = tape.events().iter().map(without_data).collect();
    let Header { recorder, seed, .. } = tape.header().clone();
    search_tape(&Tape::new(Header { recorder, seed, ..Header::mock() }, events), search)
}

/// What the format says of an event: its kind, its places, its lengths.
fn without_data(event: &Event) -> Event {
    let mut event = event.clone();
    event.extra.clear();
    match &mut event.body {
        Body::Call(call) | Body::AsyncCall { call, .. } => {
            zero(&mut call.scalars);
        }
        Body::Return(returned) => {
            zero(&mut returned.scalars);
        }
        Body::Posted { arguments, reference, .. } => {
            zero(arguments);
            *reference = [0; 8];
        }
        Body::Patch { data, .. } | Body::Write { data, .. } => {
            *data = Payload::bytes(&vec![0; data.length() as usize]);
        }
        Body::Keyframe(keyframe) => {
            keyframe.memories.iter_mut().for_each(|memory| memory.shadow.clear());
        }
        Body::Property { key, outcome, .. } => {
            *key = None;
            *outcome = Ok(None);
        }
        Body::OtherCall(OtherCall::SetProperties { properties }) => *properties = None,
        Body::OtherCall(OtherCall::Trap { arguments, .. }) => zero(arguments),
        Body::Matched { matching, .. } | Body::Watch { matching, .. } => {
            *matching = Matching::service("");
        }
        Body::Gap { reason, .. } | Body::Note { reason, .. } => reason.clear(),
        Body::Unknown { kind } => kind.clear(),
        _ => {}
    }
    if let Body::AsyncCall { reference: Some(reference), .. } = &mut event.body {
        reference.fill(0);
    }
    let zeroes = |data: &Payload| Payload::bytes(&vec![0; data.length() as usize]);
    match &mut event.body {
        Body::Call(call) | Body::AsyncCall { call, .. } => match &mut call.input {
            Structure::Bytes(data) | Structure::Shared { data, .. } => *data = zeroes(data),
            _ => {}
        },
        Body::Return(Return { structure: Some(data), .. }) => *data = zeroes(data),
        _ => {}
    }
    event
}

fn zero(scalars: &mut Scalars) {
    *scalars = Scalars::clamped(&vec![0; scalars.len()]);
}

/// The secrets that a tape holds: in its events, in what follows upon each other, and in its text.
pub(crate) fn search_tape(tape: &Tape, search: &Search) -> Vec<usize> {
    let mut streams = Streams::default();
    let mut selectors = BTreeMap::new();
    for event in tape.events() {
        if let Body::Call(call) | Body::AsyncCall { call, .. } = &event.body {
            selectors.insert(event.sequence, call.selector);
        }
        let selector = event.cause.and_then(|cause| selectors.get(&cause)).copied();
        streams.event(event, selector);
    }
    let mut found = Vec::new();
    streams.single.iter().for_each(|bytes| search.look(bytes, &mut found));
    streams.bytes.values().for_each(|bytes| search.look(bytes, &mut found));
    for numbers in streams.numbers.values() {
        of_numbers(numbers).iter().for_each(|bytes| search.look(bytes, &mut found));
    }
    for image in streams.memories.values() {
        let mut run = vec![0_u8];
        let mut next = None;
        for (offset, byte) in image {
            // Bytes that were never anything but zero are in no patch.
            match next.map(|next| offset - next) {
                Some(hole @ 1..=32) => run.extend((0..hole).map(|_| 0)),
                Some(33..) => {
                    run.push(0);
                    search.look(&run, &mut found);
                    run = vec![0];
                }
                _ => {}
            }
            run.push(*byte);
            next = Some(offset + 1);
        }
        run.push(0);
        search.look(&run, &mut found);
    }
    // The text as it stands in the file: the header, and whatever the events above were not asked for.
    let text = tape.write_to(Vec::new()).expect("the tape is written");
    for line in text.split(|byte| *byte == b'\n') {
        search.look(line, &mut found);
        if let Ok(value) = serde_json::from_slice(line) {
            json(&value, &mut |text| search.look(text.as_bytes(), &mut found));
        }
    }
    found.sort_unstable();
    found
}
