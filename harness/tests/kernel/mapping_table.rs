//! Whatever is mapped and unmapped in which order: mappings do not overlap, and end with those who
//! hold them.

use dextape::boundary::{DescriptorRange, MapRequest, MappedRange, MappingTable, Rules};
use dextape::call::MapOptions;
use dextape::limits::PAGE_SIZE;
use proptest::prelude::*;
use std::collections::BTreeMap;

const CONNECTIONS: u64 = 3;

#[derive(Clone, Debug)]
enum Step {
    Map(MapRequest),
    Unmap { connection: u64, descriptor: DescriptorRange, read_only: bool },
    End { connection: u64 },
}

fn descriptor() -> impl Strategy<Value = DescriptorRange> {
    let offset = prop_oneof![Just(0), Just(64), Just(PAGE_SIZE), Just(PAGE_SIZE + 8)];
    let length =
        prop_oneof![Just(0), Just(32), Just(128), Just(PAGE_SIZE), Just(3 * PAGE_SIZE + 1)];
    (1..4_u64, offset, length).prop_map(|(root, offset, length)| DescriptorRange {
        root,
        offset,
        length,
        client_address: None,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let address = prop_oneof![
        (0..8_u64).prop_map(|page| 0x1_0000_0000 + page * PAGE_SIZE / 2),
        Just(0),
        any::<u64>()
    ];
    let options = prop_oneof![Just(0), Just(1), Just(0x101), any::<u32>()];
    let connection = 0..CONNECTIONS;
    prop_oneof![
        4 => (connection.clone(), descriptor(), any::<bool>(), options, address).prop_map(
            |(connection, descriptor, read_only, options, address)| Step::Map(MapRequest {
                connection,
                memory_type: 0,
                descriptor,
                read_only,
                options: MapOptions(options),
                address,
            })
        ),
        2 => (connection.clone(), descriptor(), any::<bool>()).prop_map(
            |(connection, descriptor, read_only)| Step::Unmap { connection, descriptor, read_only }
        ),
        1 => connection.prop_map(|connection| Step::End { connection }),
    ]
}

/// Pages that a mapping covers.
fn pages(range: &MappedRange) -> (u64, u64) {
    let start = range.address - range.address % PAGE_SIZE;
    (start, range.address + range.accessible)
}

proptest! {
    #[test]
    fn mappings_keep_apart_and_end_with_their_holders(steps in prop::collection::vec(step(), 1..60)) {
        let mut table = MappingTable::new(Rules::all());
        // The mappings that are not gone, and what they are of.
        let mut live: BTreeMap<u64, (DescriptorRange, MappedRange)> = BTreeMap::new();
        for step in steps {
            let gone = match step {
                Step::Map(request) => {
                    if let Ok(range) = table.map(&request) {
                        prop_assert_eq!(range.length, request.descriptor.length);
                        prop_assert!(range.accessible >= range.length);
                        prop_assert!(request.read_only <= range.read_only);
                        live.entry(range.number).or_insert((request.descriptor, range));
                    }
                    Vec::new()
                }
                Step::Unmap { connection, descriptor, read_only } => {
                    table.unmap(connection, 0, descriptor, read_only, 0).unwrap_or_default()
                }
                Step::End { connection } => table.end_connection(connection),
            };
            for number in gone {
                live.remove(&number);
            }
            let ranges: Vec<_> = live.values().collect();
            for (index, (of, range)) in ranges.iter().enumerate() {
                for (other_of, other) in &ranges[index + 1..] {
                    let ((start, end), (other_start, other_end)) = (pages(range), pages(other));
                    let apart = end <= other_start || other_end <= start;
                    // Aliases of one memory may lie over each other: the same byte at one address.
                    let alias = of.root == other_of.root
                        && range.address.wrapping_sub(range.offset)
                            == other.address.wrapping_sub(other.offset);
                    prop_assert!(apart || alias, "{range:?} and {other:?}");
                }
            }
        }
        for connection in 0..CONNECTIONS {
            for number in table.end_connection(connection) {
                live.remove(&number);
            }
        }
        prop_assert!(table.is_empty() && live.is_empty(), "{live:?} is left of {table:?}");
    }
}
