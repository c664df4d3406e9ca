//! A scenario as data: what a folder of this crate declares.

use crate::{Parameter, Parameters, Scenario, ScenarioError, TapeSettings};
use dextape::connection::System;
use dextape::kernel::MockSystem;
use std::io::Write;
use std::sync::Arc;

/// Fills in parameters: see [`Scenario::prepare`].
pub type PrepareFn = fn(&mut Parameters) -> Result<(), ScenarioError>;

/// Publishes the mock dext's services: see [`Scenario::publish`].
pub type PublishFn = fn(&Parameters, &Arc<MockSystem>) -> Result<(), ScenarioError>;

/// Runs the client: see [`Scenario::client`].
pub type ClientFn = fn(&Parameters, &Arc<dyn System>, &mut dyn Write) -> Result<(), ScenarioError>;

/// A scenario that keeps nothing itself and so can be written down as a constant.
///
/// # Examples
///
/// ```
/// use dextape::IoReturn;
/// use dextape::connection::{ConnectionExt, Matching};
/// use dextape::driverkit::{ExternalMethodArguments, Service, UserClient};
/// use dextape::kernel::ServiceDescription;
/// use dextape_scenarios::{Declared, Parameter, ScenarioError, TapeSettings, registry};
/// use std::sync::Arc;
///
/// struct Doubler {
///     factor: u64,
/// }
///
/// impl UserClient for Doubler {
///     fn external_method(&self, _: u64, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
///         arguments.scalar_output[0] = arguments.scalar_input[0] * self.factor;
///         IoReturn::SUCCESS
///     }
/// }
///
/// impl Service for Doubler {
///     fn new_user_client(&self, _: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
///         Ok(Some(Arc::new(Doubler { factor: self.factor })))
///     }
/// }
///
/// const DOUBLER: Declared = Declared {
///     name: "doubler",
///     about: "gives back twice what it is given",
///     parameters: &[Parameter::new("factor", "2", "What it really multiplies by, 1 to 9")],
///     tapes: &[
///         TapeSettings { name: "twice", set: &[] },
///         TapeSettings { name: "thrice", set: &[("factor", "3")] },
///     ],
///     prepare: None,
///     publish: |parameters, system| {
///         let factor = parameters.number("factor", 1..=9)?;
///         let description = ServiceDescription::dext("Doubler", "com.example.doubler");
///         let published = system.publish(description, Arc::new(Doubler { factor }));
///         published.map(drop).map_err(ScenarioError::refused("publish Doubler"))
///     },
///     client: |_, system, out| {
///         let connection = dextape_scenarios::open(system, "Doubler")?;
///         let reply = connection.call(0).scalars(&[21]).want_scalars(1).send()?;
///         Ok(writeln!(out, "{}", reply.scalars[0])?)
///     },
/// };
///
/// let registry = registry().with(DOUBLER);
/// assert!(registry.find("doubler").is_ok());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Declared {
    /// Its name: see [`Scenario::name`].
    pub name: &'static str,
    /// What it is: see [`Scenario::about`].
    pub about: &'static str,
    /// What can be set.
    pub parameters: &'static [Parameter],
    /// Settings that have a tape each.
    pub tapes: &'static [TapeSettings],
    /// Fills in parameters.
    pub prepare: Option<PrepareFn>,
    /// Publishes the mock dext's services.
    pub publish: PublishFn,
    /// Runs the client.
    pub client: ClientFn,
}

impl Scenario for Declared {
    fn name(&self) -> &str {
        self.name
    }

    fn about(&self) -> &str {
        self.about
    }

    fn parameters(&self) -> &[Parameter] {
        self.parameters
    }

    fn tapes(&self) -> &[TapeSettings] {
        self.tapes
    }

    fn prepare(&self, parameters: &mut Parameters) -> Result<(), ScenarioError> {
        self.prepare.map_or(Ok(()), |prepare| prepare(parameters))
    }

    fn publish(
        &self,
        parameters: &Parameters,
        system: &Arc<MockSystem>,
    ) -> Result<(), ScenarioError> {
        (self.publish)(parameters, system)
    }

    fn client(
        &self,
        parameters: &Parameters,
        system: &Arc<dyn System>,
        out: &mut dyn Write,
    ) -> Result<(), ScenarioError> {
        (self.client)(parameters, system, out)
    }
}
