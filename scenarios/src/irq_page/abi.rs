//! What passes between both sides: five selectors and a page of bits.

/// Class of the dext (`IOUserClass`), by which the client finds it.
pub const USER_CLASS: &str = "PassThrough";

/// Bundle identifier of the dext.
pub const BUNDLE_ID: &str = "com.example.PassThrough";

/// Selectors, under the numbers of VFIOUserPCIDriver.
pub mod selector {
    /// Writes a register of the device. Two scalars in: one of [`register`](super::register), and the
    /// value.
    pub const WRITE_REGISTER: u32 = 12;
    /// Makes the page and hears of the device's interrupts from then on. One scalar out: how many
    /// vectors there are.
    pub const SETUP_INTERRUPTS: u32 = 13;
    /// Looks which vectors are pending. Four scalars out, 64 vectors each.
    pub const CHECK_INTERRUPT: u32 = 14;
    /// Asynchronous: completes with the vectors that are pending and enabled, four scalars, as soon as
    /// there is one.
    pub const WAIT_INTERRUPT: u32 = 15;
    /// Sets which vectors are enabled. Four scalars in.
    pub const SET_IRQ_MASK: u32 = 16;
}

/// Types of memory.
pub mod memory_type {
    /// The page of bits; there once the interrupts are set up.
    pub const IRQ_PAGE: u32 = 7;
}

/// What lies where in the page. Both sides change its words with atomic operations only.
pub mod page {
    /// Four words of 64 bits: the vectors that have interrupted. The dext sets bits, the client takes
    /// them.
    pub const PENDING: u64 = 0;
    /// Four words: the vectors that complete a wait.
    pub const ENABLED: u64 = 0x20;
    /// Its length in bytes.
    pub const LENGTH: u64 = 0x4000;
}

/// Words of bits.
pub const WORDS: usize = 4;

/// Vectors of the device.
pub const VECTORS: u32 = 8;

/// Registers of the device.
pub mod register {
    /// Interrupts at once, on each vector whose bit is set.
    pub const INTERRUPT: u64 = 0;
}
