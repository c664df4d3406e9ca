//! Which of the places that overlap are taken.

use std::ops::Range;

/// The points of a byte that is not zero; zero stays zero, so what is said of it makes no difference. The few below
/// these say which of those that cover as much is to be taken: one before two, and what is likelier.
pub(super) const BYTE: u64 = 1024;

/// The points that stand for what is likelier, fewer than those of a byte.
pub(super) const LIKELY: u64 = BYTE / 2;

/// The points of a range of bytes.
pub(super) fn points(bytes: &[u8]) -> u64 {
    BYTE * bytes.iter().filter(|byte| **byte != 0).count() as u64
}

/// Something that was found in a stream.
pub(super) struct Candidate<T> {
    pub(super) range: Range<usize>,
    /// Zero is never taken.
    pub(super) score: u64,
    pub(super) what: T,
}

/// Those of the candidates that do not overlap and have the highest scores together, in their order. So a
/// value that stands there twice is found twice, though its end and the next one's begin may read like another
/// form of it.
pub(super) fn choose<T>(mut candidates: Vec<Candidate<T>>) -> Vec<Candidate<T>> {
    // Of equal ones the first is taken.
    candidates.sort_by_key(|candidate| candidate.range.end);
    let ends: Vec<usize> = candidates.iter().map(|candidate| candidate.range.end).collect();
    // The best score of the first n, and whether the last of these is a part of it.
    let mut best: Vec<(u64, bool)> = vec![(0, false)];
    for (index, candidate) in candidates.iter().enumerate() {
        let before = ends[..index].partition_point(|end| *end <= candidate.range.start);
        let with = best[before].0 + candidate.score;
        let without = best[index].0;
        best.push(if with > without { (with, true) } else { (without, false) });
    }
    let mut chosen = vec![false; candidates.len()];
    let mut count = candidates.len();
    while count > 0 {
        if best[count].1 {
            chosen[count - 1] = true;
            count =
                ends[..count - 1].partition_point(|end| *end <= candidates[count - 1].range.start);
        } else {
            count -= 1;
        }
    }
    let mut chosen = chosen.into_iter();
    candidates.retain(|_| chosen.next() == Some(true));
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(candidates: &[(usize, usize, u64)]) -> Vec<(usize, usize)> {
        let of = |&(from, to, score)| Candidate { range: from..to, score, what: () };
        let chosen = choose(candidates.iter().map(of).collect());
        chosen.into_iter().map(|it| (it.range.start, it.range.end)).collect()
    }

    #[test]
    fn two_that_stand_side_by_side_go_before_one_across_them() {
        assert_eq!(chosen(&[(0, 8, 8), (4, 12, 8), (8, 16, 8)]), [(0, 8), (8, 16)]);
        assert_eq!(chosen(&[(4, 14, 10), (0, 8, 8)]), [(4, 14)]);
        assert_eq!(chosen(&[(0, 4, 4), (0, 12, 12), (2, 6, 4), (12, 14, 2)]), [(0, 12), (12, 14)]);
        assert_eq!(chosen(&[(0, 4, 4), (0, 4, 4)]), [(0, 4)]);
        assert_eq!(chosen(&[]), []);
    }
}
