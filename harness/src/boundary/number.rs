//! What the numbers are made of (group J).

use super::{Rule, Rules};
use crate::IoReturn;

/// The system of IOKit's codes.
pub const IOKIT_SYSTEM: u32 = 0x38;

/// First code that a vendor can give a meaning of its own (`iokit_vendor_specific_err(0)`; J1).
pub const VENDOR_SPECIFIC: IoReturn = IoReturn(0xe3ff_8000);

/// The parts of an error (J1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorParts {
    /// Who makes such errors at all; 6 bits.
    pub system: u32,
    /// Which of its families; 12 bits.
    pub subsystem: u32,
    /// What is wrong; 14 bits.
    pub code: u32,
}

/// The parts of an error (J1).
///
/// # Examples
///
/// ```
/// use dextape::IoReturn;
/// use dextape::boundary::Rules;
/// use dextape::boundary::number::{IOKIT_SYSTEM, parts};
///
/// let parts = parts(Rules::all(), IoReturn::BAD_ARGUMENT);
/// assert_eq!((parts.system, parts.subsystem, parts.code), (IOKIT_SYSTEM, 0, 0x2c2));
/// ```
#[must_use]
pub fn parts(rules: Rules, error: IoReturn) -> ErrorParts {
    // As other systems lay their errors out.
    let (subsystem_bits, code_bits) = if rules.on(Rule::J1) { (12, 14) } else { (8, 16) };
    let below = |bits: u32| (1 << bits) - 1;
    ErrorParts {
        system: error.0 >> (subsystem_bits + code_bits),
        subsystem: error.0 >> code_bits & below(subsystem_bits),
        code: error.0 & below(code_bits),
    }
}

/// Whether the number that a program has of a result is this one, however wide and whichever sign it
/// gave it: what counts are the lower 32 bits (J2).
///
/// # Examples
///
/// ```
/// use dextape::IoReturn;
/// use dextape::boundary::Rules;
/// use dextape::boundary::number::is_result;
///
/// assert!(is_result(Rules::all(), -536_870_206, IoReturn::BAD_ARGUMENT));
/// assert!(is_result(Rules::all(), 0xe000_02c2, IoReturn::BAD_ARGUMENT));
/// ```
#[must_use]
pub fn is_result(rules: Rules, number: i64, result: IoReturn) -> bool {
    if rules.on(Rule::J2) {
        let signed = i64::from(result.as_kern_return());
        number == signed || number == i64::from(result.0)
    } else {
        number == i64::from(result.0)
    }
}

/// A result as a C program prints it with `%d` (J2).
#[must_use]
pub fn printed(rules: Rules, result: IoReturn) -> String {
    if rules.on(Rule::J2) { result.as_kern_return().to_string() } else { result.0.to_string() }
}
