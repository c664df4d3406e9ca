//! Two runs beside each other.

use super::operations::Operation;
use super::place::WORD;
use std::collections::BTreeMap;

/// Cells of the table that an alignment may take: two courses of about 8000 operations that differ.
const CELLS_MAX: usize = 64 << 20;

/// The pairs of the best alignment, in order: where it scores most. `score` is 0 where two operations are
/// no pair. `None` where the runs differ over too long a stretch.
pub(crate) fn align<T>(
    one: &[T],
    other: &[T],
    score: impl Fn(&T, &T) -> u32,
    best: u32,
) -> Option<Vec<(usize, usize)>> {
    // What both begin and end with alike needs no table.
    let alike = |(one, other): &(&T, &T)| score(one, other) == best;
    let before = one.iter().zip(other).take_while(alike).count();
    let (left, right) = (&one[before..], &other[before..]);
    let after = left.iter().rev().zip(right.iter().rev()).take_while(alike).count();
    let (rows, columns) = (left.len() - after, right.len() - after);
    let width = columns + 1;
    if (rows + 1).checked_mul(width)? > CELLS_MAX {
        return None;
    }
    let mut table = vec![0_u32; (rows + 1) * width];
    for row in (0..rows).rev() {
        for column in (0..columns).rev() {
            let skip = table[(row + 1) * width + column].max(table[row * width + column + 1]);
            let pair = score(&left[row], &right[column]);
            let paired = if pair > 0 { table[(row + 1) * width + column + 1] + pair } else { 0 };
            table[row * width + column] = skip.max(paired);
        }
    }
    let mut pairs: Vec<_> = (0..before).map(|at| (at, at)).collect();
    let (mut row, mut column) = (0, 0);
    while row < rows && column < columns {
        let here = table[row * width + column];
        let pair = score(&left[row], &right[column]);
        if pair > 0 && here == table[(row + 1) * width + column + 1] + pair {
            pairs.push((before + row, before + column));
            (row, column) = (row + 1, column + 1);
        } else if here == table[(row + 1) * width + column] {
            row += 1;
        } else {
            column += 1;
        }
    }
    pairs.extend((0..after).map(|at| (before + rows + at, before + columns + at)));
    Some(pairs)
}

/// The pairs of two runs, each connection, each queue and the registry for itself: how two of them lie
/// between each other is not the same each time.
pub(super) fn align_courses(
    one: &[Operation],
    other: &[Operation],
    score: impl Fn(&Operation, &Operation) -> u32,
    best: u32,
) -> Option<Vec<(usize, usize)>> {
    let courses = |operations: &[Operation]| {
        let mut courses: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (place, operation) in operations.iter().enumerate() {
            courses.entry(operation.course).or_default().push(place);
        }
        courses
    };
    let (ours, theirs) = (courses(one), courses(other));
    let mut pairs = Vec::new();
    for (course, ours) in ours {
        let Some(theirs) = theirs.get(&course) else { continue };
        let score = |left: &usize, right: &usize| score(&one[*left], &other[*right]);
        let found = align(&ours, theirs, score, best)?;
        pairs.extend(found.into_iter().map(|(left, right)| (ours[left], theirs[right])));
    }
    pairs.sort_by_key(|(_, their)| *their);
    Some(pairs)
}

/// What [`alike`] gives at best.
pub(super) const BEST: u32 = SAME_SHAPE + SAME_WORDS;
/// That two operations are of one shape counts more than what they hand in.
pub(super) const SAME_SHAPE: u32 = 1000;
const SAME_WORDS: u32 = 100;

/// Best for operations of one shape that hand in the same; less for those that hand in fewer of the same
/// words.
pub(super) fn alike(one: &Operation, other: &Operation) -> u32 {
    if one.shape != other.shape {
        return 0;
    }
    let (Some(left), Some(right)) = (&one.call, &other.call) else { return BEST };
    if one.same_inputs(other) {
        return BEST;
    }
    let scalars = left.scalars.iter().zip(&right.scalars).filter(|(one, other)| one == other);
    let words = left.input.chunks(WORD).zip(right.input.chunks(WORD));
    let same = scalars.count() + words.filter(|(one, other)| one == other).count();
    let all = left.scalars.len() + left.input.len().div_ceil(WORD);
    // Less than for the same.
    SAME_SHAPE + (same * (SAME_WORDS as usize - 1) / all.max(1)) as u32
}
