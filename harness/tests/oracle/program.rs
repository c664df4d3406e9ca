//! Programs of a client, as a list of steps.

use proptest::prelude::*;

/// One step. Connections, slots and places are picked modulo how many there are.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Opens a connection; where the service is gone, a new one is published first.
    Open,
    Close(u8),
    AddRef(u8),
    Release(u8),
    Map {
        connection: u8,
        memory_type: u8,
        cache: u8,
    },
    /// At an address that was seen before, or at one of the client's choice.
    MapAt {
        connection: u8,
        memory_type: u8,
        cache: u8,
        place: u8,
    },
    Unmap {
        connection: u8,
        memory_type: u8,
    },
    Call(u8),
    /// With 17 scalars.
    TooMany(u8),
    Trap(u8),
    /// An asynchronous call whose action the dext keeps in a slot.
    Keep {
        connection: u8,
        slot: u8,
        reference: Vec<u64>,
    },
    /// One whose action it does not keep.
    Brief(u8),
    /// The dext completes the last action that it did not keep.
    FireBrief(u8),
    /// The dext completes the action of a slot.
    Fire {
        connection: u8,
        slot: u8,
        status: u32,
        arguments: u8,
    },
    /// The dext releases the action of a slot.
    Forget {
        connection: u8,
        slot: u8,
    },
    /// The growing buffer gets a page longer.
    Grow(u8),
    /// The dext terminates a user client.
    EndClient(u8),
    EndService,
    Crash,
    /// Takes all completions that are there.
    Collect,
    /// Destroys the wake port and makes another.
    NewQueue,
}

fn step() -> impl Strategy<Value = Step> {
    let connection = || 0_u8..6;
    let memory_type = || 0_u8..8;
    let cache = || prop_oneof![3 => Just(0_u8), 1 => Just(1), 1 => Just(2)];
    let slot = || 0_u8..2;
    prop_oneof![
        4 => Just(Step::Open),
        3 => connection().prop_map(Step::Close),
        2 => connection().prop_map(Step::AddRef),
        2 => connection().prop_map(Step::Release),
        10 => (connection(), memory_type(), cache()).prop_map(
            |(connection, memory_type, cache)| Step::Map { connection, memory_type, cache }
        ),
        4 => (connection(), memory_type(), cache(), any::<u8>()).prop_map(
            |(connection, memory_type, cache, place)| Step::MapAt {
                connection, memory_type, cache, place,
            }
        ),
        8 => (connection(), memory_type())
            .prop_map(|(connection, memory_type)| Step::Unmap { connection, memory_type }),
        2 => connection().prop_map(Step::Call),
        1 => connection().prop_map(Step::TooMany),
        1 => connection().prop_map(Step::Trap),
        4 => (connection(), slot(), prop::collection::vec(any::<u64>(), 1..=8)).prop_map(
            |(connection, slot, reference)| Step::Keep { connection, slot, reference }
        ),
        1 => connection().prop_map(Step::Brief),
        1 => connection().prop_map(Step::FireBrief),
        6 => (connection(), slot(), any::<u32>(), 0_u8..18).prop_map(
            |(connection, slot, status, arguments)| Step::Fire {
                connection, slot, status, arguments,
            }
        ),
        1 => (connection(), slot()).prop_map(|(connection, slot)| Step::Forget { connection, slot }),
        2 => connection().prop_map(Step::Grow),
        1 => connection().prop_map(Step::EndClient),
        1 => Just(Step::EndService),
        1 => Just(Step::Crash),
        2 => Just(Step::Collect),
        1 => Just(Step::NewQueue),
    ]
}

/// Up to 60 steps, the first of which opens a connection.
pub(crate) fn programs() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..60).prop_map(|mut steps| {
        steps.insert(0, Step::Open);
        steps
    })
}
