//! Groups of work.

use super::function::Function;
use super::pool::Task;
use super::queue::Queue;
use super::semaphore::{Counter, Kind, Object, waited};
use crate::cf::{CfRef, Owned};
use std::sync::{Arc, Mutex, PoisonError};

/// A group.
#[derive(Default)]
pub(super) struct Group {
    counter: Counter,
    /// What is to be done when nothing is left.
    after: Mutex<Vec<(Arc<Queue>, Task)>>,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group").field("counter", &self.counter).finish_non_exhaustive()
    }
}

impl Group {
    pub(super) fn of<'a>(reference: CfRef) -> &'a Self {
        match Object::of(reference).map(|object| &object.kind) {
            Some(Kind::Group(group)) => group,
            _ => crate::fault::fault(),
        }
    }

    pub(super) fn enter(&self) {
        let _ = self.counter.add(1);
    }

    pub(super) fn leave(&self) {
        if self.counter.add(-1) == 0 {
            self.begin_after();
        }
    }

    fn begin_after(&self) {
        let after = std::mem::take(&mut *self.after.lock().unwrap_or_else(PoisonError::into_inner));
        for (queue, task) in after {
            queue.push(task);
        }
    }

    /// Has it done when nothing is left.
    pub(super) fn notify(&self, queue: Arc<Queue>, task: Task) {
        self.after.lock().unwrap_or_else(PoisonError::into_inner).push((queue, task));
        // Where nothing is left already.
        if self.counter.wait(0, |count| count == 0, 0) {
            self.begin_after();
        }
    }
}

/// Has a queue do something that the group waits for.
pub(super) fn push(group: CfRef, queue: CfRef, task: Task) {
    Group::of(group).enter();
    let held = Owned::retained(group);
    Queue::of(queue).push(Box::new(move || {
        task();
        Group::of(held.get()).leave();
    }));
}

export! {
    fn dispatch_group_create() -> CfRef {
        Object::make(Kind::Group(Group::default()))
    }

    fn dispatch_group_enter(group: CfRef) {
        Group::of(group).enter();
    }

    fn dispatch_group_leave(group: CfRef) {
        Group::of(group).leave();
    }

    fn dispatch_group_wait(group: CfRef, timeout: u64) -> isize {
        waited(Group::of(group).counter.wait(timeout, |count| count == 0, 0))
    }

    fn dispatch_group_async_f(group: CfRef, queue: CfRef, context: usize, work: Function) {
        push(group, queue, Box::new(move || work(context)));
    }

    fn dispatch_group_notify_f(group: CfRef, queue: CfRef, context: usize, work: Function) {
        Group::of(group).notify(Queue::of(queue), Box::new(move || work(context)));
    }
}
