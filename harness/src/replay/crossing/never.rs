//! A client that does not come across a gap: where it was to come to, why it has not, and what would help.

use crate::replay::diagnose::{base, finish, place_at};
use crate::replay::program::{LaneIndex, NONE};
use crate::replay::session::Session;
use crate::replay::state::State;
use crate::replay::{Divergence, DivergenceKind, Remedy};

/// The report of a client that has made too many operations in a gap, or waits there for what nothing on the
/// tape can give.
pub(in crate::replay) fn never_across(
    session: &Session,
    state: &State,
    lane: Option<LaneIndex>,
    operation: String,
) -> Divergence {
    let program = &session.program;
    let (Some(segments), Some(crossing)) = (program.segments.as_deref(), state.crossing.as_deref())
    else {
        let message = "the tape has no gap".to_owned();
        return finish(session, base(session, DivergenceKind::WrongState, operation, message));
    };
    let report = crossing.report(program, &state.progress, segments);
    let too_many = crossing.made > segments.limit;
    let rest = lane.and_then(|lane| state.lane_crossing(lane).map(|it| (lane, it.rest)));
    let next = rest.map_or(NONE, |(lane, rest)| segments.step_at(lane, rest));
    let message = if too_many && next == NONE {
        format!("the tape ends, and the client goes on for ever: {} operations", crossing.made)
    } else if too_many {
        format!(
            "the client does not come across the gap: {} operations, reads and polls of its own making, and \
             none of them led to what stands behind it",
            crossing.made
        )
    } else {
        "the client crosses a gap, and nothing on the tape can give it this".to_owned()
    };
    let mut divergence = base(session, DivergenceKind::NeverRecorded, operation, message);
    if next != NONE {
        place_at(&mut divergence, program, program.step(next).enter);
    }
    let advice = |text: String| Remedy::Advice(text);
    if !report.unknown_selectors.is_empty() {
        let selectors: Vec<String> = report.unknown_selectors.iter().map(u32::to_string).collect();
        divergence.remedies.push(advice(format!(
            "mark what it calls in the gap sticky, so that the tape holds an answer: selector {}",
            selectors.join(", ")
        )));
    }
    divergence.remedies.push(advice(
        "have the flight recorder keep more first calls, or a longer tail".to_owned(),
    ));
    divergence.remedies.push(advice(format!("it has come this far: {report}")));
    finish(session, divergence)
}
