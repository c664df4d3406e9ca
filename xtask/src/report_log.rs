//! The lines of a log around a moment.

use crate::exit::Failure;
use crate::place::shown;
use std::collections::VecDeque;
use std::fmt;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::str::FromStr;

/// Bytes of a line that are kept.
const LINE_MAX: u64 = 16 << 10;

/// Bytes of all lines that are kept, but for the last.
const LINES_MAX: usize = (1 << 20) - LINE_MAX as usize;

/// A moment as `log show` writes it at the beginning of a line: `2026-11-23 12:57:01.123456+0100`.
/// Fractions of a second are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Seconds since 1970 by the clock that wrote it.
    seconds: i64,
    /// How far that clock is ahead of UTC, in seconds; `None` where it is not told.
    ahead: Option<i64>,
}

impl Moment {
    /// The moment at the beginning of a line.
    fn begins(line: &[u8]) -> Option<Self> {
        let number = |from: usize, to: usize| {
            let digits = line.get(from..to)?;
            let digit = |sum: i64, byte: &u8| Some(sum * 10 + i64::from(byte.checked_sub(b'0')?));
            digits.iter().all(u8::is_ascii_digit).then(|| digits.iter().try_fold(0, digit))?
        };
        let marks = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
        let marked = marks.iter().all(|(at, mark)| line.get(*at) == Some(mark));
        if !marked || !matches!(line.get(10), Some(b' ' | b'T')) {
            return None;
        }
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        let whole = (1..=12).contains(&month) && (1..=31).contains(&day);
        if !whole || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        // Days since 1970, counted in years that begin in March: a leap day is then the last of one.
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let leaps = year / 4 - year / 100 + year / 400;
        let days = year * 365 + leaps + (month * 153 + 2) / 5 + day - 1 - 719_468;
        let mut at = 19;
        if line.get(at) == Some(&b'.') {
            at += 1;
            at += line[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        }
        let ahead = match line.get(at) {
            Some(b'Z') => Some(0),
            Some(sign @ (b'+' | b'-')) => {
                let minutes = at + if line.get(at + 3) == Some(&b':') { 4 } else { 3 };
                let ahead = number(at + 1, at + 3)? * 3600 + number(minutes, minutes + 2)? * 60;
                Some(if *sign == b'-' { -ahead } else { ahead })
            }
            _ => None,
        };
        Some(Self { seconds: days * 86_400 + hour * 3600 + minute * 60 + second, ahead })
    }

    /// Seconds between two moments: by UTC where both tell of it, else by what their clocks showed.
    fn distance(self, other: Self) -> u64 {
        let (one, two) = match (self.ahead, other.ahead) {
            (Some(own), Some(others)) => (self.seconds - own, other.seconds - others),
            _ => (self.seconds, other.seconds),
        };
        one.abs_diff(two)
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected =
            || "expected a time such as `2026-11-23 12:57:01` or with `+0100`".to_owned();
        Self::begins(text.as_bytes()).ok_or_else(expected)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hour, rest) = (self.seconds.rem_euclid(86_400) / 3600, self.seconds.rem_euclid(3600));
        write!(f, "{hour:02}:{:02}:{:02}", rest / 60, rest % 60)
    }
}

/// The lines of a log that lie within so many seconds of a moment, each with those that follow without a
/// time of their own: the last of them, where there are more than `most`. The log can be of any length.
pub(crate) fn lines_near(
    path: &Path,
    at: Moment,
    within: u32,
    most: usize,
) -> Result<String, Failure> {
    let mut reader = BufReader::new(fs_err::File::open(path).map_err(Failure::environment)?);
    let (mut kept, mut bytes) = (VecDeque::new(), 0);
    let mut is_near = false;
    let (mut first, mut last) = (None, None);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut limited = (&mut reader).take(LINE_MAX);
        if limited.read_until(b'\n', &mut line).map_err(Failure::environment)? == 0 {
            break;
        }
        if let Some(moment) = Moment::begins(&line) {
            is_near = moment.distance(at) <= u64::from(within);
            first = first.or(Some(moment));
            last = Some(moment);
        }
        if !is_near {
            continue;
        }
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        bytes += text.len() + 1;
        kept.push_back(text);
        while kept.len() > most || bytes > LINES_MAX {
            let Some(old) = kept.pop_front() else { break };
            bytes -= old.len() + 1;
        }
    }
    if !kept.is_empty() {
        return Ok(Vec::from(kept).join("\n"));
    }
    let has = match (first, last) {
        (Some(first), Some(last)) => format!("they begin at {first} and end at {last}"),
        _ => "none begins with a time as `log show` writes it".to_owned(),
    };
    Err(Failure::environment(format!(
        "find lines within {within} seconds of {at} in {}: {has}; give another --log-at, more \
         --log-seconds, or neither to pack the last lines",
        shown(path)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_a_calendar() {
        let seconds = |text: &str| text.parse::<Moment>().map(|moment| moment.seconds);
        assert_eq!(seconds("1970-01-01 00:00:00"), Ok(0));
        // As `date -u -d TIME +%s` has them.
        assert_eq!(seconds("2000-02-29 23:59:59"), Ok(951_868_799));
        assert_eq!(seconds("2026-11-23 12:57:01.123456+0100"), Ok(1_795_438_621));
        for wrong in
            ["", "2026-13-01 00:00:00", "2026-11-23", "Nov 23 12:57:01", "2026-11-23 1:2:3"]
        {
            assert!(seconds(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn clocks_of_two_zones_are_compared_by_utc_where_both_tell() {
        let moment = |text: &str| text.parse::<Moment>().unwrap();
        let paris = moment("2026-11-23 12:57:01+0100");
        assert_eq!(paris.distance(moment("2026-11-23T11:57:02Z")), 1);
        assert_eq!(paris.distance(moment("2026-11-23 06:57:01.5-05:00")), 0);
        assert_eq!(paris.distance(moment("2026-11-23 12:57:04")), 3);
    }

    #[test]
    fn lines_around_a_moment_with_those_that_belong_to_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.txt");
        let log = "Timestamp Thread Type\n\
                   2026-11-23 12:00:00.1+0000 early\n  of the early\n\
                   2026-11-23 12:56:50.9+0000 before\n  of it\n\
                   2026-11-23 12:57:09.0+0000 after\n\
                   2026-11-23 13:00:00.0+0000 late\n";
        fs_err::write(&path, log).unwrap();
        let at = "2026-11-23 12:57:00".parse().unwrap();
        let near = |within, most| lines_near(&path, at, within, most).unwrap();
        let lines = "2026-11-23 12:56:50.9+0000 before\n  of it\n2026-11-23 12:57:09.0+0000 after";
        assert_eq!(near(10, 200), lines);
        assert_eq!(near(9, 200), "2026-11-23 12:57:09.0+0000 after");
        assert_eq!(near(10, 2), "  of it\n2026-11-23 12:57:09.0+0000 after");
        let none = lines_near(&path, at, 1, 200).unwrap_err();
        assert!(none.text().contains("they begin at 12:00:00 and end at 13:00:00"), "{none:?}");
    }
}
