//! Group C: results back to the client.

use crate::kit::{Bench, Call, OLD_BYTE, OLD_SCALAR, TestDext, fill_descriptor, set_output};
use crate::{RuleTest, caught};
use dextape::IoReturn;
use dextape::boundary::{DamagedReply, Rule, Rules, damaged};
use dextape::connection::{MethodInput, MethodOutput, StructureOutput};
use dextape::driverkit::OsData;

pub(crate) const TESTS: &[RuleTest] = &[
    (Rule::C1, c1),
    (Rule::C2, c2),
    (Rule::C3, c3),
    (Rule::C4, c4),
    (Rule::C5, c5),
    (Rule::C6, c6),
    (Rule::C7, c7),
    (Rule::C8, c8),
    (Rule::C9, c9),
    (Rule::C10, c10),
];

/// A dext whose structure output has as many bytes as the selector says.
fn as_long_as_selector() -> TestDext {
    TestDext::new().method(|selector, arguments| {
        set_output(arguments, 1, selector as usize);
        IoReturn::SUCCESS
    })
}

fn c1(rules: Rules) {
    Bench::connected(rules, &as_long_as_selector(), |_, connection| {
        for length in [10, 0, 64] {
            let call = Call { selector: length, bytes_asked: 64, ..Call::default() };
            let answer = call.sync(connection);
            let mut expected = vec![1; length as usize];
            expected.resize(64, OLD_BYTE);
            assert_eq!((answer.result, answer.structure_size), (IoReturn::SUCCESS, length.into()));
            assert_eq!(answer.bytes, expected);
        }
    });
}

fn c2(rules: Rules) {
    Bench::connected(rules, &as_long_as_selector(), |_, connection| {
        for (length, asked) in [(65, 64), (1, 0)] {
            let call =
                Call { selector: length, scalars_asked: 1, bytes_asked: asked, ..Call::default() };
            let answer = call.sync(connection);
            assert_eq!(answer.result, IoReturn::BAD_ARGUMENT);
            assert_eq!((answer.scalar_count, answer.structure_size), (1, asked as u64));
            assert_eq!((answer.scalars, answer.bytes), (vec![OLD_SCALAR], vec![OLD_BYTE; asked]));
        }
    });
    // The structure of a failure is not looked at.
    let failing = TestDext::new().method(|_, arguments| {
        set_output(arguments, 1, 65);
        IoReturn::BUSY
    });
    Bench::connected(rules, &failing, |_, connection| {
        let answer = Call { bytes_asked: 64, ..Call::default() }.sync(connection);
        assert_eq!(answer.result, IoReturn::BUSY);
    });
}

fn c3(rules: Rules) {
    Bench::connected(rules, &TestDext::new(), |_, connection| {
        let answer = Call { bytes_asked: 64, ..Call::default() }.sync(connection);
        assert_eq!((answer.result, answer.structure_size), (IoReturn::SUCCESS, 64));
        assert_eq!(answer.bytes, [0; 64]);
    });
}

fn c4(rules: Rules) {
    let dext = TestDext::new().does(|arguments| fill_descriptor(arguments, 2, 10));
    Bench::connected(rules, &dext, |_, connection| {
        let answer = Call { bytes_asked: 5000, ..Call::default() }.sync(connection);
        assert_eq!((answer.result, answer.structure_size), (IoReturn::SUCCESS, 5000));
        assert_eq!(answer.bytes[..11], [2, 2, 2, 2, 2, 2, 2, 2, 2, 2, OLD_BYTE]);
    });
}

fn c5(rules: Rules) {
    let dext = TestDext::new().method(|selector, arguments| {
        fill_descriptor(arguments, 2, 1);
        set_output(arguments, 1, selector as usize);
        IoReturn::SUCCESS
    });
    Bench::connected(rules, &dext, |_, connection| {
        for (length, result) in [(1, IoReturn::BAD_ARGUMENT), (0, IoReturn::SUCCESS)] {
            let call = Call { selector: length, bytes_asked: 5000, ..Call::default() };
            let answer = call.sync(connection);
            assert_eq!((answer.result, answer.structure_size), (result, 5000));
            assert_eq!(answer.bytes[..2], [2, OLD_BYTE], "what was written stays");
        }
    });
}

fn c6(rules: Rules) {
    let dext = TestDext::new().method(|selector, arguments| {
        if selector > 0 {
            set_output(arguments, 1, selector as usize - 1);
        }
        IoReturn::SUCCESS
    });
    Bench::connected(rules, &dext, |_, connection| {
        let call = |selector| {
            let mut bytes = vec![OLD_BYTE; 3];
            let mut output = MethodOutput::new(&mut [], StructureOutput::Variable(&mut bytes));
            let result = connection.call_method(selector, &MethodInput::default(), &mut output);
            (result, output.structure_size, bytes)
        };
        assert_eq!(call(9001), (IoReturn::SUCCESS, 9000, vec![1; 9000]));
        assert_eq!(call(1), (IoReturn::SUCCESS, 0, vec![]), "an empty object is there");
        assert_eq!(call(0), (IoReturn::UNDERRUN, 0, vec![]), "none is not");
    });
}

fn c7(rules: Rules) {
    let dext = TestDext::new().method(|selector, arguments| {
        arguments.scalar_output.fill(9);
        arguments.scalar_output_count = selector as u32;
        IoReturn::SUCCESS
    });
    Bench::connected(rules, &dext, |_, connection| {
        let call = |asked, set| {
            let call = Call { selector: set, scalars_asked: asked, ..Call::default() };
            let answer = call.sync(connection);
            (answer.result, answer.scalar_count, answer.scalars)
        };
        let old = OLD_SCALAR;
        assert_eq!(call(4, 1), (IoReturn::SUCCESS, 1, vec![9, old, old, old]));
        assert_eq!(call(2, 16), (IoReturn::SUCCESS, 2, vec![9, 9]));
        assert_eq!(call(2, 0), (IoReturn::SUCCESS, 0, vec![old, old]));
    });
}

fn c8(rules: Rules) {
    Bench::connected(rules, &TestDext::new(), |_, connection| {
        let answer = Call { scalars_asked: 2, ..Call::default() }.sync(connection);
        assert_eq!((answer.result, answer.scalar_count), (IoReturn::SUCCESS, 2));
        assert_eq!(answer.scalars, [0, 0]);
    });
}

fn c9(rules: Rules) {
    let dext = TestDext::new().method(|selector, _| IoReturn(selector as u32));
    let call = |code: u32| {
        Bench::connected(rules, &dext, |_, connection| {
            Call { selector: code, ..Call::default() }.sync(connection).result
        })
    };
    for code in [1, 0x1234_5678, 0xe3ff_8001, 0xffff_ffff] {
        assert_eq!(call(code), IoReturn(code));
    }
    // The kernel would send no reply, so the caller hangs.
    let hung = caught(|| assert_eq!(call(IoReturn::MIG_NO_REPLY.0), IoReturn::SUCCESS));
    let report = hung.expect_err("the caller hangs");
    assert!(report.contains("main waits for a reply that the kernel never sends"), "{report}");
}

/// A dext of this crate cannot damage its replies.
fn c10(rules: Rules) {
    let codes = [
        (DamagedReply::WrongShape, 0xe000_02bf),
        (DamagedReply::Objects, 46),
        (DamagedReply::ShortOrOther, -304_i32 as u32),
        (DamagedReply::NoReply, -301_i32 as u32),
    ];
    for (reply, code) in codes {
        assert_eq!(damaged(rules, reply), IoReturn(code), "{reply:?}");
    }
    // Nothing to do with a reply of no bytes, which is not damaged.
    let dext = TestDext::new().does(|arguments| {
        arguments.structure_output = Some(OsData::with_bytes(&[]));
    });
    Bench::connected(rules, &dext, |_, connection| {
        assert_eq!(Call::default().sync(connection).result, IoReturn::SUCCESS);
    });
}
