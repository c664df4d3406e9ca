//! The scenarios that a program knows, by name.

use crate::Scenario;
use std::collections::BTreeMap;
use std::fmt;

/// Scenarios by name. [`registry`](crate::registry) has ours; another crate adds its own with
/// [`Registry::with`].
#[derive(Default)]
pub struct Registry {
    scenarios: BTreeMap<String, Box<dyn Scenario>>,
}

/// No scenario has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("find scenario {name:?}: there are {known}")]
pub struct UnknownScenario {
    /// The name given.
    pub name: String,
    /// What there is, for people.
    pub known: String,
}

impl Registry {
    /// No scenarios.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Adds a scenario; one of the same name is replaced.
    #[must_use]
    pub fn with(mut self, scenario: impl Scenario + 'static) -> Self {
        self.scenarios.insert(scenario.name().to_owned(), Box::new(scenario));
        self
    }

    /// All scenarios, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &dyn Scenario> {
        self.scenarios.values().map(|scenario| &**scenario)
    }

    /// The scenario of this name.
    ///
    /// # Errors
    ///
    /// [`UnknownScenario`] with the names that there are.
    pub fn find(&self, name: &str) -> Result<&dyn Scenario, UnknownScenario> {
        self.scenarios.get(name).map(|scenario| &**scenario).ok_or_else(|| {
            let names: Vec<_> = self.scenarios.keys().map(String::as_str).collect();
            let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            UnknownScenario { name: name.chars().take(64).collect(), known }
        })
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.scenarios.keys()).finish()
    }
}
