//! Symbols: values that the client makes, which stand for those of the recording.

use super::program::SymbolSet;
use std::collections::HashMap;

/// A value of a symbol. Zeros at its end do not count, so that a number is the same symbol in four
/// bytes of a structure and in a scalar.
type Value = Box<[u8]>;

/// A recorded value and the client's, of one set.
pub(super) struct Pair {
    set: SymbolSet,
    recorded: Value,
    actual: Value,
}

impl Pair {
    pub(super) fn new(set: SymbolSet, recorded: &[u8], actual: &[u8]) -> Self {
        Self { set, recorded: trim(recorded), actual: trim(actual) }
    }
}

fn trim(bytes: &[u8]) -> Value {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    bytes[..end].into()
}

/// What is bound so far: one to one within each set.
#[derive(Debug, Default)]
pub(super) struct Symbols {
    actual: HashMap<(SymbolSet, Value), Value>,
    recorded: HashMap<(SymbolSet, Value), Value>,
}

impl Symbols {
    pub(super) fn len(&self) -> u64 {
        self.actual.len() as u64
    }

    /// True where the pairs agree with what is bound, and with each other.
    pub(super) fn agree(&self, pairs: &[Pair]) -> bool {
        pairs.iter().enumerate().all(|(index, pair)| {
            let known = self.actual.get(&(pair.set, pair.recorded.clone()));
            let taken = self.recorded.get(&(pair.set, pair.actual.clone()));
            let others = pairs[..index].iter().filter(|other| other.set == pair.set);
            known.is_none_or(|actual| *actual == pair.actual)
                && taken.is_none_or(|recorded| *recorded == pair.recorded)
                && others
                    .into_iter()
                    .all(|other| (other.recorded == pair.recorded) == (other.actual == pair.actual))
        })
    }

    pub(super) fn bind(&mut self, pairs: Vec<Pair>) {
        for Pair { set, recorded, actual } in pairs {
            self.recorded.entry((set, actual.clone())).or_insert_with(|| recorded.clone());
            self.actual.entry((set, recorded)).or_insert(actual);
        }
    }

    /// Puts the client's value in the place of the recorded one. A value that nobody bound is the
    /// tape's own and stands for itself from now on.
    pub(super) fn translate(&mut self, set: SymbolSet, bytes: &mut [u8]) {
        let recorded = trim(bytes);
        match self.actual.get(&(set, recorded.clone())) {
            // A longer value than there is room for cannot have been recorded here.
            Some(actual) if actual.len() <= bytes.len() => {
                bytes.fill(0);
                bytes[..actual.len()].copy_from_slice(actual);
            }
            Some(_) => {}
            None => self.bind(vec![Pair { set, recorded: recorded.clone(), actual: recorded }]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(recorded: u64, actual: u64) -> Pair {
        Pair::new(0, &recorded.to_le_bytes(), &actual.to_le_bytes())
    }

    #[test]
    fn first_use_binds_and_later_uses_must_agree_both_ways() {
        let mut symbols = Symbols::default();
        assert!(symbols.agree(&[pair(1, 11)]));
        symbols.bind(vec![pair(1, 11)]);
        assert!(symbols.agree(&[pair(1, 11)]));
        assert!(!symbols.agree(&[pair(1, 12)]), "1 stands for 11");
        assert!(!symbols.agree(&[pair(2, 11)]), "11 stands for 1");
        assert!(symbols.agree(&[pair(2, 12)]));
        assert!(!symbols.agree(&[pair(2, 12), pair(2, 13)]), "within one call, too");
        assert!(!symbols.agree(&[pair(2, 12), pair(3, 12)]));
    }

    #[test]
    fn a_symbol_comes_back_in_its_own_width() {
        let mut symbols = Symbols::default();
        symbols.bind(vec![pair(0x1234, 0x99)]);
        let mut field = 0x1234_u32.to_le_bytes();
        symbols.translate(0, &mut field);
        assert_eq!(u32::from_le_bytes(field), 0x99);
        let mut unknown = 7_u32.to_le_bytes();
        symbols.translate(0, &mut unknown);
        assert_eq!(u32::from_le_bytes(unknown), 7);
        assert!(!symbols.agree(&[pair(7, 8)]), "a value of the tape stands for itself");
    }
}
