//! A battery of trials for a dext: what it lets through, leaks, forgets and does not survive.
//!
//! [`run`] takes what the dext promises, a [`Contract`], and a way to publish it, and makes some hundred
//! trials, each on a fresh dext in virtual time: counts and sizes of every kind, selectors and memory
//! types that there are not, extreme values, calls with and without completions, several clients at
//! once and after each other, closes in the wrong moment. What it finds is a [`Report`], to be read
//! or, through serde, to be kept. The lints of the mock count, and so do its leaks.
//!
//! Where there is no contract one can be learned, from a tape ([`Contract::from_tape`]) or by asking
//! ([`probe`]).
//!
//! With the feature `proptest`, [`exercise`] holds a dext against a reference model, in sequences of what up to
//! three clients can do.
//!
//! A dext that panics prints its panic as any program does, with the line; the battery goes on.

mod bench;
mod checks;
mod client;
mod contract;
#[cfg(feature = "proptest")]
mod exercise;
mod learn;
#[cfg(feature = "proptest")]
mod machine;
#[cfg(feature = "proptest")]
pub(crate) mod moves;
mod probe;
mod problem;
mod report;

pub use client::{Answer, Attempt, Input, Output, Wake};
pub use contract::{Amount, Argument, Asynchrony, Contract, MemoryContract, MethodContract};
#[cfg(feature = "proptest")]
pub use exercise::{Counterexample, exercise};
#[cfg(feature = "proptest")]
pub use machine::{Asked, Awaited, CLIENTS, Expected, Machine, MachineState, Model, Transition};
pub use probe::probe;
pub use problem::{Justification, ProblemKind, Subject};
pub use report::{Problem, Report};

use crate::IoReturn;
use crate::kernel::MockSystem;
use bench::Bench;
use std::sync::Arc;

/// Makes every trial on dexts that `publish` publishes, one for each.
///
/// A dext that works for ever without waiting for anything makes this not return.
///
/// # Examples
///
/// ```
/// use dextape::IoReturn;
/// use dextape::battery::{self, Contract, MethodContract, ProblemKind};
/// use dextape::connection::Matching;
/// use dextape::driverkit::{ExternalMethodArguments, Service, UserClient};
/// use dextape::kernel::ServiceDescription;
/// use std::sync::Arc;
///
/// struct Doubler;
///
/// impl UserClient for Doubler {
///     fn external_method(
///         &self,
///         selector: u64,
///         arguments: &mut ExternalMethodArguments<'_>,
///     ) -> IoReturn {
///         // It forgets to look at how many scalars are asked for.
///         let ([number], 0) = (arguments.scalar_input, selector) else {
///             return IoReturn::BAD_ARGUMENT;
///         };
///         if let Some(first) = arguments.scalar_output.first_mut() {
///             *first = number.wrapping_mul(2);
///         }
///         IoReturn::SUCCESS
///     }
/// }
///
/// struct Driver;
///
/// impl Service for Driver {
///     fn new_user_client(&self, _: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
///         Ok(Some(Arc::new(Doubler)))
///     }
/// }
///
/// let contract = Contract::new(Matching::service("Doubler"))
///     .method(MethodContract::new(0).scalars(&[21]).wants_scalars(1));
/// let report = battery::run(contract, |mock| {
///     mock.publish(ServiceDescription::class("Doubler"), Arc::new(Driver)).map(drop)
/// });
/// assert!(!report.is_clean());
/// assert!(report.problems.iter().all(|problem| problem.kind == ProblemKind::Accepted));
/// ```
#[must_use]
pub fn run(
    contract: Contract,
    publish: impl Fn(&Arc<MockSystem>) -> Result<(), IoReturn> + Send + Sync + 'static,
) -> Report {
    let justified = contract.justified.clone();
    let mut bench = Bench::new(contract, Arc::new(publish));
    let calm = checks::calm(&mut bench);
    checks::shapes(&mut bench, &calm);
    checks::selectors(&mut bench, &calm);
    checks::values(&mut bench, &calm);
    checks::order(&mut bench);
    checks::memory(&mut bench);
    checks::state(&mut bench, &calm);
    checks::life(&mut bench);
    checks::threads(&mut bench, &calm);
    let mut report = bench.report;
    report.sort(&justified);
    report
}
