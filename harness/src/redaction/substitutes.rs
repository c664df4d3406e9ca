//! Known private values, and what is put in their place wherever they stand.

use super::{Encoded, PrivateValue, Pseudonym, VALUE_MIN, encodings};
use aho_corasick::AhoCorasick;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The most values that are looked for.
const VALUES_MAX: usize = 4096;

/// Values that have become known, and the pseudonym of each.
///
/// # Examples
///
/// ```
/// use dextape::redaction::{PrivateValue, Pseudonym, Substitutes};
///
/// let mut substitutes = Substitutes::new(Pseudonym::new([7; 32]));
/// substitutes.learn(&PrivateValue::of_text("C02XL0GYJGH5").unwrap());
/// let mut bytes = *b"<C02XL0GYJGH5>";
/// let mut forms = Vec::new();
/// substitutes.replace(&mut bytes, &mut |form| forms.push(form));
/// assert!(!bytes.windows(6).any(|part| part == b"XL0GYJ"));
/// assert_eq!((forms, bytes[0], bytes[13]), (vec!["text"], b'<', b'>'));
/// ```
pub struct Substitutes {
    pseudonym: Pseudonym,
    others: BTreeMap<PrivateValue, PrivateValue>,
    /// Searches over some of the values each; each has at least twice as many as the next, so that a value is
    /// taken into a larger one only now and then.
    tiers: Vec<Tier>,
}

struct Tier {
    values: Vec<PrivateValue>,
    forms: Vec<Form>,
    automaton: AhoCorasick,
}

/// A form of a value, and what stands in its place.
struct Form {
    original: Encoded,
    other: Encoded,
    /// Longer values come first, and of one value the earlier form.
    order: (usize, usize),
}

/// A form that was found: where it begins.
struct Found<'a> {
    begin: usize,
    form: &'a Form,
}

impl Substitutes {
    /// Knows nothing.
    #[must_use]
    pub fn new(pseudonym: Pseudonym) -> Self {
        Self { pseudonym, others: BTreeMap::new(), tiers: Vec::new() }
    }

    /// How many values are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.others.len()
    }

    /// True where none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.others.is_empty()
    }

    /// Has a value replaced by its pseudonym from now on. False where there are too many already: it is
    /// not looked for then.
    pub fn learn(&mut self, value: &PrivateValue) -> bool {
        let other = value.pseudonym(&self.pseudonym);
        self.learn_as(value, &other)
    }

    /// Has a value replaced by another one of its kind and length. One that is known keeps what it has.
    /// False as above.
    pub fn learn_as(&mut self, value: &PrivateValue, other: &PrivateValue) -> bool {
        if self.others.contains_key(value) {
            return true;
        }
        if self.others.len() >= VALUES_MAX {
            return false;
        }
        self.others.insert(value.clone(), other.clone());
        let mut values = vec![value.clone()];
        while let Some(last) = self.tiers.pop_if(|last| last.values.len() < 2 * values.len()) {
            values.extend(last.values);
        }
        match Tier::new(values, &self.others, &self.pseudonym) {
            Some(tier) => {
                self.tiers.push(tier);
                true
            }
            None => false,
        }
    }

    /// What stands in the place of a value, where it is known.
    #[must_use]
    pub fn other(&self, value: &PrivateValue) -> Option<&PrivateValue> {
        self.others.get(value)
    }

    /// Replaces all known values in `bytes`, in whatever form; tells `told` the name of the form of each.
    pub fn replace(&self, bytes: &mut [u8], told: &mut dyn FnMut(&'static str)) {
        let mut found: Vec<Found<'_>> = Vec::new();
        for tier in &self.tiers {
            found.extend(
                tier.automaton.find_overlapping_iter(&*bytes).map(|it| Found {
                    begin: it.start(),
                    form: &tier.forms[it.pattern().as_usize()],
                }),
            );
        }
        found.sort_by_key(|found| (found.form.order, found.begin));
        let mut done: BTreeSet<usize> = BTreeSet::new();
        for Found { begin, form } in found {
            let end = begin + form.original.bytes.len();
            // Half of it has just become something else, so it is no longer there.
            if done.range(begin..end).next().is_some() {
                continue;
            }
            bytes[begin..end].copy_from_slice(&form.other.bytes);
            done.extend(begin..end);
            if let Some(edges) = form.other.edges {
                let before = begin.checked_sub(1).filter(|at| !done.contains(at));
                if let Some(at) = before {
                    bytes[at] = edges.before(bytes[at]).unwrap_or(bytes[at]);
                }
                if let Some(behind) = bytes.get_mut(end).filter(|_| !done.contains(&end)) {
                    *behind = edges.behind(*behind).unwrap_or(*behind);
                }
            }
            told(form.original.name);
        }
    }
}

impl Tier {
    fn new(
        values: Vec<PrivateValue>,
        others: &BTreeMap<PrivateValue, PrivateValue>,
        pseudonym: &Pseudonym,
    ) -> Option<Self> {
        let mut forms = Vec::new();
        for value in &values {
            let mut seen = BTreeSet::new();
            let pairs = encodings(value).into_iter().zip(encodings(others.get(value)?));
            for (index, (original, mut other)) in pairs.enumerate() {
                // What a form is too short for would be found by chance.
                if original.bytes.len() < VALUE_MIN || !seen.insert(original.bytes.clone()) {
                    continue;
                }
                // A form that is not as long gets one of its own.
                if other.bytes.len() != original.bytes.len() {
                    other = original.clone();
                    pseudonym.replace(&mut other.bytes, super::Form::Text);
                    other.edges = None;
                }
                let order = (usize::MAX - value.bytes().len(), index);
                forms.push(Form { original, other, order });
            }
        }
        let automaton = AhoCorasick::new(forms.iter().map(|form| &form.original.bytes)).ok()?;
        Some(Self { values, forms, automaton })
    }
}

impl fmt::Debug for Substitutes {
    /// The values are not shown: messages end in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Substitutes").field("values", &self.others.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;

    fn values(count: usize) -> Vec<PrivateValue> {
        (0..count).map(|n| PrivateValue::of_text(&format!("SERIAL-{n:05}")).unwrap()).collect()
    }

    #[test]
    fn each_of_many_values_is_replaced_whenever_it_became_known() {
        let mut substitutes = Substitutes::new(Pseudonym::new([1; 32]));
        let values = values(37);
        let mut text = values.iter().flat_map(|value| value.bytes().to_vec()).collect::<Vec<_>>();
        for value in &values {
            assert!(substitutes.learn(value));
        }
        assert!(substitutes.tiers.len() <= 6, "37 values in tiers that double");
        let mut count = 0;
        substitutes.replace(&mut text, &mut |_| count += 1);
        assert_eq!(count, 37);
        for value in &values {
            assert!(!text.windows(12).any(|part| part == value.bytes()));
        }
        let again = substitutes.other(&values[3]).unwrap().bytes().to_vec();
        assert_eq!(&text[36..48], again, "in its own place");
    }

    #[test]
    fn what_shares_a_character_of_base64_changes_with_the_value() {
        let value = PrivateValue::of_text("C02XL0GYJGH5").unwrap();
        let mut substitutes = Substitutes::new(Pseudonym::new([1; 32]));
        substitutes.learn(&value);
        let other = substitutes.other(&value).unwrap().bytes().to_vec();
        for before in 0..4 {
            let whole = [&vec![b'~'; before], value.bytes(), b"!"].concat();
            let mut text = base64::prelude::BASE64_STANDARD.encode(whole).into_bytes();
            substitutes.replace(&mut text, &mut |form| assert_eq!(form, "base64"));
            let decoded = base64::prelude::BASE64_STANDARD.decode(&text).unwrap();
            assert_eq!(decoded, [&vec![b'~'; before], &*other, b"!"].concat());
        }
    }

    #[test]
    fn values_have_an_end() {
        let mut substitutes = Substitutes::new(Pseudonym::new([1; 32]));
        let one = PrivateValue::of_text("abcd").unwrap();
        substitutes.others = values(VALUES_MAX).into_iter().map(|it| (it.clone(), it)).collect();
        assert!(!substitutes.learn(&one));
        assert_eq!(format!("{substitutes:?}"), "Substitutes { values: 4096, .. }");
    }
}
