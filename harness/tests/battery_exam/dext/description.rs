//! What a client of the sampler may do, as data: the calls with their shapes, and the memory types.

use super::abi::{
    CHANNELS, Configuration, INTERVAL_MAX, INVERT_MAX, Info, MODES, SAMPLES_MAX, STATUS_LENGTH,
    USER_CLASS, WINDOW_LENGTH, WORD, memory_type, selector,
};
use dextape::call::Scalars;
use dextape::connection::{CallError, Connection, ConnectionExt};

/// All that a client of a dext may do. What is not in here is refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Description {
    /// Class to find the service by.
    pub(crate) user_class: &'static str,
    /// The calls, in the order of their selectors, which have no gaps. Further selectors are refused.
    pub(crate) calls: &'static [LegalCall],
    /// The memory types. Further ones are refused.
    pub(crate) memory: &'static [LegalMemory],
}

/// How one selector may be called. Counts are exact: fewer or more are refused, of the outputs, too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LegalCall {
    /// Name for messages.
    pub(crate) name: &'static str,
    /// The selector.
    pub(crate) selector: u32,
    /// True: it must come with a completion. False: it must not.
    pub(crate) asynchronous: bool,
    /// The scalars to hand in.
    pub(crate) scalars: &'static [Scalar],
    /// Scalars to ask for.
    pub(crate) scalars_out: usize,
    /// The structure to hand in; its bytes may be any.
    pub(crate) input: Length,
    /// Bytes of structure to ask for; as many come back.
    pub(crate) output: Length,
    /// Selectors that have to be called before it, in this order, on the same connection.
    pub(crate) before: &'static [u32],
    /// It succeeds when it is called again with the same arguments and nothing between, some dozen
    /// times at least. Otherwise it is refused then.
    pub(crate) repeatable: bool,
}

impl LegalCall {
    /// Makes the calls that have to go before, and gives scalars that may be handed in after them.
    pub(crate) fn prepare(&self, connection: &dyn Connection) -> Result<Vec<u64>, CallError> {
        let mut returned: Vec<(u32, Scalars)> = Vec::new();
        for &selector in self.before {
            let call = &CALLS[selector as usize];
            let scalars = call.examples(&returned);
            let reply = connection.call(selector).scalars(&scalars).want_scalars(call.scalars_out);
            returned.push((selector, reply.send()?.scalars));
        }
        Ok(self.examples(&returned))
    }

    fn examples(&self, returned: &[(u32, Scalars)]) -> Vec<u64> {
        let value = |scalar: &Scalar| match *scalar {
            Scalar::Any { example } | Scalar::Within { example, .. } => example,
            Scalar::Returned { by, index } => {
                let reply = returned.iter().find(|(selector, _)| *selector == by);
                reply.expect("what a scalar comes from is called before").1[index]
            }
        };
        self.scalars.iter().map(value).collect()
    }
}

/// A scalar to hand in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scalar {
    /// Any value, such as this one.
    Any { example: u64 },
    /// A value within bounds, which both are inside. Others are refused.
    Within { least: u64, most: u64, example: u64 },
    /// A value that another call returned on the same connection. Others are refused.
    Returned { by: u32, index: usize },
}

/// How long a structure may be, in bytes. Other lengths are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// There is none.
    None,
    /// Just that.
    Exactly(u64),
    /// Within bounds, which both are inside, and a multiple.
    Within { least: u64, most: u64, multiple_of: u64 },
    /// As long as the structure handed in.
    AsInput,
}

impl Length {
    /// Whether a structure may be so long, beside an input of that length.
    pub(crate) fn allows(self, length: u64, input: u64) -> bool {
        match self {
            Self::None => length == 0,
            Self::Exactly(exact) => length == exact,
            Self::Within { least, most, multiple_of } => {
                (least..=most).contains(&length) && length.is_multiple_of(multiple_of)
            }
            Self::AsInput => length == input,
        }
    }

    /// A length that is allowed beside an input of that length.
    pub(crate) fn example(self, input: u64) -> u64 {
        match self {
            Self::None => 0,
            Self::Exactly(length) => length,
            Self::Within { least, most, multiple_of } => {
                (least + 4 * multiple_of).next_multiple_of(multiple_of).min(most)
            }
            Self::AsInput => input,
        }
    }
}

/// Memory that a client may map. A second map gives the same mapping; after one unmap a further one
/// is refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LegalMemory {
    /// Name for messages.
    pub(crate) name: &'static str,
    /// The memory type.
    pub(crate) memory_type: u32,
    /// Bytes.
    pub(crate) length: u64,
    /// The client may not write to it.
    pub(crate) read_only: bool,
}

/// What a client of the sampler may do.
pub(crate) const fn description() -> Description {
    Description { user_class: USER_CLASS, calls: CALLS, memory: MEMORY }
}

/// A call without arguments: the base for struct update syntax.
const PLAIN: LegalCall = LegalCall {
    name: "",
    selector: 0,
    asynchronous: false,
    scalars: &[],
    scalars_out: 0,
    input: Length::None,
    output: Length::None,
    before: &[],
    repeatable: true,
};

const CALLS: &[LegalCall] = &[
    LegalCall {
        name: "add",
        selector: selector::ADD,
        scalars: &[Scalar::Any { example: 40 }, Scalar::Any { example: 2 }],
        scalars_out: 2,
        ..PLAIN
    },
    LegalCall {
        name: "open the session",
        selector: selector::OPEN_SESSION,
        scalars: &[Scalar::Within { least: 0, most: MODES - 1, example: 1 }],
        scalars_out: 1,
        repeatable: false,
        ..PLAIN
    },
    LegalCall {
        name: "close the session",
        selector: selector::CLOSE_SESSION,
        before: &[selector::OPEN_SESSION],
        repeatable: false,
        ..PLAIN
    },
    LegalCall {
        name: "watch",
        selector: selector::WATCH,
        asynchronous: true,
        scalars: &[
            Scalar::Within { least: 1, most: INTERVAL_MAX, example: 20 },
            Scalar::Within { least: 1, most: SAMPLES_MAX, example: 3 },
        ],
        ..PLAIN
    },
    LegalCall {
        name: "allocate",
        selector: selector::ALLOCATE,
        scalars: &[Scalar::Any { example: 7 }],
        scalars_out: 1,
        before: &[selector::OPEN_SESSION],
        ..PLAIN
    },
    LegalCall {
        name: "free",
        selector: selector::FREE,
        scalars: &[Scalar::Returned { by: selector::ALLOCATE, index: 0 }],
        scalars_out: 1,
        before: &[selector::OPEN_SESSION, selector::ALLOCATE],
        repeatable: false,
        ..PLAIN
    },
    LegalCall {
        name: "info",
        selector: selector::INFO,
        output: Length::Exactly(size_of::<Info>() as u64),
        ..PLAIN
    },
    LegalCall {
        name: "configure",
        selector: selector::CONFIGURE,
        input: Length::Exactly(size_of::<Configuration>() as u64),
        ..PLAIN
    },
    LegalCall {
        name: "invert",
        selector: selector::INVERT,
        input: Length::Within { least: WORD, most: INVERT_MAX, multiple_of: WORD },
        output: Length::AsInput,
        ..PLAIN
    },
    LegalCall {
        name: "feed",
        selector: selector::FEED,
        scalars: &[Scalar::Within { least: 0, most: CHANNELS - 1, example: 0 }],
        scalars_out: 2,
        input: Length::Within { least: 1, most: WINDOW_LENGTH, multiple_of: 1 },
        ..PLAIN
    },
];

const MEMORY: &[LegalMemory] = &[
    LegalMemory {
        name: "the window",
        memory_type: memory_type::WINDOW,
        length: WINDOW_LENGTH,
        read_only: false,
    },
    LegalMemory {
        name: "the status",
        memory_type: memory_type::STATUS,
        length: STATUS_LENGTH,
        read_only: true,
    },
];

const _: () = assert!(CALLS.len() == selector::COUNT as usize);
