//! The shadow: what a client can know of a mapping's bytes.

use std::collections::BTreeMap;
use std::ops::Range;

/// Bytes of a shadow page. Small, because a client looks at few bytes of a large mapping.
const PAGE: u64 = 1024;

/// A sparse copy of a mapping's bytes, kept alike by recorder and replayer. All bytes are zero until
/// they are written: what a client has not seen or written itself costs nothing.
///
/// # Examples
///
/// ```
/// use dextape::memory::Shadow;
///
/// let mut shadow = Shadow::new();
/// shadow.write(4, &[1, 2, 3]);
/// assert_eq!(shadow.difference(4, &[1, 9, 3]), Some(5..6));
/// assert_eq!(shadow.difference(4, &[1, 2, 3]), None);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Shadow {
    pages: BTreeMap<u64, Box<[u8; PAGE as usize]>>,
}

impl Shadow {
    /// A shadow of zeros.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Copies the shadow's bytes out.
    pub fn read(&self, offset: u64, into: &mut [u8]) {
        for_each_page(offset, into.len(), |page, within, part| match self.pages.get(&page) {
            Some(bytes) => into[part].copy_from_slice(&bytes[within]),
            None => into[part].fill(0),
        });
    }

    /// Sets the shadow's bytes. Zeros on a page that holds nothing take no memory.
    pub fn write(&mut self, offset: u64, bytes: &[u8]) {
        for_each_page(offset, bytes.len(), |page, within, part| {
            let bytes = &bytes[part];
            if let Some(held) = self.pages.get_mut(&page) {
                held[within].copy_from_slice(bytes);
            } else if bytes.iter().any(|byte| *byte != 0) {
                let mut held = Box::new([0; PAGE as usize]);
                held[within].copy_from_slice(bytes);
                self.pages.insert(page, held);
            }
        });
    }

    /// The smallest range, as offsets in the memory, outside which `seen` (bytes at `offset`) equals
    /// the shadow; `None` where all of it does.
    #[must_use]
    pub fn difference(&self, offset: u64, seen: &[u8]) -> Option<Range<u64>> {
        let mut found: Option<Range<u64>> = None;
        for_each_page(offset, seen.len(), |page, within, part| {
            let start = offset + part.start as u64;
            let seen = &seen[part];
            let differs = |index: &usize| match self.pages.get(&page) {
                Some(held) => held[within.start + index] != seen[*index],
                None => seen[*index] != 0,
            };
            let equal = match self.pages.get(&page) {
                Some(held) => held[within.clone()] == *seen,
                None => seen.iter().all(|byte| *byte == 0),
            };
            if equal {
                return;
            }
            let first = (0..seen.len()).find(differs).unwrap_or(0) as u64;
            let last = (0..seen.len()).rev().find(differs).unwrap_or(0) as u64;
            let from = found.as_ref().map_or(start + first, |range| range.start);
            found = Some(from..start + last + 1);
        });
        found
    }

    /// Bytes of memory that the shadow takes, without its index.
    #[must_use]
    pub fn footprint(&self) -> u64 {
        self.pages.len() as u64 * PAGE
    }
}

/// Calls `visit` with each page that `length` bytes at `offset` touch: the page's number, the range
/// within the page, and the range within the bytes. A range that would pass the end of the address
/// space is cut there.
fn for_each_page(
    offset: u64,
    length: usize,
    mut visit: impl FnMut(u64, Range<usize>, Range<usize>),
) {
    let length = (length as u64).min(u64::MAX - offset);
    let mut done = 0;
    while done < length {
        let at = offset + done;
        let within = at % PAGE;
        let take = (PAGE - within).min(length - done);
        let part = done as usize..(done + take) as usize;
        visit(at / PAGE, within as usize..(within + take) as usize, part);
        done += take;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_bytes_of_a_large_mapping_cost_one_page() {
        let mut shadow = Shadow::new();
        shadow.write(40 << 20, &[1; 12]);
        shadow.write(20 << 20, &[0; 4096]);
        assert_eq!(shadow.footprint(), PAGE);
    }

    #[test]
    fn a_difference_is_tight_and_spans_pages() {
        let mut shadow = Shadow::new();
        let bytes: Vec<u8> = (0..3000_u32).map(|index| index as u8).collect();
        shadow.write(100, &bytes);
        assert_eq!(shadow.difference(100, &bytes), None);
        let mut seen = bytes.clone();
        seen[10] ^= 1;
        assert_eq!(shadow.difference(100, &seen), Some(110..111));
        seen[2900] ^= 1;
        assert_eq!(shadow.difference(100, &seen), Some(110..3001));
        seen[10] ^= 1;
        assert_eq!(shadow.difference(100, &seen), Some(3000..3001));
        let mut read = vec![9; 3000];
        shadow.read(100, &mut read);
        assert_eq!(read, bytes);
    }

    #[test]
    fn the_end_of_the_address_space_does_not_wrap() {
        let mut shadow = Shadow::new();
        shadow.write(u64::MAX - 2, &[1, 2, 3, 4]);
        let mut read = [9; 2];
        shadow.read(u64::MAX - 2, &mut read);
        assert_eq!(read, [1, 2]);
    }
}
