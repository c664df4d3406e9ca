//! What differs between runs, and what kind of thing it is.

use super::flow::Flows;
use super::operations::{CallData, Names, Operation};
use super::place::{At, Place, inputs, outputs};
use dextape::tape::{Comparison, FieldRule, OpenedAs};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What kind of thing a field holds that is not the same in each run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FieldClass {
    /// The driver gives it out, and the client hands it in again: a symbol, one to one.
    Handle,
    /// The client makes it, and it stands for the same thing each time.
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
    /// Service that the connection of the calls was opened on, where it has a name.
    pub service: Option<String>,
    /// Type that it was opened with.
    pub open_type: Option<u32>,
    /// Selector of the calls.
    pub selector: u32,
    /// Where it is, such as `input 0x8`.
    pub place: String,
    /// True where the client hands it in.
    pub is_input: bool,
    /// What it is.
    pub class: FieldClass,
    /// True where it is compared all the same, since answers depend on it.
    pub compared_still: bool,
    /// Pairs of calls in which it was compared.
    pub compared: u64,
    /// Pairs of calls in which it differs.
    pub differs: u64,
    /// An example: what two runs have there.
    pub example: (u64, u64),
    /// The rule that covers it; `None` where it is compared still.
    #[serde(skip)]
    pub rule: Option<FieldRule>,
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
    seen: BTreeMap<Place, Seen>,
    /// Calls of which structures of other lengths come back.
    pub(super) lengths: u64,
}

/// How a field that is handed in is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Treatment {
    Symbol(u32),
    Masked,
}

/// The treatment of fields; those without one are compared.
pub(super) type Treatments = BTreeMap<Place, Treatment>;

impl Fields {
    pub(super) fn add(&mut self, one: &Operation, other: &Operation) {
        let (Some(one), Some(other)) = (&one.call, &other.call) else { return };
        self.lengths += u64::from(one.output.len() != other.output.len());
        let ours = inputs(one).chain(outputs(one));
        let theirs = inputs(other).chain(outputs(other));
        // Where one has more of a kind than the other, the rest is in the wrong place.
        let mut theirs = theirs.peekable();
        for (at, value) in ours {
            while theirs.next_if(|(their, _)| *their < at).is_some() {}
            if let Some((_, there)) = theirs.next_if(|(their, _)| *their == at) {
                let seen = self.seen.entry((one.kind, at)).or_default();
                seen.pairs.push((value, there));
                seen.differs += u64::from(value != there);
            }
        }
    }

    fn differing(&self) -> impl Iterator<Item = (&Place, &Seen)> {
        self.seen.iter().filter(|(_, seen)| seen.differs > 0)
    }

    /// How each field that is handed in has to be treated, so that a further run is served.
    pub(super) fn treatments(&self, flows: &Flows, runs: &[Vec<Operation>]) -> Treatments {
        let mut treatments: Treatments = flows
            .sets
            .iter()
            .filter(|((_, at), _)| !at.is_output())
            .map(|(place, set)| (*place, Treatment::Symbol(*set)))
            .collect();
        let calls = |kind: u32| -> Vec<Vec<&CallData>> {
            runs.iter()
                .map(|run| {
                    let calls = run.iter().filter_map(|operation| operation.call.as_ref());
                    calls.filter(|call| call.kind == kind).collect()
                })
                .collect()
        };
        // Those that have nothing in common first, since the others are looked at without them.
        let differing: Vec<Place> =
            self.differing().map(|(place, _)| *place).filter(|(_, at)| !at.is_output()).collect();
        let differing = || differing.iter().filter(|place| !flows.sets.contains_key(place));
        let known = treatments.clone();
        for place in differing() {
            if !self.tells_apart(*place, &known, &calls(place.0)) {
                treatments.insert(*place, Treatment::Masked);
            }
        }
        treatments
    }

    /// True where a field tells calls of one kind apart, as an operation's code does: every run has the same
    /// values there; or they have most in common, and calls that hand in the same but for this field are
    /// answered otherwise.
    fn tells_apart(&self, place: Place, treatments: &Treatments, runs: &[Vec<&CallData>]) -> bool {
        let (kind, at) = place;
        let values: Vec<BTreeSet<u64>> =
            runs.iter().map(|run| run.iter().filter_map(|call| at.of(call)).collect()).collect();
        let values: Vec<&BTreeSet<u64>> = values.iter().filter(|it| !it.is_empty()).collect();
        let calls = || runs.iter().flatten();
        let all = calls().filter_map(|call| at.of(call)).count();
        let shared = |value: &u64| values.iter().all(|values| values.contains(value));
        let known = calls().filter_map(|call| at.of(call)).filter(shared).count();
        if values.len() < 2 || known * 2 < all {
            return false;
        }
        let in_common = values[0].iter().filter(|value| shared(value)).count();
        if known == all {
            // Where nearly each call has another value, that says nothing.
            return in_common * 2 <= all;
        }
        let stable: Vec<At> = self
            .seen
            .range((kind, At::ScalarOut(0))..(kind + 1, At::Scalar(0)))
            .filter(|(_, seen)| seen.differs == 0)
            .map(|((_, at), _)| *at)
            .collect();
        let compared = |(at_other, _): &(At, u64)| {
            *at_other != at && !treatments.contains_key(&(kind, *at_other))
        };
        // Answers to what else is handed in, by value of the field.
        let mut groups: BTreeMap<Vec<(At, u64)>, BTreeMap<u64, BTreeSet<_>>> = BTreeMap::new();
        for call in calls() {
            let Some(value) = at.of(call).filter(shared) else { continue };
            let answer: Vec<Option<u64>> = stable.iter().map(|at| at.of(call)).collect();
            let group = groups.entry(inputs(call).filter(compared).collect()).or_default();
            group.entry(value).or_default().insert((call.answer, answer));
        }
        groups.values().any(|group| {
            let answers: Vec<_> = group.values().collect();
            let mut pairs = answers.iter().enumerate();
            pairs.any(|(at, one)| answers[..at].iter().any(|other| one.is_disjoint(other)))
        })
    }

    /// The rules, and what they rest on.
    pub(super) fn learn(
        &self,
        flows: &Flows,
        treatments: &Treatments,
        names: &Names,
    ) -> (Vec<FieldRule>, Vec<LearnedField>) {
        let mut rules = BTreeMap::new();
        let rule = |(kind, at): Place, comparison| {
            let kind = names.kind(kind);
            FieldRule {
                selector: Some(kind.selector),
                on: kind.on.clone(),
                field: at.field(),
                comparison,
            }
        };
        let symbol = |set: u32| Comparison::Symbol(flows.names[set as usize].0.clone());
        for (place, set) in &flows.sets {
            rules.insert(*place, rule(*place, symbol(*set)));
        }
        for (place, treatment) in treatments {
            if *treatment == Treatment::Masked {
                rules.insert(*place, rule(*place, Comparison::Masked));
            }
        }
        for (place, _) in self.differing().filter(|((_, at), _)| at.is_output()) {
            rules.entry(*place).or_insert_with(|| rule(*place, Comparison::Masked));
        }
        let fields = self.told(flows, names, &rules);
        (rules.into_values().collect(), fields)
    }

    /// What differs, with the rules that cover it.
    pub(super) fn told(
        &self,
        flows: &Flows,
        names: &Names,
        rules: &BTreeMap<Place, FieldRule>,
    ) -> Vec<LearnedField> {
        let fields = self.differing().map(|(place, seen)| {
            let class = match flows.sets.get(place) {
                Some(set) if flows.names[*set as usize].1 => FieldClass::Handle,
                Some(_) => FieldClass::Pointer,
                None => course(&seen.pairs, !place.1.is_output()),
            };
            told(*place, class, seen, names, rules.get(place).cloned())
        });
        fields.collect()
    }

    /// Fields that are handed in, differ, and are compared all the same.
    pub(super) fn compared_still(&self, treatments: &Treatments) -> Self {
        let still = |place: &Place| !place.1.is_output() && !treatments.contains_key(place);
        let seen = self.differing().filter(|(place, _)| still(place));
        let copied = |(place, seen): (&Place, &Seen)| {
            (*place, Seen { pairs: seen.pairs.clone(), differs: seen.differs })
        };
        Self { seen: seen.map(copied).collect(), lengths: 0 }
    }
}

fn told(
    (kind, at): Place,
    class: FieldClass,
    seen: &Seen,
    names: &Names,
    rule: Option<FieldRule>,
) -> LearnedField {
    let example = seen.pairs.iter().find(|(one, other)| one != other);
    let kind = names.kind(kind);
    let on = |on: &OpenedAs| (on.service.clone(), on.open_type);
    let (service, open_type) = kind.on.as_ref().map(on).unzip();
    LearnedField {
        service,
        open_type,
        selector: kind.selector,
        place: at.shown(),
        is_input: !at.is_output(),
        class,
        compared_still: rule.is_none(),
        compared: seen.pairs.len() as u64,
        differs: seen.differs,
        example: example.copied().unwrap_or_default(),
        rule,
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
fn course(pairs: &[(u64, u64)], is_input: bool) -> FieldClass {
    let goes_up = |of: Side| pairs.windows(2).all(|two| of(&two[0]) < of(&two[1]));
    let step = |of: Side, two: &[(u64, u64)]| of(&two[1]).wrapping_sub(of(&two[0]));
    let (one, other): (Side, Side) = (|it| it.0, |it| it.1);
    if pairs.len() > 2 && goes_up(one) && goes_up(other) {
        let same = pairs.windows(2).filter(|two| step(one, two) == step(other, two)).count();
        // A step may differ where the system counted something else in between.
        let counts = same * 2 > pairs.len() - 1;
        return if counts { FieldClass::Counter } else { FieldClass::Time };
    }
    // A value of the client's that stands for one of the other run, or did so when it came again.
    if is_input && one_to_one(pairs) {
        return FieldClass::Pointer;
    }
    let distinct: BTreeSet<u64> = pairs.iter().flat_map(|(one, other)| [*one, *other]).collect();
    match pairs.len() > 2 && distinct.len() == pairs.len() * 2 {
        true => FieldClass::Random,
        false => FieldClass::Data,
    }
}
