use super::*;
use crate::driverkit::testing::{in_process, lints};
use crate::driverkit::{BufferMemoryDescriptor, OsSharedPtr};
use crate::limits::PAGE_SIZE;
use crate::memory::AccessError;

fn buffer(direction: Direction, capacity: u64) -> OsSharedPtr<BufferMemoryDescriptor> {
    OsSharedPtr::adopt(BufferMemoryDescriptor::create(direction, capacity, 8).unwrap())
}

fn map_all(descriptor: &MemoryDescriptor) -> OsSharedPtr<MemoryMap> {
    let map = descriptor.create_mapping(MappingOptions::NONE, 0, 0, 0, 0);
    OsSharedPtr::adopt(map.unwrap())
}

#[test]
fn f22_memory_outlives_its_descriptor_as_long_as_it_is_mapped() {
    in_process(|process| {
        let buffer = buffer(Direction::IN_OUT, 8);
        let (map, range) = (map_all(&buffer), buffer.address_range());
        drop(buffer);
        assert_eq!(map.store::<u8>(0, 3), Ok(()));
        assert_eq!(range.load::<u8>(0), Err(AccessError::Unmapped { offset: 0 }));
        assert_eq!(lints(process), ["use-after-release"], "of the pointer, not of the map");
    });
}

#[test]
fn accesses_stay_inside_the_pages_of_their_mapping() {
    in_process(|_| {
        let buffer = buffer(Direction::IN_OUT, 2 * PAGE_SIZE);
        let map = buffer.create_mapping(MappingOptions::NONE, 0, 4, 8, 0).unwrap();
        let size = PAGE_SIZE - 4;
        assert_eq!(map.size(), size);
        assert!(map.copy_in(size - 1, &[1]).is_ok());
        let outside = AccessError::OutOfRange { offset: size, length: 1, size };
        assert_eq!(map.copy_in(size, &[1]), Err(outside));
        assert_eq!(map.load::<u8>(size), Err(outside));
        assert!(map.load::<u64>(u64::MAX - 3).is_err());
        let unaligned = AccessError::Unaligned { offset: 0, width: 8 };
        assert_eq!(map.load::<u64>(0), Err(unaligned), "its address is 4 bytes into a page");
    });
}

#[test]
fn client_memory_is_for_user_clients() {
    in_process(|process| {
        let segment = AddressSegment { address: 0x7000_0000_0000, length: 8 };
        let made = create_memory_descriptor_from_client(Direction::IN, &[segment]);
        assert_eq!(made.err(), Some(IoReturn::BAD_ARGUMENT), "the thread serves none");
        assert!(process.leaks().is_empty());
    });
}

#[test]
fn joined_parts_can_be_joined_again_and_keep_what_they_are() {
    in_process(|process| {
        let buffer = buffer(Direction::OUT, 3 * PAGE_SIZE);
        let range = buffer.address_range();
        for page in 0..3 {
            range.store::<u64>(page * PAGE_SIZE, page + 1).unwrap();
        }
        let sub = |offset, length| {
            let sub = buffer.create_sub_memory_descriptor(Direction::IN, offset, length);
            OsSharedPtr::adopt(sub.unwrap())
        };
        let join = |parts: &[&MemoryDescriptor]| {
            let parts: Vec<_> = parts.iter().copied().cloned().collect();
            let whole = MemoryDescriptor::create_with_memory_descriptors(Direction::IN, &parts);
            OsSharedPtr::adopt(whole.unwrap())
        };
        let (last, first) = (sub(2 * PAGE_SIZE, PAGE_SIZE), sub(0, PAGE_SIZE));
        let pair = join(&[&last, &first]);
        let middle = sub(PAGE_SIZE + 16, 100);
        let all = join(&[&pair, &pair, &first]);
        let map = map_all(&all);
        let seen = [0, 1, 2, 3, 4].map(|page| map.load::<u64>(page * PAGE_SIZE).unwrap());
        assert_eq!(seen, [3, 1, 3, 1, 1]);

        // The bytes of a first part that begins inside a page do so in a mapping, too.
        let inside = join(&[&middle]);
        assert_eq!(map_all(&inside).address() % PAGE_SIZE, 16);
        let uneven = join(&[&middle, &first]);
        let of_uneven = join(&[&first, &uneven]);
        assert_eq!(of_uneven.length(), 2 * PAGE_SIZE + 100);
        let across = of_uneven.create_mapping(MappingOptions::NONE, 0, PAGE_SIZE, 101, 0);
        assert_eq!(across.err(), Some(IoReturn::ERROR), "a gap inside a part is one, too");
        drop((last, first, pair, middle, all, map, inside, uneven, of_uneven, buffer));
        assert!(process.leaks().is_empty(), "{}", process.leaks());
    });
}
