//! What a client is answered that crosses a gap.

use super::counts::OpenCall;
use crate::replay::difference::distance;
use crate::replay::program::{LaneIndex, NONE, Program, Segments, StepIndex, sort_of};
use crate::replay::request::{CallRequest, Request, recorded};
use crate::replay::session::{Clock, Session};
use crate::replay::state::State;

/// Asynchronous calls of a gap that are kept in mind.
const OPEN_MAX: usize = 1024;

/// Calls of a sort that are looked at on each side of the gap.
const NEAR: usize = 64;

/// Bytes of inputs that are compared to the end for one answer.
const COMPARED: u64 = 1 << 16;

/// Bytes beyond which two inputs are only far from each other.
const FAR: u64 = 1 << 20;

/// What speaks for the answer of a step, the better the less: in the order of the fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Merit {
    /// Counts and kinds that differ.
    shape: u32,
    /// It failed, and for other inputs.
    fails_otherwise: bool,
    /// How far the inputs are.
    away: u64,
    failed: bool,
    behind: bool,
    /// How far it is from the gap.
    far: u32,
}

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
        let same_sort = segments.lookups.sorts.get(&sort_of(request))?;
        let done = same_sort.partition_point(|step| state.has_entered(*step));
        let (before, behind) = same_sort.split_at(done);
        let (mut before, mut behind) = (before.iter().rev(), behind.iter());
        let mut found: Option<(Merit, StepIndex)> = None;
        let mut left = COMPARED;
        // Nearest first, so that what is farther is seen to be so early.
        for step in (0..NEAR).flat_map(|_| [before.next(), behind.next()]).flatten() {
            if self.can_answer(state, segments, *step, request)
                && let Some(merit) = self.merit(state, *step, request, found.as_ref(), &mut left)
            {
                found = Some((merit, *step));
            }
        }
        let (_, best) = found?;
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
            || self.away(best, request, 0) == 0;
        serves.then_some(best)
    }

    /// How well a step answers; `None` where the best so far does better.
    fn merit(
        &self,
        state: &State,
        step: StepIndex,
        request: &Request<'_>,
        best: Option<&(Merit, StepIndex)>,
        left: &mut u64,
    ) -> Option<Merit> {
        let held = self.program.step(step);
        let best = best.map(|(merit, _)| merit);
        let (shape, failed) = (shape(&self.program, step, request), !held.result.is_success());
        let limit = match best {
            Some(best) if best.shape < shape => return None,
            // One that worked is better than a failure, however far it is.
            Some(best) if best.shape == shape && (failed || !best.fails_otherwise) => best.away,
            _ => FAR,
        };
        // Of long inputs that are not the same it is told of the nearest calls only how far they are.
        let is_near = *left >= held.input_length;
        let mut away = self.away(step, request, if is_near { limit } else { 0 });
        if away > 0 {
            *left = left.saturating_sub(held.input_length);
            away = if is_near { away } else { away.max(FAR) };
        }
        let behind = !state.has_entered(step);
        let far = if behind { step } else { NONE - step };
        let merit = Merit { shape, fails_otherwise: failed && away > 0, away, failed, behind, far };
        best.is_none_or(|best| merit < *best).then_some(merit)
    }

    /// How far the inputs of a step are from what is asked; what is farther than `limit` is only known to be so.
    fn away(&self, step: StepIndex, request: &Request<'_>, limit: u64) -> u64 {
        let program = &self.program;
        match request {
            Request::Call(_) => distance(program, step, request, limit).unwrap_or(FAR),
            _ => u64::from(
                recorded(program, step).connection(program) != request.connection(program),
            ),
        }
    }

    fn can_answer(
        &self,
        state: &State,
        segments: &Segments,
        step: StepIndex,
        request: &Request<'_>,
    ) -> bool {
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
                held.connection == NONE || !state.is_open(segments, held.connection)
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
        let lookups = &segments.lookups;
        let works = |post: &u32| program.posts[*post as usize].status.is_success();
        let has_worked = lookups.posts.get(&step).is_some_and(|posts| posts.iter().all(works));
        let sort = sort_of(&Request::Call(*call));
        let like = if has_worked { None } else { lookups.nearest_completing(sort, step) };
        let (of, made) = (like.unwrap_or(step), clock.schedule.now());
        let reference = wake.reference.unwrap_or_default().to_vec();
        if let Some(crossing) = state.crossing.as_deref_mut() {
            if crossing.open.len() >= OPEN_MAX {
                crossing.open.remove(0);
            }
            crossing.open.push(OpenCall { queue, reference, of, had: 0, made });
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
    fn is_open(&self, segments: &Segments, connection: u32) -> bool {
        let mut opens = segments.lookups.opens.get(&connection).into_iter().flatten();
        opens.any(|step| self.has_entered(*step)) && !self.closed.contains(&connection)
    }
}
