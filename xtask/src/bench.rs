//! What a bench is: a function that measures, and the figures that it gives.

use std::fmt;

/// A named measurement. It runs in this process, one after the other, with nothing beside it.
#[derive(Clone, Copy)]
pub struct Bench {
    /// Its name, in kebab case.
    pub name: &'static str,
    /// What it measures, in half a sentence.
    pub about: &'static str,
    /// Measures. The text of a failure completes "failed to ...".
    pub run: fn() -> Result<Vec<Measure>, String>,
}

impl fmt::Debug for Bench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bench").field("name", &self.name).finish_non_exhaustive()
    }
}

/// One figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Measure {
    /// What was measured, such as a size or a peer's name.
    pub what: String,
    /// The figure, in `unit`.
    pub value: f64,
    /// Its unit.
    pub unit: Unit,
    /// Instructions for one operation, where they were counted.
    pub instructions: Option<f64>,
    /// What the figure should be; a peer's figure has none.
    pub goal: Option<Goal>,
}

/// Unit of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds for one operation.
    Nanoseconds,
    /// Millions of bytes a second.
    MegabytesPerSecond,
    /// Events a second.
    EventsPerSecond,
    /// Schedules a second.
    SchedulesPerSecond,
    /// Times what it is compared with.
    Ratio,
    /// A number of things, such as allocations.
    Count,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nanoseconds => "ns",
            Self::MegabytesPerSecond => "MB/s",
            Self::EventsPerSecond => "events/s",
            Self::SchedulesPerSecond => "schedules/s",
            Self::Ratio => "x",
            Self::Count => "",
        })
    }
}

/// What a figure should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
}

impl Goal {
    /// True where `value` is what it should be.
    #[must_use]
    pub fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "<= {most}"),
            Self::AtLeast(least) => write!(f, ">= {least}"),
        }
    }
}
