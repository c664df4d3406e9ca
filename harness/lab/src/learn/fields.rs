//! What differs between runs, and what kind of thing it is.

use super::operations::{CallData, Operation};
use dextape::tape::{Comparison, Field, FieldRule};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of a field of a structure.
const WORD: usize = 4;

/// What kind of thing a field holds that is not the same in each run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FieldClass {
    /// The driver gave it, and the client hands it in again: a symbol, one to one.
    Handle,
    /// The client made it, and it stands for the same thing each time: a symbol, one to one.
    Pointer,
    /// It goes up by itself, by the same steps in each run, from another start.
    Counter,
    /// It goes up, by other steps in each run.
    Time,
    /// No value comes twice, and there is no order in them.
    Random,
    /// Anything else.
    Data,
}

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LearnedField {
    /// Selector of the calls.
    pub selector: u32,
    /// Where it is, such as `input 0x8`.
    pub place: String,
    /// True where the client hands it in.
    pub is_input: bool,
    /// What it is.
    pub class: FieldClass,
    /// Pairs of calls in which it was compared.
    pub compared: u64,
    /// Pairs of calls in which it differs.
    pub differs: u64,
    /// An example: what two runs have there.
    pub example: (u64, u64),
}

/// A field by its selector: inputs before outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum At {
    Scalar(usize),
    Input(usize),
    ScalarOut(usize),
    Output(usize),
}

impl At {
    fn is_output(self) -> bool {
        matches!(self, Self::ScalarOut(_) | Self::Output(_))
    }

    fn field(self) -> Field {
        match self {
            Self::Scalar(index) => Field::ScalarInput(index),
            Self::Input(offset) => Field::StructureInput(offset as u64, WORD as u64),
            Self::ScalarOut(index) => Field::ScalarOutput(index),
            Self::Output(offset) => Field::StructureOutput(offset as u64, WORD as u64),
        }
    }

    fn shown(self) -> String {
        match self {
            Self::Scalar(index) => format!("scalar {index}"),
            Self::Input(offset) => format!("input {offset:#x}"),
            Self::ScalarOut(index) => format!("returned scalar {index}"),
            Self::Output(offset) => format!("output {offset:#x}"),
        }
    }
}

/// The values of a field in pairs of calls, in the order of the first run.
#[derive(Debug, Default)]
struct Seen {
    pairs: Vec<(u64, u64)>,
    differs: u64,
}

/// All fields of paired calls.
#[derive(Debug, Default)]
pub(super) struct Fields {
    seen: BTreeMap<(u32, At), Seen>,
    /// Calls whose structures come back in other lengths.
    pub(super) lengths: u64,
}

impl Fields {
    pub(super) fn add(&mut self, one: &Operation, other: &Operation) {
        let (Some(one), Some(other)) = (&one.call, &other.call) else { return };
        self.lengths += u64::from(one.output.len() != other.output.len());
        for (at, value, there) in words(one, other) {
            let seen = self.seen.entry((one.selector, at)).or_default();
            seen.pairs.push((value, there));
            seen.differs += u64::from(value != there);
        }
    }

    /// The rules, and what they rest on.
    pub(super) fn learn(&self) -> (Vec<FieldRule>, Vec<LearnedField>) {
        let differing = || self.seen.iter().filter(|(_, seen)| seen.differs > 0);
        // What came back, so that what is handed in can be told from what the client made.
        let mut given: BTreeMap<(u64, u64), BTreeSet<(u32, At)>> = BTreeMap::new();
        for (key, seen) in differing().filter(|((_, at), _)| at.is_output()) {
            for pair in seen.pairs.iter().filter(|(one, other)| one != other) {
                given.entry(*pair).or_default().insert(*key);
            }
        }
        let (mut rules, mut fields) = (Vec::new(), Vec::new());
        // Outputs that a symbol of an input covers, by name.
        let mut named: BTreeMap<(u32, At), String> = BTreeMap::new();
        for ((selector, at), seen) in differing().filter(|((_, at), _)| !at.is_output()) {
            let differing = || seen.pairs.iter().filter(|(one, other)| one != other);
            let from: BTreeSet<(u32, At)> =
                differing().filter_map(|pair| given.get(pair)).flatten().copied().collect();
            let all_given = differing().all(|pair| given.contains_key(pair));
            let class = match one_to_one(&seen.pairs) {
                true if all_given && !self.echoed(*selector, *at, &from) => FieldClass::Handle,
                true => FieldClass::Pointer,
                false => course(&seen.pairs),
            };
            let comparison = match class {
                FieldClass::Handle | FieldClass::Pointer => {
                    let known = from.iter().find_map(|key| named.get(key).cloned());
                    let name = known.unwrap_or_else(|| format!("{selector} {}", at.shown()));
                    for key in &from {
                        named.entry(*key).or_insert_with(|| name.clone());
                    }
                    Comparison::Symbol(name)
                }
                _ => Comparison::Masked,
            };
            rules.push(FieldRule { selector: Some(*selector), field: at.field(), comparison });
            fields.push(told(*selector, *at, class, seen));
        }
        for ((selector, at), seen) in differing().filter(|((_, at), _)| at.is_output()) {
            let symbol = named.get(&(*selector, *at)).filter(|_| one_to_one(&seen.pairs));
            let class = if symbol.is_some() { FieldClass::Handle } else { course(&seen.pairs) };
            let comparison =
                symbol.map_or(Comparison::Masked, |name| Comparison::Symbol(name.clone()));
            rules.push(FieldRule { selector: Some(*selector), field: at.field(), comparison });
            fields.push(told(*selector, *at, class, seen));
        }
        (rules, fields)
    }

    /// True where the same call hands the value in and gives it back: the client made it.
    fn echoed(&self, selector: u32, at: At, from: &BTreeSet<(u32, At)>) -> bool {
        let own = &self.seen[&(selector, at)].pairs;
        from.iter().any(|key| key.0 == selector && self.seen[key].pairs == *own)
    }
}

fn told(selector: u32, at: At, class: FieldClass, seen: &Seen) -> LearnedField {
    let example = seen.pairs.iter().find(|(one, other)| one != other);
    LearnedField {
        selector,
        place: at.shown(),
        is_input: !at.is_output(),
        class,
        compared: seen.pairs.len() as u64,
        differs: seen.differs,
        example: example.copied().unwrap_or_default(),
    }
}

/// True where each value stands for one of the other run, both ways.
fn one_to_one(pairs: &[(u64, u64)]) -> bool {
    let (mut there, mut back) = (BTreeMap::new(), BTreeMap::new());
    pairs.iter().all(|(one, other)| {
        there.entry(one).or_insert(other) == &other && back.entry(other).or_insert(one) == &one
    })
}

/// The value of one of two runs.
type Side = fn(&(u64, u64)) -> u64;

/// What values are that are no symbols.
fn course(pairs: &[(u64, u64)]) -> FieldClass {
    if pairs.len() < 3 {
        return FieldClass::Data;
    }
    let goes_up = |of: Side| pairs.windows(2).all(|two| of(&two[0]) < of(&two[1]));
    let step = |of: Side, two: &[(u64, u64)]| of(&two[1]).wrapping_sub(of(&two[0]));
    let (one, other): (Side, Side) = (|it| it.0, |it| it.1);
    if goes_up(one) && goes_up(other) {
        let same = pairs.windows(2).filter(|two| step(one, two) == step(other, two)).count();
        // A step may differ where the system counted something else in between.
        let counts = same * 2 > pairs.len() - 1;
        return if counts { FieldClass::Counter } else { FieldClass::Time };
    }
    let distinct: BTreeSet<u64> = pairs.iter().flat_map(|(one, other)| [*one, *other]).collect();
    if distinct.len() == pairs.len() * 2 { FieldClass::Random } else { FieldClass::Data }
}

/// The fields that both calls have.
fn words<'a>(one: &'a CallData, other: &'a CallData) -> impl Iterator<Item = (At, u64, u64)> + 'a {
    let scalars = |one: &'a [u64], other: &'a [u64], at: fn(usize) -> At| {
        one.iter()
            .zip(other)
            .enumerate()
            .map(move |(index, (one, other))| (at(index), *one, *other))
    };
    let bytes = |one: &'a [u8], other: &'a [u8], at: fn(usize) -> At| {
        let both = one.chunks(WORD).zip(other.chunks(WORD)).enumerate();
        both.map(move |(index, (one, other))| (at(index * WORD), number(one), number(other)))
    };
    scalars(&one.scalars, &other.scalars, At::Scalar)
        .chain(bytes(&one.input, &other.input, At::Input))
        .chain(scalars(&one.scalars_out, &other.scalars_out, At::ScalarOut))
        .chain(bytes(&one.output, &other.output, At::Output))
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(input: u32, output: u32) -> Operation {
        let call = CallData {
            input: input.to_le_bytes().to_vec(),
            output: output.to_le_bytes().to_vec(),
            ..CallData::default()
        };
        Operation { enter: 0, leave: None, shape: String::new(), call: Some(call) }
    }

    /// Classes of input and output where two runs hand in and get back these.
    fn classes(pairs: &[[(u32, u32); 2]]) -> Vec<(bool, FieldClass)> {
        let mut fields = Fields::default();
        pairs
            .iter()
            .for_each(|[one, other]| fields.add(&call(one.0, one.1), &call(other.0, other.1)));
        fields.learn().1.iter().map(|field| (field.is_input, field.class)).collect()
    }

    #[test]
    fn what_differs_is_classed_by_how_it_goes_on() {
        use FieldClass::{Counter, Data, Handle, Pointer, Random, Time};
        // Given by one call, handed in by the next.
        let given = [[(0, 7), (0, 9)], [(7, 1), (9, 1)]];
        assert_eq!(classes(&given), [(true, Handle), (false, Handle)]);
        // Handed in and given back: the client's own.
        let echoed = [[(5, 5), (6, 6)], [(8, 8), (9, 9)]];
        assert_eq!(classes(&echoed), [(true, Pointer), (false, Handle)]);
        let counter = [[(0, 1), (0, 100)], [(0, 2), (0, 101)], [(0, 4), (0, 103)]];
        assert_eq!(classes(&counter), [(false, Counter)]);
        let time = [[(0, 1), (0, 100)], [(0, 2), (0, 150)], [(0, 4), (0, 153)]];
        assert_eq!(classes(&time), [(false, Time)]);
        let random = [[(0, 9), (0, 100)], [(0, 2), (0, 150)], [(0, 4), (0, 3)]];
        assert_eq!(classes(&random), [(false, Random)]);
        // Two values of one run for one of the other: no symbol.
        let data = [[(5, 0), (6, 0)], [(5, 0), (7, 0)], [(5, 0), (7, 0)]];
        assert_eq!(classes(&data), [(true, Data)]);
    }
}
