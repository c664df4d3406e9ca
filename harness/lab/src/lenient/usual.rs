//! What of a tape a baseline answers alike without it.

use super::ordinary::Ordinary;
use dextape::tape::{Body, Payload, Return, Tape};

/// For each event, whether nothing changes for a client, as far as can be told, where it is gone.
pub(crate) fn usual(tape: &Tape) -> Vec<bool> {
    let ordinary = Ordinary::of_header(tape.header()).ok().flatten();
    let ordinary = ordinary.unwrap_or_else(|| Ordinary::of_tape(tape));
    let events = tape.events();
    let mut usual = vec![false; events.len()];
    for (place, event) in events.iter().enumerate() {
        let enter = event.cause.filter(|_| event.body.is_leave()).and_then(|it| tape.event(it));
        let is_usual = match (&event.body, enter.map(|enter| &enter.body)) {
            (Body::Matched { matching, outcome: Ok(services) }, _) => {
                ordinary.services.get(&format!("{matching:?}")) == Some(services)
            }
            (Body::Return(returned), Some(Body::Call(call))) => {
                let answer = ordinary.answer(false, call.selector);
                answer.is_some_and(|answer| {
                    let Return { result, scalars, structure, .. } = returned;
                    let bytes = structure.as_ref().and_then(Payload::as_bytes).unwrap_or_default();
                    answer.result == *result
                        && answer.scalars[..] == scalars[..]
                        && answer.structure[..] == *bytes
                })
            }
            (Body::Woke { timed_out }, Some(Body::Wait { timeout, .. })) => {
                let took = event.time - enter.map_or(event.time, |enter| enter.time);
                !timed_out || timeout.is_some_and(|timeout| took >= timeout)
            }
            (Body::Unmapped { result } | Body::Closed { result }, _) => result.is_success(),
            (Body::Queue { .. } | Body::Delivered { .. }, _) => true,
            _ => false,
        };
        usual[place] |= is_usual;
        // An enter is what its leave is.
        if let Some(enter) = event.cause.filter(|_| is_usual && event.body.is_leave())
            && let Ok(enter) = events.binary_search_by_key(&enter, |event| event.sequence)
        {
            usual[enter] = true;
        }
    }
    usual
}
