//! Record, replay and mock macOS user-client traffic.
//!
//! # Examples
//!
//! A dext and its client in one test, with the kernel's rules between them:
//!
//! ```
//! use dextape::IoReturn;
//! use dextape::connection::{ConnectionExt, Matching, System};
//! use dextape::driverkit::{ExternalMethodArguments, Service, UserClient};
//! use dextape::kernel::{MockSystem, ServiceDescription};
//! use dextape::schedule::Schedule;
//! use std::sync::Arc;
//!
//! struct Adder;
//!
//! impl UserClient for Adder {
//!     fn external_method(&self, _: u64, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
//!         let [first, second] = arguments.scalar_input else { return IoReturn::BAD_ARGUMENT };
//!         arguments.scalar_output[0] = first + second;
//!         IoReturn::SUCCESS
//!     }
//! }
//!
//! struct Driver;
//!
//! impl Service for Driver {
//!     fn new_user_client(&self, _: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
//!         Ok(Some(Arc::new(Adder)))
//!     }
//! }
//!
//! Schedule::simulate(1, |schedule| {
//!     let mock = MockSystem::new(schedule);
//!     mock.publish(ServiceDescription::class("Adder"), Arc::new(Driver))?;
//!     let system: &dyn System = &*mock;
//!     let connection = system.open(system.first_service(&Matching::service("Adder"))?, 0)?;
//!     let reply = connection.call(0).scalars(&[2, 3]).want_scalars(1).send()?;
//!     assert_eq!(reply.scalars[..], [5]);
//!     // Seventeen scalars never reach the dext: the library refuses them (A2).
//!     let refused = connection.call(0).scalars(&[0; 17]).send().unwrap_err();
//!     assert_eq!(refused.io_return(), Some(IoReturn::MIG_ARRAY_TOO_LARGE));
//!     Ok::<(), Box<dyn std::error::Error>>(())
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # A map of the code
//!
//! From the ground up:
//!
//! - [`io_return`], [`limits`], [`call`], [`registry`]: the words.
//! - [`schedule`]: tasks and time, simulated or free.
//! - [`memory`]: memory that client and dext share, and its shadow.
//! - [`boundary`]: the kernel's rules, each under its number.
//! - [`coverage`]: what a run exercised, those rules among it.
//! - [`fault`]: what goes wrong in a run, as data.
//! - [`protocol`]: names of selectors, fields and memories.
//! - [`redaction`]: what must not leave, and what stands in its place.
//! - [`connection`]: the client's side. Start here to write a client.
//! - [`tape`]: the written side.
//! - [`driverkit`]: the dext's side. Start here to write a mock dext.
//! - [`kernel`]: the bridge between client and mock dext.
//! - [`replay`]: the bridge from a tape to the client.
//! - [`battery`]: trials for a dext of your own.
//! - [`perturb`]: what else a recorded run could have been, by seed.
//! - `strategies` (feature `proptest`): client programs and mock dexts for property tests.
//! - `snapshot` (feature `insta`): assertions on the transcript of a tape.
//!
//! # What it is not
//!
//! It sees what a client does through [`connection`]; calls that Apple's frameworks make inside
//! themselves, Mach messages and the dext's own work with its hardware are not on a tape.
//!
//! # Crate features
//!
//! - `proptest`: the module `strategies`.
//! - `insta`: the module `snapshot`.
//! - `schema`: the JSON Schemas of the tape, `tape::schema`, of descriptions, `protocol::schema`, and of redaction
//!   policies, `redaction::schema`.

#![deny(unsafe_code)]

pub mod io_return;

pub mod call;
pub mod limits;
pub mod registry;

pub mod schedule;

pub mod memory;

pub mod boundary;

pub mod coverage;

pub mod fault;

pub mod protocol;

pub mod redaction;

pub mod connection;

pub mod tape;

pub mod driverkit;

pub mod kernel;

pub mod replay;

pub mod battery;

pub mod perturb;

#[cfg(feature = "proptest")]
pub mod strategies;

#[cfg(feature = "insta")]
pub mod snapshot;

pub use io_return::IoReturn;
