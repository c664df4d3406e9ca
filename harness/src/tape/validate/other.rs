//! Calls beside methods and memory. What they give on a live connection is its driver's affair, since
//! a tape may be of a kernel extension; on one that has ended the boundary says it.

use super::super::event::OtherCall;
use super::finding::Broken;
use super::lanes::Wrong;
use crate::IoReturn;
use crate::boundary::{Rule, Rules, WakePort, other};

/// Checks the leave of a call against its enter. `dead` is what a connection that has certainly ended
/// answers to a message.
pub(super) fn check(
    call: &OtherCall,
    outcome: Result<Option<u32>, IoReturn>,
    dead: Option<IoReturn>,
    rules: Rules,
    wrong: &mut impl FnMut(Wrong),
) {
    if let Ok(Some(service)) = outcome
        && *call != OtherCall::GetService
    {
        let message = format!("expected no service of this call, found service {service}");
        wrong((Broken::Fields, message));
    }
    let Some(dead) = dead else { return };
    let connection = Err(dead);
    let (rule, expected) = match call {
        OtherCall::SetNotificationPort { .. } => {
            // Whose the port is the tape does not tell (D5).
            if outcome == Err(IoReturn::MACH_SEND_INVALID_RIGHT) {
                return;
            }
            (Rule::H1, other::set_notification_port(rules, connection, WakePort::Own))
        }
        OtherCall::AddClient { client } => {
            (Rule::H1, other::add_client(rules, connection, client.is_some()))
        }
        OtherCall::GetService => (Rule::H1, other::get_service(rules, connection)),
        OtherCall::SetProperties { properties } => {
            let properties = other::Serialised::of(properties.as_ref());
            (Rule::H1, other::set_properties(rules, connection, properties))
        }
        OtherCall::Trap { index, .. } => {
            let connection = other::dead_to_traps(rules, dead);
            (Rule::G21, other::trap(rules, Err(connection), *index, 0))
        }
        // They are no messages: a name is enough.
        OtherCall::AddRef | OtherCall::Release => return,
    };
    if outcome.map(drop) != expected {
        let shown = |outcome: Result<(), IoReturn>| outcome.err().unwrap_or(IoReturn::SUCCESS);
        let (expected, found) = (shown(expected), shown(outcome.map(drop)));
        wrong((Broken::Boundary(rule), format!("expected {expected}, found {found}")));
    }
}
