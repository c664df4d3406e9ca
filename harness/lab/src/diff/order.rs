//! Which pairs moved: those outside of the longest run of pairs that keep their order.

/// For each pair, in the order of its first, whether it is among the most that are in order by their
/// second, too.
pub(super) fn in_order(seconds: &[u32]) -> Vec<bool> {
    // Patience sorting: the last of each pile, and whom each was laid on.
    let mut tops: Vec<usize> = Vec::new();
    let mut below: Vec<Option<usize>> = Vec::with_capacity(seconds.len());
    for (index, second) in seconds.iter().enumerate() {
        let pile = tops.partition_point(|top| seconds[*top] < *second);
        below.push(pile.checked_sub(1).map(|before| tops[before]));
        match tops.get_mut(pile) {
            Some(top) => *top = index,
            None => tops.push(index),
        }
    }
    let mut kept = vec![false; seconds.len()];
    let mut next = tops.last().copied();
    while let Some(index) = next {
        kept[index] = true;
        next = below[index];
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::in_order;

    #[test]
    fn what_was_moved_stands_out() {
        assert_eq!(in_order(&[0, 1, 5, 2, 3, 4]), [true, true, false, true, true, true]);
        assert_eq!(in_order(&[3, 0, 1]), [false, true, true]);
        assert!(in_order(&[]).is_empty());
    }
}
