//! Which runs are tried, in which order, and which of them fails first.

use super::origin::{Client, Ended, Origin, Run};
use super::{Deviation, Deviations, catalogue, shrink};
use crate::schedule::Generator;
use std::collections::HashSet;
use std::fmt;

/// Deviations of a run at most.
const DEPTH: usize = 3;

/// What was tried, and how much more there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explored {
    /// Runs by the number of their deviations, from none on.
    pub depths: Vec<Depth>,
    /// Runs among them that ended without a verdict: the client went where the tape says nothing, or
    /// never came to an end.
    pub left: u64,
}

/// Runs of one number of deviations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Depth {
    /// Runs that were made.
    pub explored: u64,
    /// Runs that there are; a bound, since the space grows with what runs bring to light.
    pub of: u64,
}

impl Explored {
    /// Runs that were made.
    #[must_use]
    pub fn runs(&self) -> u64 {
        self.depths.iter().map(|depth| depth.explored).sum()
    }

    /// Runs that were not made.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        let remaining = self.depths.iter().map(|depth| depth.of.saturating_sub(depth.explored));
        remaining.fold(0, u64::saturating_add)
    }
}

impl fmt::Display for Explored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} runs explored, {} remain", self.runs(), self.remaining())?;
        for (deviations, Depth { explored, of }) in self.depths.iter().enumerate() {
            let between = if deviations == 0 { ": " } else { ", " };
            write!(f, "{between}{explored} of {of} with {deviations}")?;
        }
        f.write_str(" deviations")?;
        if self.left > 0 {
            write!(f, "; {} ended without a verdict", self.left)?;
        }
        Ok(())
    }
}

/// The first run that failed.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// Which schedule it was, from 0 on.
    pub(super) schedule: u64,
    /// All deviations that it had.
    pub(super) had: Deviations,
    /// Those that it needs.
    pub(super) needed: Deviations,
    pub(super) what: String,
}

/// What is to be explored.
pub(super) struct Plan<'a> {
    pub(super) origin: &'a Origin<'a>,
    pub(super) seed: u64,
    pub(super) schedules: u64,
    /// This schedule only.
    pub(super) only: Option<u64>,
    pub(super) timing: bool,
    pub(super) faults: bool,
}

/// Runs of one list each, drawn by a seed from what the run without deviations suggests.
struct Space {
    singles: Vec<Deviation>,
    generator: Generator,
    drawn: HashSet<Vec<usize>>,
}

impl Space {
    fn new(plan: &Plan<'_>, run: &Run) -> Self {
        let mut singles = Vec::new();
        if plan.timing {
            singles.extend(plan.origin.own_timing());
            singles.extend(catalogue::timing(run));
        }
        if plan.faults {
            singles.extend(catalogue::faults(run, plan.origin.posts(run)));
        }
        let mut generator = Generator::new(plan.seed);
        for last in (1..singles.len()).rev() {
            singles.swap(last, generator.below(last as u64 + 1) as usize);
        }
        Self { singles, generator, drawn: HashSet::new() }
    }

    /// Lists of so many deviations.
    fn size(&self, depth: usize) -> u64 {
        let count = self.singles.len() as u64;
        let mut size: u64 = 1;
        for taken in 0..depth as u64 {
            size = size.saturating_mul(count.saturating_sub(taken)) / (taken + 1);
        }
        size
    }

    /// The list of a schedule: first each deviation alone, then pairs and triples. `None` where there
    /// are no more.
    fn list(&mut self, schedule: u64) -> Option<Vec<usize>> {
        let singles = self.singles.len() as u64;
        match schedule {
            0 => return Some(Vec::new()),
            number if number <= singles => return Some(vec![number as usize - 1]),
            _ => {}
        }
        // All pairs in order where the pairs are few, and by chance what is many.
        let pairs = self.size(2);
        let pair = schedule - singles - 1;
        if pairs <= PAIRS_IN_ORDER {
            return (pair < pairs).then(|| nth_pair(pair, singles));
        }
        for _ in 0..64 {
            let count = 2 + self.generator.below(DEPTH as u64 - 1) as usize;
            let mut list: Vec<usize> =
                (0..count).map(|_| self.generator.below(singles) as usize).collect();
            list.sort_unstable();
            list.dedup();
            if list.len() > 1 && self.drawn.insert(list.clone()) {
                return Some(list);
            }
        }
        None
    }

    fn deviations(&self, list: &[usize]) -> Deviations {
        list.iter().map(|index| self.singles[*index].clone()).collect()
    }
}

/// Pairs up to which they are all tried, in order.
const PAIRS_IN_ORDER: u64 = 20_000;

/// The pair of that number: (0, 1), (0, 2), (1, 2), (0, 3)...
fn nth_pair(number: u64, singles: u64) -> Vec<usize> {
    let mut before = 0;
    for second in 1..singles {
        if number < before + second {
            return vec![(number - before) as usize, second as usize];
        }
        before += second;
    }
    Vec::new()
}

/// Tries runs until one fails or enough are made.
pub(super) fn explore(plan: &Plan<'_>, client: Client<'_>) -> (Explored, Option<Found>) {
    let recorded = plan.origin.run(&Deviations::NONE, true, None, client);
    let mut space = Space::new(plan, &recorded);
    let in_order = space.size(2) <= PAIRS_IN_ORDER;
    let depths = if in_order { 3 } else { DEPTH + 1 };
    let of = |depth| Depth { explored: 0, of: space.size(depth) };
    let mut explored = Explored { depths: (0..depths).map(of).collect(), left: 0 };
    for schedule in 0..plan.schedules {
        let Some(list) = space.list(schedule) else { break };
        if plan.only.is_some_and(|only| only != schedule) {
            continue;
        }
        let deviations = space.deviations(&list);
        let ended = match schedule {
            0 => recorded.ended.clone(),
            _ => plan.origin.run(&deviations, false, None, client).ended,
        };
        explored.depths[list.len()].explored += 1;
        match ended {
            Ended::Well => {}
            Ended::Left(_) => explored.left += 1,
            Ended::Failed(first) => {
                let mut what = first;
                let needed = shrink(&deviations, |rest| {
                    match plan.origin.run(rest, false, None, client).ended {
                        Ended::Failed(failure) => {
                            what = failure;
                            true
                        }
                        Ended::Well | Ended::Left(_) => false,
                    }
                });
                return (explored, Some(Found { schedule, had: deviations, needed, what }));
            }
        }
    }
    (explored, None)
}
