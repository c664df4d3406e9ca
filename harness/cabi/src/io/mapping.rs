//! Memory of the dext in the client's own address space, for raw pointers.
//!
//! The pages of a mock's memory are mapped a second time, with the protection that the dext chose, so
//! that both sides see each other's writes at once. What comes from a tape gets pages of its own, to
//! which the tape's changes come at sync points. Where a recorder watches, it is shown the memory at
//! sync points: around calls, when a completion is taken, and before an unmap or a close, without what
//! the client has written itself: a mock's memory notes who else writes to it. What a client
//! saw by polling in between is on the tape with the next sync point, and comes to a replayed one at
//! the sync point before, so that its poll ends.

use super::look::{self, Look};
use super::pages::{self, Alias};
use super::registers;
use super::service::destination;
use crate::fault::fault;
use crate::mach::Kern;
use crate::port::{Connect, TASK_SELF};
use crate::raw::Out;
use crate::say::say;
use dextape::IoReturn;
use dextape::boundary::library::{self, Stop};
use dextape::call::{MapOptions, MemoryId};
use dextape::connection::Mapping;
use dextape::coverage::rules;
use dextape::memory::{AccessError, Backing, Memory, RawReach};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// One mapping in the client's address space.
#[derive(Debug)]
struct Real {
    id: MemoryId,
    /// As the system numbers addresses.
    address: u64,
    length: u64,
    memory: Arc<dyn Memory>,
    alias: Alias,
    /// First byte in the alias.
    offset: u64,
    look: Look,
    /// The client reaches it by functions only.
    by_functions: bool,
    holders: Mutex<Vec<Weak<Connect>>>,
}

static REAL: Mutex<Vec<Arc<Real>>> = Mutex::new(Vec::new());

/// How many there are, so that a client without mappings pays nothing.
static COUNT: AtomicUsize = AtomicUsize::new(0);

fn all() -> MutexGuard<'static, Vec<Arc<Real>>> {
    REAL.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Real {
    fn start(&self) -> u64 {
        self.alias.address() + self.offset
    }

    fn is_held_by(&self, connect: &Arc<Connect>) -> bool {
        let holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        holders.iter().any(|holder| holder.as_ptr() == Arc::as_ptr(connect))
    }

    /// A sync point.
    fn look(&self, last: bool) {
        self.look.look(&self.memory, last);
    }
}

/// A sync point of a connection: before and after it is asked for something.
#[inline(always)]
pub(super) fn look(connect: &Arc<Connect>) {
    if connect.has_mapped() {
        look_at_all_of(connect, false);
    }
}

/// The last sync point before mappings of a connection may go.
pub(super) fn look_last(connect: &Arc<Connect>) {
    if connect.has_mapped() {
        look_at_all_of(connect, true);
    }
}

#[inline(never)]
fn look_at_all_of(connect: &Arc<Connect>, last: bool) {
    if COUNT.load(Ordering::Acquire) > 0 {
        let held: Vec<_> = all().iter().filter(|real| real.is_held_by(connect)).cloned().collect();
        held.iter().for_each(|real| real.look(last));
    }
}

/// A sync point of all connections: a completion was taken.
pub(crate) fn look_all() {
    if COUNT.load(Ordering::Acquire) > 0 {
        let held: Vec<_> = all().clone();
        held.iter().for_each(|real| real.look(false));
    }
}

/// Takes away the mappings that have ended (F16, F23): touching them faults from now on.
pub(crate) fn forget_ended() {
    if COUNT.load(Ordering::Acquire) == 0 {
        return;
    }
    let ended = |real: &Arc<Real>| {
        matches!(real.memory.copy_out(0, &mut []), Err(AccessError::Unmapped { .. }))
    };
    // Asked without the lock: the answer may come from a replay that has something to say.
    let gone: Vec<_> = all().clone().into_iter().filter(ended).collect();
    if gone.is_empty() {
        return;
    }
    let mut all = all();
    all.retain(|real| !gone.iter().any(|gone| Arc::ptr_eq(gone, real)));
    COUNT.store(all.len(), Ordering::Release);
    drop(all);
    gone.iter().for_each(|real| real.alias.end());
}

/// The client's address of a mapping that the system has just made.
fn realise(connect: &Arc<Connect>, mapping: &Mapping, anywhere: bool) -> Result<u64, IoReturn> {
    connect.map();
    let known = all().iter().find(|real| real.id == mapping.id()).cloned();
    if let Some(known) = known {
        let mut holders = known.holders.lock().unwrap_or_else(PoisonError::into_inner);
        holders.retain(|holder| holder.strong_count() > 0);
        holders.push(Arc::downgrade(connect));
        return Ok(known.start());
    }
    let memory = Arc::clone(mapping.memory());
    let size = memory.size();
    let by_functions = registers::are_reached_by_functions()
        && matches!(memory.raw_reach(), RawReach::Never | RawReach::ByAccess);
    if by_functions {
        let alias = pages::reserve(size, mapping.address(), anywhere);
        let alias = alias.ok_or(IoReturn::BAD_ARGUMENT)?;
        return Ok(keep(connect, mapping, (alias.address(), alias), Look::Nothing, true));
    }
    let (source, pages, watched) = match memory.raw_reach() {
        // No more of it is followed than somebody answers for.
        RawReach::At(view) if view.length() >= size => (view.address(), None, view.is_watched()),
        RawReach::At(_) => return Err(IoReturn::BAD_ARGUMENT),
        reach @ (RawReach::Copied | RawReach::ByAccess | RawReach::Unknown) => {
            let pages = Backing::try_new(size).ok_or(IoReturn::BAD_ARGUMENT)?;
            (pages.address(), Some((pages, reach)), false)
        }
        RawReach::Never => {
            say(&format!(
                "memory type {} cannot be mapped: reading or writing it does something in the mock, \
                 and a raw pointer would pass that by; include <dextape/memory.h> and use its functions",
                mapping.memory_type()
            ));
            return Err(IoReturn::BAD_ARGUMENT);
        }
    };
    let alias = pages::alias(source, size, mapping.address(), anywhere, memory.is_read_only())
        .ok_or(IoReturn::BAD_ARGUMENT)?;
    let look = match pages {
        Some((pages, RawReach::Copied | RawReach::ByAccess)) => Look::bring(&memory, pages),
        Some((pages, _)) => look::forbid(&alias, pages, mapping.memory_type()),
        None if watched => Look::show(&memory, source),
        None => Look::Nothing,
    };
    Ok(keep(connect, mapping, (source, alias), look, false))
}

/// Keeps what the client has got of a mapping, of memory at `source`, and gives its address.
fn keep(
    connect: &Arc<Connect>,
    mapping: &Mapping,
    (source, alias): (u64, Alias),
    look: Look,
    by_functions: bool,
) -> u64 {
    let real = Arc::new(Real {
        id: mapping.id(),
        address: mapping.address(),
        length: mapping.length(),
        memory: Arc::clone(mapping.memory()),
        offset: alias.offset_of(source),
        alias,
        look,
        by_functions,
        holders: Mutex::new(vec![Arc::downgrade(connect)]),
    });
    let mut all = all();
    all.push(Arc::clone(&real));
    COUNT.store(all.len(), Ordering::Release);
    drop(all);
    real.look(false);
    real.start()
}

/// The memory at an address of the client's that is reached by functions, and where in it that is.
pub(super) fn reached_by_functions(address: u64) -> Option<(Arc<dyn Memory>, u64)> {
    if COUNT.load(Ordering::Acquire) == 0 {
        return None;
    }
    let all = all();
    let is_there = |real: &&Arc<Real>| {
        real.by_functions && (real.start()..real.start() + real.memory.size()).contains(&address)
    };
    let real = all.iter().find(is_there)?;
    Some((Arc::clone(&real.memory), address - real.start()))
}

/// The address that the system knows a client's by.
fn to_system(address: u64) -> u64 {
    let all = all();
    let held = all
        .iter()
        .find(|real| (real.start()..real.start() + real.length.max(1)).contains(&address));
    held.map_or(address, |real| real.address + (address - real.start()))
}

/// That the connection has ended comes before a task that is none (H1, F7).
fn in_own_task(connect: &Connect, task: u32) -> Result<(), IoReturn> {
    let is_own = library::task(rules(), task != TASK_SELF);
    is_own.map_err(|code| connect.connection.check().err().unwrap_or(code))
}

fn map(
    connect: u32,
    memory_type: u32,
    task: u32,
    at_address: Out<u64>,
    of_size: Out<u64>,
    options: u32,
) -> Result<(), Stop> {
    let rules = rules();
    library::map(rules, at_address.is_null(), of_size.is_null(), false)?;
    let (address, _size) = (at_address.as_in().read_at(0), of_size.as_in().read_at(0));
    let (destination, found) = destination(connect);
    destination.check(rules)?;
    let Some(connect) = found else { return Err(IoReturn::MACH_SEND_INVALID_DEST.into()) };
    in_own_task(&connect, task)?;
    let options = MapOptions(options);
    let anywhere = options.contains(MapOptions::ANYWHERE);
    look(&connect);
    let address = if anywhere { address } else { to_system(address) };
    let mapping = connect.connection.map_memory(memory_type, options, address)?;
    match realise(&connect, &mapping, anywhere) {
        Ok(real) => {
            at_address.put(real);
            of_size.put(mapping.length());
            Ok(())
        }
        Err(code) => {
            let _ = connect.connection.unmap_memory(memory_type, mapping.address());
            Err(code.into())
        }
    }
}

fn unmap(connect: u32, memory_type: u32, task: u32, address: u64) -> IoReturn {
    let rules = rules();
    let (destination, found) = destination(connect);
    if let Err(code) = destination.check(rules) {
        return code;
    }
    let Some(connect) = found else { return IoReturn::MACH_SEND_INVALID_DEST };
    if let Err(code) = in_own_task(&connect, task) {
        return code;
    }
    look_last(&connect);
    let result = connect.connection.unmap_memory(memory_type, to_system(address));
    drop(connect);
    forget_ended();
    result
}

fn finish(result: Result<(), Stop>) -> Kern {
    match result {
        Ok(()) => IoReturn::SUCCESS.as_kern_return(),
        Err(Stop::Refused(code)) => code.as_kern_return(),
        Err(Stop::Fault) => fault(),
    }
}

export! {
    fn IOConnectMapMemory64(
        connect: u32,
        memory_type: u32,
        task: u32,
        at_address: Out<u64>,
        of_size: Out<u64>,
        options: u32,
    ) -> Kern {
        finish(map(connect, memory_type, task, at_address, of_size, options))
    }

    fn IOConnectMapMemory(
        connect: u32,
        memory_type: u32,
        task: u32,
        at_address: Out<u64>,
        of_size: Out<u64>,
        options: u32,
    ) -> Kern {
        finish(map(connect, memory_type, task, at_address, of_size, options))
    }

    fn IOConnectUnmapMemory64(connect: u32, memory_type: u32, task: u32, address: u64) -> Kern {
        unmap(connect, memory_type, task, address).as_kern_return()
    }

    fn IOConnectUnmapMemory(connect: u32, memory_type: u32, task: u32, address: u64) -> Kern {
        unmap(connect, memory_type, task, address).as_kern_return()
    }
}
