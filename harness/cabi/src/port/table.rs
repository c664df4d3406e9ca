//! The names of this task.

use super::{Connect, Kind, Port, seats};
use dextape::IoReturn;
use dextape::call::ServiceId;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// `mach_task_self_`.
pub(crate) const TASK_SELF: u32 = 0x103;

/// What `IOMainPort` gives.
pub(crate) const MAIN_PORT: u32 = 0x203;

/// Low bits that every name has.
const TAG: u32 = 0b11;

/// Places that wait before they are used again, so that a name that was released is not soon another's.
const REST: usize = 1024;

/// Names at once; more are a leak that no client means.
pub(super) const NAMES_MAX: usize = 1 << 20;

/// A right that a reference count belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    /// Send.
    Send,
    /// Receive.
    Receive,
    /// Send once.
    SendOnce,
    /// A port set.
    PortSet,
    /// Dead name.
    DeadName,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) send: u32,
    pub(super) receive: bool,
}

#[derive(Debug, Default)]
struct Slot {
    /// How often the place was used; the upper bits of a name's low byte.
    generation: u8,
    entry: Option<Entry>,
}

/// All names.
#[derive(Debug, Default)]
pub(super) struct Table {
    slots: Vec<Slot>,
    free: VecDeque<u32>,
    services: HashMap<ServiceId, u32>,
    /// Releases of what was not there, as the report shows them.
    pub(super) misuse: Vec<String>,
    pub(super) misuses: u64,
}

static TABLE: Mutex<Option<Table>> = Mutex::new(None);

/// The table, held.
pub(super) struct Held(MutexGuard<'static, Option<Table>>);

impl std::ops::Deref for Held {
    type Target = Table;

    fn deref(&self) -> &Table {
        self.0.as_ref().expect(MADE)
    }
}

impl std::ops::DerefMut for Held {
    fn deref_mut(&mut self) -> &mut Table {
        self.0.as_mut().expect(MADE)
    }
}

const MADE: &str = "the table is made before it is handed out";

pub(super) fn table() -> Held {
    let mut table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
    table.get_or_insert_with(|| {
        let mut table = Table::default();
        // Place 0 is nobody's, so that no name is 0.
        table.slots.push(Slot::default());
        table.add(Kind::Task, 1, false);
        table.add(Kind::Main, 1, false);
        table
    });
    Held(table)
}

impl Table {
    /// A new name; 0 where there are too many.
    fn add(&mut self, kind: Kind, send: u32, receive: bool) -> u32 {
        let place = if self.free.len() > REST { self.free.pop_front() } else { None };
        let place = match place {
            Some(place) => place,
            None if self.slots.len() < NAMES_MAX => {
                self.slots.push(Slot::default());
                self.slots.len() as u32 - 1
            }
            None => match self.free.pop_front() {
                Some(place) => place,
                None => return 0,
            },
        };
        let slot = &mut self.slots[place as usize];
        slot.entry = Some(Entry { kind, send, receive });
        name_of(place, slot.generation)
    }

    pub(super) fn get(&self, name: u32) -> Option<&Entry> {
        let slot = self.slots.get((name >> 8) as usize)?;
        slot.entry.as_ref().filter(|_| name_of(name >> 8, slot.generation) == name)
    }

    fn get_mut(&mut self, name: u32) -> Option<&mut Entry> {
        let slot = self.slots.get_mut((name >> 8) as usize)?;
        slot.entry.as_mut().filter(|_| name_of(name >> 8, slot.generation) == name)
    }

    /// Takes a name away; what it stood for is to be dropped without the table.
    fn remove(&mut self, name: u32) -> Option<Kind> {
        self.get(name)?;
        let slot = self.slots.get_mut((name >> 8) as usize)?;
        slot.generation = slot.generation.wrapping_add(1) & 0x3f;
        let entry = slot.entry.take()?;
        self.free.push_back(name >> 8);
        match &entry.kind {
            Kind::Service(service) => drop(self.services.remove(service)),
            Kind::Connection(_) => seats::rise(name),
            _ => {}
        }
        Some(entry.kind)
    }

    /// Everything that has a name.
    pub(super) fn entries(&self) -> impl std::iter::Iterator<Item = (u32, &Entry)> {
        self.slots.iter().enumerate().filter_map(|(place, slot)| {
            Some((name_of(place as u32, slot.generation), slot.entry.as_ref()?))
        })
    }

    fn misused(&mut self, name: u32, what: &str) {
        self.misuses += 1;
        if self.misuse.len() < 16 {
            self.misuse.push(format!("{what} of {name:#x}, which this task does not have"));
        }
    }
}

const fn name_of(place: u32, generation: u8) -> u32 {
    place << 8 | (generation as u32) << 2 | TAG
}

/// What a name stands for; `None` for 0 and for what this task does not have.
pub(crate) fn lookup(name: u32) -> Option<Kind> {
    table().get(name).map(|entry| entry.kind.clone())
}

/// The client's own port of that name.
pub(crate) fn port_of(name: u32) -> Option<Arc<Port>> {
    match &table().get(name)?.kind {
        Kind::Port(port) => Some(Arc::clone(port)),
        _ => None,
    }
}

/// The client's own port of that name, if it may send to it.
pub(crate) fn send_port(name: u32) -> Option<Arc<Port>> {
    match table().get(name)? {
        Entry { kind: Kind::Port(port), send: 1.., .. } => Some(Arc::clone(port)),
        _ => None,
    }
}

/// One send right of something new; 0 where there are too many names.
pub(crate) fn insert(kind: Kind) -> u32 {
    table().add(kind, 1, false)
}

/// One send right of a service. A service that has a name already has no other.
pub(crate) fn service_name(service: ServiceId) -> u32 {
    let mut table = table();
    if let Some(name) = table.services.get(&service).copied()
        && let Some(entry) = table.get_mut(name)
    {
        entry.send = entry.send.saturating_add(1);
        return name;
    }
    let name = table.add(Kind::Service(service), 1, false);
    table.services.insert(service, name);
    name
}

/// The name of a connection that was just opened.
pub(crate) fn connection_name(connect: Connect) -> u32 {
    let connect = Arc::new(connect);
    let mut table = table();
    let name = table.add(Kind::Connection(Arc::clone(&connect)), 1, false);
    if name != 0 {
        seats::sit(name, &connect);
    }
    name
}

/// A new port of the client's own, with its receive right only.
pub(crate) fn allocate_receive() -> Option<(u32, Arc<Port>)> {
    let port = Port::new();
    let name = table().add(Kind::Port(Arc::clone(&port)), 0, true);
    port.named(name);
    (name != 0).then_some((name, port))
}

/// Another send right of something that has one.
pub(crate) fn retain(name: u32) -> IoReturn {
    modify(name, Right::Send, 1)
}

/// A send right made of a receive right.
pub(crate) fn insert_send(name: u32) -> IoReturn {
    match table().get_mut(name) {
        None => KERN_INVALID_NAME,
        Some(entry) if !entry.receive && entry.send == 0 => KERN_INVALID_RIGHT,
        Some(entry) => {
            entry.send = entry.send.saturating_add(1);
            IoReturn::SUCCESS
        }
    }
}

/// How many references a right has; `None` for a name that this task does not have.
pub(crate) fn references(name: u32, right: Right) -> Option<u32> {
    let table = table();
    let entry = table.get(name)?;
    let is_dead = matches!(entry.kind, Kind::Dead);
    Some(match right {
        Right::Send if is_dead => 0,
        Right::Send => entry.send,
        Right::DeadName if is_dead => entry.send,
        Right::Receive => u32::from(entry.receive),
        _ => 0,
    })
}

/// `KERN_INVALID_NAME`.
pub(crate) const KERN_INVALID_NAME: IoReturn = IoReturn(15);

/// `KERN_INVALID_RIGHT`.
pub(crate) const KERN_INVALID_RIGHT: IoReturn = IoReturn(17);

/// `KERN_INVALID_VALUE`.
pub(crate) const KERN_INVALID_VALUE: IoReturn = IoReturn(18);

/// Drops one send right, as `mach_port_deallocate` does.
pub(crate) fn deallocate(name: u32) -> IoReturn {
    let mut table = table();
    let Some(entry) = table.get_mut(name) else {
        // Releasing nothing is a habit, and harmless.
        if name != 0 {
            table.misused(name, "release");
        }
        return KERN_INVALID_NAME;
    };
    if entry.send == 0 {
        table.misused(name, "release of a send right");
        return KERN_INVALID_RIGHT;
    }
    if matches!(entry.kind, Kind::Task | Kind::Main) && entry.send == 1 {
        return IoReturn::SUCCESS;
    }
    entry.send -= 1;
    let gone = if entry.send == 0 && !entry.receive { table.remove(name) } else { None };
    drop(table);
    // A connection goes with its last right, and calls the dext on its way.
    drop(gone);
    IoReturn::SUCCESS
}

/// Changes the references of a right, as `mach_port_mod_refs` does.
pub(crate) fn modify(name: u32, right: Right, delta: i64) -> IoReturn {
    let mut table = table();
    let Some(entry) = table.get_mut(name) else {
        table.misused(name, "change of the references");
        return KERN_INVALID_NAME;
    };
    match right {
        Right::Receive | Right::PortSet => {
            if !entry.receive {
                return KERN_INVALID_RIGHT;
            }
            match delta {
                0 => return IoReturn::SUCCESS,
                -1 => {}
                _ => return KERN_INVALID_VALUE,
            }
            drop(table);
            return end_receive(name);
        }
        Right::SendOnce => return KERN_INVALID_RIGHT,
        Right::Send | Right::DeadName => {}
    }
    if matches!(entry.kind, Kind::Dead) != (right == Right::DeadName) || entry.send == 0 {
        return KERN_INVALID_RIGHT;
    }
    let Ok(send) = u32::try_from(i64::from(entry.send) + delta) else { return KERN_INVALID_VALUE };
    entry.send = send;
    let gone = if send == 0 && !entry.receive { table.remove(name) } else { None };
    drop(table);
    drop(gone);
    IoReturn::SUCCESS
}

/// Drops the receive right: send rights become a dead name.
fn end_receive(name: u32) -> IoReturn {
    let mut table = table();
    let Some(entry) = table.get_mut(name) else { return KERN_INVALID_NAME };
    entry.receive = false;
    let kind = std::mem::replace(&mut entry.kind, Kind::Dead);
    let gone = if entry.send == 0 { table.remove(name) } else { None };
    drop(table);
    drop(gone);
    if let Kind::Port(port) = kind {
        port.die();
    }
    IoReturn::SUCCESS
}

/// Drops all rights of a name, as `mach_port_destroy` does.
pub(crate) fn destroy(name: u32) -> IoReturn {
    let mut table = table();
    match table.get(name) {
        None => {
            table.misused(name, "destruction");
            return KERN_INVALID_NAME;
        }
        Some(Entry { kind: Kind::Task | Kind::Main, .. }) => return IoReturn::SUCCESS,
        Some(_) => {}
    }
    let gone = table.remove(name);
    drop(table);
    if let Some(Kind::Port(port)) = &gone {
        port.die();
    }
    drop(gone);
    IoReturn::SUCCESS
}
