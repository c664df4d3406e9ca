//! Client programs as data, and strategies over them.

use crate::memory::{Update, Width};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// What a client does, one list of steps a thread. Each thread opens a connection and makes a queue
/// of its own first, and closes at the end.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// The steps of each thread.
    pub threads: Vec<Vec<Step>>,
}

/// One step of a client.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A synchronous call.
    Call {
        /// The selector.
        selector: u32,
        /// Scalars handed in, after the running digest of what the thread has seen: so that a reply
        /// that changes is an input that differs.
        scalars: Vec<u64>,
        /// The structure handed in.
        input: InputPlan,
        /// Scalars asked for.
        scalars_asked: usize,
        /// The structure asked for.
        output: OutputPlan,
    },
    /// An asynchronous call on the thread's queue.
    AsyncCall {
        /// The selector.
        selector: u32,
        /// The reference: `None` for NULL.
        reference: Option<Vec<u64>>,
        /// The structure handed in.
        input: InputPlan,
        /// The structure asked for.
        output: OutputPlan,
    },
    /// Waits for a completion, for at most so many milliseconds.
    Wait(u64),
    /// Takes a completion if there is one.
    Poll,
    /// Lets time pass, in milliseconds.
    Sleep(u64),
    /// Maps memory of a type.
    Map(u32),
    /// Unmaps memory of a type.
    Unmap(u32),
    /// Accesses the thread's latest mapping of a type; where there is none, maps the type.
    Access(u32, Access),
    /// Reads a property.
    Property(String),
    /// Opens the service once more with this type and closes it again.
    Reopen(u32),
}

/// An access to a mapping.
#[derive(Clone, Debug, PartialEq)]
pub enum Access {
    /// A bulk read: offset, length.
    Read(u64, u64),
    /// A bulk write.
    Write(u64, Vec<u8>),
    /// A typed read.
    Load(u64, Width),
    /// A typed write.
    Store(u64, Width, u64),
    /// An atomic update.
    Update(u64, Width, Update),
}

/// A structure handed in.
#[derive(Clone, Debug, PartialEq)]
pub enum InputPlan {
    /// None.
    None,
    /// So many bytes, each the low byte of its index times the factor plus one.
    Bytes(usize, u8),
    /// The same in a shared buffer.
    Shared(usize, u8),
    /// NULL with a size over 4096.
    Null(u64),
    /// A pointer to where nothing is mapped, with a size over 4096.
    Unmapped(u64),
}

/// A structure asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum OutputPlan {
    /// None.
    None,
    /// Room for so many bytes.
    Bytes(usize),
    /// A shared buffer of so many bytes.
    Shared(usize),
    /// NULL with a size over 4096.
    Null(u64),
    /// A pointer to where nothing is mapped, with a size over 4096.
    Unmapped(u64),
    /// Variable output; in an asynchronous call as `None`.
    Variable,
}

impl InputPlan {
    /// The bytes that the client hands in.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::None | Self::Null(_) | Self::Unmapped(_) => Vec::new(),
            Self::Bytes(length, factor) | Self::Shared(length, factor) => (0..*length)
                .map(|index| (index as u8).wrapping_mul(*factor).wrapping_add(1))
                .collect(),
        }
    }
}

/// Sizes at which something changes, small ones first.
fn size() -> impl Strategy<Value = usize> {
    prop_oneof![
        4 => 0_usize..40,
        1 => select(vec![255_usize, 256, 257, 4095, 4096, 4097, 5000, 9000]),
    ]
}

fn large() -> impl Strategy<Value = usize> {
    select(vec![4097_usize, 4104, 8192, 20_000])
}

fn input(sync: bool) -> BoxedStrategy<InputPlan> {
    let bytes = if sync { size().boxed() } else { (0_usize..=4096).boxed() };
    prop_oneof![
        6 => Just(InputPlan::None),
        6 => (bytes, any::<u8>()).prop_map(|(length, factor)| InputPlan::Bytes(length, factor)),
        1 => (large(), any::<u8>()).prop_map(|(length, factor)| InputPlan::Shared(length, factor)),
        1 => (4097_u64..5000).prop_map(InputPlan::Null),
        1 => (4097_u64..5000).prop_map(InputPlan::Unmapped),
    ]
    .boxed()
}

fn output(sync: bool) -> BoxedStrategy<OutputPlan> {
    let bytes = if sync { size().boxed() } else { (0_usize..=4096).boxed() };
    prop_oneof![
        2 => Just(OutputPlan::None),
        6 => bytes.prop_map(OutputPlan::Bytes),
        1 => large().prop_map(OutputPlan::Shared),
        1 => (4097_u64..5000).prop_map(OutputPlan::Null),
        1 => (4097_u64..5000).prop_map(OutputPlan::Unmapped),
        1 => Just(if sync { OutputPlan::Variable } else { OutputPlan::None }),
    ]
    .boxed()
}

fn scalar() -> impl Strategy<Value = u64> {
    prop_oneof![3 => 0_u64..8, 1 => any::<u64>()]
}

fn width() -> impl Strategy<Value = Width> {
    select(vec![Width::One, Width::Two, Width::Four, Width::Eight])
}

fn access() -> impl Strategy<Value = Access> {
    let offset = || prop_oneof![6 => 0_u64..64, 1 => 0_u64..20_000, 1 => Just(u64::MAX)];
    let update = prop_oneof![
        scalar().prop_map(Update::Swap),
        scalar().prop_map(Update::Add),
        scalar().prop_map(Update::Or),
        scalar().prop_map(Update::And),
        (scalar(), scalar()).prop_map(|(expected, new)| Update::CompareExchange { expected, new }),
    ];
    prop_oneof![
        3 => (offset(), 0_u64..80).prop_map(|(offset, length)| Access::Read(offset, length)),
        2 => (offset(), vec(any::<u8>(), 0..70))
            .prop_map(|(offset, bytes)| Access::Write(offset, bytes)),
        3 => (offset(), width()).prop_map(|(offset, width)| Access::Load(offset, width)),
        2 => (offset(), width(), any::<u64>())
            .prop_map(|(offset, width, value)| Access::Store(offset, width, value)),
        2 => (offset(), width(), update)
            .prop_map(|(offset, width, update)| Access::Update(offset, width, update)),
    ]
}

/// Steps over `selectors` methods and `types` memory types; a little beyond both now and then.
fn step(selectors: u32, types: u32) -> impl Strategy<Value = Step> {
    let selector = prop_oneof![9 => 0..selectors, 1 => Just(selectors)].boxed();
    let memory_type = prop_oneof![9 => 0..types, 1 => Just(types)].boxed();
    prop_oneof![
        6 => (
            selector.clone(),
            vec(scalar(), 0..18),
            input(true),
            0_usize..19,
            output(true),
        )
            .prop_map(|(selector, scalars, input, scalars_asked, output)| Step::Call {
                selector,
                scalars,
                input,
                scalars_asked,
                output,
            }),
        6 => (selector, proptest::option::of(vec(scalar(), 0..10)), input(false), output(false))
            .prop_map(|(selector, reference, input, output)| Step::AsyncCall {
                selector,
                reference,
                input,
                output,
            }),
        3 => (0_u64..40).prop_map(Step::Wait),
        2 => Just(Step::Poll),
        2 => (0_u64..20).prop_map(Step::Sleep),
        3 => memory_type.clone().prop_map(Step::Map),
        1 => memory_type.clone().prop_map(Step::Unmap),
        10 => (memory_type, access()).prop_map(|(memory_type, access)| Step::Access(memory_type, access)),
        1 => select(vec!["IOClass", "Missing", "Serial"])
            .prop_map(|key| Step::Property(key.to_owned())),
        1 => (0_u32..3).prop_map(Step::Reopen),
    ]
}

/// Programs of up to `threads` threads over a dext with `selectors` methods and `types` memory
/// types.
pub fn program(threads: usize, selectors: u32, types: u32) -> impl Strategy<Value = Program> {
    vec(vec(step(selectors, types), 0..32), 1..=threads).prop_map(|threads| Program { threads })
}
