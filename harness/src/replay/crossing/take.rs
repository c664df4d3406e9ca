//! Completions of a client that crosses a gap: those of the calls that it made meanwhile, as calls like
//! them completed on the tape.

use super::counts::{Crossing, OpenCall};
use super::line_up::Come;
use crate::replay::diagnose::Reason;
use crate::replay::program::{Kind, LaneIndex, NONE, Outcome, Post, Program, StepIndex};
use crate::replay::request::{Request, recorded};
use crate::replay::session::{Clock, Session};
use crate::replay::state::State;
use std::time::Duration;

/// How long a client waits for a completion of a call that completes again and again.
const MOMENT: Duration = Duration::from_millis(1);

/// What a wait or poll of a client that crosses a gap gives.
#[derive(Clone, Debug)]
pub(in crate::replay) enum Taken {
    /// The tape is to be kept to.
    AsHeld,
    /// Nothing.
    Nothing,
    /// A completion, by its post, with the reference that the client gave where that is known.
    Completion(u32, Option<Vec<u64>>),
}

/// What a queue has for a client that crosses.
struct Found {
    post: u32,
    reference: Option<Vec<u64>>,
    due: Duration,
    /// The client's own call in the list, or the call of the tape.
    of: Result<usize, StepIndex>,
}

impl Session {
    /// What a wait gives where the client crosses a gap.
    pub(in crate::replay) fn wait_across(
        &self,
        clock: &Clock,
        queue: u32,
        timeout: Option<Duration>,
        request: &Request<'_>,
    ) -> Taken {
        if self.program.segments.is_none() {
            return Taken::AsHeld;
        }
        let Some(mut state) = self.check(self.state()) else { return Taken::AsHeld };
        let lane = match self.come(&mut state, clock, request) {
            Come::NotAtGap | Come::LinedUp => return Taken::AsHeld,
            Come::Lenient(lane) => lane,
        };
        if self.answer_leniently(&mut state, clock, lane, request).is_err() {
            let _invented = self.diverge(state, request, Reason::NeverAcross(lane));
            return Taken::Nothing;
        }
        let now = clock.schedule.now();
        let is_simulated = clock.base.is_some();
        let Some(found) = self.completion_across(&state, lane, queue, now) else {
            if timeout.is_none() {
                let _invented = self.diverge(state, request, Reason::NeverAcross(lane));
                return Taken::Nothing;
            }
            drop(state);
            self.pass(clock, timeout.filter(|_| is_simulated));
            return Taken::Nothing;
        };
        let left = found.due.saturating_sub(now);
        if is_simulated && timeout.is_some_and(|timeout| left > timeout) {
            drop(state);
            self.pass(clock, timeout);
            return Taken::Nothing;
        }
        let taken = self.take(&mut state, found);
        drop(state);
        self.pass(clock, Some(left).filter(|_| is_simulated));
        taken
    }

    /// What a poll gives where the client crosses a gap.
    pub(in crate::replay) fn poll_across(
        &self,
        clock: &Clock,
        queue: u32,
        request: &Request<'_>,
    ) -> Taken {
        let Some(segments) = self.program.segments.as_deref() else { return Taken::AsHeld };
        let Some(mut state) = self.check(self.state()) else { return Taken::AsHeld };
        let lane = self.lane(&state, clock, request);
        if lane.is_some_and(|lane| state.head(lane) != NONE) {
            return Taken::AsHeld;
        }
        let lane = match self.come(&mut state, clock, request) {
            Come::NotAtGap | Come::LinedUp => return Taken::AsHeld,
            Come::Lenient(lane) => lane,
        };
        if !self.may_go_on(&mut state, segments) {
            let _invented = self.diverge(state, request, Reason::NeverAcross(lane));
            return Taken::Nothing;
        }
        let taken = match self.completion_across(&state, lane, queue, clock.schedule.now()) {
            // What completes again and again would never come to an end.
            Some(found) if found.of.is_ok() => self.take(&mut state, found),
            _ => Taken::Nothing,
        };
        drop(state);
        clock.schedule.yield_now();
        taken
    }

    /// Number of a queue that the client makes in a gap: the next that a keyframe names and that no step of the
    /// tape makes, or else one that is on no tape.
    pub(in crate::replay) fn queue_across(&self) -> u32 {
        /// Numbers of queues that are on no tape.
        const OWN: u32 = 1 << 31;
        let program = &self.program;
        let mut state = self.state();
        let Some(segments) = program.segments.as_deref() else { return NONE };
        let Some(crossing) = state.crossing.as_deref_mut() else { return NONE };
        let made = crossing.queues;
        crossing.queues += 1;
        let last = segments.keyframes.last().and_then(|event| program.keyframe(*event));
        let named = last.into_iter().flat_map(|keyframe| &keyframe.queues);
        let mut in_gap = named.filter(|queue| program.queues.binary_search(queue).is_err());
        in_gap.nth(made as usize).copied().unwrap_or(OWN.saturating_add(made))
    }

    /// True where a poll of the queue finds something of a call that was made in a gap.
    pub(in crate::replay) fn is_ready_across(&self, state: &State, kind: Kind, queue: u32) -> bool {
        let next = |call: &OpenCall| self.next_post(call).is_some();
        kind == Kind::Take
            && state.crossing.as_deref().is_some_and(|crossing| {
                crossing.open.iter().any(|call| call.queue == queue && next(call))
            })
    }

    /// The next completion of a call that was made in a gap, and when it is due.
    fn next_post(&self, call: &OpenCall) -> Option<(u32, Duration)> {
        let program = &self.program;
        let posts = program.segments.as_deref()?.lookups.posts.get(&call.of)?;
        let post = *posts.get(call.had)?;
        let began = program.event(program.step(call.of).enter).time;
        let after = program.posts[post as usize].time.saturating_sub(began);
        Some((post, call.made.saturating_add(Duration::from_nanos(after))))
    }

    /// The reference of the client's call whose completion this is, where the tape lacks the call: of those
    /// that it has made in the gap on this queue the one that is most alike.
    pub(in crate::replay) fn pending_reference(
        &self,
        state: &mut State,
        post: &Post,
        queue: u32,
    ) -> Option<Vec<u64>> {
        if post.call != NONE {
            return None;
        }
        let crossing = state.crossing.as_deref_mut()?;
        let alike = |call: &OpenCall| {
            let entries = call.reference.iter().zip(&post.reference).skip(1);
            entries.filter(|(given, held)| given == held).count()
        };
        let mine = crossing.open.iter().enumerate().filter(|(_, call)| call.queue == queue);
        // Of those as much alike the oldest.
        let (place, _) = mine.rev().max_by_key(|(_, call)| alike(call))?;
        Some(crossing.open.remove(place).reference)
    }

    fn pass(&self, clock: &Clock, time: Option<Duration>) {
        match time.filter(|time| !time.is_zero()) {
            Some(time) => clock.schedule.sleep(time),
            None => clock.schedule.yield_now(),
        }
    }

    /// The completion that comes first, if any does: of a call made in the gap, or else of one that was made
    /// before it and completes again and again.
    fn completion_across(
        &self,
        state: &State,
        lane: Option<LaneIndex>,
        queue: u32,
        now: Duration,
    ) -> Option<Found> {
        let crossing = state.crossing.as_deref()?;
        let mine = crossing.open.iter().enumerate().filter(|(_, call)| call.queue == queue);
        let mine = mine.filter_map(|(place, call)| {
            let (post, due) = self.next_post(call)?;
            Some(Found { post, reference: Some(call.reference.clone()), due, of: Ok(place) })
        });
        if let Some(first) = mine.min_by_key(|found| found.due) {
            return Some(first);
        }
        let lookups = &self.program.segments.as_deref()?.lookups;
        let made =
            |call: StepIndex| state.has_entered(call) && !crossing.has_passed(&self.program, call);
        // What a call of the tape completed with, where the wait that gave it is not there as a whole.
        let own = crossing.outstanding.range((queue, 0)..=(queue, NONE));
        let own = own.filter_map(|(_, call)| Some((*call, *lookups.posts.get(call)?.first()?)));
        let mut own = own.filter(|(call, post)| {
            let given = lookups.delivered.get(post).is_some_and(|step| state.has_entered(*step));
            made(*call) && !given && !crossing.repeated.contains_key(call)
        });
        if let Some((call, post)) = own.next() {
            return Some(Found { post, reference: None, due: now, of: Err(call) });
        }
        if state.is_at_end(&self.program, lane) {
            return None;
        }
        let mut repeats = lookups.repeating.get(&queue)?.iter();
        let (call, working) = repeats.find(|(call, _)| made(*call))?;
        let given = crossing.repeated.get(call).copied().unwrap_or(0);
        let post = *working.get(given % working.len().max(1))?;
        Some(Found { post, reference: None, due: now.saturating_add(MOMENT), of: Err(*call) })
    }

    fn take(&self, state: &mut State, found: Found) -> Taken {
        let Some(crossing) = state.crossing.as_deref_mut() else { return Taken::Nothing };
        match found.of {
            Ok(place) => {
                let call = &mut crossing.open[place];
                call.had += 1;
                if self.next_post(call).is_none() {
                    crossing.open.remove(place);
                }
            }
            Err(call) => *crossing.repeated.entry(call).or_default() += 1,
        }
        Taken::Completion(found.post, found.reference)
    }
}

impl Crossing {
    /// A step of the tape was made.
    #[cold]
    pub(in crate::replay) fn note_entered(&mut self, program: &Program, step: StepIndex) {
        match told(program, step) {
            Some(Told::Made(call)) => _ = self.outstanding.insert(call),
            Some(Told::Given(call)) => _ = self.outstanding.remove(&call),
            None => {}
        }
    }

    /// A step of the tape was not made after all.
    pub(super) fn note_left(&mut self, program: &Program, step: StepIndex) {
        match told(program, step) {
            Some(Told::Made(call)) => _ = self.outstanding.remove(&call),
            Some(Told::Given(call)) => _ = self.outstanding.insert(call),
            None => {}
        }
    }
}

/// What a step does of a call with one completion: by the queue that is woken, and the call.
enum Told {
    Made((u32, StepIndex)),
    Given((u32, StepIndex)),
}

fn told(program: &Program, step: StepIndex) -> Option<Told> {
    let held = program.step(step);
    let once = |call: StepIndex| {
        let posts = program.segments.as_deref()?.lookups.posts.get(&call)?;
        match recorded(program, call) {
            Request::Call(made) if posts.len() == 1 => Some((made.wake?.queue?, call)),
            _ => None,
        }
    };
    match held.kind {
        Kind::AsyncCall => once(step).map(Told::Made),
        Kind::Wait | Kind::Take => match program.outcomes.get(held.outcome as usize)? {
            Outcome::Completion(post) => once(program.posts[*post as usize].call).map(Told::Given),
            _ => None,
        },
        _ => None,
    }
}
