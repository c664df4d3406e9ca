//! When a client has come to what stands behind a gap.

use super::counts::{LaneCrossing, Start};
use crate::replay::matching::matches;
use crate::replay::program::{Kind, LaneIndex, NONE, Outcome, Program, Segments, StepIndex};
use crate::replay::request::{Request, recorded};
use crate::replay::session::{Clock, Session};
use crate::replay::state::State;

/// Operations that differ each from the one before it, after which a client is certain to have come to
/// what stands behind a gap.
const CERTAIN: usize = 8;

/// Places that are looked at for one operation.
const LOOKED_AT: usize = 64;

/// What an operation is for a client that may be crossing a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::replay) enum Come {
    /// It is not at a gap: the tape is to be kept to.
    NotAtGap,
    /// It has come to what stands behind the gap: the operation is the next one of its lane.
    LinedUp,
    /// It is crossing, in this lane if that is known.
    Lenient(Option<LaneIndex>),
}

impl Session {
    /// Finds out whether a client crosses a gap that does something else than its lane's next step.
    pub(in crate::replay) fn come(
        &self,
        state: &mut State,
        clock: &Clock,
        request: &Request<'_>,
    ) -> Come {
        let Some(segments) = self.program.segments.as_deref() else { return Come::NotAtGap };
        let Some(lane) = self.lane(state, clock, request) else {
            return self.come_as_unknown(state, clock, segments, request);
        };
        let head = state.head(lane);
        let mut history = &[][..];
        if head != NONE {
            if matches(&self.program, state, head, request) {
                return Come::NotAtGap;
            }
            // What stands before any gap is kept to, and so is what the client has surely come to.
            let Some(run) = self.uncertain(state, segments, lane, head) else {
                return Come::NotAtGap;
            };
            history = run;
            self.go_back(state, segments, lane, head);
        }
        self.bind(state, lane);
        let (place, back) = self.place_for(state, segments, lane, request, history);
        // A client that comes there again and again does not come to an end.
        if place == NONE || !self.may_go_on(state, segments) {
            return Come::Lenient(Some(lane));
        }
        self.line_up(state, clock, segments, (lane, place, back));
        Come::LinedUp
    }

    /// A thread that has no lane: it has come to the first one that nobody has and that holds what it
    /// does.
    fn come_as_unknown(
        &self,
        state: &mut State,
        clock: &Clock,
        segments: &Segments,
        request: &Request<'_>,
    ) -> Come {
        for lane in 0..self.program.lanes.len() as u32 {
            if state.bound[lane as usize] || state.head(lane) != NONE {
                continue;
            }
            let (place, back) = self.place_for(state, segments, lane, request, &[]);
            if place != NONE && !self.program.step(segments.step_at(lane, place)).is_weak() {
                self.bind(state, lane);
                self.line_up(state, clock, segments, (lane, place, back));
                return Come::LinedUp;
            }
        }
        Come::Lenient(None)
    }

    /// The steps that the lane has made since it came behind its gap, where they are too few to be
    /// certain.
    fn uncertain<'a>(
        &self,
        state: &State,
        segments: &'a Segments,
        lane: LaneIndex,
        head: StepIndex,
    ) -> Option<&'a [StepIndex]> {
        let crossing = state.crossing.as_deref()?;
        let start = crossing.lanes[lane as usize].start.as_ref()?;
        let made = start.place..segments.places[head as usize];
        let order = &segments.order[lane as usize];
        let run = &order[made.start as usize..made.end as usize];
        let mut telling = 0;
        let mut before = NONE;
        for step in run {
            let held = self.program.step(*step);
            if held.is_weak() {
                continue;
            }
            let same = before != NONE
                && matches(&self.program, state, *step, &recorded(&self.program, before));
            telling += usize::from(!same);
            before = *step;
            if telling >= CERTAIN {
                return None;
            }
        }
        Some(run)
    }

    /// The place behind a gap at which a lane does what is asked, and how many of the steps of its history
    /// stand before it; [`NONE`] where there is none.
    fn place_for(
        &self,
        state: &State,
        segments: &Segments,
        lane: LaneIndex,
        request: &Request<'_>,
        history: &[StepIndex],
    ) -> (u32, u32) {
        let program = &self.program;
        let Some(LaneCrossing { rest, .. }) = state.lane_crossing(lane) else { return (NONE, 0) };
        let mut best = (NONE, 0);
        let places = segments.lookups.places(program, request, lane, *rest);
        for place in places.iter().copied().take(LOOKED_AT) {
            // None has more of the history before it, and of equals the first counts.
            if best.0 != NONE && best.1 as usize == history.len() {
                break;
            }
            let step = segments.step_at(lane, place);
            if !matches(program, state, step, request) || !state.gate_is_open(program, step) {
                continue;
            }
            let Some(segment) = segments.segment(lane, place) else { continue };
            let first = segment.from.max(*rest);
            let before = &segments.order[lane as usize][first as usize..place as usize];
            let same = |(step, made): &(&StepIndex, &StepIndex)| {
                matches(program, state, **step, &recorded(program, **made))
            };
            let back =
                before.iter().rev().zip(history.iter().rev()).take_while(same).count() as u32;
            let weak = program.step(step).is_weak();
            let may_begin = !weak || place == segment.from && self.may_begin_at(state, step);
            if (back > 0 || may_begin) && (best.0 == NONE || back > best.1) {
                best = (place, back);
            }
        }
        best
    }

    /// True where what a wait or take gives has reason to come: its call was made by this client, or the
    /// tape does not tell of one. Where that has misled the client before it does so no more.
    fn may_begin_at(&self, state: &State, step: StepIndex) -> bool {
        let program = &self.program;
        if state.crossing.as_ref().is_some_and(|crossing| crossing.misled.contains(&step)) {
            return false;
        }
        match program.outcomes.get(program.step(step).outcome as usize) {
            Some(Outcome::Completion(post)) => {
                let call = program.posts[*post as usize].call;
                let passed =
                    || state.crossing.as_ref().is_some_and(|it| it.has_passed(program, call));
                call == NONE || state.has_entered(call) && !passed()
            }
            Some(Outcome::Unknown) | None => false,
            Some(Outcome::Notice(..) | Outcome::TimedOut) => true,
        }
    }

    /// A lane goes on at a place behind its gap, `back` steps of which it has made already.
    fn line_up(
        &self,
        state: &mut State,
        clock: &Clock,
        segments: &Segments,
        (lane, place, back): (LaneIndex, u32, u32),
    ) {
        let Some(segment) = segments.segment(lane, place) else { return };
        let step = segments.step_at(lane, place);
        let alone = state.nobody_is_across(lane);
        self.bring_memories(state, segments, (lane, step), alone);
        if alone {
            self.set_shift(clock, self.program.step(step).enter);
        }
        let Some(crossing) = state.crossing.as_deref_mut() else { return };
        let after = crossing.lenient;
        let lane_crossing = &mut crossing.lanes[lane as usize];
        let rest_before = lane_crossing.rest;
        let start = place - back;
        lane_crossing.start = Some(Start { place: start, rest_before, after });
        lane_crossing.rest = segment.to;
        lane_crossing.passed.push((rest_before, start));
        for made in &segments.order[lane as usize][start as usize..place as usize] {
            crossing.note_entered(&self.program, *made);
        }
        self.progress.go_on_at(lane, step, segments.step_at(lane, segment.to));
    }

    /// A lane that seemed to have come behind its gap, up to `head`, has not.
    fn go_back(&self, state: &mut State, segments: &Segments, lane: LaneIndex, head: StepIndex) {
        let Some(crossing) = state.crossing.as_deref_mut() else { return };
        let lane_crossing = &mut crossing.lanes[lane as usize];
        let Some(start) = lane_crossing.start.take() else { return };
        lane_crossing.rest = start.rest_before;
        lane_crossing.passed.pop();
        crossing.false_starts += 1;
        let first = segments.step_at(lane, start.place);
        if first != NONE && self.program.step(first).is_weak() {
            crossing.misled.insert(first);
        }
        let run = start.place as usize..segments.places[head as usize] as usize;
        for step in segments.order[lane as usize][run].iter().rev() {
            crossing.note_left(&self.program, *step);
        }
        self.progress.go_on_at(lane, NONE, segments.step_at(lane, start.rest_before));
    }
}

impl State {
    pub(super) fn lane_crossing(&self, lane: LaneIndex) -> Option<&LaneCrossing> {
        self.crossing.as_deref()?.lanes.get(lane as usize)
    }

    /// True where no other lane stands behind a gap.
    fn nobody_is_across(&self, lane: LaneIndex) -> bool {
        let Some(crossing) = self.crossing.as_deref() else { return true };
        let mut others = (0..).zip(&crossing.lanes).filter(|(other, _)| *other != lane);
        !others.any(|(other, it)| it.start.is_some() && self.head(other) != NONE)
    }

    /// True where the lane has nothing to keep to now, and more stands behind its gap; also of a thread
    /// that has no lane.
    pub(in crate::replay) fn is_crossing(
        &self,
        program: &Program,
        lane: Option<LaneIndex>,
    ) -> bool {
        let Some(segments) = program.segments.as_deref() else { return false };
        let Some(lane) = lane else { return true };
        let rest = self.lane_crossing(lane).map_or(NONE, |lane| lane.rest);
        self.head(lane) == NONE && segments.step_at(lane, rest) != NONE
    }

    /// True where all of the lane has been made.
    pub(super) fn is_at_end(&self, program: &Program, lane: Option<LaneIndex>) -> bool {
        lane.is_some_and(|lane| self.head(lane) == NONE && !self.is_crossing(program, Some(lane)))
    }

    /// The kind of an operation that is not served from the tape is counted here.
    pub(super) fn count_lenient(&mut self, at_end: bool, kind: Kind) {
        let Some(crossing) = self.crossing.as_deref_mut() else { return };
        // A poll that finds nothing is no operation.
        if matches!(kind, Kind::Take | Kind::TakeNotice) {
            return;
        }
        if at_end {
            crossing.after_end += 1;
        } else {
            crossing.lenient += 1;
        }
    }
}
