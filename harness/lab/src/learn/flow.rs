//! What flows within one run: values that the driver gives and the client hands in again.
//!
//! Such a value is a handle even where it is the same in every run that is at hand.

use super::operations::{CallData, Names, Operation};
use super::place::{At, Place, inputs, outputs};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Most fields that a value stands in which is taken for a handle where a field has no other: one that gives it,
/// and some that take it.
const RARE_MAX: u32 = 6;

/// Fields whose values name the same things: one set of symbols each.
#[derive(Clone, Debug, Default)]
pub(super) struct Flows {
    /// The set of each field.
    pub(super) sets: BTreeMap<Place, u32>,
    /// Of each set its name, and whether the driver gives the values out.
    pub(super) names: Vec<(String, bool)>,
}

/// The distinct values of a field in one run, none of them 0, and how often it had one.
#[derive(Clone, Debug, Default)]
struct Values {
    distinct: BTreeSet<u64>,
    count: u64,
}

/// By field and run.
type Seen = HashMap<Place, Vec<Values>>;

impl Flows {
    /// Finds what flows in all of these runs.
    pub(super) fn find(runs: &[Vec<Operation>], names: &Names) -> Self {
        let seen = values(runs);
        // In how many places each value stands.
        let mut places: HashMap<u64, u32> = HashMap::new();
        for values in seen.values() {
            let all: BTreeSet<u64> = values.iter().flat_map(|it| it.distinct.clone()).collect();
            all.into_iter().for_each(|value| *places.entry(value).or_default() += 1);
        }
        // What says something: several values, or others in each run, or one that hardly stands elsewhere.
        let mut telling: BTreeSet<Place> = BTreeSet::new();
        for (place, values) in &seen {
            let first = &values[0].distinct;
            let several = values.iter().all(|it| it.distinct.len() != 1);
            let rare = |value: &u64| places[value] <= RARE_MAX;
            if several
                || values.iter().any(|it| it.distinct != *first || it.distinct.iter().all(rare))
            {
                telling.insert(*place);
            }
        }
        // Who gives out handles gives out another one nearly each time, or others in each run.
        let gives = |place: &Place| {
            let values = &seen[place];
            let first = &values[0].distinct;
            values.iter().any(|it| it.distinct != *first)
                || values.iter().all(|it| it.distinct.len() as u64 * 2 >= it.count)
        };
        let echoes = echoes(runs);
        let sources: BTreeSet<Place> = telling
            .iter()
            .filter(|place| place.1.is_output() && !echoes.contains_key(place) && gives(place))
            .copied()
            .collect();
        let mut this = Self::default();
        for (place, firsts) in first_uses(runs, &telling, &sources) {
            if let Some(cover) = cover(&firsts) {
                this.join(place, &cover, names);
            }
        }
        this.add_echoes(runs, &telling);
        let differs = |place: &Place| {
            let values = &seen[place];
            values.iter().any(|it| it.distinct != values[0].distinct)
        };
        this.add_client_made(echoes, differs, names);
        this
    }

    /// Puts a field that is handed in into one set with the fields that give its values.
    fn join(&mut self, place: Place, sources: &BTreeSet<Place>, names: &Names) {
        let known = sources.iter().filter_map(|source| self.sets.get(source)).min().copied();
        let set = known.unwrap_or_else(|| {
            let first = sources.first().copied().unwrap_or(place);
            self.names.push((named(first, names), true));
            self.names.len() as u32 - 1
        });
        // Fields of several sets that give values to one field are one set.
        let others: BTreeSet<u32> =
            sources.iter().filter_map(|source| self.sets.get(source)).copied().collect();
        self.sets.values_mut().filter(|own| others.contains(own)).for_each(|own| *own = set);
        self.sets.insert(place, set);
        self.sets.extend(sources.iter().map(|source| (*source, set)));
    }

    /// Outputs that only ever give back what is known by then of one set belong to it.
    fn add_echoes(&mut self, runs: &[Vec<Operation>], telling: &BTreeSet<Place>) {
        let mut fits: BTreeMap<Place, BTreeSet<u32>> = BTreeMap::new();
        let all: BTreeSet<u32> = self.sets.values().copied().collect();
        for place in telling.iter().filter(|(_, at)| at.is_output()) {
            if !self.sets.contains_key(place) {
                fits.insert(*place, all.clone());
            }
        }
        for run in runs {
            let mut known: BTreeSet<(u32, u64)> = BTreeSet::new();
            for call in run.iter().filter_map(|operation| operation.call.as_ref()) {
                for (at, value) in inputs(call).chain(outputs(call)) {
                    if let Some(set) = self.sets.get(&(call.kind, at)) {
                        known.insert((*set, value));
                    }
                }
                for (at, value) in outputs(call).filter(|(_, value)| *value != 0) {
                    if let Some(sets) = fits.get_mut(&(call.kind, at)) {
                        sets.retain(|set| known.contains(&(*set, value)));
                    }
                }
            }
        }
        for (place, sets) in fits {
            if let Some(set) = sets.first() {
                self.sets.insert(place, *set);
            }
        }
    }

    /// What the client makes and the same call gives back, always. Where it is the same in each run, it is
    /// data.
    fn add_client_made(
        &mut self,
        echoes: BTreeMap<Place, At>,
        differs: impl Fn(&Place) -> bool,
        names: &Names,
    ) {
        for (given, handed) in echoes {
            let handed = (given.0, handed);
            if self.sets.contains_key(&given) || !differs(&given) {
                continue;
            }
            let set = self.sets.get(&handed).copied().unwrap_or_else(|| {
                self.names.push((named(handed, names), false));
                self.names.len() as u32 - 1
            });
            self.sets.insert(handed, set);
            self.sets.insert(given, set);
        }
    }

    /// The fields of a call that name things, with their sets and values.
    pub(super) fn of<'a>(
        &'a self,
        call: &'a CallData,
    ) -> impl Iterator<Item = (Place, u32, u64)> + 'a {
        let places = (call.kind, At::Scalar(0))..(call.kind + 1, At::Scalar(0));
        self.sets.range(places).filter_map(|(place, set)| Some((*place, *set, place.1.of(call)?)))
    }
}

fn named((kind, at): Place, names: &Names) -> String {
    let kind = names.kind(kind);
    let on = kind.on.as_ref().map(|on| format!("{} {} ", on.service, on.open_type));
    format!("{}{} {}", on.unwrap_or_default(), kind.selector, at.shown())
}

/// Fields that always give back what the same call hands in, each with where that is. Fields that are always
/// 0 are none.
fn echoes(runs: &[Vec<Operation>]) -> BTreeMap<Place, At> {
    let mut pairs: BTreeMap<Place, Vec<At>> = BTreeMap::new();
    let mut telling: BTreeSet<Place> = BTreeSet::new();
    let mut handed: HashMap<u64, Vec<At>> = HashMap::new();
    for call in runs.iter().flatten().filter_map(|operation| operation.call.as_ref()) {
        handed.clear();
        inputs(call).for_each(|(at, value)| handed.entry(value).or_default().push(at));
        for (at, value) in outputs(call) {
            let place = (call.kind, at);
            if value != 0 {
                telling.insert(place);
            }
            match pairs.get_mut(&place) {
                Some(pairs) => pairs.retain(|handed| handed.of(call) == Some(value)),
                None => {
                    pairs.insert(place, handed.get(&value).cloned().unwrap_or_default());
                }
            }
        }
    }
    pairs.retain(|place, _| telling.contains(place));
    pairs.into_iter().filter_map(|(place, handed)| Some((place, *handed.first()?))).collect()
}

fn values(runs: &[Vec<Operation>]) -> Seen {
    let mut seen: Seen = HashMap::new();
    for (number, run) in runs.iter().enumerate() {
        for call in run.iter().filter_map(|operation| operation.call.as_ref()) {
            for (at, value) in inputs(call).chain(outputs(call)).filter(|(_, value)| *value != 0) {
                let values = seen.entry((call.kind, at)).or_default();
                values.resize(runs.len(), Values::default());
                values[number].distinct.insert(value);
                values[number].count += 1;
            }
        }
    }
    seen
}

/// Of each field that is handed in: its values, each with the fields that gave it out before it was first
/// used. Left out where one was not given out by any.
fn first_uses(
    runs: &[Vec<Operation>],
    telling: &BTreeSet<Place>,
    sources: &BTreeSet<Place>,
) -> BTreeMap<Place, Vec<(u64, BTreeSet<Place>)>> {
    let mut uses: BTreeMap<Place, Vec<(u64, BTreeSet<Place>)>> = BTreeMap::new();
    let mut made: BTreeSet<Place> = BTreeSet::new();
    for run in runs {
        let mut given: HashMap<u64, BTreeSet<Place>> = HashMap::new();
        let mut used: BTreeSet<(Place, u64)> = BTreeSet::new();
        for call in run.iter().filter_map(|operation| operation.call.as_ref()) {
            for (at, value) in inputs(call).filter(|(_, value)| *value != 0) {
                let place = (call.kind, at);
                let skip = made.contains(&place) || !telling.contains(&place);
                if skip || !used.insert((place, value)) {
                    continue;
                }
                match given.get(&value) {
                    Some(from) => uses.entry(place).or_default().push((value, from.clone())),
                    None => {
                        made.insert(place);
                    }
                }
            }
            for (at, value) in outputs(call).filter(|(_, value)| *value != 0) {
                if sources.contains(&(call.kind, at)) {
                    given.entry(value).or_default().insert((call.kind, at));
                }
            }
        }
    }
    uses.retain(|place, _| !made.contains(place));
    uses
}

/// The fewest fields that give all of the values, found greedily; `None` where that takes too many to mean
/// anything.
fn cover(firsts: &[(u64, BTreeSet<Place>)]) -> Option<BTreeSet<Place>> {
    let mut left: Vec<&BTreeSet<Place>> = firsts.iter().map(|(_, from)| from).collect();
    let mut chosen = BTreeSet::new();
    while !left.is_empty() {
        let mut counts: BTreeMap<Place, usize> = BTreeMap::new();
        left.iter()
            .flat_map(|from| from.iter())
            .for_each(|it| *counts.entry(*it).or_default() += 1);
        // Of several as good the first.
        let best = counts.iter().rev().max_by_key(|(_, count)| **count)?;
        let best = *best.0;
        left.retain(|from| !from.contains(&best));
        chosen.insert(best);
    }
    (chosen.len() * 2 <= firsts.len()).then_some(chosen)
}
