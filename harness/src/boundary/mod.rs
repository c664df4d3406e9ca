//! Every rule of the user-client boundary, once, under its number in the semantics reference.
//!
//! Pure functions and the state machines of one connection; the words are all they know. Whoever
//! stands for the kernel (mock, replayer, validator) asks here. [`Rules`] says which rules are in
//! force: all of them, but in the tests that show that each one matters. A [`RuleTrace`] notes which of
//! them a run has touched.
//!
//! A call comes through here in this order: [`CallShape`] is what the client hands in,
//! [`library::send`] makes a [`Request`] of it or stops it, [`arrival()`] is what the dext sees, and
//! [`reply()`] what the client gets for what the dext left behind.

mod arrival;
pub mod completion;
mod death;
pub mod descriptor;
pub mod dispatch;
pub mod entitlement;
mod filter;
pub mod library;
mod life;
mod lock;
mod mapping;
pub mod message;
pub mod number;
mod open_points;
pub mod other;
mod refusal;
mod reply;
mod rule;
mod rule_set;
mod rule_test;
mod rules;
mod shape;
mod space;
mod trace;

pub use arrival::{
    ARGUMENTS_VERSION, Arrival, InputDescriptor, InputForm, arrival, bad_pointer,
    descriptor_writes_stay, input_descriptor, releases_inputs, scalar_output_start,
};
pub use death::{
    DeathWindow, Meanwhile, Operation, came_out, dying, in_time, waits_for_super_stop,
};
pub use filter::SandboxFilter;
pub use life::{ConnectionState, Consequence, creator, open, open_type, opened};
pub use lock::{Hold, LockedOperation, Locking, completion_hold, waits_for_queue};
pub use mapping::{
    CLIENT_MEMORY_READ_ONLY, DescriptorRange, MapRequest, MappedRange, MappingHolder, MappingTable,
    consumes_reference, is_read_only, map_failure, mapping_holder, memory_outlives_dext,
    memory_type, unmap_failure, unmap_without_memory, user_options, without_client_memory,
};
pub use open_points::{OpenPoints, OutputJudge, RangeLength};
pub use refusal::{OpenReach, OpenRefusal};
pub use reply::{
    ClientReply, CopyOut, DamagedReply, DextReply, damaged, failed, refused, reply, scalar,
};
pub use rule::{Evidence, Rule, UnknownRule};
pub use rule_set::RuleSet;
pub use rule_test::{RuleTest, tests_by_rule};
pub use rules::Rules;
pub use shape::{
    CallShape, ClientRange, Pointer, ReferenceShape, Request, StructureShape, Transfer, WakePort,
};
pub use trace::RuleTrace;
