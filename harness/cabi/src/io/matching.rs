//! Matching dictionaries.

use crate::cf::{CfRef, Owned, dictionary_value, from_value, to_value};
use crate::raw::In;
use dextape::call::ServiceId;
use dextape::connection::{Matching, Value};
use std::collections::BTreeMap;
use std::ffi::c_char;

/// Properties that the service must have, in a dictionary of their own.
const PROPERTY_MATCH: &str = "IOPropertyMatch";

/// The one entry of the registry that is meant.
const ENTRY_ID: &str = "IORegistryEntryID";

/// Entry numbers of services begin here, as on a Mac far above 32 bits.
const FIRST_ENTRY: u64 = 0x1_0000_0200;

/// The registry's number of a service.
pub(super) fn entry_id(service: ServiceId) -> u64 {
    FIRST_ENTRY.wrapping_add(service.0)
}

/// What a matching dictionary asks for.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) matching: Matching,
    /// The number of the only entry that will do.
    entry: Option<u64>,
}

impl Wanted {
    /// What the dictionary says, which the caller gives away. `None` where it is no dictionary, or
    /// holds what no registry does.
    pub(super) fn consume(dictionary: CfRef) -> Option<Self> {
        if dictionary.is_null() {
            return None;
        }
        let held = Owned::consumed(dictionary);
        let mut conditions = BTreeMap::new();
        let mut entry = None;
        for (key, value) in dictionary_value(held.get())? {
            let value = to_value(value.word())?;
            match (&key[..], value) {
                // The properties are conditions like the others.
                (PROPERTY_MATCH, Value::Dictionary(properties)) => conditions.extend(properties),
                (ENTRY_ID, Value::Number(number)) => entry = Some(number),
                (_, value) => {
                    conditions.insert(key, value);
                }
            }
        }
        Some(Self { matching: conditions.into_iter().collect(), entry })
    }

    /// Leaves those that have the number asked for, if there is one.
    pub(super) fn narrow(&self, services: &mut Vec<ServiceId>) {
        if let Some(entry) = self.entry {
            services.retain(|service| entry_id(*service) == entry);
        }
    }
}

fn dictionary(key: &str, value: Value) -> CfRef {
    from_value(&Value::Dictionary(BTreeMap::from([(key.to_owned(), value)]))).give()
}

fn by_text(key: &str, text: In<c_char>) -> CfRef {
    text.string().map_or(CfRef::NULL, |text| dictionary(key, Value::String(text)))
}

export! {
    fn IOServiceMatching(class: In<c_char>) -> CfRef {
        by_text(Matching::CLASS, class)
    }

    fn IOServiceNameMatching(name: In<c_char>) -> CfRef {
        by_text(Matching::NAME, name)
    }

    fn IOBSDNameMatching(_main: u32, _options: u32, name: In<c_char>) -> CfRef {
        by_text("IOBSD Name", name)
    }

    fn IORegistryEntryIDMatching(entry: u64) -> CfRef {
        dictionary(ENTRY_ID, Value::Number(entry))
    }

    fn IOOpenFirmwarePathMatching(_main: u32, _options: u32, path: In<c_char>) -> CfRef {
        by_text("IOPathMatch", path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cf::Body;

    #[test]
    fn properties_are_conditions_and_the_entry_is_apart() {
        let properties = BTreeMap::from([("IOUserClass".to_owned(), Value::from("Null"))]);
        let dictionary = from_value(&Value::Dictionary(BTreeMap::from([
            ("IOProviderClass".to_owned(), Value::from("IOUserService")),
            (PROPERTY_MATCH.to_owned(), Value::Dictionary(properties)),
            (ENTRY_ID.to_owned(), Value::from(entry_id(ServiceId(2)))),
        ])));
        let wanted = Wanted::consume(dictionary.give()).unwrap();
        let expected = Matching::service("IOUserService").property("IOUserClass", "Null");
        assert_eq!(wanted.matching, expected);
        let mut services = vec![ServiceId(1), ServiceId(2)];
        wanted.narrow(&mut services);
        assert_eq!(services, [ServiceId(2)]);
    }

    #[test]
    fn what_is_no_dictionary_matches_nothing() {
        assert!(Wanted::consume(CfRef::NULL).is_none());
        assert!(Wanted::consume(Owned::make(Body::Boolean(true)).give()).is_none());
    }
}
