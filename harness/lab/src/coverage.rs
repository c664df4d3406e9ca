//! What the calls of a run exercise, as far as its tape tells.

use dextape::IoReturn;
use dextape::tape::{Body, Event, Header};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Completions of one call beyond this are counted as so many.
pub const COMPLETIONS_MAX: u64 = 16;

/// One thing that can be exercised.
///
/// # Examples
///
/// ```
/// use dextape_lab::Fact;
///
/// let fact = Fact::Selector { driver: "com.example.smc".to_owned(), selector: 2 };
/// assert_eq!(fact.to_string(), "com.example.smc 2");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Fact {
    /// A method was called.
    Selector {
        /// The driver's name.
        driver: String,
        /// The selector.
        selector: u32,
    },
    /// Memory was mapped, or was to be.
    Memory {
        /// The driver's name.
        driver: String,
        /// The memory type.
        memory_type: u32,
    },
    /// A client was told a result by a call or a map.
    Result {
        /// The driver's name.
        driver: String,
        /// The code.
        result: u32,
    },
    /// A call completed that often.
    Completions {
        /// The driver's name.
        driver: String,
        /// The call's selector.
        selector: u32,
        /// How often, at most [`COMPLETIONS_MAX`].
        count: u64,
    },
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Selector { driver, selector } => write!(f, "{driver} {selector}"),
            Self::Memory { driver, memory_type } => write!(f, "{driver} {memory_type}"),
            Self::Result { driver, result } => write!(f, "{driver} {}", IoReturn(*result)),
            Self::Completions { driver, selector, count } => {
                write!(f, "{driver} {selector} #{count}")
            }
        }
    }
}

/// What the events of a tape exercise.
pub fn facts_of<'a>(
    header: &Header,
    events: impl IntoIterator<Item = &'a Event>,
) -> BTreeSet<Fact> {
    let service = header.services.values().next();
    let name = service.and_then(|it| it.bundle_id.clone().or_else(|| it.class.clone()));
    let driver = name.unwrap_or_else(|| "unknown".to_owned());
    let mut facts = BTreeSet::new();
    let mut selectors: BTreeMap<u64, u32> = BTreeMap::new();
    let told = |result: IoReturn| Fact::Result { driver: driver.clone(), result: result.0 };
    for event in events {
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
    facts
}
