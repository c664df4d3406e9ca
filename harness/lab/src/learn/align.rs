//! Two runs beside each other.

use super::operations::Operation;

/// Cells of the table that an alignment may take: two runs of about 8000 operations that differ.
const CELLS_MAX: usize = 64 << 20;

/// The pairs of the best alignment, in order: where it scores most. `score` is 0 where two operations are
/// no pair. `None` where the runs differ over too long a stretch.
pub(super) fn align(
    one: &[Operation],
    other: &[Operation],
    score: impl Fn(&Operation, &Operation) -> u32,
    best: u32,
) -> Option<Vec<(usize, usize)>> {
    // What both begin and end with alike needs no table.
    let alike = |(one, other): &(&Operation, &Operation)| score(one, other) == best;
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

/// Best for operations of one shape whose inputs are the same; something for those of one shape.
pub(super) fn by_shape(one: &Operation, other: &Operation) -> u32 {
    match one.shape == other.shape {
        true => 2 + u32::from(one.same_inputs(other)),
        false => 0,
    }
}

/// What [`by_shape`] gives at best.
pub(super) const BEST: u32 = 3;
