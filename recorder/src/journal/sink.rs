//! Where an encoding goes: to be measured, or into a slot.

use super::slot::Slot;

/// Takes the bytes of an encoding in order.
pub(super) trait Sink {
    /// The next bytes.
    fn put(&mut self, bytes: &[u8]);

    #[inline]
    fn byte(&mut self, value: u8) {
        self.put(&[value]);
    }

    #[inline]
    fn number(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }

    #[inline]
    fn long(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }

    /// Length and bytes.
    #[inline]
    fn block(&mut self, bytes: &[u8]) {
        self.long(bytes.len() as u64);
        self.put(bytes);
    }

    /// A number that may be missing.
    #[inline]
    fn maybe_number(&mut self, value: Option<u32>) {
        self.byte(u8::from(value.is_some()));
        self.number(value.unwrap_or(0));
    }

    /// As [`maybe_number`](Self::maybe_number).
    #[inline]
    fn maybe_long(&mut self, value: Option<u64>) {
        self.byte(u8::from(value.is_some()));
        self.long(value.unwrap_or(0));
    }

    fn maybe_text(&mut self, value: Option<&str>) {
        self.byte(u8::from(value.is_some()));
        self.block(value.unwrap_or("").as_bytes());
    }
}

/// Counts bytes.
#[derive(Debug, Default)]
pub(super) struct Measure(pub(super) u64);

impl Sink for Measure {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len() as u64;
    }
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl Sink for Slot<'_> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        Slot::put(self, bytes);
    }

    #[inline]
    fn byte(&mut self, value: u8) {
        self.put_word(u64::from(value), 1);
    }

    #[inline]
    fn number(&mut self, value: u32) {
        self.put_word(u64::from(value), 4);
    }

    #[inline]
    fn long(&mut self, value: u64) {
        self.put_word(value, 8);
    }
}
