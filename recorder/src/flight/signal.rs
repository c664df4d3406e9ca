//! Signals by their names.

use std::fmt;
use std::str::FromStr;

/// A signal that a program can take.
///
/// # Examples
///
/// ```
/// use dextape_recorder::flight::Signal;
///
/// let signal: Signal = "SIGUSR1".parse().unwrap();
/// assert_eq!(signal.to_string(), "SIGUSR1");
/// assert_eq!("USR1".parse(), Ok(signal));
/// assert!("SIGKILL".parse::<Signal>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Signal(i32);

const NAMES: &[(&str, i32)] = &[
    ("SIGHUP", libc::SIGHUP),
    ("SIGINT", libc::SIGINT),
    ("SIGQUIT", libc::SIGQUIT),
    ("SIGILL", libc::SIGILL),
    ("SIGTRAP", libc::SIGTRAP),
    ("SIGABRT", libc::SIGABRT),
    ("SIGBUS", libc::SIGBUS),
    ("SIGFPE", libc::SIGFPE),
    ("SIGUSR1", libc::SIGUSR1),
    ("SIGSEGV", libc::SIGSEGV),
    ("SIGUSR2", libc::SIGUSR2),
    ("SIGPIPE", libc::SIGPIPE),
    ("SIGALRM", libc::SIGALRM),
    ("SIGTERM", libc::SIGTERM),
];

impl Signal {
    /// Those by which a program crashes.
    pub const CRASHES: [Self; 6] = [
        Self(libc::SIGILL),
        Self(libc::SIGTRAP),
        Self(libc::SIGABRT),
        Self(libc::SIGBUS),
        Self(libc::SIGFPE),
        Self(libc::SIGSEGV),
    ];

    /// Its number on this system.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }

    /// Every signal that has a name here.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|(_, number)| Self(*number))
    }

    pub(super) fn is_crash(self) -> bool {
        Self::CRASHES.contains(&self)
    }

    /// Made for programs to talk to each other by: it is deadly only to those that do not know it.
    pub(super) fn is_of_users(self) -> bool {
        [libc::SIGUSR1, libc::SIGUSR2].contains(&self.0)
    }
}

/// No signal that can be waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadSignal;

impl FromStr for Signal {
    type Err = BadSignal;

    fn from_str(text: &str) -> Result<Self, BadSignal> {
        let short = |name: &str| name.strip_prefix("SIG") == Some(text);
        let found = NAMES.iter().find(|(name, _)| *name == text || short(name));
        found.map(|(_, number)| Self(*number)).ok_or(BadSignal)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}
