//! Which runs are tried, in which order, and which of them fails first.

use super::origin::{Client, Ended, Origin, Run};
use super::{Deviation, Deviations, catalogue, shrink};
use crate::schedule::Generator;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
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
    /// How many of them had which reason.
    pub reasons: BTreeMap<String, u64>,
}

/// Reasons that are told of runs without a verdict.
const REASONS_SHOWN: usize = 3;

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

impl Explored {
    /// A run ended without a verdict.
    pub(super) fn leave(&mut self, why: String) {
        self.left += 1;
        *self.reasons.entry(why).or_default() += 1;
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
        let mut reasons: Vec<_> = self.reasons.iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (number, (reason, count)) in reasons.iter().take(REASONS_SHOWN).enumerate() {
            write!(f, "{} {count} because {reason}", if number == 0 { ":" } else { "," })?;
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
    /// Also as the tape suggests and does not prove.
    pub(super) extrapolate: bool,
}

/// Runs of one list each, drawn by a seed from what the run without deviations suggests.
struct Space {
    singles: Vec<Deviation>,
    /// What is added to lists in turn: nothing, and where it is asked for what is extrapolated.
    manners: Vec<Vec<Deviation>>,
    generator: Generator,
    drawn: HashSet<Vec<usize>>,
}

/// One list of a space.
struct Drawn {
    /// Which single deviations it has.
    list: Vec<usize>,
    /// And in which manner.
    manner: usize,
}

impl Space {
    fn new(plan: &Plan<'_>, run: &Run) -> Self {
        let mut singles = Vec::new();
        if plan.timing {
            singles.extend(plan.origin.own_timing());
            singles.extend(catalogue::timing(run));
        }
        if plan.faults {
            let posts = plan.origin.posts(run);
            singles.extend(catalogue::faults(run, posts, &plan.origin.outcomes()));
        }
        let mut generator = Generator::new(plan.seed);
        for last in (1..singles.len()).rev() {
            singles.swap(last, generator.below(last as u64 + 1) as usize);
        }
        // Of a mock there are fewer kinds, and a seed goes on to name the runs that it has named.
        let singles = match plan.origin {
            Origin::Tape(_) => rare_ones_early(singles),
            Origin::Live { .. } => singles,
        };
        let manners = match plan.origin {
            // Calls alone are not answered: where the device waits for what the client no longer does, and
            // is silent, an answer would say that it has nothing.
            Origin::Tape(_) if plan.extrapolate => {
                vec![vec![Deviation::Ahead, Deviation::Answered], Vec::new()]
            }
            _ => vec![Vec::new()],
        };
        Self { singles, manners, generator, drawn: HashSet::new() }
    }

    /// Lists of so many deviations, each in every manner.
    fn size(&self, depth: usize) -> u64 {
        let manners = if depth == 0 { 1 } else { self.manners.len() as u64 };
        self.lists(depth).saturating_mul(manners)
    }

    fn lists(&self, depth: usize) -> u64 {
        let count = self.singles.len() as u64;
        let mut size: u64 = 1;
        for taken in 0..depth as u64 {
            size = size.saturating_mul(count.saturating_sub(taken)) / (taken + 1);
        }
        size
    }

    /// The list of a schedule: first each deviation alone, in one manner after the other, then pairs and
    /// triples. `None` where there are no more.
    fn list(&mut self, schedule: u64) -> Option<Drawn> {
        let (singles, manners) = (self.singles.len() as u64, self.manners.len() as u64);
        let Some(number) = schedule.checked_sub(1) else {
            return Some(Drawn { list: Vec::new(), manner: self.plain() });
        };
        if number < singles * manners {
            let (sweep, single) = (number / singles, number % singles);
            // By chance, so that it does not depend on the place in the order of kinds.
            let mut first = Generator::new(single);
            let manner = ((first.below(manners) + sweep) % manners) as usize;
            return Some(Drawn { list: vec![single as usize], manner });
        }
        // All pairs in order where the pairs are few, and by chance what is many.
        let pairs = self.lists(2);
        let pair = number - singles * manners;
        if pairs <= PAIRS_IN_ORDER {
            let manner = (pair / pairs.max(1)) as usize;
            let list = nth_pair(pair % pairs.max(1), singles);
            return (pair < pairs * manners).then_some(Drawn { list, manner });
        }
        let manner = self.generator.below(manners) as usize;
        for _ in 0..64 {
            let count = 2 + self.generator.below(DEPTH as u64 - 1) as usize;
            let mut list: Vec<usize> =
                (0..count).map(|_| self.generator.below(singles) as usize).collect();
            list.sort_unstable();
            list.dedup();
            if list.len() > 1 && self.drawn.insert(list.clone()) {
                return Some(Drawn { list, manner });
            }
        }
        None
    }

    /// The manner in which nothing is extrapolated.
    fn plain(&self) -> usize {
        self.manners.iter().position(Vec::is_empty).unwrap_or(0)
    }

    fn deviations(&self, drawn: &Drawn) -> Deviations {
        let singles = drawn.list.iter().map(|index| &self.singles[*index]);
        self.manners[drawn.manner].iter().chain(singles).cloned().collect()
    }
}

/// Every other one is of the kind whose turn it is: of a long run most deviations are that a thread
/// stands still somewhere, and what there is only once must not have to wait for all of these.
fn rare_ones_early(singles: Vec<Deviation>) -> Vec<Deviation> {
    let mut kinds: Vec<(String, VecDeque<usize>)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for (index, single) in singles.iter().enumerate() {
        let kind = kind(single);
        let place = *places.entry(kind.clone()).or_insert_with(|| {
            kinds.push((kind, VecDeque::new()));
            kinds.len() - 1
        });
        kinds[place].1.push_back(index);
    }
    let mut taken = vec![false; singles.len()];
    let mut order = Vec::with_capacity(singles.len());
    let (mut any, mut turn) = (0, 0);
    while order.len() < singles.len() {
        let of_any = order.len() % 2 == 1;
        let next = if of_any {
            any += 1;
            Some(any - 1)
        } else {
            kinds.retain(|(_, left)| !left.is_empty());
            turn %= kinds.len().max(1);
            let next = kinds.get_mut(turn).and_then(|(_, left)| left.pop_front());
            turn += 1;
            next
        };
        let Some(next) = next else { break };
        if !std::mem::replace(&mut taken[next], true) {
            order.push(next);
        }
    }
    order.into_iter().map(|index| singles[index].clone()).collect()
}

/// What a deviation is, without where and how long.
fn kind(deviation: &Deviation) -> String {
    let text = deviation.to_string();
    let words =
        text.split_whitespace().filter(|word| !word.contains(|it: char| it.is_ascii_digit()));
    words.collect::<Vec<_>>().join(" ")
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
    let in_order = space.lists(2) <= PAIRS_IN_ORDER;
    let depths = if in_order { 3 } else { DEPTH + 1 };
    let of = |depth| Depth { explored: 0, of: space.size(depth) };
    let mut explored = Explored { depths: (0..depths).map(of).collect(), ..Explored::default() };
    for schedule in 0..plan.schedules {
        let Some(drawn) = space.list(schedule) else { break };
        if plan.only.is_some_and(|only| only != schedule) {
            continue;
        }
        let deviations = space.deviations(&drawn);
        let ended = match schedule {
            0 => recorded.ended.clone(),
            _ => plan.origin.run(&deviations, false, None, client).ended,
        };
        explored.depths[drawn.list.len()].explored += 1;
        match ended {
            Ended::Well => {}
            Ended::Left(why) => explored.leave(why),
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
