//! A client of `null-driver`: sends requests, two at a time, and has a thread take their answers.

use super::Bug;
use super::stop::{Failure, Outcome, Stop, check, conclude};
use super::waiting::{completion_within, open};
use dextape::call::Completion;
use dextape::connection::{CompletionQueue, Connection, ConnectionExt, System};
use dextape::schedule::{Monitor, Schedule};
use dextape_scenarios::null_driver::abi::{Data, USER_CLASS, completion, selector};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Requests, two of which are under way at a time.
const REQUESTS: u64 = 6;

/// How long a request may take; the driver takes five seconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// Between the two.
const PAUSE: Duration = Duration::from_secs(1);

/// What both threads know.
#[derive(Default)]
struct Desk {
    registered: bool,
    /// Requests under way, with the payload that has to come back.
    pending: BTreeMap<u64, u64>,
    /// Numbers in the order in which they were sent.
    sent: Vec<u64>,
    /// And when that was.
    answered: BTreeMap<u64, Duration>,
    given_up: BTreeSet<u64>,
    /// Requests sent less completions come.
    outstanding: i64,
    /// What must not happen, as a reason.
    wrong: Option<String>,
    is_over: bool,
}

impl Desk {
    fn take(&mut self, came: &Completion, now: Duration, bug: Option<Bug>) {
        let (what, number, payload) = match came.arguments[..] {
            [what, number, payload, ..] if came.status.is_success() => (what, number, payload),
            _ => return self.is_wrong(format!("an answer that is none: {came:?}")),
        };
        if what == completion::REGISTERED {
            self.registered = true;
            return;
        }
        self.outstanding -= 1;
        let number = match bug {
            Some(Bug::NullOrderAssumed) if !self.sent.is_empty() => self.sent.remove(0),
            _ => number,
        };
        match self.pending.remove(&number) {
            Some(expected) if expected == payload => {
                self.answered.insert(number, now);
            }
            Some(expected) => {
                self.is_wrong(format!("request {number} of {expected} is answered {payload}"));
            }
            // It comes a second time, or too late.
            None if self.answered.contains_key(&number) || self.given_up.contains(&number) => {}
            None => self.is_wrong(format!("an answer to {number}, which nobody asked")),
        }
    }

    fn is_wrong(&mut self, what: String) {
        self.wrong.get_or_insert(what);
    }
}

struct Client {
    bug: Option<Bug>,
    connection: Arc<dyn Connection>,
    queue: Arc<dyn CompletionQueue>,
    schedule: Schedule,
    desk: Arc<Monitor<Desk>>,
}

pub(super) fn run(system: &Arc<dyn System>, bug: Option<Bug>) -> Result<Outcome, Failure> {
    let connection = match open(system, USER_CLASS) {
        Ok(connection) => connection,
        Err(stop) => return conclude([Err(stop)]),
    };
    let schedule = system.schedule().clone();
    let desk = Arc::new(Monitor::new(&schedule, "desk", Desk::default()));
    let client = Client { bug, connection, queue: system.completion_queue(), schedule, desk };
    let listener = {
        let (queue, desk) = (Arc::clone(&client.queue), Arc::clone(&client.desk));
        let schedule = client.schedule.clone();
        client.schedule.spawn("listener", move || {
            while !desk.lock().is_over {
                if let Some(came) = completion_within(&*queue, &schedule, PAUSE) {
                    desk.lock().take(&came, schedule.now(), bug);
                    desk.notify_all();
                }
            }
        })
    };
    let worked = client.session();
    client.desk.lock().is_over = true;
    listener.join();
    let checked = client.check(worked.is_ok());
    let closed = client.connection.close().ok().map_err(Stop::from);
    conclude([checked, worked, closed])
}

impl Client {
    fn session(&self) -> Result<(), Stop> {
        let reference = [0, 1, 2];
        let call = self.connection.call(selector::REGISTER_ASYNC);
        let data = Data { foo: 1, bar: 1 };
        call.completing_on(&*self.queue, &reference).input(&data).output::<Data>()?;
        let registered = self.until(PATIENCE, |desk| desk.registered);
        if !registered {
            return Err(Stop::trouble("the registration is not confirmed"));
        }
        let mut trouble = Ok(());
        for first in (0..REQUESTS).step_by(2) {
            let one = self.send(first)?;
            self.schedule.sleep(PAUSE);
            let other = self.send(first + 1)?;
            trouble = trouble.and(self.receive(one)?).and(self.receive(other)?);
        }
        trouble
    }

    /// Sends a request and gives its number.
    fn send(&self, index: u64) -> Result<u64, Stop> {
        let reused = self.bug == Some(Bug::NullNumberReused);
        let number = 100 + if reused { index % 2 } else { index };
        let payload = 7 * index + 1;
        let enter = || {
            let mut desk = self.desk.lock();
            desk.pending.insert(number, payload);
            desk.sent.push(number);
            if reused {
                desk.answered.remove(&number);
                desk.given_up.remove(&number);
            }
        };
        self.desk.lock().outstanding += 1;
        let late = self.bug == Some(Bug::NullAnswerBeforeReturn);
        if !late {
            enter();
        }
        let data = Data { foo: number, bar: payload };
        let sent = self.connection.call(selector::ASYNC_REQUEST).input(&data).send();
        if late && sent.is_ok() {
            enter();
        }
        if sent.is_err() {
            // Whether it is answered all the same is open.
            let mut desk = self.desk.lock();
            desk.pending.remove(&number);
            desk.given_up.insert(number);
        }
        sent?;
        Ok(number)
    }

    /// Waits for an answer. The outer error is the end, the inner one only of this request.
    fn receive(&self, number: u64) -> Result<Result<(), Stop>, Stop> {
        let waited_from = self.schedule.now();
        match self.bug {
            Some(Bug::NullLostWakeUp) => {
                let deadline = waited_from + PATIENCE;
                let mut desk = self.desk.lock();
                loop {
                    desk.wait_until(Some(deadline));
                    if desk.answered.contains_key(&number) || self.schedule.now() >= deadline {
                        break;
                    }
                }
            }
            Some(Bug::NullDoubleCounted) => {
                let all = self.until(PATIENCE, |desk| desk.outstanding <= 0);
                let answered = self.desk.lock().answered.contains_key(&number);
                check!(!all || answered, "all is answered, and {number} has no answer");
            }
            _ => {
                self.until(PATIENCE, |desk| desk.answered.contains_key(&number));
            }
        }
        let mut desk = self.desk.lock();
        if let Some(answered) = desk.answered.get(&number) {
            let slept = self.schedule.now().saturating_sub(waited_from.max(*answered));
            check!(slept < PATIENCE / 2, "slept {slept:?} over the answer to {number}");
            return Ok(Ok(()));
        }
        desk.pending.remove(&number);
        desk.given_up.insert(number);
        Ok(Err(Stop::trouble(format_args!("no answer to request {number}"))))
    }

    /// Whether that comes to be in time.
    fn until(&self, patience: Duration, holds: impl Fn(&Desk) -> bool) -> bool {
        let deadline = self.schedule.now() + patience;
        let mut desk = self.desk.lock();
        while !holds(&desk) && self.schedule.now() < deadline {
            desk.wait_until(Some(deadline));
        }
        holds(&desk)
    }

    fn check(&self, is_complete: bool) -> Result<(), Stop> {
        let desk = self.desk.lock();
        let wrong = desk.wrong.clone().unwrap_or_default();
        check!(wrong.is_empty(), "{wrong}");
        let left = is_complete && !desk.pending.is_empty();
        check!(!left, "requests are left: {:?}", desk.pending);
        Ok(())
    }
}
