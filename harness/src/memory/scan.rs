//! Finding what has changed in memory that somebody writes unseen, by comparison.

use std::ops::Range;

/// Bytes that are compared in one go: they stay in a processor's cache between a copy and its compare.
const PART: usize = 64 << 10;

/// Parts that changed last, which are looked at first.
const RECENT: usize = 64;

/// Bytes that are told apart at a time where a part differs.
const STRIDE: usize = 64;

/// Memory that is looked at.
pub trait ScanSource {
    /// Copies what is there now. False where it cannot be read any more.
    fn read(&mut self, offset: u64, into: &mut [u8]) -> bool;

    /// True where it holds just these bytes; `None` where that cannot be told without a copy.
    fn holds(&mut self, offset: u64, bytes: &[u8]) -> Option<bool> {
        let _by_copy = (offset, bytes);
        None
    }

    /// The range is about to be read.
    fn before(&mut self, range: &Range<u64>) {
        let _nothing_to_do = range;
    }

    /// The range has been read, and its changes are told next.
    fn after(&mut self, range: &Range<u64>) {
        let _nothing_to_do = range;
    }

    /// The changes of a range have been told: it holds these bytes.
    fn done(&mut self, offset: u64, bytes: &[u8]) {
        let _nothing_to_do = (offset, bytes);
    }
}

/// Bytes that differ from what they were at the look before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// Offset of the first.
    pub offset: u64,
    /// What is there now. All of them have changed.
    pub bytes: &'a [u8],
    /// The `period` that the look before was made in; `None` where it is the first one.
    pub since: Option<u64>,
}

/// How a look went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looked {
    /// Every byte was looked at. False where the memory is gone or there was no time.
    pub whole: bool,
    /// The memory could be read.
    pub there: bool,
}

/// What a memory held when it was last looked at, part by part.
///
/// A look takes the parts first that changed last, then the others in turn, as long as there is time; so
/// a small memory is seen whole each time, and of a large one each part comes round.
///
/// # Examples
///
/// ```
/// use dextape::memory::{Backing, Memory, Scan, ScanSource};
///
/// struct Of<'a>(&'a dyn Memory);
///
/// impl ScanSource for Of<'_> {
///     fn read(&mut self, offset: u64, into: &mut [u8]) -> bool {
///         self.0.copy_out(offset, into).is_ok()
///     }
/// }
///
/// let backing = Backing::new(4096);
/// let mut scan = Scan::try_new(4096).ok_or("no memory")?;
/// backing.copy_in(100, &[1, 2, 0, 3])?;
/// let mut found = Vec::new();
/// scan.look(1, &mut Of(&*backing), &mut |_| true, &mut |_, change| {
///     found.push((change.offset, change.bytes.to_vec()));
/// });
/// assert_eq!(found, [(100, vec![1, 2]), (103, vec![3])]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Scan {
    view: Vec<u8>,
    /// The period in which each part was last looked at.
    seen: Vec<Option<u64>>,
    /// Parts that changed last, the latest first.
    recent: Vec<usize>,
    /// The next of the others.
    next: usize,
    room: Vec<u8>,
}

impl Scan {
    /// Nothing was seen yet of `size` bytes, which count as zeros. `None` where the machine has no room for
    /// them.
    #[must_use]
    pub fn try_new(size: u64) -> Option<Self> {
        let size = usize::try_from(size).ok()?;
        let mut view = Vec::new();
        view.try_reserve_exact(size).ok()?;
        view.resize(size, 0);
        let seen = vec![None; size.div_ceil(PART)];
        let room = vec![0; size.min(PART)];
        Some(Self { view, seen, recent: Vec::new(), next: 0, room })
    }

    /// True where nothing was looked at yet.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.seen.iter().all(Option::is_none)
    }

    /// Bytes that are looked at.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.view.len() as u64
    }

    /// Looks at the memory in a `period`, a number that each change is told with at the next look. After
    /// each part `more` is asked, with the bytes looked at so far, whether there is time for another;
    /// `found` is told of each change, and has the source.
    pub fn look<S: ScanSource>(
        &mut self,
        period: u64,
        source: &mut S,
        more: &mut dyn FnMut(u64) -> bool,
        found: &mut dyn FnMut(&mut S, Change<'_>),
    ) -> Looked {
        let mut looked = 0;
        let mut there = true;
        let recent = self.recent.clone();
        let first = self.next;
        let parts = self.seen.len();
        // One of the others at least, so that all of them come round.
        let mut others = (0..parts).map(|step| (first + step) % parts.max(1));
        let (mut at_recent, mut time, mut turned) = (recent.iter(), true, 0);
        loop {
            let part = match at_recent.next().filter(|_| time) {
                Some(part) => *part,
                None if time || turned == 0 => {
                    let Some(other) = others.find(|other| !recent.contains(other)) else { break };
                    turned += 1;
                    self.next = (other + 1) % parts;
                    other
                }
                None => break,
            };
            if !self.part(part, period, source, found) {
                there = false;
                break;
            }
            looked += 1;
            time = more(((looked * PART) as u64).min(self.size()));
        }
        Looked { whole: there && looked == parts, there }
    }

    /// Looks at one part. False where it cannot be read.
    fn part<S: ScanSource>(
        &mut self,
        part: usize,
        period: u64,
        source: &mut S,
        found: &mut dyn FnMut(&mut S, Change<'_>),
    ) -> bool {
        let start = part * PART;
        let end = (start + PART).min(self.view.len());
        let range = start as u64..end as u64;
        let view = &mut self.view[start..end];
        source.before(&range);
        let equal = match source.holds(range.start, view) {
            Some(true) => true,
            _ => {
                let now = &mut self.room[..end - start];
                if !source.read(range.start, now) {
                    return false;
                }
                *now == *view
            }
        };
        source.after(&range);
        let since = self.seen[part].replace(period);
        if equal {
            source.done(range.start, view);
            return true;
        }
        let now = &self.room[..end - start];
        for_each_difference(view, now, |differing| {
            let offset = range.start + differing.start as u64;
            found(source, Change { offset, bytes: &now[differing], since });
        });
        view.copy_from_slice(now);
        source.done(range.start, view);
        self.recent.retain(|known| *known != part);
        self.recent.insert(0, part);
        self.recent.truncate(RECENT);
        true
    }
}

/// The ranges of bytes that differ between two of the same length.
fn for_each_difference(old: &[u8], new: &[u8], mut differ: impl FnMut(Range<usize>)) {
    let mut open: Option<usize> = None;
    for (number, (before, now)) in old.chunks(STRIDE).zip(new.chunks(STRIDE)).enumerate() {
        if before == now && open.is_none() {
            continue;
        }
        for (index, (before, now)) in before.iter().zip(now).enumerate() {
            let at = number * STRIDE + index;
            match (open, before == now) {
                (None, false) => open = Some(at),
                (Some(start), true) => {
                    differ(start..at);
                    open = None;
                }
                _ => {}
            }
        }
    }
    if let Some(start) = open {
        differ(start..old.len().min(new.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bytes(Vec<u8>, Vec<Range<u64>>);

    impl ScanSource for Bytes {
        fn read(&mut self, offset: u64, into: &mut [u8]) -> bool {
            let start = offset as usize;
            let there = self.0.get(start..start + into.len());
            there.map(|bytes| into.copy_from_slice(bytes)).is_some()
        }

        fn before(&mut self, range: &Range<u64>) {
            self.1.push(range.clone());
        }
    }

    fn look(scan: &mut Scan, bytes: &mut Bytes, parts: u64) -> (Looked, Vec<(u64, usize)>) {
        let mut found = Vec::new();
        bytes.1.clear();
        let looked =
            scan.look(1, bytes, &mut |looked| looked < parts * PART as u64, &mut |_, change| {
                found.push((change.offset, change.bytes.len()))
            });
        (looked, found)
    }

    #[test]
    fn differences_are_exact_also_where_strides_meet() {
        for (start, end) in [(0, 1), (63, 64), (63, 65), (64, 128), (10, 200), (199, 200)] {
            let (old, mut new) = (vec![0; 200], vec![0; 200]);
            new[start..end].fill(1);
            let mut ranges = Vec::new();
            for_each_difference(&old, &new, |range| ranges.push(range));
            assert!(matches!(&ranges[..], [range] if *range == (start..end)), "{ranges:?}");
        }
    }

    #[test]
    fn what_changed_last_comes_first_and_the_rest_comes_round() {
        let mut scan = Scan::try_new(8 * PART as u64).unwrap();
        let mut bytes = Bytes(vec![0; 8 * PART], Vec::new());
        assert!(look(&mut scan, &mut bytes, 100).0.whole);
        bytes.0[5 * PART + 3] = 1;
        let mut looks = 0;
        while look(&mut scan, &mut bytes, 2).1.is_empty() {
            looks += 1;
            assert!(looks < 8, "each part comes round");
        }
        bytes.0[5 * PART + 3] = 2;
        let (looked, found) = look(&mut scan, &mut bytes, 1);
        assert_eq!(found, [(5 * PART as u64 + 3, 1)], "at once");
        assert_eq!(looked, Looked { whole: false, there: true });
        assert_eq!(bytes.1.len(), 2, "and one of the others in turn");
        bytes.0[0] = 1;
        bytes.0[7 * PART] = 1;
        let all: usize = (0..8).map(|_| look(&mut scan, &mut bytes, 1).1.len()).sum();
        assert_eq!(all, 2);
    }

    #[test]
    fn what_is_gone_is_told() {
        let mut scan = Scan::try_new(3 * PART as u64).unwrap();
        let mut bytes = Bytes(vec![0; PART], Vec::new());
        assert_eq!(look(&mut scan, &mut bytes, 9).0, Looked { whole: false, there: false });
        assert!(look(&mut Scan::try_new(0).unwrap(), &mut bytes, 9).0.whole);
    }
}
