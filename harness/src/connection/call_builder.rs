//! The comfortable layer: one call as a chain of what goes in and what is wanted.

use super::{
    AsyncWake, CompletionQueue, Connection, MethodInput, MethodOutput, StructureInput,
    StructureOutput,
};
use crate::IoReturn;
use crate::call::Scalars;
use crate::limits::SCALARS_MAX;
use crate::memory::SharedBuffer;

/// Comfortable calls on any [`Connection`].
pub trait ConnectionExt {
    /// Begins a call of `selector`.
    ///
    /// # Examples
    ///
    /// ```
    /// use dextape::connection::{CallError, Connection, ConnectionExt};
    ///
    /// #[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
    /// #[repr(C)]
    /// struct Reply {
    ///     version: u32,
    ///     flags: u32,
    /// }
    ///
    /// fn version(connection: &dyn Connection) -> Result<u32, CallError> {
    ///     let reply = connection.call(0).scalars(&[1]).output::<Reply>()?;
    ///     Ok(reply.version)
    /// }
    /// ```
    fn call(&self, selector: u32) -> CallBuilder<'_>;
}

impl<C: Connection> ConnectionExt for C {
    fn call(&self, selector: u32) -> CallBuilder<'_> {
        CallBuilder::new(self, selector)
    }
}

impl ConnectionExt for dyn Connection + '_ {
    fn call(&self, selector: u32) -> CallBuilder<'_> {
        CallBuilder::new(self, selector)
    }
}

/// Why a comfortable call has no typed result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The call itself failed.
    #[error("call selector {selector}: {result}")]
    Failed {
        /// The selector called.
        selector: u32,
        /// What the client was told.
        result: IoReturn,
    },
    /// The call worked but returned a structure of another size.
    #[error("read the output of selector {selector}: expected {expected} bytes, got {returned}")]
    WrongSize {
        /// The selector called.
        selector: u32,
        /// Size of the type asked for, in bytes.
        expected: u64,
        /// Size returned, in bytes.
        returned: u64,
    },
}

impl CallError {
    /// The result code, where the call failed.
    #[must_use]
    pub fn io_return(&self) -> Option<IoReturn> {
        match self {
            Self::Failed { result, .. } => Some(*result),
            Self::WrongSize { .. } => None,
        }
    }
}

/// What a call returned besides a structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Scalars returned.
    pub scalars: Scalars,
    /// Bytes of structure returned.
    pub structure_size: u64,
}

/// A call being put together. Nothing is sent before one of the methods that give a `Result`.
#[derive(Debug)]
#[must_use = "nothing is called before one of the methods that give a result"]
pub struct CallBuilder<'a> {
    connection: &'a (dyn Connection + 'a),
    selector: u32,
    input: MethodInput<'a>,
    scalars_wanted: usize,
    wake: Option<AsyncWake<'a>>,
}

impl<'a> CallBuilder<'a> {
    fn new(connection: &'a (dyn Connection + 'a), selector: u32) -> Self {
        let input = MethodInput::default();
        Self { connection, selector, input, scalars_wanted: 0, wake: None }
    }

    /// Scalars to hand in.
    pub fn scalars(mut self, scalars: &'a [u64]) -> Self {
        self.input.scalars = scalars;
        self
    }

    /// A structure to hand in.
    pub fn input<T: bytemuck::NoUninit>(self, structure: &'a T) -> Self {
        self.input_bytes(bytemuck::bytes_of(structure))
    }

    /// Bytes to hand in as the structure.
    pub fn input_bytes(mut self, bytes: &'a [u8]) -> Self {
        self.input.structure = StructureInput::Bytes(bytes);
        self
    }

    /// A buffer to hand in as the structure; it outlives the call.
    pub fn input_shared(mut self, buffer: &'a SharedBuffer) -> Self {
        self.input.structure = StructureInput::Shared(buffer);
        self
    }

    /// How many scalars are wanted back.
    pub fn want_scalars(mut self, count: usize) -> Self {
        self.scalars_wanted = count;
        self
    }

    /// Makes the call asynchronous: completions go to `queue`, with `reference` (entry 0 is the
    /// kernel's, D7).
    pub fn completing_on(mut self, queue: &'a dyn CompletionQueue, reference: &'a [u64]) -> Self {
        self.wake = Some(AsyncWake { queue: Some(queue), reference: Some(reference) });
        self
    }

    /// Makes the call asynchronous with a wake of the caller's own making, such as one without a port
    /// (D6) or without a reference (D2).
    pub fn waking(mut self, wake: AsyncWake<'a>) -> Self {
        self.wake = Some(wake);
        self
    }

    /// Calls, wanting no structure back.
    ///
    /// # Errors
    ///
    /// The result of the call where it is not success.
    pub fn send(self) -> Result<Reply, CallError> {
        self.finish(StructureOutput::None)
    }

    /// Calls, and gives the structure returned.
    ///
    /// # Errors
    ///
    /// The result of the call where it is not success, or the size returned where it is not that of
    /// `T`.
    pub fn output<T: bytemuck::Pod>(self) -> Result<T, CallError> {
        let mut value = T::zeroed();
        let (selector, expected) = (self.selector, size_of::<T>() as u64);
        let reply = self.finish(StructureOutput::Bytes(bytemuck::bytes_of_mut(&mut value)))?;
        if reply.structure_size == expected {
            Ok(value)
        } else {
            let returned = reply.structure_size;
            Err(CallError::WrongSize { selector, expected, returned })
        }
    }

    /// Calls, with room for the structure in `bytes`.
    ///
    /// # Errors
    ///
    /// The result of the call where it is not success.
    pub fn output_bytes(self, bytes: &mut [u8]) -> Result<Reply, CallError> {
        self.finish(StructureOutput::Bytes(bytes))
    }

    /// Calls, with a buffer for the structure that outlives the call.
    ///
    /// # Errors
    ///
    /// The result of the call where it is not success.
    pub fn output_shared(self, buffer: &SharedBuffer) -> Result<Reply, CallError> {
        self.finish(StructureOutput::Shared(buffer))
    }

    fn finish(self, structure: StructureOutput<'_>) -> Result<Reply, CallError> {
        let mut room = [0; SCALARS_MAX];
        let wanted = self.scalars_wanted.min(SCALARS_MAX);
        let mut output = MethodOutput::new(&mut room[..wanted], structure);
        let result = match &self.wake {
            None => self.connection.call_method(self.selector, &self.input, &mut output),
            Some(wake) => {
                self.connection.call_async_method(self.selector, wake, &self.input, &mut output)
            }
        };
        result.ok().map_err(|result| CallError::Failed { selector: self.selector, result })?;
        let scalars = Scalars::clamped(output.returned_scalars());
        Ok(Reply { scalars, structure_size: output.structure_size })
    }
}
