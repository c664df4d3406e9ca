//! The smallest list of deviations that still does it.

use super::Deviations;

/// Takes deviations away for as long as `fails` holds of what is left: first large parts, then single
/// ones (delta debugging). What is left fails, and without any one of it does not.
///
/// `fails` is asked of lists only that are shorter than the given one, which is taken to fail.
///
/// # Examples
///
/// ```
/// use dextape::perturb::{Deviation, Deviations, shrink};
///
/// let all: Deviations = "post 1: late 1ms; post 2: late 1ms; patch 3: late; post 4: late 1ms".parse()?;
/// let needed: Deviation = "patch 3: late".parse()?;
/// let left = shrink(&all, |list| list.0.contains(&needed));
/// assert_eq!(left.to_string(), "patch 3: late");
/// # Ok::<(), dextape::perturb::DeviationError>(())
/// ```
pub fn shrink(all: &Deviations, mut fails: impl FnMut(&Deviations) -> bool) -> Deviations {
    let mut left = all.clone();
    let mut part = left.len().div_ceil(2);
    while part > 0 && !left.is_empty() {
        let mut taken = false;
        let mut from = 0;
        while from < left.len() {
            let to = (from + part).min(left.len());
            let rest = left.0[..from].iter().chain(&left.0[to..]).cloned().collect();
            if fails(&rest) {
                left = rest;
                taken = true;
            } else {
                from = to;
            }
        }
        // Once nothing of this size goes, smaller parts may; single ones are tried until none goes.
        part = match (taken, part) {
            (true, _) => part.min(left.len()),
            (false, 1) => 0,
            (false, _) => part / 2,
        };
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perturb::{Deviation, Shift};
    use std::time::Duration;

    fn list(numbers: impl IntoIterator<Item = u64>) -> Deviations {
        let post = |event| {
            let shift = Shift::Late(Duration::ZERO);
            Deviation::Post { event, shift }
        };
        numbers.into_iter().map(post).collect()
    }

    #[test]
    fn what_is_left_is_needed() {
        let needed = list([3, 40, 41, 99]);
        let mut asked = 0;
        let left = shrink(&list(0..100), |rest| {
            asked += 1;
            needed.0.iter().all(|deviation| rest.0.contains(deviation))
        });
        assert_eq!(left, needed);
        assert!(asked < 200, "asked {asked} times");
    }

    #[test]
    fn any_one_of_two_is_enough() {
        let left = shrink(&list(1..=9), |rest| {
            [list([2]), list([7])].iter().any(|one| rest.0.contains(&one.0[0]))
        });
        assert_eq!(left.len(), 1);
        assert_eq!(shrink(&list([]), |_| true), list([]));
        assert_eq!(shrink(&list([5]), |_| true), list([]), "it fails anyway");
    }
}
