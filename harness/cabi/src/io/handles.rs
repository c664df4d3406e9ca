//! Callbacks and their contexts as numbers: where a program's functions and its heap lie differs from
//! run to run, and a tape must not.

use dextape::limits::{ASYNC_CALLOUT_FUNCTION_INDEX, ASYNC_CALLOUT_REFCON_INDEX};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Words below this are no addresses: they stay what they are, as long as they can.
const SMALL: u64 = 1 << 16;

/// Numbers at once; a client with more has them all different anyway.
const NUMBERS_MAX: usize = 1 << 20;

/// Words of the client and their numbers, one to one.
#[derive(Debug, Default)]
struct Numbers {
    numbers: HashMap<u64, u64>,
    words: HashMap<u64, u64>,
    next: u64,
}

impl Numbers {
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
        let number = if word < SMALL && !self.words.contains_key(&word) {
            word
        } else {
            loop {
                self.next += 1;
                if !self.words.contains_key(&self.next) {
                    break self.next;
                }
            }
        };
        self.numbers.insert(word, number);
        self.words.insert(number, word);
        number
    }

    fn word(&self, number: u64) -> u64 {
        self.words.get(&number).copied().unwrap_or(number)
    }
}

/// One table for callbacks, one for contexts.
static TABLES: Mutex<Option<[Numbers; 2]>> = Mutex::new(None);

const INDICES: [usize; 2] = [ASYNC_CALLOUT_FUNCTION_INDEX, ASYNC_CALLOUT_REFCON_INDEX];

fn tables() -> MutexGuard<'static, Option<[Numbers; 2]>> {
    TABLES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes numbers of the callback and its context in a reference that goes to the system.
pub(crate) fn to_numbers(reference: &mut [u64]) {
    let mut tables = tables();
    for (table, index) in tables.get_or_insert_with(Default::default).iter_mut().zip(INDICES) {
        if let Some(entry) = reference.get_mut(index) {
            *entry = table.number(*entry);
        }
    }
}

/// Makes them what the client gave, in a reference that comes from the system.
pub(crate) fn from_numbers(reference: &mut [u64]) {
    let tables = tables();
    let Some(tables) = tables.as_ref() else { return };
    for (table, index) in tables.iter().zip(INDICES) {
        if let Some(entry) = reference.get_mut(index) {
            *entry = table.word(*entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Numbers;

    #[test]
    fn addresses_are_numbered_in_order_and_small_words_stay() {
        let mut numbers = Numbers::default();
        let words = [0x7fff_0000_1000, 2, 0x7fff_0000_2000, 0, 0x7fff_0000_1000, 1];
        let given: Vec<_> = words.iter().map(|word| numbers.number(*word)).collect();
        // 1 and 2 are taken when the client says 1, so that is 4.
        assert_eq!(given, [1, 2, 3, 0, 1, 4]);
        let back: Vec<_> = given.iter().map(|number| numbers.word(*number)).collect();
        assert_eq!(back, words);
    }
}
