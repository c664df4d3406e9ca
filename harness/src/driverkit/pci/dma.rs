//! `IODMACommand`.

use super::device::PciDevice;
use super::iommu::{DmaMaster, Window};
use crate::IoReturn;
use crate::driverkit::object::sealed::Handle;
use crate::driverkit::object::{Object, Payload, handle};
use crate::driverkit::process::Context;
use crate::driverkit::{Direction, MemoryDescriptor, OsObject};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Segments that one `PrepareForDMA` gives at most.
pub const DMA_SEGMENTS_MAX: usize = 32;

/// Memory as the device reaches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(alias = "IOAddressSegment")]
pub struct DmaSegment {
    /// First bus address.
    pub address: u64,
    /// Bytes.
    pub length: u64,
}

/// What `PrepareForDMA` gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// `flags`: what the memory was prepared for. [`Direction::OUT`] lets the device read and
    /// [`Direction::IN`] lets it write; a structure input has only the former, and a driver that does
    /// not look here finds out by writes that vanish.
    pub flags: Direction,
    /// Where the device finds it. Behind an IOMMU it is one piece.
    pub segments: Vec<DmaSegment>,
}

/// Makes memory reachable for a device, as long as it is prepared.
#[derive(Clone, Debug)]
#[doc(alias = "IODMACommand")]
pub struct DmaCommand {
    object: Arc<Object<CommandPayload>>,
}

pub(crate) struct CommandPayload {
    dma: DmaMaster,
    prepared: Mutex<Option<Preparation>>,
}

/// What is prepared: it holds the memory as the kernel does.
struct Preparation {
    address: u64,
    descriptor: MemoryDescriptor,
}

impl Payload for CommandPayload {
    const CLASS: &'static str = "IODMACommand";

    fn freed(&self) {
        self.complete();
    }
}

impl CommandPayload {
    fn prepared(&self) -> MutexGuard<'_, Option<Preparation>> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// False where nothing was prepared.
    fn complete(&self) -> bool {
        let Some(preparation) = self.prepared().take() else { return false };
        self.dma.unmap(preparation.address);
        if preparation.descriptor.header().count() > 0 {
            preparation.descriptor.release();
        }
        true
    }
}

handle!(DmaCommand, CommandPayload);

impl DmaCommand {
    /// A command for a device, with one reference.
    ///
    /// # Errors
    ///
    /// `kIOReturnUnsupported` where the device has no port to memory.
    ///
    /// # Panics
    ///
    /// Where the thread works for no dext process.
    #[track_caller]
    #[doc(alias = "Create")]
    pub fn create(device: &PciDevice) -> Result<Self, IoReturn> {
        let dma = device.device().dma().ok_or(IoReturn::UNSUPPORTED)?.clone();
        Ok(Self { object: Object::create(CommandPayload { dma, prepared: Mutex::default() }) })
    }

    /// Lets the device reach `length` bytes at `offset` of `memory`, all that follow where `length` is
    /// 0, until [`complete_dma`](Self::complete_dma) or the last release. In which direction is the
    /// descriptor's. The memory is retained meanwhile.
    ///
    /// # Errors
    ///
    /// `kIOReturnBadArgument` for a range outside the memory, `kIOReturnBusy` where something is
    /// prepared already, `kIOReturnVMError` where the client has nothing at the addresses described.
    #[track_caller]
    #[doc(alias = "PrepareForDMA")]
    pub fn prepare_for_dma(
        &self,
        memory: &MemoryDescriptor,
        offset: u64,
        length: u64,
    ) -> Result<Prepared, IoReturn> {
        if !self.object.alive() {
            return Err(IoReturn::BAD_ARGUMENT);
        }
        let whole = memory.length();
        let rest = whole.checked_sub(offset).ok_or(IoReturn::BAD_ARGUMENT)?;
        let length = if length == 0 { rest } else { length };
        if length == 0 || length > rest {
            return Err(IoReturn::BAD_ARGUMENT);
        }
        let mut prepared = self.object.payload.prepared();
        if prepared.is_some() {
            return Err(IoReturn::BUSY);
        }
        // Pages that are not there cannot be wired.
        let live = Arc::clone(memory.live().ok_or(IoReturn::VM_ERROR)?);
        if !memory.header().retain_by_system() {
            return Err(IoReturn::BAD_ARGUMENT);
        }
        let access = memory.device_access();
        let flags = Direction(memory.direction().0 & Direction::IN_OUT.0);
        let address = self.object.payload.dma.map(Window {
            length,
            memory: live,
            start: memory.start() + offset,
            access,
            descriptor: memory.managed(),
            place: Context::place(),
            is_input: memory.is_input(),
        });
        *prepared = Some(Preparation { address, descriptor: memory.clone() });
        Ok(Prepared { flags, segments: vec![DmaSegment { address, length }] })
    }

    /// The device no longer reaches the memory, which is released. `kIOReturnNotReady` where nothing
    /// is prepared.
    #[track_caller]
    #[doc(alias = "CompleteDMA")]
    pub fn complete_dma(&self) -> IoReturn {
        if !self.object.alive() {
            IoReturn::BAD_ARGUMENT
        } else if self.object.payload.complete() {
            IoReturn::SUCCESS
        } else {
            IoReturn::NOT_READY
        }
    }
}
