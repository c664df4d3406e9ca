//! Where events are missing: the segments of each lane between gaps, and what a client that crosses a gap
//! is answered from.

use super::compile::LaneState;
use super::lookups::Lookups;
use super::step::{
    EventIndex, Kind, LaneIndex, MemoryIndex, NONE, Outcome, Program, Step, StepIndex,
};
use crate::tape::{Body, Keyframe};

/// Part of a lane in which nothing is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::replay) struct Segment {
    /// Places in the lane's order: from, and behind the last.
    pub(in crate::replay) from: u32,
    pub(in crate::replay) to: u32,
}

/// A tape with gaps, as far as it is to be crossed.
#[derive(Debug)]
pub(in crate::replay) struct Segments {
    /// Steps of each lane that a client can be served from, in the order of the tape.
    pub(in crate::replay) order: Vec<Vec<StepIndex>>,
    pub(in crate::replay) of_lane: Vec<Vec<Segment>>,
    /// Whether a lane's first segment stands before any gap.
    begins: Vec<bool>,
    /// Place of each step in its lane's order; [`NONE`] where nobody can be served from it.
    pub(in crate::replay) places: Vec<u32>,
    /// Number of each place's segment, by lane and place.
    numbers: Vec<Vec<u32>>,
    /// What is behind a gap, by what is asked.
    pub(in crate::replay) lookups: Lookups,
    /// Keyframes, first to last.
    pub(in crate::replay) keyframes: Vec<EventIndex>,
    /// The first gap.
    pub(in crate::replay) first_gap: EventIndex,
    /// Answers after which a client will not come to what stands behind the gap.
    pub(in crate::replay) limit: u64,
}

impl Program {
    /// Breaks the order of lanes at gaps.
    pub(super) fn lay_segments(&mut self, opaque_input: bool) {
        let Some(first_gap) = self.gaps.first().copied() else { return };
        let lanes = self.lanes.len();
        let mut order = vec![Vec::new(); lanes];
        let mut places = vec![NONE; self.steps.len()];
        let mut of_lane: Vec<Vec<Segment>> = vec![Vec::new(); lanes];
        let mut numbers: Vec<Vec<u32>> = vec![Vec::new(); lanes];
        self.streams = vec![NONE; lanes];
        // The end of what each lane did last, and whether that ended a segment.
        let mut last: Vec<(EventIndex, bool)> = vec![(0, false); lanes];
        for index in 0..self.steps.len() as u32 {
            let lane = self.step(index).lane as usize;
            self.steps[index as usize].stream = lane as u32;
            self.steps[index as usize].next = NONE;
            if self.is_half(index) {
                last[lane].1 = true;
                continue;
            }
            let step = self.step(index);
            let (enter, end) =
                (step.enter, if step.leave == NONE { step.enter } else { step.leave });
            let (before, broken) = last[lane];
            let next_gap = self.gaps.partition_point(|gap| *gap < before);
            let gap = self.gaps.get(next_gap).is_some_and(|gap| *gap < enter);
            last[lane] = (end, false);
            let place = order[lane].len() as u32;
            places[index as usize] = place;
            let segments = &mut of_lane[lane];
            match segments.last_mut() {
                Some(segment) if !gap && !broken => {
                    segment.to = place + 1;
                    let previous: StepIndex = order[lane][place as usize - 1];
                    self.steps[previous as usize].next = index;
                }
                before => {
                    // What begins behind a gap is come to by crossing it.
                    if before.is_none() && !gap && !broken {
                        self.streams[lane] = index;
                    }
                    segments.push(Segment { from: place, to: place + 1 });
                }
            }
            numbers[lane].push(segments.len() as u32 - 1);
            order[lane].push(index);
        }
        let lookups = Lookups::new(self, &places, opaque_input);
        let events = self.tape.events();
        let keyframes = (0..).zip(events).filter(|(_, it)| matches!(it.body, Body::Keyframe(_)));
        let keyframes = keyframes.map(|(index, _)| index).collect();
        let missing: u64 = self
            .gaps
            .iter()
            .map(|gap| match self.event(*gap).body {
                Body::Gap { events: Some(events), .. } => events,
                _ => 0,
            })
            .fold(0, u64::saturating_add);
        let held = self.steps.len() as u64;
        let limit = missing.saturating_mul(2).saturating_add(held * 8).saturating_add(10_000);
        self.segments = Some(Box::new(Segments {
            order,
            begins: self.streams.iter().map(|first| *first != NONE).collect(),
            of_lane,
            places,
            numbers,
            lookups,
            keyframes,
            first_gap,
            limit,
        }));
    }

    /// True where only one half of an operation is on the tape: what it came to is behind or before a gap,
    /// or the recording ended in it.
    fn is_half(&self, index: StepIndex) -> bool {
        let step = self.step(index);
        let unknown = match step.kind {
            Kind::Take => true,
            Kind::Wait => step.leave != NONE,
            _ => false,
        };
        let outcome = self.outcomes.get(step.outcome as usize).copied();
        if unknown && outcome == Some(Outcome::Unknown) {
            return true;
        }
        step.leave == NONE
    }
}

impl Segments {
    /// By lane, the place behind what stands before any gap.
    pub(in crate::replay) fn beginnings(&self) -> Vec<u32> {
        let first = |(segments, begins): (&Vec<Segment>, &bool)| match segments.first() {
            Some(first) if *begins => first.to,
            _ => 0,
        };
        self.of_lane.iter().zip(&self.begins).map(first).collect()
    }

    /// By lane, the first step that is not before any gap.
    pub(in crate::replay) fn first_rests(&self) -> Vec<StepIndex> {
        let rest = |(lane, place)| self.step_at(lane, place);
        (0..).zip(self.beginnings()).map(rest).collect()
    }

    /// True where only one half of the operation is on the tape.
    pub(in crate::replay) fn is_half(&self, step: StepIndex) -> bool {
        self.places.get(step as usize).is_none_or(|place| *place == NONE)
    }

    /// The segment of a step.
    pub(in crate::replay) fn segment(&self, lane: LaneIndex, place: u32) -> Option<Segment> {
        let number = *self.numbers.get(lane as usize)?.get(place as usize)?;
        self.of_lane[lane as usize].get(number as usize).copied()
    }

    /// The step at a place of a lane; [`NONE`] behind the last.
    pub(in crate::replay) fn step_at(&self, lane: LaneIndex, place: u32) -> StepIndex {
        let order = self.order.get(lane as usize);
        order.and_then(|order| order.get(place as usize)).copied().unwrap_or(NONE)
    }

    /// The last keyframe before an event.
    pub(in crate::replay) fn keyframe_before(&self, event: EventIndex) -> Option<EventIndex> {
        let behind = self.keyframes.partition_point(|keyframe| *keyframe < event);
        behind.checked_sub(1).map(|index| self.keyframes[index])
    }
}

impl Program {
    /// What a keyframe names.
    pub(in crate::replay) fn keyframe(&self, event: EventIndex) -> Option<&Keyframe> {
        match &self.event(event).body {
            Body::Keyframe(keyframe) => Some(keyframe),
            _ => None,
        }
    }

    /// The memory that a keyframe holds of a type, for a client that maps it where the tape does not.
    pub(in crate::replay) fn memory_of_type(
        &self,
        connection: u32,
        memory_type: u32,
    ) -> Option<(MemoryIndex, u64)> {
        let segments = self.segments.as_ref()?;
        let keyframes = segments.keyframes.iter().filter_map(|event| self.keyframe(*event));
        let mut memories = keyframes.flat_map(|keyframe| &keyframe.memories);
        let held = memories.find(|memory| {
            memory.connection == Some(connection) && memory.memory_type == memory_type
        })?;
        Some((self.memory(held.memory)?, held.length))
    }
}

/// What follows a gap in a lane is anchored to nothing before it.
pub(super) fn break_lanes<'a>(lanes: impl Iterator<Item = &'a mut LaneState>) {
    lanes.for_each(|lane| lane.is_cut = true);
}

impl Step {
    pub(super) const fn is_taken(&self) -> bool {
        matches!(self.kind, Kind::Wait | Kind::Take)
    }

    /// True where nothing tells one such operation from the next: what stands around it must say which one
    /// it is.
    pub(in crate::replay) fn is_weak(&self) -> bool {
        matches!(self.kind, Kind::Wait | Kind::Take | Kind::TakeNotice)
    }
}
