//! One thing that can be exercised.

use crate::IoReturn;
use crate::boundary::Rule;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// Completions of one call beyond this are counted as so many.
pub const COMPLETIONS_MAX: u64 = 16;

/// One thing that can be exercised.
///
/// # Examples
///
/// ```
/// use dextape::boundary::Rule;
/// use dextape::coverage::Fact;
///
/// let fact = Fact::Selector { driver: "com.example.smc".to_owned(), selector: 2 };
/// assert_eq!(fact.to_string(), "com.example.smc 2");
/// assert_eq!(Fact::Rule(Rule::A2).to_string(), "A2");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
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
    /// A rule of the boundary was touched.
    Rule(Rule),
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
            Self::Rule(rule) => rule.fmt(f),
        }
    }
}

/// A line of the file of a process, which is JSON.
///
/// # Examples
///
/// ```
/// use dextape::boundary::Rule;
/// use dextape::coverage::{Fact, Note};
///
/// let line = serde_json::to_string(&Note::Exercised(Fact::Rule(Rule::F5)))?;
/// assert_eq!(line, r#"{"exercised":{"rule":"F5"}}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Note {
    /// It was exercised.
    Exercised(Fact),
    /// There is such a thing, as a dext's table of methods tells.
    Known(Fact),
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.number())
    }
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = String::deserialize(deserializer)?;
        number.parse().map_err(de::Error::custom)
    }
}
