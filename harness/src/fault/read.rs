//! How a plan is read.

use super::{
    CallFault, CompletionFault, Ending, Fault, FaultPlan, MapFault, OpenFault, UnmapFault, When,
};
use crate::IoReturn;
use crate::boundary::OpenRefusal;
use std::str::FromStr;
use std::time::Duration;

/// Faults that one plan may have.
const FAULTS_MAX: usize = 10_000;

/// A text that is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read fault {number} ({text:?}): expected {expected}")]
pub struct FaultError {
    /// Which one it is, from 1 on; the seed and comments count.
    pub number: usize,
    /// Its text, cut off where it is long.
    pub text: String,
    /// What would do.
    pub expected: String,
}

impl FaultError {
    fn new(text: &str, expected: impl Into<String>) -> Self {
        Self { number: 1, text: text.chars().take(80).collect(), expected: expected.into() }
    }
}

impl FromStr for FaultPlan {
    type Err = FaultError;

    /// Reads the text form, or JSON where the text begins with a brace.
    fn from_str(text: &str) -> Result<Self, FaultError> {
        if text.trim_start().starts_with('{') {
            return json(text);
        }
        let mut plan = Self::default();
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        let parts = lines.flat_map(|line| line.split(';')).map(str::trim);
        for (index, part) in parts.filter(|part| !part.is_empty()).enumerate() {
            let at = |error: FaultError| FaultError { number: index + 1, ..error };
            if let Some(seed) = part.strip_prefix("seed ") {
                let seed = seed.trim().parse();
                plan.seed =
                    seed.map_err(|_| at(FaultError::new(part, "a number behind `seed`")))?;
                continue;
            }
            if plan.faults.len() == FAULTS_MAX {
                return Err(at(FaultError::new(part, format!("at most {FAULTS_MAX} faults"))));
            }
            plan.faults.push(part.parse().map_err(at)?);
        }
        Ok(plan)
    }
}

fn json(text: &str) -> Result<FaultPlan, FaultError> {
    let example = r#"{"seed": 7, "faults": ["call 3 #2: error Busy"]}"#;
    let plan: FaultPlan = serde_json::from_str(text)
        .map_err(|error| FaultError::new(text, format!("JSON such as {example} ({error})")))?;
    if plan.faults.len() > FAULTS_MAX {
        return Err(FaultError::new(text, format!("at most {FAULTS_MAX} faults")));
    }
    Ok(plan)
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let wrong = |expected: String| FaultError::new(text, expected);
        let (site, what) = text.split_once(':').ok_or_else(|| {
            wrong("a site, a colon and what happens there, such as `call 3 #2: error Busy`".into())
        })?;
        let mut words = site.split_whitespace();
        let kind = words.next().unwrap_or_default();
        let place = if kind == "open" { None } else { words.next() };
        let place = place.map_or_else(
            || {
                if kind == "open" {
                    Ok("")
                } else {
                    Err(wrong(format!("something behind `{kind}`")))
                }
            },
            Ok,
        )?;
        let when = when(words.next()).map_err(wrong)?;
        if words.next().is_some() {
            return Err(wrong("nothing between how often and the colon".into()));
        }
        let what: Vec<&str> = what.split_whitespace().collect();
        let read = || -> Result<Self, String> {
            Ok(match kind {
                "open" => Self::Open { when, what: open_fault(&what)? },
                "call" => Self::Call { selector: number(place)?, when, what: call_fault(&what)? },
                "completion" => Self::Completion {
                    selector: number(place)?,
                    when,
                    what: completion_fault(&what)?,
                },
                "map" => Self::Map { memory_type: number(place)?, when, what: map_fault(&what)? },
                "unmap" => {
                    Self::Unmap { memory_type: number(place)?, when, what: unmap_fault(&what)? }
                }
                "at" if when == When::ALWAYS => {
                    let what = ending(&what).ok_or("`dext dies` or `device removed` at a time")?;
                    Self::At { time: time(place)?, what }
                }
                "at" => return Err("a time alone, which comes once".into()),
                _ => return Err("open, call, completion, map, unmap or at as its site".into()),
            })
        };
        read().map_err(wrong)
    }
}

fn when(word: Option<&str>) -> Result<When, String> {
    let Some(word) = word else { return Ok(When::ALWAYS) };
    let expected = || format!("how often as `#2`, `#2+`, `/2` or `25%`, found `{}`", cut(word));
    let count =
        |digits: &str| digits.parse::<u64>().ok().filter(|number| *number > 0).ok_or_else(expected);
    if let Some(first) = word.strip_prefix('#') {
        match first.strip_suffix('+') {
            Some(first) => count(first).map(When::From),
            None => count(first).map(When::Nth),
        }
    } else if let Some(step) = word.strip_prefix('/') {
        count(step).map(When::Every)
    } else if let Some(percent) = word.strip_suffix('%') {
        let percent = percent.parse::<u8>().ok().filter(|percent| *percent <= 100);
        percent.map(When::Chance).ok_or_else(expected)
    } else {
        Err(expected())
    }
}

fn number(word: &str) -> Result<Option<u32>, String> {
    if word == "*" {
        return Ok(None);
    }
    let parsed = match word.strip_prefix("0x") {
        Some(digits) if !digits.starts_with('+') => u32::from_str_radix(digits, 16).ok(),
        _ => word.parse().ok(),
    };
    parsed.map(Some).ok_or_else(|| format!("a number of 32 bits or `*`, found `{}`", cut(word)))
}

/// A time as plans write it; else what was expected.
pub(crate) fn time(word: &str) -> Result<Duration, String> {
    let digits = word.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let size = match &word[digits.len()..] {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        _ => 0,
    };
    let nanoseconds = digits.parse::<u64>().ok().and_then(|count| count.checked_mul(size));
    match nanoseconds {
        Some(nanoseconds) if size > 0 => Ok(Duration::from_nanos(nanoseconds)),
        _ => Err(format!("a time such as 5ms, 20us or 2s, found `{}`", cut(word))),
    }
}

/// A code that is no success.
fn code(word: &str) -> Result<IoReturn, String> {
    let short = || format!("kIOReturn{word}").parse();
    match word.parse::<IoReturn>().or_else(|_| short()) {
        Ok(code) if code.is_success() => Err("a code that is no success".into()),
        Ok(code) => Ok(code),
        Err(_) => {
            Err(format!("a code such as Busy, kIOReturnBusy or 0xe00002d5, found `{}`", cut(word)))
        }
    }
}

fn ending(what: &[&str]) -> Option<Ending> {
    match what {
        ["dext", "dies"] => Some(Ending::Died),
        ["device", "removed"] => Some(Ending::Removed),
        _ => None,
    }
}

fn open_fault(what: &[&str]) -> Result<OpenFault, String> {
    match what {
        ["delay", word] => Ok(OpenFault::Delay(time(word)?)),
        ["error", word] => Ok(OpenFault::Fails(code(word)?)),
        ["refuse", word] => {
            let code = code(word)?;
            let found = OpenRefusal::ALL.iter().find(|refusal| refusal.code() == code);
            found.copied().map(OpenFault::Refused).ok_or_else(|| {
                "a code that the system refuses opens with: NotPermitted, NotPrivileged, Error, \
                 Offline or Unsupported (`error` has the dext refuse it)"
                    .into()
            })
        }
        what => ending(what).map(OpenFault::Ends).ok_or_else(|| {
            "error CODE, refuse CODE, delay TIME, dext dies or device removed in an open".into()
        }),
    }
}

fn call_fault(what: &[&str]) -> Result<CallFault, String> {
    match what {
        ["delay", word] => Ok(CallFault::Delay(time(word)?)),
        ["error", word] => Ok(CallFault::Fails(code(word)?)),
        ["error", word, "afterwards"] => Ok(CallFault::FailsAfter(code(word)?)),
        ["never", "returns"] => Ok(CallFault::NeverReturns),
        [first @ .., "afterwards"] if ending(first).is_some() => {
            ending(first).map(CallFault::EndsAfter).ok_or_else(String::new)
        }
        what => ending(what).map(CallFault::Ends).ok_or_else(|| {
            "error CODE, delay TIME, never returns, dext dies or device removed in a call; the \
             first and the last two also with `afterwards`"
                .into()
        }),
    }
}

fn completion_fault(what: &[&str]) -> Result<CompletionFault, String> {
    match what {
        ["error", word] => Ok(CompletionFault::Fails(code(word)?)),
        ["lost"] => Ok(CompletionFault::Lost),
        ["doubled"] => Ok(CompletionFault::Doubled),
        ["late", word] => Ok(CompletionFault::Late(time(word)?)),
        _ => Err("error CODE, lost, doubled or late TIME for a completion".into()),
    }
}

fn map_fault(what: &[&str]) -> Result<MapFault, String> {
    match what {
        ["delay", word] => Ok(MapFault::Delay(time(word)?)),
        ["error", word] => Ok(MapFault::Fails(code(word)?)),
        ["refuse"] => Ok(MapFault::Refused),
        what => ending(what).map(MapFault::Ends).ok_or_else(|| {
            "error CODE, refuse, delay TIME, dext dies or device removed in a map".into()
        }),
    }
}

fn unmap_fault(what: &[&str]) -> Result<UnmapFault, String> {
    match what {
        ["delay", word] => Ok(UnmapFault::Delay(time(word)?)),
        ["error", word] => Ok(UnmapFault::Fails(code(word)?)),
        what => ending(what).map(UnmapFault::Ends).ok_or_else(|| {
            "error CODE, delay TIME, dext dies or device removed in an unmap".into()
        }),
    }
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
            "open: refuse NotPermitted",
            "open #1: refuse NotPrivileged",
            "open #2: refuse Error",
            "open #3+: refuse Offline",
            "open /2: refuse Unsupported",
            "open: error 0xe3ff8001",
            "open: delay 20us",
            "open 50%: dext dies",
            "call 3 #2: error Busy",
            "call *: error Timeout afterwards",
            "call 0 #1: never returns",
            "call 0: dext dies afterwards",
            "call 0: device removed",
            "call 4294967295: delay 1500ms",
            "completion 5 #1: lost",
            "completion 5 #2: error Aborted",
            "completion *: doubled",
            "completion 5 100%: late 7ns",
            "map 0: refuse",
            "map * #1: error NoMemory",
            "unmap 2: error Busy",
            "unmap 2 #9: device removed",
            "at 5ms: device removed",
            "at 2s: dext dies",
        ];
        for text in texts {
            let fault: Fault = text.parse().unwrap();
            assert_eq!(fault.to_string(), text);
        }
        let plan: FaultPlan = texts.join("\n").parse().unwrap();
        assert_eq!(plan.faults.len(), texts.len());
        assert_eq!(plan.to_string().parse(), Ok(plan.clone()));
        assert_eq!(format!("{plan:#}").parse(), Ok(plan.clone()));
        let json = serde_json::to_string(&plan).unwrap();
        assert_eq!(json.parse(), Ok(plan));
    }

    #[test]
    fn apples_names_and_numbers_are_codes_too() {
        let short: Fault = "call 1: error Busy".parse().unwrap();
        for long in ["kIOReturnBusy", "0xe00002d5", "-536870187"] {
            assert_eq!(format!("call 1: error {long}").parse(), Ok(short.clone()), "{long}");
        }
    }

    #[test]
    fn what_is_no_fault_says_what_would_be() {
        let wrong = |text: &str| format!("failed to {}", text.parse::<FaultPlan>().unwrap_err());
        insta::assert_snapshot!([
            "call 3 error Busy",
            "seed 1; call 3: explode",
            "call: error Busy",
            "call x: error Busy",
            "call 1 #0: error Busy",
            "call 1 101%: error Busy",
            "call 1 #1 #2: error Busy",
            "call 1: error Success",
            "call 1: error Bussy",
            "open: refuse Busy",
            "open: lost",
            "completion 1: error Success",
            "completion 1: dext dies",
            "map 1: lost",
            "unmap 1: refuse",
            "at 5: dext dies",
            "at 18446744073709551615s: dext dies",
            "at 5s #2: dext dies",
            "crash 1: dext dies",
            "seed x",
            "{\"seeds\": 1}",
        ].map(wrong).join("\n"), @r##"
        failed to read fault 1 ("call 3 error Busy"): expected a site, a colon and what happens there, such as `call 3 #2: error Busy`
        failed to read fault 2 ("call 3: explode"): expected error CODE, delay TIME, never returns, dext dies or device removed in a call; the first and the last two also with `afterwards`
        failed to read fault 1 ("call: error Busy"): expected something behind `call`
        failed to read fault 1 ("call x: error Busy"): expected a number of 32 bits or `*`, found `x`
        failed to read fault 1 ("call 1 #0: error Busy"): expected how often as `#2`, `#2+`, `/2` or `25%`, found `#0`
        failed to read fault 1 ("call 1 101%: error Busy"): expected how often as `#2`, `#2+`, `/2` or `25%`, found `101%`
        failed to read fault 1 ("call 1 #1 #2: error Busy"): expected nothing between how often and the colon
        failed to read fault 1 ("call 1: error Success"): expected a code that is no success
        failed to read fault 1 ("call 1: error Bussy"): expected a code such as Busy, kIOReturnBusy or 0xe00002d5, found `Bussy`
        failed to read fault 1 ("open: refuse Busy"): expected a code that the system refuses opens with: NotPermitted, NotPrivileged, Error, Offline or Unsupported (`error` has the dext refuse it)
        failed to read fault 1 ("open: lost"): expected error CODE, refuse CODE, delay TIME, dext dies or device removed in an open
        failed to read fault 1 ("completion 1: error Success"): expected a code that is no success
        failed to read fault 1 ("completion 1: dext dies"): expected error CODE, lost, doubled or late TIME for a completion
        failed to read fault 1 ("map 1: lost"): expected error CODE, refuse, delay TIME, dext dies or device removed in a map
        failed to read fault 1 ("unmap 1: refuse"): expected error CODE, delay TIME, dext dies or device removed in an unmap
        failed to read fault 1 ("at 5: dext dies"): expected a time such as 5ms, 20us or 2s, found `5`
        failed to read fault 1 ("at 18446744073709551615s: dext dies"): expected a time such as 5ms, 20us or 2s, found `18446744073709551615s`
        failed to read fault 1 ("at 5s #2: dext dies"): expected a time alone, which comes once
        failed to read fault 1 ("crash 1: dext dies"): expected open, call, completion, map, unmap or at as its site
        failed to read fault 1 ("seed x"): expected a number behind `seed`
        failed to read fault 1 ("{\"seeds\": 1}"): expected JSON such as {"seed": 7, "faults": ["call 3 #2: error Busy"]} (unknown field `seeds`, expected `seed` or `faults` at line 1 column 8)
        "##);
    }

    #[test]
    fn a_plan_has_an_end() {
        let text = "open: error Busy\n".repeat(FAULTS_MAX + 1);
        let error = text.parse::<FaultPlan>().unwrap_err();
        assert_eq!((error.number, &*error.expected), (FAULTS_MAX + 1, "at most 10000 faults"));
    }
}
