//! A policy in front of the journal: private values are replaced before they reach the disk.

use super::redact::{FieldPlace, Redaction, Redactor};
use dextape::redaction::{
    FieldPlace as PolicyPlace, Form, PolicyError, PolicyField, PrivateValue, Pseudonym,
    RedactionPolicy, Substitutes, trimmed,
};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// The most bytes of inputs that are kept of each asynchronous call.
const INPUT_KEPT_MAX: usize = 1 << 16;

/// The most fields of memories that are put together of pieces.
const PIECED_MAX: usize = 4096;

/// The longest field of a memory that is put together of pieces, in bytes.
const PIECED_LENGTH_MAX: u64 = 1024;

/// A redactor that follows a [`RedactionPolicy`]: what stands at its places is replaced by a pseudonym of
/// the same form, there and, from then on, wherever else the value passes in one piece, as text, number,
/// hex, base64 or byte-swapped. So the client's copies of a value are copies of its pseudonym on the
/// tape, and a replay that hands the client the pseudonym finds what it hands in.
///
/// Where the policy cannot be sure, it redacts: the arguments of a completion whose call is unknown, and
/// shared buffers, whose bytes count as those of every structure that the policy names.
///
/// What the client hands in before the value has stood at a place of the policy is not recognised, unless it
/// was [told](Self::private) beforehand; neither is a value that the client hands in piece by piece.
///
/// # Examples
///
/// ```
/// use dextape::redaction::{Pseudonym, RedactionPolicy};
/// use dextape_recorder::recording::{PolicyRedactor, RecordOptions};
/// use std::sync::Arc;
///
/// let policy = RedactionPolicy::from_toml("format = 1\nproperties = ['IOPlatformSerialNumber']")?;
/// let redactor = PolicyRedactor::new(policy, Pseudonym::random()?);
/// let options = RecordOptions { redactor: Some(Arc::new(redactor)), ..RecordOptions::default() };
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct PolicyRedactor {
    policy: RedactionPolicy,
    pseudonym: Pseudonym,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    substitutes: Substitutes,
    /// Fields of memories that are seen in pieces, by rule and first byte.
    pieces: BTreeMap<(usize, u64), Pieced>,
    /// Private places that passed.
    places: u64,
    /// Values that were not learned, because there are too many.
    dropped: bool,
    /// Forms in which a value came from the dext.
    given: BTreeSet<&'static str>,
    /// Forms in which the client handed one in, by where it did.
    made: BTreeSet<(String, &'static str)>,
}

/// A field of a memory, as far as it was seen.
#[derive(Debug)]
struct Pieced {
    truth: Vec<u8>,
    shown: Vec<u8>,
    seen: Vec<bool>,
}

/// A private range of bytes that pass.
struct Private {
    range: Range<usize>,
    /// Of memory: the rule, the first byte of the field and the field's length, where only a part of it passes.
    part_of: Option<(usize, u64, u64)>,
}

impl PolicyRedactor {
    /// Follows `policy` with pseudonyms under `pseudonym`'s key.
    #[must_use]
    pub fn new(policy: RedactionPolicy, pseudonym: Pseudonym) -> Self {
        let state = State {
            substitutes: Substitutes::new(pseudonym.clone()),
            pieces: BTreeMap::new(),
            places: 0,
            dropped: false,
            given: BTreeSet::new(),
            made: BTreeSet::new(),
        };
        Self { policy, pseudonym, state: Mutex::new(state) }
    }

    /// Follows the policy of a file with pseudonyms under a key that is drawn now.
    ///
    /// # Errors
    ///
    /// Those of [`RedactionPolicy::read`], or the system has no random bytes to give.
    pub fn read(path: &Path) -> Result<Self, PolicyError> {
        let policy = RedactionPolicy::read(path)?;
        let random = Pseudonym::random();
        let pseudonym =
            random.map_err(|source| PolicyError::Io { path: path.to_owned(), source })?;
        Ok(Self::new(policy, pseudonym))
    }

    /// Has values replaced that are known to be private beforehand.
    #[must_use]
    pub fn private(self, values: impl IntoIterator<Item = PrivateValue>) -> Self {
        {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            for value in values {
                state.learn(&value);
            }
        }
        self
    }

    fn private_in(&self, place: &FieldPlace<'_>, input: &[u8], length: usize) -> Vec<Private> {
        let whole = |range| Private { range, part_of: None };
        match *place {
            FieldPlace::Property { key } => {
                let named = self.policy.properties.iter().any(|name| name == key);
                if named && length > 0 { vec![whole(0..length)] } else { Vec::new() }
            }
            FieldPlace::Memory { memory_type: Some(memory_type), offset } => {
                self.private_memory(memory_type, offset, length)
            }
            FieldPlace::Memory { memory_type: None, offset } => {
                let fields = self.policy.fields.iter();
                let structures = fields
                    .filter(|it| matches!(it.place, PolicyPlace::Input | PolicyPlace::Output));
                let end = offset.saturating_add(length as u64);
                structures
                    .filter_map(|field| {
                        let behind =
                            field.length.map_or(u64::MAX, |it| field.at.saturating_add(it));
                        let (from, to) = (field.at.max(offset), behind.min(end));
                        (from < to).then(|| whole((from - offset) as usize..(to - offset) as usize))
                    })
                    .collect()
            }
            _ => {
                let fields = self.policy.fields.iter();
                fields.filter_map(|field| range(field, place, input, length)).map(whole).collect()
            }
        }
    }

    /// The private ranges of a part of a memory, field by field.
    fn private_memory(&self, memory_type: u32, offset: u64, length: usize) -> Vec<Private> {
        let mut found = Vec::new();
        let end = offset.saturating_add(length as u64);
        for (index, rule) in self.policy.memory.iter().enumerate() {
            if rule.memory_type != memory_type {
                continue;
            }
            let mut at = offset;
            while at < end {
                if !rule.covers(at) {
                    // The next field, or none: not byte by byte through a large memory.
                    let next = match rule.every.filter(|every| *every > 0) {
                        _ if at < rule.at => rule.at,
                        Some(every) => (at - at % every).saturating_add(if at % every < rule.at {
                            rule.at
                        } else {
                            every.saturating_add(rule.at)
                        }),
                        None => end,
                    };
                    at = next.max(at + 1);
                    continue;
                }
                let base = match rule.every.filter(|every| *every > 0) {
                    Some(every) => at - at % every,
                    None => 0,
                };
                let first = base.saturating_add(rule.at);
                let period =
                    rule.every.filter(|every| *every > 0).map(|every| base.saturating_add(every));
                let behind = rule.length.map_or(u64::MAX, |length| first.saturating_add(length));
                let behind = behind.min(period.unwrap_or(u64::MAX));
                let to = behind.min(end);
                let partly = at > first || to < behind;
                let part_of =
                    (partly && behind != u64::MAX).then(|| (index, first, behind - first));
                let range = (at - offset) as usize..(to - offset) as usize;
                found.push(Private { range, part_of });
                at = to;
            }
        }
        found
    }
}

/// The bytes of a place that a field of the policy means.
fn range(
    field: &PolicyField,
    place: &FieldPlace<'_>,
    input: &[u8],
    length: usize,
) -> Option<Range<usize>> {
    let (selector, scalars) = match (field.place, place) {
        (PolicyPlace::Input, FieldPlace::StructureInput { selector })
        | (PolicyPlace::Output, FieldPlace::StructureOutput { selector }) => {
            (Some(*selector), false)
        }
        (PolicyPlace::ScalarInput, FieldPlace::ScalarInput { selector })
        | (PolicyPlace::ScalarOutput, FieldPlace::ScalarOutput { selector }) => {
            (Some(*selector), true)
        }
        (PolicyPlace::Completion, FieldPlace::CompletionArguments { selector }) => {
            (*selector, true)
        }
        _ => return None,
    };
    let chosen = match selector {
        // A completion of a call that is not known may be one of these.
        None => true,
        Some(selector) => {
            field.selector.is_none_or(|wanted| wanted == selector)
                && field.when.as_ref().is_none_or(|when| when.holds(input))
        }
    };
    let at = usize::try_from(field.at).ok().filter(|_| chosen)?;
    let (from, to) = if scalars {
        (at.checked_mul(8)?, at.checked_mul(8)?.checked_add(8)?)
    } else {
        let end = field.length.and_then(|length| usize::try_from(length).ok());
        (at, end.map_or(length, |end| at.saturating_add(end)))
    };
    let to = to.min(length);
    (from < to).then_some(from..to)
}

/// Where the client itself handed bytes in, in words; `None` for what came from the dext. Of memory it is
/// not known who changed it.
fn by_client(place: &FieldPlace<'_>) -> Option<String> {
    match place {
        FieldPlace::StructureInput { selector } => {
            Some(format!("the structure handed to selector {selector}"))
        }
        FieldPlace::ScalarInput { selector } => {
            Some(format!("a scalar handed to selector {selector}"))
        }
        FieldPlace::Pointed { selector } => {
            Some(format!("what a pointer of selector {selector} leads to"))
        }
        FieldPlace::Trap { index } => Some(format!("an argument of trap {index}")),
        _ => None,
    }
}

impl State {
    fn learn(&mut self, value: &PrivateValue) {
        self.dropped |= !self.substitutes.learn(value);
    }

    /// Replaces a value at its own place.
    fn replace(&mut self, pseudonym: &Pseudonym, place: &FieldPlace<'_>, bytes: &mut [u8]) {
        let length = trimmed(bytes).len();
        if let Some(value) = PrivateValue::of_bytes(bytes) {
            self.learn(&value);
            if self.substitutes.other(&value).is_some() {
                // Of a key the last byte may be zero or a space, and belongs to it.
                self.substitutes.replace(bytes, &mut |_| {});
                return;
            }
        }
        // Too short to be looked for elsewhere, of one byte over and over, or one too many.
        let form = Form::of(&bytes[..length]);
        pseudonym.apart(format!("{place:?}").as_bytes()).replace(&mut bytes[..length], form);
    }

    /// Replaces a part of a field of a memory; once all of it was seen, the whole is a value like others.
    fn replace_part(
        &mut self,
        pseudonym: &Pseudonym,
        (rule, first, length): (usize, u64, u64),
        within: u64,
        bytes: &mut [u8],
    ) {
        let truth = bytes.to_vec();
        let place = format!("{rule} {}", first.saturating_add(within));
        pseudonym.apart(place.as_bytes()).replace(bytes, Form::of(bytes));
        let known = self.pieces.len() < PIECED_MAX || self.pieces.contains_key(&(rule, first));
        let (Ok(size), true) = (usize::try_from(length), known && length <= PIECED_LENGTH_MAX)
        else {
            return;
        };
        let pieced = self.pieces.entry((rule, first)).or_insert_with(|| Pieced {
            truth: vec![0; size],
            shown: vec![0; size],
            seen: vec![false; size],
        });
        let from = within as usize;
        let range = from..(from + bytes.len()).min(size);
        pieced.truth[range.clone()].copy_from_slice(&truth[..range.len()]);
        pieced.shown[range.clone()].copy_from_slice(&bytes[..range.len()]);
        pieced.seen[range].fill(true);
        if pieced.seen.iter().all(|seen| *seen)
            && let Some(value) = PrivateValue::of_bytes(&pieced.truth)
            && let Some(other) = pieced.shown.get(..trimmed(&pieced.truth).len())
        {
            // A value that is written as its bytes' hex is learned as those: it has no such copy here.
            match value.replaced_by(other) {
                Some(other) => self.dropped |= !self.substitutes.learn_as(&value, &other),
                None => self.learn(&value),
            }
        }
    }
}

impl Redactor for PolicyRedactor {
    fn name(&self) -> &str {
        "a redaction policy, in the recorder"
    }

    fn redact(&self, place: &FieldPlace<'_>, bytes: &mut [u8]) -> Redaction {
        self.redact_of_call(place, &[], bytes)
    }

    fn redact_of_call(&self, place: &FieldPlace<'_>, input: &[u8], bytes: &mut [u8]) -> Redaction {
        let private = self.private_in(place, input, bytes.len());
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // First all that is known, over the original bytes; then the places themselves, from those.
        let original = bytes.to_vec();
        let client = by_client(place);
        let State { substitutes, given, made, .. } = &mut *state;
        substitutes.replace(bytes, &mut |form| match &client {
            // What the dext gave before may be copied; what it only gives back was made by the client.
            Some(_) if given.contains(form) => {}
            Some(client) => {
                made.insert((client.clone(), form));
            }
            None => {
                given.insert(form);
            }
        });
        for Private { range, part_of } in private {
            state.places += 1;
            let truth = &original[range.clone()];
            if client.is_none() {
                let text = matches!(Form::of(trimmed(truth)), Form::Text);
                state.given.insert(if text { "text" } else { "bytes" });
            }
            let mut replaced = truth.to_vec();
            match (part_of, place) {
                (Some(part), FieldPlace::Memory { offset, .. }) => {
                    let within = offset.saturating_add(range.start as u64) - part.1;
                    state.replace_part(&self.pseudonym, part, within, &mut replaced);
                }
                _ => state.replace(&self.pseudonym, place, &mut replaced),
            }
            bytes[range].copy_from_slice(&replaced);
        }
        Redaction::Keep
    }

    fn input_kept(&self) -> usize {
        let ends = self.policy.fields.iter().filter(|it| it.place == PolicyPlace::Completion);
        let ends = ends.filter_map(|field| field.when.as_ref()).map(|when| {
            usize::try_from(when.at).unwrap_or(usize::MAX).saturating_add(when.hex.len() / 2)
        });
        ends.max().unwrap_or(0).min(INPUT_KEPT_MAX)
    }

    fn summary(&self) -> Vec<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut said = vec![format!(
            "{} values at {} places of a policy, and wherever they passed from then on",
            state.substitutes.len(),
            state.places
        )];
        said.extend(state.made.iter().map(|(place, form)| {
            format!("the client makes another form of a private value: {place}, as {form}")
        }));
        if state.dropped {
            said.push("too many values to look for: some at their own places only".to_owned());
        }
        said
    }
}
