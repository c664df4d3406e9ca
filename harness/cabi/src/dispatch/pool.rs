//! Threads that do the work of queues. Work may block, so there are as many as there is work that does.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};

/// Something to do.
pub(super) type Task = Box<dyn FnOnce() + Send>;

/// Threads at most; more work waits.
const THREADS_MAX: usize = 256;

#[derive(Default)]
struct Pool {
    tasks: VecDeque<Task>,
    idle: usize,
    threads: usize,
}

static POOL: Mutex<Option<Pool>> = Mutex::new(None);
static CAME: Condvar = Condvar::new();

/// Has a thread do it.
pub(super) fn submit(task: Task) {
    let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    let pool = pool.get_or_insert_with(Pool::default);
    pool.tasks.push_back(task);
    if pool.tasks.len() <= pool.idle || pool.threads >= THREADS_MAX {
        CAME.notify_one();
        return;
    }
    let started = std::thread::Builder::new().name("dextape queue".to_owned()).spawn(work);
    match started {
        Ok(_) => pool.threads += 1,
        Err(error) => crate::say::say(&format!("failed to start a thread for a queue: {error}")),
    }
}

fn work() {
    loop {
        let task = next();
        crate::guard::guard("run the work of a queue", task);
    }
}

fn next() -> Task {
    let mut held = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let pool = held.get_or_insert_with(Pool::default);
        if let Some(task) = pool.tasks.pop_front() {
            return task;
        }
        pool.idle += 1;
        held = CAME.wait(held).unwrap_or_else(PoisonError::into_inner);
        held.get_or_insert_with(Pool::default).idle -= 1;
    }
}
