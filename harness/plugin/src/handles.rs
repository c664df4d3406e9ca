//! Objects of the mock as a plug-in has them: numbers, so that no pointer of a plug-in is ever followed.

use crate::abi::Handle;
use crate::carry::instance;
use dextape::driverkit::{
    BufferMemoryDescriptor, DextProcess, Direction, DispatchQueue, MemoryDescriptor, MemoryMap,
    OsAction, OsData, OsObject, TimerDispatchSource,
};
use dextape::memory::Backing;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An object of the mock.
#[derive(Clone)]
pub(crate) enum Managed {
    Data(OsData),
    Buffer(BufferMemoryDescriptor),
    Descriptor(MemoryDescriptor),
    Map(MemoryMap),
    Queue(DispatchQueue),
    Timer(TimerDispatchSource),
    /// With the bytes that the dext keeps at it.
    Action(OsAction, Option<Arc<Backing>>),
}

/// Does the same with whatever it is.
macro_rules! each {
    ($managed:expr, $object:ident => $body:expr) => {
        match $managed {
            Managed::Data($object) => $body,
            Managed::Buffer($object) => $body,
            Managed::Descriptor($object) => $body,
            Managed::Map($object) => $body,
            Managed::Queue($object) => $body,
            Managed::Timer($object) => $body,
            Managed::Action($object, _) => $body,
        }
    };
}

impl Managed {
    pub(crate) fn retain(&self) {
        each!(self, object => object.retain());
    }

    pub(crate) fn release(&self) {
        each!(self, object => object.release());
    }

    pub(crate) fn retain_count(&self) -> u32 {
        each!(self, object => object.retain_count())
    }

    /// Its class, as `plugin.h` numbers them.
    pub(crate) fn kind(&self) -> u32 {
        match self {
            Self::Data(_) => 1,
            Self::Buffer(_) => 2,
            Self::Descriptor(_) => 3,
            Self::Map(_) => 4,
            Self::Queue(_) => 5,
            Self::Timer(_) => 6,
            Self::Action(..) => 7,
        }
    }
}

/// No address looks like this, so that a plug-in that follows a handle faults.
const MARK: u64 = 0xde << 56;

/// How many objects are remembered after their last release, so that a use is told of as a finding.
const DEAD_MAX: usize = 64;

struct Entry {
    instance: u64,
    managed: Managed,
}

struct Table {
    made: u64,
    live: BTreeMap<Handle, Entry>,
    dead: VecDeque<(Handle, Entry)>,
    /// Those that the system releases at some time.
    passing: Vec<Handle>,
    /// Arguments of calls that have returned, and their kinds.
    taken: VecDeque<(Handle, u32)>,
}

static TABLE: Mutex<Table> = Mutex::new(Table {
    made: 0,
    live: BTreeMap::new(),
    dead: VecDeque::new(),
    passing: Vec::new(),
    taken: VecDeque::new(),
});

/// Nothing of the mock's is called with the table locked: it may come back here.
fn table() -> MutexGuard<'static, Table> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The handle of an object that is new to the plug-in.
pub(crate) fn give(managed: Managed) -> Handle {
    let mut table = table();
    table.made += 1;
    let handle = MARK | (table.made << 4);
    table.live.insert(handle, Entry { instance: instance(), managed });
    handle
}

/// The handle of an argument, which is the plug-in's for the time of a call; 0 for none.
pub(crate) fn lend(managed: Option<Managed>) -> Handle {
    managed.map_or(0, give)
}

/// A call has returned: what it was lent is gone, unless it has retained it (B10).
pub(crate) fn take_back(handle: Handle) {
    let Some(managed) = get(handle).filter(|managed| managed.retain_count() <= 1) else { return };
    let mut table = table();
    let gone = table.live.remove(&handle);
    table.taken.push_back((handle, managed.kind()));
    if table.taken.len() > DEAD_MAX {
        table.taken.pop_front();
    }
    drop(table);
    drop((gone, managed));
}

/// What stands for an argument of a call that has returned: one that is gone, so that its use is found.
fn stand_in(kind: u32) -> Option<Managed> {
    DextProcess::current()?;
    let managed = match kind {
        1 => Managed::Data(OsData::with_bytes(&[])),
        7 => Managed::Action(OsAction::data_serviced(|_| {}), None),
        _ => Managed::Buffer(BufferMemoryDescriptor::create(Direction::IN, 1, 0).ok()?),
    };
    managed.release();
    Some(managed)
}

/// An object is handed to the system, which releases it.
pub(crate) fn hand_over(handle: Handle) {
    table().passing.push(handle);
}

/// The object of a handle; `None` for what is none, or has been gone for long.
pub(crate) fn get(handle: Handle) -> Option<Managed> {
    let table = table();
    let found = table
        .live
        .get(&handle)
        .or_else(|| table.dead.iter().find(|(dead, _)| *dead == handle).map(|(_, entry)| entry));
    if let Some(entry) = found {
        return Some(entry.managed.clone());
    }
    let kind = table.taken.iter().find(|(taken, _)| *taken == handle).map(|(_, kind)| *kind)?;
    drop(table);
    stand_in(kind)
}

/// Looks whether an object is gone, and forgets it after some time.
pub(crate) fn look_after(handle: Handle) {
    let Some(managed) = get(handle) else { return };
    if managed.retain_count() > 0 {
        return;
    }
    let mut table = table();
    let gone = table.live.remove(&handle);
    table.dead.extend(gone.map(|entry| (handle, entry)));
    let forgotten = if table.dead.len() > DEAD_MAX { table.dead.pop_front() } else { None };
    drop(table);
    drop(forgotten);
}

/// Looks after everything that the system was to release.
pub(crate) fn sweep() {
    let passing = std::mem::take(&mut table().passing);
    for handle in passing {
        look_after(handle);
        let mut table = table();
        if table.live.contains_key(&handle) {
            table.passing.push(handle);
        }
    }
}

/// Forgets the objects of a dext that is gone.
pub(crate) fn forget(instance: u64) {
    let mut table = table();
    let gone: Vec<_> = table.live.extract_if(.., |_, entry| entry.instance == instance).collect();
    let all = std::mem::take(&mut table.dead).into_iter();
    let (dead, left): (Vec<_>, Vec<_>) = all.partition(|(_, entry)| entry.instance == instance);
    table.dead = left.into();
    let passing = std::mem::take(&mut table.passing).into_iter();
    table.passing = passing.filter(|handle| table.live.contains_key(handle)).collect();
    drop(table);
    drop((gone, dead));
}
