//! What a flight recorder is told: how much it keeps, and of what.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A journal that stays within a bound: the beginning of each connection is kept, and the newest
/// events; what lies between is given up, and the tape says so in a gap, behind which a keyframe holds
/// the state at that place.
///
/// # Examples
///
/// ```
/// use dextape_recorder::journal::RingOptions;
/// use std::time::Duration;
///
/// let ring: RingOptions = "64MiB,10min".parse()?;
/// assert_eq!((ring.size, ring.last), (64 << 20, Some(Duration::from_secs(600))));
/// # Ok::<(), dextape_recorder::journal::BadRing>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RingOptions {
    /// Bytes of the journal's file, all told: from 1 MiB to 16 GiB.
    pub size: u64,
    /// Of what the ring holds only the last so much becomes the tape; `None` for all.
    pub last: Option<Duration>,
    /// Bytes for beginnings and calls under way: what is pinned of connections. `None` for a thirty-second of the
    /// size, and 64 KiB at least.
    pub prologue: Option<u64>,
    /// Bytes for pages of shadows in a keyframe; the pages that were left alone longest go first, and a
    /// replay says so where its client reads one. `None` for a sixteenth of the size.
    pub shadows: Option<u64>,
    /// Calls of a connection that belong to its beginning.
    pub first_calls: u32,
    /// Selectors of which every call is pinned, as long as there is room, the newest first.
    pub sticky: Vec<u32>,
}

/// Smallest and largest ring.
pub(crate) const SIZE_MIN: u64 = 1 << 20;
const SIZE_MAX: u64 = 16 << 30;

impl Default for RingOptions {
    fn default() -> Self {
        Self {
            size: 64 << 20,
            last: None,
            prologue: None,
            shadows: None,
            first_calls: 64,
            sticky: Vec::new(),
        }
    }
}

impl RingOptions {
    /// A ring of so many bytes.
    #[must_use]
    pub fn of_size(size: u64) -> Self {
        Self { size, ..Self::default() }
    }

    /// Sets of how long ago the oldest event of the tape may be.
    #[must_use]
    pub fn last(mut self, last: Duration) -> Self {
        self.last = Some(last);
        self
    }

    /// Sets how many calls of a connection belong to its beginning.
    #[must_use]
    pub fn first_calls(mut self, calls: u32) -> Self {
        self.first_calls = calls;
        self
    }

    /// Pins every call of a selector, as long as there is room.
    #[must_use]
    pub fn sticky(mut self, selector: u32) -> Self {
        self.sticky.push(selector);
        self
    }

    /// Sets the bytes for pages of shadows.
    #[must_use]
    pub fn shadows(mut self, bytes: u64) -> Self {
        self.shadows = Some(bytes);
        self
    }

    /// Sets the bytes for beginnings.
    #[must_use]
    pub fn prologue(mut self, bytes: u64) -> Self {
        self.prologue = Some(bytes);
        self
    }
}

/// What is no ring: it completes "failed to ...".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "read the ring {text:?}: expected a size from 1MiB to 16GiB, a time such as 10min, or both with a \
     comma between"
)]
pub struct BadRing {
    /// What was given.
    pub text: String,
}

impl FromStr for RingOptions {
    type Err = BadRing;

    fn from_str(text: &str) -> Result<Self, BadRing> {
        let bad = || BadRing { text: text.chars().take(64).collect() };
        let mut options = Self::default();
        let (mut sized, mut timed) = (false, false);
        for part in text.split(',').map(str::trim) {
            let digits = part.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(part.len());
            let (number, unit) = part.split_at(digits);
            let number: u64 = number.parse().map_err(|_| bad())?;
            let bytes = |shift: u32| number.checked_mul(1 << shift).ok_or_else(bad);
            let seconds = |times: u64| number.checked_mul(times).ok_or_else(bad);
            let (size, last) = match unit.trim() {
                "KiB" | "K" => (Some(bytes(10)?), None),
                "MiB" | "M" => (Some(bytes(20)?), None),
                "GiB" | "G" => (Some(bytes(30)?), None),
                "s" => (None, Some(seconds(1)?)),
                "min" => (None, Some(seconds(60)?)),
                "h" => (None, Some(seconds(3600)?)),
                _ => return Err(bad()),
            };
            if let Some(size) = size {
                if std::mem::replace(&mut sized, true) || !(SIZE_MIN..=SIZE_MAX).contains(&size) {
                    return Err(bad());
                }
                options.size = size;
            }
            if let Some(last) = last {
                if std::mem::replace(&mut timed, true) || last == 0 {
                    return Err(bad());
                }
                options.last = Some(Duration::from_secs(last));
            }
        }
        Ok(options)
    }
}

impl fmt::Display for RingOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.size {
            size if size.is_multiple_of(1 << 20) => write!(f, "{}MiB", size >> 20)?,
            size => write!(f, "{}KiB", size >> 10)?,
        }
        match self.last {
            Some(last) => write!(f, ",{}s", last.as_secs()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_a_size_a_time_or_both() {
        let read = |text: &str| text.parse::<RingOptions>().map(|ring| (ring.size, ring.last));
        let minutes = |minutes: u64| Some(Duration::from_secs(60 * minutes));
        assert_eq!(read("64MiB"), Ok((64 << 20, None)));
        assert_eq!(read("2G"), Ok((2 << 30, None)));
        assert_eq!(read("10min"), Ok((64 << 20, minutes(10))));
        assert_eq!(read("1024KiB, 2h"), Ok((1 << 20, minutes(120))));
        for bad in
            ["", "64", "MiB", "1KiB", "17GiB", "0s", "1h,2h", "1MiB,2MiB", "99999999999999999999G"]
        {
            assert_eq!(read(bad), Err(BadRing { text: bad.to_owned() }), "{bad}");
        }
        says(&"x".parse::<RingOptions>().unwrap_err().to_string());
        let ring: RingOptions = "3MiB,90s".parse().unwrap();
        assert_eq!(ring.to_string().parse(), Ok(ring));
    }

    fn says(message: &str) {
        assert_eq!(
            message,
            "read the ring \"x\": expected a size from 1MiB to 16GiB, a time such as 10min, or both with \
             a comma between"
        );
    }
}
