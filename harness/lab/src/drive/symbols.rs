//! Values that stand for others, by the rules of the tape's header.

use dextape::tape::{FieldRule, OpenedAs};
use std::collections::BTreeMap;

/// What is bound so far, one to one within each name.
#[derive(Debug, Default)]
pub(super) struct Symbols {
    found: BTreeMap<(String, Vec<u8>), Vec<u8>>,
    recorded: BTreeMap<(String, Vec<u8>), Vec<u8>>,
}

impl Symbols {
    pub(super) fn len(&self) -> u64 {
        self.found.len() as u64
    }

    /// Binds a recorded value to the one found, or sees whether it is bound so.
    pub(super) fn agree(&mut self, name: &str, recorded: &[u8], found: &[u8]) -> bool {
        let (recorded, found) = (trimmed(recorded), trimmed(found));
        let known = self.found.get(&(name.to_owned(), recorded.clone()));
        let taken = self.recorded.get(&(name.to_owned(), found.clone()));
        let agrees = known.is_none_or(|known| *known == found)
            && taken.is_none_or(|taken| *taken == recorded);
        if agrees {
            self.found.insert((name.to_owned(), recorded.clone()), found.clone());
            self.recorded.insert((name.to_owned(), found), recorded);
        }
        agrees
    }

    /// Puts what a recorded value stands for in its place, where it is known and fits.
    pub(super) fn translate(&self, name: &str, bytes: &mut [u8]) {
        if let Some(found) = self.found.get(&(name.to_owned(), trimmed(bytes)))
            && found.len() <= bytes.len()
        {
            bytes.fill(0);
            bytes[..found.len()].copy_from_slice(found);
        }
    }
}

/// A number is the same in four bytes and in eight.
fn trimmed(bytes: &[u8]) -> Vec<u8> {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    bytes[..end].to_vec()
}

/// The rules for calls of a selector, on a connection that was opened as this.
pub(super) fn rules<'a>(
    rules: &'a [FieldRule],
    on: Option<&'a OpenedAs>,
    selector: u32,
) -> impl Iterator<Item = &'a FieldRule> {
    rules.iter().filter(move |rule| {
        rule.selector.is_none_or(|own| own == selector)
            && rule.on.as_ref().is_none_or(|own| Some(own) == on)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_is_bound_one_to_one_and_translated_in_its_width() {
        let mut symbols = Symbols::default();
        assert!(symbols.agree("session", &7_u64.to_le_bytes(), &9_u64.to_le_bytes()));
        assert!(symbols.agree("session", &7_u32.to_le_bytes(), &9_u32.to_le_bytes()));
        assert!(!symbols.agree("session", &[7], &[8]), "7 stands for 9");
        assert!(!symbols.agree("session", &[6], &[9]), "9 stands for 7");
        assert!(symbols.agree("other", &[6], &[9]), "names have nothing in common");
        let mut bytes = 7_u32.to_le_bytes();
        symbols.translate("session", &mut bytes);
        assert_eq!(bytes, 9_u32.to_le_bytes());
    }
}
