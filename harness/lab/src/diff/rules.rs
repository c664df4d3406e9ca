//! The rules of both tapes' headers: which fields are not compared, or as symbols.

use crate::view::{FieldName, Part};
use dextape::tape::{Comparison, Field, Header, OpenedAs};
use std::collections::HashMap;

/// A range of bytes: offset and length.
pub(super) type Range = (u64, u64);

/// Which of the user clients that rules name a connection is to; `None` for any other.
pub(super) type On = Option<usize>;

/// The rules of two headers by what they are about. A rule of either tape holds for both.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// The user clients that rules name.
    opened: Vec<OpenedAs>,
    /// By the word of the field, the user client and the selector; `None` for all of them.
    scalars: HashMap<(&'static str, On, Option<u32>, usize), Comparison>,
    ranges: HashMap<(&'static str, On, Option<u32>), Vec<Range>>,
    /// The same of writes, by memory type; offsets are those in the memory.
    writes: HashMap<u32, Vec<Range>>,
}

impl Rules {
    pub(super) fn of(headers: [&Header; 2]) -> Self {
        let mut rules = Self::default();
        for rule in headers.into_iter().flat_map(|header| &header.rules) {
            let of = (rules.numbered(rule.on.as_ref()), rule.selector);
            let mut scalar = |word, index| {
                let key = (word, of.0, of.1, index);
                rules.scalars.entry(key).or_insert_with(|| rule.comparison.clone());
            };
            let (word, range) = match rule.field {
                Field::ScalarInput(index) => {
                    scalar("scalar", index);
                    continue;
                }
                Field::ScalarOutput(index) => {
                    scalar("returned scalar", index);
                    continue;
                }
                Field::Reference(index) => {
                    scalar("reference", index);
                    continue;
                }
                Field::StructureInput(offset, length) => ("input", (offset, length)),
                Field::StructureOutput(offset, length) => ("output", (offset, length)),
                Field::Write { memory_type, offset, length } => {
                    rules.writes.entry(memory_type).or_default().push((offset, length));
                    continue;
                }
            };
            rules.ranges.entry((word, of.0, of.1)).or_default().push(range);
        }
        rules
    }

    fn numbered(&mut self, on: Option<&OpenedAs>) -> On {
        let on = on?;
        Some(self.on(&on.service, on.open_type).unwrap_or_else(|| {
            self.opened.push(on.clone());
            self.opened.len() - 1
        }))
    }

    /// Which of the user clients that rules name this is.
    pub(super) fn on(&self, service: &str, open_type: u32) -> On {
        self.opened.iter().position(|it| it.service == service && it.open_type == open_type)
    }

    /// The rule of a scalar.
    pub(super) fn scalar(
        &self,
        name: FieldName,
        part: Option<Part>,
        index: usize,
        on: On,
    ) -> Option<&Comparison> {
        if self.scalars.is_empty() {
            return None;
        }
        let keys = keys(part, on);
        keys.into_iter()
            .find_map(|(on, selector)| self.scalars.get(&(name.word, on, selector, index)))
    }

    /// The ranges of a structure or of a memory that are not compared.
    pub(super) fn ranges(&self, name: FieldName, part: Option<Part>, on: On) -> &[Range] {
        let found = match part {
            Some(Part::Memory { memory_type }) if name.word == "data" => {
                self.writes.get(&memory_type)
            }
            _ if self.ranges.is_empty() => None,
            _ => keys(part, on)
                .into_iter()
                .find_map(|(on, selector)| self.ranges.get(&(name.word, on, selector))),
        };
        found.map_or(&[], Vec::as_slice)
    }
}

/// Whose rules hold, those of the fewest calls first.
fn keys(part: Option<Part>, on: On) -> [(On, Option<u32>); 3] {
    let selector = selector_of(part);
    [(on, selector), (None, selector), (None, None)]
}

fn selector_of(part: Option<Part>) -> Option<u32> {
    match part {
        Some(
            Part::Input { selector } | Part::Output { selector } | Part::Completion { selector },
        ) => Some(selector),
        Some(Part::Memory { .. }) | None => None,
    }
}
