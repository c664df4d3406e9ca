//! Recording what a client does: a wrapper around any [`System`](dextape::connection::System) that
//! keeps every event in a journal and changes nothing that the client sees.
//!
//! Start with [`RecordingSession`].

mod annotation;
mod beside;
mod calls;
mod connection;
mod context;
mod lane;
mod memory;
mod notices;
mod numbers;
mod options;
mod other;
mod policy;
mod queue;
mod reads;
mod redact;
mod reference;
mod session;
mod shared;
mod system;
mod watch;
mod watched;

pub use annotation::{Annotations, ClientPointers};
pub use beside::beside_the_client;
pub use options::{LongWrites, RecordOptions};
pub use policy::PolicyRedactor;
pub use redact::{FieldPlace, Redaction, Redactor};
pub use session::RecordingSession;
pub(crate) use watch::Watch;
