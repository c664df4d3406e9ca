//! What the calls of a run exercise, as far as its tape tells.

use crate::shown::ShownRules;
use dextape::IoReturn;
use dextape::tape::{Body, Event, Header};
use std::collections::{BTreeMap, BTreeSet};

pub use dextape::coverage::{COMPLETIONS_MAX, Fact};

/// What the events of a tape exercise. Of the rules of the boundary there are those that it
/// [shows](crate::ShownRules) to be at work, which are few of those that a mock system touched meanwhile.
pub fn facts_of<'a>(
    header: &Header,
    events: impl IntoIterator<Item = &'a Event>,
) -> BTreeSet<Fact> {
    let service = header.services.values().next();
    let name = service.and_then(|it| it.bundle_id.clone().or_else(|| it.class.clone()));
    let driver = name.unwrap_or_else(|| "unknown".to_owned());
    let mut facts = BTreeSet::new();
    let mut selectors: BTreeMap<u64, u32> = BTreeMap::new();
    let mut shown = ShownRules::new(header);
    let told = |result: IoReturn| Fact::Result { driver: driver.clone(), result: result.0 };
    for event in events {
        shown.event(event);
        let driver = || driver.clone();
        match &event.body {
            Body::Call(call) | Body::AsyncCall { call, .. } => {
                selectors.insert(event.sequence, call.selector);
                facts.insert(Fact::Selector { driver: driver(), selector: call.selector });
            }
            Body::Map { memory_type, .. } => {
                facts.insert(Fact::Memory { driver: driver(), memory_type: *memory_type });
            }
            Body::Return(returned) => {
                facts.insert(told(returned.result));
            }
            Body::Mapped { outcome } => {
                facts.insert(told(outcome.err().unwrap_or(IoReturn::SUCCESS)));
            }
            Body::Posted { ordinal, .. } => {
                let selector = event.cause.and_then(|call| selectors.get(&call)).copied();
                let count = (*ordinal).min(COMPLETIONS_MAX);
                facts.extend(selector.map(|selector| Fact::Completions {
                    driver: driver(),
                    selector,
                    count,
                }));
            }
            _ => {}
        }
    }
    facts.extend(shown.certain().iter().map(Fact::Rule));
    facts
}
