//! What makes two failures the same one.

use super::Attempt;
use crate::drive::{DifferenceKind, DriveReport};
use dextape::IoReturn;
use dextape::tape::{Body, Header, Sequence, Tape};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Key of the header under which the failure stands that a minimised tape brings about.
const FAILURE: &str = "failure";

/// Longest message that is kept.
const MESSAGE_MAX: usize = 400;

/// A failure, as far as it has to be the same again.
///
/// # Examples
///
/// ```
/// use dextape_lab::Failure;
///
/// let one = Failure::client("exit 134", "request 17 of 0x2a is answered 4");
/// let other = Failure::client("exit 134", "request 3 of 0x1 is answered 99");
/// assert_eq!(one, other, "numbers do not matter");
/// assert_ne!(one, Failure::client("exit 1", "request 17 of 0x2a is answered 4"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Failure {
    /// A client ended badly.
    Client {
        /// How: an exit code, a signal, a panic's place, or the name of what was asked.
        how: String,
        /// What it said, with `#` for numbers.
        message: String,
    },
    /// A dext answers an operation otherwise than the tape says.
    Difference {
        /// Number of the operation's event.
        event: Sequence,
        /// Which part of the answer.
        part: String,
        /// What comes instead; where it is missing, whatever it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        found: Option<String>,
    },
    /// The mock finds something wrong with the dext, whose text has this in it.
    Finding {
        /// Part of the text.
        text: String,
    },
    /// A call is answered with this code.
    Reply {
        /// Its selector.
        selector: u32,
        /// The code, as text.
        result: String,
    },
    /// The dext panics.
    Panic {
        /// What it says, with `#` for numbers.
        message: String,
    },
}

/// What came of driving a dext.
#[derive(Clone, Debug, Default)]
pub struct Driven {
    /// How its answers differ.
    pub report: DriveReport,
    /// What the mock found wrong with it, leaks among it.
    pub findings: Vec<String>,
    /// The panic that ended the run.
    pub panic: Option<String>,
}

impl Failure {
    /// That of a client.
    #[must_use]
    pub fn client(how: &str, message: &str) -> Self {
        Self::Client { how: how.to_owned(), message: message_class(message) }
    }

    /// What a run shows first: a panic, a difference, a finding. `None` where nothing is wrong.
    #[must_use]
    pub fn first_of(driven: &Driven) -> Option<Self> {
        if let Some(message) = &driven.panic {
            return Some(Self::Panic { message: message_class(message) });
        }
        if let Some(first) = driven.report.differences.first() {
            let (part, found) = (first.part.clone(), Some(first.found.clone()));
            return Some(Self::Difference { event: first.sequence, part, found });
        }
        driven.findings.first().map(|text| Self::Finding { text: text.clone() })
    }

    /// Whether a drive of a trial's tape shows it. Numbers of events are those of the whole tape.
    #[must_use]
    pub fn is_seen(&self, trial: &Attempt, driven: &Driven) -> bool {
        self.is_seen_by(trial.tape(), driven, |sequence| trial.original(sequence))
    }

    /// Whether a drive of the very tape that the failure stands on shows it.
    #[must_use]
    pub fn is_seen_on(&self, tape: &Tape, driven: &Driven) -> bool {
        self.is_seen_by(tape, driven, |sequence| sequence)
    }

    fn is_seen_by(
        &self,
        tape: &Tape,
        driven: &Driven,
        original: impl Fn(Sequence) -> Sequence,
    ) -> bool {
        let differences = &driven.report.differences;
        match self {
            Self::Client { .. } => false,
            Self::Difference { event, part, found } => differences.iter().any(|it| {
                let same = found.as_ref().is_none_or(|found| *found == it.found);
                it.part == *part && same && original(it.sequence) == *event
            }),
            Self::Finding { text } => driven.findings.iter().any(|it| it.contains(text.as_str())),
            Self::Reply { selector, result } => {
                replies(tape, *selector).any(|(enter, recorded)| {
                    let other = differences
                        .iter()
                        .find(|it| it.sequence == enter && it.kind == DifferenceKind::Result);
                    let not_made = differences.iter().any(|it| {
                        let never =
                            [DifferenceKind::NotMade, DifferenceKind::Hang].contains(&it.kind);
                        it.sequence == enter && never
                    });
                    let found = other.map_or_else(|| recorded.to_string(), |it| it.found.clone());
                    !not_made && found == *result
                })
            }
            Self::Panic { message } => {
                driven.panic.as_ref().is_some_and(|it| message_class(it) == *message)
            }
        }
    }

    /// The same, for the numbers of a cut tape; `None` where its event is not on it.
    #[must_use]
    pub fn renumbered(&self, number: impl Fn(Sequence) -> Option<Sequence>) -> Option<Self> {
        let mut failure = self.clone();
        if let Self::Difference { event, .. } = &mut failure {
            *event = number(*event)?;
        }
        Some(failure)
    }

    /// Writes it into a header.
    pub fn enter(&self, header: &mut Header) {
        // Texts and numbers only: JSON has a form for all of it.
        if let Ok(value) = serde_json::to_value(self) {
            header.extra.insert(FAILURE.to_owned(), value);
        }
    }

    /// The failure that a header names.
    ///
    /// # Errors
    ///
    /// What is wrong with how it stands there, completing "failed to ...".
    pub fn of_header(header: &Header) -> Result<Option<Self>, String> {
        let Some(told) = header.extra.get(FAILURE) else { return Ok(None) };
        let read = serde_json::from_value(told.clone());
        read.map(Some).map_err(|error| format!("read `failure` in the tape's header: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client { how, message } if message.is_empty() => write!(f, "the client's {how}"),
            Self::Client { how, message } => write!(f, "the client's {how}: {message}"),
            Self::Difference { event, part, found: Some(found) } => {
                write!(f, "that {part} of event {event} is {found}")
            }
            Self::Difference { event, part, found: None } => {
                write!(f, "that {part} of event {event} differs")
            }
            Self::Finding { text } => write!(f, "the finding {text:?}"),
            Self::Reply { selector, result } => write!(f, "{result} for a call of {selector}"),
            Self::Panic { message } => write!(f, "the panic {message:?}"),
        }
    }
}

/// The calls of a selector: their enters, and their results on the tape.
fn replies(tape: &Tape, selector: u32) -> impl Iterator<Item = (Sequence, IoReturn)> + '_ {
    tape.events().iter().filter_map(move |event| {
        let Body::Return(returned) = &event.body else { return None };
        let enter = tape.event(event.cause?)?;
        let (Body::Call(call) | Body::AsyncCall { call, .. }) = &enter.body else { return None };
        (call.selector == selector).then_some((enter.sequence, returned.result))
    })
}

/// A message with `#` for each number, decimal or with `0x` before it, so that the same check fails with the
/// same text: counts, addresses and times differ from run to run.
#[must_use]
pub fn message_class(message: &str) -> String {
    let mut class = String::new();
    let mut rest = message.trim().chars().peekable();
    let mut before = ' ';
    while let Some(next) = rest.next() {
        if class.chars().count() >= MESSAGE_MAX {
            break;
        }
        if next.is_ascii_digit() && !before.is_ascii_alphanumeric() && before != '_' {
            let is_hex = next == '0' && rest.peek() == Some(&'x');
            if is_hex {
                rest.next();
            }
            while rest
                .peek()
                .is_some_and(|it| it.is_ascii_digit() || is_hex && it.is_ascii_hexdigit())
            {
                rest.next();
            }
            class.push('#');
        } else {
            class.push(next);
        }
        before = next;
    }
    class
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_a_message_do_not_matter_but_names_do() {
        assert_eq!(message_class(" at 0x7ffe12: 17 of 3\n"), "at #: # of #");
        assert_eq!(message_class("i32 is no u64, 12ms"), "i32 is no u64, #ms");
        assert_eq!(message_class(&"1a".repeat(1000)).chars().count(), MESSAGE_MAX);
    }

    #[test]
    fn failures_stand_in_headers() {
        let failures = [
            Failure::client("exit 134", "a 1"),
            Failure::Difference { event: 3, part: "scalar 0".into(), found: Some("0x1".into()) },
            Failure::Finding { text: "leak".into() },
            Failure::Reply { selector: 3, result: "kIOReturnBusy".into() },
            Failure::Panic { message: "no".into() },
        ];
        for failure in failures {
            let mut header = Header::mock();
            failure.enter(&mut header);
            assert_eq!(Failure::of_header(&header), Ok(Some(failure)));
        }
        let mut header = Header::mock();
        assert_eq!(Failure::of_header(&header), Ok(None));
        header.extra.insert(FAILURE.to_owned(), serde_json::json!({ "of": "moon" }));
        assert!(Failure::of_header(&header).unwrap_err().starts_with("read `failure`"));
    }
}
