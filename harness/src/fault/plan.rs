//! A plan of faults.

use super::FaultError;
use crate::IoReturn;
use crate::boundary::OpenRefusal;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What goes wrong in a run, and the seed of what is left to chance.
///
/// # Text
///
/// One fault a line or, on a command line, between semicolons: a site, how often, a colon, what
/// happens. Lines that begin with `#` are comments.
///
/// | site | what can happen there |
/// |---|---|
/// | `open` | `error CODE`, `refuse CODE`, `delay TIME`, `dext dies`, `device removed` |
/// | `call SELECTOR` | `error CODE`, `error CODE afterwards`, `delay TIME`, `never returns`, `dext dies`, `device removed`, and the last two `afterwards` |
/// | `completion SELECTOR` | `error CODE`, `lost`, `doubled`, `late TIME` |
/// | `map TYPE` | `error CODE`, `refuse`, `delay TIME`, `dext dies`, `device removed` |
/// | `unmap TYPE` | `error CODE`, `delay TIME`, `dext dies`, `device removed` |
/// | `at TIME` | `dext dies`, `device removed` |
///
/// Selector and type are numbers, or `*` for any. How often: nothing for every time, `#2` for the second
/// time, `#2+` from the second on, `/2` for every second, `25%` by chance. A code is a name with or
/// without `kIOReturn`, or a number. `error` is what the dext itself returns, `refuse` what the system
/// answers; an open is refused with one of `NotPermitted`, `NotPrivileged`, `Error`, `Offline` and
/// `Unsupported`.
///
/// # Examples
///
/// ```
/// use dextape::fault::FaultPlan;
///
/// let plan: FaultPlan = "
///     seed 7
///     ## the device answers late, and once not at all
///     call *: delay 5ms
///     call 3 #2: error Timeout
///     completion 4 25%: lost
/// ".parse()?;
/// assert_eq!(plan.faults.len(), 3);
/// assert_eq!(plan.to_string().parse(), Ok(plan));
/// assert!("map 0: lost".parse::<FaultPlan>().is_err());
/// # Ok::<(), dextape::fault::FaultError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultPlan {
    /// Seed of what is left to chance.
    #[serde(default)]
    pub seed: u64,
    /// The faults. Where several strike at once, all delays pass, and of the rest the first happens.
    #[serde(default)]
    pub faults: Vec<Fault>,
}

impl FaultPlan {
    /// A plan of these faults.
    #[must_use]
    pub fn new(faults: impl Into<Vec<Fault>>) -> Self {
        Self { seed: 0, faults: faults.into() }
    }

    /// True where nothing goes wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// True where a service is removed or a dext dies.
    #[must_use]
    pub fn ends_something(&self) -> bool {
        self.faults.iter().any(|fault| fault.ending().is_some())
    }
}

/// One fault. In JSON it is its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Fault {
    /// In an open.
    Open {
        /// In which of them.
        when: When,
        /// What happens.
        what: OpenFault,
    },
    /// In an external method.
    Call {
        /// Of this selector; `None` of any.
        selector: Option<u32>,
        /// In which of these calls.
        when: When,
        /// What happens.
        what: CallFault,
    },
    /// To a completion that the dext fires.
    Completion {
        /// Of a call of this selector; `None` of any.
        selector: Option<u32>,
        /// To which of these completions.
        when: When,
        /// What happens.
        what: CompletionFault,
    },
    /// In a map.
    Map {
        /// Of this memory type; `None` of any.
        memory_type: Option<u32>,
        /// In which of these maps.
        when: When,
        /// What happens.
        what: MapFault,
    },
    /// In an unmap.
    Unmap {
        /// Of this memory type; `None` of any.
        memory_type: Option<u32>,
        /// In which of these unmaps.
        when: When,
        /// What happens.
        what: UnmapFault,
    },
    /// At a time of the schedule, to every service that is there then.
    At {
        /// When, since the schedule began.
        time: Duration,
        /// What happens.
        what: Ending,
    },
}

impl Fault {
    /// How it ends a service, if it does.
    #[must_use]
    pub fn ending(&self) -> Option<Ending> {
        match self {
            Self::Open { what: OpenFault::Ends(ending), .. }
            | Self::Call { what: CallFault::Ends(ending) | CallFault::EndsAfter(ending), .. }
            | Self::Map { what: MapFault::Ends(ending), .. }
            | Self::Unmap { what: UnmapFault::Ends(ending), .. }
            | Self::At { what: ending, .. } => Some(*ending),
            _ => None,
        }
    }
}

/// Which of the operations at a fault's site it strikes; they are counted from 1, over all connections
/// of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// All of them from this one on; from 1 on they are all.
    From(u64),
    /// This one.
    Nth(u64),
    /// Each whose number this divides.
    Every(u64),
    /// So many of a hundred, by the plan's seed.
    Chance(u8),
}

impl When {
    /// All of them.
    pub const ALWAYS: Self = Self::From(1);
}

/// What goes wrong in an open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenFault {
    /// The dext takes so long.
    Delay(Duration),
    /// The dext's `NewUserClient` returns this error instead of making a user client (G2).
    Fails(IoReturn),
    /// The system refuses it (G3 to G7, H5).
    Refused(OpenRefusal),
    /// While the open is inside the dext (G8).
    Ends(Ending),
}

/// What goes wrong in an external method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallFault {
    /// The dext takes so long before it begins.
    Delay(Duration),
    /// The dext returns this error at once; nothing else happens (C9).
    Fails(IoReturn),
    /// The dext does its work, and then returns this error.
    FailsAfter(IoReturn),
    /// The dext never comes back (H7), unless it dies.
    NeverReturns,
    /// While the call is inside the dext, before it begins (H3, H4).
    Ends(Ending),
    /// Once the call has come out of the dext: its result is its own.
    EndsAfter(Ending),
}

/// What becomes of a completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompletionFault {
    /// The dext fires it with this error as its status; its arguments are as they would have been.
    Fails(IoReturn),
    /// The dext never fires it.
    Lost,
    /// The dext fires it twice (D11).
    Doubled,
    /// The dext fires it so much later; never, if it has ended by then (D20).
    Late(Duration),
}

/// What goes wrong in a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapFault {
    /// The dext takes so long.
    Delay(Duration),
    /// The dext returns this error; the client learns only that it failed (F5).
    Fails(IoReturn),
    /// The dext gives its memory, and there is no room for it in the client (F5).
    Refused,
    /// While the map is inside the dext (H4).
    Ends(Ending),
}

/// What goes wrong in an unmap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnmapFault {
    /// The dext takes so long.
    Delay(Duration),
    /// The dext returns this error (F18).
    Fails(IoReturn),
    /// While the unmap is inside the dext (H4).
    Ends(Ending),
}

/// How a service ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Its device is removed: watchers are told, connections terminated (H1), the dext stopped.
    Removed,
    /// The dext's process dies (H4).
    Died,
}

impl TryFrom<String> for Fault {
    type Error = FaultError;

    fn try_from(text: String) -> Result<Self, FaultError> {
        text.parse()
    }
}

impl From<Fault> for String {
    fn from(fault: Fault) -> Self {
        fault.to_string()
    }
}
