//! Threads that outlive a run, so that a run of thousands does not pay for making them.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};

type Job = Box<dyn FnOnce() + Send>;

/// Threads without work. There are never more than tasks were alive at a time.
static IDLE: Mutex<Vec<Sender<Job>>> = Mutex::new(Vec::new());

/// Runs `job` on a thread of the pool; a panic in it must not come out.
pub(super) fn run(job: impl FnOnce() + Send + 'static) {
    let idle = || IDLE.lock().unwrap_or_else(PoisonError::into_inner);
    let found = idle().pop();
    let sender = found.unwrap_or_else(start);
    let back = sender.clone();
    let work: Job = Box::new(move || {
        job();
        idle().push(back);
    });
    if sender.send(work).is_err() {
        unreachable!("a thread of the pool waits for work for ever");
    }
}

fn start() -> Sender<Job> {
    let (sender, jobs) = channel::<Job>();
    let started = std::thread::Builder::new().name("task".to_owned()).spawn(move || {
        super::quiet::Quiet::for_ever();
        for job in jobs {
            job();
        }
    });
    match started {
        Ok(_) => sender,
        Err(error) => panic!("failed to start a thread for a task: {error}"),
    }
}
