//! One run of a script: what has happened so far, and what the device does next.

use super::fate::Fates;
use super::log::Log;
use super::script::{Deed, Key, OperationIndex, Script, What};
use crate::call::Completion;
use crate::connection::Notice;
use crate::fault::{CompletionFault, Ending};
use crate::memory::{Backing, SharedBuffer};
use crate::perturb::gate::Gate;
use crate::perturb::{Deviation, Deviations, Shift};
use crate::schedule::{Monitor, MonitorGuard, Schedule};
use crate::tape::{Body, Event, Sequence};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Stores of one place among which one of the same bytes is looked for, before and after the next one.
const STORES_NEAR: usize = 64;

/// A run.
#[derive(Debug)]
pub(in crate::perturb) struct Stage {
    pub(super) script: Arc<Script>,
    pub(super) gate: Arc<Gate>,
    pub(super) schedule: Schedule,
    state: Monitor<State>,
}

/// What has happened.
#[derive(Debug)]
pub(super) struct State {
    pub(super) used: Vec<bool>,
    /// Of each key, how many of its first operations have been used.
    first: HashMap<Key, usize>,
    pub(super) deeds: Vec<Progress>,
    /// Changes of memory, in the order in which they happen, and how many have.
    pub(super) patches: Arc<[usize]>,
    pub(super) next_patch: usize,
    /// Deeds that happen by themselves when they are due: completions, notices, changes that are early.
    pending: Vec<usize>,
    /// Second halves of changes.
    pub(super) pieces: Vec<Piece>,
    pub(super) queues: HashMap<u32, VecDeque<(Completion, Sequence)>>,
    pub(super) notices: HashMap<u32, VecDeque<Notice>>,
    pub(super) memories: HashMap<u32, Arc<Backing>>,
    /// Connections that have each memory mapped.
    pub(super) holders: HashMap<u32, Vec<u32>>,
    pub(super) buffers: Vec<(SharedBuffer, u32)>,
    /// References of asynchronous calls as the client gave them, and their enters in the log.
    pub(super) references: HashMap<OperationIndex, (Vec<u64>, Sequence)>,
    pub(super) registers: HashMap<(u32, u64, u64), usize>,
    pub(super) log: Option<Log>,
    /// What goes wrong, where anything does.
    pub(super) fates: Option<Fates>,
    /// Completions that a fault has made late, and how many came of each call.
    late: Vec<(Duration, usize)>,
    pub(super) ordinals: HashMap<OperationIndex, u64>,
    /// Completions of calls that were answered as others were.
    pub(super) again: Vec<Again>,
    /// Bytes of which nobody knows what the device has made of them: memory, offset, length.
    pub(super) unknown: Vec<(u32, u64, u64)>,
    /// Changes that the return of an operation showed which has been made, and that may have happened.
    shown: Vec<usize>,
    /// Lanes of which another has made an operation, or that have made one of another.
    pub(super) exchanged: Vec<u32>,
    /// Calls that the tape does not hold are answered.
    pub(super) answers: bool,
}

/// A recorded completion that comes once more, for another call.
#[derive(Clone, Debug)]
pub(super) struct Again {
    pub(super) due: Duration,
    pub(super) deed: usize,
    /// The reference and the enter of that call.
    pub(super) given: (Vec<u64>, Sequence),
}

/// How far a deed has come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// Causes that have not happened.
    pub(super) missing: u32,
    /// When it happens, once none is missing.
    pub(super) due: Duration,
    pub(super) done: bool,
    pub(super) shift: Option<Shift>,
    /// Reads that will not see it although it is due.
    pub(super) unseen: u32,
    pub(super) split: Option<(u64, Duration)>,
}

/// A part of a change that comes at a time of its own.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) due: Duration,
    pub(super) memory: u32,
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
}

impl Stage {
    pub(in crate::perturb) fn new(
        script: &Arc<Script>,
        gate: &Arc<Gate>,
        deviations: &Deviations,
        logs: bool,
    ) -> Arc<Self> {
        let schedule = gate.schedule().clone();
        let script = match deviations.0.contains(&Deviation::Ahead) {
            true => script.ahead(),
            false => Arc::clone(script),
        };
        let progress = |deed: &Deed| Progress {
            missing: deed.causes.len() as u32,
            due: Duration::from_nanos(if deed.causes.is_empty() { deed.time } else { 0 }),
            ..Progress::default()
        };
        let mut deeds: Vec<Progress> = script.deeds.iter().map(progress).collect();
        for deviation in &deviations.0 {
            script.apply(deviation, &mut deeds);
        }
        let pending = (0..deeds.len())
            .filter(|deed| deeds[*deed].missing == 0 && script.is_pending(*deed, &deeds[*deed]))
            .collect();
        let state = State {
            used: vec![false; script.operations.len()],
            first: HashMap::new(),
            patches: Arc::clone(&script.patches),
            next_patch: 0,
            pending,
            deeds,
            pieces: Vec::new(),
            queues: HashMap::new(),
            notices: HashMap::new(),
            memories: HashMap::new(),
            holders: HashMap::new(),
            buffers: Vec::new(),
            references: HashMap::new(),
            registers: HashMap::new(),
            log: logs.then(Log::default),
            fates: Fates::new(deviations.faults()),
            late: Vec::new(),
            ordinals: HashMap::new(),
            again: Vec::new(),
            unknown: Vec::new(),
            exchanged: Vec::new(),
            shown: Vec::new(),
            answers: deviations.0.contains(&Deviation::Answered),
        };
        let state = Monitor::new(&schedule, "what the tape holds of the device", state);
        Arc::new(Self { script, gate: Arc::clone(gate), schedule, state })
    }

    pub(super) fn state(&self) -> MonitorGuard<'_, State> {
        self.state.lock()
    }

    /// The state, once everything has happened that is due.
    pub(super) fn now(&self) -> MonitorGuard<'_, State> {
        let mut state = self.state.lock();
        if state.advance(self) {
            self.state.notify_all();
        }
        state
    }

    pub(super) fn tell(&self) {
        self.state.notify_all();
    }

    pub(super) fn lane(&self) -> u32 {
        Schedule::lane_of_thread().unwrap_or(1)
    }

    /// The run has gone where the tape says nothing.
    pub(super) fn leave_tape(&self, what: &str) -> ! {
        self.gate.give_up(format!("the tape does not hold {what}"))
    }

    /// Lets as much time pass as an operation took, and has everything happen that was seen before its
    /// end on the tape.
    pub(super) fn pass(&self, operation: OperationIndex) -> MonitorGuard<'_, State> {
        let took = self.script.took(operation);
        if took > 0 && !std::thread::panicking() {
            self.schedule.sleep(Duration::from_nanos(took));
        }
        let mut state = self.now();
        if let Some(leave) = self.script.operations[operation].leave {
            // What is inside a dext that is removed finishes (H3).
            if state.fates.as_ref().is_none_or(|fates| fates.ended != Some(Ending::Died)) {
                state.flush_to(self, leave);
            }
        }
        state
    }

    /// What the run was, as a tape's events.
    pub(in crate::perturb) fn take_events(&self) -> Vec<Event> {
        let log = self.state().log.take();
        log.map(Log::into_events).unwrap_or_default()
    }

    /// True where the device has more to do: a client that waits for ever may wait for that.
    pub(in crate::perturb) fn has_more(&self) -> bool {
        let state = self.state();
        state.deeds.iter().any(|deed| !deed.done)
    }
}

impl Script {
    /// What a deviation does to what the device does.
    fn apply(&self, deviation: &Deviation, deeds: &mut [Progress]) {
        let find = |event: Sequence| {
            self.deeds.iter().position(|deed| self.event(deed.event).sequence == event)
        };
        let is_free = |deed: usize| matches!(self.deeds[deed].what, What::Patch { free: true, .. });
        match *deviation {
            Deviation::Post { event, shift } => {
                let posts = |deed: &usize| !matches!(self.deeds[*deed].what, What::Patch { .. });
                if let Some(deed) = find(event).filter(posts) {
                    deeds[deed].shift = Some(shift);
                }
            }
            Deviation::PatchEarly { event, by } => {
                if let Some(deed) = find(event).filter(|deed| is_free(*deed)) {
                    deeds[deed].shift = Some(Shift::Early(by));
                }
            }
            Deviation::PatchLate { event } => {
                if let Some(deed) = find(event).filter(|deed| is_free(*deed)) {
                    deeds[deed].unseen = 1;
                }
            }
            Deviation::PatchSplit { event, at, by } => {
                if let Some(deed) = find(event).filter(|deed| is_free(*deed)) {
                    deeds[deed].split = Some((at, by));
                }
            }
            _ => {}
        }
    }

    /// True where a deed happens by itself, and not with others of its kind in their order.
    fn is_pending(&self, deed: usize, progress: &Progress) -> bool {
        !matches!(self.deeds[deed].what, What::Patch { .. }) || progress.shift.is_some()
    }
}

impl State {
    /// Finds an operation that asks for the same: one of this lane before others.
    pub(super) fn peek(
        &self,
        stage: &Stage,
        key: &Key,
        is_same: impl Fn(&Body) -> bool,
    ) -> Option<OperationIndex> {
        let script = &stage.script;
        let operations = script.by_key.get(key)?;
        let lane = stage.lane();
        let first = self.first.get(key).copied().unwrap_or(0);
        let mut found = None;
        for operation in &operations[first..] {
            let recorded = &script.operations[*operation];
            if self.used[*operation] || !is_same(&script.event(recorded.enter).body) {
                continue;
            }
            if recorded.lane == lane {
                found = Some(*operation);
                break;
            }
            found.get_or_insert(*operation);
            // Far behind there is nothing that this one could be.
            if operations.len() > 64 {
                break;
            }
        }
        found
    }

    /// Finds an operation that asks for the same, and takes it.
    pub(super) fn take(
        &mut self,
        stage: &Stage,
        key: &Key,
        is_same: impl Fn(&Body) -> bool,
    ) -> Option<OperationIndex> {
        let found = self.peek(stage, key, is_same)?;
        let operations = stage.script.by_key.get(key)?;
        let first = self.first.get(key).copied().unwrap_or(0);
        self.used[found] = true;
        self.note_exchange(stage, found);
        self.shown.extend(stage.script.shows.get(&found).into_iter().flatten());
        let mut first = first;
        while operations.get(first).is_some_and(|operation| self.used[*operation]) {
            first += 1;
        }
        self.first.insert(key.clone(), first);
        self.happened(stage, found);
        Some(found)
    }

    /// Finds the store that a store of the client is, and takes it: one of the same bytes before others.
    /// One that repeats a store which was made is no other one.
    pub(super) fn take_store(
        &mut self,
        stage: &Stage,
        key: &Key,
        is_same: impl Fn(&Body) -> bool,
        is_equal: impl Fn(&Body) -> bool,
    ) -> Option<OperationIndex> {
        let script = &stage.script;
        let operations = script.by_key.get(key)?;
        let first = self.first.get(key).copied().unwrap_or(0);
        let near = first.saturating_sub(STORES_NEAR)..operations.len().min(first + STORES_NEAR);
        let (mut next, mut made) = (None, false);
        for operation in &operations[near] {
            let held = &script.event(script.operations[*operation].enter).body;
            if is_same(held) && is_equal(held) {
                made |= self.used[*operation];
                if !self.used[*operation] {
                    next = Some(*operation);
                    break;
                }
            }
        }
        match next {
            Some(next) => self.take(stage, key, |held| {
                std::ptr::eq(held, &script.event(script.operations[next].enter).body)
            }),
            None if made => None,
            None => self.take(stage, key, is_same),
        }
    }

    /// Where on the tape the next operation of a key stands.
    pub(super) fn place_of_next(&self, stage: &Stage, key: &Key) -> Option<usize> {
        let operations = stage.script.by_key.get(key)?;
        let first = self.first.get(key).copied().unwrap_or(0);
        let next = operations.get(first)?;
        Some(stage.script.operations[*next].enter)
    }

    /// True where a change of these bytes stands before the place on the tape and has not happened.
    pub(super) fn is_ahead(
        &self,
        stage: &Stage,
        position: usize,
        memory: u32,
        (offset, length): (u64, u64),
    ) -> bool {
        if self.is_over() {
            return self.is_unsure(stage, memory, (offset, length));
        }
        let left = self.patches.get(self.next_patch..).unwrap_or_default();
        let before = left.iter().map(|deed| &stage.script.deeds[*deed]);
        before.take_while(|deed| deed.position < position).any(|deed| match &deed.what {
            What::Patch { memory: of, offset: at, bytes, .. } => {
                *of == memory && *at < offset + length && offset < *at + bytes.len() as u64
            }
            _ => false,
        })
    }

    /// True where nobody knows whether a dext that has ended had changed these bytes before: some of what
    /// may have caused a change has happened, and some has not.
    pub(super) fn is_unsure(
        &self,
        stage: &Stage,
        memory: u32,
        (offset, length): (u64, u64),
    ) -> bool {
        let left = self.patches.get(self.next_patch..).unwrap_or_default();
        self.is_over()
            && left.iter().any(|deed| {
                let (Deed { what, causes, .. }, missing) =
                    (&stage.script.deeds[*deed], self.deeds[*deed].missing as usize);
                let What::Patch { memory: of, offset: at, bytes, .. } = what else { return false };
                let overlaps =
                    *of == memory && *at < offset + length && offset < *at + bytes.len() as u64;
                overlaps && 0 < missing && missing < causes.len()
            })
    }

    /// True where these bytes changed, on the tape, in an operation that has been made, and the change still
    /// waits for others that may have caused it, or for a change before it: the operation alone may do it, or
    /// not.
    pub(super) fn is_half_caused(
        &mut self,
        stage: &Stage,
        memory: u32,
        (offset, length): (u64, u64),
    ) -> bool {
        let (deeds, now) = (&self.deeds, stage.schedule.now());
        self.shown.retain(|deed| !deeds[*deed].done);
        let waits = |deed: &Progress| deed.missing > 0 || deed.due <= now;
        self.shown.iter().filter(|deed| waits(&deeds[**deed])).any(|deed| {
            matches!(&stage.script.deeds[*deed].what, What::Patch { memory: of, offset: at, bytes, .. }
                if *of == memory && *at < offset + length && offset < *at + bytes.len() as u64)
        })
    }

    /// An operation has begun: what it may cause can come.
    fn happened(&mut self, stage: &Stage, operation: OperationIndex) {
        let script = &stage.script;
        let effects = &script.effects[operation];
        if effects.is_empty() {
            return;
        }
        let entered = script.event(script.operations[operation].enter).time;
        let now = stage.schedule.now();
        let mut comes = false;
        for deed in effects {
            let after = script.deeds[*deed].time.saturating_sub(entered);
            let progress = &mut self.deeds[*deed];
            progress.due = progress.due.max(now + Duration::from_nanos(after));
            progress.missing -= 1;
            if progress.missing == 0 {
                match progress.shift {
                    Some(Shift::Late(by)) => progress.due = progress.due.saturating_add(by),
                    Some(Shift::Early(by)) => {
                        progress.due = progress.due.saturating_sub(by).max(now);
                    }
                    None => {}
                }
                if script.is_pending(*deed, progress) {
                    self.pending.push(*deed);
                    comes = true;
                }
            }
        }
        if comes {
            stage.tell();
        }
    }

    /// When the next thing happens by itself that a wait could wait for.
    pub(super) fn next_due(&self, stage: &Stage) -> Option<Duration> {
        if self.is_over() {
            return None;
        }
        let can = self.pending.iter().filter(|deed| !self.is_behind(stage, **deed));
        let late = self.late.iter().map(|(due, _)| *due);
        let again = self.again.iter().map(|again| again.due);
        can.map(|deed| self.deeds[*deed].due).chain(late).chain(again).min()
    }

    /// True where an earlier completion of the same call has not come.
    fn is_behind(&self, stage: &Stage, deed: usize) -> bool {
        let previous = stage.script.previous[deed];
        previous.is_some_and(|previous| !self.deeds[previous].done)
    }

    /// Has everything happen that is due. True where something reached a queue.
    fn advance(&mut self, stage: &Stage) -> bool {
        let now = stage.schedule.now();
        let end = self.fates.as_ref().and_then(Fates::next_end).filter(|end| *end <= now);
        let Some(end) = end else { return self.advance_until(stage, now) };
        // What was due before the end has come, and nothing comes after it.
        let came = self.advance_until(stage, end);
        if let Some(fates) = &mut self.fates {
            fates.end_in_time();
        }
        came
    }

    /// Nothing more comes of a dext that has ended (D20).
    pub(super) fn is_over(&self) -> bool {
        self.fates.as_ref().is_some_and(|fates| fates.ended.is_some())
    }

    fn advance_until(&mut self, stage: &Stage, now: Duration) -> bool {
        let mut came = false;
        if self.is_over() {
            return false;
        }
        for (due, deed) in std::mem::take(&mut self.late) {
            if due <= now {
                self.deliver(stage, deed, due, None);
                came = true;
            } else {
                self.late.push((due, deed));
            }
        }
        for again in std::mem::take(&mut self.again) {
            if again.due <= now {
                self.deliver_again(stage, &again);
                came = true;
            } else {
                self.again.push(again);
            }
        }
        loop {
            let patch = self.patches.get(self.next_patch).copied().filter(|deed| {
                let progress = &self.deeds[*deed];
                progress.missing == 0 && progress.due <= now && progress.unseen == 0
            });
            let pending = (self.pending.iter().copied())
                .filter(|deed| self.deeds[*deed].due <= now && !self.is_behind(stage, *deed))
                .min_by_key(|deed| (self.deeds[*deed].due, *deed));
            let first = match (patch, pending) {
                (Some(patch), Some(other)) => {
                    let key = |deed: usize| (self.deeds[deed].due, deed);
                    if key(patch) <= key(other) { patch } else { other }
                }
                (Some(deed), None) | (None, Some(deed)) => deed,
                (None, None) => break,
            };
            came |= self.happen(stage, first);
        }
        for piece in std::mem::take(&mut self.pieces) {
            if piece.due <= now {
                self.put(stage, &piece);
            } else {
                self.pieces.push(piece);
            }
        }
        came
    }

    /// Has every change happen that had at this place of the tape.
    pub(super) fn flush(&mut self, stage: &Stage, position: usize) {
        if self.is_over() {
            return;
        }
        self.flush_to(stage, position);
    }

    fn flush_to(&mut self, stage: &Stage, position: usize) {
        while let Some(deed) = self.patches.get(self.next_patch).copied() {
            if stage.script.deeds[deed].position > position || self.deeds[deed].missing > 0 {
                return;
            }
            self.change(stage, deed);
        }
        for piece in std::mem::take(&mut self.pieces) {
            self.put(stage, &piece);
        }
    }

    /// Has one thing happen. True where it reached a queue.
    fn happen(&mut self, stage: &Stage, deed: usize) -> bool {
        let script = &stage.script;
        self.pending.retain(|other| *other != deed);
        self.flush(stage, script.deeds[deed].position);
        if std::mem::replace(&mut self.deeds[deed].done, true) {
            return false;
        }
        let time = self.deeds[deed].due;
        match &script.deeds[deed].what {
            What::Post { call, .. } => {
                let struck = script
                    .selector(*call)
                    .and_then(|selector| self.fates.as_mut()?.completion(deed, selector));
                stage.gate.note_moment(time);
                let mut status = None;
                match struck {
                    Some(CompletionFault::Fails(code)) => status = Some(code),
                    Some(CompletionFault::Lost) => return false,
                    Some(CompletionFault::Late(by)) => {
                        self.late.push((time.saturating_add(by), deed));
                        return false;
                    }
                    Some(CompletionFault::Doubled) => self.deliver(stage, deed, time, None),
                    None => {}
                }
                self.deliver(stage, deed, time, status);
                true
            }
            What::Notice { queue, notice } => {
                stage.gate.note_moment(time);
                self.notices.entry(*queue).or_default().push_back(*notice);
                true
            }
            What::Patch { .. } => {
                stage.gate.note_moment(time);
                false
            }
        }
    }

    /// The memory of a number.
    pub(super) fn memory(&mut self, number: u32, size: u64) -> Arc<Backing> {
        Arc::clone(self.memories.entry(number).or_insert_with(|| Backing::new(size)))
    }
}
