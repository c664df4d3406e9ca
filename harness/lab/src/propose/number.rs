//! What a column of numbers means.

use super::samples::{Column, Given};
use std::collections::{BTreeMap, BTreeSet};

/// Names of an enumeration that are proposed at most, and its largest value.
const NAMES_MAX: usize = 12;
const ENUM_VALUE_MAX: u64 = 0xff;

/// Values from which a course is called one.
const COURSE_MIN: usize = 6;

/// What numbers are taken for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Nothing more than numbers.
    Plain,
    /// The same each time.
    Constant(u64),
    /// Goes up, mostly by one step.
    Counter,
    /// Was given by the dext before: by calls of this selector, there.
    Issued(u32, Given),
    /// One of a few small values.
    Enum(Vec<u64>),
    /// Made of a few bits.
    Flags(Vec<u64>),
    /// Addresses of a program.
    Address,
    /// Four printable characters.
    FourCharacters,
}

impl Meaning {
    /// How a field of this meaning is called, before its place.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Plain | Self::Constant(_) => "field",
            Self::Counter => "counter",
            Self::Issued(..) => "handle",
            Self::Enum(_) => "choice",
            Self::Flags(_) => "flags",
            Self::Address => "address",
            Self::FourCharacters => "code",
        }
    }
}

/// What a column means, and the evidence in a few words.
pub(super) fn meaning(column: &Column) -> (Meaning, String) {
    let values = &column.values;
    let told = evidence(values);
    if let Some((at, from)) = issued(column) {
        let (selector, given) = at;
        let place = match given {
            Given::Returned(index) => format!("returned scalar {index}"),
            Given::Completion(index) => format!("argument {index} of completions"),
        };
        let all = values.iter().filter(|value| **value != 0).count();
        let told = format!("{told}; {from} of {all} were {place} of selector {selector} before");
        return (Meaning::Issued(selector, given), told);
    }
    (course(values), told)
}

/// What numbers mean by themselves.
pub(super) fn course(values: &[u64]) -> Meaning {
    let distinct: BTreeSet<u64> = values.iter().copied().collect();
    match (distinct.first(), distinct.len()) {
        (None, _) => return Meaning::Plain,
        (Some(only), 1) => return Meaning::Constant(*only),
        _ => {}
    }
    if counts(values) {
        return Meaning::Counter;
    }
    // Above what no program maps, below what no processor addresses, as malloc and pages align.
    let is_address = |value: &u64| *value >= 1 << 32 && *value < 1 << 47 && value.is_multiple_of(4);
    if distinct.iter().filter(|value| **value != 0).all(is_address) {
        return Meaning::Address;
    }
    if let Some(bits) = flags(&distinct) {
        return Meaning::Flags(bits);
    }
    let few = distinct.len() <= NAMES_MAX && distinct.len() * 3 <= values.len();
    // Yes and no need no names.
    let many = values.len() >= COURSE_MIN && distinct.last() > Some(&1);
    if few && many && distinct.last().is_some_and(|largest| *largest <= ENUM_VALUE_MAX) {
        return Meaning::Enum(distinct.into_iter().collect());
    }
    Meaning::Plain
}

/// Values that go up, more than half of them by the same step.
fn counts(values: &[u64]) -> bool {
    let mut steps: BTreeMap<u64, usize> = BTreeMap::new();
    for two in values.windows(2) {
        let Some(step) = two[1].checked_sub(two[0]).filter(|step| *step > 0) else { return false };
        *steps.entry(step).or_default() += 1;
    }
    values.len() >= COURSE_MIN
        && steps.values().max().is_some_and(|most| most * 2 > values.len() - 1)
}

/// The bits of which the values are made: most values are single bits, some several, and half of the bits or
/// more are in several values; sizes are powers of two, too, but few of them share their bits. Numbers in a row are no
/// flags.
fn flags(distinct: &BTreeSet<u64>) -> Option<Vec<u64>> {
    let all = distinct.iter().fold(0, |all, value| all | value);
    let bits: Vec<u64> = (0..64).map(|bit| 1 << bit).filter(|bit| all & bit != 0).collect();
    let several = distinct.iter().filter(|value| value.count_ones() > 1).count();
    let single = distinct.iter().filter(|value| value.count_ones() == 1).count();
    let shared =
        bits.iter().filter(|bit| distinct.iter().filter(|it| *it & **bit != 0).count() > 1).count();
    let (first, last) = (distinct.first()?, distinct.last()?);
    let in_a_row = last - first < distinct.len() as u64 * 2;
    let is_it = several >= 1
        && single >= 2
        && single * 2 >= several
        && shared * 2 >= bits.len()
        && (2..=8).contains(&bits.len())
        && !in_a_row
        && all.count_ones() as usize <= distinct.len();
    is_it.then_some(bits)
}

/// Where the dext gave all values before, as far as they are not 0: numbers that small ones could be by
/// chance must be several.
fn issued(column: &Column) -> Option<((u32, Given), u64)> {
    let values: Vec<u64> = column.values.iter().copied().filter(|value| *value != 0).collect();
    let distinct: BTreeSet<u64> = values.iter().copied().collect();
    let telling = distinct.iter().any(|value| *value > 0xffff) || distinct.len() >= 4;
    let (at, count) = column.given.iter().max_by_key(|(_, count)| **count)?;
    (telling && values.len() >= 2 && *count == values.len() as u64).then_some((*at, *count))
}

/// The values in a few words.
pub(super) fn evidence(values: &[u64]) -> String {
    let distinct: BTreeSet<u64> = values.iter().copied().collect();
    let (Some(least), Some(most)) = (distinct.first(), distinct.last()) else {
        return "never seen".to_owned();
    };
    let times = match values.len() {
        1 => "once".to_owned(),
        many => format!("in {many}"),
    };
    if distinct.len() == 1 {
        return format!("{least:#x} {times}");
    }
    let mut told = format!("{least:#x} to {most:#x}, {} different {times}", distinct.len());
    let step = distinct.iter().fold(0, |bits, value| bits | value).trailing_zeros();
    if step >= 4 {
        told += &format!(", multiples of {:#x}", 1_u64 << step);
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn courses_are_told_apart() {
        assert_eq!(course(&[5; 4]), Meaning::Constant(5));
        assert_eq!(course(&[1, 2, 3, 4, 6, 7]), Meaning::Counter);
        assert_eq!(course(&[1, 2, 3]), Meaning::Plain, "three teach nothing");
        assert_eq!(course(&[9, 5, 9, 5, 5, 9]), Meaning::Enum(vec![5, 9]));
        assert_eq!(course(&[0x10, 0x40, 0x50, 0x10, 0x40]), Meaning::Flags(vec![0x10, 0x40]));
        assert_eq!(course(&[1, 2, 3, 2, 1, 3, 2, 1, 1]), Meaning::Enum(vec![1, 2, 3]));
        assert_eq!(course(&[0x1_2000_4000, 0, 0x1_2000_8000]), Meaning::Address);
        assert_eq!(course(&[7, 70, 7000, 3]), Meaning::Plain);
        assert_eq!(course(&[0, 1, 0, 1, 1, 1, 0]), Meaning::Plain, "yes and no");
        assert_eq!(course(&[1, 2, 4, 6, 8, 16, 32, 64, 128]), Meaning::Plain, "sizes");
        assert_eq!(course(&[0x22, 5, 0x36, 9, 1, 0x11, 0x1d, 0x2c]), Meaning::Plain, "numbers");
    }

    #[test]
    fn a_handle_is_what_was_given_and_small_numbers_may_be_chance() {
        let of = |values: &[u64], given: u64| Column {
            values: values.to_vec(),
            given: [((3, Given::Returned(0)), given)].into(),
        };
        let (issued, told) = meaning(&of(&[0xabcd_0001, 0xabcd_0002, 0], 2));
        assert_eq!(issued, Meaning::Issued(3, Given::Returned(0)));
        assert!(told.ends_with("2 of 2 were returned scalar 0 of selector 3 before"), "{told}");
        assert_eq!(meaning(&of(&[1, 2, 1], 3)).0, Meaning::Plain);
        assert_eq!(meaning(&of(&[0xabcd_0001, 0xabcd_0002], 1)).0, Meaning::Plain);
    }
}
