//! The places in which a value is planted, and the steps that do it.

use super::plant::{Part, Piece, ScalarPlace};
use super::secret::{Form, Secret, between, noise, pick};
use super::story::{BUFFER, BUFFER_SIZE, OTHER_SELECTORS, REGISTERS, Step, Story};
use dextape::call::Scalars;
use dextape::registry::{Matching, Value};
use dextape::schedule::Generator;
use dextape::tape::sample::call;
use dextape::tape::{
    Body, Call, Field, Header, Keyframe, KeyframeMemory, NoteSubject, OtherCall, Payload, Pointed,
    Scenario, ServiceIdentity, Structure,
};
use std::collections::BTreeMap;

pub(crate) fn piece(event: usize, part: Part, from: usize, length: usize) -> Piece {
    Piece { event, part, range: from..from + length }
}

pub(crate) fn structure(selector: u32, bytes: &[u8]) -> Call {
    Call { input: Structure::Bytes(Payload::bytes(bytes)), ..call(selector, &[]) }
}

/// The form in the midst of other bytes, and where it begins.
fn embedded(random: &mut Generator, bytes: &[u8]) -> (Vec<u8>, usize) {
    let far = random.below(8) == 0;
    let before = between(random, 0, if far { 400 } else { 24 });
    let behind = between(random, 0, 24);
    let mut all = noise(random, before);
    // Characters that the form could go on with would make it another one.
    if let Some(last) = all.last_mut() {
        *last = 0xff;
    }
    all.extend(bytes);
    all.push(0xff);
    all.extend(noise(random, behind));
    (all, before)
}

/// Cuts bytes into pieces: of one width, or at random.
fn cut(random: &mut Generator, bytes: &[u8]) -> Vec<Vec<u8>> {
    let widths = [1, 2, 3, 4, 5, 8];
    let width = *pick(random, &widths);
    if random.below(2) == 0 || bytes.len() < 4 {
        return bytes.chunks(width).map(<[u8]>::to_vec).collect();
    }
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let length = between(random, 1, (rest.len() as u64).min(12));
        pieces.push(rest[..length].to_vec());
        rest = &rest[length..];
    }
    pieces
}

/// Scalars that hold bytes: words of `width` bytes, in either order, the last one filled up.
fn words(bytes: &[u8], width: usize, big: bool) -> Vec<u64> {
    let word = |chunk: &[u8]| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        if big {
            word[..width].reverse()
        };
        u64::from_le_bytes(word)
    };
    bytes.chunks(width).map(word).collect()
}

/// The pieces of bytes that stand in scalars, in the order of the bytes.
fn scalar_pieces(
    event: impl Fn(usize) -> (usize, usize),
    place: ScalarPlace,
    length: usize,
    width: usize,
    big: bool,
) -> Vec<Piece> {
    (0..length.div_ceil(width))
        .map(|word| {
            let (event, index) = event(word);
            let part = Part::Scalar { place, index, width, big };
            piece(event, part, 0, width.min(length - word * width))
        })
        .collect()
}

/// All that a plant needs: its place in words, and the steps that plant it.
pub(crate) struct Planned {
    pub(crate) place: &'static str,
    pub(crate) steps: Vec<Step>,
}

/// What the header of the tape gets.
#[derive(Debug, Default)]
pub(crate) struct HeaderTexts {
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) provenance: Vec<String>,
    pub(crate) name: Option<String>,
    pub(crate) extra: BTreeMap<String, serde_json::Value>,
}

pub(crate) fn one(
    place: &'static str,
    step: impl FnOnce(&mut Story) -> Vec<Piece> + 'static,
) -> Planned {
    Planned { place, steps: vec![Box::new(step)] }
}

/// A text in which the value stands, as a person or a program would write it.
fn sentence(random: &mut Generator, secret: &Secret, form: &Form) -> String {
    let text = String::from_utf8_lossy(&form.bytes).into_owned();
    if secret.kind == super::secret::Kind::User && random.below(2) == 0 {
        return format!("/Users/{text}/Library/Logs/tool.log");
    }
    let before = ["", "serial: ", "seen on ", "<<", "unit \""];
    let behind = ["", " was here", ">>", "\"", ", again"];
    format!("{}{text}{}", pick(random, &before), pick(random, &behind))
}

/// Places for values that are characters.
fn in_text(random: &mut Generator, header: &mut HeaderTexts, text: String) -> Planned {
    match random.below(10) {
        0 => {
            let key = format!("parameter{}", header.parameters.len());
            header.parameters.insert(key, text);
            Planned { place: "header, parameter of the scenario", steps: Vec::new() }
        }
        1 => {
            header.provenance.push(text);
            Planned { place: "header, provenance", steps: Vec::new() }
        }
        2 if header.name.is_none() => {
            header.name = Some(text);
            Planned { place: "header, name of a service", steps: Vec::new() }
        }
        3 => {
            let value = serde_json::json!({ "note": [text] });
            header.extra.insert(format!("x-extra{}", header.extra.len()), value);
            Planned { place: "header, unknown field", steps: Vec::new() }
        }
        4 => one("unknown field of an event", move |story| {
            let index = story.call(call(OTHER_SELECTORS, &[]), &[], None);
            story.extras.push((index, "x-text".to_owned(), serde_json::json!({ "of": text })));
            Vec::new()
        }),
        5 => one("note", move |story| {
            let subject = NoteSubject::Trigger;
            story.event(None, None, Body::Note { subject, memory: None, reason: text });
            Vec::new()
        }),
        6 => one("reason of a gap", move |story| {
            story.event(None, None, Body::Gap { events: None, reason: text });
            Vec::new()
        }),
        7 => one("matching dictionary", move |story| {
            let matching = Matching::service("IOUserService").property("Serial", text.as_str());
            story.event(None, None, Body::Matched { matching, outcome: Ok(Vec::new()) });
            Vec::new()
        }),
        8 => one("key of a property", move |story| {
            let key = Some(text);
            story.event(None, None, Body::Property { service: 1, key, outcome: Ok(None) });
            Vec::new()
        }),
        _ => one("unknown kind of event", move |story| {
            let index = story.events;
            story.event(None, None, Body::Unknown { kind: "x-kind".to_owned() });
            story.extras.push((index, "x-text".to_owned(), serde_json::json!(text)));
            Vec::new()
        }),
    }
}

/// A registry value with the form in it, and the bytes that stand before the form.
fn registry_value(random: &mut Generator, form: &Form) -> (Value, usize) {
    let as_text = form.is_text && random.below(3) > 0;
    let (value, mut before) = if as_text {
        (Value::String(String::from_utf8_lossy(&form.bytes).into_owned()), 0)
    } else {
        let (bytes, before) = embedded(random, &form.bytes);
        (Value::Data(bytes), before)
    };
    let value = match random.below(4) {
        0 => {
            before += "b".len() + "a".len() + "first".len();
            let entries = [("a".to_owned(), "first".into()), ("b".to_owned(), value)];
            Value::Dictionary(entries.into())
        }
        1 => {
            before += "one".len();
            Value::Array(vec!["one".into(), Value::Boolean(true), value])
        }
        _ => value,
    };
    (value, before)
}

/// Places for values that are bytes and stand there whole.
fn whole(random: &mut Generator, form: &Form, number: u32) -> Planned {
    let length = form.bytes.len();
    let (bytes, before) = embedded(random, &form.bytes);
    let region = u64::from(number) * 1024;
    match random.below(9) {
        0 => one("structure handed in", move |story| {
            let index = story.call(structure(number, &bytes), &[], None);
            vec![piece(index, Part::Input, before, length)]
        }),
        1 => one("structure returned", move |story| {
            let index = story.call(call(number, &[]), &[], Some(&bytes));
            vec![piece(index + 1, Part::Output, before, length)]
        }),
        2 => one("mapped memory, patch", move |story| {
            let index = story.patch(BUFFER, region, &bytes);
            vec![piece(index, Part::Memory, before, length)]
        }),
        3 => one("mapped memory, write", move |story| {
            let index = story.write(region, &bytes);
            vec![piece(index, Part::Memory, before, length)]
        }),
        4 | 5 => {
            let (value, before) = registry_value(random, form);
            one("property", move |story| {
                let (key, outcome) = (Some("Thing".to_owned()), Ok(Some(value)));
                let index = story.events;
                story.event(None, None, Body::Property { service: 1, key, outcome });
                vec![piece(index, Part::Value, before, length)]
            })
        }
        6 => {
            let (value, before) = registry_value(random, form);
            let value = Value::Dictionary([("Set".to_owned(), value)].into());
            one("properties that are set", move |story| {
                let index = story.events;
                let set = OtherCall::SetProperties { properties: Some(value) };
                let set = story.event(Some(1), None, Body::OtherCall(set));
                story.event(Some(1), Some(set), Body::OtherReturn { outcome: Ok(None) });
                vec![piece(index, Part::Value, before + "Set".len(), length)]
            })
        }
        7 => one("what a pointer leads to", move |story| {
            let index = story.call(call(number, &[0x1000]), &[], None);
            let pointed = [Pointed { field: Field::ScalarInput(0), data: bytes }];
            story.extras.push((index, Pointed::KEY.to_owned(), Pointed::to_json(&pointed)));
            Vec::new()
        }),
        _ => one("keyframe", move |story| {
            let memory = KeyframeMemory {
                memory: BUFFER,
                connection: Some(1),
                memory_type: BUFFER,
                length: BUFFER_SIZE,
                shadow: vec![(region, Payload::bytes(&bytes))],
            };
            let keyframe = Keyframe {
                connections: vec![(1, 1)],
                memories: vec![memory],
                queues: vec![1],
                ..Keyframe::default()
            };
            story.event(None, None, Body::Keyframe(keyframe));
            Vec::new()
        }),
    }
}

/// Places for values in the scalars of one event.
fn in_scalars(random: &mut Generator, form: &Form, number: u32) -> Option<Planned> {
    let (width, big) = (*pick(random, &[1, 2, 4, 8]), random.below(2) == 0);
    let values = words(&form.bytes, width, big);
    let length = form.bytes.len();
    let pieces = move |event: usize, first: usize, place| {
        scalar_pieces(move |word| (event, first + word), place, length, width, big)
    };
    match random.below(5) {
        0 if values.len() <= 16 => Some(one("scalars handed in", move |story| {
            let index = story.call(call(number, &values), &[], None);
            pieces(index, 0, ScalarPlace::In)
        })),
        1 if values.len() <= 16 => Some(one("scalars returned", move |story| {
            let index = story.call(call(number, &[]), &values, None);
            pieces(index + 1, 0, ScalarPlace::Out)
        })),
        2 if values.len() <= 16 => Some(one("arguments of a completion", move |story| {
            let index = story.async_call(number, [0; 8], &values);
            pieces(index + 2, 0, ScalarPlace::Completion)
        })),
        3 if values.len() <= 6 => Some(one("arguments of a trap", move |story| {
            let index = story.events;
            let arguments = Scalars::clamped(&values);
            let trap = OtherCall::Trap { index: 1, arguments };
            let trap = story.event(Some(1), None, Body::OtherCall(trap));
            story.event(Some(1), Some(trap), Body::OtherReturn { outcome: Ok(None) });
            pieces(index, 0, ScalarPlace::Trap)
        })),
        4 if values.len() <= 5 => Some(one("asynchronous reference", move |story| {
            let mut reference = [0; 8];
            reference[3..3 + values.len()].copy_from_slice(&values);
            let index = story.async_call(number, reference, &[]);
            pieces(index, 3, ScalarPlace::Reference)
        })),
        _ => None,
    }
}

/// Places for values in pieces over several events, which follow upon each other in what they belong to.
fn in_pieces(random: &mut Generator, form: &Form, number: u32) -> Planned {
    let bytes = &form.bytes;
    let region = u64::from(number) * 1024;
    let mut steps: Vec<Step> = Vec::new();
    let place = match random.below(8) {
        0 => {
            for part in cut(random, bytes) {
                steps.push(Box::new(move |story| {
                    let index = story.call(structure(number, &part), &[], None);
                    vec![piece(index, Part::Input, 0, part.len())]
                }));
            }
            "structures handed in, a piece each"
        }
        1 => {
            for part in cut(random, bytes) {
                steps.push(Box::new(move |story| {
                    let index = story.call(call(number, &[]), &[], Some(&part));
                    vec![piece(index + 1, Part::Output, 0, part.len())]
                }));
            }
            "structures returned, a piece each"
        }
        2 => {
            // A field among others, which hold something else each time.
            let width = *pick(random, &[1, 2, 4, 8]);
            let (before, behind) = (between(random, 1, 12), between(random, 8, 20));
            for part in bytes.chunks(width) {
                let all = [noise(random, before), part.to_vec(), noise(random, behind)].concat();
                let length = part.len();
                steps.push(Box::new(move |story| {
                    let index = story.call(call(number, &[]), &[], Some(&all));
                    vec![piece(index + 1, Part::Output, before, length)]
                }));
            }
            "a field of the structures returned, a piece each"
        }
        3 => {
            let (width, big) = (*pick(random, &[1, 2, 4, 8]), random.below(2) == 0);
            let index = between(random, 0, 3);
            for part in bytes.chunks(width) {
                let mut scalars: Vec<u64> = (0..4).map(|_| random.next_u64()).collect();
                scalars[index] = words(part, width, big)[0];
                let length = part.len();
                steps.push(Box::new(move |story| {
                    let event = story.call(call(number, &[]), &scalars, None);
                    let place = ScalarPlace::Out;
                    scalar_pieces(|_| (event + 1, index), place, length, width, big)
                }));
            }
            "a scalar returned, a piece each"
        }
        4 => {
            let (width, big) = (*pick(random, &[1, 2, 4, 8]), random.below(2) == 0);
            for part in bytes.chunks(width) {
                let argument = words(part, width, big)[0];
                let length = part.len();
                steps.push(Box::new(move |story| {
                    let event = story.async_call(number, [0; 8], &[argument]);
                    let place = ScalarPlace::Completion;
                    scalar_pieces(|_| (event + 2, 0), place, length, width, big)
                }));
            }
            "an argument of completions, a piece each"
        }
        5 => {
            let mut offset = region;
            for part in cut(random, bytes) {
                let at = offset;
                offset += part.len() as u64;
                steps.push(Box::new(move |story| {
                    let index = story.patch(BUFFER, at, &part);
                    vec![piece(index, Part::Memory, 0, part.len())]
                }));
            }
            "mapped memory, patches side by side"
        }
        6 => {
            let width = *pick(random, &[1, 2, 4, 8]);
            for part in bytes.chunks(width) {
                let part = part.to_vec();
                steps.push(Box::new(move |story| {
                    let index = story.patch(REGISTERS, region, &part);
                    vec![piece(index, Part::Memory, 0, part.len())]
                }));
            }
            "a device's register, a piece each"
        }
        _ => {
            let mut offset = region;
            for part in cut(random, bytes) {
                let at = offset;
                offset += part.len() as u64;
                steps.push(Box::new(move |story| {
                    let index = story.write(at, &part);
                    vec![piece(index, Part::Memory, 0, part.len())]
                }));
            }
            "mapped memory, writes side by side"
        }
    };
    Planned { place, steps }
}

pub(crate) fn plan(
    random: &mut Generator,
    header: &mut HeaderTexts,
    secret: &Secret,
    form: &Form,
    number: u32,
) -> Planned {
    loop {
        match random.below(8) {
            0 if form.is_text => {
                let text = sentence(random, secret, form);
                return in_text(random, header, text);
            }
            1 if form.name.starts_with("number") => {
                let mut value = [0; 8];
                value[..form.bytes.len()].copy_from_slice(&form.bytes);
                let value = u64::from_le_bytes(value);
                return one("property that is a number", move |story| {
                    let outcome = Ok(Some(Value::Number(value)));
                    let key = Some("Number".to_owned());
                    story.event(None, None, Body::Property { service: 1, key, outcome });
                    Vec::new()
                });
            }
            2 | 3 => {
                if let Some(planned) = in_scalars(random, form, number) {
                    return planned;
                }
            }
            4 | 5 => return in_pieces(random, form, number),
            6 | 7 => return whole(random, form, number),
            _ => {}
        }
    }
}

/// An event or two that have nothing to do with any value.
pub(crate) fn filler(random: &mut Generator) -> Step {
    let selector = OTHER_SELECTORS + random.below(5) as u32;
    let long = random.below(20) == 0;
    let length = between(random, 1, if long { 600 } else { 40 });
    let bytes = noise(random, length);
    let scalars: Vec<u64> = (0..random.below(4)).map(|_| random.next_u64()).collect();
    match random.below(4) {
        0 => Box::new(move |story| {
            story.patch(BUFFER, 0, &bytes);
            Vec::new()
        }),
        1 => Box::new(move |story| {
            story.call(structure(selector, &bytes), &scalars, None);
            Vec::new()
        }),
        _ => Box::new(move |story| {
            story.call(call(selector, &scalars), &[], Some(&bytes));
            Vec::new()
        }),
    }
}

/// A place of the policy at which the redactor meets a value for the first time.
pub(crate) fn anchor(
    random: &mut Generator,
    secret: &Secret,
    number: u32,
    rules: &mut String,
) -> Planned {
    let form = secret.plain();
    let (bytes, length) = (form.bytes.clone(), form.bytes.len());
    match random.below(if form.is_text { 3 } else { 2 }) {
        0 => {
            let (all, before) = embedded(random, &bytes);
            rules.push_str(&format!(
                "[[fields]]\nselector = {number}\nplace = 'output'\nat = {before}\nlength = {length}\n"
            ));
            one("place of the policy, structure", move |story| {
                let index = story.call(call(number, &[]), &[], Some(&all));
                vec![piece(index + 1, Part::Output, before, length)]
            })
        }
        1 => {
            let at = u64::from(number) * 1024;
            rules.push_str(&format!("[[memory]]\ntype = {BUFFER}\nat = {at}\nlength = {length}\n"));
            one("place of the policy, memory", move |story| {
                let index = story.patch(BUFFER, at, &bytes);
                vec![piece(index, Part::Memory, 0, length)]
            })
        }
        _ => {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            one("place of the policy, property", move |story| {
                let (key, outcome) = (Some("Private".to_owned()), Ok(Some(Value::String(text))));
                let index = story.events;
                story.event(None, None, Body::Property { service: 1, key, outcome });
                vec![piece(index, Part::Value, 0, length)]
            })
        }
    }
}

impl HeaderTexts {
    pub(crate) fn into_header(self) -> Header {
        let service = ServiceIdentity { name: self.name, ..ServiceIdentity::default() };
        Header {
            scenario: Some(Scenario { name: "exam".to_owned(), parameters: self.parameters }),
            services: [(1, service)].into(),
            provenance: self.provenance,
            extra: self.extra,
            ..Header::mock()
        }
    }
}
