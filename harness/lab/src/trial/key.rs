//! Which calls of several runs are the same call.

use dextape::tape::{Body, Call, Field, OpenedAs, Payload, Sequence, Structure, Tape, TapeError};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of a word of a structure.
const WORD: usize = 4;

/// One call of a run.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) sequence: Sequence,
    pub(super) on: Option<OpenedAs>,
    pub(super) selector: u32,
    /// Connection, selector, counts and lengths: what two calls must have in common at least.
    pub(super) shape: String,
    /// The same, but of every connection that was opened like this one.
    pub(super) kind: String,
    /// Scalars, then words of the structure.
    pub(super) inputs: Vec<u64>,
    pub(super) scalars: usize,
    pub(super) scalars_out: Vec<u64>,
    pub(super) output: Vec<u64>,
}

/// A field: which of the inputs, or of the scalars or words that come back.
pub(super) type Fields = BTreeMap<String, BTreeSet<usize>>;

/// The calls of a run.
pub(super) fn calls(tape: &Tape) -> Result<Vec<Made>, TapeError> {
    let opened = tape.opened();
    let mut ordinals: BTreeMap<u32, String> = BTreeMap::new();
    let mut opens: BTreeMap<OpenedAs, u32> = BTreeMap::new();
    for event in tape.events().iter().filter(|event| event.body == Body::Opened) {
        if let Some((number, on)) = event.connection.and_then(|it| Some((it, opened.get(&it)?))) {
            let ordinal = opens.entry(on.clone()).or_default();
            *ordinal += 1;
            ordinals.insert(number, format!("{} {} #{ordinal}", on.service, on.open_type));
        }
    }
    let words = |payload: &Payload| -> Result<Vec<u64>, TapeError> {
        let bytes = tape.bytes(payload)?.unwrap_or_default();
        let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |all, it| all << 8 | u64::from(*it));
        Ok(bytes.chunks(WORD).map(word).collect())
    };
    let mut made: Vec<Made> = Vec::new();
    let mut places: BTreeMap<Sequence, usize> = BTreeMap::new();
    for event in tape.events() {
        match &event.body {
            Body::Call(call) | Body::AsyncCall { call, .. } => {
                let Call { selector, scalar_count, scalars_asked, output, .. } = call;
                let number = event.connection.unwrap_or(0);
                let on = ordinals.get(&number).cloned().unwrap_or_else(|| number.to_string());
                let (structure, length) = match &call.input {
                    Structure::Bytes(data) | Structure::Shared { data, .. } => {
                        (words(data)?, data.length())
                    }
                    Structure::Null { size } | Structure::Unmapped { size } => (Vec::new(), *size),
                    Structure::None => (Vec::new(), 0),
                };
                let asked = format!(
                    "{} {selector} {scalar_count} {length} {scalars_asked} {output:?}",
                    event.body.name()
                );
                let kind = on.split(" #").next().unwrap_or_default();
                let scalars = call.scalars.to_vec();
                places.insert(event.sequence, made.len());
                made.push(Made {
                    sequence: event.sequence,
                    on: opened.get(&number).cloned(),
                    selector: *selector,
                    shape: format!("{on} {asked}"),
                    kind: format!("{kind} {asked}"),
                    scalars: scalars.len(),
                    inputs: scalars.into_iter().chain(structure).collect(),
                    scalars_out: Vec::new(),
                    output: Vec::new(),
                });
            }
            Body::Return(returned) => {
                let Some(place) = event.cause.and_then(|cause| places.get(&cause)) else {
                    continue;
                };
                made[*place].scalars_out = returned.scalars.to_vec();
                if let Some(structure) = &returned.structure {
                    made[*place].output = words(structure)?;
                }
            }
            _ => {}
        }
    }
    Ok(made)
}

impl Made {
    /// The shape, and every input that is not volatile.
    pub(super) fn key(&self, volatile: &Fields) -> String {
        let none = BTreeSet::new();
        let volatile = volatile.get(&self.kind).unwrap_or(&none);
        let inputs = self.inputs.iter().enumerate();
        let stable: Vec<u64> =
            inputs.filter(|(at, _)| !volatile.contains(at)).map(|(_, value)| *value).collect();
        format!("{} {stable:x?}", self.shape)
    }

    /// What comes back: scalars, then words of the structure.
    pub(super) fn outputs(&self) -> impl Iterator<Item = (Field, u64)> + '_ {
        let scalars = self.scalars_out.iter().enumerate();
        let scalars = scalars.map(|(at, value)| (Field::ScalarOutput(at), *value));
        let words = self.output.iter().enumerate();
        let field = |at: usize| Field::StructureOutput((at * WORD) as u64, WORD as u64);
        scalars.chain(words.map(move |(at, value)| (field(at), *value)))
    }

    /// True where a rule's field is this input.
    pub(super) fn is_input(&self, at: usize, field: Field) -> bool {
        match field {
            Field::ScalarInput(index) => index == at && at < self.scalars,
            Field::StructureInput(offset, length) if at >= self.scalars => {
                let own = ((at - self.scalars) * WORD) as u64;
                own >= offset && own - offset < length
            }
            _ => false,
        }
    }
}

/// The values of each field of each kind, by run.
type Sets<'a, F> = BTreeMap<(&'a str, F), BTreeMap<usize, BTreeSet<u64>>>;

/// The fields that have not the same set of values in every run that has such calls.
fn unlike<'a, F: Ord + Copy>(sets: &Sets<'a, F>) -> BTreeSet<(&'a str, F)> {
    let mut fields = BTreeSet::new();
    for (field, runs) in sets {
        let mut runs = runs.values();
        let first = runs.next();
        if runs.any(|values| Some(values) != first) {
            fields.insert(*field);
        }
    }
    fields
}

/// The inputs of each kind that are volatile: the runs of `before` have not the same set of values there, or
/// `own` hands in what none of them has, and was given each such value by its driver before.
pub(super) fn volatile_inputs(before: &[&[Made]], own: &[Made]) -> Fields {
    let mut sets: Sets<'_, usize> = BTreeMap::new();
    for (number, run) in before.iter().enumerate() {
        for call in run.iter() {
            for (at, value) in call.inputs.iter().enumerate() {
                let runs = sets.entry((&call.kind, at)).or_default();
                runs.entry(number).or_default().insert(*value);
            }
        }
    }
    let mut volatile = Fields::new();
    for (kind, at) in unlike(&sets) {
        volatile.entry(kind.to_owned()).or_default().insert(at);
    }
    let mut given: BTreeSet<u64> = BTreeSet::new();
    // By field: whether all that is new was given.
    let mut new: BTreeMap<(&str, usize), bool> = BTreeMap::new();
    for call in own {
        for (at, value) in call.inputs.iter().enumerate() {
            let field = (call.kind.as_str(), at);
            let known =
                sets.get(&field).is_none_or(|runs| runs.values().any(|it| it.contains(value)));
            if !known {
                *new.entry(field).or_insert(true) &= given.contains(value);
            }
        }
        given.extend(call.outputs().map(|(_, value)| value).filter(|value| *value != 0));
    }
    for ((kind, at), all_given) in new {
        if all_given {
            volatile.entry(kind.to_owned()).or_default().insert(at);
        }
    }
    volatile
}

/// A field of what comes back: 0 and the index of a scalar, or 1 and the offset of a word.
type Out = (u8, u64);

fn out(field: Field) -> Out {
    match field {
        Field::ScalarOutput(index) => (0, index as u64),
        Field::StructureOutput(offset, _) => (1, offset),
        _ => (2, 0),
    }
}

fn field((kind, at): Out) -> Field {
    match kind {
        0 => Field::ScalarOutput(at as usize),
        _ => Field::StructureOutput(at, WORD as u64),
    }
}

/// A field of what calls of a selector give back, where something is opened as this.
pub(super) type Answer = (OpenedAs, u32, Field);

/// What of the answers is no contradiction.
#[derive(Debug, Default)]
pub(super) struct Volatile {
    /// The learned runs do not agree on it.
    pub(super) known: Vec<Answer>,
    /// The run has something there that no learned run has: no tape made of those could give it.
    pub(super) unforeseen: Vec<Answer>,
    /// Calls of the run whose own answer has such a thing.
    pub(super) calls: u64,
}

/// The fields of what comes back that are volatile. The runs of `before` have other sets of values there; or
/// the n-th call of a key is answered otherwise there; or the field names what such a field holds: in
/// each of those runs each value of the one comes with one value of the other. Or else what `own` has there is
/// not foreseen.
pub(super) fn volatile_outputs(before: &[&[Made]], own: &[Made], inputs: &Fields) -> Volatile {
    let mut sets: Sets<'_, Out> = BTreeMap::new();
    let mut answers: BTreeMap<(String, usize), &Made> = BTreeMap::new();
    let mut volatile: BTreeSet<(&str, Out)> = BTreeSet::new();
    let mut kinds: BTreeMap<&str, Runs<'_>> = BTreeMap::new();
    for (run, calls) in before.iter().enumerate() {
        let mut repeats: BTreeMap<String, usize> = BTreeMap::new();
        for call in calls.iter() {
            let runs = kinds.entry(&call.kind).or_default();
            runs.entry((run, &call.shape)).or_default().push(call);
            for (field, value) in call.outputs() {
                let runs = sets.entry((&call.kind, out(field))).or_default();
                runs.entry(run).or_default().insert(value);
            }
            let key = call.key(inputs);
            let repeat = repeats.entry(key.clone()).or_default();
            let first = answers.entry((key, *repeat)).or_insert(call);
            *repeat += 1;
            for ((field, one), (same, other)) in first.outputs().zip(call.outputs()) {
                if field == same && one != other {
                    volatile.insert((&call.kind, out(field)));
                }
            }
        }
    }
    volatile.extend(unlike(&sets));
    let mut named: BTreeSet<(&str, Out)> = BTreeSet::new();
    for (kind, field) in sets.keys().filter(|field| !volatile.contains(*field)) {
        let others = volatile.range((*kind, (0, 0))..=(*kind, (1, u64::MAX)));
        if others.into_iter().any(|(_, other)| names(&kinds[kind], *field, *other)) {
            named.insert((kind, *field));
        }
    }
    volatile.extend(named);
    let mut unforeseen: BTreeSet<(&str, Out)> = BTreeSet::new();
    let mut calls = 0;
    for call in own {
        let is_new = |(at, value): &(Field, u64)| {
            let field = (call.kind.as_str(), out(*at));
            !volatile.contains(&field)
                && sets.get(&field).is_some_and(|runs| runs.values().all(|it| !it.contains(value)))
        };
        let new: Vec<Out> = call.outputs().filter(is_new).map(|(at, _)| out(at)).collect();
        calls += u64::from(!new.is_empty());
        unforeseen.extend(new.into_iter().map(|at| (call.kind.as_str(), at)));
    }
    let told = |fields: BTreeSet<(&str, Out)>| {
        let answer = |(kind, at): (&str, Out)| {
            let call = kinds.get(kind)?.values().flatten().next()?;
            Some((call.on.clone()?, call.selector, field(at)))
        };
        fields.into_iter().filter_map(answer).collect()
    };
    Volatile { known: told(volatile), unforeseen: told(unforeseen), calls }
}

/// Calls of a kind, by run and shape.
type Runs<'a> = BTreeMap<(usize, &'a str), Vec<&'a Made>>;

/// True where on each connection of each run the values of both fields come in pairs, several and again and
/// again.
fn names(runs: &Runs<'_>, one: Out, other: Out) -> bool {
    let of = |call: &Made, at: Out| match at {
        (0, index) => call.scalars_out.get(index as usize).copied(),
        (_, offset) => call.output.get(offset as usize / WORD).copied(),
    };
    let (mut several, mut again) = (false, false);
    let all = runs.values().all(|calls| {
        let (mut there, mut back) = (BTreeMap::new(), BTreeMap::new());
        let one_to_one = calls.iter().all(|call| {
            let (one, other) = (of(call, one), of(call, other));
            *there.entry(one).or_insert(other) == other && *back.entry(other).or_insert(one) == one
        });
        several |= there.len() > 1;
        again |= there.len() > 1 && calls.len() >= there.len() * 2;
        one_to_one
    });
    all && several && again
}
