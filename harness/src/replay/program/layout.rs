//! The order of lanes and streams, once all steps are there.

use super::step::{Kind, LaneIndex, NONE, Program, Step};
use crate::replay::Policy;
use std::collections::{BTreeSet, HashMap};

impl Program {
    /// Puts the lanes in the order of their numbers, whichever comes first on the tape.
    pub(super) fn sort_lanes(&mut self) {
        let mut order: Vec<usize> = (0..self.lanes.len()).collect();
        order.sort_by_key(|lane| (self.lanes[*lane].process, self.lanes[*lane].number));
        let mut place = vec![NONE; order.len()];
        for (new, old) in order.iter().enumerate() {
            place[*old] = new as u32;
        }
        self.lanes = order.iter().map(|lane| self.lanes[*lane]).collect();
        self.initial_patches = order.iter().map(|lane| self.initial_patches[*lane]).collect();
        self.steps.iter_mut().for_each(|step| step.lane = place[step.lane as usize]);
        self.patches.iter_mut().for_each(|patch| patch.lane = place[patch.lane as usize]);
        let takes = std::mem::take(&mut self.takes);
        let moved = |((lane, step), take)| ((place[lane as usize], step), take);
        self.takes = takes.into_iter().map(moved).collect();
    }

    /// `lanes` where several threads used one connection, else `ordered`.
    pub(super) fn suggested_policy(&self) -> Policy {
        let mut users: HashMap<u32, LaneIndex> = HashMap::new();
        let shared = self.steps.iter().filter(|step| step.connection != NONE).any(|step| {
            // An open is the registry's, and the one who opens often is not the one who calls.
            step.kind != Kind::Open
                && *users.entry(step.connection).or_insert(step.lane) != step.lane
        });
        if shared { Policy::Lanes } else { Policy::Ordered }
    }

    pub(super) fn lay_streams(&mut self) {
        if self.policy.is_keyed() {
            return;
        }
        if self.policy == Policy::Ordered {
            let connections: BTreeSet<u32> =
                self.steps.iter().filter_map(|step| self.ordered_by(step).ok()).collect();
            let queues: BTreeSet<u32> = self
                .steps
                .iter()
                .filter_map(|step| self.ordered_by(step).err().flatten())
                .collect();
            // Stream 0 is the registry's.
            let mut next = 0..;
            let mut number = |number| (number, next.next().map_or(NONE, |next: u32| next + 1));
            self.connection_streams = connections.into_iter().map(&mut number).collect();
            self.queue_streams = queues.into_iter().map(&mut number).collect();
        }
        let count = match self.policy {
            Policy::Ordered => 1 + self.connection_streams.len() + self.queue_streams.len(),
            _ => self.lanes.len(),
        };
        self.streams = vec![NONE; count];
        // From the last to the first, so that each step is put before the rest of its stream.
        for index in (0..self.steps.len()).rev() {
            let step = &self.steps[index];
            let stream = match self.policy {
                Policy::Ordered => match self.ordered_by(step) {
                    Ok(connection) => Self::stream_of(&self.connection_streams, connection),
                    Err(Some(queue)) => Self::stream_of(&self.queue_streams, queue),
                    Err(None) => 0,
                },
                _ => step.lane,
            };
            self.steps[index].stream = stream;
            let first = &mut self.streams[stream as usize];
            self.steps[index].next = std::mem::replace(first, index as u32);
        }
    }

    /// The connection by which `ordered` orders a step, else its queue, else nothing: the registry.
    pub(super) fn ordered_by(&self, step: &Step) -> Result<u32, Option<u32>> {
        match step.kind {
            Kind::Call | Kind::AsyncCall | Kind::Map | Kind::Unmap | Kind::Close | Kind::Other => {
                Ok(step.connection)
            }
            Kind::Write | Kind::Update => Ok(self
                .memories
                .get(step.selector as usize)
                .map_or(NONE, |memory| memory.connection)),
            Kind::Wait | Kind::Take | Kind::TakeNotice => Err(Some(step.selector)),
            Kind::Matched | Kind::Property | Kind::Watch | Kind::Queue | Kind::Open => Err(None),
        }
    }
}
