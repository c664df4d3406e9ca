//! Tasks by priority: what finds orders of few surprises sooner than drawing each time does.

use super::seed::Generator;
use super::task::TaskId;
use std::collections::BTreeMap;

/// Changes of priority in a run, and the hand-overs among which they are drawn.
const CHANGES: u64 = 3;
const HAND_OVERS: u64 = 400;

/// Priorities of tasks (probabilistic concurrency testing): each has one by chance, the highest that is
/// ready goes on, and at a few hand-overs, drawn beforehand, the one that would go on falls below all
/// others. A task that yields does, too: it has nothing to do but to look again.
#[derive(Debug)]
pub(super) struct Priorities {
    seed: u64,
    of: BTreeMap<TaskId, i64>,
    changes: Vec<u64>,
    hand_overs: u64,
    lowest: i64,
}

impl Priorities {
    pub(super) fn new(seed: u64) -> Self {
        let mut generator = Generator::new(seed);
        let changes = (0..CHANGES).map(|_| generator.below(HAND_OVERS)).collect();
        Self { seed, of: BTreeMap::new(), changes, hand_overs: 0, lowest: 0 }
    }

    fn of(&mut self, task: TaskId) -> i64 {
        let seed = self.seed ^ (task.0 as u64 + 1).wrapping_mul(0x2545_f491_4f6c_dd1d);
        // The upper half of the range; those that fell are negative.
        *self.of.entry(task).or_insert_with(|| (Generator::new(seed).next_u64() >> 2) as i64)
    }

    /// Puts a task below all others.
    pub(super) fn demote(&mut self, task: TaskId) {
        self.lowest -= 1;
        self.of.insert(task, self.lowest);
    }

    /// Who goes on.
    pub(super) fn choose(&mut self, ready: impl Iterator<Item = TaskId>) -> Option<TaskId> {
        let mut ready: Vec<(i64, TaskId)> = ready.map(|task| (self.of(task), task)).collect();
        ready.sort_unstable_by(|a, b| b.cmp(a));
        let now = self.hand_overs;
        self.hand_overs += 1;
        let (_, first) = *ready.first()?;
        if ready.len() > 1 && self.changes.contains(&now) {
            self.demote(first);
            return ready.get(1).map(|(_, second)| *second);
        }
        Some(first)
    }
}
