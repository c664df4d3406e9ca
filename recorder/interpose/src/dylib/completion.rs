//! Completions: what the kernel is given in place of the program's callback, and what that does.
//!
//! A completion reaches a callback without its number of arguments: the library calls it with none, one
//! or two of them, or with an array and its length, as the message has it (D16). So the trampoline passes
//! on what its registers hold, which is right for every form, and the recorder looks up the message: it
//! is behind the array, or it lies on this thread's stack, or a frame below this one has its address.
//! It is known by the trampoline's address and the number of the context in its reference, both of which
//! this library has put there.

use super::client;
use super::edge::Inside;
use super::original;
use super::port::Port;
use super::recorder::{self, say};
use crate::gate;
use dextape::boundary::Rules;
use dextape::boundary::message::{decode, offset};
use dextape::call::{AsyncReference, Completion};
use dextape::limits::{
    ASYNC_CALLOUT_FUNCTION_INDEX as FUNCTION, ASYNC_CALLOUT_REFCON_INDEX as REFCON,
    ASYNC_REFERENCE_MAX, ASYNC_RESERVED_INDEX,
};
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A reference that goes to the kernel in place of the program's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) reference: AsyncReference,
    pub(super) count: u32,
}

/// What is kept of a call for its completions. The dext may fire them at any time (D11), so it is kept
/// as long as its port.
#[derive(Clone, Debug)]
struct Context {
    port: Arc<Port>,
    function: u64,
    refcon: u64,
    /// As the recorder has marked it.
    marked: AsyncReference,
}

/// The contexts, by the number that the kernel carries as their refcon.
#[derive(Debug, Default)]
struct Contexts {
    all: HashMap<u64, Context>,
    last: u64,
    /// Ports that were destroyed last. A callback may still be on its way from one.
    gone: VecDeque<Arc<Port>>,
}

/// Above all numbers that a small counter or a pointer of the program could be.
const TAG: u64 = 0xd7a5 << 48;

/// Destroyed ports whose contexts are kept.
const GONE_MAX: usize = 16;

/// Longest message of a completion: 16 arguments (D15).
const MESSAGE_MAX: usize = 104 + 8 * 16;

/// Bytes of stack that are searched for a message or its address.
const STACK_MAX: usize = 64 << 10;

/// Addresses on the stack that are followed.
const FOLLOWED_MAX: usize = 1024;

static CONTEXTS: Mutex<Option<Contexts>> = Mutex::new(None);

fn contexts() -> MutexGuard<'static, Option<Contexts>> {
    CONTEXTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The reference to send, so that completions come to the trampoline. `None` where the program's own
/// goes: it receives itself, or names no callback.
pub(super) fn redirect(port: &Arc<Port>, client: &[u64], marked: &[u64]) -> Option<Sent> {
    if !port.calls_back || client.len() <= REFCON || client[FUNCTION] == 0 {
        return None;
    }
    let mut reference = [0; ASYNC_REFERENCE_MAX];
    reference[..client.len()].copy_from_slice(client);
    let mut kept = [0; ASYNC_REFERENCE_MAX];
    let length = marked.len().min(ASYNC_REFERENCE_MAX);
    kept[..length].copy_from_slice(&marked[..length]);
    kept[ASYNC_RESERVED_INDEX] = 0;
    let context = Context {
        port: Arc::clone(port),
        function: client[FUNCTION],
        refcon: client[REFCON],
        marked: kept,
    };
    let mut contexts = contexts();
    let contexts = contexts.get_or_insert_default();
    contexts.last += 1;
    let number = TAG | contexts.last;
    contexts.all.insert(number, context);
    reference[FUNCTION] = address_of_trampoline();
    reference[REFCON] = number;
    Some(Sent { reference, count: client.len() as u32 })
}

/// The port is destroyed: its contexts go once as many other ports are gone, too.
pub(super) fn forget(port: &Arc<Port>) {
    let mut contexts = contexts();
    let Some(contexts) = contexts.as_mut() else { return };
    contexts.gone.push_back(Arc::clone(port));
    if contexts.gone.len() > GONE_MAX
        && let Some(oldest) = contexts.gone.pop_front()
    {
        contexts.all.retain(|_, context| !Arc::ptr_eq(&context.port, &oldest));
    }
}

fn address_of_trampoline() -> u64 {
    (trampoline as extern "C-unwind" fn(u64, i32, u64, u64) as *const ()).expose_provenance() as u64
}

/// Records the completion and goes on to the program's callback, which may throw an exception of its own
/// through here.
extern "C-unwind" fn trampoline(number: u64, status: i32, first: u64, second: u64) {
    let inside = Inside::enter();
    let context = {
        // Before the lock of the contexts: neither a fork nor a handler of a signal may meet it held.
        let _open = gate::enter();
        let context = contexts().as_ref().and_then(|contexts| contexts.all.get(&number).cloned());
        if let (Some(context), Some(_)) = (&context, &inside) {
            // Whatever happens, the program gets its completion.
            let recorded = AssertUnwindSafe(|| record(context, number, first, second));
            let _ = catch_unwind(recorded);
        }
        context
    };
    drop(inside);
    let Some(context) = context else { return };
    let function = std::ptr::with_exposed_provenance::<()>(context.function as usize);
    // SAFETY: the program gave the address of its function with the call. Its form is decided by the
    // message (D16); each of them takes these registers or fewer.
    let function = unsafe {
        std::mem::transmute::<*const (), extern "C-unwind" fn(u64, i32, u64, u64)>(function)
    };
    let refcon = context.refcon;
    // Its thread may end there, so nothing is left to be dropped.
    drop(context);
    function(refcon, status, first, second);
}

fn record(context: &Context, number: u64, first: u64, second: u64) {
    let Some(recorder) = recorder::current() else { return };
    // Before it is handed over: what the dext wrote before it completed the client may look at now.
    recorder.look_all();
    let Some(found) = message(number, first, second) else {
        say("a completion is not recorded: its number of arguments could not be told");
        return;
    };
    let port = &context.port;
    {
        let _one = port.delivery.lock().unwrap_or_else(PoisonError::into_inner);
        port.inbox.put(Completion { reference: context.marked, ..found });
        // It is the one that was just put in, and the recorder has it now.
        let _ = port.queue.poll();
    }
}

/// The message that a callback was called for.
fn message(number: u64, first: u64, second: u64) -> Option<Completion> {
    // With three arguments and more, the array is in the message.
    let behind_array = first.checked_sub(offset::ARGUMENTS as u64);
    if (3..=16).contains(&(second as u32))
        && let Some(found) = behind_array.and_then(|address| read(address, number))
    {
        return Some(found);
    }
    on_stack(number)
}

/// The message at `address`, if it is that of the context.
fn read(address: u64, number: u64) -> Option<Completion> {
    let mut head = [0; offset::REFERENCE + 8 * (REFCON + 1)];
    if address < 0x1000 || !client::copy_from(address, &mut head) {
        return None;
    }
    let word = |at: usize| {
        let bytes = head.get(at..).and_then(<[u8]>::first_chunk).copied();
        u64::from_le_bytes(bytes.unwrap_or_default())
    };
    let ours = word(offset::REFERENCE + 8 * FUNCTION) == address_of_trampoline()
        && word(offset::REFERENCE + 8 * REFCON) == number;
    if !ours {
        return None;
    }
    let size = word(offset::SIZE) as u32 as usize;
    let bytes = client::copy_of(address, size.min(MESSAGE_MAX))?;
    decode(Rules::all(), &bytes).ok()
}

/// Looks for the message on the frames below this one.
fn on_stack(number: u64) -> Option<Completion> {
    let mark = 0_u64;
    let start = (&raw const mark).expose_provenance();
    // SAFETY: the calling thread.
    let this = unsafe { libc::pthread_self() };
    // SAFETY: it is alive.
    let top = unsafe { original::pthread_get_stackaddr_np(this) }.addr();
    let length = top.checked_sub(start)?.min(STACK_MAX);
    let stack = client::copy_of(start as u64, length)?;
    let words: Vec<u64> = stack
        .chunks_exact(4)
        .zip(stack.chunks_exact(4).skip(1))
        .map(|(low, high)| {
            let half =
                |bytes: &[u8]| u64::from(u32::from_le_bytes(bytes.try_into().unwrap_or_default()));
            half(low) | half(high) << 32
        })
        .collect();
    let mut followed = 0;
    for (index, word) in words.iter().enumerate() {
        // The message itself: its reference's callback and, behind it, the context.
        if *word == address_of_trampoline() && words.get(index + 2) == Some(&number) {
            let place = (start + index * 4) as u64;
            let behind = (offset::REFERENCE + 8 * FUNCTION) as u64;
            if let Some(found) = read(place.saturating_sub(behind), number) {
                return Some(found);
            }
        }
        // Its address, which lies at a multiple of 8.
        let address = (start + index * 4).is_multiple_of(8) && word.is_multiple_of(4);
        if address && (0x1_0000..1 << 47).contains(word) && followed < FOLLOWED_MAX {
            followed += 1;
            if let Some(found) = read(*word, number) {
                return Some(found);
            }
        }
    }
    None
}
