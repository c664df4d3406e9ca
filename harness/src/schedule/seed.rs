//! The seeded generator behind every choice of a simulated run.

/// A small deterministic generator (SplitMix64): the same seed gives the same numbers on every
/// machine. Not for secrets.
///
/// # Examples
///
/// ```
/// use dextape::schedule::Generator;
///
/// let (mut a, mut b) = (Generator::new(7), Generator::new(7));
/// assert_eq!(a.next_u64(), b.next_u64());
/// assert!(a.below(3) < 3);
/// ```
#[derive(Clone, Debug)]
pub struct Generator(u64);

impl Generator {
    /// A generator that starts from `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 where `bound` is 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        // The high half of the product: no division, and a bias far below what a schedule notices.
        ((self.next_u64() as u128 * bound as u128) >> 64) as u64
    }
}
