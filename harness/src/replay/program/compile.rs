//! From events to steps.

use super::arena::{Arena, Stored};
use super::courses::Courses;
use super::keys::KeyTable;
use super::rules::{FieldRules, MARK};
use super::segments::break_lanes;
use super::shared::ADDRESS_BASE;
use super::step::{
    Buffer, EventIndex, Flags, Kind, LaneIndex, LaneInfo, NONE, Outcome, PatchIndex, Post, Program,
    Step, StepIndex,
};
use crate::IoReturn;
use crate::replay::plain::is_plain;
use crate::replay::{PatchTiming, Policy, ReplayOptions, UnknownPolicy};
use crate::schedule::TimeMode;
use crate::tape::{Body, Digest, Event, Header, Payload, Sequence, Tape};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// Why a tape cannot be replayed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Bytes that an event refers to are not on the tape, or not as long as it says.
    #[error("find the blob {digest} of {length} bytes; recover the tape or record it again")]
    MissingBlob {
        /// Its hash.
        digest: Digest,
        /// Its length as the event says it.
        length: u64,
    },
    /// Two events do not fit together.
    #[error("make sense of event {sequence}: {problem}; validate the tape")]
    Inconsistent {
        /// The event.
        sequence: Sequence,
        /// What does not fit.
        problem: &'static str,
    },
    /// More events, scalars or patches than an index holds.
    #[error("hold the tape in memory: it has more than 4294967294 events or scalars")]
    TooLarge,
    /// It holds only in what a run on a mock differs.
    #[error(
        "replay the tape alone: it holds only in what a run on a mock differs, which its header names as \
         {baseline}; `cargo xtask minimize` and `dextape_lab::Regression` run clients over that mock"
    )]
    OverMock {
        /// What the header says, as JSON.
        baseline: String,
    },
    /// The header names a policy that this version does not know.
    #[error("{0}; name one when you replay")]
    Policy(#[from] UnknownPolicy),
}

/// Characters of a header's baseline that an error shows.
const BASELINE_MAX: usize = 200;

/// What is known of a lane while its events go by.
pub(super) struct LaneState {
    pub(super) index: LaneIndex,
    /// The last step and the last patch after it.
    pub(super) anchor: StepIndex,
    pub(super) patch: PatchIndex,
    /// A wait that has not woken.
    pub(super) waiting: StepIndex,
    /// Events are missing since the last step.
    pub(super) is_cut: bool,
}

/// A program in the making.
pub(super) struct Compiler<'a> {
    pub(super) program: Program,
    pub(super) blobs: &'a dyn Fn(&Digest) -> Option<Arc<[u8]>>,
    pub(super) lanes: HashMap<(u32, u32), LaneState>,
    /// Step of an enter or leave, post of a posted, by sequence number.
    pub(super) steps: HashMap<Sequence, StepIndex>,
    pub(super) posts: HashMap<Sequence, u32>,
    /// Memory type, options and address of each map.
    pub(super) maps: HashMap<StepIndex, (u32, u32, u64)>,
    /// When each step was entered.
    pub(super) times: Vec<u64>,
    /// By process, the last step that is no poll.
    pub(super) made: HashMap<u32, StepIndex>,
    /// By process and connection, the lane that asked it for something last.
    pub(super) asked: HashMap<(u32, Option<u32>), u32>,
    pub(super) address: u64,
    pub(super) opaque_input: bool,
    /// The policy crosses gaps.
    pub(super) crosses: bool,
    /// Each step ends no earlier than it did, whether time passed in it or its thread came late to it.
    pub(super) paced: bool,
}

impl Program {
    /// Makes a tape's events ready.
    pub(in crate::replay) fn compile(
        tape: Arc<Tape>,
        options: &ReplayOptions,
    ) -> Result<Self, LoadError> {
        let recording = Arc::clone(&tape);
        let (header, events) = (recording.header(), recording.events());
        if u32::try_from(events.len()).is_err() || events.len() as u64 >= u64::from(NONE) {
            return Err(LoadError::TooLarge);
        }
        if let Some(baseline) = header.extra.get(Header::BASELINE) {
            let baseline = baseline.to_string().chars().take(BASELINE_MAX).collect();
            return Err(LoadError::OverMock { baseline });
        }
        let named = match (options.policy, &header.policy) {
            (Some(policy), _) => Some(policy),
            (None, Some(name)) => Some(name.parse()?),
            (None, None) => None,
        };
        let named = match options.policy {
            None if is_cut(events) => Some(Policy::AcrossGaps),
            _ => named,
        };
        let mark = options.recorded.then_some(&MARK);
        let rules = header.rules.iter().chain(&options.rules).chain(mark);
        let mut rules = FieldRules::new(rules, &recording);
        rules.marked = options.recorded;
        let program = Self {
            tape,
            time: header.time,
            policy: Policy::Ordered,
            steps: Vec::with_capacity(events.len() / 2),
            arena: Arena::default(),
            outcomes: Vec::new(),
            takes: HashMap::new(),
            posts: Vec::new(),
            patches: Vec::new(),
            initial_patches: Vec::new(),
            memories: Vec::new(),
            memory_indices: HashMap::new(),
            lanes: Vec::new(),
            queues: Vec::new(),
            streams: Vec::new(),
            connection_streams: Vec::new(),
            queue_streams: Vec::new(),
            keys: None,
            courses: None,
            rules,
            pointed: HashMap::new(),
            space: OnceLock::new(),
            gaps: Vec::new(),
            segments: None,
            ends: HashMap::new(),
        };
        let mut compiler = Compiler {
            program,
            blobs: &|digest| recording.load(*digest).ok(),
            lanes: HashMap::new(),
            steps: HashMap::with_capacity(events.len()),
            posts: HashMap::new(),
            maps: HashMap::new(),
            times: Vec::with_capacity(events.len() / 2),
            made: HashMap::new(),
            asked: HashMap::new(),
            address: ADDRESS_BASE,
            opaque_input: false,
            crosses: named == Some(Policy::AcrossGaps),
            paced: options.patches == PatchTiming::AsRecorded,
        };
        for (index, event) in events.iter().enumerate() {
            compiler.event(index as u32, event)?;
            if !event.extra.is_empty() {
                compiler.pointed(event)?;
            }
        }
        let Compiler { mut program, opaque_input, .. } = compiler;
        program.policy = named.unwrap_or_else(|| program.suggested_policy());
        program.queues.sort_unstable();
        program.sort_lanes();
        if program.policy == Policy::AcrossGaps && !program.gaps.is_empty() {
            program.lay_segments(opaque_input);
        } else {
            program.lay_streams();
        }
        program.steps.iter_mut().for_each(|step| step.plain = is_plain(step));
        if program.policy.is_keyed() {
            program.keys = Some(KeyTable::new(&program, opaque_input));
        }
        if program.policy == Policy::Nearest {
            program.courses = Some(Courses::new(&program));
        }
        Ok(program)
    }
}

impl Compiler<'_> {
    fn event(&mut self, index: EventIndex, event: &Event) -> Result<(), LoadError> {
        match &event.body {
            Body::Matched { outcome, .. } => {
                let step = self.begin(index, event, Kind::Matched);
                step.result = outcome.as_ref().err().copied().unwrap_or(IoReturn::SUCCESS);
            }
            Body::Property { outcome, .. } => {
                let step = self.begin(index, event, Kind::Property);
                step.result = outcome.as_ref().err().copied().unwrap_or(IoReturn::SUCCESS);
            }
            Body::Watch { queue, result, .. } => {
                let step = self.begin(index, event, Kind::Watch);
                step.selector = *queue;
                step.result = *result;
            }
            Body::Queue { queue } => {
                self.begin(index, event, Kind::Queue).selector = *queue;
                self.program.queues.push(*queue);
            }
            Body::Open { .. } => self.enter(index, event, Kind::Open),
            Body::Call(call) => self.call(index, event, call, Kind::Call)?,
            Body::AsyncCall { call, .. } => self.call(index, event, call, Kind::AsyncCall)?,
            Body::Map { memory_type, options, address } => {
                let asked = (*memory_type, *options, *address);
                self.maps.insert(self.program.steps.len() as u32, asked);
                self.enter(index, event, Kind::Map);
            }
            Body::Unmap { .. } => self.enter(index, event, Kind::Unmap),
            Body::Close => self.enter(index, event, Kind::Close),
            Body::OtherCall(_) => self.enter(index, event, Kind::Other),
            Body::Wait { queue, .. } => {
                self.enter(index, event, Kind::Wait);
                let outcome = self.outcome(Outcome::Unknown);
                let step = self.last();
                step.selector = *queue;
                step.outcome = outcome;
                let waiting = self.program.steps.len() as u32 - 1;
                self.lane(event).waiting = waiting;
            }
            Body::Write { memory, data, .. } => {
                let memory = self.known_memory(event, *memory)?;
                let stored = self.program.arena.add(data, self.blobs)?;
                self.opaque_input |= matches!(stored, Stored::Opaque);
                let step = self.begin(index, event, Kind::Write);
                step.selector = memory;
                step.input = Buffer::Bytes;
                step.set_input(stored, data);
            }
            Body::Update { memory, .. } => {
                let memory = self.known_memory(event, *memory)?;
                self.begin(index, event, Kind::Update).selector = memory;
            }

            Body::Opened => {
                let step = self.leave(index, event, Kind::Open)?;
                let Some(step) = step else { return Ok(()) };
                let Some(connection) = event.connection else {
                    return Err(inconsistent(event, "an open that worked has no connection"));
                };
                step.connection = connection;
            }
            Body::OpenFailed { result } => {
                if let Some(step) = self.leave(index, event, Kind::Open)? {
                    step.result = *result;
                    step.connection = NONE;
                }
            }
            Body::Return(returned) => self.returned(index, event, returned)?,
            Body::Woke { timed_out } => self.woke(index, event, *timed_out)?,
            Body::Mapped { outcome } => self.mapped(index, event, outcome)?,
            Body::Unmapped { result } | Body::Closed { result } => {
                let kind = if event.body == (Body::Closed { result: *result }) {
                    Kind::Close
                } else {
                    Kind::Unmap
                };
                if let Some(step) = self.leave(index, event, kind)? {
                    step.result = *result;
                }
            }
            Body::OtherReturn { outcome } => {
                if let Some(step) = self.leave(index, event, Kind::Other)? {
                    step.result = outcome.err().unwrap_or(IoReturn::SUCCESS);
                }
            }

            Body::Posted { status, arguments, reference, .. } => {
                let call = event.cause.and_then(|cause| self.steps.get(&cause)).copied();
                let post = Post {
                    call: call.unwrap_or(NONE),
                    status: *status,
                    arguments: *arguments,
                    reference: *reference,
                    event: index,
                    time: event.time,
                };
                self.posts.insert(event.sequence, self.program.posts.len() as u32);
                self.program.posts.push(post);
            }
            Body::Delivered { queue, polls } => {
                let post = event.cause.and_then(|cause| self.posts.get(&cause)).copied();
                let outcome = post.map_or(Outcome::Unknown, Outcome::Completion);
                let anchor = self.lane(event).anchor;
                self.taken(index, event, *queue, Kind::Take, outcome);
                let lane = self.lane(event);
                if lane.anchor != anchor {
                    let (lane, take) = (lane.index, lane.anchor);
                    self.program.takes.insert((lane, anchor), (take, *polls));
                }
            }
            Body::Notice { queue, kind, service } => {
                let outcome = Outcome::Notice(*kind, *service);
                self.taken(index, event, *queue, Kind::TakeNotice, outcome);
            }
            Body::Patch { memory, offset, data, read, last_equal, unattributed } => {
                let seen = (*read, *unattributed, *last_equal);
                self.patch(index, event, *memory, (*offset, data), seen)?;
            }

            Body::Gap { .. } => {
                self.program.gaps.push(index);
                if self.crosses {
                    break_lanes(self.lanes.values_mut());
                }
            }
            Body::Keyframe(keyframe) => self.keyframe(keyframe),
            Body::Terminated { service } => self.terminated(index, event, *service),
            Body::Fork { .. } | Body::Exec | Body::Note { .. } | Body::Unknown { .. } => {}
        }
        Ok(())
    }

    /// What a client sees of a termination is what its calls return, and notices; a report wants to name
    /// it.
    fn terminated(&mut self, index: EventIndex, event: &Event, service: Option<u32>) {
        let program = &self.program;
        let of_service = |step: &&Step| {
            let opened = step.kind == Kind::Open && step.connection != NONE;
            let enter = &program.event(step.enter).body;
            opened && matches!(enter, Body::Open { service: it, .. } if Some(*it) == service)
        };
        let ended: Vec<u32> = match service {
            Some(_) => program.steps.iter().filter(of_service).map(|it| it.connection).collect(),
            None => event.connection.into_iter().collect(),
        };
        for connection in ended {
            self.program.ends.entry(connection).or_insert(index);
        }
    }

    pub(super) fn lane(&mut self, event: &Event) -> &mut LaneState {
        self.lane_of(event.process, event.lane)
    }

    pub(super) fn lane_of(&mut self, process: u32, number: u32) -> &mut LaneState {
        let lanes = &mut self.program.lanes;
        let initial = &mut self.program.initial_patches;
        let is_cut = self.crosses && !self.program.gaps.is_empty();
        self.lanes.entry((process, number)).or_insert_with(|| {
            lanes.push(LaneInfo { process, number });
            initial.push(NONE);
            let index = lanes.len() as u32 - 1;
            LaneState { index, anchor: NONE, patch: NONE, waiting: NONE, is_cut }
        })
    }

    pub(super) fn last(&mut self) -> &mut Step {
        let last = self.program.steps.len() - 1;
        &mut self.program.steps[last]
    }

    /// A new step, of an event that is enter and leave in one.
    fn begin(&mut self, index: EventIndex, event: &Event, kind: Kind) -> &mut Step {
        let paced = self.paced && self.program.time == TimeMode::Simulated;
        self.enter(index, event, kind);
        let step = self.last();
        step.leave = index;
        step.flags = Flags(step.flags.0 & !Flags::IN_FLIGHT.0);
        if paced {
            step.flags.set(Flags::TIME);
        }
        step
    }

    /// A new step, of an enter.
    pub(super) fn enter(&mut self, index: EventIndex, event: &Event, kind: Kind) {
        let number = self.program.steps.len() as u32;
        self.asked.insert((event.process, event.connection), event.lane);
        let lane = self.lane(event);
        lane.anchor = number;
        lane.patch = NONE;
        lane.waiting = NONE;
        lane.is_cut = false;
        let lane = lane.index;
        let gate = event.cause.and_then(|cause| self.steps.get(&cause)).copied().unwrap_or(NONE);
        let mut flags = Flags::default();
        flags.set(Flags::IN_FLIGHT);
        if gate != NONE {
            flags.set(Flags::GATED);
        }
        self.steps.insert(event.sequence, number);
        if !matches!(kind, Kind::Take | Kind::TakeNotice) {
            self.made.insert(event.process, number);
        }
        self.times.push(event.time);
        self.program.steps.push(Step {
            kind,
            flags,
            input: Buffer::None,
            output: Buffer::None,
            plain: false,
            scalars_in: 0,
            scalars_out: 0,
            selector: 0,
            connection: event.connection.unwrap_or(NONE),
            scalar_count: 0,
            scalars_asked: 0,
            result: IoReturn::SUCCESS,
            words: 0,
            input_at: 0,
            input_length: 0,
            output_size: 0,
            reply_at: 0,
            reply_length: 0,
            reply_size: 0,
            input_memory: NONE,
            output_memory: NONE,
            enter: index,
            leave: NONE,
            lane,
            stream: NONE,
            next: NONE,
            gate,
            patches: NONE,
            outcome: NONE,
        });
    }

    /// The step that a leave belongs to; `None` where its enter fell into a gap.
    pub(super) fn leave(
        &mut self,
        index: EventIndex,
        event: &Event,
        kind: Kind,
    ) -> Result<Option<&mut Step>, LoadError> {
        let entered = event.cause.and_then(|cause| self.steps.get(&cause)).copied();
        let Some(number) = entered else {
            return if self.program.gaps.is_empty() {
                Err(inconsistent(event, "a leave whose enter is not on the tape"))
            } else {
                Ok(None)
            };
        };
        let fits = |step: &Step| {
            let same = step.kind == kind || (step.kind, kind) == (Kind::AsyncCall, Kind::Call);
            same && step.leave == NONE
        };
        let lane = self.lane(event);
        if lane.anchor != number {
            lane.anchor = number;
            lane.patch = NONE;
        }
        lane.is_cut = false;
        let step = &mut self.program.steps[number as usize];
        if !fits(step) {
            return Err(inconsistent(event, "a leave whose cause is no enter of its kind"));
        }
        step.leave = index;
        step.flags = Flags(step.flags.0 & !Flags::IN_FLIGHT.0);
        // Time follows a tape only where it was simulated when the tape was recorded.
        let passes = self.paced || self.times[number as usize] < event.time;
        if self.program.time == TimeMode::Simulated && passes {
            step.flags.set(Flags::TIME);
        }
        self.steps.insert(event.sequence, number);
        Ok(Some(&mut self.program.steps[number as usize]))
    }

    /// A completion or notice that the client took, inside a wait or by a poll.
    fn taken(
        &mut self,
        index: EventIndex,
        event: &Event,
        queue: u32,
        kind: Kind,
        outcome: Outcome,
    ) {
        let lane = self.lane(event);
        let waiting = std::mem::replace(&mut lane.waiting, NONE);
        if let Some(step) = self.program.steps.get(waiting as usize)
            && step.selector == queue
        {
            self.program.outcomes[step.outcome as usize] = outcome;
            self.steps.insert(event.sequence, waiting);
            return;
        }
        let outcome_index = self.outcome(outcome);
        let gate = match outcome {
            Outcome::Completion(post) => self.program.posts[post as usize].call,
            // No call of the client's stands behind a notice: it came of what happened before it, and a
            // poll of a replay that is early must not find it, even in another queue's stream.
            Outcome::Notice(..) => self.made.get(&event.process).copied().unwrap_or(NONE),
            Outcome::TimedOut | Outcome::Unknown => NONE,
        };
        let step = self.begin(index, event, kind);
        step.selector = queue;
        // The event names its call's connection, which is not what it is taken from.
        step.connection = NONE;
        step.outcome = outcome_index;
        step.gate = gate;
        step.flags = Flags(step.flags.0 & !Flags::GATED.0);
        if gate != NONE {
            step.flags.set(Flags::GATED);
        }
        if outcome == Outcome::Unknown {
            step.flags.set(Flags::IN_FLIGHT);
        }
    }

    fn woke(&mut self, index: EventIndex, event: &Event, timed_out: bool) -> Result<(), LoadError> {
        // Taken away by what was delivered.
        let delivered = std::mem::replace(&mut self.lane(event).waiting, NONE) == NONE;
        let gaps = !self.program.gaps.is_empty();
        let Some(step) = self.leave(index, event, Kind::Wait)? else { return Ok(()) };
        let outcome = step.outcome as usize;
        match (self.program.outcomes[outcome], timed_out) {
            (Outcome::Unknown, true) => self.program.outcomes[outcome] = Outcome::TimedOut,
            (Outcome::Unknown, false) if !gaps && !delivered => {
                return Err(inconsistent(event, "a wait that woke for nothing"));
            }
            (Outcome::Completion(_) | Outcome::Notice(..), true) => {
                return Err(inconsistent(event, "a wait that timed out with a completion"));
            }
            _ => {}
        }
        Ok(())
    }

    fn outcome(&mut self, outcome: Outcome) -> u32 {
        self.program.outcomes.push(outcome);
        self.program.outcomes.len() as u32 - 1
    }
}

/// True where a keyframe stands behind a gap: a flight recorder has cut the tape.
fn is_cut(events: &[Event]) -> bool {
    let mut from_gap = events.iter().skip_while(|event| !matches!(event.body, Body::Gap { .. }));
    from_gap.any(|event| matches!(event.body, Body::Keyframe(_)))
}

impl Step {
    fn set_input(&mut self, stored: Stored, data: &Payload) {
        self.input_length = data.length();
        match stored {
            Stored::At(at) => self.input_at = at,
            Stored::Opaque => self.flags.set(Flags::OPAQUE_INPUT),
        }
    }
}

pub(super) fn inconsistent(event: &Event, problem: &'static str) -> LoadError {
    LoadError::Inconsistent { sequence: event.sequence, problem }
}
