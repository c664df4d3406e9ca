//! A client of `null-driver`: a batch of jobs, two of which may be under way. Main hands them out for
//! credits, renews its registration meanwhile and shows its progress; another thread takes answers, fetches
//! the details of each by a call, and begins once more what has no answer.

use super::Bug;
use super::verdict::{Failure, Outcome, Stop, connect, promise, sum_up};
use dextape::call::Completion;
use dextape::connection::{CompletionQueue, Connection, ConnectionExt, System};
use dextape::schedule::{Monitor, MonitorGuard, Schedule};
use dextape_scenarios::null_driver::abi::{Data, USER_CLASS, completion, selector};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

const JOBS: u64 = 6;

/// Jobs that may be under way.
const CREDITS: u32 = 2;

/// How long the driver may take for an answer; it takes five seconds.
const PATIENCE: Duration = Duration::from_secs(12);

/// After this time the registration is renewed.
const RENEWAL: Duration = Duration::from_millis(9600);

/// Between two looks at the progress.
const PROGRESS: Duration = Duration::from_millis(73);

/// From the first job to the second.
const STAGGER: Duration = Duration::from_millis(700);

fn payload(job: u64) -> u64 {
    11 * job + 3
}

/// A job under way.
#[derive(Clone, Copy)]
struct Flight {
    attempt: u64,
    since: Duration,
}

#[derive(Default)]
struct Desk {
    credits: u32,
    flights: BTreeMap<u64, Flight>,
    finished: BTreeMap<u64, Data>,
    given_up: BTreeSet<u64>,
    /// The sum of what answers brought.
    balance: u64,
    /// Job and attempt of answers that came.
    seen: BTreeSet<u64>,
    /// Registrations asked for, and since when one waits for its confirmation.
    registrations: u64,
    confirming: Option<Duration>,
    trouble: Option<String>,
    /// The other thread has ended by itself.
    is_deaf: bool,
    is_over: bool,
}

impl Desk {
    fn note(&mut self, what: impl ToString) {
        self.trouble.get_or_insert(what.to_string());
    }

    /// Ends a job without a result.
    fn give_up(&mut self, job: u64) {
        if self.flights.remove(&job).is_some() {
            self.credits += 1;
            self.given_up.insert(job);
        }
    }

    /// When somebody has waited long enough.
    fn deadline(&self) -> Option<Duration> {
        let flights = self.flights.values().map(|flight| flight.since);
        flights.chain(self.confirming).min().map(|since| since + PATIENCE)
    }
}

struct Client {
    bug: Option<Bug>,
    connection: Arc<dyn Connection>,
    queue: Arc<dyn CompletionQueue>,
    schedule: Schedule,
    desk: Monitor<Desk>,
}

pub(super) fn run(system: &Arc<dyn System>, bug: Option<Bug>) -> Result<Outcome, Failure> {
    let connection = match connect(&**system, USER_CLASS) {
        Ok(connection) => connection,
        Err(stop) => return sum_up([Err(stop)]),
    };
    let schedule = system.schedule().clone();
    let desk = Desk { credits: CREDITS, ..Desk::default() };
    let client = Arc::new(Client {
        bug,
        connection,
        queue: system.completion_queue(),
        desk: Monitor::new(&schedule, "desk", desk),
        schedule,
    });
    let answers = {
        let client = Arc::clone(&client);
        let schedule = client.schedule.clone();
        schedule.spawn("answers", move || {
            let heard = client.hear();
            client.desk.lock().is_deaf = true;
            client.desk.notify_all();
            heard
        })
    };
    let worked = client.batch();
    client.desk.lock().is_over = true;
    client.desk.notify_all();
    let heard = answers.join();
    let verified = client.verify();
    let troubled =
        client.desk.lock().trouble.take().map_or(Ok(()), |what| Err(Stop::Trouble(what)));
    let closed = client.connection.close().ok().map_err(Stop::from);
    sum_up([heard, verified, worked, troubled, closed])
}

impl Client {
    /// The main thread.
    fn batch(&self) -> Result<(), Stop> {
        self.register()?;
        drop(self.watch(|desk| desk.confirming.is_some())?);
        for job in 0..JOBS {
            // Jobs under way give their credit back; without any there is nothing to wait for.
            let desk = self.watch(|desk| desk.credits == 0 && !desk.flights.is_empty())?;
            promise!(desk.credits > 0, "no credit for job {job}, and nothing is under way");
            self.begin(desk, job);
            if job == 0 {
                self.schedule.sleep(STAGGER);
            }
        }
        let desk = self.watch(|desk| !desk.flights.is_empty() && desk.credits < CREDITS)?;
        promise!(desk.credits == CREDITS, "{} credits of {CREDITS} are left", desk.credits);
        // The report.
        for job in 0..JOBS {
            let has_end = desk.finished.contains_key(&job) || desk.given_up.contains(&job);
            promise!(has_end, "job {job} has no result");
        }
        Ok(())
    }

    /// Goes on once that holds no more. Meanwhile it shows how far things are, and renews what is due.
    fn watch(&self, waits: impl Fn(&Desk) -> bool) -> Result<MonitorGuard<'_, Desk>, Stop> {
        let mut desk = self.desk.lock();
        while waits(&desk) {
            if desk.is_deaf {
                return Err(Stop::trouble("nobody takes answers any more"));
            }
            if desk.registrations == 1 && self.schedule.now() >= RENEWAL {
                drop(desk);
                self.register()?;
                desk = self.desk.lock();
                continue;
            }
            desk.wait_until(Some(self.schedule.now() + PROGRESS));
        }
        Ok(desk)
    }

    fn register(&self) -> Result<(), Stop> {
        let number = {
            let mut desk = self.desk.lock();
            desk.registrations += 1;
            desk.confirming = Some(self.schedule.now());
            desk.registrations
        };
        self.desk.notify_all();
        let (data, reference) = (Data { foo: number, bar: 0 }, [0, 1, number]);
        let call = self.connection.call(selector::REGISTER_ASYNC);
        let said = call.completing_on(&*self.queue, &reference).input(&data).output::<Data>();
        if said.is_err() {
            self.desk.lock().confirming = None;
        }
        promise!(said.is_err() || said == Ok(data.answered()), "registration {number}: {said:?}");
        said?;
        Ok(())
    }

    /// Spends a credit on a job.
    fn begin(&self, mut desk: MonitorGuard<'_, Desk>, job: u64) {
        desk.credits -= 1;
        desk.flights.insert(job, Flight { attempt: 0, since: self.schedule.now() });
        drop(desk);
        self.desk.notify_all();
        if let Err(stop) = self.send(job, 0) {
            let mut desk = self.desk.lock();
            desk.note(stop);
            if self.bug == Some(Bug::NullCreditLost) {
                desk.flights.remove(&job);
                desk.given_up.insert(job);
            } else {
                desk.give_up(job);
            }
        }
    }

    fn send(&self, job: u64, attempt: u64) -> Result<(), impl ToString> {
        let data = Data { foo: job << 8 | attempt, bar: payload(job) };
        self.connection.call(selector::ASYNC_REQUEST).input(&data).send().map(drop)
    }

    /// The other thread.
    fn hear(&self) -> Result<(), Stop> {
        loop {
            let deadline = {
                let mut desk = self.desk.lock();
                loop {
                    if desk.is_over {
                        return Ok(());
                    }
                    match desk.deadline() {
                        Some(deadline) => break deadline,
                        // Nobody can have anything to say.
                        None => desk.wait_until(None),
                    };
                }
            };
            let left = deadline.saturating_sub(self.schedule.now());
            match self.queue.wait(Some(left)) {
                Some(came) => self.take(&came)?,
                None => self.expire()?,
            }
        }
    }

    fn take(&self, came: &Completion) -> Result<(), Stop> {
        let [what, number, value] = came.arguments[..] else {
            self.desk.lock().note(format_args!("a completion that says nothing: {}", came.status));
            return Ok(());
        };
        if !came.status.is_success() {
            // The time of what it was about runs out.
            self.desk.lock().note(came.status);
            return Ok(());
        }
        let mut desk = self.desk.lock();
        let confirms = match self.bug {
            Some(Bug::NullConfirmationAssumed) => desk.confirming.is_some(),
            _ => what == completion::REGISTERED,
        };
        if confirms {
            let (registration, asked) = (number.wrapping_sub(1), desk.registrations);
            promise!(
                registration <= asked,
                "confirmed as {registration}, and {asked} were asked for"
            );
            if registration == asked {
                desk.confirming = None;
            }
            drop(desk);
            self.desk.notify_all();
            return Ok(());
        }
        let job = number >> 8;
        let is_again = match self.bug {
            Some(Bug::NullRetryCounted) => !desk.seen.insert(number),
            _ => desk.finished.contains_key(&job),
        };
        if is_again || desk.given_up.contains(&job) {
            return Ok(());
        }
        let known = desk.flights.contains_key(&job) || desk.finished.contains_key(&job);
        promise!(known && value == payload(job), "job {job} is answered {value}");
        self.finish(desk, job, Data { foo: number, bar: value })
    }

    /// Fetches the details of an answer and keeps them.
    fn finish(&self, mut desk: MonitorGuard<'_, Desk>, job: u64, answer: Data) -> Result<(), Stop> {
        let is_early = self.bug == Some(Bug::NullDoneBeforeStored);
        if is_early {
            desk.credits += u32::from(desk.flights.remove(&job).is_some());
        }
        drop(desk);
        let details = self.connection.call(selector::STRUCT).input(&answer).output::<Data>();
        let mut desk = self.desk.lock();
        match details {
            Ok(details) => {
                promise!(details == answer.answered(), "the details of job {job}: {details:?}");
                desk.finished.insert(job, details);
                desk.balance += answer.bar;
                desk.credits += u32::from(desk.flights.remove(&job).is_some());
            }
            Err(error) => {
                desk.note(error);
                desk.given_up.insert(job);
                desk.give_up(job);
            }
        }
        drop(desk);
        self.desk.notify_all();
        Ok(())
    }

    /// Looks who has waited for too long. A job has a second attempt.
    fn expire(&self) -> Result<(), Stop> {
        let now = self.schedule.now();
        let mut again = Vec::new();
        let mut desk = self.desk.lock();
        let is_over = |since: Duration| match self.bug {
            Some(Bug::NullNothingIsTimeout) => true,
            _ => now >= since + PATIENCE,
        };
        let late: Vec<_> = desk.flights.iter().map(|(job, flight)| (*job, *flight)).collect();
        for (job, flight) in late.into_iter().filter(|(_, flight)| is_over(flight.since)) {
            let waited = now.saturating_sub(flight.since);
            promise!(waited >= PATIENCE, "job {job} was given up after {waited:?}");
            if flight.attempt == 0 {
                desk.flights.insert(job, Flight { attempt: 1, since: now });
                again.push(job);
            } else {
                desk.note(format_args!("no answer to job {job}"));
                desk.give_up(job);
            }
        }
        if desk.confirming.is_some_and(|since| now >= since + PATIENCE) {
            desk.confirming = None;
            desk.note("a registration is not confirmed");
        }
        drop(desk);
        for job in again {
            if let Err(stop) = self.send(job, 1) {
                let mut desk = self.desk.lock();
                desk.note(stop);
                desk.give_up(job);
            }
        }
        self.desk.notify_all();
        Ok(())
    }

    fn verify(&self) -> Result<(), Stop> {
        let desk = self.desk.lock();
        let due: u64 = desk.finished.keys().map(|job| payload(*job)).sum();
        promise!(desk.balance == due, "the balance is {}, not {due}", desk.balance);
        Ok(())
    }
}
