//! Memory of a user client, mapped into this task.

use super::super::extent::{VmRegion, accessible};
use super::host::page_size;
use dextape::call::MemoryId;
use dextape::memory::{AccessError, Memory, RawMemory, Update, Width};
use mach2::kern_return::KERN_SUCCESS;
use mach2::traps::mach_task_self;
use mach2::vm::mach_vm_region;
use mach2::vm_inherit::VM_INHERIT_NONE;
use mach2::vm_prot::VM_PROT_WRITE;
use mach2::vm_region::{VM_REGION_BASIC_INFO_64, vm_region_basic_info_64};
use std::ptr::NonNull;
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

/// What one or more equal maps of a connection gave (F11). It is reached through the raw address
/// only: the dext, a device and other processes write there at any time.
#[derive(Debug)]
pub(super) struct MappedMemory {
    id: MemoryId,
    memory: RawMemory,
    writable: bool,
    /// False once it has been unmapped. Held for reading during each access, for writing during
    /// each call that can unmap.
    mapped: RwLock<bool>,
}

impl MappedMemory {
    /// What `IOConnectMapMemory64` has put at `address` for a descriptor of `length` bytes. `None`
    /// where no such memory is there.
    ///
    /// # Safety
    ///
    /// The kernel has just mapped it, and whoever unmaps it holds [`unmapping`](Self::unmapping)
    /// meanwhile and says so there.
    pub(super) unsafe fn new(id: MemoryId, address: u64, length: u64) -> Option<Self> {
        let size = accessible(address, length, page_size())?;
        let start = NonNull::new(std::ptr::with_exposed_provenance_mut(address as usize))?;
        // The dext alone decides whether it is read-only (F2), and no answer tells it.
        let writable = region_at(address).is_some_and(|region| region.writable);
        // SAFETY: whole pages are mapped there (F10); every access first looks whether they still
        // are, and every write whether it may.
        let memory = unsafe { RawMemory::new(start, size) };
        Some(Self { id, memory, writable, mapped: RwLock::new(true) })
    }

    pub(super) fn id(&self) -> MemoryId {
        self.id
    }

    pub(super) fn address(&self) -> u64 {
        self.memory.address()
    }

    /// True where a descriptor of `length` bytes lies within it: a descriptor that has shrunk maps to
    /// the same memory (F13).
    pub(super) fn covers(&self, length: u64) -> bool {
        accessible(self.address(), length, page_size())
            .is_some_and(|size| size <= self.memory.size())
    }

    /// False once it has been unmapped; waits for a call that may be unmapping it.
    pub(super) fn is_mapped(&self) -> bool {
        *self.mapped.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps everybody off the memory; the value says whether it is still mapped afterwards.
    pub(super) fn unmapping(&self) -> RwLockWriteGuard<'_, bool> {
        self.mapped.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the address space still holds the mapping.
    pub(super) fn is_still_there(&self) -> bool {
        let address = self.address();
        region_at(address).is_some_and(|region| region.holds_mapping_at(address))
    }

    fn access<R>(
        &self,
        offset: u64,
        access: impl FnOnce(&RawMemory) -> Result<R, AccessError>,
    ) -> Result<R, AccessError> {
        let mapped = self.mapped.read().unwrap_or_else(PoisonError::into_inner);
        if *mapped { access(&self.memory) } else { Err(AccessError::Unmapped { offset }) }
    }

    fn change<R>(
        &self,
        offset: u64,
        access: impl FnOnce(&RawMemory) -> Result<R, AccessError>,
    ) -> Result<R, AccessError> {
        self.access(offset, |memory| {
            if self.writable { access(memory) } else { Err(AccessError::ReadOnly { offset }) }
        })
    }
}

impl Memory for MappedMemory {
    fn size(&self) -> u64 {
        self.memory.size()
    }

    fn is_read_only(&self) -> bool {
        !self.writable
    }

    fn load_word(&self, offset: u64, width: Width) -> Result<u64, AccessError> {
        self.access(offset, |memory| memory.load_word(offset, width))
    }

    fn store_word(&self, offset: u64, width: Width, value: u64) -> Result<(), AccessError> {
        self.change(offset, |memory| memory.store_word(offset, width, value))
    }

    fn update_word(&self, offset: u64, width: Width, update: Update) -> Result<u64, AccessError> {
        self.change(offset, |memory| memory.update_word(offset, width, update))
    }

    fn copy_out(&self, offset: u64, into: &mut [u8]) -> Result<(), AccessError> {
        self.access(offset, |memory| memory.copy_out(offset, into))
    }

    fn copy_in(&self, offset: u64, bytes: &[u8]) -> Result<(), AccessError> {
        self.change(offset, |memory| memory.copy_in(offset, bytes))
    }
}

/// The region of this task's address space at `address`, or the next one behind it.
fn region_at(address: u64) -> Option<VmRegion> {
    let (mut start, mut size, mut object) = (address, 0, 0);
    let mut info = vm_region_basic_info_64::default();
    let mut count = vm_region_basic_info_64::count();
    // SAFETY: the name of this task.
    let task = unsafe { mach_task_self() };
    // SAFETY: the room for the answer has the stated number of words.
    let result = unsafe {
        mach_vm_region(
            task,
            &raw mut start,
            &raw mut size,
            VM_REGION_BASIC_INFO_64,
            (&raw mut info).cast(),
            &raw mut count,
            &raw mut object,
        )
    };
    let (protection, inheritance) = (info.protection, info.inheritance);
    (result == KERN_SUCCESS).then_some(VmRegion {
        start,
        size,
        writable: protection & VM_PROT_WRITE != 0,
        kept_from_children: inheritance == VM_INHERIT_NONE,
    })
}
