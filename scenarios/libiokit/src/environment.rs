//! What the environment says.

use dextape::IoReturn;
use dextape::replay::Policy;
use dextape_cabi::StartError;
use dextape_recorder::flight::Triggers;
use dextape_recorder::journal::RingOptions;
use std::ffi::OsString;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

/// What the environment of the program says of who answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Who answers.
    pub(crate) answer: Answer,
    /// The tape to record.
    pub(crate) record: Option<PathBuf>,
    /// The recording stays within a bound.
    pub(crate) ring: Option<RingOptions>,
    /// What has tapes cut while it goes on.
    pub(crate) triggers: Option<Triggers>,
    /// What is known of the values in calls: a protocol description.
    pub(crate) annotations: Option<PathBuf>,
    /// What must not be recorded: a redaction policy.
    pub(crate) redact: Option<PathBuf>,
    /// Exit with another code where events of a replayed tape are left over.
    pub(crate) strict: bool,
}

/// Who answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The mock of a scenario.
    Scenario { name: String, parameters: Vec<(String, String)>, slower: NonZeroU32 },
    /// A tape.
    Tape {
        path: PathBuf,
        policy: Option<Policy>,
        on_divergence: Option<IoReturn>,
        patience: Option<Duration>,
    },
    /// A library with a dext.
    Plugin { path: PathBuf, slower: NonZeroU32 },
}

const SCENARIO: &str = "DEXTAPE_SCENARIO";
const PARAMETERS: &str = "DEXTAPE_PARAMETERS";
const TAPE: &str = "DEXTAPE_TAPE";
const POLICY: &str = "DEXTAPE_POLICY";
const ON_DIVERGENCE: &str = "DEXTAPE_ON_DIVERGENCE";
const PATIENCE: &str = "DEXTAPE_PATIENCE";
const STRICT: &str = "DEXTAPE_STRICT";
const PLUGIN: &str = "DEXTAPE_PLUGIN";
const RECORD: &str = "DEXTAPE_RECORD";
const RING: &str = "DEXTAPE_RING";
const TRIGGER: &str = "DEXTAPE_TRIGGER";
const ANNOTATIONS: &str = "DEXTAPE_ANNOTATIONS";
const REDACT: &str = "DEXTAPE_REDACT";
const SLOWER: &str = "DEXTAPE_SLOWER";

impl Environment {
    /// Reads what `get` gives for each variable.
    ///
    /// # Errors
    ///
    /// [`StartError`] where nothing is said of who answers, or more than one thing, or something that
    /// cannot be read.
    pub fn read(get: impl Fn(&str) -> Option<OsString>) -> Result<Self, StartError> {
        // Set to nothing is not set.
        let get = |name: &str| get(name).filter(|value| !value.is_empty());
        let text = |name: &str| -> Result<Option<String>, StartError> {
            let value = get(name).map(OsString::into_string).transpose();
            value.map_err(|_| StartError::new(format!("read {name}: it is no Unicode")))
        };
        let chosen: Vec<_> =
            [SCENARIO, TAPE, PLUGIN].into_iter().filter(|name| get(name).is_some()).collect();
        let slower = || text(SLOWER)?.map_or(Ok(NonZeroU32::MIN), |text| times(&text));
        let answer = match chosen[..] {
            [] => {
                return Err(StartError::new(format!(
                    "find what to answer from: set {SCENARIO} to a scenario's name, {TAPE} to a \
                     tape, or {PLUGIN} to a library"
                )));
            }
            [SCENARIO] => Answer::Scenario {
                name: text(SCENARIO)?.unwrap_or_default(),
                parameters: parameters(&text(PARAMETERS)?.unwrap_or_default())?,
                slower: slower()?,
            },
            [TAPE] => Answer::Tape {
                path: get(TAPE).unwrap_or_default().into(),
                policy: parsed(POLICY, text(POLICY)?)?,
                on_divergence: parsed(ON_DIVERGENCE, text(ON_DIVERGENCE)?)?,
                patience: text(PATIENCE)?.map(|text| seconds(&text)).transpose()?,
            },
            [PLUGIN] => {
                Answer::Plugin { path: get(PLUGIN).unwrap_or_default().into(), slower: slower()? }
            }
            _ => {
                return Err(StartError::new(format!(
                    "choose what to answer from: {} are set, and only one of them may be",
                    chosen.join(" and ")
                )));
            }
        };
        let strict = match text(STRICT)?.as_deref() {
            None | Some("0") => false,
            Some("1") => true,
            Some(other) => {
                return Err(StartError::new(format!("read {STRICT} = {other:?}: expected 0 or 1")));
            }
        };
        let file = |name| get(name).map(PathBuf::from);
        Ok(Self {
            answer,
            record: file(RECORD),
            // What cannot be read is an error also where nothing is recorded.
            ring: parsed(RING, text(RING)?)?,
            triggers: parsed(TRIGGER, text(TRIGGER)?)?,
            annotations: file(ANNOTATIONS),
            redact: file(REDACT),
            strict,
        })
    }
}

/// How many times slower: a whole number.
fn times(text: &str) -> Result<NonZeroU32, StartError> {
    let times = text.parse().ok().filter(|times: &NonZeroU32| times.get() <= SLOWER_MAX);
    times.ok_or_else(|| {
        let part: String = text.chars().take(64).collect();
        StartError::new(format!(
            "read {SLOWER} = {part:?}: expected a number from 1 to {SLOWER_MAX}"
        ))
    })
}

/// The slowest that a mock is: what should take a millisecond takes a second.
const SLOWER_MAX: u32 = 1000;

/// Whole or broken seconds, more than none.
fn seconds(text: &str) -> Result<Duration, StartError> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.filter(|seconds| !seconds.is_zero()).ok_or_else(|| {
        let part: String = text.chars().take(64).collect();
        StartError::new(format!("read {PATIENCE} = {part:?}: expected seconds, more than 0"))
    })
}

fn parsed<T: std::str::FromStr>(name: &str, text: Option<String>) -> Result<Option<T>, StartError>
where
    T::Err: std::fmt::Display,
{
    let parse = |text: String| {
        text.parse().map_err(|error| StartError::new(format!("use {name}: failed to {error}")))
    };
    text.map(parse).transpose()
}

/// `name=value` with commas between. A part without `=` belongs to the value before it, so that a list
/// can be a value.
fn parameters(text: &str) -> Result<Vec<(String, String)>, StartError> {
    let mut parameters: Vec<(String, String)> = Vec::new();
    if text.is_empty() {
        return Ok(parameters);
    }
    for part in text.split(',') {
        match (part.split_once('='), parameters.last_mut()) {
            (Some((name, value)), _) => {
                parameters.push((name.trim().to_owned(), value.to_owned()));
            }
            (None, Some((_, value))) => {
                value.push(',');
                value.push_str(part);
            }
            (None, None) => {
                let part: String = part.chars().take(64).collect();
                return Err(StartError::new(format!(
                    "read {PARAMETERS}: expected name=value, got {part:?}"
                )));
            }
        }
    }
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Environment, String> {
        let get = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        Environment::read(get).map_err(|error| error.to_string())
    }

    #[test]
    fn a_list_is_one_value() {
        let pairs = parameters("hidden=AAAA,BBBB,part=sync").unwrap();
        let pairs: Vec<_> = pairs.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(pairs, [("hidden", "AAAA,BBBB"), ("part", "sync")]);
    }

    #[test]
    fn what_cannot_be_served_is_said() {
        let error = |variables: &[_]| read(variables).unwrap_err();
        assert!(error(&[]).starts_with("find what to answer from: set DEXTAPE_SCENARIO"));
        assert!(error(&[("DEXTAPE_SCENARIO", "")]).starts_with("find what to answer from"));
        assert_eq!(
            error(&[("DEXTAPE_SCENARIO", "smc"), ("DEXTAPE_TAPE", "a")]),
            "choose what to answer from: DEXTAPE_SCENARIO and DEXTAPE_TAPE are set, and only one of \
             them may be"
        );
        assert_eq!(
            error(&[("DEXTAPE_SCENARIO", "smc"), ("DEXTAPE_PARAMETERS", "x")]),
            "read DEXTAPE_PARAMETERS: expected name=value, got \"x\""
        );
        assert_eq!(
            error(&[("DEXTAPE_TAPE", "a"), ("DEXTAPE_STRICT", "yes")]),
            "read DEXTAPE_STRICT = \"yes\": expected 0 or 1"
        );
        for patience in ["0", "soon", "-1", "inf"] {
            assert_eq!(
                error(&[("DEXTAPE_TAPE", "a"), ("DEXTAPE_PATIENCE", patience)]),
                format!("read DEXTAPE_PATIENCE = {patience:?}: expected seconds, more than 0")
            );
        }
        for ring in ["64", "1KiB", "64MiB,10"] {
            assert_eq!(
                error(&[("DEXTAPE_TAPE", "a"), ("DEXTAPE_RING", ring)]),
                format!(
                    "use DEXTAPE_RING: failed to read the ring {ring:?}: expected a size from 1MiB to \
                     16GiB, a time such as 10min, or both with a comma between"
                )
            );
        }
        assert!(
            error(&[("DEXTAPE_SCENARIO", "smc"), ("DEXTAPE_TRIGGER", "result:Busy,signal:KILL")])
                .starts_with(
                    "use DEXTAPE_TRIGGER: failed to read the trigger \"signal:KILL\": expected"
                )
        );
        for slower in ["0", "1.5", "-1", "1001"] {
            assert_eq!(
                error(&[("DEXTAPE_SCENARIO", "smc"), ("DEXTAPE_SLOWER", slower)]),
                format!("read DEXTAPE_SLOWER = {slower:?}: expected a number from 1 to 1000")
            );
        }
        assert_eq!(
            error(&[("DEXTAPE_TAPE", "a"), ("DEXTAPE_POLICY", "loose")]),
            "use DEXTAPE_POLICY: failed to read the policy \"loose\": expected exact, ordered, lanes, \
             nearest, any_order or across_gaps"
        );
    }
}
