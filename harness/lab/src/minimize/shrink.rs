//! Delta debugging: large parts first, then ever smaller ones, until each single one is needed.

use super::kept::Kept;
use super::options::{Control, Progress};
use super::units::Units;
use std::collections::HashMap;

/// Units with this many users or more are tried with all that depends on them before anything else: it
/// may be a connection that has nothing to do with the failure.
const ROOT_USERS: usize = 2;

/// At most so many of them.
const ROOTS_MAX: usize = 64;

/// Verdicts that are remembered.
const VERDICTS_MAX: usize = 1 << 20;

/// One search.
pub(super) struct Shrinker<'a> {
    pub(super) units: &'a Units,
    /// Whether what is looked for happens with these units.
    pub(super) fails: &'a (dyn Fn(&Kept) -> bool + Sync),
    pub(super) control: &'a Control<'a>,
    verdicts: HashMap<(u64, u64), bool>,
    /// Units that are not needed, as it seems.
    hint: Vec<u32>,
}

impl<'a> Shrinker<'a> {
    pub(super) fn new(
        units: &'a Units,
        fails: &'a (dyn Fn(&Kept) -> bool + Sync),
        control: &'a Control<'a>,
    ) -> Self {
        Self { units, fails, control, verdicts: HashMap::new(), hint: Vec::new() }
    }

    /// Units that are likely not needed are tried first, all at once.
    pub(super) fn hint(&mut self, units: Vec<u32>) {
        self.hint = units;
    }

    /// The units that are left, and whether none of them can be taken away.
    pub(super) fn run(&mut self) -> (Kept, bool) {
        let mut kept = Kept::all(self.units.len());
        let hint = std::mem::take(&mut self.hint);
        self.pass(&mut kept, vec![hint], Self::where_free);
        self.roots(&mut kept);
        self.chunks(&mut kept);
        let is_minimal = self.singles(&mut kept);
        (kept, is_minimal)
    }

    fn roots(&mut self, kept: &mut Kept) {
        let mut roots: Vec<u32> = (0..self.units.len() as u32)
            .filter(|unit| self.units.users(*unit).len() >= ROOT_USERS)
            .collect();
        roots.sort_by_key(|unit| std::cmp::Reverse(self.units.users(*unit).len()));
        roots.truncate(ROOTS_MAX);
        let one_each = roots.into_iter().map(|unit| vec![unit]).collect();
        self.pass(kept, one_each, Self::with_users);
    }

    fn chunks(&mut self, kept: &mut Kept) {
        let mut size = kept.len().div_ceil(2);
        while size > 0 && !self.control.is_over() {
            let order: Vec<u32> = kept.iter().collect();
            // What came last is the least likely to be needed by something else.
            let chunks = order.rchunks(size).map(<[u32]>::to_vec).collect();
            self.pass(kept, chunks, Self::where_free);
            size = if size == 1 { 0 } else { size.div_ceil(2).min(kept.len().div_ceil(2)) };
        }
    }

    /// Tries each single one, with what cannot be there without it, until all are needed. False where
    /// the time is over before.
    fn singles(&mut self, kept: &mut Kept) -> bool {
        loop {
            let units: Vec<_> = kept.iter().map(|unit| vec![unit]).collect();
            let before = kept.len();
            self.pass(kept, units.into_iter().rev().collect(), Self::with_users);
            if self.control.is_over() {
                return false;
            }
            if kept.len() == before {
                return true;
            }
        }
    }

    /// Tries to take away each of `parts`, several at a time where there are several jobs; what comes of
    /// it is the same for any number of them.
    fn pass(
        &mut self,
        kept: &mut Kept,
        parts: Vec<Vec<u32>>,
        rest: fn(&Self, &Kept, &[u32]) -> Kept,
    ) {
        let mut next = 0;
        while next < parts.len() && !self.control.is_over() {
            let mut candidates = Vec::new();
            let mut at = next;
            while at < parts.len() && candidates.len() < self.control.jobs {
                let candidate = rest(self, kept, &parts[at]);
                if candidate != *kept {
                    candidates.push((at, candidate));
                }
                at += 1;
            }
            let failing = self.first_failing(&candidates);
            match failing.and_then(|index| candidates.into_iter().nth(index)) {
                Some((part, candidate)) => {
                    *kept = candidate;
                    next = part + 1;
                }
                None => next = at,
            }
            self.control.tell(Progress { units: kept.len(), ..self.control.progress() });
        }
    }

    /// The first candidate with which it fails.
    fn first_failing(&mut self, candidates: &[(usize, Kept)]) -> Option<usize> {
        let hashes: Vec<_> = candidates.iter().map(|(_, kept)| kept.hashes()).collect();
        let known =
            |verdicts: &HashMap<_, bool>, index: usize| verdicts.get(&hashes[index]).copied();
        let first_known =
            (0..candidates.len()).find(|index| known(&self.verdicts, *index) == Some(true));
        let open: Vec<usize> = (0..first_known.unwrap_or(candidates.len()))
            .filter(|index| known(&self.verdicts, *index).is_none())
            .collect();
        self.control.count(open.len() as u64, (candidates.len() - open.len()) as u64);
        let fails = self.fails;
        let verdicts: Vec<bool> = match open[..] {
            [only] => vec![fails(&candidates[only].1)],
            _ => std::thread::scope(|scope| {
                let runs: Vec<_> = open
                    .iter()
                    .map(|index| scope.spawn(move || fails(&candidates[*index].1)))
                    .collect();
                // A panic of the judge itself is nothing that it was asked.
                runs.into_iter().map(|run| run.join().unwrap_or(false)).collect()
            }),
        };
        if self.verdicts.len() >= VERDICTS_MAX {
            self.verdicts.clear();
        }
        // A run that was cut short says nothing.
        let over = self.control.is_over();
        let mut first = first_known;
        for (index, verdict) in open.into_iter().zip(verdicts) {
            if verdict || !over {
                self.verdicts.insert(hashes[index], verdict);
            }
            if verdict && first.is_none_or(|first| index < first) {
                first = Some(index);
            }
        }
        first
    }

    /// What is left without these and all that cannot be there without them.
    fn with_users(&self, kept: &Kept, units: &[u32]) -> Kept {
        let mut rest = kept.clone();
        let mut open = units.to_vec();
        while let Some(unit) = open.pop() {
            if rest.has(unit) {
                rest.remove(unit);
                open.extend(self.units.users(unit));
            }
        }
        rest
    }

    /// What is left without those of these that nothing which is left depends on.
    fn where_free(&self, kept: &Kept, units: &[u32]) -> Kept {
        let mut rest = kept.clone();
        units.iter().for_each(|unit| rest.remove(*unit));
        let is_used =
            |rest: &Kept, unit: u32| self.units.all_users(unit).any(|user| rest.has(user));
        let mut back: Vec<u32> =
            units.iter().copied().filter(|unit| kept.has(*unit) && is_used(&rest, *unit)).collect();
        while let Some(unit) = back.pop() {
            if !rest.has(unit) {
                rest.insert(unit);
                back.extend(self.units.all_needs(unit).filter(|needed| kept.has(*needed)));
            }
        }
        rest
    }
}
