//! What differs from the recorded run.

use super::DeviationError;
use crate::fault::{Fault, FaultPlan};
use crate::tape::Sequence;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One way in which a run differs from the one that it is derived from. In JSON it is its text.
///
/// # Text
///
/// | text | what differs |
/// |---|---|
/// | `lane 2 before #14: stall 30ms` | the client thread of lane 2 stands still before its operation 14; also `within`, halfway through what it copies, and `after`, before the client learns the result |
/// | `lane 2 at #14: wakes early` | operation 14 of the lane is a wait, and it ends at once with nothing |
/// | `lane 2 timer #3: late 10ms` | the third time that the lane waits until some time, it notices that late; daemons (the dext's queues) have the lanes from 1000000 on |
/// | `priorities 7` | where several tasks can go on, the one of the highest priority does, by this seed |
/// | `post 44: late 30ms` | the completion whose *posted* event is number 44 of the tape comes later; also `early` |
/// | `patch 52: late` | the change of event 52 is seen one read later; also `early 3ms`: it is there so much sooner |
/// | `patch 52: split 32 5ms` | its bytes from the 32nd on come so much later than those before |
/// | `fault call 3 #2: error Timeout` | a [`Fault`] strikes |
/// | `extrapolated: device ahead` | the device waits only for what the tape shows that it waits for |
/// | `extrapolated: calls answered` | a call that the tape does not hold is answered as its like |
///
/// Lanes are those of [`Schedule::lane_of_thread`](crate::schedule::Schedule::lane_of_thread), and are
/// the tape's. Operations of a lane are counted from 1: everything that the client asks of its system,
/// its connections, queues and memory is one, each access to shared memory included.
///
/// # Examples
///
/// ```
/// use dextape::perturb::Deviation;
///
/// let deviation: Deviation = "lane 2 before #14: stall 30ms".parse()?;
/// assert_eq!(deviation.to_string(), "lane 2 before #14: stall 30ms");
/// # Ok::<(), dextape::perturb::DeviationError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Deviation {
    /// A client thread stands still.
    Stall {
        /// Its lane.
        lane: u32,
        /// At which operation of the lane, from 1 on.
        operation: u64,
        /// Where there.
        point: Point,
        /// For how long.
        time: Duration,
    },
    /// A wait ends with nothing although its time has not come.
    Wake {
        /// The lane that waits.
        lane: u32,
        /// Which operation of the lane the wait is, from 1 on.
        operation: u64,
    },
    /// A wait until some time ends late.
    Timer {
        /// The lane that waits; the dext's queues have lanes, too.
        lane: u32,
        /// Which such wait of the lane it is, from 1 on.
        wait: u64,
        /// How late.
        late: Duration,
    },
    /// Where several tasks can go on, the one of the highest priority does; priorities are drawn by a
    /// seed, and change at a few places (probabilistic concurrency testing).
    Priorities {
        /// The seed.
        seed: u64,
    },
    /// A completion of the tape comes at another time.
    Post {
        /// Its *posted* event.
        event: Sequence,
        /// When.
        shift: Shift,
    },
    /// A change of shared memory is seen one read later than on the tape.
    PatchLate {
        /// The patch.
        event: Sequence,
    },
    /// A change of shared memory happens earlier, within its interval.
    PatchEarly {
        /// The patch.
        event: Sequence,
        /// By how much.
        by: Duration,
    },
    /// A change of shared memory is seen in two halves.
    PatchSplit {
        /// The patch.
        event: Sequence,
        /// The first byte of the second half, counted from the patch's own first byte.
        at: u64,
        /// How much later the second half comes.
        by: Duration,
    },
    /// Something goes wrong.
    Fault(Fault),
    /// What the device did waits no longer for all that the client had done before it on the tape, but
    /// only for what shows in the tape to have brought it about. A completion waits for its call. Where a
    /// completion or change comes as often as a call of one kind, each after one of them, it waits for
    /// that one; else for the last calls before it. A store of the client that answers what the device
    /// did last is not waited for, the one before it is: the device may be one step ahead.
    ///
    /// No tape proves this, so it is done where it is asked for only
    /// ([`Check::extrapolate`](super::Check::extrapolate)).
    Ahead,
    /// A call that the tape does not hold is answered as the recorded call of the same shape whose input
    /// is nearest, its completions included; one of a selector that was never called succeeds, gives
    /// zeros and does nothing. Without this it ends the run, or after a fault is refused.
    ///
    /// No tape proves this, so it is done where it is asked for only
    /// ([`Check::extrapolate`](super::Check::extrapolate)).
    Answered,
}

/// Where at an operation a thread stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Point {
    /// Before it is made.
    Before,
    /// Halfway through the bytes that it copies.
    Within,
    /// When it is done, and the client does not know yet.
    After,
}

/// How a completion is moved in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shift {
    /// It comes so much earlier, but never before what brought it about.
    Early(Duration),
    /// It comes so much later.
    Late(Duration),
}

/// What differs from the recorded run, all of it.
///
/// The text form has one deviation a line, or several with semicolons between; lines that begin with
/// `#` are comments. JSON is a list of texts.
///
/// # How a run is reproduced
///
/// A run is a function of the tape and the list: *nothing else* is drawn by chance. The client's tasks
/// are simulated under the seed of the tape's header, and the list is applied:
///
/// - [`Check::deviations`](super::Check::deviations) runs a client once under a given list, and
///   [`Check::record`](super::Check::record) gives the tape of that run, for the ordinary replayer;
/// - the environment variable `DEXTAPE_DEVIATIONS` (a text or, after `@`, a file) has
///   [`check!`](crate::check) do the same.
///
/// A deviation whose place the run never comes to changes nothing, so any sub-list of a list is a list:
/// this is what shrinking rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Deviations(pub Vec<Deviation>);

impl Deviations {
    /// No deviation: the recorded run.
    pub const NONE: Self = Self(Vec::new());

    /// True where the run is the recorded one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many they are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The faults among them, as a plan.
    #[must_use]
    pub fn faults(&self) -> FaultPlan {
        let fault = |deviation: &Deviation| match deviation {
            Deviation::Fault(fault) => Some(fault.clone()),
            _ => None,
        };
        FaultPlan::new(self.0.iter().filter_map(fault).collect::<Vec<_>>())
    }
}

impl FromIterator<Deviation> for Deviations {
    fn from_iter<I: IntoIterator<Item = Deviation>>(deviations: I) -> Self {
        Self(deviations.into_iter().collect())
    }
}

impl TryFrom<String> for Deviation {
    type Error = DeviationError;

    fn try_from(text: String) -> Result<Self, DeviationError> {
        text.parse()
    }
}

impl From<Deviation> for String {
    fn from(deviation: Deviation) -> Self {
        deviation.to_string()
    }
}
