//! What a dext answers as usual: learned from a whole tape, kept in the header of what is cut from it.

use super::LenientError;
use dextape::IoReturn;
use dextape::tape::{Body, Event, Header, MappedMemory, Payload, Sequence, Tape};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// Key of the header under which ordinary answers stand.
pub(super) const ORDINARY: &str = "ordinary";

/// Longest structure that is kept as an ordinary answer; of longer ones the client gets zeros.
const STRUCTURE_MAX: usize = 256;

/// Most completions of one call that are ordinary.
const COMPLETIONS_MAX: usize = 16;

/// What a dext answers as usual.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Ordinary {
    /// Operations of the whole tape: a client that makes many times as many will not come to an end.
    pub(super) operations: u64,
    /// Services by what was looked for, as text.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) services: BTreeMap<String, Vec<u32>>,
    /// Services were announced.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) notices: bool,
    /// Memories by their type.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) memories: BTreeMap<u32, OrdinaryMemory>,
    /// Answers to synchronous calls by selector.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) calls: BTreeMap<u32, Answer>,
    /// Answers to asynchronous calls by selector.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) async_calls: BTreeMap<u32, Answer>,
}

/// A memory as it is mapped as usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OrdinaryMemory {
    pub(super) length: u64,
    pub(super) size: u64,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) read_only: bool,
}

/// An answer to a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Answer {
    #[serde(with = "code", skip_serializing_if = "is_success")]
    pub(super) result: IoReturn,
    #[serde(with = "words", skip_serializing_if = "Vec::is_empty")]
    pub(super) scalars: Vec<u64>,
    #[serde(with = "bytes", skip_serializing_if = "Vec::is_empty")]
    pub(super) structure: Vec<u8>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) completions: Vec<OrdinaryCompletion>,
}

impl Default for Answer {
    fn default() -> Self {
        let result = IoReturn::SUCCESS;
        Self { result, scalars: vec![], structure: vec![], completions: vec![] }
    }
}

/// A completion of an asynchronous call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct OrdinaryCompletion {
    #[serde(with = "code", skip_serializing_if = "is_success")]
    pub(super) status: IoReturn,
    #[serde(with = "words", skip_serializing_if = "Vec::is_empty")]
    pub(super) arguments: Vec<u64>,
    /// Nanoseconds after the call.
    pub(super) after: u64,
}

impl Default for OrdinaryCompletion {
    fn default() -> Self {
        Self { status: IoReturn::SUCCESS, arguments: vec![], after: 0 }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_false(it: &bool) -> bool {
    !it
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_success(code: &IoReturn) -> bool {
    *code == IoReturn::SUCCESS
}

/// Codes as they stand on tapes: in hex.
mod code {
    use dextape::IoReturn;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(code: &IoReturn, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format!("{:#x}", code.0))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<IoReturn, D::Error> {
        let text = String::deserialize(from)?;
        let digits =
            text.strip_prefix("0x").and_then(|digits| u32::from_str_radix(digits, 16).ok());
        digits
            .map(IoReturn)
            .ok_or_else(|| D::Error::custom("expected a code such as \"0xe00002bc\""))
    }
}

/// 64-bit words in hex: as numbers JavaScript and jq would lose them.
mod words {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(words: &[u64], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(words.iter().map(|word| format!("{word:#x}")))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u64>, D::Error> {
        let word = |text: String| {
            let digits = text.strip_prefix("0x").and_then(|it| u64::from_str_radix(it, 16).ok());
            digits.ok_or_else(|| D::Error::custom("expected words such as \"0x10\""))
        };
        Vec::<String>::deserialize(from)?.into_iter().map(word).collect()
    }
}

/// Bytes in hex.
mod bytes {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::fmt::Write as _;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(2 * bytes.len());
        for byte in bytes {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        to.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        let pairs = text.as_bytes().chunks(2);
        let byte = |pair: &[u8]| {
            let digits = std::str::from_utf8(pair).ok().filter(|digits| digits.len() == 2);
            digits.and_then(|digits| u8::from_str_radix(digits, 16).ok())
        };
        let bytes: Option<Vec<u8>> = pairs.map(byte).collect();
        bytes.ok_or_else(|| D::Error::custom("expected pairs of hex digits"))
    }
}

/// Answers and how often each was given, in the order in which they came first.
#[derive(Default)]
struct Poll {
    places: HashMap<Answer, usize>,
    answers: Vec<(Answer, u64)>,
    all: u64,
}

impl Poll {
    fn count(&mut self, answer: Answer) {
        self.all += 1;
        match self.places.get(&answer) {
            Some(place) => self.answers[*place].1 += 1,
            None => {
                self.places.insert(answer.clone(), self.answers.len());
                self.answers.push((answer, 1));
            }
        }
    }

    /// The answer that was given at least twice and to half of all calls; otherwise, since none is ordinary,
    /// the shape of the first that worked, all zeros. What was said once is no habit: a failure may hang on
    /// it.
    fn ordinary(self) -> Option<Answer> {
        let most = self.answers.iter().map(|(_, count)| *count).max()?;
        let mut answers = self.answers.into_iter();
        if most >= 2 && 2 * most >= self.all {
            return answers.find(|(_, count)| *count == most).map(|(answer, _)| answer);
        }
        let shape = answers.find(|(answer, _)| answer.result.is_success())?.0;
        let completions = shape.completions.into_iter().map(|completion| OrdinaryCompletion {
            status: IoReturn::SUCCESS,
            arguments: vec![0; completion.arguments.len()],
            ..completion
        });
        let completions: Vec<_> = completions.collect();
        Some(Answer {
            result: IoReturn::SUCCESS,
            scalars: vec![0; shape.scalars.len()],
            structure: vec![0; shape.structure.len()],
            // A call that completes again and again tells of what happens besides.
            completions: if completions.len() == 1 { completions } else { Vec::new() },
        })
    }
}

impl Ordinary {
    /// What a header says.
    pub(super) fn of_header(header: &Header) -> Result<Option<Self>, LenientError> {
        let Some(told) = header.extra.get(ORDINARY) else { return Ok(None) };
        let read = serde_json::from_value(told.clone());
        read.map(Some).map_err(|error| LenientError::Ordinary(error.to_string()))
    }

    /// What a whole tape answers.
    pub(super) fn of_tape(tape: &Tape) -> Self {
        let mut ordinary = Self::default();
        let mut polls: BTreeMap<(bool, u32), Poll> = BTreeMap::new();
        let mut enters: HashMap<Sequence, &Event> = HashMap::new();
        let mut posted: HashMap<Sequence, Vec<OrdinaryCompletion>> = HashMap::new();
        for event in tape.events() {
            if let (Body::Posted { status, arguments, .. }, Some(call)) = (&event.body, event.cause)
            {
                let began = tape.event(call).map_or(0, |call| call.time);
                posted.entry(call).or_default().push(OrdinaryCompletion {
                    status: *status,
                    arguments: arguments.to_vec(),
                    after: event.time.saturating_sub(began),
                });
            }
        }
        for event in tape.events() {
            if event.body.is_enter() {
                enters.insert(event.sequence, event);
                ordinary.operations += 1;
            }
            let enter = event.cause.and_then(|cause| enters.get(&cause).copied());
            match (&event.body, enter.map(|enter| &enter.body)) {
                (Body::Matched { matching, outcome: Ok(services) }, _) => {
                    let text = format!("{matching:?}");
                    ordinary.services.entry(text).or_insert_with(|| services.clone());
                }
                (Body::Notice { .. }, _) => ordinary.notices = true,
                (Body::Mapped { outcome: Ok(mapped) }, Some(Body::Map { memory_type, .. })) => {
                    let MappedMemory { length, size, read_only, .. } = *mapped;
                    let memory = OrdinaryMemory { length, size, read_only };
                    ordinary.memories.entry(*memory_type).or_insert(memory);
                }
                (Body::Return(returned), Some(entered)) => {
                    let (asynchronous, call) = match entered {
                        Body::Call(call) => (false, call),
                        Body::AsyncCall { call, .. } => (true, call),
                        _ => continue,
                    };
                    let structure = returned.structure.as_ref().and_then(Payload::as_bytes);
                    let structure = structure.filter(|bytes| bytes.len() <= STRUCTURE_MAX);
                    let completions = enter.and_then(|enter| posted.remove(&enter.sequence));
                    let mut completions = completions.unwrap_or_default();
                    completions.truncate(COMPLETIONS_MAX);
                    polls.entry((asynchronous, call.selector)).or_default().count(Answer {
                        result: returned.result,
                        scalars: returned.scalars.to_vec(),
                        structure: structure.unwrap_or_default().to_vec(),
                        completions,
                    });
                }
                _ => {}
            }
        }
        for ((asynchronous, selector), poll) in polls {
            let answers =
                if asynchronous { &mut ordinary.async_calls } else { &mut ordinary.calls };
            answers.extend(poll.ordinary().map(|answer| (selector, answer)));
        }
        ordinary
    }

    /// Writes it into a header.
    pub(super) fn enter(&self, header: &mut Header) {
        // Texts, numbers and lists only: JSON has a form for all of it.
        if let Ok(value) = serde_json::to_value(self) {
            header.extra.insert(ORDINARY.to_owned(), value);
        }
    }

    /// The answer to a call of a selector.
    pub(super) fn answer(&self, asynchronous: bool, selector: u32) -> Option<&Answer> {
        if asynchronous { self.async_calls.get(&selector) } else { self.calls.get(&selector) }
    }
}
