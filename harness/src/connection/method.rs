//! What goes into an external method call and what comes out.

use super::CompletionQueue;
use crate::limits::VARIABLE_OUTPUT_SIZE;
use crate::memory::SharedBuffer;

/// A structure that a client hands in.
#[derive(Clone, Copy, Debug, Default)]
pub enum StructureInput<'a> {
    /// No structure: size 0 (A7).
    #[default]
    None,
    /// Bytes that the call borrows: up to 4096 they are copied (A8), above that the dext gets a
    /// descriptor of them (A9).
    Bytes(&'a [u8]),
    /// Memory that outlives the call; needed over 4096 bytes in an asynchronous call.
    Shared(&'a SharedBuffer),
    /// A NULL pointer with a size over 4096: the dext sees no structure at all (A10). Up to 4096 it
    /// would be a fault (A3) and is refused as `None` would be.
    Null {
        /// The size that the client states.
        size: u64,
    },
    /// A pointer to where nothing is mapped, with a size over 4096: the call goes on, and the dext's
    /// mapping of the descriptor fails (B6). Up to 4096 it would be a fault and is refused as `None`
    /// would be.
    Unmapped {
        /// The size that the client states.
        size: u64,
    },
}

impl StructureInput<'_> {
    /// The size that the client states, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Shared(buffer) => buffer.length(),
            Self::Null { size } | Self::Unmapped { size } => *size,
        }
    }
}

/// Where a client wants the structure output.
#[derive(Debug, Default)]
pub enum StructureOutput<'a> {
    /// Nowhere: size 0 (A4).
    #[default]
    None,
    /// Into bytes that the call borrows: up to 4096 in-line, above that as a descriptor (A11).
    Bytes(&'a mut [u8]),
    /// Into memory that outlives the call; needed over 4096 bytes in an asynchronous call.
    Shared(&'a SharedBuffer),
    /// A NULL pointer with a size over 4096: the dext sees no descriptor (A12).
    Null {
        /// The size that the client states.
        size: u64,
    },
    /// A pointer to where nothing is mapped, with a size over 4096: the dext's mapping of the
    /// descriptor fails (B6).
    Unmapped {
        /// The size that the client states.
        size: u64,
    },
    /// Variable output, synchronous calls only (A14): the kernel allocates. Emptied on failure.
    Variable(&'a mut Vec<u8>),
}

impl StructureOutput<'_> {
    /// The size that the client states, in bytes; `kIOConnectMethodVarOutputSize` for variable
    /// output.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Shared(buffer) => buffer.length(),
            Self::Null { size } | Self::Unmapped { size } => *size,
            Self::Variable(_) => VARIABLE_OUTPUT_SIZE,
        }
    }
}

/// The inputs of a call.
#[derive(Clone, Copy, Debug, Default)]
pub struct MethodInput<'a> {
    /// Scalars; more than 16 make the library refuse the call (A2).
    pub scalars: &'a [u64],
    /// The structure.
    pub structure: StructureInput<'a>,
}

/// The outputs of a call: what the client asks for, and after success what it got.
#[derive(Debug, Default)]
pub struct MethodOutput<'a> {
    /// Room for scalars; its length is the count asked for, clamped to 16 in the request (A5).
    pub scalars: &'a mut [u64],
    /// `*outputCnt`: the count asked for; after success the count returned (C7).
    pub scalar_count: u32,
    /// Where the structure goes.
    pub structure: StructureOutput<'a>,
    /// `*outputStructCntP`: the size asked for; after success the size returned (C1, C3, C4).
    pub structure_size: u64,
}

impl<'a> MethodOutput<'a> {
    /// Asks for as many scalars as the slice has room for, and for `structure`.
    #[must_use]
    pub fn new(scalars: &'a mut [u64], structure: StructureOutput<'a>) -> Self {
        let scalar_count = u32::try_from(scalars.len()).unwrap_or(u32::MAX);
        let structure_size = structure.size();
        Self { scalars, scalar_count, structure, structure_size }
    }

    /// Bytes of structure that a call with this asks for: [`structure_size`](Self::structure_size),
    /// as far as there is room. After a shorter reply a further call with the same outputs asks for
    /// just that size, as in C.
    #[must_use]
    pub fn structure_asked(&self) -> u64 {
        match &self.structure {
            StructureOutput::Bytes(_) | StructureOutput::Shared(_) => {
                self.structure_size.min(self.structure.size())
            }
            other => other.size(),
        }
    }

    /// The scalars returned, after success.
    #[inline]
    #[must_use]
    pub fn returned_scalars(&self) -> &[u64] {
        &self.scalars[..self.scalars.len().min(self.scalar_count as usize)]
    }
}

/// Where the completions of an asynchronous call go.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsyncWake<'a> {
    /// The wake port's queue; `None` is `MACH_PORT_NULL` (D6). It must come from the connection's
    /// own system: another one is a name without a receive right (D5).
    pub queue: Option<&'a dyn CompletionQueue>,
    /// The reference, entry 0 reserved to the kernel (D7). `None` is NULL with a count of 0 (D2);
    /// an empty slice is a pointer with a count of 0 (D3); more than 8 entries are refused (D1).
    pub reference: Option<&'a [u64]>,
}
