//! Field rules, made ready by selector: what is masked, what is a symbol.

use crate::limits::{ASYNC_REFERENCE_MAX, SCALARS_MAX};
use crate::tape::{Comparison, Field, FieldRule, OpenedAs, Tape};
use std::collections::{BTreeMap, HashMap};

/// Number of a set of symbols; rules with one name share it.
pub(in crate::replay) type SymbolSet = u32;

/// How one field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::replay) enum Compare {
    Masked,
    Symbol(SymbolSet),
}

/// The rules of one selector.
#[derive(Clone, Debug, Default)]
pub(in crate::replay) struct CallRules {
    pub(in crate::replay) scalars: [Option<Compare>; SCALARS_MAX],
    pub(in crate::replay) references: [Option<Compare>; ASYNC_REFERENCE_MAX],
    /// Ranges of the structure handed in: offset, length.
    pub(in crate::replay) structure: Vec<(u64, u64, Compare)>,
    pub(in crate::replay) scalars_out: [Option<SymbolSet>; SCALARS_MAX],
    pub(in crate::replay) structure_out: Vec<(u64, u64, SymbolSet)>,
}

/// A rule about writes to a memory type.
#[derive(Clone, Copy, Debug)]
pub(in crate::replay) struct WriteRule {
    pub(in crate::replay) memory_type: u32,
    pub(in crate::replay) offset: u64,
    pub(in crate::replay) length: u64,
    pub(in crate::replay) compare: Compare,
}

/// All rules of a replay.
#[derive(Debug, Default)]
pub(in crate::replay) struct FieldRules {
    every: Option<CallRules>,
    selectors: BTreeMap<u32, CallRules>,
    /// By what a connection was opened as, where rules are about that: those of a selector.
    opened: HashMap<(u32, u32), CallRules>,
    /// The number of what a connection was opened as, where rules are about that.
    connections: HashMap<u32, u32>,
    pub(in crate::replay) writes: Vec<WriteRule>,
    pub(in crate::replay) sets: u32,
    /// The last entry of references is a recorder's mark.
    pub(in crate::replay) marked: bool,
}

/// The rule about the entry of references that a recorder in front of the tape uses.
pub(super) const MARK: FieldRule = FieldRule {
    selector: None,
    on: None,
    field: Field::Reference(ASYNC_REFERENCE_MAX - 1),
    comparison: Comparison::Masked,
};

/// The entries of a reference behind the kernel's and before a recorder's mark; those that were not given are
/// zero (D8).
pub(in crate::replay) fn unmarked(reference: &[u64]) -> impl Iterator<Item = u64> {
    (1..ASYNC_REFERENCE_MAX - 1).map(|place| reference.get(place).copied().unwrap_or(0))
}

impl FieldRules {
    pub(super) fn new<'a>(rules: impl Iterator<Item = &'a FieldRule>, tape: &Tape) -> Self {
        let mut this = Self::default();
        let mut names: HashMap<&str, SymbolSet> = HashMap::new();
        let mut calls: Vec<(Option<u32>, Field, Compare)> = Vec::new();
        let mut kinds: HashMap<&OpenedAs, u32> = HashMap::new();
        let mut opened: Vec<(u32, u32, Field, Compare)> = Vec::new();
        for rule in rules {
            let compare = match &rule.comparison {
                Comparison::Masked => Compare::Masked,
                Comparison::Symbol(name) => {
                    let next = names.len() as u32;
                    Compare::Symbol(*names.entry(name).or_insert(next))
                }
            };
            if let Field::Write { memory_type, offset, length } = rule.field {
                this.writes.push(WriteRule { memory_type, offset, length, compare });
            } else if let (Some(on), Some(selector)) = (&rule.on, rule.selector) {
                let next = kinds.len() as u32;
                let kind = *kinds.entry(on).or_insert(next);
                opened.push((kind, selector, rule.field, compare));
            } else {
                calls.push((rule.selector, rule.field, compare));
            }
        }
        this.sets = names.len() as u32;
        // Rules of every selector first, so that those of one selector override them.
        for (_, field, compare) in calls.iter().filter(|(selector, ..)| selector.is_none()) {
            this.every.get_or_insert_default().add(*field, *compare);
        }
        for (selector, field, compare) in &calls {
            if let Some(selector) = selector {
                let every = this.every.clone().unwrap_or_default();
                this.selectors.entry(*selector).or_insert(every).add(*field, *compare);
            }
        }
        // Those about what a connection was opened as override both.
        for (kind, selector, field, compare) in opened {
            let below = this.selectors.get(&selector).or(this.every.as_ref());
            let rules = this.opened.entry((kind, selector));
            rules.or_insert_with(|| below.cloned().unwrap_or_default()).add(field, compare);
        }
        if !kinds.is_empty() {
            let numbers = tape.opened().into_iter();
            let known = numbers.filter_map(|(number, on)| Some((number, *kinds.get(&on)?)));
            this.connections = known.collect();
        }
        this
    }

    /// True where no rule is about calls.
    pub(in crate::replay) fn has_no_calls(&self) -> bool {
        self.every.is_none() && self.selectors.is_empty() && self.opened.is_empty()
    }

    /// The rules of calls of `selector` on a connection.
    #[inline]
    pub(in crate::replay) fn calls(&self, connection: u32, selector: u32) -> Option<&CallRules> {
        if !self.connections.is_empty()
            && let Some(kind) = self.connections.get(&connection)
            && let Some(rules) = self.opened.get(&(*kind, selector))
        {
            return Some(rules);
        }
        self.selectors.get(&selector).or(self.every.as_ref())
    }

    /// The parts of a write of `length` bytes at `offset` that a rule covers, from the write's
    /// beginning.
    pub(in crate::replay) fn of_write(
        &self,
        memory_type: Option<u32>,
        offset: u64,
        length: u64,
    ) -> Vec<(u64, u64, Compare)> {
        let end = offset.saturating_add(length);
        let covered = self.writes.iter().filter(|rule| Some(rule.memory_type) == memory_type);
        covered
            .filter_map(|rule| {
                let from = rule.offset.max(offset);
                let to = rule.offset.saturating_add(rule.length).min(end);
                (from < to).then(|| (from - offset, to - from, rule.compare))
            })
            .collect()
    }
}

impl CallRules {
    fn add(&mut self, field: Field, compare: Compare) {
        match (field, compare) {
            (Field::ScalarInput(index), _) => {
                if let Some(place) = self.scalars.get_mut(index) {
                    *place = Some(compare);
                }
            }
            (Field::Reference(index), _) => {
                if let Some(place) = self.references.get_mut(index) {
                    *place = Some(compare);
                }
            }
            (Field::StructureInput(offset, length), _) => {
                self.structure.push((offset, length, compare));
            }
            (Field::ScalarOutput(index), Compare::Symbol(set)) => {
                if let Some(place) = self.scalars_out.get_mut(index) {
                    *place = Some(set);
                }
            }
            (Field::StructureOutput(offset, length), Compare::Symbol(set)) => {
                self.structure_out.push((offset, length, set));
            }
            // What is returned comes from the tape, so a mask of it has nothing to compare.
            (Field::ScalarOutput(_) | Field::StructureOutput(..), Compare::Masked)
            | (Field::Write { .. }, _) => {}
        }
    }
}
