//! Hex as it stands on a tape: bytes as pairs of digits, 64-bit values as `0x` and digits.

/// Value of each digit; `0x10` where the character is none.
const DIGITS: [u8; 256] = {
    let mut table = [0x10; 256];
    let mut value = 0;
    while value < 16 {
        let digit = b"0123456789abcdef"[value];
        table[digit as usize] = value as u8;
        table[digit.to_ascii_uppercase() as usize] = value as u8;
        value += 1;
    }
    table
};

/// Appends the bytes that `text` spells to `into`. False, with `into` as it was, where `text` is no
/// hex.
pub(super) fn decode(text: &[u8], into: &mut Vec<u8>) -> bool {
    let pairs = text.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return false;
    }
    let before = into.len();
    // Bad digits are gathered rather than tested one by one: this loop is most of reading a tape.
    let mut bad = 0;
    into.extend(pairs.map(|pair| {
        let high = DIGITS[usize::from(pair[0])];
        let low = DIGITS[usize::from(pair[1])];
        bad |= high | low;
        high << 4 | low
    }));
    if bad & 0x10 != 0 {
        into.truncate(before);
        return false;
    }
    true
}

/// The value of `0x` and 1 to 16 digits.
pub(super) fn number(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x")?.as_bytes();
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    let mut value = 0;
    for digit in digits {
        let digit = DIGITS[usize::from(*digit)];
        if digit > 0xf {
            return None;
        }
        value = value << 4 | u64::from(digit);
    }
    Some(value)
}

/// Appends `bytes` as hex.
pub(super) fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    const PAIRS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        out.extend_from_slice(&[PAIRS[usize::from(byte >> 4)], PAIRS[usize::from(byte & 0xf)]]);
    }
}

/// Appends `value` as `0x` and its digits without leading zeros.
pub(super) fn push_number(out: &mut Vec<u8>, value: u64) {
    let digits = (64 - value.leading_zeros()).div_ceil(4).max(1);
    out.extend_from_slice(b"0x");
    for place in (0..digits).rev() {
        out.push(b"0123456789abcdef"[(value >> (place * 4) & 0xf) as usize]);
    }
}

/// Appends `value` in decimal.
pub(super) fn push_decimal(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[first..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_read_back_in_either_case() {
        let mut bytes = vec![7];
        assert!(decode(b"00ffA5a5", &mut bytes));
        assert_eq!(bytes, [7, 0x00, 0xff, 0xa5, 0xa5]);
        let mut text = Vec::new();
        push_bytes(&mut text, &bytes[1..]);
        assert_eq!(text, b"00ffa5a5");
    }

    #[test]
    fn what_is_no_hex_leaves_the_bytes_alone() {
        for text in [&b"0"[..], b"0g", b"g0", b"00 1", b"\xff\xff"] {
            let mut bytes = vec![1];
            assert!(!decode(text, &mut bytes), "{text:?}");
            assert_eq!(bytes, [1]);
        }
    }

    #[test]
    fn numbers_read_back_and_have_one_spelling() {
        for value in [0, 1, 0xf, 0x10, 0xdead_beef, u64::MAX, 1 << 60] {
            let mut text = Vec::new();
            push_number(&mut text, value);
            let text = String::from_utf8(text).unwrap();
            assert_eq!(text, format!("{value:#x}"));
            assert_eq!(number(&text), Some(value));
            let mut text = Vec::new();
            push_decimal(&mut text, value);
            assert_eq!(String::from_utf8(text).unwrap(), value.to_string());
        }
        for text in ["", "0x", "10", "0X1", "0x+1", "0x1ffffffffffffffff", "-0x1", "0x1_0"] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
