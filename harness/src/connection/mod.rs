//! The client's side: how services are found, opened, called and mapped.
//!
//! [`System`] and [`Connection`] are the two traits that mock, real system, recorder and replayer all
//! implement. [`ConnectionExt::call`] is the comfortable layer on top.

mod answer;
mod call_builder;
mod client;
mod completion;
mod end;
mod mapping;
mod method;
mod notice;
mod other;
mod shape;
mod system;

pub use crate::registry::{Matching, NoticeKind, Value};
pub use answer::MethodAnswer;
pub use call_builder::{CallBuilder, CallError, ConnectionExt, Reply};
pub use client::Connection;
pub use completion::{CompletionQueue, NextCompletion, PostObserver};
pub use end::{EndObserver, Ended};
pub use mapping::Mapping;
pub use method::{AsyncWake, MethodInput, MethodOutput, StructureInput, StructureOutput};
pub use notice::{Notice, NoticeQueue};
pub use other::{OtherCall, OtherReply};
pub use shape::call_shape;
pub use system::System;
