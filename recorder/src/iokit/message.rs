//! A completion as it lies in its Mach message (D15, D16).

use dextape::IoReturn;
use dextape::call::{AsyncReference, Completion, Scalars};
use dextape::limits::{ASYNC_REFERENCE_MAX, COMPLETION_ARGUMENTS_MAX};

/// `kOSNotificationMessageID`: the only messages that IOKit's own dispatcher looks at (D16).
pub(super) const NOTIFICATION_ID: i32 = 53;

/// `kIOAsyncCompletionNotificationType`.
const COMPLETION_TYPE: u32 = 150;

/// `MACH_MSGH_BITS_COMPLEX`: the message carries rights.
const COMPLEX: u32 = 0x8000_0000;

// Offsets in the message of a 64-bit client (D15).
const BITS: usize = 0;
const ID: usize = 20;
const TYPE: usize = 28;
const REFERENCE: usize = 32;
const RESULT: usize = 96;
const ARGUMENTS: usize = 100;

/// Why a message is no completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoCompletion {
    /// It is too short to be one.
    Short,
    /// It is of another kind: another id, another type, or it carries rights.
    OtherKind,
    /// It holds more arguments than a completion can (D13).
    TooManyArguments,
}

/// Reads the completion out of a received message. `message` is as long as its header's
/// `msgh_size`; as in `IODispatchCalloutFromMessage` the number of arguments follows from that
/// length alone (D16).
pub(super) fn completion(message: &[u8]) -> Result<Completion, NoCompletion> {
    let bits = word(message, BITS)?;
    if word(message, ID)? != NOTIFICATION_ID.cast_unsigned() || bits & COMPLEX != 0 {
        return Err(NoCompletion::OtherKind);
    }
    if word(message, TYPE)? != COMPLETION_TYPE {
        return Err(NoCompletion::OtherKind);
    }
    let mut reference: AsyncReference = [0; ASYNC_REFERENCE_MAX];
    for (index, entry) in reference.iter_mut().enumerate() {
        *entry = long(message, REFERENCE + 8 * index)?;
    }
    let status = IoReturn(word(message, RESULT)?);
    let arguments = message.get(ARGUMENTS..).ok_or(NoCompletion::Short)?;
    // Behind the last argument lie four bytes of padding.
    let (arguments, _) = arguments.as_chunks::<8>();
    if arguments.len() > COMPLETION_ARGUMENTS_MAX {
        return Err(NoCompletion::TooManyArguments);
    }
    let mut values = [0; COMPLETION_ARGUMENTS_MAX];
    for (value, bytes) in values.iter_mut().zip(arguments) {
        *value = u64::from_le_bytes(*bytes);
    }
    let arguments = Scalars::clamped(&values[..arguments.len()]);
    Ok(Completion { reference, status, arguments })
}

fn word(message: &[u8], at: usize) -> Result<u32, NoCompletion> {
    let bytes = message.get(at..).and_then(<[u8]>::first_chunk).ok_or(NoCompletion::Short)?;
    Ok(u32::from_le_bytes(*bytes))
}

fn long(message: &[u8], at: usize) -> Result<u64, NoCompletion> {
    let bytes = message.get(at..).and_then(<[u8]>::first_chunk).ok_or(NoCompletion::Short)?;
    Ok(u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A completion of `arguments` laid out as D15 states it, written down apart from the parser.
    fn laid_out(arguments: &[u64]) -> Vec<u8> {
        let count = arguments.len() as u32;
        let mut message = Vec::new();
        // Header: bits, size, remote port, local port, voucher, id.
        for field in [0x1200, 104 + 8 * count, 0, 0x1003, 0, 53] {
            message.extend_from_slice(&u32::to_le_bytes(field));
        }
        for field in [4 + 8 * count, 150] {
            message.extend_from_slice(&u32::to_le_bytes(field));
        }
        for entry in 0..8_u64 {
            message.extend_from_slice(&(entry * 0x1111_1111_1111_1111).to_le_bytes());
        }
        message.extend_from_slice(&0xe000_02c2_u32.to_le_bytes());
        for argument in arguments {
            message.extend_from_slice(&argument.to_le_bytes());
        }
        message.extend_from_slice(&[0xaa; 4]);
        assert_eq!(message.len(), 104 + 8 * arguments.len(), "msgh_size of D15");
        message
    }

    #[test]
    fn d15_every_number_of_arguments_reads_back() {
        for count in 0..=16 {
            let arguments: Vec<u64> = (0..count).map(|n| u64::MAX - n).collect();
            let completion = completion(&laid_out(&arguments)).unwrap();
            assert_eq!(&completion.arguments[..], arguments);
            assert_eq!(completion.status, IoReturn::BAD_ARGUMENT);
            assert_eq!(completion.reference[0], 0);
            assert_eq!(completion.reference[7], 0x7777_7777_7777_7777);
        }
    }

    #[test]
    fn d16_other_messages_are_left_alone() {
        let mut other_id = laid_out(&[]);
        other_id[20] = 54;
        assert_eq!(completion(&other_id), Err(NoCompletion::OtherKind));
        // kIOServiceMatchedNotificationType
        let mut other_type = laid_out(&[]);
        other_type[28] = 101;
        assert_eq!(completion(&other_type), Err(NoCompletion::OtherKind));
        let mut complex = laid_out(&[]);
        complex[3] |= 0x80;
        assert_eq!(completion(&complex), Err(NoCompletion::OtherKind));
    }

    #[test]
    fn d13_more_arguments_than_there_can_be_are_refused() {
        assert_eq!(completion(&laid_out(&[1; 17])), Err(NoCompletion::TooManyArguments));
    }

    #[test]
    fn a_message_cut_anywhere_is_refused_or_has_fewer_arguments() {
        let whole = laid_out(&[1, 2, 3]);
        for length in 0..whole.len() {
            match completion(&whole[..length]) {
                Ok(completion) => assert_eq!(completion.arguments.len(), (length - 100) / 8),
                Err(error) => {
                    assert_eq!(error, NoCompletion::Short);
                    assert!(length < 100, "{length}");
                }
            }
        }
    }
}
