//! What a dext left behind.

use super::finding::Place;
use super::object::{Header, origin};
use super::process::UserClientNumber;
use std::fmt;
use std::panic::Location;

/// An object that nobody released.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leak {
    /// Apple's name of its class.
    pub class: &'static str,
    /// Its number within the process, in order of making.
    pub number: u64,
    /// References left.
    pub retain_count: u32,
    /// The user client that was being served when it was made, if one was.
    pub user_client: Option<UserClientNumber>,
    /// What the dext was doing when it was made.
    pub made_in: Place,
    /// Where in the dext's source it was made; `None` for what the system made and the dext retained.
    pub created_at: Option<&'static Location<'static>>,
}

impl Leak {
    pub(crate) fn of(header: &Header) -> Self {
        Self {
            class: header.class(),
            number: header.number(),
            retain_count: header.count(),
            user_client: header.owner(),
            made_in: header.made_in().clone(),
            created_at: header.created_at(),
        }
    }
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { class, number, retain_count, .. } = self;
        let origin = origin(&self.made_in, self.created_at);
        write!(f, "{class} #{number}, retain count {retain_count}, {origin}")
    }
}

/// The objects that were still there when a user client was closed or a process ended, in the order
/// in which they were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeakReport {
    leaks: Vec<Leak>,
}

impl LeakReport {
    pub(crate) fn new(leaks: Vec<Leak>) -> Self {
        Self { leaks }
    }

    /// The objects.
    #[must_use]
    pub fn leaks(&self) -> &[Leak] {
        &self.leaks
    }

    /// True where nothing was left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.leaks.is_empty()
    }
}

impl fmt::Display for LeakReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.leaks.len() {
            0 => return f.write_str("nothing is left"),
            1 => f.write_str("1 object is left:")?,
            count => write!(f, "{count} objects are left:")?,
        }
        self.leaks.iter().try_for_each(|leak| write!(f, "\n  {leak}"))
    }
}

#[cfg(test)]
mod tests {
    use crate::driverkit::bridge::{Phase, in_phase};
    use crate::driverkit::testing::{in_process, without_lines};
    use crate::driverkit::{BufferMemoryDescriptor, Direction, OsData, OsObject};

    #[test]
    fn what_is_left_is_told_by_user_client() {
        in_process(|process| {
            let kept = OsData::with_bytes(&[1]);
            kept.retain();
            let (leaked, freed) = in_phase(process, Some(7), Phase::Start, || {
                let freed = OsData::with_bytes(&[2]);
                (BufferMemoryDescriptor::create(Direction::IN, 10, 0).unwrap(), freed)
            });
            freed.release();
            assert_eq!(process.leaks_of(7).leaks().len(), 1);
            assert!(process.leaks_of(8).is_empty());
            insta::assert_snapshot!(without_lines(&process.leaks().to_string()), @"
            2 objects are left:
              OSData #1, retain count 2, made at HERE
              IOBufferMemoryDescriptor #3, retain count 1, made in Start, at HERE
            ");
            leaked.release();
            assert_eq!(process.leaks_of(7).to_string(), "nothing is left");
        });
    }

    #[test]
    fn the_end_of_a_process_leaves_findings_and_log() {
        in_process(|process| {
            let data = OsData::with_bytes(&[1]);
            crate::driverkit::os_log("made");
            data.release();
            data.release();
            process.kill();
            assert!(process.is_dead());
            data.release();
            assert_eq!(process.findings().len(), 1, "the dead make no mistakes");
            assert_eq!(process.log(), ["made"]);
            assert!(process.leaks().is_empty());
        });
    }
}
