//! Ports and addresses of a log, and the numbers that stand for them on a tape.

use std::collections::BTreeMap;

/// A name that several rights share, as ports do: it is the same object while there is a right.
#[derive(Debug, Default)]
struct Named {
    number: u32,
    rights: u64,
}

/// Handles of one kind.
#[derive(Debug, Default)]
pub(super) struct Handles {
    live: BTreeMap<u64, Named>,
    last: u32,
}

impl Handles {
    /// A right to the object of this name was given to the client.
    pub(super) fn given(&mut self, name: u64) -> u32 {
        let last = &mut self.last;
        let named = self.live.entry(name).or_insert_with(|| {
            *last += 1;
            Named { number: *last, rights: 0 }
        });
        named.rights += 1;
        named.number
    }

    /// The number of what the client uses. The log need not show where it has it from.
    pub(super) fn used(&mut self, name: u64) -> u32 {
        match self.live.get(&name) {
            Some(named) => named.number,
            None => self.given(name),
        }
    }

    /// The number, where the name is known.
    pub(super) fn known(&self, name: u64) -> Option<u32> {
        self.live.get(&name).map(|named| named.number)
    }

    /// A right was dropped: after the last one the name may stand for something else.
    pub(super) fn dropped(&mut self, name: u64) {
        if let Some(named) = self.live.get_mut(&name) {
            named.rights = named.rights.saturating_sub(1);
            if named.rights == 0 {
                self.live.remove(&name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_object_while_there_is_a_right() {
        let mut handles = Handles::default();
        assert_eq!((handles.given(0x703), handles.given(0x707), handles.given(0x703)), (1, 2, 1));
        handles.dropped(0x703);
        assert_eq!(handles.used(0x703), 1);
        handles.dropped(0x703);
        assert_eq!((handles.known(0x703), handles.used(0x703)), (None, 3));
        handles.dropped(0x999);
    }
}
