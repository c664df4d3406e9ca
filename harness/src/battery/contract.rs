//! What a dext promises: the legal calls, and what it answers to others.

use super::problem::{Justification, ProblemKind, Subject};
use crate::IoReturn;
use crate::connection::Matching;
use std::ops::RangeInclusive;
use std::time::Duration;

/// How many scalars, or how many bytes, are legal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Just so many.
    Exactly(u64),
    /// So many, the ends included.
    Within(RangeInclusive<u64>),
    /// So many, the ends included, and a multiple of that.
    Multiple {
        /// The ends.
        within: RangeInclusive<u64>,
        /// Of what; not 0.
        of: u64,
    },
    /// As many bytes as are handed in; for an output.
    AsInput,
    /// Any.
    Any,
}

impl Amount {
    /// True where so many are legal, beside an input of so many bytes.
    #[must_use]
    pub fn allows(&self, amount: u64, input: u64) -> bool {
        match self {
            Self::Exactly(only) => *only == amount,
            Self::Within(range) => range.contains(&amount),
            Self::Multiple { within, of } => {
                within.contains(&amount) && *of > 0 && amount.is_multiple_of(*of)
            }
            Self::AsInput => amount == input,
            Self::Any => true,
        }
    }

    /// Amounts at which something changes.
    pub(super) fn edges(&self) -> Vec<u64> {
        match self {
            Self::Exactly(_) | Self::AsInput | Self::Any => Vec::new(),
            Self::Within(range) => vec![*range.start(), *range.end()],
            Self::Multiple { within, of } => {
                let (least, most) = (*within.start(), *within.end());
                vec![least, least.saturating_add(*of), most, most.saturating_sub(*of)]
            }
        }
    }
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exactly(amount) => write!(f, "{amount}"),
            Self::Within(range) => write!(f, "{} to {}", range.start(), range.end()),
            Self::Multiple { within, of } => {
                write!(f, "{} to {} by {of}", within.start(), within.end())
            }
            Self::AsInput => f.write_str("as many as are handed in"),
            Self::Any => f.write_str("any number"),
        }
    }
}

/// Whether a method takes a completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asynchrony {
    /// A call with a completion is refused.
    Never,
    /// A call without a completion is refused.
    Always,
    /// Nothing is promised.
    Either,
}

/// What a dext promises. Whatever is not said here is checked for crashes, hangs, leaks and lints only.
///
/// # Examples
///
/// ```
/// use dextape::IoReturn;
/// use dextape::battery::{Contract, MemoryContract, MethodContract};
/// use dextape::connection::Matching;
///
/// let contract = Contract::new(Matching::user_class("Adder"))
///     .method(MethodContract::new(0).scalars(&[2, 3]).wants_scalars(1))
///     .method(MethodContract::new(1).input(&[1; 16]).wants_bytes(16).code(IoReturn::BUSY))
///     .memory(MemoryContract::new(0).length(128));
/// assert!(contract.methods[0].scalars_in.allows(2, 0));
/// ```
#[derive(Clone, Debug)]
pub struct Contract {
    /// How the service is found.
    pub matching: Matching,
    /// Type of an open.
    pub open_type: u32,
    /// The methods, in an order in which one client can call them.
    pub methods: Vec<MethodContract>,
    /// The memory types.
    pub memories: Vec<MemoryContract>,
    /// Errors that are documented, beside `kIOReturnBadArgument` and `kIOReturnUnsupported`.
    pub codes: Vec<IoReturn>,
    /// One client at a time; another open is refused.
    pub exclusive: bool,
    /// How long a dext may take before it counts as hanging, in virtual time. The longest legal wait
    /// for a completion must fit.
    pub patience: Duration,
    /// What is as it should be although it looks wrong.
    pub justified: Vec<Justification>,
    /// It was learned, not said, from so many calls: what it calls illegal may be legal.
    pub learned_from: Option<u64>,
}

impl Contract {
    /// A service of which nothing is promised yet.
    #[must_use]
    pub fn new(matching: Matching) -> Self {
        Self {
            matching,
            open_type: 0,
            methods: Vec::new(),
            memories: Vec::new(),
            codes: Vec::new(),
            exclusive: false,
            patience: Duration::from_secs(20),
            justified: Vec::new(),
            learned_from: None,
        }
    }

    /// Adds a method; the order is one in which a client can call them all.
    #[must_use]
    pub fn method(mut self, method: MethodContract) -> Self {
        self.methods.push(method);
        self
    }

    /// Adds a memory type.
    #[must_use]
    pub fn memory(mut self, memory: MemoryContract) -> Self {
        self.memories.push(memory);
        self
    }

    /// Adds a documented error.
    #[must_use]
    pub fn code(mut self, code: IoReturn) -> Self {
        self.codes.push(code);
        self
    }

    /// One client at a time.
    #[must_use]
    pub fn exclusive(mut self) -> Self {
        self.exclusive = true;
        self
    }

    /// Problems of this kind with this subject are as they should be, because of that.
    #[must_use]
    pub fn justify(mut self, kind: ProblemKind, subject: Subject, because: &str) -> Self {
        self.justified.push(Justification { kind, subject, because: because.to_owned() });
        self
    }

    /// Opens with this type.
    #[must_use]
    pub fn open_type(mut self, open_type: u32) -> Self {
        self.open_type = open_type;
        self
    }

    pub(super) fn of_selector(&self, selector: u32) -> Option<&MethodContract> {
        self.methods.iter().find(|method| method.selector == selector)
    }
}

/// What a scalar that is handed in may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// Anything, such as this.
    Any(u64),
    /// A value within bounds, the ends included, such as the example. Others are refused.
    Within {
        /// The bounds.
        range: RangeInclusive<u64>,
        /// One of the values.
        example: u64,
    },
    /// What another call has returned on the same connection, which has to come before. Others are
    /// refused.
    Returned {
        /// Selector of that call.
        by: u32,
        /// Which of its scalars.
        index: usize,
    },
}

impl Argument {
    /// A value without any call before.
    pub(super) fn example(&self) -> u64 {
        match self {
            Self::Any(example) | Self::Within { example, .. } => *example,
            Self::Returned { .. } => 0,
        }
    }
}

/// What a method promises, with one legal call of it.
#[derive(Clone, Debug)]
pub struct MethodContract {
    /// The selector.
    pub selector: u32,
    /// Scalars handed in by the legal call, and what else they may be.
    pub scalars: Vec<Argument>,
    /// The structure handed in by the legal call.
    pub input: Vec<u8>,
    /// Scalars that the legal call asks for.
    pub scalars_asked: u32,
    /// Bytes that the legal call asks for.
    pub bytes_asked: u64,
    /// How many scalars may be handed in.
    pub scalars_in: Amount,
    /// How many bytes may be handed in.
    pub bytes_in: Amount,
    /// How many scalars may be asked for.
    pub scalars_out: Amount,
    /// How many bytes may be asked for.
    pub bytes_out: Amount,
    /// Whether it takes a completion.
    pub asynchrony: Asynchrony,
    /// How many completions the legal call brings, where that is promised.
    pub completions: Option<u64>,
    /// Errors that are documented for it.
    pub codes: Vec<IoReturn>,
    /// Selectors whose legal calls must come before, in this order.
    pub after: Vec<u32>,
    /// Whether it is refused without them.
    pub needs_them: bool,
    /// Whether the legal call works again and again, some dozen times at least; `Some(false)` where
    /// the second is refused.
    pub repeatable: Option<bool>,
    /// What it gives depends on other clients by design.
    pub shared: bool,
    /// What it gives is not the same twice, whoever calls.
    pub volatile: bool,
}

impl MethodContract {
    /// A method that takes and gives nothing.
    #[must_use]
    pub fn new(selector: u32) -> Self {
        Self {
            selector,
            scalars: Vec::new(),
            input: Vec::new(),
            scalars_asked: 0,
            bytes_asked: 0,
            scalars_in: Amount::Exactly(0),
            bytes_in: Amount::Exactly(0),
            scalars_out: Amount::Exactly(0),
            bytes_out: Amount::Exactly(0),
            asynchrony: Asynchrony::Either,
            completions: None,
            codes: Vec::new(),
            after: Vec::new(),
            needs_them: false,
            repeatable: None,
            shared: false,
            volatile: false,
        }
    }

    /// It takes just so many scalars, such as these.
    #[must_use]
    pub fn scalars(self, scalars: &[u64]) -> Self {
        let arguments: Vec<_> = scalars.iter().map(|scalar| Argument::Any(*scalar)).collect();
        self.arguments(&arguments)
    }

    /// It takes just so many scalars, with these values.
    #[must_use]
    pub fn arguments(mut self, arguments: &[Argument]) -> Self {
        self.scalars_in = Amount::Exactly(arguments.len() as u64);
        self.scalars = arguments.to_vec();
        self
    }

    /// It takes just so many bytes, such as these.
    #[must_use]
    pub fn input(mut self, bytes: &[u8]) -> Self {
        self.bytes_in = Amount::Exactly(bytes.len() as u64);
        self.input = bytes.to_vec();
        self
    }

    /// It gives just so many scalars.
    #[must_use]
    pub fn wants_scalars(mut self, count: u32) -> Self {
        self.scalars_out = Amount::Exactly(count.into());
        self.scalars_asked = count;
        self
    }

    /// It gives just so many bytes.
    #[must_use]
    pub fn wants_bytes(mut self, size: u64) -> Self {
        self.bytes_out = Amount::Exactly(size);
        self.bytes_asked = size;
        self
    }

    /// How many scalars may be handed in.
    #[must_use]
    pub fn scalars_in(mut self, amount: Amount) -> Self {
        self.scalars_in = amount;
        self
    }

    /// How many bytes may be handed in.
    #[must_use]
    pub fn bytes_in(mut self, amount: Amount) -> Self {
        self.bytes_in = amount;
        self
    }

    /// How many scalars may be asked for.
    #[must_use]
    pub fn scalars_out(mut self, amount: Amount) -> Self {
        self.scalars_out = amount;
        self
    }

    /// How many bytes may be asked for.
    #[must_use]
    pub fn bytes_out(mut self, amount: Amount) -> Self {
        self.bytes_out = amount;
        self
    }

    /// It takes no completion.
    #[must_use]
    pub fn synchronous(mut self) -> Self {
        self.asynchrony = Asynchrony::Never;
        self
    }

    /// It needs a completion, and the legal call brings so many of them.
    #[must_use]
    pub fn completes(mut self, times: u64) -> Self {
        self.asynchrony = Asynchrony::Always;
        self.completions = Some(times);
        self
    }

    /// It needs a completion; how many come is not promised.
    #[must_use]
    pub fn asynchronous(mut self) -> Self {
        self.asynchrony = Asynchrony::Always;
        self
    }

    /// Adds a documented error.
    #[must_use]
    pub fn code(mut self, code: IoReturn) -> Self {
        self.codes.push(code);
        self
    }

    /// The legal calls of these selectors come before; without them it is refused.
    #[must_use]
    pub fn after(mut self, selectors: &[u32]) -> Self {
        self.after = selectors.to_vec();
        self.needs_them = true;
        self
    }

    /// The legal call works again and again, or is refused the second time.
    #[must_use]
    pub fn repeatable(mut self, repeatable: bool) -> Self {
        self.repeatable = Some(repeatable);
        self
    }

    /// What it gives depends on other clients by design.
    #[must_use]
    pub fn shared(mut self) -> Self {
        self.shared = true;
        self
    }

    /// What it gives is not the same twice.
    #[must_use]
    pub fn volatile(mut self) -> Self {
        self.volatile = true;
        self
    }
}

/// What a memory type promises.
#[derive(Clone, Debug)]
pub struct MemoryContract {
    /// The memory type.
    pub memory_type: u32,
    /// Its length in bytes, where that is promised.
    pub length: Option<u64>,
    /// The client's mapping is read-only.
    pub read_only: bool,
    /// All clients see the same memory by design.
    pub shared: bool,
}

impl MemoryContract {
    /// Memory of each client's own, which it can write.
    #[must_use]
    pub fn new(memory_type: u32) -> Self {
        Self { memory_type, length: None, read_only: false, shared: false }
    }

    /// It is just so long.
    #[must_use]
    pub fn length(mut self, length: u64) -> Self {
        self.length = Some(length);
        self
    }

    /// The client cannot write it.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// All clients see the same memory.
    #[must_use]
    pub fn shared(mut self) -> Self {
        self.shared = true;
        self
    }
}
