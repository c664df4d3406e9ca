//! The calls of a connection beside methods and memory (G16 to G21), and its rights (F24, G15).

use super::connection::MockConnection;
use crate::IoReturn;
use crate::boundary::{LockedOperation, WakePort, other};
use crate::call::ConnectionId;
use crate::connection::{CompletionQueue, OtherCall, OtherReply};

impl MockConnection {
    pub(super) fn other(&self, call: &OtherCall<'_>) -> OtherReply {
        let (link, rules) = (&*self.link, self.kernel.rules);
        match *call {
            OtherCall::SetNotificationPort { queue, .. } => {
                let port = self.wake_port(queue);
                self.locked(LockedOperation::SetNotificationPort, |connection| {
                    other::set_notification_port(rules, connection, port)
                })
            }
            OtherCall::AddClient { client } => {
                let is_connection = client.is_some_and(|client| self.is_connection(client));
                self.locked(LockedOperation::AddClient, |connection| {
                    other::add_client(rules, connection, is_connection)
                })
            }
            OtherCall::GetService => {
                let connection = link.state().check(rules);
                return other::get_service(rules, connection).map(|()| Some(link.dext.id()));
            }
            OtherCall::SetProperties { properties } => {
                let properties = other::Serialised::of(properties);
                other::set_properties(rules, link.state().check(rules), properties)
            }
            OtherCall::Trap { index, arguments } => {
                let filter = || self.kernel.client.sandbox.trap(rules, index);
                let connection = link.state().check_trap(rules).and_then(|()| filter());
                other::trap(rules, connection, index, arguments.first().copied().unwrap_or(0))
            }
            OtherCall::AddRef => link.state().add_ref(),
            OtherCall::Release => self.link.release(&self.kernel),
        }
        .map(|()| None)
    }

    /// Makes a call under the lock of the connection where it gets there (K1).
    fn locked<R>(
        &self,
        operation: LockedOperation,
        call: impl FnOnce(Result<(), IoReturn>) -> R,
    ) -> R {
        let connection = self.link.state().check(self.kernel.rules);
        let visit = connection.is_ok().then(|| {
            let visit = self.link.come(&self.kernel, operation);
            self.kernel.schedule.yield_now();
            visit
        });
        let answer = call(connection);
        drop(visit);
        answer
    }

    /// True for a connection of this system to which a message finds its way.
    fn is_connection(&self, connection: ConnectionId) -> bool {
        let link = self.kernel.link(connection);
        link.is_some_and(|link| link.state().check(self.kernel.rules).is_ok())
    }

    fn wake_port(&self, queue: Option<&dyn CompletionQueue>) -> WakePort {
        super::method::wake_port(queue.map(|queue| self.own_port(queue)))
    }
}
