//! What a system that knows an answer already puts into the client's output.

use super::method::{MethodOutput, StructureOutput};
use crate::IoReturn;
use crate::limits::INLINE_STRUCTURE_MAX;
use crate::memory::Memory;

/// The answer to a call as a client gets it, from a tape or made up: what the kernel and the library
/// have agreed on already.
///
/// ```
/// use dextape::IoReturn;
/// use dextape::connection::{MethodAnswer, MethodOutput, StructureOutput};
///
/// let (mut scalars, mut room) = ([0], [0; 2]);
/// let mut output = MethodOutput::new(&mut scalars, StructureOutput::Bytes(&mut room));
/// let answer =
///     MethodAnswer { result: IoReturn::SUCCESS, scalars: &[7], bytes: &[1, 2], structure_size: 2 };
/// assert_eq!(answer.give(false, &mut output), IoReturn::SUCCESS);
/// assert_eq!((scalars, room), ([7], [1, 2]));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MethodAnswer<'a> {
    /// What the call returns.
    pub result: IoReturn,
    /// The scalars returned.
    pub scalars: &'a [u64],
    /// Bytes of the structure, as far as they are at hand.
    pub bytes: &'a [u8],
    /// Size of the structure that the client is told, in bytes.
    pub structure_size: u64,
}

impl MethodAnswer<'_> {
    /// Copies it into the client's output, and gives the call's result. After a failure counts and
    /// in-line outputs stay as they were (A17), while variable output is emptied (A14) and what lies
    /// out of line holds what was written there (B8). Bytes for which there is no room are left out.
    #[inline]
    pub fn give(self, asynchronous: bool, output: &mut MethodOutput<'_>) -> IoReturn {
        let success = self.result.is_success();
        match &mut output.structure {
            StructureOutput::Bytes(room) => {
                if success || room.len() as u64 > INLINE_STRUCTURE_MAX {
                    let count = room.len().min(self.bytes.len());
                    room[..count].copy_from_slice(&self.bytes[..count]);
                }
            }
            // In an asynchronous call it is a huge size and nothing else.
            StructureOutput::Variable(_) if asynchronous => {}
            StructureOutput::Variable(room) => {
                room.clear();
                output.structure_size = 0;
                if success {
                    room.extend_from_slice(self.bytes);
                }
            }
            StructureOutput::Shared(buffer) => {
                let length = usize::try_from(buffer.length()).unwrap_or(usize::MAX);
                let count = self.bytes.len().min(length);
                // It is inside the buffer.
                let _inside = buffer.store().copy_in(0, &self.bytes[..count]);
            }
            StructureOutput::None
            | StructureOutput::Null { .. }
            | StructureOutput::Unmapped { .. } => {}
        }
        if success {
            let count = output.scalars.len().min(self.scalars.len());
            output.scalars[..count].copy_from_slice(&self.scalars[..count]);
            output.scalar_count = self.scalars.len() as u32;
            output.structure_size = self.structure_size;
        }
        self.result
    }
}
