//! What a client that crosses a gap is looked up by, made once: no answer takes longer where more stands
//! behind the gap.

use super::keys::KeyTable;
use super::step::{
    EventIndex, Kind, LaneIndex, NONE, Outcome, PatchIndex, Program, Step, StepIndex,
};
use crate::replay::other::key_words;
use crate::replay::request::{Request, recorded};
use crate::tape::Body;
use std::collections::HashMap;

/// What operations have in common that are of one sort: their kind, and a selector, memory type or
/// service.
pub(in crate::replay) type Sort = (Kind, u64);

/// Steps, completions and changes of a tape with gaps, by what is asked of them.
#[derive(Debug)]
pub(in crate::replay) struct Lookups {
    keys: KeyTable,
    /// By the first step of a key and the lane: places of the steps of that key.
    places: HashMap<(StepIndex, LaneIndex), Vec<u32>>,
    pub(in crate::replay) sorts: HashMap<Sort, Vec<StepIndex>>,
    /// Completions of each asynchronous call.
    pub(in crate::replay) posts: HashMap<StepIndex, Vec<u32>>,
    /// Asynchronous calls of a sort that have completions, and only such that worked.
    pub(in crate::replay) completing: HashMap<Sort, Vec<StepIndex>>,
    /// By queue, the calls that complete there more than once, with the completions that worked.
    pub(in crate::replay) repeating: HashMap<u32, Vec<(StepIndex, Vec<u32>)>>,
    /// The wait or take that gave each completion.
    pub(in crate::replay) delivered: HashMap<u32, StepIndex>,
    /// By connection, the steps that opened it.
    pub(in crate::replay) opens: HashMap<u32, Vec<StepIndex>>,
    /// Changes of each memory.
    pub(in crate::replay) patches: Vec<Vec<PatchIndex>>,
    /// Changes that each lane saw.
    pub(in crate::replay) lane_patches: Vec<Vec<PatchIndex>>,
    /// Events that did something to memory: all, and those of each lane.
    pub(in crate::replay) memory_events: Vec<EventIndex>,
    pub(in crate::replay) lane_memory_events: Vec<Vec<EventIndex>>,
}

/// The sort of what a client does.
pub(in crate::replay) fn sort_of(request: &Request<'_>) -> Sort {
    let of = match request {
        Request::Call(call) => u64::from(call.selector),
        Request::Open { service, .. } => *service,
        Request::Map { memory_type, .. } | Request::Unmap { memory_type, .. } => {
            u64::from(*memory_type)
        }
        Request::Other { call, .. } => {
            let [kind, number, _] = key_words(call);
            kind << 32 | number
        }
        _ => 0,
    };
    (request.kind(), of)
}

impl Lookups {
    /// `places` is the place of each step in its lane, [`NONE`] where only one half of it is there.
    pub(super) fn new(program: &Program, places: &[u32], opaque_input: bool) -> Self {
        let lanes = program.lanes.len();
        let keys = KeyTable::new(program, opaque_input);
        let mut by_key: HashMap<_, Vec<u32>> = HashMap::new();
        for (place, (first, step)) in places.iter().zip(keys.firsts().iter().zip(&program.steps)) {
            if *place != NONE {
                by_key.entry((*first, step.lane)).or_default().push(*place);
            }
        }
        let mut sorts: HashMap<Sort, Vec<StepIndex>> = HashMap::new();
        let mut opens: HashMap<u32, Vec<StepIndex>> = HashMap::new();
        for (index, step) in (0..).zip(&program.steps) {
            if step.kind == Kind::Open {
                opens.entry(step.connection).or_default().push(index);
            }
            if places[index as usize] != NONE {
                sorts.entry(sort_of(&recorded(program, index))).or_default().push(index);
            }
        }
        let mut lane_patches = vec![Vec::new(); lanes];
        let mut patches = vec![Vec::new(); program.memories.len()];
        for (index, patch) in (0..).zip(&program.patches) {
            patches[patch.memory as usize].push(index);
            lane_patches[patch.lane as usize].push(index);
        }
        let mut this = Self {
            keys,
            places: by_key,
            sorts,
            opens,
            patches,
            lane_patches,
            posts: HashMap::new(),
            completing: HashMap::new(),
            repeating: HashMap::new(),
            delivered: HashMap::new(),
            memory_events: Vec::new(),
            lane_memory_events: vec![Vec::new(); lanes],
        };
        this.add_completions(program, places);
        this.add_memory_events(program);
        this
    }

    fn add_completions(&mut self, program: &Program, places: &[u32]) {
        for (number, post) in (0..).zip(&program.posts) {
            if post.call != NONE {
                self.posts.entry(post.call).or_default().push(number);
            }
        }
        let works = |post: &u32| program.posts[*post as usize].status.is_success();
        let mut calls: Vec<_> = self.posts.iter().collect();
        calls.sort_unstable_by_key(|(call, _)| **call);
        for (call, posts) in calls {
            let request = recorded(program, *call);
            if places[*call as usize] != NONE && posts.iter().all(works) {
                self.completing.entry(sort_of(&request)).or_default().push(*call);
            }
            if posts.len() > 1
                && let Request::Call(made) = request
                && let Some(queue) = made.wake.and_then(|wake| wake.queue)
            {
                let working = posts.iter().copied().filter(works).collect();
                self.repeating.entry(queue).or_default().push((*call, working));
            }
        }
        for (index, step) in (0..).zip(&program.steps) {
            if step.is_taken()
                && places[index as usize] != NONE
                && let Some(Outcome::Completion(post)) = outcome(program, step)
            {
                self.delivered.insert(post, index);
            }
        }
    }

    fn add_memory_events(&mut self, program: &Program) {
        let lanes: HashMap<(u32, u32), usize> =
            program.lanes.iter().map(|lane| (lane.process, lane.number)).zip(0..).collect();
        for (index, event) in (0..).zip(program.tape.events()) {
            if matches!(event.body, Body::Patch { .. } | Body::Write { .. } | Body::Update { .. }) {
                self.memory_events.push(index);
                if let Some(lane) = lanes.get(&(event.process, event.lane)) {
                    self.lane_memory_events[*lane].push(index);
                }
            }
        }
    }

    /// The places of a lane, from `rest` on, at which it did what is asked or something of the same hash.
    pub(in crate::replay) fn places(
        &self,
        program: &Program,
        request: &Request<'_>,
        lane: LaneIndex,
        rest: u32,
    ) -> &[u32] {
        let first = self.keys.first(&program.rules, request);
        let places = self.places.get(&(first, lane)).map_or(&[][..], Vec::as_slice);
        &places[places.partition_point(|place| *place < rest)..]
    }

    /// The call nearest to `step` of its sort of which all completions worked.
    pub(in crate::replay) fn nearest_completing(
        &self,
        sort: Sort,
        step: StepIndex,
    ) -> Option<StepIndex> {
        let calls = self.completing.get(&sort)?;
        let behind = calls.partition_point(|call| *call < step);
        let before = behind.checked_sub(1).map(|place| calls[place]);
        // Of two as near the earlier one.
        before.into_iter().chain(calls.get(behind).copied()).min_by_key(|call| call.abs_diff(step))
    }
}

/// What a wait or take came to.
fn outcome(program: &Program, step: &Step) -> Option<Outcome> {
    program.outcomes.get(step.outcome as usize).copied()
}
