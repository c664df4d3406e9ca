//! What the mock finds wrong with a dext, and how to mend it.

use super::object::describe;
use std::fmt;
use std::panic::Location;

/// A mistake that the mock recognises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Lint {
    /// `CopyClientMemoryForType` makes a descriptor of its own for each call.
    FreshDescriptor,
    /// A structure output longer than the client asked for.
    OutputTooLong,
    /// A pointer to an argument kept beyond the call without a reference.
    KeptWithoutRetain,
    /// More releases than references.
    OverRelease,
    /// A pointer used after the last release.
    UseAfterRelease,
    /// A write to a descriptor that the device may only read.
    InputWritten,
    /// An in-line output that is to be filled once the call has returned.
    LateInlineOutput,
    /// `scalarOutputCount` raised above what the client asked for.
    CountRaised,
    /// Scalar outputs that were counted but never written.
    OutputUnwritten,
    /// A completion with more arguments than one can carry.
    TooManyArguments,
}

impl Lint {
    /// Every lint.
    pub const ALL: &[Self] = &[
        Self::FreshDescriptor,
        Self::OutputTooLong,
        Self::KeptWithoutRetain,
        Self::OverRelease,
        Self::UseAfterRelease,
        Self::InputWritten,
        Self::LateInlineOutput,
        Self::CountRaised,
        Self::OutputUnwritten,
        Self::TooManyArguments,
    ];

    /// Name for filters and messages, in kebab case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FreshDescriptor => "fresh-descriptor",
            Self::OutputTooLong => "output-too-long",
            Self::KeptWithoutRetain => "kept-without-retain",
            Self::OverRelease => "over-release",
            Self::UseAfterRelease => "use-after-release",
            Self::InputWritten => "input-written",
            Self::LateInlineOutput => "late-inline-output",
            Self::CountRaised => "count-raised",
            Self::OutputUnwritten => "output-unwritten",
            Self::TooManyArguments => "too-many-arguments",
        }
    }

    /// Numbers of the boundary's rules that it rests on.
    #[must_use]
    pub const fn rules(self) -> &'static [&'static str] {
        match self {
            Self::FreshDescriptor => &["F20", "F15"],
            Self::OutputTooLong => &["C2"],
            Self::KeptWithoutRetain => &["B10", "D12"],
            Self::OverRelease => &["F4", "B10"],
            Self::UseAfterRelease => &["B10", "D20"],
            Self::InputWritten => &["B5", "I10"],
            Self::LateInlineOutput => &["C3", "B8"],
            Self::CountRaised => &["C7"],
            Self::OutputUnwritten => &["C8"],
            Self::TooManyArguments => &["D13"],
        }
    }

    /// How to mend it.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::FreshDescriptor => {
                "make the descriptor once (in start, or at the first call), keep it, and return it \
                 retained on every call"
            }
            Self::OutputTooLong => {
                "return at most structure_output_maximum_size bytes, or fail with \
                 kIOReturnNoSpace so that the client learns why"
            }
            Self::KeptWithoutRetain => {
                "retain it before the call returns, and release it when done"
            }
            Self::OverRelease => {
                "retain once for each release; what CopyClientMemoryForType returns and what \
                 structure_output holds is released by the system, so do not release that yourself"
            }
            Self::UseAfterRelease => {
                "keep a reference as long as the pointer is used, in an OsSharedPtr for instance"
            }
            Self::InputWritten => {
                "write to a buffer of your own, or have the client hand in the memory as the \
                 structure output; a structure input is read-only and a snapshot"
            }
            Self::LateInlineOutput => {
                "have the client ask for more than 4096 bytes, which arrive as a descriptor that \
                 outlives the call, or send the result as arguments of the completion"
            }
            Self::CountRaised => {
                "never raise scalar_output_count; check it on entry and fail where it is too small"
            }
            Self::OutputUnwritten => {
                "write each counted entry of scalar_output, or lower scalar_output_count"
            }
            Self::TooManyArguments => "send at most 16 arguments with a completion",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::FreshDescriptor => "a fresh descriptor on every CopyClientMemoryForType",
            Self::OutputTooLong => "structure output longer than asked for",
            Self::KeptWithoutRetain => "an argument kept without a retain",
            Self::OverRelease => "a release too many",
            Self::UseAfterRelease => "a use after the last release",
            Self::InputWritten => "a write through an input descriptor",
            Self::LateInlineOutput => "an in-line output that is expected later",
            Self::CountRaised => "scalar_output_count raised",
            Self::OutputUnwritten => "scalar outputs left unwritten",
            Self::TooManyArguments => "a completion with too many arguments",
        }
    }
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the dext was doing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// `NewUserClient`.
    NewUserClient,
    /// `Start` of a service or user client.
    Start,
    /// `Stop` of a service or user client.
    Stop,
    /// `ExternalMethod`.
    ExternalMethod {
        /// The selector.
        selector: u64,
    },
    /// `CopyClientMemoryForType`.
    CopyClientMemory {
        /// The memory type.
        memory_type: u64,
    },
    /// A handler on a dispatch queue.
    Handler {
        /// Name of the queue.
        queue: String,
    },
    /// None of these.
    Elsewhere,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewUserClient => f.write_str("NewUserClient"),
            Self::Start => f.write_str("Start"),
            Self::Stop => f.write_str("Stop"),
            Self::ExternalMethod { selector } => write!(f, "ExternalMethod, selector {selector}"),
            Self::CopyClientMemory { memory_type } => {
                write!(f, "CopyClientMemoryForType, type {memory_type}")
            }
            Self::Handler { queue } => write!(f, "a handler on queue {queue}"),
            Self::Elsewhere => f.write_str("other code of the dext"),
        }
    }
}

/// One mistake in one place, and how often it was seen there.
///
/// Its text is a title with the rules that it rests on, then what happened, where, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    lint: Lint,
    place: Place,
    message: String,
    at: Option<&'static Location<'static>>,
    count: u64,
}

impl Finding {
    pub(crate) fn new(
        lint: Lint,
        place: Place,
        message: String,
        at: Option<&'static Location<'static>>,
    ) -> Self {
        Self { lint, place, message, at, count: 1 }
    }

    pub(crate) fn seen_again(&mut self) {
        self.count = self.count.saturating_add(1);
    }

    /// Which mistake it is; it knows the rules and the remedy.
    #[must_use]
    pub fn lint(&self) -> Lint {
        self.lint
    }

    /// What the dext was doing.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What happened when it was first seen.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The line of the dext's source that it hangs on, where that is known.
    #[must_use]
    pub fn at(&self) -> Option<&'static Location<'static>> {
        self.at
    }

    /// How often it was seen in this place.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = self.lint.rules().join(", ");
        write!(f, "{} ({}; {rules})", self.lint.title(), self.lint)?;
        write!(f, "\n  {}\n  in {}", self.message, self.place)?;
        if let Some(at) = self.at {
            write!(f, " ({})", describe(at))?;
        }
        if self.count > 1 {
            write!(f, ", {} times", self.count)?;
        }
        write!(f, "\n  mend: {}", self.lint.remedy())
    }
}
