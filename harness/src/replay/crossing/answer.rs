//! What a client is answered that crosses a gap.

use super::counts::OpenCall;
use crate::replay::difference::distance;
use crate::replay::program::{LaneIndex, NONE, Program, Segments, StepIndex, sort_of};
use crate::replay::request::{CallRequest, Request, recorded};
use crate::replay::session::{Clock, Session};
use crate::replay::state::State;
use std::collections::VecDeque;
use std::time::Duration;

/// Asynchronous calls of a gap that are kept in mind.
const OPEN_MAX: usize = 1024;

/// Calls of a sort that are looked at on each side of the gap.
const NEAR: usize = 64;

/// Bytes beyond which two inputs are only far from each other.
const FAR: u64 = 1 << 20;

impl Session {
    /// What a client gets for an operation that is on no tape: the answer of the step given, or success
    /// and nothing. An error where it has made too many of them.
    pub(in crate::replay) fn answer_leniently(
        &self,
        state: &mut State,
        clock: &Clock,
        lane: Option<LaneIndex>,
        request: &Request<'_>,
    ) -> Result<Option<StepIndex>, Option<LaneIndex>> {
        let program = &self.program;
        let Some(segments) = program.segments.as_deref() else { return Err(lane) };
        let at_end = state.is_at_end(program, lane);
        state.count_lenient(at_end, request.kind());
        if !self.may_go_on(state, segments) {
            return Err(lane);
        }
        if !at_end {
            self.show_keyframe(state, segments);
        }
        let found = self.like(state, segments, request);
        match request {
            Request::Call(call) => {
                if found.is_none()
                    && let Some(crossing) = state.crossing.as_deref_mut()
                {
                    crossing.invented += 1;
                    crossing.unknown.insert(call.selector);
                }
                if let Some(step) = found {
                    self.open_call(state, clock, segments, call, step);
                }
            }
            Request::Close { connection } => {
                state.closed.insert(*connection);
                state.drop_right(*connection);
            }
            // There is nothing that could be made up of the registry, but for a property.
            Request::Matched(_) | Request::Watch(_) | Request::Open { .. } if found.is_none() => {
                return Err(lane);
            }
            _ => {}
        }
        Ok(found)
    }

    /// Counts one operation, read or poll more; false where that is too many.
    pub(super) fn may_go_on(&self, state: &mut State, segments: &Segments) -> bool {
        let Some(crossing) = state.crossing.as_deref_mut() else { return true };
        crossing.made += 1;
        crossing.made <= segments.limit
    }

    /// The step whose answer serves best: of the same sort.
    fn like(&self, state: &State, segments: &Segments, request: &Request<'_>) -> Option<StepIndex> {
        let program = &self.program;
        // What is written is in the shadow, and nothing comes of it.
        if matches!(
            request,
            Request::Write { .. }
                | Request::Update { .. }
                | Request::Queue
                | Request::Wait { .. }
                | Request::Take { .. }
                | Request::TakeNotice { .. }
        ) {
            return None;
        }
        let same_sort = segments.sorts.get(&sort_of(request))?;
        let done = same_sort.partition_point(|step| state.has_entered(*step));
        let near = &same_sort[done.saturating_sub(NEAR)..same_sort.len().min(done + NEAR)];
        let best = near.iter().copied().filter(|step| self.can_answer(state, *step, request));
        let best = best.min_by_key(|step| {
            let held = program.step(*step);
            let behind = !state.has_entered(*step);
            // Nearest to the gap.
            let far = if behind { *step } else { NONE - *step };
            let failed = !held.result.is_success();
            let away = self.away(*step, request);
            let shape = shape(program, *step, request);
            (shape, failed && away > 0, away, failed, behind, far)
        })?;
        // A failure behind the gap is what the client is to come to, and no habit.
        let held = program.step(best);
        if let Request::Map { connection, memory_type, .. } = request
            && !held.result.is_success()
            && program.memory_of_type(*connection, *memory_type).is_some()
        {
            // It was refused too early, and is there by the time of the keyframe.
            return None;
        }
        let is_call = matches!(request, Request::Call(_));
        let serves = held.result.is_success()
            || !is_call
            || state.has_entered(best)
            || self.away(best, request) == 0;
        serves.then_some(best)
    }

    /// How far the inputs of a step are from what is asked.
    fn away(&self, step: StepIndex, request: &Request<'_>) -> u64 {
        let program = &self.program;
        match request {
            Request::Call(_) => distance(program, step, request, FAR).unwrap_or(FAR),
            _ => u64::from(
                recorded(program, step).connection(program) != request.connection(program),
            ),
        }
    }

    fn can_answer(&self, state: &State, step: StepIndex, request: &Request<'_>) -> bool {
        let program = &self.program;
        let held = program.step(step);
        if held.flags.has(crate::replay::program::Flags::OPAQUE_REPLY) {
            return false;
        }
        match (recorded(program, step), request) {
            (Request::Matched(held), Request::Matched(given))
            | (Request::Watch(held), Request::Watch(given)) => held == *given,
            (
                Request::Property { service, key },
                Request::Property { service: other, key: other_key },
            ) => service == *other && key == *other_key,
            // A mapping of its own connection, and one of a connection that it has.
            (held, Request::Map { .. } | Request::Unmap { .. } | Request::Other { .. }) => {
                held.connection(program) == request.connection(program)
            }
            (Request::Open { .. }, Request::Open { .. }) => {
                held.connection == NONE || !state.is_open(program, held.connection)
            }
            _ => true,
        }
    }

    /// Keeps in mind that an asynchronous call has been made, and what calls like it completed with.
    fn open_call(
        &self,
        state: &mut State,
        clock: &Clock,
        segments: &Segments,
        call: &CallRequest<'_>,
        step: StepIndex,
    ) {
        let program = &self.program;
        let Some(wake) = &call.wake else { return };
        let (Some(queue), true) = (wake.queue, program.step(step).result.is_success()) else {
            return;
        };
        let same_sort = segments.sorts.get(&sort_of(&Request::Call(*call)));
        let same_sort = same_sort.map_or(&[][..], Vec::as_slice);
        let posts = |step: &StepIndex| segments.posts.get(step).map(|posts| (*step, posts));
        let works = |(_, posts): &(StepIndex, &Vec<u32>)| {
            posts.iter().all(|post| program.posts[*post as usize].status.is_success())
        };
        let nearest_first = || {
            let mut near: Vec<StepIndex> = same_sort.to_vec();
            near.sort_by_key(|other| other.abs_diff(step));
            near
        };
        let near = posts(&step).filter(works);
        let found = near.or_else(|| nearest_first().iter().filter_map(posts).find(works));
        let found = found.or_else(|| posts(&step));
        let made = clock.schedule.now();
        let (of, posts) = found.map_or((step, &[][..]), |(of, posts)| (of, &posts[..]));
        let began = program.event(program.step(of).enter).time;
        let delayed = |post: &u32| {
            let time = program.posts[*post as usize].time;
            (*post, Duration::from_nanos(time.saturating_sub(began)))
        };
        let posts: VecDeque<_> = posts.iter().map(delayed).collect();
        let reference = wake.reference.unwrap_or_default().to_vec();
        if let Some(crossing) = state.crossing.as_deref_mut() {
            if crossing.open.len() >= OPEN_MAX {
                crossing.open.remove(0);
            }
            crossing.open.push(OpenCall { queue, reference, posts, made });
        }
    }
}

/// How the shape of a call differs from a step's, as the number of counts and kinds.
fn shape(program: &Program, step: StepIndex, request: &Request<'_>) -> u32 {
    let Request::Call(call) = request else { return 0 };
    let held = program.step(step);
    u32::from(held.scalar_count != call.scalar_count)
        + u32::from(held.scalars_asked != call.scalars_asked)
        + u32::from(held.input != call.input)
        + u32::from(held.input_length != call.length)
        + u32::from(held.output != call.output)
        + u32::from(held.output_size != call.output_size)
}

impl State {
    /// True where the client has this connection open.
    fn is_open(&self, program: &Program, connection: u32) -> bool {
        let opens = |step: &StepIndex| {
            let held = program.step(*step);
            held.kind == crate::replay::program::Kind::Open && held.connection == connection
        };
        let opened =
            (0..program.steps.len() as u32).filter(opens).any(|step| self.has_entered(step));
        opened && !self.closed.contains(&connection)
    }
}
