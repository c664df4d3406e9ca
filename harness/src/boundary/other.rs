//! The calls of a connection beside methods and memory (G16 to G20), and what properties are when they
//! are on their way (G19).
//!
//! `connection` is what [`ConnectionState::check`](super::ConnectionState::check) or
//! [`Destination::check`](super::library::Destination::check) says of the connection that the call is
//! made on.

use super::{Rule, Rules, WakePort};
use crate::IoReturn;
use crate::limits::PROPERTIES_MAX;
use crate::registry::Value;

/// `IOConnectSetNotificationPort` of a dext's connection (G16). The port is looked at when the message
/// is sent, as that of a call (D5).
///
/// # Errors
///
/// Always, but with G16 switched off.
pub fn set_notification_port(
    rules: Rules,
    connection: Result<(), IoReturn>,
    port: WakePort,
) -> Result<(), IoReturn> {
    if connection != Err(IoReturn::MACH_SEND_INVALID_DEST)
        && port == WakePort::Foreign
        && rules.on(Rule::D5)
    {
        return Err(IoReturn::MACH_SEND_INVALID_RIGHT);
    }
    connection?;
    unsupported(rules, Rule::G16)
}

/// `IOConnectAddClient` of a dext's connection, where the other port is a connection or is none (G17).
///
/// # Errors
///
/// Always, but with G17 switched off.
pub fn add_client(
    rules: Rules,
    connection: Result<(), IoReturn>,
    is_connection: bool,
) -> Result<(), IoReturn> {
    connection?;
    match is_connection {
        false if rules.on(Rule::G17) => Err(IoReturn::BAD_ARGUMENT),
        _ => unsupported(rules, Rule::G17),
    }
}

/// `IOConnectGetService` of a dext's connection (G18).
///
/// # Errors
///
/// Always, but with G18 switched off.
pub fn get_service(rules: Rules, connection: Result<(), IoReturn>) -> Result<(), IoReturn> {
    connection?;
    unsupported(rules, Rule::G18)
}

/// Properties as the library makes them ready to be sent (G19).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serialised {
    /// They have no serialised form: nothing is sent.
    Nothing,
    /// So many bytes.
    Bytes {
        /// How many.
        size: u64,
        /// The kernel can make properties of them.
        parses: bool,
    },
}

impl Serialised {
    /// What the library makes of `properties`; `None` is an object without a serialised form.
    #[must_use]
    pub fn of(properties: Option<&Value>) -> Self {
        match properties {
            None => Self::Nothing,
            // The signature, then the value.
            Some(value) => Self::Bytes { size: WORD + serialised_size(value), parses: true },
        }
    }
}

/// `IOConnectSetCFProperties` of a dext's connection (G19). The kernel's object for a dext's user client
/// refuses by itself: the dext is not asked.
///
/// # Errors
///
/// Always, but with G19 switched off.
pub fn set_properties(
    rules: Rules,
    connection: Result<(), IoReturn>,
    properties: Serialised,
) -> Result<(), IoReturn> {
    let g19 = rules.on(Rule::G19);
    if g19 && properties == Serialised::Nothing {
        return Err(IoReturn::UNSUPPORTED);
    }
    connection?;
    match properties {
        Serialised::Bytes { size, .. } if g19 && size > PROPERTIES_MAX => {
            Err(IoReturn::MESSAGE_TOO_LARGE)
        }
        Serialised::Bytes { parses: false, .. } if g19 => Err(IoReturn::BAD_ARGUMENT),
        _ => unsupported(rules, Rule::G19),
    }
}

/// `IOConnectTrap0` to `6` of a dext's connection (G20). `connection` is what
/// [`ConnectionState::check_trap`](super::ConnectionState::check_trap) or
/// [`Destination::check_trap`](super::library::Destination::check_trap) says. Indices 0 and 1 set the
/// port of an event link or a work group, of which `first` points to the name; there are none here.
///
/// # Errors
///
/// `kIOReturnBadArgument` where it is no connection (G21); for index 0 and 1 `kIOReturnNotFound`, or
/// the kernel's `EFAULT` without a name.
pub fn trap(
    rules: Rules,
    connection: Result<(), IoReturn>,
    index: u32,
    first: u64,
) -> Result<(), IoReturn> {
    connection?;
    match (index, first) {
        // As up to xnu-6153.
        _ if !rules.on(Rule::G20) => Err(IoReturn::BAD_ARGUMENT),
        (0 | 1, 0) => Err(EFAULT),
        (0 | 1, _) => Err(IoReturn::NOT_FOUND),
        _ => Ok(()),
    }
}

/// What a trap gives on a connection that answers messages with `dead`: it is none (G21, H1).
pub fn dead_to_traps(rules: Rules, dead: IoReturn) -> IoReturn {
    if rules.on(Rule::G21) { IoReturn::BAD_ARGUMENT } else { dead }
}

/// What reading a name at address 0 gives, an error number of BSD.
const EFAULT: IoReturn = IoReturn(14);

fn unsupported(rules: Rules, rule: Rule) -> Result<(), IoReturn> {
    if rules.on(rule) { Err(IoReturn::UNSUPPORTED) } else { Ok(()) }
}

/// Bytes of a word of the serialised form.
const WORD: u64 = 4;

/// Bytes of a value in the binary form: a word of kind and count or length, then the contents in whole
/// words. The library writes some equal parts once only; here each counts.
fn serialised_size(value: &Value) -> u64 {
    let padded = |length: usize| (length as u64).next_multiple_of(WORD);
    let contents = match value {
        Value::Boolean(_) => 0,
        Value::Number(_) => 8,
        Value::String(text) => padded(text.len()),
        Value::Data(bytes) => padded(bytes.len()),
        Value::Array(values) => values.iter().map(serialised_size).sum(),
        // A key is a symbol, which has its final zero byte with it.
        Value::Dictionary(entries) => entries
            .iter()
            .map(|(key, value)| WORD + padded(key.len() + 1) + serialised_size(value))
            .sum(),
    };
    WORD + contents
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn sizes_are_whole_words() {
        let size = |value: &Value| match Serialised::of(Some(value)) {
            Serialised::Bytes { size, parses: true } => size,
            other => panic!("{other:?}"),
        };
        // Signature, and one word for the kind.
        assert_eq!(size(&Value::Boolean(true)), 8);
        assert_eq!(size(&Value::Number(7)), 16);
        assert_eq!(size(&Value::from("abcde")), 16);
        assert_eq!(size(&Value::Data(vec![0; 4])), 12);
        assert_eq!(size(&Value::Array(vec![Value::Boolean(true), Value::Boolean(false)])), 16);
        let entry = BTreeMap::from([("abc".to_owned(), Value::Boolean(true))]);
        assert_eq!(size(&Value::Dictionary(entry)), 8 + 8 + 4);
        assert_eq!(Serialised::of(None), Serialised::Nothing);
    }
}
