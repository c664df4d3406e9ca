//! What an external method is called with.

use super::{MemoryDescriptor, OsAction, OsData};
use std::ops::{
    Deref, DerefMut, Index, IndexMut, Range, RangeBounds, RangeFrom, RangeFull, RangeInclusive,
    RangeTo, RangeToInclusive,
};

/// What an external method is called with, and where it leaves its results.
///
/// Input, descriptors and completion are there during the call only: retain what is kept (B10). What
/// is stored in `structure_output` is released by the system.
#[derive(Debug)]
#[doc(alias = "IOUserClientMethodArguments")]
pub struct ExternalMethodArguments<'a> {
    /// 2 (B1).
    pub version: u64,
    /// The selector, zero-extended from 32 bits (B1).
    pub selector: u64,
    /// Present where the call is asynchronous and has a wake port (B9).
    pub completion: Option<OsAction>,
    /// Up to 16 scalars.
    pub scalar_input: &'a [u64],
    /// A structure of 1 to 4096 bytes (B3).
    pub structure_input: Option<OsData>,
    /// A longer one: read-only to the dext (B4, B5).
    pub structure_input_descriptor: Option<MemoryDescriptor>,
    /// As many entries as the client asked for, at most 16.
    pub scalar_output: ScalarOutput<'a>,
    /// Entries asked for, on entry; entries returned, on return (C7).
    pub scalar_output_count: u32,
    /// A structure to return in-line.
    pub structure_output: Option<OsData>,
    /// Memory of the client that takes an output of more than 4096 bytes (B8).
    pub structure_output_descriptor: Option<MemoryDescriptor>,
    /// Bytes of output that the client asked for (B7).
    pub structure_output_maximum_size: u64,
}

impl ExternalMethodArguments<'_> {
    /// Length of the structure handed in, whichever way it came; 0 where there is none.
    #[must_use]
    #[track_caller]
    pub fn structure_input_length(&self) -> u64 {
        match (&self.structure_input, &self.structure_input_descriptor) {
            (Some(data), _) => data.len() as u64,
            (None, Some(descriptor)) => descriptor.length(),
            (None, None) => 0,
        }
    }
}

/// The scalars that a method returns: a slice that knows which of its entries were written.
///
/// Writing entry by entry counts that entry; borrowing the slice mutably counts all of them.
#[derive(Debug)]
pub struct ScalarOutput<'a> {
    values: &'a mut [u64],
    written: u64,
}

impl<'a> ScalarOutput<'a> {
    /// Room for scalars, none of them written.
    #[must_use]
    pub fn new(values: &'a mut [u64]) -> Self {
        Self { values, written: 0 }
    }

    /// The first `count` entries that were not written, in order.
    pub(super) fn unwritten(&self, count: u32) -> impl Iterator<Item = usize> {
        let count = self.values.len().min(count as usize);
        (0..count).filter(|index| *index < 64 && self.written & (1 << index) == 0)
    }
}

impl Deref for ScalarOutput<'_> {
    type Target = [u64];

    fn deref(&self) -> &[u64] {
        self.values
    }
}

impl DerefMut for ScalarOutput<'_> {
    fn deref_mut(&mut self) -> &mut [u64] {
        self.written = u64::MAX;
        self.values
    }
}

impl Index<usize> for ScalarOutput<'_> {
    type Output = u64;

    fn index(&self, index: usize) -> &u64 {
        &self.values[index]
    }
}

impl IndexMut<usize> for ScalarOutput<'_> {
    fn index_mut(&mut self, index: usize) -> &mut u64 {
        if index < 64 {
            self.written |= 1 << index;
        }
        &mut self.values[index]
    }
}

/// Ranges: the entries that a mutable borrow could write count as written.
macro_rules! index_by_range {
    ($($range:ty),*) => {$(
        impl Index<$range> for ScalarOutput<'_> {
            type Output = [u64];

            fn index(&self, range: $range) -> &[u64] {
                &self.values[range]
            }
        }

        impl IndexMut<$range> for ScalarOutput<'_> {
            fn index_mut(&mut self, range: $range) -> &mut [u64] {
                let length = self.values.len();
                for index in 0..length.min(64) {
                    if RangeBounds::<usize>::contains(&range, &index) {
                        self.written |= 1 << index;
                    }
                }
                &mut self.values[range]
            }
        }
    )*};
}

index_by_range!(
    RangeFull,
    Range<usize>,
    RangeFrom<usize>,
    RangeTo<usize>,
    RangeInclusive<usize>,
    RangeToInclusive<usize>
);
