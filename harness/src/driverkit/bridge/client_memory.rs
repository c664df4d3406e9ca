//! `CopyClientMemoryForType`: which memory a dext answers with, and the reference it hands over.

use crate::IoReturn;
use crate::boundary::{self, DescriptorRange};
use crate::driverkit::finding::{Lint, Place};
use crate::driverkit::object::sealed::Handle;
use crate::driverkit::{DextProcess, Direction, MemoryDescriptor, OsObject, UserClientNumber};
use crate::memory::{JoinedMemory, Memory};
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
    pub store: Arc<dyn Memory>,
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
    let (mut options, mut memory) = (process.rules().open().memory_options_start, None);
    method(memory_type, &mut options, &mut memory).ok()?;
    let Some(memory) = memory else { return Ok(None) };

    let root = memory.root();
    let descriptor = DescriptorRange {
        root,
        offset: memory.start(),
        length: memory.length_left(),
        client_address: memory.client_address(),
    };
    let live = memory.live().filter(|_| memory.is_mappable() || memory.length_left() == 0).cloned();
    let direction = memory.direction();
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
    // Memory that is not there, or no pages one behind the other, cannot be mapped.
    let store = match (live, purpose) {
        (Some(store), _) => store,
        (None, ClientMemoryCall::Map) => return Err(IoReturn::VM_ERROR),
        (None, ClientMemoryCall::Unmap) => Arc::new(JoinedMemory::default()),
    };
    Ok(Some(ClientMemory { descriptor, store, options, direction }))
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

#[cfg(test)]
mod tests {
    use super::ClientMemoryCall::{Map, Unmap};
    use super::*;
    use crate::driverkit::testing::{in_process, lints, texts};
    use crate::driverkit::{BufferMemoryDescriptor, OsSharedPtr, USER_CLIENT_MEMORY_READ_ONLY};

    fn buffer(length: u64) -> BufferMemoryDescriptor {
        BufferMemoryDescriptor::create(Direction::IN_OUT, length, 8).unwrap()
    }

    fn range(root: u64, offset: u64, length: u64) -> DescriptorRange {
        DescriptorRange { root, offset, length, client_address: None }
    }

    /// Asks for memory type 0 on behalf of user client 1.
    fn ask(
        process: &DextProcess,
        purpose: ClientMemoryCall,
        answer: impl FnOnce(&mut u64) -> MemoryDescriptor,
    ) -> ClientMemory {
        let answered =
            copy_client_memory(process, 1, 0, purpose, |memory_type, options, memory| {
                assert_eq!((memory_type, *options), (0, 0));
                *memory = Some(answer(options));
                IoReturn::SUCCESS
            });
        answered.unwrap().unwrap()
    }

    #[test]
    fn f4_a_kept_descriptor_costs_one_reference_a_call_and_is_the_same_each_time() {
        in_process(|process| {
            // Made at the first call, as many right dexts do.
            let mut kept: Option<OsSharedPtr<BufferMemoryDescriptor>> = None;
            let mut answers = Vec::new();
            for purpose in [Map, Map, Unmap, Map, Unmap] {
                answers.push(ask(process, purpose, |options| {
                    *options = USER_CLIENT_MEMORY_READ_ONLY;
                    let buffer = kept.get_or_insert_with(|| OsSharedPtr::adopt(buffer(100)));
                    buffer.retain();
                    buffer.descriptor()
                }));
            }
            let kept = kept.unwrap();
            assert_eq!(kept.retain_count(), 1);
            let descriptor = range(kept.root(), 0, 100);
            assert!(answers.iter().all(|answer| answer.descriptor == descriptor));
            assert!(answers.iter().all(|answer| answer.options == USER_CLIENT_MEMORY_READ_ONLY));
            drop(kept);
            assert!(process.findings().is_empty(), "{}", texts(process));
            assert!(process.leaks().is_empty());
        });
    }

    #[test]
    fn f20_a_new_part_of_a_kept_buffer_is_the_same_memory() {
        in_process(|process| {
            let kept = OsSharedPtr::adopt(buffer(100));
            let part = |purpose| {
                ask(process, purpose, |_| {
                    kept.create_sub_memory_descriptor(Direction::IN, 16, 32).unwrap()
                })
            };
            let (mapped, unmapped) = (part(Map), part(Unmap));
            let descriptor = range(kept.root(), 16, 32);
            assert_eq!((mapped.descriptor, unmapped.descriptor), (descriptor, descriptor));
            assert_eq!(mapped.direction, Direction::IN);
            drop(kept);
            assert!(process.findings().is_empty(), "{}", texts(process));
            assert!(process.leaks().is_empty(), "{}", process.leaks());
        });
    }

    #[test]
    fn f20_a_part_of_a_buffer_that_was_made_for_it_and_kept_is_no_finding() {
        in_process(|process| {
            let mut kept: Option<OsSharedPtr<BufferMemoryDescriptor>> = None;
            for purpose in [Map, Unmap] {
                ask(process, purpose, |_| {
                    let buffer = kept.get_or_insert_with(|| OsSharedPtr::adopt(buffer(100)));
                    buffer.create_sub_memory_descriptor(Direction::IN, 0, 8).unwrap()
                });
            }
            assert!(process.findings().is_empty(), "{}", texts(process));
        });
    }

    #[test]
    fn f20_a_fresh_descriptor_on_each_call_is_found_at_the_first_one() {
        in_process(|process| {
            ask(process, Map, |_| buffer(100).into());
            insta::assert_snapshot!(texts(process), @"
            a fresh descriptor on every CopyClientMemoryForType (fresh-descriptor; F20, F15)
              a new descriptor was made and no reference to it kept, so that no later call can return it again, and what the client maps can never be unmapped
              in CopyClientMemoryForType, type 0
              mend: make the descriptor once (in start, or at the first call), keep it, and return it retained on every call
            ");
            ask(process, Map, |_| buffer(100).into());
            assert_eq!(process.findings()[0].count(), 2);
        });
    }

    #[test]
    fn f20_a_fresh_descriptor_for_an_unmap_is_found_although_it_is_kept() {
        in_process(|process| {
            let mut kept = None;
            let mut fresh = |purpose| {
                ask(process, purpose, |_| {
                    let kept = kept.insert(OsSharedPtr::adopt(buffer(100)));
                    kept.retain();
                    kept.descriptor()
                })
            };
            fresh(Map);
            fresh(Map);
            assert!(process.findings().is_empty(), "a driver may change its buffer between maps");
            fresh(Unmap);
            insta::assert_snapshot!(texts(process), @"
            a fresh descriptor on every CopyClientMemoryForType (fresh-descriptor; F20, F15)
              a new descriptor was made for an unmap, which therefore finds nothing to unmap
              in CopyClientMemoryForType, type 0
              mend: make the descriptor once (in start, or at the first call), keep it, and return it retained on every call
            ");
        });
    }

    #[test]
    fn a_first_unmap_may_make_the_buffer() {
        in_process(|process| {
            let mut kept = None;
            ask(process, Unmap, |_| {
                let kept = kept.insert(OsSharedPtr::adopt(buffer(100)));
                kept.retain();
                kept.descriptor()
            });
            assert!(process.findings().is_empty(), "{}", texts(process));
        });
    }

    #[test]
    fn f4_a_kept_pointer_returned_without_a_retain_is_found() {
        in_process(|process| {
            let kept = buffer(100);
            ask(process, Map, |_| kept.descriptor());
            insta::assert_snapshot!(texts(process), @"
            a release too many (over-release; F4, B10)
              the descriptor was returned without a retain although the dext keeps a pointer to it: the system has released the last reference
              in CopyClientMemoryForType, type 0 (HERE)
              mend: retain once for each release; what CopyClientMemoryForType returns and what structure_output holds is released by the system, so do not release that yourself
            ");
            let gone = ask(process, Unmap, |_| kept.descriptor());
            assert_eq!(gone.descriptor.length, 0);
            assert_eq!(lints(process), ["over-release"], "the same place again");
        });
    }

    #[test]
    fn an_error_consumes_nothing_and_a_success_may_be_without_memory() {
        in_process(|process| {
            let kept = OsSharedPtr::adopt(buffer(100));
            let failed = copy_client_memory(process, 1, 7, Map, |_, _, memory| {
                kept.retain();
                *memory = Some(kept.descriptor());
                IoReturn::BUSY
            });
            assert_eq!(failed.err(), Some(IoReturn::BUSY));
            assert_eq!(kept.retain_count(), 2);
            kept.release();
            let empty = copy_client_memory(process, 1, 7, Map, |_, _, _| IoReturn::SUCCESS);
            assert!(matches!(empty, Ok(None)));
            assert!(process.findings().is_empty(), "{}", texts(process));
        });
    }
}
