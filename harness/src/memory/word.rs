//! Widths of typed access, and what an atomic update does to a word.

/// Width of a typed access in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Width {
    /// 1 byte.
    One = 1,
    /// 2 bytes.
    Two = 2,
    /// 4 bytes.
    Four = 4,
    /// 8 bytes.
    Eight = 8,
}

impl Width {
    /// The width as a number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self as u64
    }

    /// The width of `bytes` bytes, if there is one.
    #[must_use]
    pub const fn of(bytes: u64) -> Option<Self> {
        match bytes {
            1 => Some(Self::One),
            2 => Some(Self::Two),
            4 => Some(Self::Four),
            8 => Some(Self::Eight),
            _ => None,
        }
    }

    /// The bits of a 64-bit value that a word of this width holds.
    #[must_use]
    pub const fn mask(self) -> u64 {
        match self {
            Self::Eight => u64::MAX,
            narrower => (1 << (narrower.bytes() * 8)) - 1,
        }
    }
}

/// An atomic read-modify-write; operands are zero-extended words of the access's width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// Stores the operand.
    Swap(u64),
    /// Adds the operand, wrapping at the width.
    Add(u64),
    /// Sets the operand's bits.
    Or(u64),
    /// Keeps the operand's bits only.
    And(u64),
    /// Stores `new` where the word equals `expected`, and leaves it alone otherwise.
    CompareExchange {
        /// What the word must be for the store to happen.
        expected: u64,
        /// What is stored.
        new: u64,
    },
}

impl Update {
    /// What the word is after the update, from what it was before; both masked to `width`.
    #[must_use]
    pub const fn apply(self, old: u64, width: Width) -> u64 {
        let new = match self {
            Self::Swap(value) => value,
            Self::Add(value) => old.wrapping_add(value),
            Self::Or(value) => old | value,
            Self::And(value) => old & value,
            Self::CompareExchange { expected, new } if old == expected & width.mask() => new,
            Self::CompareExchange { .. } => old,
        };
        new & width.mask()
    }
}

/// An integer that shared memory can hold in one access. Values are little-endian, as on every Mac
/// that runs DriverKit.
pub trait Word: Copy + sealed::Sealed {
    /// Width of the integer.
    const WIDTH: Width;

    /// The integer as zero-extended bits.
    fn to_bits(self) -> u64;

    /// The integer from the low bits of `bits`.
    fn from_bits(bits: u64) -> Self;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! words {
    ($($integer:ty as $unsigned:ty = $width:ident;)*) => {$(
        impl sealed::Sealed for $integer {}

        impl Word for $integer {
            const WIDTH: Width = Width::$width;

            fn to_bits(self) -> u64 {
                u64::from(self as $unsigned)
            }

            fn from_bits(bits: u64) -> Self {
                bits as Self
            }
        }
    )*};
}

words! {
    u8 as u8 = One; i8 as u8 = One;
    u16 as u16 = Two; i16 as u16 = Two;
    u32 as u32 = Four; i32 as u32 = Four;
    u64 as u64 = Eight; i64 as u64 = Eight;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negative_words_do_not_sign_extend() {
        assert_eq!((-1_i16).to_bits(), 0xffff);
        assert_eq!(i16::from_bits(0xffff), -1);
    }

    #[test]
    fn updates_stay_within_their_width() {
        assert_eq!(Update::Add(1).apply(0xff, Width::One), 0);
        assert_eq!(Update::Or(0x1ff).apply(0, Width::One), 0xff);
        assert_eq!(Update::And(0xf0).apply(0xff, Width::One), 0xf0);
        assert_eq!(Update::Swap(0x1_0002).apply(0, Width::Two), 2);
        let exchange = Update::CompareExchange { expected: 0x1_0005, new: 9 };
        assert_eq!(exchange.apply(5, Width::Two), 9, "the expected value is masked, too");
        assert_eq!(exchange.apply(6, Width::Two), 6);
    }
}
