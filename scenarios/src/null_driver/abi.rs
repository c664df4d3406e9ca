//! What passes between both sides: six selectors and two structures.

use bytemuck::{Pod, Zeroable};

/// Class of the dext (`IOUserClass`), by which the client finds it.
pub const USER_CLASS: &str = "NullDriver";

/// Bundle identifier of the dext.
pub const BUNDLE_ID: &str = "com.example.apple-samplecode.dext-to-user-client";

/// Selectors.
pub mod selector {
    /// 16 scalars in, 16 out, each one more; no dispatch entry.
    pub const SCALAR: u32 = 0;
    /// A structure in and out, of either size; no dispatch entry.
    pub const STRUCT: u32 = 1;
    /// As `SCALAR`, checked by a dispatch entry.
    pub const CHECKED_SCALAR: u32 = 2;
    /// As `STRUCT` with the small structure, checked by a dispatch entry.
    pub const CHECKED_STRUCT: u32 = 3;
    /// Hands over a completion to be fired later; the small structure in and out.
    pub const REGISTER_ASYNC: u32 = 4;
    /// Has the registered completion fired after some seconds; the small structure in.
    pub const ASYNC_REQUEST: u32 = 5;
}

/// What the first argument of a completion says.
pub mod completion {
    /// It tells of the registration.
    pub const REGISTERED: u64 = 1;
    /// It answers a request.
    pub const REQUESTED: u64 = 2;
}

/// How many scalars go each way.
pub const SCALARS: usize = 16;

/// What the dext adds to `foo`.
pub const FOO_STEP: u64 = 1;

/// What the dext adds to `bar`.
pub const BAR_STEP: u64 = 10;

/// The small structure, which fits a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Data {
    /// Comes back one more.
    pub foo: u64,
    /// Comes back ten more.
    pub bar: u64,
}

impl Data {
    /// What the dext makes of it.
    #[must_use]
    pub const fn answered(self) -> Self {
        Self { foo: self.foo.wrapping_add(FOO_STEP), bar: self.bar.wrapping_add(BAR_STEP) }
    }
}

/// The large structure, which goes as a memory descriptor: 4104 bytes are more than fit a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct OversizedData {
    /// As in the small one.
    pub data: Data,
    /// Only there to make it large.
    pub large: [u64; 511],
}

const _: () = {
    assert!(size_of::<Data>() == 16);
    assert!(size_of::<OversizedData>() == 4104);
    assert!(size_of::<OversizedData>() as u64 > dextape::limits::INLINE_STRUCTURE_MAX);
};
