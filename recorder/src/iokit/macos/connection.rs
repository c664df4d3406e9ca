//! One open user client.

use super::check;
use super::completion::IoKitQueue;
use super::mapping::MappedMemory;
use super::system::Shared;
use dextape::IoReturn;
use dextape::call::{ConnectionId, MapOptions};
use dextape::connection::{
    AsyncWake, Connection, Mapping, MethodInput, MethodOutput, OtherCall, OtherReply,
    StructureInput, StructureOutput,
};
use dextape::limits::{
    ASYNC_REFERENCE_MAX, INLINE_STRUCTURE_MAX, SCALARS_MAX, VARIABLE_OUTPUT_SIZE,
};
use dextape::memory::SharedBuffer;
use io_kit_sys::types::io_connect_t;
use io_kit_sys::{
    IOConnectAddRef, IOConnectCallAsyncMethod, IOConnectCallMethod, IOConnectMapMemory64,
    IOConnectRelease, IOConnectUnmapMemory64, IOServiceClose,
};
use mach2::port::{MACH_PORT_NULL, mach_port_t};
use mach2::traps::mach_task_self;
use mach2::vm::mach_vm_deallocate;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// An open user client of this Mac.
///
/// Calls take no lock of this type: they may stay inside the driver for ever, and another thread's
/// close is what frees them.
#[derive(Debug)]
pub struct IoKitConnection {
    id: ConnectionId,
    pub(super) rights: Arc<Rights>,
    /// What is mapped, in the order of the maps. Held during every map, unmap and close, which the
    /// kernel lets through one at a time anyway (K1).
    mapped: Mutex<Vec<Arc<MappedMemory>>>,
    /// Buffers over 4096 bytes that asynchronous calls refer to, by address. The kernel keeps their
    /// addresses and never tells when it lets go, so they stay until the user client is gone.
    lent: Mutex<BTreeMap<u64, SharedBuffer>>,
    pub(super) shared: Arc<Shared>,
}

/// The client's references to the right to a user client: one, but where it took more. None once it
/// has given up all.
#[derive(Debug)]
pub(super) struct Rights(RwLock<Vec<Arc<Right>>>);

impl Rights {
    /// One of them, kept for the length of a call: its name cannot come to mean another connection
    /// while the call is on its way.
    pub(super) fn one(&self) -> Option<Arc<Right>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).first().cloned()
    }

    /// Takes out one of them, and says whether others are left.
    pub(super) fn take(&self) -> (Option<Arc<Right>>, bool) {
        let mut rights = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let right = rights.pop();
        (right, !rights.is_empty())
    }

    /// Adds a reference (F24).
    pub(super) fn add(&self) -> Result<(), IoReturn> {
        let mut rights = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let connect = rights.first().ok_or(IoReturn::KERN_INVALID_NAME)?.0;
        // SAFETY: the right is alive; where the library refuses there is no reference more.
        check(unsafe { IOConnectAddRef(connect) })?;
        rights.push(Arc::new(Right(connect)));
        Ok(())
    }
}

/// One reference to the right to a user client.
#[derive(Debug)]
pub(super) struct Right(io_connect_t);

impl Drop for Right {
    fn drop(&mut self) {
        // SAFETY: the reference is this value's own, and this is its end.
        unsafe { IOConnectRelease(self.0) };
    }
}

impl IoKitConnection {
    /// Takes over the right that `IOServiceOpen` gave.
    ///
    /// # Safety
    ///
    /// The caller hands the right over.
    pub(super) unsafe fn owned(
        id: ConnectionId,
        connect: io_connect_t,
        shared: Arc<Shared>,
    ) -> Self {
        let rights = Arc::new(Rights(RwLock::new(vec![Arc::new(Right(connect))])));
        shared.opened(id, &rights);
        Self { id, rights, mapped: Mutex::default(), lent: Mutex::default(), shared }
    }

    pub(super) fn mapped(&self) -> MutexGuard<'_, Vec<Arc<MappedMemory>>> {
        self.mapped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lend(&self, buffer: &SharedBuffer) {
        if buffer.length() > INLINE_STRUCTURE_MAX {
            let mut lent = self.lent.lock().unwrap_or_else(PoisonError::into_inner);
            lent.entry(buffer.store().address()).or_insert_with(|| buffer.clone());
        }
    }

    /// Unmaps with `unmap` while nobody touches memory of this connection, then forgets what is
    /// mapped no longer.
    fn while_unmapping(&self, unmap: impl FnOnce() -> Result<(), IoReturn>) -> IoReturn {
        let mut mapped = self.mapped();
        let all: Vec<Arc<MappedMemory>> = mapped.clone();
        let mut kept_off: Vec<_> = all.iter().map(|memory| memory.unmapping()).collect();
        let result = unmap();
        if result.is_ok() {
            for (memory, is_mapped) in all.iter().zip(&mut kept_off) {
                **is_mapped = **is_mapped && memory.is_still_there();
            }
        }
        drop(kept_off);
        mapped.retain(|memory| memory.is_mapped());
        result.err().unwrap_or(IoReturn::SUCCESS)
    }

    /// Drops one reference to the right (G15). With the last one go the mappings, so nobody may touch
    /// them any more.
    pub(super) fn release_one(&self) -> Result<(), IoReturn> {
        let mut mapped = self.mapped();
        let (right, others) = self.rights.take();
        if !others {
            Self::forget_mapped(&mut mapped);
        }
        // The library is told when the last call that uses the reference has come back.
        right.map(drop).ok_or(IoReturn::KERN_INVALID_NAME)
    }

    /// Ends all access to mapped memory for good.
    fn forget_mapped(mapped: &mut Vec<Arc<MappedMemory>>) {
        for memory in mapped.drain(..) {
            *memory.unmapping() = false;
        }
    }
}

/// The name of a right; of a closed connection the null name, to which the library itself answers
/// `MACH_SEND_INVALID_DEST` after its own checks (A15, A18).
pub(super) fn name(right: Option<&Arc<Right>>) -> mach_port_t {
    right.map_or(MACH_PORT_NULL, |right| right.0)
}

/// An address at which no program of 64 bits has anything: its first 4 GiB are kept free.
const NOWHERE: usize = 0x1_0000;

/// Pointer and size of a structure handed in.
fn input_of(structure: &StructureInput<'_>) -> (*const c_void, usize) {
    match structure {
        StructureInput::None => (std::ptr::null(), 0),
        StructureInput::Bytes(bytes) => (bytes.as_ptr().cast(), bytes.len()),
        StructureInput::Shared(buffer) => (start_of(buffer).cast_const(), length_of(buffer)),
        // Up to 4096 bytes the library would read them from address 0 (A3).
        StructureInput::Null { size } if *size <= INLINE_STRUCTURE_MAX => (std::ptr::null(), 0),
        StructureInput::Null { size } => (std::ptr::null(), to_usize(*size)),
        StructureInput::Unmapped { size } if *size <= INLINE_STRUCTURE_MAX => (std::ptr::null(), 0),
        StructureInput::Unmapped { size } => {
            (std::ptr::without_provenance(NOWHERE), to_usize(*size))
        }
    }
}

/// Pointer and size of a structure asked for. `asked` counts where it is less than there is room.
fn output_of(structure: &mut StructureOutput<'_>, asked: u64) -> (*mut c_void, usize) {
    let asked = to_usize(asked);
    match structure {
        StructureOutput::None => (std::ptr::null_mut(), 0),
        StructureOutput::Bytes(bytes) => (bytes.as_mut_ptr().cast(), asked.min(bytes.len())),
        StructureOutput::Shared(buffer) => (start_of(buffer), asked.min(length_of(buffer))),
        // Up to 4096 bytes the library would copy the answer to address 0 (A6).
        StructureOutput::Null { size } | StructureOutput::Unmapped { size }
            if *size <= INLINE_STRUCTURE_MAX =>
        {
            (std::ptr::null_mut(), 0)
        }
        StructureOutput::Null { size } => (std::ptr::null_mut(), to_usize(*size)),
        StructureOutput::Unmapped { size } => {
            (std::ptr::without_provenance_mut(NOWHERE), to_usize(*size))
        }
        // Not a place for bytes: see `call_variable` and `call_async_method`.
        StructureOutput::Variable(_) => (std::ptr::null_mut(), to_usize(VARIABLE_OUTPUT_SIZE)),
    }
}

fn start_of(buffer: &SharedBuffer) -> *mut c_void {
    std::ptr::with_exposed_provenance_mut(buffer.store().address() as usize)
}

fn length_of(buffer: &SharedBuffer) -> usize {
    to_usize(buffer.length())
}

fn to_usize(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

fn count_of(scalars: &[u64]) -> u32 {
    u32::try_from(scalars.len()).unwrap_or(u32::MAX)
}

/// The room that the library fills, apart from the client's own: the client's is changed on success
/// only, and only as far as something was returned (A17, C7).
struct Room {
    scalars: [u64; SCALARS_MAX],
    scalar_count: u32,
    structure_size: usize,
}

impl Room {
    fn new(output: &MethodOutput<'_>, structure_size: usize) -> Self {
        // The library clamps the count itself (A5).
        Self { scalars: [0; SCALARS_MAX], scalar_count: output.scalar_count, structure_size }
    }

    fn hand_over(&self, output: &mut MethodOutput<'_>) {
        let returned = (self.scalar_count as usize).min(output.scalars.len()).min(SCALARS_MAX);
        output.scalars[..returned].copy_from_slice(&self.scalars[..returned]);
        output.scalar_count = self.scalar_count;
        output.structure_size = self.structure_size as u64;
    }
}

/// A call with variable output (A14): the kernel allocates, this copies and gives it back.
fn call_variable(
    connect: mach_port_t,
    selector: u32,
    input: &MethodInput<'_>,
    output: &mut MethodOutput<'_>,
) -> IoReturn {
    let (structure, structure_size) = input_of(&input.structure);
    let mut room = Room::new(output, to_usize(VARIABLE_OUTPUT_SIZE));
    let mut start: *mut c_void = std::ptr::null_mut();
    // SAFETY: inputs and scalar room are alive for the call and as large as stated; with this size
    // the library takes the output for the place of a pointer, which `start` is.
    let result = unsafe {
        IOConnectCallMethod(
            connect,
            selector,
            input.scalars.as_ptr(),
            count_of(input.scalars),
            structure,
            structure_size,
            room.scalars.as_mut_ptr(),
            &raw mut room.scalar_count,
            (&raw mut start).cast(),
            &raw mut room.structure_size,
        )
    };
    let result = check(result);
    if result.is_err() || start.is_null() {
        room.structure_size = 0;
    }
    if let StructureOutput::Variable(bytes) = &mut output.structure {
        bytes.clear();
        if room.structure_size > 0 {
            // SAFETY: the library has put that many bytes there, for this call alone.
            let answer: &[u8] =
                unsafe { std::slice::from_raw_parts(start.cast(), room.structure_size) };
            bytes.extend_from_slice(answer);
            // SAFETY: the name of this task.
            let task = unsafe { mach_task_self() };
            // SAFETY: what the library allocated, given back once, and referred to no longer.
            unsafe { mach_vm_deallocate(task, start.addr() as u64, room.structure_size as u64) };
        }
    }
    match result {
        Ok(()) => {
            room.hand_over(output);
            IoReturn::SUCCESS
        }
        Err(code) => {
            output.structure_size = 0;
            code
        }
    }
}

impl Connection for IoKitConnection {
    fn id(&self) -> ConnectionId {
        self.id
    }

    fn call_method(
        &self,
        selector: u32,
        input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn {
        let right = self.rights.one();
        let connect = name(right.as_ref());
        if matches!(output.structure, StructureOutput::Variable(_)) {
            return call_variable(connect, selector, input, output);
        }
        let (structure, structure_size) = input_of(&input.structure);
        let (place, asked) = output_of(&mut output.structure, output.structure_size);
        let mut room = Room::new(output, asked);
        // SAFETY: all that is pointed to is alive for the call and as large as stated; more scalars
        // than 16 are refused before they are read (A2), and no more than 16 are written (A5). What
        // a dext writes to a descriptor of borrowed memory after its method has returned nothing
        // here can prevent, as in a C client.
        let result = unsafe {
            IOConnectCallMethod(
                connect,
                selector,
                input.scalars.as_ptr(),
                count_of(input.scalars),
                structure,
                structure_size,
                room.scalars.as_mut_ptr(),
                &raw mut room.scalar_count,
                place,
                &raw mut room.structure_size,
            )
        };
        match check(result) {
            Ok(()) => {
                room.hand_over(output);
                IoReturn::SUCCESS
            }
            Err(code) => code,
        }
    }

    fn call_async_method(
        &self,
        selector: u32,
        wake: &AsyncWake<'_>,
        input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn {
        refuse_borrowed(selector, input, output);
        let right = self.rights.one();
        let wake_port = match wake.queue {
            None => MACH_PORT_NULL,
            Some(queue) => match queue.as_any().downcast_ref::<IoKitQueue>() {
                Some(queue) => queue.wake_port(),
                // A queue of another system: a name without a receive right (D5).
                None => return IoReturn::MACH_SEND_INVALID_RIGHT,
            },
        };
        if let StructureInput::Shared(buffer) = input.structure {
            self.lend(buffer);
        }
        if let StructureOutput::Shared(buffer) = &output.structure {
            self.lend(buffer);
        }
        // A copy, because the library takes the reference as changeable. More than 8 entries are
        // refused before they are read (D1).
        let mut copy: Vec<u64>;
        let mut short = [0; ASYNC_REFERENCE_MAX];
        let (reference, reference_count) = match wake.reference {
            None => (std::ptr::null_mut(), 0),
            Some(entries) if entries.len() <= ASYNC_REFERENCE_MAX => {
                short[..entries.len()].copy_from_slice(entries);
                (short.as_mut_ptr(), count_of(entries))
            }
            Some(entries) => {
                copy = entries.to_vec();
                (copy.as_mut_ptr(), count_of(entries))
            }
        };
        let (structure, structure_size) = input_of(&input.structure);
        let (mut place, asked) = output_of(&mut output.structure, output.structure_size);
        let mut room = Room::new(output, asked);
        if matches!(output.structure, StructureOutput::Variable(_)) {
            // Just a huge size here (A14), which the kernel refuses for any address but null before
            // it looks there (A13).
            place = std::ptr::dangling_mut::<u64>().cast();
        }
        // SAFETY: as in `call_method`; memory over 4096 bytes is a shared buffer, kept until the
        // user client is gone, and its bytes are reached by atomic accesses only.
        let result = unsafe {
            IOConnectCallAsyncMethod(
                name(right.as_ref()),
                selector,
                wake_port,
                reference,
                reference_count,
                input.scalars.as_ptr(),
                count_of(input.scalars),
                structure,
                structure_size,
                room.scalars.as_mut_ptr(),
                &raw mut room.scalar_count,
                place,
                &raw mut room.structure_size,
            )
        };
        match check(result) {
            Ok(()) => {
                room.hand_over(output);
                IoReturn::SUCCESS
            }
            Err(code) => code,
        }
    }

    fn map_memory(
        &self,
        memory_type: u32,
        options: MapOptions,
        address: u64,
    ) -> Result<Mapping, IoReturn> {
        let mut mapped = self.mapped();
        let right = self.rights.one();
        let (mut at, mut length) = (address, 0);
        // SAFETY: the name of this task.
        let task = unsafe { mach_task_self() };
        let (place, size) = (&raw mut at, &raw mut length);
        let connect = name(right.as_ref());
        // SAFETY: address and size are written; where `options` name an address the kernel refuses
        // one that is in use (F9).
        check(unsafe { IOConnectMapMemory64(connect, memory_type, task, place, size, options.0) })?;
        let known = mapped.iter().find(|known| known.address() == at && known.covers(length));
        let memory = match known {
            Some(known) => Arc::clone(known),
            None => {
                // SAFETY: just mapped; whatever unmaps goes through `while_unmapping` or `close`.
                let memory = unsafe { self.shared.adopt(at, length) }.ok_or(IoReturn::VM_ERROR)?;
                mapped.push(Arc::clone(&memory));
                memory
            }
        };
        Ok(Mapping::new(memory.id(), memory_type, at, length, memory))
    }

    fn unmap_memory(&self, memory_type: u32, address: u64) -> IoReturn {
        self.while_unmapping(|| {
            let right = self.rights.one();
            // SAFETY: the name of this task.
            let task = unsafe { mach_task_self() };
            let connect = name(right.as_ref());
            // SAFETY: nobody touches memory of this connection meanwhile.
            check(unsafe { IOConnectUnmapMemory64(connect, memory_type, task, address) })
        })
    }

    fn close(&self) -> IoReturn {
        let mut mapped = self.mapped();
        let (right, others) = self.rights.take();
        if !others {
            Self::forget_mapped(&mut mapped);
        }
        let connect = name(right.as_ref());
        if right.is_some() {
            // Closing drops one reference (G12); this one takes its place until the last call that
            // is still inside the driver has come back, so that the name stays the connection's.
            // SAFETY: the right is alive.
            unsafe { IOConnectAddRef(connect) };
        }
        // SAFETY: a live name whose reference was just added, or null, which is refused.
        let result = unsafe { IOServiceClose(connect) };
        drop(right);
        self.lent.lock().unwrap_or_else(PoisonError::into_inner).clear();
        check(result).err().unwrap_or(IoReturn::SUCCESS)
    }

    fn other_call(&self, call: &OtherCall<'_>) -> OtherReply {
        self.other(call)
    }
}

/// An asynchronous call's memory over 4096 bytes has to outlive the call.
fn refuse_borrowed(selector: u32, input: &MethodInput<'_>, output: &MethodOutput<'_>) {
    let long = |bytes: &[u8]| bytes.len() as u64 > INLINE_STRUCTURE_MAX;
    let borrowed = matches!(input.structure, StructureInput::Bytes(bytes) if long(bytes))
        || matches!(&output.structure, StructureOutput::Bytes(bytes) if long(bytes));
    assert!(
        !borrowed,
        "asynchronous call of selector {selector}: a structure over {INLINE_STRUCTURE_MAX} bytes \
         has to be a SharedBuffer, because the kernel refers to it after the call"
    );
}

impl Drop for IoKitConnection {
    fn drop(&mut self) {
        // The last reference goes with `rights`, and the mappings with it (G15, F23).
        Self::forget_mapped(&mut self.mapped());
    }
}
