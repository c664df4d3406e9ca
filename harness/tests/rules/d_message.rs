//! Group D: the message that a completion is, and who receives it.

use crate::RuleTest;
use crate::kit::{Bench, Call, Log, TestDext};
use dextape::IoReturn;
use dextape::boundary::completion::Callout;
use dextape::boundary::message::{
    CallbackForm, DISPATCH_QUEUE_MESSAGE_MAX, Dispatched, MessageError, decode, dispatch, encode,
    message_size, offset,
};
use dextape::boundary::{Rule, Rules};
use dextape::call::{Completion, Scalars};
use dextape::connection::{AsyncWake, CompletionQueue};
use dextape::driverkit::{OsObject, async_completion};
use std::sync::Arc;
use std::time::Duration;

pub(crate) const TESTS: &[RuleTest] = &[(Rule::D15, d15), (Rule::D16, d16), (Rule::D22, d22)];

const FUNCTION: u64 = 0x1111_2222_3333_4444;
const REFCON: u64 = 0x5555_6666_7777_8888;

fn completion(arguments: &[u64]) -> Completion {
    Completion {
        reference: [0, FUNCTION, REFCON, 3, 4, 5, 6, 0xffff_ffff_ffff_fff7],
        status: IoReturn::ABORTED,
        arguments: Scalars::clamped(arguments),
    }
}

/// The message of a completion, put together by hand: every place is that of the reference.
fn by_hand(arguments: &[u64]) -> Vec<u8> {
    let count = arguments.len() as u32;
    // Bits, size, remote, local and voucher port, id; then the content's size and type.
    let head = [0x1100, 104 + 8 * count, 0, 0x903, 0, 53, 4 + 8 * count, 150];
    let reference = [0, FUNCTION, REFCON, 3, 4, 5, 6, 0xffff_ffff_ffff_fff7];
    let mut message: Vec<u8> = head.iter().flat_map(|word| word.to_le_bytes()).collect();
    message.extend(reference.iter().flat_map(|word| word.to_le_bytes()));
    message.extend(0xe000_02eb_u32.to_le_bytes());
    message.extend(arguments.iter().flat_map(|word| word.to_le_bytes()));
    message.extend([0; 4]);
    message
}

fn d15(rules: Rules) {
    let arguments: Vec<u64> = (0..16).map(|index| 0x0102_0304_0506_0708 << (index % 8)).collect();
    for count in [0, 1, 3, 16] {
        let (given, sent) = (completion(&arguments[..count]), by_hand(&arguments[..count]));
        assert_eq!(encode(rules, &given, 0x903), sent, "{count} arguments");
        assert_eq!(message_size(count), sent.len());
        assert_eq!(decode(rules, &sent), Ok(given));
        // A receiver's buffer goes on with a trailer.
        let with_trailer = [&sent[..], &[0xcc; 68]].concat();
        assert_eq!(decode(rules, &with_trailer), Ok(given));
        assert!(decode(rules, &sent[..sent.len() - 1]).is_err(), "cut off");
    }
    let mut other = by_hand(&[1]);
    other[offset::TYPE] = 160;
    assert_eq!(decode(rules, &other), Err(MessageError::Other { id: 53, kind: 160 }));
    let mut long = by_hand(&[0; 17]);
    long[offset::STATUS] = 0;
    assert_eq!(decode(rules, &long), Err(MessageError::TooMany { arguments: 17 }));
    // As long as it says, but without what follows the last argument.
    let mut bare = by_hand(&[]);
    bare.truncate(offset::ARGUMENTS);
    bare[offset::SIZE] = 100;
    assert_eq!(decode(rules, &bare), Err(MessageError::Short { length: 100, size: 100 }));
    assert_eq!(decode(rules, &[]), Err(MessageError::Short { length: 0, size: 0 }));
}

fn d16(rules: Rules) {
    let callout = Callout { function: FUNCTION, refcon: REFCON };
    let forms = [
        (0, CallbackForm::Callback0),
        (1, CallbackForm::Callback1),
        (2, CallbackForm::Callback2),
        (3, CallbackForm::Callback),
        (16, CallbackForm::Callback),
    ];
    for (count, form) in forms {
        let called = dispatch(rules, &by_hand(&vec![9; count]));
        assert_eq!(called, Dispatched::Call { callout, form }, "{count} arguments");
    }
    let mut other = by_hand(&[1]);
    other[offset::ID] = 54;
    assert_eq!(dispatch(rules, &other), Dispatched::Ignored, "another id");
    let mut other = by_hand(&[1]);
    other[offset::TYPE] = 160;
    assert_eq!(dispatch(rules, &other), Dispatched::Other, "another type");
    assert_eq!(dispatch(rules, &[0; 8]), Dispatched::Ignored, "next to nothing");
    // The one zero entry of a NULL reference (D2) must never come here.
    let mut null = by_hand(&[1]);
    null[offset::REFERENCE..offset::STATUS].fill(0);
    assert_eq!(dispatch(rules, &null), Dispatched::Fault);
}

/// Not the thread that made the port or the call, but whoever asks.
fn d22(rules: Rules) {
    let kept = Log::new();
    let keeping = kept.clone();
    let dext = TestDext::new().does(move |arguments| {
        let completion = arguments.completion.as_ref().unwrap();
        completion.retain();
        keeping.push(completion.clone());
    });
    Bench::connected(rules, &dext, |bench, connection| {
        let queue = bench.queue();
        let wake = AsyncWake { queue: Some(&*queue), reference: Some(&[0]) };
        assert_eq!(Call::default().with_wake(connection, &wake).result, IoReturn::SUCCESS);
        let action = &kept.take()[0];
        let receivers: Vec<_> = (0..2)
            .map(|_| {
                let queue: Arc<dyn CompletionQueue> = Arc::clone(&queue);
                bench.schedule.spawn("receiver", move || queue.wait(None).unwrap().arguments[0])
            })
            .collect();
        for argument in [1, 2] {
            async_completion(action, IoReturn::SUCCESS, &[argument]);
        }
        let mut received: Vec<u64> =
            receivers.into_iter().map(|receiver| receiver.join()).collect();
        received.sort_unstable();
        assert_eq!(received, [1, 2], "each goes to one of those who wait");
        async_completion(action, IoReturn::SUCCESS, &[3]);
        let taken = queue.wait(Some(Duration::ZERO)).map(|completion| completion.arguments[0]);
        assert_eq!(taken, Some(3), "and to who made it");
        action.release();
    });
    assert!(message_size(16) <= DISPATCH_QUEUE_MESSAGE_MAX);
}
