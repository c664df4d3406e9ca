//! Blocks: what clang makes of `^{ .. }`, as its documentation lays it out, and the functions that take
//! one.

use super::group;
use super::once::once;
use super::queue::{Queue, global};
use super::source::{Handler, set_cancel, set_event};
use super::time;
use crate::cf::CfRef;
use crate::raw::{In, Out};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

/// Bits of a block's flags.
mod flag {
    pub(super) const COUNT: i32 = 0xfffe;
    pub(super) const ONE: i32 = 2;
    pub(super) const ON_HEAP: i32 = 1 << 24;
    pub(super) const HAS_HELPERS: i32 = 1 << 25;
    pub(super) const GLOBAL: i32 = 1 << 28;
}

/// What a captured field is.
mod field {
    pub(super) const OBJECT: i32 = 3;
    pub(super) const BLOCK: i32 = 7;
    pub(super) const BY_REFERENCE: i32 = 8;
    pub(super) const KINDS: i32 = 0xf;
}

// Where the parts of a block and of a `__block` variable are, in bytes.
const FLAGS: u64 = 8;
const INVOKE: u64 = 16;
const DESCRIPTOR: u64 = 24;
const FORWARDING: u64 = 8;
const VARIABLE_FLAGS: u64 = 16;
const VARIABLE_SIZE: u64 = 20;
const VARIABLE_KEEP: u64 = 24;
const VARIABLE_HEADER: usize = 24;

/// A class, of which only the address counts.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Class([usize; 32]);

export_static! {
    static _NSConcreteStackBlock: Class = Class([0; 32]);
    static _NSConcreteMallocBlock: Class = Class([0; 32]);
    static _NSConcreteGlobalBlock: Class = Class([0; 32]);
    static _NSConcreteAutoBlock: Class = Class([0; 32]);
    static _NSConcreteFinalizingBlock: Class = Class([0; 32]);
    static _NSConcreteWeakBlockVariable: Class = Class([0; 32]);
}

fn word(at: u64) -> u64 {
    In::<u64>::at(at).read_at(0)
}

fn flags<'a>(at: u64) -> &'a AtomicI32 {
    // SAFETY: the compiler lays an aligned word of flags there; it is reached atomically from here, and
    // from nowhere else once the block is shared.
    unsafe { AtomicI32::from_ptr(Out::<i32>::at(at).pointer()) }
}

/// One reference more. A count that is full stays so, and what it is of for ever: past its bits the next one
/// would begin at none.
fn count_up(held: &AtomicI32) {
    let more = |now| (now & flag::COUNT != flag::COUNT).then(|| now + flag::ONE);
    // Refused where it is full.
    let _ = held.fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
}

/// One reference fewer; true where that was the last one.
fn count_down(held: &AtomicI32) -> bool {
    let fewer = |now| (![0, flag::COUNT].contains(&(now & flag::COUNT))).then(|| now - flag::ONE);
    let before = held.fetch_update(Ordering::AcqRel, Ordering::Acquire, fewer);
    before.is_ok_and(|before| before & flag::COUNT == flag::ONE)
}

/// A function that the compiler made, by its address.
macro_rules! function {
    ($type:ty, $address:expr) => {{
        let pointer = std::ptr::with_exposed_provenance::<()>($address as usize);
        // SAFETY: the compiler laid the address of a function of that type there; flags say that it is
        // there, and it is never 0 then.
        unsafe { std::mem::transmute::<*const (), $type>(pointer) }
    }};
}

fn allocate(size: usize) -> u64 {
    // SAFETY: a plain allocation; what comes of it is looked at.
    let place = unsafe { libc::malloc(size) };
    place.expose_provenance() as u64
}

fn free(address: u64) {
    // SAFETY: the last reference of what `allocate` gave was just dropped.
    unsafe { libc::free(std::ptr::with_exposed_provenance_mut(address as usize)) };
}

fn copy_bytes(from: u64, to: u64, size: usize) {
    Out::<u8>::at(to).copy_from(&In::<u8>::at(from).to_vec(size));
}

/// As `_Block_copy`.
fn copy(block: u64) -> u64 {
    if block == 0 {
        return 0;
    }
    let held = flags(block + FLAGS);
    let now = held.load(Ordering::Acquire);
    if now & flag::GLOBAL != 0 {
        return block;
    }
    if now & flag::ON_HEAP != 0 {
        count_up(held);
        return block;
    }
    let descriptor = word(block + DESCRIPTOR);
    let size = word(descriptor + 8) as usize;
    let made = allocate(size);
    if made == 0 {
        return 0;
    }
    copy_bytes(block, made, size);
    let kept = now & !(flag::COUNT | 1);
    flags(made + FLAGS).store(kept | flag::ON_HEAP | flag::ONE, Ordering::Release);
    Out::<u64>::at(made).put((&raw const _NSConcreteMallocBlock).expose_provenance() as u64);
    if now & flag::HAS_HELPERS != 0 {
        function!(extern "C-unwind" fn(u64, u64), word(descriptor + 16))(made, block);
    }
    made
}

/// As `_Block_release`.
fn release(block: u64) {
    if block == 0 {
        return;
    }
    let held = flags(block + FLAGS);
    let now = held.load(Ordering::Acquire);
    if now & flag::GLOBAL != 0 || now & flag::ON_HEAP == 0 {
        return;
    }
    if !count_down(held) {
        return;
    }
    if now & flag::HAS_HELPERS != 0 {
        function!(extern "C-unwind" fn(u64), word(word(block + DESCRIPTOR) + 24))(block);
    }
    free(block);
}

/// The `__block` variable on the heap that stands for this one.
fn keep_variable(variable: u64) -> u64 {
    let current = word(variable + FORWARDING);
    let held = flags(current + VARIABLE_FLAGS);
    let now = held.load(Ordering::Acquire);
    if now & flag::ON_HEAP != 0 {
        count_up(held);
        return current;
    }
    let size = In::<u32>::at(current + VARIABLE_SIZE).read_at(0) as usize;
    let made = allocate(size);
    if made == 0 {
        return current;
    }
    copy_bytes(current, made, size);
    // One reference of the block's, one of the stack's.
    let count = (now & !(flag::COUNT | 1)) | flag::ON_HEAP | (2 * flag::ONE);
    flags(made + VARIABLE_FLAGS).store(count, Ordering::Release);
    Out::<u64>::at(made + FORWARDING).put(made);
    Out::<u64>::at(current + FORWARDING).put(made);
    if now & flag::HAS_HELPERS != 0 && size > VARIABLE_HEADER {
        function!(extern "C-unwind" fn(u64, u64), word(current + VARIABLE_KEEP))(made, current);
    }
    made
}

fn release_variable(variable: u64) {
    let current = word(variable + FORWARDING);
    let held = flags(current + VARIABLE_FLAGS);
    let now = held.load(Ordering::Acquire);
    if now & flag::ON_HEAP == 0 {
        return;
    }
    if !count_down(held) {
        return;
    }
    if now & flag::HAS_HELPERS != 0 {
        function!(extern "C-unwind" fn(u64), word(current + VARIABLE_KEEP + 8))(current);
    }
    free(current);
}

/// A copy of a block, until it is dropped.
struct Held(u64);

impl Held {
    fn of(block: u64) -> Self {
        Self(copy(block))
    }

    fn call(&self) {
        if self.0 == 0 {
            crate::fault::fault();
        }
        function!(extern "C-unwind" fn(u64), word(self.0 + INVOKE))(self.0);
    }

    fn call_with(&self, index: usize) {
        function!(extern "C-unwind" fn(u64, usize), word(self.0 + INVOKE))(self.0, index);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        release(self.0);
    }
}

fn task(block: u64) -> super::pool::Task {
    let held = Held::of(block);
    Box::new(move || held.call())
}

fn handler(block: u64) -> Handler {
    let held = Held::of(block);
    Handler::Other(Arc::new(move || held.call()))
}

fn queue_of(queue: CfRef) -> Arc<Queue> {
    Queue::of(if queue.is_null() { global() } else { queue })
}

export! {
    fn _Block_copy(block: u64) -> u64 {
        copy(block)
    }

    fn _Block_release(block: u64) {
        release(block);
    }

    fn _Block_object_assign(place: Out<u64>, object: u64, kind: i32) {
        place.put(match kind & field::KINDS {
            field::BLOCK => copy(object),
            field::BY_REFERENCE => keep_variable(object),
            // There are no objects of a class here.
            field::OBJECT => object,
            _ => object,
        });
    }

    fn _Block_object_dispose(object: u64, kind: i32) {
        match kind & field::KINDS {
            field::BLOCK => release(object),
            field::BY_REFERENCE => release_variable(object),
            _ => {}
        }
    }

    fn dispatch_async(queue: CfRef, block: u64) {
        queue_of(queue).push(task(block));
    }

    fn dispatch_barrier_async(queue: CfRef, block: u64) {
        queue_of(queue).push(task(block));
    }

    fn dispatch_sync(queue: CfRef, block: u64) {
        queue_of(queue).push_and_wait(task(block));
    }

    fn dispatch_barrier_sync(queue: CfRef, block: u64) {
        queue_of(queue).push_and_wait(task(block));
    }

    fn dispatch_after(when: u64, queue: CfRef, block: u64) {
        time::at(when, queue_of(queue), task(block));
    }

    fn dispatch_apply(count: usize, queue: CfRef, block: u64) {
        let held = Held::of(block);
        let all = move || (0..count).for_each(|index| held.call_with(index));
        queue_of(queue).push_and_wait(Box::new(all));
    }

    fn dispatch_once(predicate: Out<isize>, block: u64) {
        once(predicate, || Held::of(block).call());
    }

    fn dispatch_group_async(group: CfRef, queue: CfRef, block: u64) {
        group::push(group, queue, task(block));
    }

    fn dispatch_group_notify(group: CfRef, queue: CfRef, block: u64) {
        group::Group::of(group).notify(queue_of(queue), task(block));
    }

    fn dispatch_source_set_event_handler(source: CfRef, block: u64) {
        set_event(source, handler(block));
    }

    fn dispatch_source_set_cancel_handler(source: CfRef, block: u64) {
        set_cancel(source, handler(block));
    }

    fn CFRunLoopPerformBlock(_run_loop: CfRef, _mode: CfRef, block: u64) {
        super::main_queue().push(task(block));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[repr(C)]
    struct Literal {
        class: usize,
        flags: i32,
        reserved: i32,
        invoke: usize,
        descriptor: *const Descriptor,
    }

    #[repr(C)]
    struct Descriptor {
        reserved: usize,
        size: usize,
        copy: extern "C-unwind" fn(u64, u64),
        dispose: extern "C-unwind" fn(u64),
    }

    static DISPOSED: AtomicUsize = AtomicUsize::new(0);

    extern "C-unwind" fn keep(_made: u64, _block: u64) {}

    extern "C-unwind" fn dispose(_block: u64) {
        DISPOSED.fetch_add(1, Ordering::Relaxed);
    }

    /// A block on the heap, with one reference.
    fn block() -> u64 {
        let descriptor =
            Descriptor { reserved: 0, size: size_of::<Literal>(), copy: keep, dispose };
        let literal = Literal {
            class: 0,
            flags: flag::HAS_HELPERS,
            reserved: 0,
            invoke: 0,
            descriptor: Box::leak(Box::new(descriptor)),
        };
        copy((&raw const literal).expose_provenance() as u64)
    }

    /// As a client does that queues one block very often.
    #[test]
    fn a_block_is_disposed_of_with_its_last_reference_and_not_before() {
        let few = block();
        assert_eq!(copy(few), few);
        release(few);
        assert_eq!(DISPOSED.load(Ordering::Relaxed), 0);
        release(few);
        assert_eq!(DISPOSED.load(Ordering::Relaxed), 1);

        let many = block();
        (0..40_000).for_each(|_| assert_eq!(copy(many), many));
        (0..10_000).for_each(|_| release(many));
        assert_eq!(DISPOSED.load(Ordering::Relaxed), 1, "30,001 references are left");
    }
}
