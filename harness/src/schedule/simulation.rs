//! Simulated mode: one task at a time, a seeded order, virtual time.
//!
//! Tasks are threads that hand a baton to each other, because clients are ordinary blocking code.
//! Whoever gives up the baton draws the next holder among the tasks that can go on; where none can,
//! time moves to the earliest deadline; where there is no deadline either, the run is stuck and
//! every task unwinds with a report.

use super::life;
use super::pool;
use super::priority::Priorities;
use super::seed::Generator;
use super::task::TaskId;
use super::variation::Variation;
use std::any::Any;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

thread_local! {
    /// Number of the simulation that the thread belongs to, its task and its lane.
    static CURRENT: Cell<Option<(u64, TaskId, u32)>> = const { Cell::new(None) };
}

/// Lane of the first daemon, far above those of the tasks that clients run on.
const DAEMON_LANES: u32 = 1_000_000;

/// Carried by the unwinding of a task that is stopped at the end of a run.
struct Stopped;

pub(super) struct Simulation {
    number: u64,
    seed: u64,
    variation: Variation,
    state: Mutex<State>,
    /// A task on a thread of the pool is done.
    done: Condvar,
}

/// What the report says of tasks that would be woken by time, and yet never come to an end.
pub(crate) const ENDLESS: &str = ", again and again";

struct State {
    now: Duration,
    generator: Generator,
    /// Those that have not finished: of a long run only these are kept.
    tasks: BTreeMap<TaskId, Task>,
    /// Tasks and daemons that there were, with those that have finished.
    spawned: [usize; 2],
    running: Option<TaskId>,
    /// Set at the end of a run: whoever gets the baton unwinds.
    ending: bool,
    stuck: Option<String>,
    panic: Option<Box<dyn Any + Send>>,
    threads: Vec<JoinHandle<()>>,
    /// Tasks on threads of the pool that are not done.
    pooled: usize,
    priorities: Option<Priorities>,
    longest: Duration,
}

struct Task {
    name: String,
    daemon: bool,
    status: Status,
    baton: Arc<Condvar>,
    lane: u32,
    /// Waits until some time that the task has begun.
    timed: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    Ready {
        notified: bool,
    },
    Waiting {
        key: usize,
        what: &'static str,
        deadline: Option<Duration>,
        /// The one that the task waits on behalf of; never followed.
        life: Option<usize>,
    },
}

impl Simulation {
    pub(super) fn new(seed: u64, variation: Variation) -> Arc<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let priorities = variation.priorities.map(Priorities::new);
        let state = State {
            now: Duration::ZERO,
            generator: Generator::new(seed),
            tasks: BTreeMap::from([(TaskId(0), Task::new("main", false, 1))]),
            spawned: [1, 0],
            running: Some(TaskId(0)),
            ending: false,
            stuck: None,
            panic: None,
            threads: Vec::new(),
            pooled: 0,
            priorities,
            longest: variation.longest.unwrap_or(Duration::MAX),
        };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let (state, done) = (Mutex::new(state), Condvar::new());
        Arc::new(Self { number, seed, variation, state, done })
    }

    pub(super) fn run<R>(&self, body: impl FnOnce() -> R) -> R {
        let outer = CURRENT.replace(Some((self.number, TaskId(0), 1)));
        let outcome = catch_unwind(AssertUnwindSafe(body));
        if outcome.is_ok() {
            // What the body left behind runs to its end; the report of a stuck run is taken below.
            let _ = catch_unwind(AssertUnwindSafe(|| self.wait_for_tasks()));
        }
        self.end();
        CURRENT.set(outer);
        let mut state = self.state();
        let (panic, stuck) = (state.panic.take(), state.stuck.take());
        drop(state);
        match (outcome, panic, stuck) {
            // The first cause, before the panics that it brought about in others.
            (_, _, Some(report)) => panic!("{report}"),
            (Err(panic), _, _) | (Ok(_), Some(panic), _) => resume_unwind(panic),
            (Ok(result), None, None) => result,
        }
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    pub(super) fn now(&self) -> Duration {
        self.state().now
    }

    pub(super) fn current(&self) -> Option<TaskId> {
        CURRENT.get().filter(|(number, ..)| *number == self.number).map(|(_, task, _)| task)
    }

    pub(super) fn lane_of_thread() -> Option<u32> {
        CURRENT.get().map(|(.., lane)| lane)
    }

    pub(super) fn spawn(
        self: &Arc<Self>,
        name: &str,
        daemon: bool,
        body: impl FnOnce() -> Option<Box<dyn Any + Send>> + Send + 'static,
    ) {
        let mut state = self.state();
        let task = TaskId(state.spawned.iter().sum());
        let before = &mut state.spawned[usize::from(daemon)];
        *before += 1;
        let number = *before as u32;
        let lane = if daemon { DAEMON_LANES + number - 1 } else { number };
        state.tasks.insert(task, Task::new(name, daemon, lane));
        // Those that have ended need nobody to wait for them.
        state.threads.retain(|thread| !thread.is_finished());
        let simulation = Arc::clone(self);
        let work = move || {
            CURRENT.set(Some((simulation.number, task, lane)));
            let started = catch_unwind(AssertUnwindSafe(|| {
                simulation.hold(simulation.state(), task);
            }));
            let panic = if started.is_ok() { body() } else { None };
            simulation.finish(task, panic);
        };
        if self.variation.is_one_of_many {
            state.pooled += 1;
            let simulation = Arc::clone(self);
            pool::run(move || {
                // A panic in here has been kept by the body.
                let _ = catch_unwind(AssertUnwindSafe(work));
                CURRENT.set(None);
                simulation.state().pooled -= 1;
                simulation.done.notify_all();
            });
            return;
        }
        let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(work);
        match spawned {
            Ok(thread) => state.threads.push(thread),
            Err(error) => panic!("failed to start a thread for task {name}: {error}"),
        }
    }

    /// Gives up the baton until `key` is woken or time reaches `deadline`. False where the
    /// deadline came first.
    pub(super) fn wait(&self, key: usize, what: &'static str, deadline: Option<Duration>) -> bool {
        if std::thread::panicking() {
            // Unwinding through a second panic would abort. The run is over for this task: let
            // the others go on in the machine's time, and tell the caller that nothing came.
            std::thread::yield_now();
            return false;
        }
        let me = self.expect_current(what);
        let mut state = self.state();
        let deadline = deadline.map(|deadline| self.late(&mut state, me, deadline));
        state.set_status(me, Status::Waiting { key, what, deadline, life: life::key() });
        state.hand_over();
        self.hold(state, me)
    }

    /// When a wait until `deadline` ends in this run.
    fn late(&self, state: &mut State, me: TaskId, deadline: Duration) -> Duration {
        let Some(lateness) = &self.variation.lateness else { return deadline };
        let now = state.now;
        let Some(task) = state.tasks.get_mut(&me) else { return deadline };
        task.timed += 1;
        let late = lateness(task.lane, task.timed, deadline.saturating_sub(now));
        deadline.saturating_add(late)
    }

    /// Ends the waits of the tasks that work for a life.
    pub(super) fn end_waits(&self, ended: usize) {
        for task in self.state().tasks.values_mut() {
            if matches!(task.status, Status::Waiting { life: Some(life), .. } if life == ended) {
                task.status = Status::Ready { notified: false };
            }
        }
    }

    pub(super) fn wake(&self, key: usize) {
        for task in self.state().tasks.values_mut() {
            if matches!(task.status, Status::Waiting { key: waited, .. } if waited == key) {
                task.status = Status::Ready { notified: true };
            }
        }
    }

    pub(super) fn yield_now(&self) {
        if std::thread::panicking() {
            return;
        }
        let me = self.expect_current("yield");
        let mut state = self.state();
        if let Some(priorities) = &mut state.priorities {
            priorities.demote(me);
        }
        state.hand_over();
        self.hold(state, me);
    }

    /// Waits for the baton. True where the task was notified, false where its deadline came.
    fn hold(&self, mut state: MutexGuard<'_, State>, me: TaskId) -> bool {
        let baton = state.tasks.get(&me).map(|task| Arc::clone(&task.baton));
        let baton = baton.expect("a task that waits has not finished");
        while state.running != Some(me) {
            if state.stuck.is_some() || state.ending {
                break;
            }
            state = baton.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if let Some(report) = &state.stuck {
            let report = report.clone();
            drop(state);
            panic_any(report);
        }
        if state.ending {
            drop(state);
            resume_unwind(Box::new(Stopped));
        }
        state.status(me) == Some(Status::Ready { notified: true })
    }

    fn wait_for_tasks(&self) {
        let me = TaskId(0);
        loop {
            let mut state = self.state();
            if state.tasks.values().skip(1).all(|task| task.daemon) {
                return;
            }
            let what = "the other tasks";
            let waiting = Status::Waiting { key: 0, what, deadline: None, life: None };
            state.set_status(me, waiting);
            state.hand_over();
            self.hold(state, me);
        }
    }

    fn finish(&self, me: TaskId, panic: Option<Box<dyn Any + Send>>) {
        let mut state = self.state();
        state.tasks.remove(&me);
        if let Some(panic) = panic
            && !panic.is::<Stopped>()
            && state.panic.is_none()
            && state.stuck.is_none()
        {
            state.panic = Some(panic);
        }
        if state.ending {
            return;
        }
        // Task 0 waits here once its body is over.
        if let Some(Status::Waiting { key: 0, .. }) = state.status(TaskId(0)) {
            state.set_status(TaskId(0), Status::Ready { notified: true });
        }
        if state.running == Some(me) {
            state.hand_over();
        }
    }

    fn end(&self) {
        let mut state = self.state();
        state.ending = true;
        state.tasks.remove(&TaskId(0));
        for task in state.tasks.values() {
            task.baton.notify_all();
        }
        // A task that is ended may have spawned another one meanwhile.
        while let Some(thread) = state.threads.pop() {
            drop(state);
            // Its panic is in the state already.
            drop(thread.join());
            state = self.state();
        }
        while state.pooled > 0 {
            state = self.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn expect_current(&self, what: &str) -> TaskId {
        self.current().unwrap_or_else(|| {
            panic!(
                "a thread that is no task of the simulated schedule came to a wait ({what}); start \
                 it with Schedule::spawn"
            )
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What a task is doing; `None` once it has finished.
    fn status(&self, task: TaskId) -> Option<Status> {
        self.tasks.get(&task).map(|task| task.status)
    }

    fn set_status(&mut self, task: TaskId, status: Status) {
        if let Some(task) = self.tasks.get_mut(&task) {
            task.status = status;
        }
    }

    /// Draws the next holder of the baton.
    fn hand_over(&mut self) {
        let next = loop {
            let ready = self.tasks.values().filter(|task| task.is_ready()).count();
            if let Some(priorities) = self.priorities.as_mut().filter(|_| ready > 0) {
                let ready = self.tasks.iter().filter(|(_, task)| task.is_ready());
                break priorities.choose(ready.map(|(number, _)| *number));
            }
            if ready > 0 {
                let chosen = if ready == 1 { 0 } else { self.generator.below(ready as u64) };
                break self
                    .tasks
                    .iter()
                    .filter(|(_, task)| task.is_ready())
                    .nth(chosen as usize)
                    .map(|(number, _)| *number);
            }
            let Some(deadline) = self.tasks.values().filter_map(Task::deadline).min() else {
                break None;
            };
            if deadline > self.longest {
                break None;
            }
            self.now = self.now.max(deadline);
            for task in self.tasks.values_mut() {
                if task.deadline().is_some_and(|due| due <= deadline) {
                    task.status = Status::Ready { notified: false };
                }
            }
        };
        self.running = next;
        match next.and_then(|next| self.tasks.get(&next)) {
            Some(next) => next.baton.notify_all(),
            None => self.report_stuck(),
        }
    }

    fn report_stuck(&mut self) {
        let on = self.tasks.values().any(|task| task.deadline().is_some());
        let ever = if on { ENDLESS } else { "" };
        let mut report = format!("stuck at {:?}: every task waits{ever}", self.now);
        for task in self.tasks.values() {
            if let Status::Waiting { what, .. } = task.status {
                let daemon = if task.daemon { " (daemon)" } else { "" };
                // Writing to a string cannot fail.
                let _ = write!(report, "\n  {}{daemon} waits for {what}", task.name);
            }
        }
        self.stuck = Some(report);
        for task in self.tasks.values() {
            task.baton.notify_all();
        }
    }
}

impl Task {
    fn new(name: &str, daemon: bool, lane: u32) -> Self {
        let status = Status::Ready { notified: false };
        let baton = Arc::new(Condvar::new());
        Self { name: name.to_owned(), daemon, status, baton, lane, timed: 0 }
    }

    fn is_ready(&self) -> bool {
        matches!(self.status, Status::Ready { .. })
    }

    fn deadline(&self) -> Option<Duration> {
        match self.status {
            Status::Waiting { deadline, .. } => deadline,
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Monitor, Schedule};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    /// Three tasks that sleep and yield, and the order in which they got on.
    fn order_of(seed: u64) -> Vec<(usize, u64)> {
        let log = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&log);
        Schedule::simulate(seed, move |schedule| {
            for task in 0..3_usize {
                let (schedule, log) = (schedule.clone(), Arc::clone(&log));
                let inner = schedule.clone();
                drop(schedule.spawn(&format!("task {task}"), move || {
                    for step in 0..4_u64 {
                        log.lock().unwrap().push((task, step));
                        inner.yield_now();
                    }
                    inner.sleep(Duration::from_millis(task as u64));
                    log.lock().unwrap().push((task, 9));
                }));
            }
        });
        seen.lock().unwrap().clone()
    }

    #[test]
    fn same_seed_same_order_and_seeds_differ() {
        assert_eq!(order_of(3), order_of(3));
        let orders: std::collections::HashSet<_> = (0..20).map(order_of).collect();
        assert!(orders.len() > 10, "{} orders of 20 seeds", orders.len());
        for order in orders {
            let lasts: Vec<_> = order.iter().filter(|(_, step)| *step == 9).collect();
            assert_eq!(lasts, [&(0, 9), &(1, 9), &(2, 9)], "sleeps end in order of time");
        }
    }

    #[test]
    fn time_moves_only_when_all_wait() {
        Schedule::simulate(1, |schedule| {
            let clock = schedule.clone();
            let sleeper = schedule.spawn("sleeper", move || {
                clock.sleep(Duration::from_secs(5));
                clock.now()
            });
            for _ in 0..100 {
                schedule.yield_now();
                assert_eq!(schedule.now(), Duration::ZERO);
            }
            assert_eq!(sleeper.join(), Duration::from_secs(5));
        });
    }

    #[test]
    fn a_wait_that_nobody_ends_is_reported_with_its_task() {
        let stuck = std::panic::catch_unwind(|| {
            Schedule::simulate(1, |schedule| {
                let monitor = Monitor::new(schedule, "a reply", ());
                monitor.lock().wait_until(None);
            });
        });
        let report = *stuck.unwrap_err().downcast::<String>().unwrap();
        assert_eq!(report, "stuck at 0ns: every task waits\n  main waits for a reply");
    }

    #[test]
    fn a_daemon_ends_with_the_run_and_a_panic_comes_out() {
        let dropped = Arc::new(());
        let held = Arc::clone(&dropped);
        let outcome = std::panic::catch_unwind(move || {
            Schedule::simulate(1, move |schedule| {
                let inner = schedule.clone();
                schedule.spawn_daemon("daemon", move || {
                    let _held = held;
                    inner.sleep(Duration::from_secs(1000));
                    unreachable!("the run ends at 1 s");
                });
                schedule.sleep(Duration::from_secs(1));
                panic!("on purpose");
            });
        });
        assert_eq!(*outcome.unwrap_err().downcast::<&str>().unwrap(), "on purpose");
        assert_eq!(Arc::strong_count(&dropped), 1, "the daemon's stack was unwound");
    }

    #[test]
    fn a_monitor_held_across_a_wait_keeps_others_out() {
        Schedule::simulate(4, |schedule| {
            let held = Arc::new(Monitor::new(schedule, "held", 0));
            let (inner, clock) = (Arc::clone(&held), schedule.clone());
            let holder = schedule.spawn("holder", move || {
                let mut guard = inner.lock();
                clock.sleep(Duration::from_secs(1));
                *guard = 1;
            });
            schedule.sleep(Duration::from_millis(1));
            assert_eq!(*held.lock(), 1);
            assert_eq!(schedule.now(), Duration::from_secs(1));
            holder.join();
        });
    }

    #[test]
    fn a_free_schedule_waits_in_real_time() {
        let schedule = Schedule::free();
        let monitor = Arc::new(Monitor::new(&schedule, "number", 0));
        let other = Arc::clone(&monitor);
        let task = schedule.spawn("setter", move || {
            *other.lock() = 7;
            other.notify_all();
        });
        let mut guard = monitor.lock();
        while *guard != 7 {
            guard.wait_until(None);
        }
        drop(guard);
        task.join();
        let deadline = schedule.now() + Duration::from_millis(2);
        let notified = monitor.lock().wait_until(Some(deadline));
        assert!(!notified && schedule.now() >= deadline);
    }
}
