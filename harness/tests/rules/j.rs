//! Group J: numbers.

use crate::RuleTest;
use dextape::IoReturn;
use dextape::boundary::number::{
    ErrorParts, IOKIT_SYSTEM, VENDOR_SPECIFIC, is_result, parts, printed,
};
use dextape::boundary::{Rule, Rules};

pub(crate) const TESTS: &[RuleTest] = &[(Rule::J1, j1), (Rule::J2, j2)];

fn j1(rules: Rules) {
    let of = |system, subsystem, code| ErrorParts { system, subsystem, code };
    assert_eq!(parts(rules, IoReturn::BAD_ARGUMENT), of(IOKIT_SYSTEM, 0, 0x2c2));
    // One of the USB family, the first and the last that a vendor may use, and one of Mach's.
    assert_eq!(parts(rules, IoReturn(0xe000_4061)), of(0x38, 1, 0x61));
    assert_eq!(parts(rules, VENDOR_SPECIFIC), of(0x38, 0xffe, 0));
    assert_eq!(parts(rules, IoReturn(0xe3ff_bfff)), of(0x38, 0xffe, 0x3fff));
    assert_eq!(parts(rules, IoReturn::MACH_SEND_INVALID_DEST), of(4, 0, 3));
    assert_eq!(IOKIT_SYSTEM << 26, 0xe000_0000);
}

fn j2(rules: Rules) {
    assert_eq!(printed(rules, IoReturn::BAD_ARGUMENT), "-536870206");
    assert_eq!(printed(rules, IoReturn::MIG_ARRAY_TOO_LARGE), "-307");
    assert_eq!(printed(rules, IoReturn::MACH_SEND_INVALID_DEST), "268435459");
    assert!(is_result(rules, -307, IoReturn(0xffff_fecd)));
    assert!(is_result(rules, 0xffff_fecd, IoReturn::MIG_ARRAY_TOO_LARGE));
    assert!(!is_result(rules, 307, IoReturn::MIG_ARRAY_TOO_LARGE));
    assert!(!is_result(rules, -307 - (1 << 32), IoReturn::MIG_ARRAY_TOO_LARGE), "33 bits");
}
