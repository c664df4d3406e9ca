//! What kind of divergence it is, what lies near, and what would mend it.

use super::difference::{differences, distance};
use super::divergence::{Candidate, Divergence, DivergenceKind, DivergenceReport, Place, Remedy};
use super::matching::matches;
use super::program::{
    EventIndex, Kind, LaneIndex, MemoryIndex, NONE, Outcome, PatchIndex, Program, Step, StepIndex,
};
use super::request::{CallRequest, Request, recorded};
use super::session::Session;
use super::state::State;
use super::{Policy, describe};
use crate::tape::Body;

/// Nearest events that a report names.
const CANDIDATES: usize = 3;

/// Why an operation is not served.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reason {
    /// The step in its place, or none, is another one.
    Missed(StepIndex),
    /// Its turn did not come; the step is the one that had to come first.
    NeverItsTurn(StepIndex),
    /// The call whose completion this wait gives was never made, or the tape ends in the wait.
    NeverCame(StepIndex),
    /// The tape holds no leave.
    TapeEnds(StepIndex),
    /// The tape holds no bytes of the reply.
    ReplyNotKept(StepIndex),
    /// The tape holds no bytes of the patch.
    PatchNotKept(PatchIndex),
    /// The memory was not captured.
    Uncaptured(MemoryIndex),
    /// The client, in this lane, does not come to what stands behind the gap.
    NeverAcross(Option<LaneIndex>),
}

/// The report of an operation that is not served.
pub(super) fn diagnose(
    session: &Session,
    state: &State,
    request: &Request<'_>,
    reason: Reason,
) -> Divergence {
    let program = &session.program;
    let operation = describe::request(program, request);
    match reason {
        Reason::Missed(expected) => missed(session, state, request, expected, operation),
        Reason::NeverItsTurn(first) => {
            let step = program.step(first);
            let message = format!(
                "it waits for {}, which nobody did",
                describe::request(program, &recorded(program, first))
            );
            let mut report = base(session, DivergenceKind::OutOfOrder, operation, message);
            place_at(&mut report, program, step.enter);
            report.remedies.extend(looser(session.policy));
            finish(session, report)
        }
        Reason::NeverCame(step) => {
            let held = program.step(step);
            let (kind, message) = match program.outcomes.get(held.outcome as usize) {
                Some(Outcome::Completion(post)) => {
                    let call = program.posts[*post as usize].call;
                    let call = describe::request(program, &recorded(program, call));
                    let message = format!("the completion belongs to {call}, which nobody made");
                    (DivergenceKind::OutOfOrder, message)
                }
                _ => {
                    let message = "the tape ends in this wait and does not say what it gave";
                    (DivergenceKind::NeverRecorded, message.to_owned())
                }
            };
            let mut report = base(session, kind, operation, message);
            place_at(&mut report, program, held.enter);
            finish(session, report)
        }
        Reason::TapeEnds(step) => {
            let held = program.step(step);
            let message = match held.kind {
                Kind::Take => "the tape does not hold the completion that was taken here",
                _ => "the tape ends while this is under way: what it returned was not recorded",
            };
            let kind = DivergenceKind::NeverRecorded;
            let mut report = base(session, kind, operation, message.to_owned());
            place_at(&mut report, program, held.enter);
            finish(session, report)
        }
        Reason::ReplyNotKept(step) => {
            let message = "what it returned was not kept on the tape: redacted, or a hash only";
            let kind = DivergenceKind::NeverRecorded;
            let mut report = base(session, kind, operation, message.to_owned());
            place_at(&mut report, program, program.step(step).leave);
            finish(session, report)
        }
        Reason::PatchNotKept(patch) => {
            let patch = &program.patches[patch as usize];
            let message =
                "what the client saw there was not kept on the tape: redacted, or a hash only";
            let operation = access(program, request);
            let kind = DivergenceKind::NeverRecorded;
            let mut report = base(session, kind, operation, message.to_owned());
            place_at(&mut report, program, patch.event);
            finish(session, report)
        }
        Reason::Uncaptured(memory) => {
            let number = program.memories[memory as usize].number;
            let message = format!(
                "memory {number} was not captured when the tape was recorded, and its bytes are not guessed"
            );
            let kind = DivergenceKind::NeverRecorded;
            let mut report = base(session, kind, access(program, request), message);
            let map = |step: &&Step| step.kind == Kind::Map && step.outcome == memory;
            if let Some(map) = program.steps.iter().find(map) {
                place_at(&mut report, program, map.enter);
            }
            report.remedies.push(Remedy::Advice(
                "record it with a way of capture that sees reads of this memory".to_owned(),
            ));
            finish(session, report)
        }
        Reason::NeverAcross(lane) => super::crossing::never_across(session, state, lane, operation),
    }
}

/// A simulated run in which every task waits, at least one of them for the tape.
pub(super) fn stuck(session: &Session, state: &State) -> Divergence {
    let program = &session.program;
    let next = (0..program.steps.len() as u32).find(|step| !state.has_entered(*step));
    let operation = "wait, in every task".to_owned();
    let message = "no task makes the operation that the others wait for".to_owned();
    let mut report = base(session, DivergenceKind::OutOfOrder, operation, message);
    if let Some(next) = next {
        place_at(&mut report, program, program.step(next).enter);
    }
    report.remedies.extend(looser(session.policy));
    finish(session, report)
}

/// A wait without a timeout in which nobody has gone on for as long as the replay's patience.
pub(super) fn endless(session: &Session, state: &State) -> Divergence {
    let program = &session.program;
    let next = (0..program.steps.len() as u32).find(|step| !state.has_entered(*step));
    let (kind, message) = match next {
        Some(_) => (
            DivergenceKind::OutOfOrder,
            format!("nobody has gone on for {:?}, and the tape holds more", session.patience()),
        ),
        None => (
            DivergenceKind::UsedUp,
            "nothing can come any more: the tape holds nothing more".to_owned(),
        ),
    };
    let mut report = base(session, kind, "wait without a timeout".to_owned(), message);
    if let Some(next) = next {
        place_at(&mut report, program, program.step(next).enter);
        report.remedies.extend(looser(session.policy));
    }
    finish(session, report)
}

fn missed(
    session: &Session,
    state: &State,
    request: &Request<'_>,
    expected: StepIndex,
    operation: String,
) -> Divergence {
    let program = &session.program;
    let near = nearest(program, state, request, expected);
    let equal = |used: bool| {
        (0..program.steps.len() as u32)
            .find(|step| state.has_entered(*step) == used && equals(program, state, *step, request))
    };
    let (unused, used) = (equal(false), equal(true));
    let closed = request.connection(program).is_some_and(|number| state.closed.contains(&number));
    // Nothing more was asked of it, and then something is.
    let ended = request.connection(program).and_then(|number| {
        let left = |step: &u32| {
            let other = recorded(program, *step).connection(program);
            other == Some(number) && !state.has_entered(*step)
        };
        let end = program.ends.get(&number).copied();
        end.filter(|_| !(0..program.steps.len() as u32).any(|step| left(&step)))
    });
    let in_place = expected != NONE && is_same_operation(program, expected, request);
    // What the differences are shown against.
    let mut against = None;
    let (kind, message) = if let Some(other) = unused {
        let place = program.place(program.step(other).enter);
        (DivergenceKind::OutOfOrder, format!("the tape holds it at another place: {place}"))
    } else if closed {
        let message =
            "the client has closed this connection, and the tape holds nothing more for it";
        (DivergenceKind::WrongState, message.to_owned())
    } else if let Some(end) = ended {
        let message = format!(
            "{} ended this connection on the tape, which holds nothing more for it; the kernel would \
             refuse this",
            program.place(end)
        );
        (DivergenceKind::WrongState, message)
    } else if in_place {
        against = Some(expected);
        (DivergenceKind::Differs, "the tape holds it here, with other inputs".to_owned())
    } else if used.is_some() {
        let times = (0..program.steps.len() as u32)
            .filter(|step| equals(program, state, *step, request))
            .count();
        let times = if times == 1 { "once".to_owned() } else { format!("{times} times") };
        (DivergenceKind::UsedUp, format!("the tape holds it {times}, and all of that is used"))
    } else if let Some((step, _)) = near.first()
        && is_same_operation(program, *step, request)
    {
        against = Some(*step);
        let message = "the tape holds it with other inputs only";
        (DivergenceKind::Differs, message.to_owned())
    } else {
        (DivergenceKind::NeverRecorded, "the tape does not hold it".to_owned())
    };
    let mut report = base(session, kind, operation, message);
    if expected != NONE {
        place_at(&mut report, program, program.step(expected).enter);
    }
    if let Some(against) = against {
        report.differences = differences(program, against, request);
    }
    report.candidates = near
        .iter()
        .map(|(step, distance)| {
            let enter = program.step(*step).enter;
            Candidate {
                place: program.place(enter),
                event: describe::step(program, *step),
                distance: *distance,
                used: state.has_entered(*step),
            }
        })
        .collect();
    // Masks help only where there is one for each difference.
    if report.differences.iter().all(|difference| !difference.masks.is_empty()) {
        let masks = report.differences.iter().flat_map(|difference| difference.masks.clone());
        report.remedies = masks.map(Remedy::Mask).collect();
    }
    if kind == DivergenceKind::OutOfOrder {
        report.remedies.extend(looser(session.policy));
    }
    finish(session, report)
}

fn equals(program: &Program, state: &State, step: StepIndex, request: &Request<'_>) -> bool {
    program.step(step).kind == request.kind() && matches(program, state, step, request)
}

/// The three steps nearest to the request, nearest first; of equal ones those nearest to the place.
fn nearest(
    program: &Program,
    state: &State,
    request: &Request<'_>,
    expected: StepIndex,
) -> Vec<(StepIndex, u64)> {
    let place = if expected == NONE { state.progress.used(program) } else { u64::from(expected) };
    let mut near: Vec<(u64, u64, StepIndex)> = Vec::with_capacity(CANDIDATES + 1);
    for step in 0..program.steps.len() as u32 {
        let limit = if near.len() < CANDIDATES { u64::MAX } else { near[CANDIDATES - 1].0 };
        let Some(far) = distance(program, step, request, limit) else { continue };
        // Without a difference of its own, and yet another one: a symbol stands for something else.
        let far = if far == 0 && !equals(program, state, step, request) { 1 } else { far };
        let entry = (far, u64::from(step).abs_diff(place), step);
        let at = near.partition_point(|other| *other < entry);
        near.insert(at, entry);
        near.truncate(CANDIDATES);
    }
    near.into_iter().map(|(far, _, step)| (step, far)).collect()
}

/// True where both are the same operation on the same thing, whatever else goes in.
fn is_same_operation(program: &Program, step: StepIndex, request: &Request<'_>) -> bool {
    let held = recorded(program, step);
    if held.kind() != request.kind() {
        return false;
    }
    match (held, *request) {
        (
            Request::Call(CallRequest { connection, selector, .. }),
            Request::Call(CallRequest { connection: other, selector: other_selector, .. }),
        ) => connection == other && selector == other_selector,
        (
            Request::Property { service, key },
            Request::Property { service: other, key: other_key },
        ) => service == other && key == other_key,
        (Request::Open { service, .. }, Request::Open { service: other, .. }) => service == other,
        (
            Request::Map { connection, memory_type, .. },
            Request::Map { connection: other, memory_type: other_type, .. },
        )
        | (
            Request::Unmap { connection, memory_type, .. },
            Request::Unmap { connection: other, memory_type: other_type, .. },
        ) => connection == other && memory_type == other_type,
        (Request::Close { connection }, Request::Close { connection: other }) => {
            connection == other
        }
        (
            Request::Other { connection, call },
            Request::Other { connection: other, call: other_call },
        ) => {
            let (held, given) =
                (super::other::key_words(call), super::other::key_words(other_call));
            connection == other && held[0] == given[0]
        }
        (Request::Write { memory, .. }, Request::Write { memory: other, .. })
        | (Request::Update { memory, .. }, Request::Update { memory: other, .. }) => {
            memory == other
        }
        (Request::Wait { queue, .. }, Request::Wait { queue: other, .. }) => queue == other,
        _ => true,
    }
}

pub(super) fn base(
    session: &Session,
    kind: DivergenceKind,
    operation: String,
    message: String,
) -> DivergenceReport {
    DivergenceReport {
        kind,
        operation,
        message,
        place: None,
        expected: None,
        differences: Vec::new(),
        candidates: Vec::new(),
        remedies: Vec::new(),
        policy: session.policy,
        invented: 0,
    }
}

pub(super) fn place_at(report: &mut DivergenceReport, program: &Program, event: EventIndex) {
    report.place = Some(program.place(event));
    report.expected = Some(describe::event(program, event));
}

/// The next policy that insists on less.
fn looser(policy: Policy) -> Option<Remedy> {
    match policy {
        Policy::Exact => Some(Remedy::Policy(Policy::Lanes)),
        Policy::Ordered | Policy::Lanes => Some(Remedy::Policy(Policy::AnyOrder)),
        Policy::AnyOrder | Policy::Nearest | Policy::AcrossGaps => None,
    }
}

/// Adds what holds for every report: gaps, and how to record again.
pub(super) fn finish(session: &Session, mut report: DivergenceReport) -> Divergence {
    let program = &session.program;
    let sequence = report.place.map_or(u64::MAX, |place| place.sequence);
    let gap = program.gaps.iter().rev().map(|gap| program.event(*gap));
    let gap_before =
        program.gaps.first().is_some_and(|gap| program.event(*gap).sequence <= sequence);
    if let Some(gap) = gap.into_iter().find(|gap| gap.sequence <= sequence)
        && let Body::Gap { reason, .. } = &gap.body
    {
        report.remedies.push(Remedy::Advice(format!(
            "events are missing on the tape at event {}: {reason}",
            gap.sequence
        )));
    }
    if program.segments.is_none() && gap_before {
        report.remedies.push(Remedy::Policy(Policy::AcrossGaps));
    }
    let header = program.tape.header();
    report.remedies.push(match &header.scenario {
        Some(scenario) => {
            Remedy::Record { command: format!("cargo xtask record {}", scenario.name) }
        }
        None => Remedy::Advice("record the tape again with this client".to_owned()),
    });
    if let Some(place) = &mut report.place {
        place.line = line_of(program, *place);
    }
    if let Some(protocol) = &session.protocol {
        super::naming::name(&mut report, protocol, header);
    }
    Divergence::new(report)
}

/// The line of an event in the tape's file, which is read again for it.
fn line_of(program: &Program, place: Place) -> Option<u64> {
    let mut reader = crate::tape::TapeReader::open(program.tape.path()?).ok()?;
    loop {
        let event = reader.next()?.ok()?;
        if event.sequence == place.sequence {
            return Some(reader.line());
        }
    }
}

/// A read as the report names it: the request of a read has no bytes.
fn access(program: &Program, request: &Request<'_>) -> String {
    match *request {
        Request::Write { memory, offset, bytes: [], length, .. } => {
            let number = program.memories[memory as usize].number;
            format!("read {length} bytes of memory {number} at offset {offset:#x}")
        }
        _ => describe::request(program, request),
    }
}
