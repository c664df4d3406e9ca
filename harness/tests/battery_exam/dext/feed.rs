//! `INVERT` and `FEED`: structures of any length, in-line or as descriptors.

use super::Bug;
use super::abi::{CHANNELS, INVERT_MAX, WINDOW_LENGTH, WORD};
use super::client::Core;
use dextape::IoReturn;
use dextape::driverkit::{
    ExternalMethodArguments, MappingOptions, MemoryDescriptor, MemoryMap, OsData, OsSharedPtr,
};
use dextape::memory::Memory;
use std::sync::Arc;

/// How much of a structure is looked at at a time.
const PART: u64 = 4096;

/// A structure that was handed in, whichever way it came.
enum Input {
    Data(Arc<[u8]>),
    Mapped(OsSharedPtr<MemoryMap>),
}

impl Input {
    fn of(arguments: &ExternalMethodArguments<'_>) -> Result<Self, IoReturn> {
        match (&arguments.structure_input, &arguments.structure_input_descriptor) {
            (Some(data), _) => Ok(Self::Data(data.bytes())),
            (None, Some(descriptor)) => {
                map(descriptor, MappingOptions::READ_ONLY).map(Self::Mapped)
            }
            (None, None) => Err(IoReturn::BAD_ARGUMENT),
        }
    }

    /// The structure from `offset` on, as much of it as a part has, and of the first `length` bytes.
    fn part(&self, offset: u64, length: u64) -> Result<Vec<u8>, IoReturn> {
        let end = length.min(offset + PART);
        match self {
            Self::Data(bytes) => Ok(bytes[offset as usize..end as usize].to_vec()),
            Self::Mapped(map) => {
                let memory: &dyn Memory = &***map;
                memory.read_vec(offset, end - offset).map_err(|_| IoReturn::VM_ERROR)
            }
        }
    }
}

fn map(
    descriptor: &MemoryDescriptor,
    options: MappingOptions,
) -> Result<OsSharedPtr<MemoryMap>, IoReturn> {
    descriptor.create_mapping(options, 0, 0, 0, 0).map(OsSharedPtr::adopt)
}

impl Core {
    pub(super) fn invert(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let length = arguments.structure_input_length();
        let whole = length.is_multiple_of(WORD) || self.has(Bug::OddTailDropped);
        let legal = arguments.completion.is_none()
            && arguments.scalar_input.is_empty()
            && arguments.scalar_output_count == 0
            && (1..=INVERT_MAX).contains(&length)
            && whole
            && arguments.structure_output_maximum_size == length;
        if !legal {
            return IoReturn::BAD_ARGUMENT;
        }
        match self.write_inverted(arguments, length / WORD * WORD) {
            Ok(()) => IoReturn::SUCCESS,
            Err(result) => result,
        }
    }

    fn write_inverted(
        &self,
        arguments: &mut ExternalMethodArguments<'_>,
        length: u64,
    ) -> Result<(), IoReturn> {
        let input = Input::of(arguments)?;
        let output = match &arguments.structure_output_descriptor {
            Some(descriptor) => Some(map(descriptor, MappingOptions::NONE)?),
            None => None,
        };
        let mut inline = Vec::new();
        for offset in (0..length).step_by(PART as usize) {
            let mut part = input.part(offset, length)?;
            part.iter_mut().for_each(|byte| *byte = !*byte);
            match &output {
                Some(map) => map.copy_in(offset, &part).map_err(|_| IoReturn::VM_ERROR)?,
                None => inline.extend(part),
            }
        }
        if output.is_none() {
            arguments.structure_output = Some(OsData::with_bytes(&inline));
        }
        Ok(())
    }

    pub(super) fn feed(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let length = arguments.structure_input_length();
        let legal = arguments.completion.is_none()
            && matches!(arguments.scalar_input, [channel] if *channel < CHANNELS)
            && arguments.scalar_output_count == 2
            && arguments.structure_output_maximum_size == 0
            && length > 0;
        if !legal {
            return IoReturn::BAD_ARGUMENT;
        }
        if length > WINDOW_LENGTH && !self.has(Bug::LengthTrusted) {
            return IoReturn::MESSAGE_TOO_LARGE;
        }
        match self.write_window(arguments, length) {
            Ok((sum, length)) => {
                arguments.scalar_output[0] = sum;
                arguments.scalar_output[1] = length;
                IoReturn::SUCCESS
            }
            Err(result) => result,
        }
    }

    /// The sum of the bytes that are in the window now, and their number.
    fn write_window(
        &self,
        arguments: &ExternalMethodArguments<'_>,
        length: u64,
    ) -> Result<(u64, u64), IoReturn> {
        let (input, length) = match &arguments.structure_input {
            None if self.has(Bug::DescriptorIgnored) => (Input::Data(Arc::new([])), 0),
            _ => (Input::of(arguments)?, length),
        };
        let window = self.state().window.clone().ok_or(IoReturn::NOT_READY)?;
        let mut sum = 0_u64;
        for offset in (0..length).step_by(PART as usize) {
            let part = input.part(offset, length)?;
            sum += part.iter().map(|byte| u64::from(*byte)).sum::<u64>();
            let written = window.memory().copy_in(offset, &part);
            assert!(written.is_ok(), "EXC_BAD_ACCESS: a write past the end of the window");
        }
        self.state().feeds += 1;
        Ok((sum, length))
    }
}
