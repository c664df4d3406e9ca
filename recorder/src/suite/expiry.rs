//! Until when a tape is to be trusted.

use super::TapeForError;
use dextape::tape::Header;
use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

/// Key of a tape's header: the last day on which the tape is to be trusted, such as `2027-01-31`.
pub const EXPIRES: &str = "expires";

/// A day of the calendar.
///
/// # Examples
///
/// ```
/// use dextape_recorder::suite::Date;
///
/// let date: Date = "2027-01-31".parse()?;
/// assert!(date < "2027-02-01".parse()?);
/// assert!("2027-02-30".parse::<Date>().is_err());
/// # Ok::<(), dextape_recorder::suite::TapeForError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: u32,
    month: u32,
    day: u32,
}

impl Date {
    /// Today, in universal time.
    #[must_use]
    pub fn today() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::of_days(since.as_secs() / 86_400)
    }

    /// So many days after 1970-01-01.
    fn of_days(days: u64) -> Self {
        let (mut year, mut left) = (1970, u32::try_from(days).unwrap_or(u32::MAX));
        while left >= days_of_year(year) {
            left -= days_of_year(year);
            year += 1;
        }
        let mut month = 1;
        while left >= days_of_month(year, month) {
            left -= days_of_month(year, month);
            month += 1;
        }
        Self { year, month, day: left + 1 }
    }
}

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_of_year(year: u32) -> u32 {
    if is_leap(year) { 366 } else { 365 }
}

fn days_of_month(year: u32, month: u32) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl FromStr for Date {
    type Err = TapeForError;

    fn from_str(text: &str) -> Result<Self, TapeForError> {
        let wrong = || TapeForError::Date(text.chars().take(64).collect());
        let bytes = text.as_bytes();
        let has_form = bytes.len() == 10
            && bytes.iter().enumerate().all(|(at, byte)| match at {
                4 | 7 => *byte == b'-',
                _ => byte.is_ascii_digit(),
            });
        if !has_form {
            return Err(wrong());
        }
        let number = |range| text.get(range).and_then(|digits: &str| digits.parse().ok());
        let (Some(year), Some(month), Some(day)) = (number(0..4), number(5..7), number(8..10))
        else {
            return Err(wrong());
        };
        let is_day = (1..=12).contains(&month) && (1..=days_of_month(year, month)).contains(&day);
        if is_day { Ok(Self { year, month, day }) } else { Err(wrong()) }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// The last day on which a tape is to be trusted, where its header says one.
///
/// # Errors
///
/// [`TapeForError::Date`] where what stands there is no date.
pub fn expiry(header: &Header) -> Result<Option<Date>, TapeForError> {
    match header.extra.get(EXPIRES) {
        None => Ok(None),
        Some(told) => {
            let text = told.as_str().map_or_else(|| told.to_string(), str::to_owned);
            text.parse().map(Some)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        let shown = |days| Date::of_days(days).to_string();
        assert_eq!(shown(0), "1970-01-01");
        assert_eq!(shown(59), "1970-03-01");
        assert_eq!(shown(11_016), "2000-02-29");
        assert_eq!(shown(20_454), "2026-01-01");
        for wrong in
            ["", "2027-1-31", "2027-13-01", "2027-00-01", "2027-01-00", "x027-01-01", "2027-02-29"]
        {
            assert!(wrong.parse::<Date>().is_err(), "{wrong}");
        }
        assert_eq!("2028-02-29".parse::<Date>().unwrap().to_string(), "2028-02-29");
    }

    #[test]
    fn a_header_may_say_until_when() {
        let mut header = Header::mock();
        assert_eq!(expiry(&header).unwrap(), None);
        header.extra.insert(EXPIRES.to_owned(), "2027-01-31".into());
        assert_eq!(expiry(&header).unwrap().unwrap().to_string(), "2027-01-31");
        header.extra.insert(EXPIRES.to_owned(), 7.into());
        assert!(matches!(expiry(&header), Err(TapeForError::Date(_))));
    }
}
