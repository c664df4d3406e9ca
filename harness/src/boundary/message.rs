//! The message that a completion is on its way to the client, and what the client's run loop makes of
//! it (D15, D16, D22).

use super::completion::{Callout, callout};
use super::{Rule, Rules};
use crate::IoReturn;
use crate::call::{AsyncReference, Completion, Scalars};
use crate::limits::{ASYNC_REFERENCE_MAX, COMPLETION_ARGUMENTS_MAX};

/// `msgh_id` of every notification of IOKit's (`kOSNotificationMessageID`).
pub const NOTIFICATION_MESSAGE_ID: u32 = 53;

/// Type of the notification that is a completion (`kIOAsyncCompletionNotificationType`).
pub const ASYNC_COMPLETION_TYPE: u32 = 150;

/// Longest message, in bytes, that reaches the handler of a port with a dispatch queue
/// (`IONotificationPortSetDispatchQueue`; D22).
pub const DISPATCH_QUEUE_MESSAGE_MAX: usize = 8192;

/// `msgh_bits` as they are received: the right that came for the local port was a send right. The
/// reference is silent on them; they follow from the kernel's copied send right.
const RECEIVED_BITS: u32 = 17 << 8;

/// Where the parts of the message stand for a 64-bit client, in bytes from its start (D15). Words are
/// little-endian, as on every Mac.
pub mod offset {
    /// `msgh_bits`.
    pub const BITS: usize = 0;
    /// `msgh_size`, 4 bytes.
    pub const SIZE: usize = 4;
    /// `msgh_remote_port`: null.
    pub const REMOTE_PORT: usize = 8;
    /// `msgh_local_port`: the receiver's own name of the wake port.
    pub const LOCAL_PORT: usize = 12;
    /// `msgh_voucher_port`.
    pub const VOUCHER_PORT: usize = 16;
    /// `msgh_id`.
    pub const ID: usize = 20;
    /// Size of the content behind the reference, 4 bytes.
    pub const CONTENT_SIZE: usize = 24;
    /// Type of the notification, 4 bytes.
    pub const TYPE: usize = 28;
    /// The reference: 8 words of 8 bytes.
    pub const REFERENCE: usize = 32;
    /// The status, 4 bytes.
    pub const STATUS: usize = 96;
    /// The arguments: 8 bytes each, and not aligned.
    pub const ARGUMENTS: usize = 100;
}

/// Bytes that follow the last argument (D15).
const PADDING: usize = 4;

/// First byte of the arguments.
fn arguments_at(rules: Rules) -> usize {
    // As a compiler would align them.
    if rules.on(Rule::D15) { offset::ARGUMENTS } else { offset::ARGUMENTS.next_multiple_of(8) }
}

/// `msgh_size` of a completion with so many arguments, in bytes (D15).
#[must_use]
pub const fn message_size(arguments: usize) -> usize {
    offset::ARGUMENTS + 8 * arguments + PADDING
}

/// The message of `completion` as a 64-bit client receives it whose name of the wake port is
/// `local_port` (D15).
///
/// # Examples
///
/// ```
/// use dextape::boundary::Rules;
/// use dextape::boundary::message::{decode, encode, offset};
/// use dextape::call::{Completion, Scalars};
/// use dextape::IoReturn;
///
/// let completion = Completion {
///     reference: [0, 0x1000, 0x2000, 0, 0, 0, 0, 0],
///     status: IoReturn::ABORTED,
///     arguments: Scalars::clamped(&[7, 8]),
/// };
/// let message = encode(Rules::all(), &completion, 0x903);
/// assert_eq!(message.len(), 120);
/// assert_eq!(message[offset::ARGUMENTS], 7);
/// assert_eq!(decode(Rules::all(), &message), Ok(completion));
/// ```
#[must_use]
pub fn encode(rules: Rules, completion: &Completion, local_port: u32) -> Vec<u8> {
    let arguments = completion.arguments.as_slice();
    let start = arguments_at(rules);
    let mut message = vec![0; start + 8 * arguments.len() + PADDING];
    let size = message.len() as u32;
    let mut put = |at: usize, bytes: &[u8]| message[at..at + bytes.len()].copy_from_slice(bytes);
    put(offset::BITS, &RECEIVED_BITS.to_le_bytes());
    put(offset::SIZE, &size.to_le_bytes());
    put(offset::LOCAL_PORT, &local_port.to_le_bytes());
    put(offset::ID, &NOTIFICATION_MESSAGE_ID.to_le_bytes());
    let content = (4 + 8 * arguments.len()) as u32;
    put(offset::CONTENT_SIZE, &content.to_le_bytes());
    put(offset::TYPE, &ASYNC_COMPLETION_TYPE.to_le_bytes());
    for (index, word) in completion.reference.iter().enumerate() {
        put(offset::REFERENCE + 8 * index, &word.to_le_bytes());
    }
    put(offset::STATUS, &completion.status.0.to_le_bytes());
    for (index, argument) in arguments.iter().enumerate() {
        put(start + 8 * index, &argument.to_le_bytes());
    }
    message
}

/// Bytes that are no completion's message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Fewer bytes than the message says, or than any completion has.
    #[error("read a completion of {length} bytes: its size says {size}, and one has 104 or more")]
    Short {
        /// Bytes that there are.
        length: usize,
        /// `msgh_size`, where there is one.
        size: u32,
    },
    /// Another message.
    #[error("read a message with id {id} and type {kind} as a completion: it is none")]
    Other {
        /// `msgh_id`.
        id: u32,
        /// Type of the notification.
        kind: u32,
    },
    /// More arguments than a completion can have (D13).
    #[error("read a completion with {arguments} arguments: it has 16 at most")]
    TooMany {
        /// Arguments by the message's size.
        arguments: usize,
    },
}

/// The completion in the bytes of a received message, which may be followed by a trailer (D15).
///
/// # Errors
///
/// Where the bytes are no completion's message.
pub fn decode(rules: Rules, message: &[u8]) -> Result<Completion, MessageError> {
    let start = arguments_at(rules);
    let (length, size) = (message.len(), word(message, offset::SIZE).unwrap_or(0));
    let whole = size as usize <= length && size as usize >= start + PADDING;
    let (Some(id), Some(kind), true) =
        (word(message, offset::ID), word(message, offset::TYPE), whole)
    else {
        return Err(MessageError::Short { length, size });
    };
    if (id, kind) != (NOTIFICATION_MESSAGE_ID, ASYNC_COMPLETION_TYPE) {
        return Err(MessageError::Other { id, kind });
    }
    let arguments = (size as usize - start) / 8;
    if arguments > COMPLETION_ARGUMENTS_MAX {
        return Err(MessageError::TooMany { arguments });
    }
    let long = |at| long_word(message, at).unwrap_or(0);
    let mut reference: AsyncReference = [0; ASYNC_REFERENCE_MAX];
    for (index, word) in reference.iter_mut().enumerate() {
        *word = long(offset::REFERENCE + 8 * index);
    }
    let mut values = [0; COMPLETION_ARGUMENTS_MAX];
    for (index, value) in values.iter_mut().take(arguments).enumerate() {
        *value = long(start + 8 * index);
    }
    let status = IoReturn(word(message, offset::STATUS).unwrap_or(0));
    Ok(Completion { reference, status, arguments: Scalars::clamped(&values[..arguments]) })
}

fn word(message: &[u8], at: usize) -> Option<u32> {
    message.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

fn long_word(message: &[u8], at: usize) -> Option<u64> {
    message.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// Which of the callback's types is called, by the number of arguments that the dext sent (D16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallbackForm {
    /// `IOAsyncCallback0`: context and status.
    Callback0,
    /// `IOAsyncCallback1`: one argument more.
    Callback1,
    /// `IOAsyncCallback2`: two arguments more.
    Callback2,
    /// `IOAsyncCallback`: the arguments as an array with its length.
    Callback,
}

/// Which of the callback's types is called for so many arguments. What the client expects does not
/// count (D16).
#[must_use]
pub fn callback_form(rules: Rules, arguments: usize) -> CallbackForm {
    match arguments {
        // Naively there is one type for all.
        _ if !rules.on(Rule::D16) => CallbackForm::Callback,
        0 => CallbackForm::Callback0,
        1 => CallbackForm::Callback1,
        2 => CallbackForm::Callback2,
        _ => CallbackForm::Callback,
    }
}

/// What `IODispatchCalloutFromMessage` does with a message (D16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dispatched {
    /// Nothing: it is no notification.
    Ignored,
    /// It is a notification of another type, or not whole.
    Other,
    /// It calls the null function: the client faults.
    Fault,
    /// It calls the client's callback.
    Call {
        /// Function and context reference (D9).
        callout: Callout,
        /// How, with the status and arguments that [`decode`] gives.
        form: CallbackForm,
    },
}

/// What `IODispatchCalloutFromMessage` does with the bytes of a message (D9, D16).
#[must_use]
pub fn dispatch(rules: Rules, message: &[u8]) -> Dispatched {
    if word(message, offset::ID) != Some(NOTIFICATION_MESSAGE_ID) && rules.on(Rule::D16) {
        return Dispatched::Ignored;
    }
    let Ok(completion) = decode(rules, message) else { return Dispatched::Other };
    let callout = callout(rules, &completion.reference);
    if callout.function == 0 {
        return Dispatched::Fault;
    }
    let form = callback_form(rules, completion.arguments.len());
    Dispatched::Call { callout, form }
}

/// Whether a completion that waits on a port is given to who asks for it: to anybody, on whichever
/// thread (D22). `is_maker` is true where that is who made the port.
#[must_use]
pub fn may_receive(rules: Rules, is_maker: bool) -> bool {
    is_maker || rules.on(Rule::D22)
}
