//! What a client can ask of a connection beside methods and memory.

use super::CompletionQueue;
use crate::IoReturn;
use crate::call::{ConnectionId, ServiceId};
use crate::registry::Value;

/// What IOKit lets a client do with a connection beside methods and memory. The methods of
/// [`Connection`](super::Connection) of these names are made of it.
///
/// User clients of dexts support next to none of it; what they answer is in the variants. A kernel
/// extension's may do as it likes.
#[derive(Clone, Copy, Debug)]
pub enum OtherCall<'a> {
    /// `IOConnectSetNotificationPort`: unsupported (G16).
    SetNotificationPort {
        /// The client's type of notification.
        notification_type: u32,
        /// The queue of the port; `None` for `MACH_PORT_NULL`. One of another system is a name
        /// without a receive right (D5).
        queue: Option<&'a dyn CompletionQueue>,
        /// The client's own; often a pointer.
        reference: u64,
    },
    /// `IOConnectAddClient`: unsupported, or a bad argument where one of the two is no connection
    /// (G17).
    AddClient {
        /// The other connection of the same system; `None` for a port that is none.
        client: Option<ConnectionId>,
    },
    /// `IOConnectGetService`: unsupported (G18).
    GetService,
    /// `IOConnectSetCFProperties`: unsupported, whatever the dext does: the kernel asks its own object
    /// only (G19).
    SetProperties {
        /// The properties; `None` for a Core Foundation object that has no serialised form, such as a
        /// date.
        properties: Option<&'a Value>,
    },
    /// `IOConnectTrap0` to `IOConnectTrap6`: succeeds, and nothing happens (G20), but for indices 0
    /// and 1.
    Trap {
        /// Which trap.
        index: u32,
        /// Its arguments, six at most. Further ones are left out.
        arguments: &'a [u64],
    },
    /// `IOConnectAddRef`: another right (F24, G13).
    AddRef,
    /// `IOConnectRelease`: one right less, without a close (G15).
    Release,
}

/// What another call gives: a service for [`OtherCall::GetService`], nothing for the others; or what
/// the client was told.
pub type OtherReply = Result<Option<ServiceId>, IoReturn>;
