//! What a matching dictionary for the registry looks like.

use dextape::connection::{Matching, Value};
use std::collections::BTreeMap;

/// `kIOPropertyMatchKey`: a dictionary of properties that the service must have.
const PROPERTY_MATCH: &str = "IOPropertyMatch";

/// The keys that the registry itself compares; it ignores all others at the top of a matching
/// dictionary, so they have to stand under `IOPropertyMatch`.
const KEYS_OF_THE_REGISTRY: &[&str] = &[
    Matching::CLASS,
    Matching::NAME,
    PROPERTY_MATCH,
    "IOBSD Name",
    "IOLocationMatch",
    "IOParentMatch",
    "IOPathMatch",
    "IOPropertyExistsMatch",
    "IORegistryEntryID",
    "IOResourceMatch",
];

/// The entries of the matching dictionary for `matching`. The class of a dext (`IOUserClass`) and its
/// bundle identifier are properties of its service, and so is every other condition that the registry
/// has no key for.
pub(super) fn table(matching: &Matching) -> BTreeMap<String, Value> {
    let mut table = BTreeMap::new();
    let mut properties = BTreeMap::new();
    for (key, value) in matching.conditions() {
        let place = if KEYS_OF_THE_REGISTRY.contains(&key) { &mut table } else { &mut properties };
        place.insert(key.to_owned(), value.clone());
    }
    if properties.is_empty() {
        return table;
    }
    match table.get_mut(PROPERTY_MATCH) {
        Some(Value::Dictionary(stated)) => stated.extend(properties),
        _ => {
            table.insert(PROPERTY_MATCH.to_owned(), Value::Dictionary(properties));
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(table: &BTreeMap<String, Value>) -> Vec<&str> {
        table.keys().map(String::as_str).collect()
    }

    #[test]
    fn class_and_name_stand_at_the_top() {
        assert_eq!(keys(&table(&Matching::service("AppleSMC"))), ["IOProviderClass"]);
        assert_eq!(keys(&table(&Matching::name("AppleSMC"))), ["IONameMatch"]);
    }

    #[test]
    fn what_names_a_dext_is_a_property() {
        let matching = Matching::service("IOUserService")
            .property(Matching::USER_CLASS, "NullDriver")
            .property(Matching::BUNDLE_ID, "org.example.null");
        let table = table(&matching);
        assert_eq!(keys(&table), ["IOPropertyMatch", "IOProviderClass"]);
        let Some(Value::Dictionary(properties)) = table.get("IOPropertyMatch") else {
            panic!("no dictionary in {table:?}");
        };
        assert_eq!(keys(properties), ["CFBundleIdentifier", "IOUserClass"]);
        assert_eq!(properties["IOUserClass"], Value::from("NullDriver"));
    }

    #[test]
    fn properties_join_those_that_the_client_states_itself() {
        let stated = BTreeMap::from([("idVendor".to_owned(), Value::from(0x05ac))]);
        let matching =
            Matching::user_class("X").property("IOPropertyMatch", Value::Dictionary(stated));
        let table = table(&matching);
        let Some(Value::Dictionary(properties)) = table.get("IOPropertyMatch") else {
            panic!("no dictionary in {table:?}");
        };
        assert_eq!(keys(properties), ["IOUserClass", "idVendor"]);
    }
}
