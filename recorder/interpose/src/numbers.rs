//! Callbacks and their contexts as numbers: where a program's functions and its heap lie differs from
//! run to run, and a tape must not.

use dextape::limits::{ASYNC_CALLOUT_FUNCTION_INDEX, ASYNC_CALLOUT_REFCON_INDEX};
use std::collections::{HashMap, HashSet};

/// Words below this are no addresses: they stay what they are, as long as they can.
const SMALL: u64 = 1 << 16;

/// Numbers at once; a client with more has them all different anyway.
const NUMBERS_MAX: usize = 1 << 20;

/// Words of the client and their numbers, one to one.
#[derive(Debug, Default)]
struct Table {
    numbers: HashMap<u64, u64>,
    taken: HashSet<u64>,
    next: u64,
}

impl Table {
    fn number(&mut self, word: u64) -> u64 {
        if word == 0 {
            return 0;
        }
        if let Some(number) = self.numbers.get(&word) {
            return *number;
        }
        if self.numbers.len() >= NUMBERS_MAX {
            return word;
        }
        let mut number = word;
        if word >= SMALL || self.taken.contains(&word) {
            self.next += 1;
            while self.taken.contains(&self.next) {
                self.next += 1;
            }
            number = self.next;
        }
        self.numbers.insert(word, number);
        self.taken.insert(number);
        number
    }
}

/// One table for callbacks, one for contexts. The numbers are those that the library which serves
/// mocks to C programs gives, so that a tape of either replays there.
#[derive(Debug, Default)]
pub struct Numbers {
    functions: Table,
    contexts: Table,
}

impl Numbers {
    /// Makes numbers of the callback and its context in a reference that goes on the tape.
    pub fn replace(&mut self, reference: &mut [u64]) {
        if let Some(entry) = reference.get_mut(ASYNC_CALLOUT_FUNCTION_INDEX) {
            *entry = self.functions.number(*entry);
        }
        if let Some(entry) = reference.get_mut(ASYNC_CALLOUT_REFCON_INDEX) {
            *entry = self.contexts.number(*entry);
        }
    }

    /// The number of a context that stands alone.
    pub fn context(&mut self, word: u64) -> u64 {
        self.contexts.number(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_numbered_in_order_and_small_words_stay() {
        let mut numbers = Numbers::default();
        let words = [0x7fff_0000_1000, 2, 0x7fff_0000_2000, 0, 0x7fff_0000_1000, 1];
        let given: Vec<_> = words.iter().map(|word| numbers.context(*word)).collect();
        // 1 and 2 are taken when the client says 1, so that is 4.
        assert_eq!(given, [1, 2, 3, 0, 1, 4]);
    }

    #[test]
    fn callback_and_context_are_numbered_apart_and_the_rest_stays() {
        let mut numbers = Numbers::default();
        let mut reference = [9, 0x1_0000, 0x2_0000, 0x3_0000];
        numbers.replace(&mut reference);
        assert_eq!(reference, [9, 1, 1, 0x3_0000]);
        let mut short = [9, 0x1_0000];
        numbers.replace(&mut short);
        assert_eq!(short, [9, 1]);
    }
}
