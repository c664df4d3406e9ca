//! Where the fields of bytes begin and end.
//!
//! Numbers stand at multiples of their size, as C has them. Of a number that stores its low byte first, the
//! first bytes change more often than the later ones; of one that stores its high byte first, the other way
//! round. A stretch in which neither holds is several fields, and is halved until one does.

use super::number::{Meaning, course, evidence};

/// Printable bytes from which a stretch is a text.
const TEXT_MIN: usize = 5;

/// Bytes without an order from which a stretch is not taken for numbers.
const NOISE_MIN: usize = 16;

/// A field that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) at: usize,
    pub(super) size: usize,
    pub(super) what: What,
    pub(super) evidence: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A number; true where its high byte comes first.
    Number(Meaning, bool),
    Float,
    Text,
    Bytes,
}

/// What is known of each byte.
struct Bytes<'a> {
    contents: &'a [&'a [u8]],
    /// Different values of it.
    distinct: Vec<usize>,
    /// Contents in which it is not 0.
    used: Vec<usize>,
}

/// The fields of contents of one length, in their order. Bytes that were 0 always are in none.
pub(super) fn fields(contents: &[&[u8]]) -> Vec<Found> {
    let size = contents.first().map_or(0, |bytes| bytes.len());
    debug_assert!(contents.iter().all(|bytes| bytes.len() == size));
    let (mut distinct, mut used) = (Vec::with_capacity(size), Vec::with_capacity(size));
    for at in 0..size {
        let mut seen = [false; 256];
        contents.iter().for_each(|bytes| seen[usize::from(bytes[at])] = true);
        distinct.push(seen.iter().filter(|seen| **seen).count());
        used.push(contents.iter().filter(|bytes| bytes[at] != 0).count());
    }
    let bytes = Bytes { contents, distinct, used };
    let mut found = Vec::new();
    let mut at = 0;
    while at < size {
        if let Some(length) = bytes.text(at) {
            found.push(Found {
                at,
                size: length,
                what: What::Text,
                evidence: bytes.quoted(at, length),
            });
            at += length;
        } else if let Some(length) = bytes.noise(at) {
            let evidence = format!("each byte takes many values in {}", contents.len());
            found.push(Found { at, size: length, what: What::Bytes, evidence });
            at += length;
        } else {
            let end = size.min(at - at % 8 + 8);
            let next = (at + 1..end)
                .find(|next| bytes.text(*next).is_some() || bytes.noise(*next).is_some());
            let end = next.unwrap_or(end);
            bytes.chunk(at, end, &mut found);
            at = end;
        }
    }
    found
}

impl Bytes<'_> {
    fn is_used(&self, from: usize, to: usize) -> bool {
        self.used[from..to].iter().any(|used| *used > 0)
    }

    /// The fields between two places within eight bytes.
    fn chunk(&self, from: usize, to: usize, found: &mut Vec<Found>) {
        if !self.is_used(from, to) {
            return;
        }
        let width = (to - from).next_power_of_two();
        let fits = to - from == width && from.is_multiple_of(width);
        if fits && width == 1 {
            found.push(self.number(from, 1, false));
        } else if fits && let Some(high_first) = self.order(from, width) {
            found.push(self.number(from, width, high_first));
        } else {
            // A word of which each half has one byte in use at most is made of bytes.
            let half = from + if fits { width / 2 } else { (width / 2).min(to - from) };
            let lone =
                |from: usize, to: usize| (from..to).filter(|at| self.used[*at] > 0).count() <= 1;
            if fits && width == 4 && lone(from, half) && lone(half, to) {
                (from..to).for_each(|at| self.chunk(at, at + 1, found));
            } else if half > from && half < to {
                self.chunk(from, half, found);
                self.chunk(half, to, found);
            } else {
                (from..to).for_each(|at| self.chunk(at, at + 1, found));
            }
        }
    }

    /// Whether these bytes are one number, and then whether its high byte comes first.
    fn order(&self, at: usize, width: usize) -> Option<bool> {
        let distinct = &self.distinct[at..at + width];
        let used: Vec<bool> = self.used[at..at + width].iter().map(|used| *used > 0).collect();
        let (first, last) = (used.iter().position(|it| *it)?, used.iter().rposition(|it| *it)?);
        if width == 8 {
            // A number of four bytes of its own.
            if self.is_code(at) || self.is_code(at + 4) {
                return None;
            }
            let (low, high) = (first < 4, last >= 4);
            let of_eight = match (low, high) {
                (true, true) => {
                    let values: Vec<u64> = self.values(at, 8, false).collect();
                    course(&values) == Meaning::Address || self.carries(at)
                }
                // Its upper half was 0 always: as wide as what stands beside it.
                (true, false) => self.is_grid(at),
                _ => false,
            };
            if !of_eight {
                return None;
            }
        }
        let falls = |counts: &[usize]| counts.windows(2).all(|two| two[1] * 4 <= two[0] * 5);
        let rises = |counts: &[usize]| counts.windows(2).all(|two| two[0] * 4 <= two[1] * 5);
        let within = &distinct[first..=last];
        // Numbers of which the lower half is 0 always are rare; other fields behind some that are not used
        // are not. With the high byte first the last byte must be used: the order is rarer, and takes more.
        let low_first = falls(within) && first * 2 < width;
        let high_first = rises(within) && last == width - 1;
        match (low_first, high_first) {
            (true, false) => Some(false),
            // A lone byte at the end of two may as well be one that follows another.
            (false, true) if width > 2 || first == 0 => Some(true),
            (true, true) => Some(false),
            _ => None,
        }
    }

    /// Whether the lower half of eight bytes is so full that the upper is its continuation.
    fn carries(&self, at: usize) -> bool {
        let (low, high) = (&self.distinct[at..at + 4], &self.distinct[at + 4..at + 8]);
        low[3] > 1 && low[3] >= high[0] && self.used[at + 3] >= self.used[at + 4]
            || high.iter().all(|count| *count == 1)
                && self.used[at + 7] == self.used[at]
                && self.used[at + 3] == self.used[at]
    }

    /// Whether all numbers around have eight bytes: words in use stand at multiples of eight only.
    fn is_grid(&self, at: usize) -> bool {
        let size = self.used.len();
        let low_only = |at: &usize| self.is_used(*at, at + 4) && !self.is_used(at + 4, at + 8);
        let idle = |at: &usize| !self.is_used(*at, at + 8);
        let mut beside = 0;
        for step in [8_usize, usize::MAX - 7] {
            let mut next = at.wrapping_add(step);
            while next < size && next + 8 <= size && (low_only(&next) || idle(&next)) {
                beside += usize::from(low_only(&next));
                next = next.wrapping_add(step);
            }
        }
        size.is_multiple_of(8) && (beside > 0 || size == 8)
    }

    fn values(&self, at: usize, width: usize, high_first: bool) -> impl Iterator<Item = u64> {
        self.contents.iter().map(move |bytes| {
            let bytes = &bytes[at..at + width];
            let add = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
            if high_first { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) }
        })
    }

    fn number(&self, at: usize, size: usize, high_first: bool) -> Found {
        let values: Vec<u64> = self.values(at, size, high_first).collect();
        let told = evidence(&values);
        if size == 4 && self.is_code(at) {
            let what = What::Number(Meaning::FourCharacters, high_first);
            return Found { at, size, what, evidence: told };
        }
        if size == 4 && !high_first && is_float(&values) {
            return Found { at, size, what: What::Float, evidence: told };
        }
        Found { at, size, what: What::Number(course(&values), high_first), evidence: told }
    }

    /// Four printable characters wherever it is not 0, letters among them.
    fn is_code(&self, at: usize) -> bool {
        let mut codes = self.contents.iter().map(|bytes| &bytes[at..at + 4]).peekable();
        let said = |code: &&[u8]| code.iter().any(|byte| *byte != 0);
        let letters =
            |code: &[u8]| code.iter().filter(|it| it.is_ascii_alphanumeric()).count() >= 3;
        self.used[at..at + 4].iter().all(|used| *used > 0)
            && codes.peek().is_some()
            && codes
                .filter(said)
                .all(|code| code.iter().all(|byte| (b' '..0x7f).contains(byte)) && letters(code))
    }

    /// The length of a text that begins here: printable up to a NUL, nothing behind that, at least once long
    /// enough, with room for the NUL up to what is used next.
    fn text(&self, at: usize) -> Option<usize> {
        let size = self.used.len();
        let begins = |bytes: &&[u8]| bytes[at] == 0 || (b' '..0x7f).contains(&bytes[at]);
        if self.used[at] == 0 || !self.contents.iter().all(begins) {
            return None;
        }
        let length = |bytes: &&[u8]| {
            bytes[at..].iter().take_while(|byte| (b' '..0x7f).contains(*byte)).count()
        };
        let longest = self.contents.iter().map(length).max()?;
        let letters = |bytes: &&[u8]| {
            let told = &bytes[at..at + length(bytes)];
            told.iter().filter(|byte| byte.is_ascii_alphanumeric()).count() * 3 >= told.len() * 2
        };
        if longest < TEXT_MIN || !self.contents.iter().all(letters) {
            return None;
        }
        let room = (longest + 1).next_power_of_two().max(8);
        let behind = at + longest;
        let end = (behind..size.min(at + room)).find(|next| self.used[*next] > 0);
        let end = end.unwrap_or(size.min(at + room));
        let is_clean = |bytes: &&[u8]| bytes[at + length(bytes)..end].iter().all(|byte| *byte == 0);
        self.contents.iter().all(is_clean).then_some(end - at)
    }

    fn quoted(&self, at: usize, length: usize) -> String {
        let mut told: Vec<String> = Vec::new();
        for bytes in self.contents {
            let text: String = bytes[at..at + length]
                .iter()
                .take_while(|byte| **byte != 0)
                .map(|byte| char::from(*byte))
                .collect();
            if !text.is_empty() && !told.contains(&text) {
                told.push(text);
            }
        }
        let shown: Vec<_> = told.iter().take(3).map(|text| format!("{text:?}")).collect();
        format!("such as {}", shown.join(", "))
    }

    /// The length of a stretch in which all bytes take so many values that no order can be seen.
    fn noise(&self, at: usize) -> Option<usize> {
        let count = self.contents.len();
        let is_noise = |at: &usize| self.distinct[*at] * 3 >= count.min(192) * 2;
        if count < 4 || !at.is_multiple_of(4) {
            return None;
        }
        let length = (at..self.used.len()).take_while(is_noise).count();
        let length = length - length % 4;
        (length >= NOISE_MIN).then_some(length)
    }
}

/// Whether numbers of four bytes are more likely floating-point ones: sizes that people use, with digits
/// behind the point.
fn is_float(values: &[u64]) -> bool {
    let said: Vec<f32> = values
        .iter()
        .filter(|value| **value != 0)
        .map(|value| f32::from_bits(*value as u32))
        .collect();
    let usual = |value: &f32| value.is_finite() && (1e-4..1e7).contains(&value.abs());
    let several = values.iter().collect::<std::collections::BTreeSet<_>>().len() >= 3;
    several && said.iter().all(usual) && said.iter().any(|value| value.fract() != 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(contents: &[Vec<u8>]) -> Vec<(usize, usize, What)> {
        let contents: Vec<&[u8]> = contents.iter().map(Vec::as_slice).collect();
        fields(&contents).into_iter().map(|field| (field.at, field.size, field.what)).collect()
    }

    fn places(contents: &[Vec<u8>]) -> Vec<(usize, usize)> {
        found(contents).into_iter().map(|(at, size, _)| (at, size)).collect()
    }

    #[test]
    fn widths_follow_from_which_bytes_change() {
        // A u32, a u16 of which the upper byte changes rarely, two bytes that may as well be one number,
        // a u64 that is full.
        let make = |number: u64| {
            let mut bytes = (number as u32 * 700).to_le_bytes().to_vec();
            bytes.extend((number as u16 * 60).to_le_bytes());
            bytes.extend([(number as u8).wrapping_mul(37), 7]);
            bytes.extend((number * 0x0123_4567_89ab_cdef).to_le_bytes());
            bytes
        };
        let contents: Vec<_> = (1..9).map(make).collect();
        assert_eq!(places(&contents), [(0, 4), (4, 2), (6, 2), (8, 8)]);
    }

    #[test]
    fn the_byte_order_is_that_in_which_the_last_byte_changes_most() {
        let make = |number: u32| (number * 300).to_be_bytes().to_vec();
        let contents: Vec<_> = (1..30).map(make).collect();
        let [(0, 4, What::Number(Meaning::Counter, true))] = &found(&contents)[..] else {
            panic!("{:?}", found(&contents));
        };
    }

    #[test]
    fn texts_codes_and_noise_are_no_numbers() {
        let make = |text: &str, code: &[u8; 4], seed: u8| {
            let mut bytes = vec![0; 16];
            bytes[..text.len()].copy_from_slice(text.as_bytes());
            bytes.extend(code);
            bytes.extend([0; 4]);
            bytes.extend(dextape::tape::sample::noise(seed, 32).iter());
            bytes
        };
        let contents = [
            make("ready", b"23iu", 1),
            make("suspended", b"8iu ", 2),
            make("", b"gpaf", 3),
            make("off", b"23iu", 4),
            make("off", b"23iu", 5),
        ];
        let found = found(&contents);
        assert_eq!(found[0], (0, 16, What::Text));
        assert_eq!(found[1], (16, 4, What::Number(Meaning::FourCharacters, false)));
        assert_eq!(found[2], (24, 32, What::Bytes));
    }

    #[test]
    fn small_numbers_of_eight_bytes_are_known_by_their_neighbours() {
        let make = |one: u64, other: u64| [one.to_le_bytes(), other.to_le_bytes()].concat();
        assert_eq!(places(&[make(300, 4), make(7, 5)]), [(0, 8), (8, 8)]);
        let mut beside = make(300, 4);
        beside[12] = 9;
        assert_eq!(places(&[beside]), [(0, 4), (8, 4), (12, 4)]);
        assert_eq!(places(&[vec![], vec![]]), []);
        assert_eq!(places(&[vec![1, 0, 5]]), [(0, 2), (2, 1)]);
    }
}
