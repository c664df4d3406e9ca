//! `CopyClientMemoryForType`: which memory a dext answers with, and the reference it hands over.

use crate::IoReturn;
use crate::boundary::{self, DescriptorRange};
use crate::driverkit::finding::{Lint, Place};
use crate::driverkit::object::sealed::Handle;
use crate::driverkit::{DextProcess, Direction, MemoryDescriptor, OsObject, UserClientNumber};
use crate::memory::Backing;
use std::sync::Arc;

/// What the kernel asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientMemoryCall {
    /// The client maps.
    Map,
    /// The client unmaps.
    Unmap,
}

/// What a dext answered with.
#[derive(Clone, Debug)]
pub struct ClientMemory {
    /// Which memory it is, and its length now (F10). The root's number is that of its process:
    /// descriptors of two processes may have the same.
    pub descriptor: DescriptorRange,
    /// The memory; whoever maps it holds it (F22). The range's offset counts from its start.
    pub store: Arc<Backing>,
    /// The options as the dext left them (F2).
    pub options: u64,
    /// Which way data goes (F3).
    pub direction: Direction,
}

/// Calls `copy_client_memory_for_type` in `process` on behalf of `client`, for a type as
/// [`boundary::memory_type`] extends it, and consumes the reference
/// that a success hands over (F4). `Ok(None)` is a success without memory (F5, F19).
///
/// # Errors
///
/// What the dext returned; a reference stored beside an error is not consumed.
pub fn copy_client_memory(
    process: &DextProcess,
    client: UserClientNumber,
    memory_type: u64,
    purpose: ClientMemoryCall,
    method: impl FnOnce(u64, &mut u64, &mut Option<MemoryDescriptor>) -> IoReturn,
) -> Result<Option<ClientMemory>, IoReturn> {
    let place = Place::CopyClientMemory { memory_type };
    let _inside = process.enter_at(Some(client), place.clone());
    let made_before = process.objects_made();
    let (mut options, mut memory) = (0, None);
    method(memory_type, &mut options, &mut memory).ok()?;
    let Some(memory) = memory else { return Ok(None) };

    let root = memory.root();
    let descriptor = DescriptorRange { root, offset: memory.start(), length: memory.length_left() };
    let store = Arc::clone(memory.live());
    let answer = ClientMemory { descriptor, store, options, direction: memory.direction() };
    let fresh = root > made_before;
    if boundary::consumes_reference(process.rules()) {
        consume(process, &place, &memory, root, fresh);
    }
    let mapped_before = process.note_client_memory(client, memory_type, root, purpose);
    if fresh && purpose == ClientMemoryCall::Unmap && mapped_before {
        report_fresh(
            process,
            &place,
            "a new descriptor was made for an unmap, which therefore finds nothing to unmap",
        );
    }
    Ok(Some(answer))
}

/// Takes the reference that was handed over, and looks whether it was the dext's last.
fn consume(
    process: &DextProcess,
    place: &Place,
    memory: &MemoryDescriptor,
    root: u64,
    fresh: bool,
) {
    let header = memory.header();
    if header.count() == 0 {
        let message = "the descriptor that was returned is gone: each call costs one reference, and \
                       it was not retained before";
        return header.report_as(Lint::OverRelease, place.clone(), message.to_owned());
    }
    let last = header.count() == 1;
    // The process's own, and the one in hand.
    let kept = last && Arc::strong_count(&memory.object) > 2;
    memory.release();
    if kept {
        header.report_as(
            Lint::OverRelease,
            place.clone(),
            "the descriptor was returned without a retain although the dext keeps a pointer to it: \
             the system has released the last reference"
                .to_owned(),
        );
    } else if last && fresh && !process.has(root) {
        report_fresh(
            process,
            place,
            "a new descriptor was made and no reference to it kept, so that no later call can \
             return it again, and what the client maps can never be unmapped",
        );
    }
}

fn report_fresh(process: &DextProcess, place: &Place, message: &str) {
    process.report(Lint::FreshDescriptor, place.clone(), message.to_owned(), None);
}
