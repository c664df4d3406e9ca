//! What ends on the other side, as a recorder wants to know it.

use crate::call::{ConnectionId, ServiceId};
use std::sync::Arc;

/// What has ended on the other side of the boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A service, and with it its connections: its provider was removed, or its dext died.
    Service(ServiceId),
    /// One user client, which its dext has terminated.
    Connection(ConnectionId),
}

/// Called when something has ended. It must not wait.
pub type EndObserver = Arc<dyn Fn(Ended) + Send + Sync>;
