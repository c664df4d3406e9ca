//! Calls that the tape does not hold, and what they are answered where that is asked for: see
//! [`Deviation::Answered`](crate::perturb::Deviation::Answered).

use super::connection::{PlayedConnection, failed, give};
use super::fate::Fate;
use super::script::{Key, OperationIndex, Script, What};
use super::stage::{Again, Stage, State};
use crate::IoReturn;
use crate::call::Scalars;
use crate::connection::MethodOutput;
use crate::perturb::operation::Operation;
use crate::tape::{Body, Call, OutputKind, Return, Sequence, Structure};
use std::time::Duration;

/// What a call is answered.
#[derive(Clone, Copy)]
enum Answer {
    /// As this one.
    As(OperationIndex),
    /// That it has succeeded.
    Done,
}

/// A call of the client, as a tape would hold it.
pub(super) struct Asked<'a> {
    pub(super) operation: Operation,
    pub(super) key: &'a Key,
    pub(super) call: &'a Call,
    pub(super) queue: Option<u32>,
    pub(super) reference: Option<&'a Vec<u64>>,
}

impl PlayedConnection {
    /// Answers a call that the tape does not hold; `None` where it is not answered, or the tape holds it.
    pub(super) fn answer(
        &self,
        asked: &Asked<'_>,
        is_same: impl Fn(&Body) -> bool,
        output: &mut MethodOutput<'_>,
    ) -> Option<IoReturn> {
        let stage = &*self.stage;
        let Asked { operation, key, call, queue, reference } = *asked;
        let asynchronous = matches!(operation, Operation::AsyncCall(_));
        let state = stage.now();
        let answers = state.answers && !state.is_over();
        if !answers || state.peek(stage, key, is_same).is_some() {
            return None;
        }
        let answer = find(&stage.script, key, call)?;
        drop(state);
        let passage = stage.gate.enter(operation);
        let fate = stage.fate(self.number, operation);
        let mut state = stage.now();
        let body = match asynchronous {
            true => Body::AsyncCall { call: call.clone(), queue, reference: reference.cloned() },
            false => Body::Call(call.clone()),
        };
        let (lane, now) = (stage.lane(), stage.schedule.now());
        let log = state.log.as_mut();
        let enter = log.map(|log| log.append(lane, Some(self.number), None, now, body));
        let given = match (fate, answer) {
            (Fate::Refused(code), _) => failed(code),
            (_, Answer::Done) => done(call, asynchronous),
            (_, Answer::As(like)) => {
                state.repeat(stage, like, (reference.cloned().unwrap_or_default(), enter));
                let took = stage.script.took(like);
                drop(state);
                if took > 0 && !std::thread::panicking() {
                    stage.schedule.sleep(Duration::from_nanos(took));
                }
                state = stage.now();
                let leave = stage.script.operations[like].leave;
                leave.map_or_else(
                    || done(call, asynchronous),
                    |it| stage.script.event(it).body.clone(),
                )
            }
        };
        drop(state);
        let body = match fate {
            Fate::Refused(_) => given,
            _ => stage.fate_at_end(fate, operation).map_or(given, failed),
        };
        stage.gate.leave(passage);
        let mut state = stage.now();
        if let Some(log) = &mut state.log {
            log.append(lane, Some(self.number), enter, stage.schedule.now(), body.clone());
        }
        drop(state);
        let Body::Return(returned) = &body else { stage.leave_tape("what a call returned") };
        Some(give(returned, asynchronous, output))
    }
}

/// A success that says nothing.
fn done(call: &Call, asynchronous: bool) -> Body {
    let asked = if asynchronous { 0 } else { call.scalars_asked as usize };
    let scalars = Scalars::clamped(&vec![0; asked.min(crate::limits::SCALARS_MAX)]);
    let (structure_size, structure) = (Some(0), None);
    Body::Return(Return { result: IoReturn::SUCCESS, scalars, structure_size, structure })
}

/// Finds out what a call is answered. One that changes memory is not: what it would change now is not
/// what it changed then.
fn find(script: &Script, key: &Key, call: &Call) -> Option<Answer> {
    let is_known = |selector: u32| {
        let of = |asynchronous| match *key {
            Key::Call { connection, .. } => Key::Call { connection, selector, asynchronous },
            _ => key.clone(),
        };
        script.by_key.contains_key(&of(true)) || script.by_key.contains_key(&of(false))
    };
    let names_buffers = matches!(call.input, Structure::Shared { .. })
        || matches!(call.output, OutputKind::Shared { .. });
    if names_buffers {
        return None;
    }
    if !is_known(call.selector) {
        return (call.output == OutputKind::None).then_some(Answer::Done);
    }
    let changes_memory = |operation: OperationIndex| {
        (script.effects[operation].iter())
            .any(|deed| matches!(script.deeds[*deed].what, What::Patch { .. }))
    };
    let held =
        |operation: OperationIndex| match &script.event(script.operations[operation].enter).body {
            Body::Call(held) | Body::AsyncCall { call: held, .. } => Some(held),
            _ => None,
        };
    (script.by_key.get(key)?.iter().copied())
        .filter(|operation| !changes_memory(*operation))
        .filter_map(|operation| Some((distance(held(operation)?, call)?, operation)))
        .min()
        .map(|(_, operation)| Answer::As(operation))
}

/// In how much the inputs of two calls differ; `None` where they have not the same shape.
fn distance(held: &Call, given: &Call) -> Option<usize> {
    let same_shape = held.scalars.len() == given.scalars.len()
        && held.scalar_count == given.scalar_count
        && held.scalars_asked == given.scalars_asked
        && held.output == given.output;
    let bytes = match (&held.input, &given.input) {
        (Structure::Bytes(held), Structure::Bytes(given)) if held.length() == given.length() => {
            let pairs = held.as_bytes()?.iter().zip(given.as_bytes()?);
            pairs.filter(|(held, given)| held != given).count()
        }
        (held, given) if held == given => 0,
        _ => return None,
    };
    let scalars = held.scalars.iter().zip(&given.scalars[..]);
    same_shape.then(|| scalars.filter(|(held, given)| held != given).count() + bytes)
}

impl State {
    /// The completions of a recorded call come once more, for another.
    fn repeat(
        &mut self,
        stage: &Stage,
        like: OperationIndex,
        (reference, enter): (Vec<u64>, Option<Sequence>),
    ) {
        let script = &stage.script;
        let entered = script.event(script.operations[like].enter).time;
        let now = stage.schedule.now();
        for deed in &script.effects[like] {
            if let What::Post { call, .. } = script.deeds[*deed].what
                && call == like
            {
                let after = script.deeds[*deed].time.saturating_sub(entered);
                let due = now + Duration::from_nanos(after);
                let given = (reference.clone(), enter.unwrap_or(0));
                self.again.push(Again { due, deed: *deed, given });
            }
        }
        stage.tell();
    }
}
