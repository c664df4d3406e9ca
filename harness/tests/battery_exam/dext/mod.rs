//! The dext of the exam: a sampler, right or with one bug of twelve.
//!
//! [`Sampler::publish`] brings it into a mock system, [`description`] says as plain data what its
//! clients may do, [`Bug::ALL`] are the bugs. What it offers:
//!
//! - scalars in and out (`ADD`), structures of either size in and out (`INVERT`), structures that are
//!   only taken (`FEED`, `CONFIGURE`) and only given (`INFO`);
//! - a session that is opened and closed, and objects with handles that live as long as the session;
//! - a watch: an asynchronous call whose completions come later, one at a time on a connection;
//! - a window of memory that `FEED` writes to, and a status that clients may only read.
//!
//! Some methods are behind a dispatch table, `INVERT` and `FEED`, whose lengths vary, check by hand.
//! The state is the connection's own.

mod abi;
mod bug;
mod client;
mod description;
mod feed;
mod watch;

pub(crate) use abi::{Configuration, Info, memory_type, selector};
pub(crate) use bug::Bug;
pub(crate) use client::Sampler;
pub(crate) use description::{LegalCall, Length, Scalar, description};
