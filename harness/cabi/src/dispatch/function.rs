//! The functions on queues, in the form that takes a function and its context.

use super::queue::{Queue, create, current_label, global, is_main, main_queue};
use super::semaphore::Object;
use super::time;
use crate::cf::CfRef;
use crate::raw::In;
use std::ffi::{CString, c_char};
use std::sync::Arc;

/// Work of the client's.
pub(super) type Function = extern "C-unwind" fn(usize);

fn label(text: In<c_char>) -> CString {
    CString::new(text.text().unwrap_or_default()).unwrap_or_default()
}

fn queue_of(queue: CfRef) -> Arc<Queue> {
    Queue::of(if queue.is_null() { global() } else { queue })
}

export! {
    fn dispatch_queue_create(name: In<c_char>, attribute: CfRef) -> CfRef {
        create(label(name), attribute)
    }

    fn dispatch_queue_create_with_target(name: In<c_char>, attribute: CfRef, _target: CfRef) -> CfRef {
        create(label(name), attribute)
    }

    fn dispatch_queue_attr_make_with_qos_class(attribute: CfRef, _qos: u32, _priority: i32) -> CfRef {
        attribute
    }

    fn dispatch_get_global_queue(_identifier: isize, _flags: usize) -> CfRef {
        global()
    }

    fn dispatch_queue_get_label(queue: CfRef) -> *const c_char {
        let queue = if queue.is_null() {
            current_label().unwrap_or_else(|| Arc::clone(main_queue()))
        } else {
            Queue::of(queue)
        };
        // The queue outlives the text as far as the client holds it.
        queue.label.as_ptr()
    }

    fn dispatch_retain(object: CfRef) {
        if !is_main(object) {
            object.retain();
        }
    }

    fn dispatch_release(object: CfRef) {
        if !is_main(object) {
            object.release();
        }
    }

    fn dispatch_suspend(object: CfRef) {
        match Object::of(object) {
            Some(object) => object.suspend(),
            None => Queue::of(object).suspend(),
        }
    }

    fn dispatch_resume(object: CfRef) {
        match Object::of(object) {
            Some(object) => object.resume(),
            None => Queue::of(object).resume(),
        }
    }

    fn dispatch_activate(object: CfRef) {
        if let Some(object) = Object::of(object) {
            object.resume();
        }
    }

    fn dispatch_set_context(object: CfRef, context: usize) {
        if let Some(object) = Object::of(object) {
            object.set_context(context);
        }
    }

    fn dispatch_get_context(object: CfRef) -> usize {
        Object::of(object).map_or(0, Object::context)
    }

    fn dispatch_set_finalizer_f(_object: CfRef, _finalizer: Option<Function>) {}

    fn dispatch_main() {
        main_queue().serve_for_ever()
    }

    fn dispatch_async_f(queue: CfRef, context: usize, work: Function) {
        queue_of(queue).push(Box::new(move || work(context)));
    }

    fn dispatch_barrier_async_f(queue: CfRef, context: usize, work: Function) {
        queue_of(queue).push(Box::new(move || work(context)));
    }

    fn dispatch_sync_f(queue: CfRef, context: usize, work: Function) {
        queue_of(queue).push_and_wait(Box::new(move || work(context)));
    }

    fn dispatch_barrier_sync_f(queue: CfRef, context: usize, work: Function) {
        queue_of(queue).push_and_wait(Box::new(move || work(context)));
    }

    fn dispatch_after_f(when: u64, queue: CfRef, context: usize, work: Function) {
        time::at(when, queue_of(queue), Box::new(move || work(context)));
    }

    fn dispatch_apply_f(count: usize, queue: CfRef, context: usize, work: extern "C-unwind" fn(usize, usize)) {
        let queue = queue_of(queue);
        queue.push_and_wait(Box::new(move || (0..count).for_each(|index| work(context, index))));
    }
}
