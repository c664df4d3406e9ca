//! What has a tape cut.

use super::Signal;
use dextape::IoReturn;
use std::fmt;
use std::str::FromStr;

/// Something that has a tape cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// A call, an open, a map or a completion has this result.
    Result(IoReturn),
    /// One of them has any result but success.
    AnyError,
    /// The process gets a signal.
    Signal(Signal),
}

/// What has tapes cut beside calls of
/// [`RecordingSession::trigger`](crate::recording::RecordingSession::trigger), and how many at most.
///
/// As text: triggers with commas between. `result:0xe00002d6`, `result:kIOReturnTimeout` or
/// `result:Timeout`; `result:any-error`; `signal:SIGUSR1`; `signal:crash` for those by which a program
/// crashes; `tapes:4` for how many tapes are cut at most.
///
/// # Examples
///
/// ```
/// use dextape::IoReturn;
/// use dextape_recorder::flight::{Trigger, Triggers};
///
/// let triggers: Triggers = "result:Timeout,signal:SIGUSR1,tapes:4".parse()?;
/// assert_eq!(triggers.all()[0], Trigger::Result(IoReturn::TIMEOUT));
/// assert_eq!(triggers.tapes_max, 4);
/// # Ok::<(), dextape_recorder::flight::BadTrigger>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Triggers {
    all: Vec<Trigger>,
    /// Tapes that are cut at most; what happens later is noted on the recording only.
    pub tapes_max: u32,
}

impl Default for Triggers {
    /// Nothing but calls of ours, and 16 tapes.
    fn default() -> Self {
        Self { all: Vec::new(), tapes_max: 16 }
    }
}

impl Triggers {
    /// One more.
    #[must_use]
    pub fn on(mut self, trigger: Trigger) -> Self {
        if !self.all.contains(&trigger) {
            self.all.push(trigger);
        }
        self
    }

    /// All of them, in the order in which they were given.
    #[must_use]
    pub fn all(&self) -> &[Trigger] {
        &self.all
    }

    /// True where a result has a tape cut.
    pub(super) fn is_on(&self, result: IoReturn) -> bool {
        self.all.iter().any(|trigger| match trigger {
            Trigger::Result(code) => *code == result,
            Trigger::AnyError => !result.is_success(),
            Trigger::Signal(_) => false,
        })
    }

    pub(super) fn signals(&self) -> impl Iterator<Item = Signal> + '_ {
        self.all.iter().filter_map(|trigger| match trigger {
            Trigger::Signal(signal) => Some(*signal),
            _ => None,
        })
    }
}

/// What is no trigger: it completes "failed to ...".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "read the trigger {text:?}: expected result:CODE with a number or a name such as Timeout, \
     result:any-error, signal:NAME with a signal that can be caught such as SIGUSR1, signal:crash, or \
     tapes:COUNT from 1 to 1000"
)]
pub struct BadTrigger {
    /// What was given.
    pub text: String,
}

/// Most tapes that may be asked for.
const TAPES_MAX: u32 = 1000;

impl FromStr for Triggers {
    type Err = BadTrigger;

    fn from_str(text: &str) -> Result<Self, BadTrigger> {
        let mut triggers = Self::default();
        for part in text.split(',').map(str::trim) {
            let bad = || BadTrigger { text: part.chars().take(64).collect() };
            let (kind, value) = part.split_once(':').ok_or_else(bad)?;
            triggers = match (kind, value) {
                ("result", "any-error") => triggers.on(Trigger::AnyError),
                ("result", code) => triggers.on(Trigger::Result(result(code).ok_or_else(bad)?)),
                ("signal", "crash") => {
                    Signal::CRASHES.into_iter().map(Trigger::Signal).fold(triggers, Self::on)
                }
                ("signal", name) => triggers.on(Trigger::Signal(name.parse().map_err(|_| bad())?)),
                ("tapes", count) => {
                    let count = count.parse().ok().filter(|count| (1..=TAPES_MAX).contains(count));
                    Self { tapes_max: count.ok_or_else(bad)?, ..triggers }
                }
                _ => return Err(bad()),
            };
        }
        Ok(triggers)
    }
}

/// A code by its number, its name, or its name without `kIOReturn`.
fn result(text: &str) -> Option<IoReturn> {
    text.parse().or_else(|_| format!("kIOReturn{text}").parse()).ok()
}

impl fmt::Display for Triggers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for trigger in &self.all {
            match trigger {
                Trigger::Result(code) => write!(f, "result:{:#x},", code.0)?,
                Trigger::AnyError => f.write_str("result:any-error,")?,
                Trigger::Signal(signal) => write!(f, "signal:{signal},")?,
            }
        }
        write!(f, "tapes:{}", self.tapes_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_have_numbers_and_names() {
        let timeout = Triggers::default().on(Trigger::Result(IoReturn::TIMEOUT));
        for text in ["result:0xe00002d6", "result:kIOReturnTimeout", "result:Timeout"] {
            assert_eq!(text.parse(), Ok(timeout.clone()), "{text}");
        }
        assert!(timeout.is_on(IoReturn::TIMEOUT) && !timeout.is_on(IoReturn::BUSY));
        let any: Triggers = "result:any-error".parse().unwrap();
        assert!(any.is_on(IoReturn::BUSY) && !any.is_on(IoReturn::SUCCESS));
    }

    #[test]
    fn what_is_shown_reads_back() {
        let text = " result:Busy , signal:crash,result:any-error,signal:USR2,tapes:3";
        let triggers: Triggers = text.parse().unwrap();
        assert_eq!(triggers.signals().count(), 7);
        assert_eq!(triggers.to_string().parse(), Ok(triggers));
    }

    #[test]
    fn what_is_no_trigger_is_named() {
        for bad in [
            "",
            ",",
            "result:",
            "result:Late",
            "result:0x1ffffffff",
            "signal:SIGKILL",
            "signal:9",
            "signal:",
            "tapes:0",
            "tapes:1001",
            "tapes:-1",
            "timeout",
            "result:Busy,",
        ] {
            let error = bad.parse::<Triggers>().expect_err(bad).to_string();
            assert!(error.starts_with("read the trigger \""), "{bad}: {error}");
        }
        let long = "x".repeat(1 << 20);
        assert_eq!(long.parse::<Triggers>().unwrap_err().text.len(), 64);
    }
}
