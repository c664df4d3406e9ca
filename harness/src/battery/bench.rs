//! Trials, each on a dext of its own in virtual time.

use super::client::Stage;
use super::contract::Contract;
use super::problem::{ProblemKind, Subject};
use super::report::Report;
use crate::IoReturn;
use crate::connection::System;
use crate::driverkit::{Finding, Leak, Place};
use crate::kernel::MockSystem;
use crate::schedule::{Monitor, Schedule};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Publishes the dext on a fresh system.
pub(super) type Publish = Arc<dyn Fn(&Arc<MockSystem>) -> Result<(), IoReturn> + Send + Sync>;

/// What a trial finds by itself.
#[derive(Clone, Debug)]
pub(super) struct Wrong(pub(super) ProblemKind, pub(super) Subject, pub(super) String);

/// Waits of a trial of the battery's own.
pub(super) const WAITS: u32 = 10;

/// Makes trials and collects what they show.
pub(super) struct Bench {
    pub(super) contract: Arc<Contract>,
    publish: Publish,
    pub(super) report: Report,
    /// How often a trial may wait for as long as the contract's patience.
    pub(super) waits: u32,
    seed: u64,
}

/// What a trial left.
struct Left<R> {
    result: Result<Option<R>, String>,
    stopped: bool,
    findings: Vec<Finding>,
    leaks: Vec<Leak>,
}

impl Bench {
    pub(super) fn new(contract: Contract, publish: Publish) -> Self {
        let report = Report { learned_from: contract.learned_from, ..Report::default() };
        Self { contract: Arc::new(contract), publish, report, waits: WAITS, seed: 1 }
    }

    /// Runs `body` on a fresh dext, and then sees what it left. `None` where it did not come to its end.
    pub(super) fn trial<R: Send + 'static>(
        &mut self,
        subject: Subject,
        what: impl Into<String>,
        body: impl FnOnce(&Stage) -> R + Send + 'static,
    ) -> Option<R> {
        let what = what.into();
        self.report.trials += 1;
        self.seed += 1;
        let doing = Arc::new(Mutex::new(String::new()));
        let (contract, publish) = (Arc::clone(&self.contract), Arc::clone(&self.publish));
        let (seed, shown, waits) = (self.seed, Arc::clone(&doing), self.waits);
        let run = move || {
            Schedule::simulate(seed, |schedule| -> Result<Left<R>, IoReturn> {
                let patience = contract.patience;
                let limit = patience.saturating_mul(waits);
                let mock = MockSystem::new(schedule);
                publish(&mock)?;
                let stage = Stage { contract, mock: Arc::clone(&mock), doing: shown };
                Ok(carry_out(schedule, patience, limit, stage, body))
            })
        };
        let left = match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(left)) => left,
            Ok(Err(code)) => {
                let message = format!("the service cannot be published: {code}");
                self.report.add(ProblemKind::Refused, Subject::Dext, message, &what);
                return None;
            }
            Err(panic) => {
                self.panicked(subject, &message(&*panic), &what);
                return None;
            }
        };
        self.lints(&left.findings, subject, &what);
        for leak in &left.leaks {
            let message = format!("{} is left ({})", leak.class, origin(leak));
            self.report.add(ProblemKind::Leak, place(&leak.made_in, Subject::Dext), message, &what);
        }
        let doing = doing.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match left.result {
            Err(panic) => {
                self.panicked(subject, &panic, &what);
                None
            }
            Ok(None) => {
                let message = format!("it does not come back when {doing}");
                self.report.add(ProblemKind::Hang, subject, message, &what);
                None
            }
            Ok(Some(result)) => {
                if !left.stopped {
                    let message = "it does not come to its end when it is stopped".to_owned();
                    self.report.add(ProblemKind::Hang, Subject::Dext, message, &what);
                }
                Some(result)
            }
        }
    }

    /// As [`trial`](Self::trial), of a body that tells what is wrong.
    pub(super) fn check(
        &mut self,
        subject: Subject,
        what: impl Into<String>,
        body: impl FnOnce(&Stage) -> Vec<Wrong> + Send + 'static,
    ) {
        let what = what.into();
        for Wrong(kind, subject, message) in self.trial(subject, &*what, body).unwrap_or_default() {
            self.report.add(kind, subject, message, &what);
        }
    }

    fn panicked(&mut self, subject: Subject, panic: &str, what: &str) {
        let kind =
            if panic.starts_with("stuck at") { ProblemKind::Hang } else { ProblemKind::Crash };
        let message = match kind {
            ProblemKind::Hang => panic.to_owned(),
            _ => format!("it panics: {panic}"),
        };
        // Who hangs in what order is a matter of the seed.
        let key = if kind == ProblemKind::Hang { "stuck".to_owned() } else { message.clone() };
        self.report.add_as(key, kind, subject, message, what);
    }

    fn lints(&mut self, findings: &[Finding], subject: Subject, what: &str) {
        for finding in findings {
            let mut message = format!("{}: {}", finding.lint(), finding.message());
            if let Some(at) = finding.at() {
                message += &format!(" ({}:{})", at.file(), at.line());
            }
            // One finding a place: the numbers in its text are those of the first trial.
            let (key, subject) = (finding.lint().to_string(), place(finding.place(), subject));
            self.report.add_as(key, ProblemKind::Lint, subject, message, what);
        }
    }
}

/// The body, then the end of every service, each within the time that the contract gives.
fn carry_out<R: Send + 'static>(
    schedule: &Schedule,
    patience: Duration,
    limit: Duration,
    stage: Stage,
    body: impl FnOnce(&Stage) -> R + Send + 'static,
) -> Left<R> {
    let mock = Arc::clone(&stage.mock);
    let matching = stage.contract.matching.clone();
    let result = within(schedule, limit, move || body(&stage));
    let mut left = Left { result, stopped: true, findings: Vec::new(), leaks: Vec::new() };
    if let Ok(Some(_)) = left.result {
        let ending = Arc::clone(&mock);
        let stopped = within(schedule, limit, move || {
            ending.settle();
            // What was under way when the last connection closed comes to its end first.
            ending.schedule().sleep(patience / 2);
            let services = ending.matching_services(&matching).unwrap_or_default();
            if services.is_empty() {
                // Of a process that has ended in the middle of things something is always left.
                return Vec::new();
            }
            let mut leaks = ending.leaks();
            for service in services {
                ending.terminate(service);
            }
            ending.settle();
            leaks.extend(ending.leaks());
            leaks
        });
        match stopped {
            Ok(Some(leaks)) => left.leaks = leaks,
            Ok(None) => left.stopped = false,
            Err(panic) => left.result = Err(panic),
        }
    }
    left.findings = mock.findings();
    left
}

/// What `body` gives as a task of its own, `None` where it takes longer than `limit`, or its panic.
fn within<R: Send + 'static>(
    schedule: &Schedule,
    limit: Duration,
    body: impl FnOnce() -> R + Send + 'static,
) -> Result<Option<R>, String> {
    let done = Arc::new(Monitor::new(schedule, "the end of a trial", None));
    let sender = Arc::clone(&done);
    schedule.spawn_daemon("a trial", move || {
        let outcome = catch_unwind(AssertUnwindSafe(body)).map_err(|panic| message(&*panic));
        *sender.lock() = Some(outcome);
        sender.notify_all();
    });
    let deadline = schedule.now().saturating_add(limit);
    let mut outcome = done.lock();
    while outcome.is_none() && schedule.now() < deadline {
        outcome.wait_until(Some(deadline));
    }
    outcome.take().transpose()
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("(no message)").to_owned()
}

fn place(place: &Place, otherwise: Subject) -> Subject {
    match place {
        Place::ExternalMethod { selector } => Subject::Selector(*selector as u32),
        Place::CopyClientMemory { memory_type } => Subject::MemoryType(*memory_type as u32),
        _ => otherwise,
    }
}

fn origin(leak: &Leak) -> String {
    match leak.created_at {
        Some(at) => format!("made in {}, at {}:{}", leak.made_in, at.file(), at.line()),
        None => format!("made for {}", leak.made_in),
    }
}
