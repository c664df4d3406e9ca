//! Mock dexts and the clients that drive them.
//!
//! A [`Scenario`] is a named pair of both, with [`Parameters`]; a [`Registry`] holds those that a
//! program knows, and [`registry`] ours. Another crate registers its own beside them:
//!
//! ```
//! # fn own() -> impl dextape_scenarios::Scenario { dextape_scenarios::smc::Smc }
//! let registry = dextape_scenarios::registry().with(own());
//! ```
//!
//! A map of the code, one folder a scenario, each with what passes between both sides (`abi`), the
//! mock (`dext`) and what drives it (`client`):
//!
//! - [`smc`]: AppleSMC, from a key dump.

mod error;
mod parameter;
mod registry;
mod scenario;

pub mod smc;

pub use error::ScenarioError;
pub use parameter::{Parameter, ParameterError, Parameters};
pub use registry::{Registry, UnknownScenario};
pub use scenario::Scenario;

/// The scenarios of this crate.
#[must_use]
pub fn registry() -> Registry {
    Registry::empty().with(smc::Smc)
}
