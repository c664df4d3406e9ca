//! Mock dexts as data, and strategies over them.

use crate::IoReturn;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// A dext as data: what each method and each memory type does.
#[derive(Clone, Debug, PartialEq)]
pub struct DextPlan {
    /// One entry a selector; selectors beyond are unsupported.
    pub methods: Vec<MethodPlan>,
    /// One entry a memory type; types beyond are unsupported.
    pub memories: Vec<MemoryPlan>,
    /// Open types from this on are refused with the code.
    pub refuse_open: Option<(u32, IoReturn)>,
}

/// What one method does, in this order.
#[derive(Clone, Debug, PartialEq)]
pub struct MethodPlan {
    /// Added to the sum of all inputs to make each scalar returned.
    pub scalar_offset: u64,
    /// Scalars that the dext says that it returns; `None` leaves the count alone.
    pub scalar_count: Option<u32>,
    /// Bytes of structure returned in-line, or written through the descriptor; `None` sets none.
    pub structure: Option<usize>,
    /// Memory type whose buffer it changes, from this offset on, by this many bytes.
    pub changes: Option<(usize, u64, usize)>,
    /// Completions of an asynchronous call: delay in milliseconds (0: before the call returns),
    /// arguments.
    pub completions: Vec<(u64, usize)>,
    /// The result.
    pub result: IoReturn,
}

/// One memory type.
#[derive(Clone, Debug, PartialEq)]
pub struct MemoryPlan {
    /// Capacity in bytes.
    pub capacity: u64,
    /// Maps read-only.
    pub read_only: bool,
    /// A buffer of its own for each call, as a naive dext makes it.
    pub fresh: bool,
    /// Instead of memory: this error.
    pub error: Option<IoReturn>,
    /// The device changes the first 8 bytes every so many milliseconds.
    pub ticks: Option<u64>,
}

fn failure() -> impl Strategy<Value = IoReturn> {
    select(vec![
        IoReturn::NOT_READY,
        IoReturn::BUSY,
        IoReturn::NO_SPACE,
        IoReturn::ERROR,
        IoReturn(0xe3ff_8001),
    ])
}

fn method() -> impl Strategy<Value = MethodPlan> {
    (
        0_u64..100,
        proptest::option::of(0_u32..18),
        proptest::option::weighted(
            0.4,
            prop_oneof![6 => 0_usize..24, 1 => select(vec![255_usize, 257, 4096, 4097])],
        ),
        proptest::option::of((0_usize..3, 0_u64..64, 1_usize..24)),
        vec((0_u64..30, 0_usize..17), 0..4),
        prop_oneof![5 => Just(IoReturn::SUCCESS), 1 => failure()],
    )
        .prop_map(|(scalar_offset, scalar_count, structure, changes, completions, result)| {
            MethodPlan { scalar_offset, scalar_count, structure, changes, completions, result }
        })
}

fn memory() -> impl Strategy<Value = MemoryPlan> {
    (
        select(vec![8_u64, 128, 16_384, 20_000]),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.1),
        proptest::option::weighted(0.1, failure()),
        proptest::option::weighted(0.3, 1_u64..12),
    )
        .prop_map(|(capacity, read_only, fresh, error, ticks)| MemoryPlan {
            capacity,
            read_only,
            fresh,
            error,
            ticks,
        })
}

/// Dexts with at least half of `methods` methods and of `memories` memory types.
pub fn dext_plan(methods: usize, memories: usize) -> impl Strategy<Value = DextPlan> {
    (
        vec(method(), methods.div_ceil(2)..=methods),
        vec(memory(), memories.div_ceil(2)..=memories),
        proptest::option::weighted(0.2, (1_u32..3, failure())),
    )
        .prop_map(|(methods, memories, refuse_open)| DextPlan {
            methods,
            memories,
            refuse_open,
        })
}
