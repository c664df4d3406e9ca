//! How a plan is written.

use super::{
    CallFault, CompletionFault, Ending, Fault, FaultPlan, MapFault, OpenFault, UnmapFault, When,
};
use crate::IoReturn;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

impl Display for FaultPlan {
    /// On one line, with `; ` between; the alternate form (`{:#}`) has one fault a line.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let between = if f.alternate() { "\n" } else { "; " };
        let mut first = true;
        let mut separate = |f: &mut Formatter<'_>| {
            if std::mem::take(&mut first) { Ok(()) } else { f.write_str(between) }
        };
        if self.seed != 0 {
            separate(f)?;
            write!(f, "seed {}", self.seed)?;
        }
        for fault in &self.faults {
            separate(f)?;
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { when, what } => write!(f, "open{when}: {what}"),
            Self::Call { selector, when, what } => {
                write!(f, "call {}{when}: {what}", Number(*selector))
            }
            Self::Completion { selector, when, what } => {
                write!(f, "completion {}{when}: {what}", Number(*selector))
            }
            Self::Map { memory_type, when, what } => {
                write!(f, "map {}{when}: {what}", Number(*memory_type))
            }
            Self::Unmap { memory_type, when, what } => {
                write!(f, "unmap {}{when}: {what}", Number(*memory_type))
            }
            Self::At { time, what } => write!(f, "at {}: {what}", Time(*time)),
        }
    }
}

/// With the blank that stands before it; nothing for every time.
impl Display for When {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::From(0 | 1) => Ok(()),
            Self::From(first) => write!(f, " #{first}+"),
            Self::Nth(number) => write!(f, " #{number}"),
            Self::Every(step) => write!(f, " /{step}"),
            Self::Chance(percent) => write!(f, " {percent}%"),
        }
    }
}

impl Display for OpenFault {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delay(time) => write!(f, "delay {}", Time(*time)),
            Self::Fails(code) => write!(f, "error {}", Code(*code)),
            Self::Refused(refusal) => write!(f, "refuse {}", Code(refusal.code())),
            Self::Ends(ending) => ending.fmt(f),
        }
    }
}

impl Display for CallFault {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delay(time) => write!(f, "delay {}", Time(*time)),
            Self::Fails(code) => write!(f, "error {}", Code(*code)),
            Self::FailsAfter(code) => write!(f, "error {} afterwards", Code(*code)),
            Self::NeverReturns => f.write_str("never returns"),
            Self::Ends(ending) => ending.fmt(f),
            Self::EndsAfter(ending) => write!(f, "{ending} afterwards"),
        }
    }
}

impl Display for CompletionFault {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fails(code) => write!(f, "error {}", Code(*code)),
            Self::Lost => f.write_str("lost"),
            Self::Doubled => f.write_str("doubled"),
            Self::Late(time) => write!(f, "late {}", Time(*time)),
        }
    }
}

impl Display for MapFault {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delay(time) => write!(f, "delay {}", Time(*time)),
            Self::Fails(code) => write!(f, "error {}", Code(*code)),
            Self::Refused => f.write_str("refuse"),
            Self::Ends(ending) => ending.fmt(f),
        }
    }
}

impl Display for UnmapFault {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delay(time) => write!(f, "delay {}", Time(*time)),
            Self::Fails(code) => write!(f, "error {}", Code(*code)),
            Self::Ends(ending) => ending.fmt(f),
        }
    }
}

impl Display for Ending {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Removed => "device removed",
            Self::Died => "dext dies",
        })
    }
}

/// A selector or memory type, or any.
struct Number(Option<u32>);

impl Display for Number {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(number) => number.fmt(f),
            None => f.write_str("*"),
        }
    }
}

/// A code by its name where it has one.
struct Code(IoReturn);

impl Display for Code {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.name() {
            Some(name) => f.write_str(name.strip_prefix("kIOReturn").unwrap_or(name)),
            None => write!(f, "0x{:08x}", self.0),
        }
    }
}

/// A time in the largest unit that holds it exactly.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time(pub(crate) Duration);

impl Display for Time {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let nanoseconds = self.0.as_nanos();
        let units = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")];
        let fits = |(size, _): &&(u128, &str)| nanoseconds.is_multiple_of(*size);
        let (size, unit) = units.iter().find(fits).copied().unwrap_or((1, "ns"));
        write!(f, "{}{unit}", nanoseconds / size)
    }
}
