//! Fields that are other values in every run: counters, times, handles, random numbers.

use super::item::{Item, Side};
use crate::learn::FieldClass;
use dextape::tape::{Body, Call, Payload, Return, Structure, TapeError};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Bytes of a field of a structure.
const WORD: usize = 4;

/// Pairs of a selector that are looked at. More teach nothing.
const PAIRS_MAX: usize = 512;

/// Pairs in which a field must differ before it is called volatile: fewer are changes.
const DIFFERS_MIN: u64 = 3;

/// A field that was folded away, because its values differ as they do from run to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct VolatileField {
    /// Selector of the calls.
    pub selector: u32,
    /// Where it is, such as `output 0x8`.
    pub field: String,
    /// What kind of thing it is.
    pub class: FieldClass,
    /// Pairs of calls in which it differs, of those that were looked at.
    pub differs: u64,
    /// Pairs of calls that were looked at.
    pub compared: u64,
    /// An example: what the two tapes have there.
    pub example: (u64, u64),
}

impl VolatileField {
    /// The class in a word.
    #[must_use]
    pub fn class_word(&self) -> &'static str {
        match self.class {
            FieldClass::Handle => "handle",
            FieldClass::Pointer => "pointer",
            FieldClass::Counter => "counter",
            FieldClass::Time => "time",
            FieldClass::Random => "random",
            FieldClass::Data => "data",
        }
    }
}

/// A word of the calls of a selector: whether it comes back, its selector, and where it is.
type At = (bool, u32, &'static str, usize);

/// The values of a word in each pair of calls, in their order.
type Seen = BTreeMap<At, Vec<(u64, u64)>>;

/// The fields of calls that differ as counters, times, handles and random numbers do. Only selectors in
/// `suspects` are looked at.
pub(super) fn volatile(
    a: &Side<'_>,
    b: &Side<'_>,
    pairs: &[(u32, u32)],
    suspects: &BTreeMap<u32, u64>,
) -> Result<Vec<VolatileField>, TapeError> {
    let mut looked_at: BTreeMap<u32, usize> = suspects
        .iter()
        .filter(|(_, changed)| **changed >= DIFFERS_MIN)
        .map(|(selector, _)| (*selector, 0))
        .collect();
    let mut seen = Seen::new();
    for (one, other) in pairs {
        let (one, other) = (&a.items[*one as usize], &b.items[*other as usize]);
        let Some(call) = call_of(&a.event(one.enter).body) else { continue };
        let Some(count) = looked_at.get_mut(&call.selector).filter(|count| **count < PAIRS_MAX)
        else {
            continue;
        };
        *count += 1;
        let theirs: HashMap<At, u64> = words(b, other)?.into_iter().collect();
        for (at, value) in words(a, one)? {
            if let Some(there) = theirs.get(&at) {
                seen.entry(at).or_default().push((value, *there));
            }
        }
    }
    Ok(classed(&seen))
}

/// Which of the words are volatile.
fn classed(seen: &Seen) -> Vec<VolatileField> {
    let differing = |pairs: &[(u64, u64)]| -> BTreeSet<(u64, u64)> {
        pairs.iter().filter(|(one, other)| one != other).copied().collect()
    };
    let all = |returned: bool| -> BTreeSet<(u64, u64)> {
        let of = seen.iter().filter(|((comes_back, ..), _)| *comes_back == returned);
        of.flat_map(|(_, pairs)| differing(pairs)).collect()
    };
    let (handed_in, given) = (all(false), all(true));
    let mut found = Vec::new();
    for ((returned, selector, word, index), pairs) in seen {
        let differs = pairs.iter().filter(|(one, other)| one != other).count() as u64;
        if differs < DIFFERS_MIN {
            continue;
        }
        // What the driver gives out and the client hands in again.
        let values = differing(pairs);
        let other_side = if *returned { &handed_in } else { &given };
        let handle = one_to_one(pairs) && values.len() > 1 && values.is_subset(other_side);
        let class = if handle { Some(FieldClass::Handle) } else { course(pairs) };
        let Some(class) = class else { continue };
        let field = match *word {
            "input" | "output" => format!("{word} {index:#x}"),
            _ => format!("{word} {index}"),
        };
        let example = pairs.iter().find(|(one, other)| one != other).copied().unwrap_or_default();
        let compared = pairs.len() as u64;
        found.push(VolatileField { selector: *selector, field, class, differs, compared, example });
    }
    found
}

/// True where each value stands for one of the other tape, both ways.
fn one_to_one(pairs: &[(u64, u64)]) -> bool {
    let (mut there, mut back) = (HashMap::new(), HashMap::new());
    pairs.iter().all(|(one, other)| {
        there.entry(one).or_insert(other) == &other && back.entry(other).or_insert(one) == &one
    })
}

/// What values are that go on in some way from call to call on both tapes.
fn course(pairs: &[(u64, u64)]) -> Option<FieldClass> {
    let goes_up =
        |of: fn(&(u64, u64)) -> u64| pairs.windows(2).all(|two| of(&two[0]) < of(&two[1]));
    if goes_up(|it| it.0) && goes_up(|it| it.1) {
        let step = |from: u64, to: u64| to.wrapping_sub(from);
        let same = pairs
            .windows(2)
            .filter(|two| step(two[0].0, two[1].0) == step(two[0].1, two[1].1))
            .count();
        // A step may differ where the system counted something else in between.
        let counts = same * 2 > pairs.len() - 1;
        return Some(if counts { FieldClass::Counter } else { FieldClass::Time });
    }
    let distinct: BTreeSet<u64> = pairs.iter().flat_map(|(one, other)| [*one, *other]).collect();
    (distinct.len() == pairs.len() * 2).then_some(FieldClass::Random)
}

pub(super) fn call_of(body: &Body) -> Option<&Call> {
    match body {
        Body::Call(call) | Body::AsyncCall { call, .. } => Some(call),
        _ => None,
    }
}

/// The words of a call and of what it returned.
fn words(side: &Side<'_>, item: &Item) -> Result<Vec<(At, u64)>, TapeError> {
    let mut words = Vec::new();
    let Some(call) = call_of(&side.event(item.enter).body) else { return Ok(words) };
    let mut scalars = |returned: bool, word: &'static str, values: &[u64]| {
        let at = |(index, value): (usize, &u64)| ((returned, call.selector, word, index), *value);
        words.extend(values.iter().enumerate().map(at));
    };
    let returned = item.leave.map(|leave| &side.event(leave).body);
    scalars(false, "scalar", &call.scalars);
    let mut payloads: Vec<(bool, &'static str, &Payload)> = Vec::new();
    if let Structure::Bytes(payload) | Structure::Shared { data: payload, .. } = &call.input {
        payloads.push((false, "input", payload));
    }
    if let Some(Body::Return(Return { scalars: values, structure, .. })) = returned {
        scalars(true, "returned scalar", values);
        payloads.extend(structure.as_ref().map(|payload| (true, "output", payload)));
    }
    for (returned, word, payload) in payloads {
        let bytes = side.tape.bytes(payload)?.map(Cow::into_owned).unwrap_or_default();
        for (index, chunk) in bytes.chunks(WORD).enumerate() {
            let value = chunk.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
            words.push(((returned, call.selector, word, index * WORD), value));
        }
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class_of(returned: &[(u64, u64)], handed_in: &[(u64, u64)]) -> Vec<FieldClass> {
        let seen = Seen::from([
            ((true, 1, "output", 0), returned.to_vec()),
            ((false, 2, "scalar", 0), handed_in.to_vec()),
        ]);
        classed(&seen).into_iter().map(|field| field.class).collect()
    }

    #[test]
    fn what_goes_on_in_some_way_is_volatile_and_what_changed_once_is_not() {
        use FieldClass::{Counter, Handle, Random, Time};
        let same = [(0, 0), (0, 0), (0, 0)];
        assert_eq!(class_of(&[(1, 100), (2, 101), (4, 103)], &same), [Counter]);
        assert_eq!(class_of(&[(1, 100), (2, 150), (4, 153)], &same), [Time]);
        assert_eq!(class_of(&[(9, 100), (2, 150), (4, 3)], &same), [Random]);
        let given = [(7, 9), (8, 3), (7, 9)];
        assert_eq!(class_of(&given, &given), [Handle, Handle]);
        assert_eq!(class_of(&given, &same), []);
        // Another value in every call, and two calls that differ.
        assert_eq!(class_of(&[(1, 2), (1, 2), (1, 2), (1, 2)], &same), []);
        assert_eq!(class_of(&[(1, 2), (3, 4)], &same), []);
    }
}
