//! How deviations are written.

use super::{Deviation, Deviations, Point, Shift};
use crate::fault::Time;
use std::fmt::{self, Display, Formatter};

impl Display for Deviations {
    /// On one line, with `; ` between; the alternate form (`{:#}`) has one deviation a line.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let between = if f.alternate() { "\n" } else { "; " };
        for (index, deviation) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(between)?;
            }
            deviation.fmt(f)?;
        }
        Ok(())
    }
}

impl Display for Deviation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stall { lane, operation, point, time } => {
                write!(f, "lane {lane} {point} #{operation}: stall {}", Time(*time))
            }
            Self::Wake { lane, operation } => write!(f, "lane {lane} at #{operation}: wakes early"),
            Self::Timer { lane, wait, late } => {
                write!(f, "lane {lane} timer #{wait}: late {}", Time(*late))
            }
            Self::Priorities { seed } => write!(f, "priorities {seed}"),
            Self::Post { event, shift: Shift::Early(by) } => {
                write!(f, "post {event}: early {}", Time(*by))
            }
            Self::Post { event, shift: Shift::Late(by) } => {
                write!(f, "post {event}: late {}", Time(*by))
            }
            Self::PatchLate { event } => write!(f, "patch {event}: late"),
            Self::PatchEarly { event, by } => write!(f, "patch {event}: early {}", Time(*by)),
            Self::PatchSplit { event, at, by } => {
                write!(f, "patch {event}: split {at} {}", Time(*by))
            }
            Self::Fault(fault) => write!(f, "fault {fault}"),
            Self::Ahead => f.write_str("extrapolated: device ahead"),
            Self::Answered => f.write_str("extrapolated: calls answered"),
        }
    }
}

impl Display for Point {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Before => "before",
            Self::Within => "within",
            Self::After => "after",
        })
    }
}
