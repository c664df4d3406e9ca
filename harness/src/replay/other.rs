//! The calls of a connection beside methods and memory, as they are compared and served.

use super::connection::ReplayConnection;
use super::matching::queues_match;
use super::program::Program;
use super::queue::ReplayQueue;
use super::request::{FOREIGN_QUEUE, Request};
use crate::IoReturn;
use crate::call::{Scalars, ServiceId};
use crate::connection::{self, CompletionQueue, OtherReply};
use crate::limits::TRAP_ARGUMENTS_MAX;
use crate::tape::{Body, OtherCall};

/// True where the client asks for what the tape holds. A reference is often a pointer and never comes
/// back from a dext's connection (G16): any will do.
pub(super) fn same(program: &Program, held: &OtherCall, given: &OtherCall) -> bool {
    match (held, given) {
        (
            OtherCall::SetNotificationPort { notification_type, queue, .. },
            OtherCall::SetNotificationPort { notification_type: other, queue: other_queue, .. },
        ) => notification_type == other && queues_match(program, *queue, *other_queue),
        _ => held == given,
    }
}

/// What a call's key is made of: enough of it to tell calls of one kind apart.
pub(super) fn key_words(call: &OtherCall) -> [u64; 3] {
    match call {
        OtherCall::SetNotificationPort { notification_type, queue, .. } => {
            [0, u64::from(*notification_type), u64::from(queue.is_some())]
        }
        OtherCall::AddClient { client } => [1, client.map_or(u64::MAX, u64::from), 0],
        OtherCall::GetService => [2, 0, 0],
        OtherCall::SetProperties { properties } => [3, u64::from(properties.is_some()), 0],
        OtherCall::Trap { index, arguments } => {
            [4, u64::from(*index), arguments.first().copied().unwrap_or(0)]
        }
        OtherCall::AddRef => [5, 0, 0],
        OtherCall::Release => [6, 0, 0],
    }
}

impl ReplayConnection {
    /// The call with the numbers of the tape.
    fn numbered(&self, call: &connection::OtherCall<'_>) -> OtherCall {
        match *call {
            connection::OtherCall::SetNotificationPort { notification_type, queue, reference } => {
                let queue = queue.map(|queue| self.queue_number(queue));
                OtherCall::SetNotificationPort { notification_type, queue, reference }
            }
            connection::OtherCall::AddClient { client } => {
                let client = client.and_then(|client| u32::try_from(client.0).ok());
                OtherCall::AddClient { client }
            }
            connection::OtherCall::GetService => OtherCall::GetService,
            connection::OtherCall::SetProperties { properties } => {
                OtherCall::SetProperties { properties: properties.cloned() }
            }
            connection::OtherCall::Trap { index, arguments } => {
                let count = arguments.len().min(TRAP_ARGUMENTS_MAX);
                OtherCall::Trap { index, arguments: Scalars::clamped(&arguments[..count]) }
            }
            connection::OtherCall::AddRef => OtherCall::AddRef,
            connection::OtherCall::Release => OtherCall::Release,
        }
    }

    /// Number of a queue of this session; [`FOREIGN_QUEUE`] for another's.
    pub(super) fn queue_number(&self, queue: &dyn CompletionQueue) -> u32 {
        let own = queue.as_any().downcast_ref::<ReplayQueue>();
        own.and_then(|own| own.number_in(&self.session)).unwrap_or(FOREIGN_QUEUE)
    }

    pub(super) fn other(&self, call: &connection::OtherCall<'_>) -> OtherReply {
        let (session, program) = (&self.session, &self.session.program);
        let connection = self.number;
        let call = self.numbered(call);
        let request = Request::Other { connection, call: &call };
        let step = session.perform_with(&self.clock, self.stream, &request, |state, step| {
            if program.step(step).result.is_success() {
                match call {
                    OtherCall::AddRef => state.add_right(connection),
                    OtherCall::Release => state.drop_right(connection),
                    _ => {}
                }
            }
            Ok(())
        })?;
        session.pass_time(&self.clock, step);
        match &program.event(program.step(step).leave).body {
            Body::OtherReturn { outcome } => {
                outcome.map(|service| service.map(|number| ServiceId(u64::from(number))))
            }
            // A step in flight is a divergence before it comes here.
            _ => Err(IoReturn::ABORTED),
        }
    }
}
