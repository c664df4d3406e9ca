//! How a tape is matched against what the client does.

use crate::IoReturn;
use crate::protocol::Protocol;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// Which order of operations a replay insists on.
///
/// Inputs are compared under every policy; the recorded causes (a completion needs its call, an unmap
/// its map) are kept under every policy, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Operations are entered in the recorded global order; a thread whose turn has not come waits.
    Exact,
    /// In order within each connection, within each queue, and within the registry; free across, and
    /// whichever thread makes them. The default where one thread used each connection.
    Ordered,
    /// In order within each client thread, free across. The default where several threads used one
    /// connection.
    Lanes,
    /// Keyed by connection, operation and inputs; repeats of a key are answered in sequence.
    AnyOrder,
    /// Keyed as `AnyOrder`, but of several steps with one key the one nearest to where the connection
    /// (or queue, or the registry) has come on the tape, the later of two as near: a run that leaves out
    /// some repeats, or has some earlier, is not answered with those of another place from then on.
    Nearest,
    /// As `Lanes` up to a gap and from where the client has come to what stands behind it; what it does
    /// between the two is on no tape, and is answered with what the tape holds of the same kind. The
    /// report counts that. The default where a keyframe stands behind a gap, so that a freshly started
    /// client plays what a flight recorder has cut. On a tape without a gap it is `Lanes`.
    AcrossGaps,
}

impl Policy {
    /// Every policy, strictest first.
    pub const ALL: [Self; 6] =
        [Self::Exact, Self::Ordered, Self::Lanes, Self::Nearest, Self::AnyOrder, Self::AcrossGaps];

    /// The name as a tape's header and a command line spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Ordered => "ordered",
            Self::Lanes => "lanes",
            Self::AnyOrder => "any_order",
            Self::Nearest => "nearest",
            Self::AcrossGaps => "across_gaps",
        }
    }

    /// True where operations find their steps by key.
    pub(super) const fn is_keyed(self) -> bool {
        matches!(self, Self::AnyOrder | Self::Nearest)
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "read the policy {name:?}: expected exact, ordered, lanes, nearest, any_order or across_gaps"
)]
pub struct UnknownPolicy {
    /// The name given.
    pub name: String,
}

impl FromStr for Policy {
    type Err = UnknownPolicy;

    fn from_str(name: &str) -> Result<Self, UnknownPolicy> {
        Self::ALL
            .into_iter()
            .find(|policy| policy.name() == name)
            .ok_or_else(|| UnknownPolicy { name: name.to_owned() })
    }
}

/// When a patch of shared memory is shown to the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PatchTiming {
    /// At the first read that overlaps it, once what stands before it in its lane has happened: a poll
    /// loop that turns another number of times still replays.
    #[default]
    FirstRead,
    /// At exactly the read that saw it when it was recorded, counted from the event before it in its
    /// lane. Once the lane has gone on, as `FirstRead`. In simulated time the client is then not ahead of
    /// its own recording either: a thread that was late to do or see something is late again.
    AsRecorded,
}

/// What a client gets that does something which the tape does not hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnDivergence {
    /// A panic with the report; every later operation, from any thread, panics with the same one.
    #[default]
    Panic,
    /// This code, and the replay goes on from where it was. The report then says how many answers are
    /// invented, and [`Replayer::finish`](super::Replayer::finish) fails all the same. What has no
    /// code gives nothing: a wait no completion, a read zeros.
    Answer(IoReturn),
}

/// Options of a replay.
///
/// # Examples
///
/// ```
/// use dextape::replay::{PatchTiming, Policy, ReplayOptions};
///
/// let options = ReplayOptions::default().policy(Policy::Lanes).patches(PatchTiming::AsRecorded);
/// assert_eq!(options.policy, Some(Policy::Lanes));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplayOptions {
    /// The policy; `None` takes [`Policy::AcrossGaps`] where a keyframe stands behind a gap of the tape,
    /// else what the tape's header names, or else what the tape's threads ask for.
    pub policy: Option<Policy>,
    /// When patches are shown.
    pub patches: PatchTiming,
    /// What a diverging client gets.
    pub on_divergence: OnDivergence,
    /// How long a thread of a free schedule waits for its turn, or for the call whose completion it
    /// waits for, before that is a divergence. A simulated schedule knows by itself when nothing can
    /// go on.
    pub patience: Duration,
    /// Rules about fields, added to those of the tape's header.
    pub rules: Vec<crate::tape::FieldRule>,
    /// A recorder stands between client and tape: it puts marks of its own into the references of asynchronous
    /// calls.
    pub recorded: bool,
    /// A description whose names the report of a divergence has beside selectors and fields.
    pub protocol: Option<Arc<Protocol>>,
}

impl Default for ReplayOptions {
    fn default() -> Self {
        Self {
            policy: None,
            patches: PatchTiming::default(),
            on_divergence: OnDivergence::default(),
            patience: Duration::from_secs(10),
            rules: Vec::new(),
            recorded: false,
            protocol: None,
        }
    }
}

impl ReplayOptions {
    /// Sets the policy.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Sets when patches are shown.
    #[must_use]
    pub fn patches(mut self, patches: PatchTiming) -> Self {
        self.patches = patches;
        self
    }

    /// Sets what a diverging client gets.
    #[must_use]
    pub fn on_divergence(mut self, on_divergence: OnDivergence) -> Self {
        self.on_divergence = on_divergence;
        self
    }

    /// Sets how long a thread of a free schedule waits for its turn.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// A recorder stands between client and tape. It finds a completion's call by a mark in the last entry of the
    /// reference, so that entry is not compared, nor how many there are (those not given are zero, D8); the
    /// completion has them as they were given.
    #[must_use]
    pub fn recorded(mut self) -> Self {
        self.recorded = true;
        self
    }

    /// Sets a description whose names the report of a divergence has.
    #[must_use]
    pub fn protocol(mut self, protocol: Arc<Protocol>) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// Adds a rule about a field.
    #[must_use]
    pub fn rule(mut self, rule: crate::tape::FieldRule) -> Self {
        self.rules.push(rule);
        self
    }
}
