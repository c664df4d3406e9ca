//! How deviations are read.

use super::{Deviation, Deviations, Point, Shift};
use crate::fault::{FaultError, read_time};
use std::str::FromStr;

/// Deviations that one list may have.
const DEVIATIONS_MAX: usize = 10_000;

/// A text that is no list of deviations.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read deviation {number} ({text:?}): expected {expected}")]
pub struct DeviationError {
    /// Which one it is, from 1 on.
    pub number: usize,
    /// Its text, cut off where it is long.
    pub text: String,
    /// What would do.
    pub expected: String,
}

impl DeviationError {
    fn new(text: &str, expected: impl Into<String>) -> Self {
        Self { number: 1, text: text.chars().take(80).collect(), expected: expected.into() }
    }
}

impl FromStr for Deviations {
    type Err = DeviationError;

    /// Reads the text form, or JSON where the text begins with a bracket.
    fn from_str(text: &str) -> Result<Self, DeviationError> {
        if text.trim_start().starts_with('[') {
            let read: Self = serde_json::from_str(text).map_err(|error| {
                let example = r#"["lane 2 before #14: stall 30ms"]"#;
                DeviationError::new(text, format!("JSON such as {example} ({error})"))
            })?;
            return if read.len() > DEVIATIONS_MAX { Err(too_many(text)) } else { Ok(read) };
        }
        let mut deviations = Vec::new();
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        let parts = lines.flat_map(|line| line.split(';')).map(str::trim);
        for (index, part) in parts.filter(|part| !part.is_empty()).enumerate() {
            let at = |error: DeviationError| DeviationError { number: index + 1, ..error };
            if deviations.len() == DEVIATIONS_MAX {
                return Err(at(too_many(part)));
            }
            deviations.push(part.parse().map_err(at)?);
        }
        Ok(Self(deviations))
    }
}

fn too_many(text: &str) -> DeviationError {
    DeviationError::new(text, format!("at most {DEVIATIONS_MAX} deviations"))
}

impl FromStr for Deviation {
    type Err = DeviationError;

    fn from_str(text: &str) -> Result<Self, DeviationError> {
        let wrong = |expected: String| DeviationError::new(text, expected);
        if let Some(fault) = text.strip_prefix("fault ") {
            let fault =
                fault.parse().map_err(|error: FaultError| wrong(format!("a fault: {error}")))?;
            return Ok(Self::Fault(fault));
        }
        if let Some(seed) = text.strip_prefix("priorities ") {
            let seed = seed.trim().parse();
            let seed = seed.map_err(|_| wrong("a number behind `priorities`".into()))?;
            return Ok(Self::Priorities { seed });
        }
        let (site, what) = text.split_once(':').ok_or_else(|| {
            wrong(
                "a place, a colon and what differs there, such as `lane 2 before #14: stall 30ms`"
                    .into(),
            )
        })?;
        let (site, what): (Vec<&str>, Vec<&str>) =
            (site.split_whitespace().collect(), what.split_whitespace().collect());
        let read = match site[..] {
            ["lane", lane, at, number] => of_lane(lane, at, number, &what),
            ["post", event] => post(event, &what),
            ["patch", event] => patch(event, &what),
            ["extrapolated"] => extrapolated(&what),
            _ => Err("`lane LANE PLACE #NUMBER`, `post EVENT`, `patch EVENT`, `priorities SEED`, `extrapolated` or `fault`".into()),
        };
        read.map_err(wrong)
    }
}

fn of_lane(lane: &str, at: &str, number: &str, what: &[&str]) -> Result<Deviation, String> {
    let lane = lane.parse().map_err(|_| format!("the number of a lane, found `{}`", cut(lane)))?;
    let number = number.strip_prefix('#').and_then(|number| number.parse().ok());
    let number: u64 = number.filter(|number| *number > 0).ok_or("which operation as `#14`")?;
    let point = match at {
        "before" => Some(Point::Before),
        "within" => Some(Point::Within),
        "after" => Some(Point::After),
        "at" | "timer" => None,
        _ => return Err("before, within, after, at or timer behind the lane".into()),
    };
    match (point, at, what) {
        (Some(point), _, ["stall", time]) => {
            let time = read_time(time)?;
            Ok(Deviation::Stall { lane, operation: number, point, time })
        }
        (None, "at", ["wakes", "early"]) => Ok(Deviation::Wake { lane, operation: number }),
        (None, "timer", ["late", time]) => {
            Ok(Deviation::Timer { lane, wait: number, late: read_time(time)? })
        }
        _ => Err("`stall TIME` before, within or after an operation, `wakes early` at one, or \
                  `late TIME` of a timer"
            .into()),
    }
}

fn post(event: &str, what: &[&str]) -> Result<Deviation, String> {
    let event = event_number(event)?;
    let shift = match what {
        ["early", time] => Shift::Early(read_time(time)?),
        ["late", time] => Shift::Late(read_time(time)?),
        _ => return Err("`early TIME` or `late TIME` for a completion".into()),
    };
    Ok(Deviation::Post { event, shift })
}

fn patch(event: &str, what: &[&str]) -> Result<Deviation, String> {
    let event = event_number(event)?;
    match what {
        ["late"] => Ok(Deviation::PatchLate { event }),
        ["early", time] => Ok(Deviation::PatchEarly { event, by: read_time(time)? }),
        ["split", at, time] => {
            let at = at.parse().ok().filter(|at| *at > 0);
            let at = at.ok_or("the first byte of the second half, 1 or more, behind `split`")?;
            Ok(Deviation::PatchSplit { event, at, by: read_time(time)? })
        }
        _ => Err("`late`, `early TIME` or `split BYTE TIME` for a patch".into()),
    }
}

fn extrapolated(what: &[&str]) -> Result<Deviation, String> {
    match what {
        ["device", "ahead"] => Ok(Deviation::Ahead),
        ["calls", "answered"] => Ok(Deviation::Answered),
        _ => Err("`device ahead` or `calls answered` behind `extrapolated`".into()),
    }
}

fn event_number(word: &str) -> Result<u64, String> {
    let number = word.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| format!("the number of an event, found `{}`", cut(word)))
}

fn cut(word: &str) -> String {
    word.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_and_reads_back() {
        let texts = [
            "lane 2 before #14: stall 30ms",
            "lane 2 within #1: stall 0s",
            "lane 2 after #18446744073709551615: stall 7s",
            "lane 1 at #3: wakes early",
            "lane 1000000 timer #3: late 10us",
            "priorities 7",
            "post 44: late 30ms",
            "post 44: early 1ns",
            "patch 52: late",
            "patch 52: early 3ms",
            "patch 52: split 32 5ms",
            "fault call 3 #2: error Timeout",
            "extrapolated: device ahead",
            "extrapolated: calls answered",
        ];
        for text in texts {
            let deviation: Deviation = text.parse().unwrap();
            assert_eq!(deviation.to_string(), text);
        }
        let all: Deviations = texts.join("\n").parse().unwrap();
        assert_eq!(all.len(), texts.len());
        assert_eq!(all.to_string().parse(), Ok(all.clone()));
        assert_eq!(format!("{all:#}").parse(), Ok(all.clone()));
        let json = serde_json::to_string(&all).unwrap();
        assert_eq!(json.parse(), Ok(all.clone()));
        assert_eq!(all.faults().to_string(), "call 3 #2: error Timeout");
    }

    #[test]
    fn what_is_no_deviation_says_what_would_be() {
        let wrong = |text: &str| format!("failed to {}", text.parse::<Deviations>().unwrap_err());
        insta::assert_snapshot!([
            "lane 2 before #14 stall",
            "post 1: late 1ms; lane x before #1: stall 1ms",
            "lane 1 before 1: stall 1ms",
            "lane 1 before #0: stall 1ms",
            "lane 1 near #1: stall 1ms",
            "lane 1 at #1: stall 1ms",
            "lane 1 before #1: stall 1",
            "post 0: late 1ms",
            "post 1: lost",
            "patch 1: split 0 1ms",
            "patch 1: late 1ms",
            "fault call 1: lost",
            "reply 1: late 1ms",
            "extrapolated: all",
            "priorities x",
            "[\"x\"]",
        ].map(wrong).join("\n"), @r#"
        failed to read deviation 1 ("lane 2 before #14 stall"): expected a place, a colon and what differs there, such as `lane 2 before #14: stall 30ms`
        failed to read deviation 2 ("lane x before #1: stall 1ms"): expected the number of a lane, found `x`
        failed to read deviation 1 ("lane 1 before 1: stall 1ms"): expected which operation as `#14`
        failed to read deviation 1 ("lane 1 before #0: stall 1ms"): expected which operation as `#14`
        failed to read deviation 1 ("lane 1 near #1: stall 1ms"): expected before, within, after, at or timer behind the lane
        failed to read deviation 1 ("lane 1 at #1: stall 1ms"): expected `stall TIME` before, within or after an operation, `wakes early` at one, or `late TIME` of a timer
        failed to read deviation 1 ("lane 1 before #1: stall 1"): expected a time such as 5ms, 20us or 2s, found `1`
        failed to read deviation 1 ("post 0: late 1ms"): expected the number of an event, found `0`
        failed to read deviation 1 ("post 1: lost"): expected `early TIME` or `late TIME` for a completion
        failed to read deviation 1 ("patch 1: split 0 1ms"): expected the first byte of the second half, 1 or more, behind `split`
        failed to read deviation 1 ("patch 1: late 1ms"): expected `late`, `early TIME` or `split BYTE TIME` for a patch
        failed to read deviation 1 ("fault call 1: lost"): expected a fault: read fault 1 ("call 1: lost"): expected error CODE, delay TIME, never returns, dext dies or device removed in a call; the first and the last two also with `afterwards`
        failed to read deviation 1 ("reply 1: late 1ms"): expected `lane LANE PLACE #NUMBER`, `post EVENT`, `patch EVENT`, `priorities SEED`, `extrapolated` or `fault`
        failed to read deviation 1 ("extrapolated: all"): expected `device ahead` or `calls answered` behind `extrapolated`
        failed to read deviation 1 ("priorities x"): expected a number behind `priorities`
        failed to read deviation 1 ("[\"x\"]"): expected JSON such as ["lane 2 before #14: stall 30ms"] (read deviation 1 ("x"): expected a place, a colon and what differs there, such as `lane 2 before #14: stall 30ms` at line 1 column 5)
        "#);
    }

    #[test]
    fn a_list_has_an_end() {
        let text = "post 1: late 1ms\n".repeat(DEVIATIONS_MAX + 1);
        let error = text.parse::<Deviations>().unwrap_err();
        assert_eq!((error.number, &*error.expected), (10_001, "at most 10000 deviations"));
    }
}
