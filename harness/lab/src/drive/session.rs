//! A run as a whole.

use super::lane::Lane;
use super::pace::Pace;
use super::symbols::rules;
use super::things::Things;
use super::{Difference, DifferenceKind, DriveError, DriveOptions, DriveReport};
use dextape::connection::System;
use dextape::tape::{
    Body, Capture, Event, FieldRule, Host, OpenedAs, Sequence, Tape, Transcript, TranscriptOptions,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What the lanes share.
pub(super) struct Session {
    pub(super) tape: Arc<Tape>,
    pub(super) system: Arc<dyn System>,
    pub(super) options: DriveOptions,
    pub(super) pace: Pace,
    things: Mutex<Things>,
    report: Mutex<DriveReport>,
    /// The leave of each enter, by its place among the events.
    leaves: BTreeMap<Sequence, usize>,
    /// Memories whose reads have effects on the device.
    pub(super) registers: BTreeSet<u32>,
    /// What each connection of the tape was opened as.
    opened: BTreeMap<u32, OpenedAs>,
}

/// Has the tape play the client of `system`, each lane on a task of its own, in the order and at the times
/// of the tape, and compares every answer: results, scalars, structures, completions, what mappings
/// are and what the client reads there, services and notices. Numbers of connections, mappings, queues
/// and services are those of the tape and stand for what this system gives; fields that the tape's rules
/// mask are not compared, and symbols stand for what the dext gives here.
///
/// What a client's buffer held before a call that fills it through a descriptor is not on a tape: it is
/// taken for zeros.
///
/// # Errors
///
/// [`DriveError`] where the tape cannot play a client.
pub fn drive(
    tape: &Arc<Tape>,
    system: &Arc<dyn System>,
    options: DriveOptions,
) -> Result<DriveReport, DriveError> {
    check(tape)?;
    let events = tape.events();
    let of_client = |event: &&Event| event.lane > 0 && is_driven(&event.body);
    let mut lanes: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    let mut leaves = BTreeMap::new();
    for (place, event) in events.iter().enumerate() {
        if of_client(&event) {
            lanes.entry(event.lane).or_default().push(place);
        }
        if let Some(enter) = event.cause.filter(|_| event.body.is_leave()) {
            leaves.insert(enter, place);
        }
    }
    let driven = events.iter().filter(of_client).map(|event| event.sequence);
    let schedule = system.schedule().clone();
    let pace = Pace::new(&schedule, options.patience, driven);
    let session = Arc::new(Session {
        tape: Arc::clone(tape),
        system: Arc::clone(system),
        options,
        pace,
        things: Mutex::default(),
        report: Mutex::default(),
        leaves,
        registers: events.iter().filter_map(register_memory).collect(),
        opened: tape.opened(),
    });
    for (number, events) in lanes {
        let lane = Lane::new(Arc::clone(&session), events);
        schedule.spawn_daemon(&format!("lane {number}"), move || lane.run());
    }
    let end = events.last().map_or(0, |event| event.time);
    if session.pace.all_done(end) {
        session.left_over(end);
    } else if let Some(place) = session.pace.first().and_then(|first| session.place(first)) {
        // What is missing is the leave of an operation.
        let enter = session.event(place).cause.filter(|_| session.event(place).body.is_leave());
        let place = enter.and_then(|enter| session.place(enter)).unwrap_or(place);
        let found = "waits, and does not come back";
        session.differs(place, DifferenceKind::Hang, "the operation", &"that it ends", &found);
    }
    let mut report = session.report().clone();
    report.symbols = session.things().symbols.len();
    report.differences.sort_by_key(|difference| difference.sequence);
    Ok(report)
}

/// Whether a tape can play a client.
fn check(tape: &Tape) -> Result<(), DriveError> {
    for event in tape.events() {
        let sequence = event.sequence;
        match &event.body {
            Body::Keyframe(_) => return Err(DriveError::Incomplete(sequence, "keyframe")),
            Body::Gap { .. } => return Err(DriveError::Incomplete(sequence, "gap")),
            Body::Unknown { kind } if event.must_understand => {
                return Err(DriveError::Unknown(sequence, kind.clone()));
            }
            _ if event.process != 1 => return Err(DriveError::Processes(sequence, event.process)),
            _ => {}
        }
    }
    Ok(())
}

/// The memory that was mapped as device registers.
fn register_memory(event: &Event) -> Option<u32> {
    match &event.body {
        Body::Mapped { outcome: Ok(mapped) } if mapped.capture == Capture::Registers => {
            Some(mapped.memory)
        }
        _ => None,
    }
}

/// Whether the client does something there, or comes back from it.
fn is_driven(body: &Body) -> bool {
    !matches!(
        body,
        Body::Posted { .. }
            | Body::Terminated { .. }
            | Body::Fork { .. }
            | Body::Exec
            | Body::Note { .. }
            | Body::Unknown { .. }
            | Body::Gap { .. }
            | Body::Keyframe(_)
    )
}

impl Session {
    pub(super) fn things(&self) -> MutexGuard<'_, Things> {
        self.things.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self) -> MutexGuard<'_, DriveReport> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rules for calls of a selector on the connection of an event.
    pub(super) fn rules(&self, place: usize, selector: u32) -> impl Iterator<Item = &FieldRule> {
        let on = self.event(place).connection.and_then(|connection| self.opened.get(&connection));
        rules(&self.tape.header().rules, on, selector)
    }

    pub(super) fn made(&self) {
        self.report().operations += 1;
    }

    pub(super) fn event(&self, place: usize) -> &Event {
        &self.tape.events()[place]
    }

    /// Place of the leave of an enter.
    pub(super) fn leave(&self, enter: Sequence) -> Option<usize> {
        self.leaves.get(&enter).copied()
    }

    fn place(&self, sequence: Sequence) -> Option<usize> {
        self.tape.events().binary_search_by_key(&sequence, |event| event.sequence).ok()
    }

    /// Notes a difference at an event.
    pub(super) fn differs(
        &self,
        place: usize,
        kind: DifferenceKind,
        part: &str,
        recorded: &dyn Display,
        found: &dyn Display,
    ) {
        let mut report = self.report();
        if report.differences.len() >= self.options.differences_max {
            report.left_out += 1;
            return;
        }
        report.differences.push(Difference {
            sequence: self.event(place).sequence,
            kind,
            operation: self.operation(place),
            part: part.to_owned(),
            recorded: recorded.to_string(),
            found: found.to_string(),
        });
    }

    /// The operation as a transcript of the tape has it.
    fn operation(&self, place: usize) -> String {
        let event = self.event(place);
        let mut transcript = Transcript::new(TranscriptOptions::default());
        let mut text = String::new();
        transcript.event(event, &mut text);
        if let Some(leave) = self.leave(event.sequence) {
            transcript.event(self.event(leave), &mut text);
        }
        transcript.finish(&mut text);
        text.trim().to_owned()
    }

    /// Completions that nobody took: as many as on the tape, where that tells when they were posted.
    fn left_over(&self, end: u64) {
        if self.tape.header().host != Host::Mock {
            return;
        }
        let mut expected: BTreeMap<u32, (i64, usize)> = BTreeMap::new();
        for (place, event) in self.tape.events().iter().enumerate() {
            let of_call = |call: Option<Sequence>| match call.and_then(|it| self.tape.event(it)) {
                Some(Event { body: Body::AsyncCall { queue, .. }, .. }) => *queue,
                _ => None,
            };
            match &event.body {
                Body::Posted { .. } => {
                    if let Some(queue) = of_call(event.cause) {
                        let count = expected.entry(queue).or_insert((0, place));
                        *count = (count.0 + 1, place);
                    }
                }
                Body::Delivered { queue, .. } => {
                    expected.entry(*queue).or_insert((0, place)).0 -= 1
                }
                _ => {}
            }
        }
        // What was posted at the last moment of the tape may take its turn here.
        let schedule = self.system.schedule();
        let due = Duration::from_nanos(end).saturating_sub(schedule.now());
        schedule.sleep(due);
        (0..16).for_each(|_| schedule.yield_now());
        let queues = self.things().completions.clone();
        for (number, queue) in queues {
            let (count, place) = expected.get(&number).copied().unwrap_or((0, 0));
            let found = std::iter::from_fn(|| queue.poll()).count();
            if found as i64 != count {
                let part = format!("completions on queue {number} that nobody took");
                self.differs(place, DifferenceKind::Completion, &part, &count, &found);
            }
        }
    }
}
