//! What can be set before a scenario runs.

use std::collections::BTreeMap;
use std::str::FromStr;

/// One thing that can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name, in kebab case, as given on a command line and kept on a tape.
    pub name: &'static str,
    /// Its value where none is given.
    pub default: &'static str,
    /// What it does, in one sentence.
    pub help: &'static str,
    /// True for what belongs to one machine, such as a path: it never enters a tape.
    pub local: bool,
}

impl Parameter {
    /// A parameter that enters tapes.
    #[must_use]
    pub const fn new(name: &'static str, default: &'static str, help: &'static str) -> Self {
        Self { name, default, help, local: false }
    }

    /// A parameter that belongs to one machine.
    #[must_use]
    pub const fn local(name: &'static str, default: &'static str, help: &'static str) -> Self {
        Self { name, default, help, local: true }
    }
}

/// Values for the parameters of one scenario: each has one, given or by default.
///
/// # Examples
///
/// ```
/// use dextape_scenarios::{Parameters, registry};
///
/// let registry = registry();
/// let scenario = registry.find("smc")?;
/// let mut parameters = Parameters::of(scenario);
/// parameters.set("write", "F0Mn=1450")?;
/// assert_eq!(parameters.get("write"), "F0Mn=1450");
/// assert!(parameters.set("colour", "red").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    declared: Vec<Parameter>,
    values: BTreeMap<&'static str, String>,
}

/// A parameter that cannot be set or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParameterError {
    /// The scenario has no parameter of that name.
    #[error("set parameter {name:?}: the scenario has {known}")]
    Unknown {
        /// The name given.
        name: String,
        /// What there is, for people.
        known: String,
    },
    /// The value is not one that the scenario can use.
    #[error("read parameter {name} = {value:?}: expected {expected}")]
    Value {
        /// The parameter.
        name: String,
        /// Its value, cut off where it is long.
        value: String,
        /// What would do.
        expected: String,
    },
}

impl ParameterError {
    /// A value that does not do; `expected` says what would.
    #[must_use]
    pub fn value(name: &str, value: &str, expected: impl Into<String>) -> Self {
        let value = value.chars().take(64).collect();
        Self::Value { name: name.to_owned(), value, expected: expected.into() }
    }
}

impl Parameters {
    /// The defaults of a scenario.
    #[must_use]
    pub fn of(scenario: &dyn crate::Scenario) -> Self {
        Self::declare(scenario.parameters())
    }

    /// The defaults of these parameters.
    #[must_use]
    pub fn declare(declared: &[Parameter]) -> Self {
        let values = declared.iter().map(|each| (each.name, each.default.to_owned())).collect();
        Self { declared: declared.to_vec(), values }
    }

    /// Sets one.
    ///
    /// # Errors
    ///
    /// [`ParameterError::Unknown`] where the scenario has none of that name.
    pub fn set(&mut self, name: &str, value: impl Into<String>) -> Result<(), ParameterError> {
        if let Some(place) = self.values.get_mut(name) {
            *place = value.into();
            return Ok(());
        }
        let names: Vec<_> = self.declared.iter().map(|each| each.name).collect();
        let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        Err(ParameterError::Unknown { name: name.chars().take(64).collect(), known })
    }

    /// The value of one; empty where the scenario has none of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    /// The value of one as a number or whatever else `T` is.
    ///
    /// # Errors
    ///
    /// [`ParameterError::Value`] where it is no such thing; `expected` says what would do.
    pub fn parse<T: FromStr>(&self, name: &str, expected: &str) -> Result<T, ParameterError> {
        let value = self.get(name);
        value.parse().map_err(|_| ParameterError::value(name, value, expected))
    }

    /// The value of one as a number within `range`.
    ///
    /// # Errors
    ///
    /// [`ParameterError::Value`] where it is none.
    pub fn number(
        &self,
        name: &str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Result<u64, ParameterError> {
        let expected = format!("a number from {} to {}", range.start(), range.end());
        let number = self.parse(name, &expected)?;
        if range.contains(&number) {
            Ok(number)
        } else {
            Err(ParameterError::value(name, self.get(name), expected))
        }
    }

    /// The value of one that is a choice: what stands beside its word in `choices`.
    ///
    /// # Errors
    ///
    /// [`ParameterError::Value`] where it is no word of `choices`.
    pub fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<T, ParameterError> {
        let value = self.get(name);
        let found = choices.iter().find(|(word, _)| *word == value).map(|(_, meaning)| *meaning);
        found.ok_or_else(|| {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            ParameterError::value(name, value, format!("one of {}", words.join(", ")))
        })
    }

    /// What goes on the tape: every value but those that belong to this machine.
    #[must_use]
    pub fn recorded(&self) -> BTreeMap<String, String> {
        let kept = self.declared.iter().filter(|each| !each.local);
        kept.map(|each| (each.name.to_owned(), self.get(each.name).to_owned())).collect()
    }

    /// Takes over what stands on a tape.
    ///
    /// # Errors
    ///
    /// [`ParameterError::Unknown`] where the tape names a parameter that the scenario no longer has.
    pub fn take_recorded(
        &mut self,
        recorded: &BTreeMap<String, String>,
    ) -> Result<(), ParameterError> {
        recorded.iter().try_for_each(|(name, value)| self.set(name, value))
    }
}
