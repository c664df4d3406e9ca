//! The validator: takes events one by one.

use super::super::error::TapeError;
use super::super::event::{Body, Event, Sequence};
use super::super::header::Header;
use super::call;
use super::finding::{Broken, TapeFinding, Validation};
use super::lanes::{Lanes, Wrong};
use super::other;
use super::resources::Resources;
use crate::IoReturn;
use crate::boundary::completion;
use crate::boundary::{Rule, Rules, map_failure};
use crate::call::AsyncReference;
use std::collections::{BTreeMap, BTreeSet};

/// What an event can be the cause of.
#[derive(Clone, Copy, Debug)]
enum Role {
    /// An asynchronous call: its reference as completions bring it back, and completions so far.
    AsyncCall { reference: AsyncReference, completions: u64 },
    /// A call that may have lent shared memory.
    Call,
    /// A completion, and whether it was delivered.
    Posted { delivered: bool },
    /// A map, or its leave.
    Map,
    /// Nothing that is looked at.
    Other,
}

/// Checks events one by one, in the order of the tape. Memory grows with the number of events, by some
/// 100 bytes each, not with their bytes.
#[derive(Debug)]
pub struct Validator {
    rules: Rules,
    page_size: u64,
    validation: Validation,
    last: Sequence,
    /// Events are missing before here, or the tape begins in the middle.
    holes: bool,
    /// The event before was a gap.
    after_gap: bool,
    roles: BTreeMap<Sequence, Role>,
    processes: BTreeSet<u32>,
    lanes: Lanes,
    resources: Resources,
}

impl Validator {
    /// A validator of a tape with this header. `rules` are those of the boundary that are asked.
    #[must_use]
    pub fn new(header: &Header, rules: Rules) -> Self {
        let of_dext = !header.is_of_kernel_extension();
        let rules = if of_dext { rules } else { rules.without(Rule::C4) };
        Self {
            rules,
            page_size: header.page_size.max(1),
            validation: Validation::default(),
            last: 0,
            holes: false,
            after_gap: false,
            roles: BTreeMap::new(),
            processes: BTreeSet::from([1]),
            lanes: Lanes::default(),
            resources: Resources::default(),
        }
    }

    /// What was found.
    #[must_use]
    pub fn finish(mut self) -> Validation {
        self.validation.in_flight = self.lanes.in_flight();
        self.validation
    }

    /// Notes that the text cannot be read.
    pub fn unreadable(&mut self, error: &TapeError) {
        self.validation.add(TapeFinding {
            line: (error.line > 0).then_some(error.line),
            sequence: None,
            broken: Broken::Text,
            message: match error.column {
                0 => format!("{}; {}", error.kind, error.kind.remedy()),
                column => format!("column {column}, {}; {}", error.kind, error.kind.remedy()),
            },
        });
    }

    /// Checks the next event, which stands on `line` where that is known.
    pub fn event(&mut self, line: Option<u64>, event: &Event) {
        self.validation.events += 1;
        let mut found: Vec<Wrong> = Vec::new();
        self.numbers(event, &mut found);
        self.processes(event, &mut found);
        self.causes(event, &mut found);
        self.operation(event, &mut found);
        let holes = self.holes;
        let mut wrong = |finding| found.push(finding);
        let entered = match event.body {
            Body::Opened | Body::OtherReturn { .. } => self.lanes.entered(event).cloned(),
            _ => None,
        };
        self.lanes.event(event, holes, &mut wrong);
        let (entered, page_size) = (entered.as_ref(), self.page_size);
        self.resources.event(event, entered, page_size, holes, self.rules, &mut wrong);
        self.remember(event);
        for (broken, message) in found {
            let sequence = Some(event.sequence);
            self.validation.add(TapeFinding { line, sequence, broken, message });
        }
    }

    fn numbers(&mut self, event: &Event, found: &mut Vec<Wrong>) {
        let expected = self.last + 1;
        let gap = matches!(event.body, Body::Gap { .. });
        let begins = self.last == 0 && matches!(event.body, Body::Keyframe(_));
        let may_jump = (self.after_gap || gap || begins) && event.sequence > self.last;
        if event.sequence != expected && !may_jump {
            let sequence = event.sequence;
            found.push((Broken::Sequence, format!("expected number {expected}, found {sequence}")));
        }
        self.holes |= gap || begins;
        self.after_gap = gap;
        self.last = event.sequence.max(self.last);
    }

    fn processes(&mut self, event: &Event, found: &mut Vec<Wrong>) {
        let process = event.process;
        if !self.processes.contains(&process) && !self.holes {
            found.push((Broken::Process, format!("process {process} was not forked before")));
        }
        if let Body::Fork { child } = event.body
            && !self.processes.insert(child)
        {
            found.push((Broken::Process, format!("process {child} is forked a second time")));
        }
        if matches!(event.body, Body::Exec) {
            self.lanes.exec(process);
        }
    }

    /// Checks that the cause is there and of the right kind. The cause of a leave is its lane's affair.
    fn causes(&mut self, event: &Event, found: &mut Vec<Wrong>) {
        let mut wrong = |message| found.push((Broken::Cause, message));
        let name = event.body.name();
        let needed = matches!(event.body, Body::Posted { .. } | Body::Delivered { .. });
        let Some(cause) = event.cause else {
            if needed && !self.holes {
                wrong(format!("expected the cause of {name}"));
            }
            return;
        };
        let role = match self.roles.get_mut(&cause) {
            Some(role) => role,
            None if self.holes && cause < event.sequence => return,
            None => return wrong(format!("expected the cause {cause} to stand before")),
        };
        let right = match (&event.body, role) {
            (
                Body::Posted { ordinal, reference, .. },
                Role::AsyncCall { reference: expected, completions },
            ) => {
                *completions += 1;
                if ordinal != completions && !self.holes {
                    wrong(format!(
                        "expected completion {completions} of its call, found {ordinal}"
                    ));
                }
                if reference != expected {
                    let message = format!(
                        "expected the reference {expected:#x?} of call {cause}, found {reference:#x?}"
                    );
                    let message = message.replace(['\n', ' '], "").replace(',', ", ");
                    found.push((Broken::Boundary(Rule::D8), message));
                }
                true
            }
            (Body::Delivered { .. }, Role::Posted { delivered }) => {
                if std::mem::replace(delivered, true) {
                    wrong(format!("completion {cause} is delivered a second time"));
                }
                true
            }
            (Body::Unmap { .. }, role) => matches!(role, Role::Map),
            (Body::Write { .. } | Body::Update { .. } | Body::Patch { .. }, role) => {
                matches!(role, Role::Map | Role::Call | Role::AsyncCall { .. })
            }
            (Body::Posted { .. } | Body::Delivered { .. }, _) => false,
            _ => true,
        };
        if !right {
            found.push((
                Broken::Cause,
                format!("expected the cause of {name} to be another kind of event than {cause}"),
            ));
        }
    }

    /// Checks the leave of an operation against its enter by the rules of the boundary, and what a
    /// single event can show.
    fn operation(&mut self, event: &Event, found: &mut Vec<Wrong>) {
        let mut wrong = |finding| found.push(finding);
        let dead = self.resources.dead(event.connection, self.rules);
        let vague = self.resources.is_vague(event.connection);
        let gone = self.resources.gone(event.connection, self.rules);
        let entered = self.lanes.entered(event);
        let worked = match &event.body {
            Body::Return(returned) => returned.result.is_success(),
            Body::OtherReturn { outcome } => outcome.is_ok(),
            _ => false,
        };
        if worked
            && !self.holes
            && let Some(queue) = entered.and_then(|entered| self.resources.foreign_queue(entered))
        {
            wrong((Broken::Resource, format!("queue {queue} was not made before")));
        }
        match (&event.body, entered) {
            (Body::Return(returned), Some(Body::Call(entered))) => {
                let dead = self.dead_at_enter(event, dead);
                let vague = vague && dead.is_none();
                call::check(entered, None, returned, dead, vague, gone, self.rules, &mut wrong);
            }
            (Body::Return(returned), Some(Body::AsyncCall { call, queue, reference })) => {
                let asynchronous = Some((queue.is_some(), reference.as_deref()));
                let dead = self.dead_at_enter(event, dead);
                let vague = vague && dead.is_none();
                call::check(
                    call,
                    asynchronous,
                    returned,
                    dead,
                    vague,
                    gone,
                    self.rules,
                    &mut wrong,
                );
            }
            (Body::Mapped { outcome: Err(result) }, _) => {
                let dead = self.dead_at_enter(event, dead);
                let vague = vague && dead.is_none();
                let expected = dead.unwrap_or(map_failure(self.rules, *result));
                let unseen = dead.is_none() && gone == Some(*result);
                if *result != expected && !vague && !unseen {
                    let message = format!("expected {expected}, found {result}");
                    wrong((Broken::Boundary(Rule::F5), message));
                }
                failed(*result, &mut wrong);
            }
            (Body::OtherReturn { outcome }, Some(Body::OtherCall(call))) => {
                let dead = self.dead_at_enter(event, dead);
                other::check(call, *outcome, dead, self.rules, &mut wrong);
                if let Err(result) = outcome {
                    failed(*result, &mut wrong);
                }
            }
            (Body::Matched { outcome: Err(result), .. }, _)
            | (Body::Property { outcome: Err(result), .. }, _)
            | (Body::OpenFailed { result }, _) => failed(*result, &mut wrong),
            (Body::Patch { read, last_equal, .. }, _) => {
                if *read == 0 {
                    wrong((Broken::Fields, "expected `read` to be counted from 1 on".to_owned()));
                }
                if last_equal.is_some_and(|last| last >= event.sequence) {
                    let message = "expected `last_equal` to be an earlier event".to_owned();
                    wrong((Broken::Cause, message));
                }
            }
            _ => {}
        }
    }

    /// A call that was on its way when its connection ended comes out with its own result (H3), so only
    /// a connection that had ended before the enter is certain to refuse.
    fn dead_at_enter(&self, event: &Event, dead: Option<IoReturn>) -> Option<IoReturn> {
        let ended = self.resources.ended(event.connection)?;
        if event.cause.is_some_and(|enter| ended < enter) { dead } else { None }
    }

    fn remember(&mut self, event: &Event) {
        let role = match &event.body {
            Body::AsyncCall { reference, .. } => Role::AsyncCall {
                reference: completion::reference(self.rules, reference.as_deref()),
                completions: 0,
            },
            Body::Call(_) => Role::Call,
            Body::Posted { .. } => Role::Posted { delivered: false },
            Body::Map { .. } | Body::Mapped { outcome: Ok(_) } => Role::Map,
            // They have the numbers of events that are missing, which may be causes.
            Body::Gap { .. } | Body::Keyframe(_) => return,
            _ => Role::Other,
        };
        self.roles.insert(event.sequence, role);
    }
}

/// A failure with the code of success is none.
fn failed(result: IoReturn, wrong: &mut impl FnMut(Wrong)) {
    if result.is_success() {
        wrong((Broken::Fields, "expected the code of a failure, found success".to_owned()));
    }
}
