//! A connection that answers everything.

use super::key::{self, Simple};
use super::memory::{LenientMemory, Store};
use super::ordinary::OrdinaryMemory;
use super::state::Shared;
use dextape::IoReturn;
use dextape::boundary::{ConnectionState, Rules};
use dextape::call::{ConnectionId, MapOptions, MemoryId, ServiceId};
use dextape::connection::{
    AsyncWake, Connection, Mapping, MethodInput, MethodOutput, OtherCall, OtherReply,
};
use dextape::limits::PAGE_SIZE;
use dextape::tape::{Body, MappedMemory};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where mappings lie: far apart, and the same in every run.
const FIRST_ADDRESS: u64 = 0x1_0000_0000;

/// An open connection.
pub(super) struct LenientConnection {
    pub(super) shared: Arc<Shared>,
    pub(super) number: u32,
    life: Mutex<Life>,
}

/// What became of it so far.
#[derive(Debug)]
struct Life {
    state: ConnectionState,
    /// What was mapped last of each memory type.
    mapped: BTreeMap<u32, Arc<Store>>,
    /// All that was mapped.
    stores: Vec<Arc<Store>>,
}

impl LenientConnection {
    pub(super) fn new(shared: &Arc<Shared>, number: u32) -> Self {
        let life =
            Life { state: ConnectionState::new(), mapped: BTreeMap::new(), stores: Vec::new() };
        Self { shared: Arc::clone(shared), number, life: Mutex::new(life) }
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is there to be asked.
    pub(super) fn alive(&self) -> Result<(), IoReturn> {
        self.life().state.check(Rules::all())
    }

    /// The memory of that number, made where it is new.
    fn store(&self, number: u32, memory: OrdinaryMemory) -> Option<Arc<Store>> {
        let mut state = self.shared.state();
        if let Some(store) = state.stores.get(&number) {
            return Some(Arc::clone(store));
        }
        let place = state.stores.len() as u64;
        let address = FIRST_ADDRESS + place * super::memory::SIZE_MAX;
        let OrdinaryMemory { length, size, read_only } = memory;
        let store = Arc::new(Store::mapped(number, address, (length, size), read_only)?);
        state.stores.insert(number, Arc::clone(&store));
        Some(store)
    }
}

impl Connection for LenientConnection {
    fn id(&self) -> ConnectionId {
        ConnectionId(u64::from(self.number))
    }

    fn check(&self) -> Result<(), IoReturn> {
        self.alive()
    }

    fn call_method(
        &self,
        selector: u32,
        input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn {
        self.call(selector, None, input, output)
    }

    fn call_async_method(
        &self,
        selector: u32,
        wake: &AsyncWake<'_>,
        input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn {
        self.call(selector, Some(wake), input, output)
    }

    fn map_memory(
        &self,
        memory_type: u32,
        _options: MapOptions,
        _address: u64,
    ) -> Result<Mapping, IoReturn> {
        let key = Simple::Map { connection: self.number, memory_type }.key();
        let held = self.shared.enter(&[key]);
        if let Some(operation) = held {
            self.shared.after(operation);
            self.shared.leave(operation);
        }
        let leave = held.and_then(|held| held.leave).map(|at| &self.shared.tape.events()[at].body);
        let (number, memory) = match leave {
            Some(Body::Mapped { outcome: Err(result) }) => return Err(*result),
            Some(Body::Mapped { outcome: Ok(mapped) }) => {
                let MappedMemory { memory, length, size, read_only, .. } = *mapped;
                (Some(memory), OrdinaryMemory { length, size, read_only })
            }
            _ => {
                self.alive()?;
                let ordinary = self.shared.ordinary.memories.get(&memory_type).copied();
                let page = OrdinaryMemory { length: PAGE_SIZE, size: PAGE_SIZE, read_only: false };
                (None, ordinary.unwrap_or(page))
            }
        };
        let known = self.life().mapped.get(&memory_type).map(|store| store.number);
        let number = number.or(known).unwrap_or_else(|| {
            let mut state = self.shared.state();
            state.memories += 1;
            state.memories - 1
        });
        let store = self.store(number, memory).ok_or(IoReturn::NO_MEMORY)?;
        store.map();
        let mut life = self.life();
        life.state.mapped();
        life.mapped.insert(memory_type, Arc::clone(&store));
        life.stores.push(Arc::clone(&store));
        drop(life);
        let (id, address, length) =
            (MemoryId(u64::from(store.number)), store.address, store.length);
        let memory = LenientMemory { shared: Arc::clone(&self.shared), store };
        Ok(Mapping::new(id, memory_type, address, length, Arc::new(memory)))
    }

    fn unmap_memory(&self, memory_type: u32, _address: u64) -> IoReturn {
        let key = Simple::Unmap { connection: self.number, memory_type }.key();
        let held = self.shared.enter(&[key]);
        if let Some(operation) = held {
            self.shared.after(operation);
            self.shared.leave(operation);
        }
        let leave = held.and_then(|held| held.leave).map(|at| &self.shared.tape.events()[at].body);
        if let Some(Body::Unmapped { result }) = leave
            && !result.is_success()
        {
            return *result;
        }
        if let Err(code) = self.alive() {
            return code;
        }
        let store = self.life().mapped.get(&memory_type).cloned();
        let was_mapped = store.is_some_and(|store| store.unmap());
        if was_mapped { IoReturn::SUCCESS } else { IoReturn::BAD_ARGUMENT }
    }

    fn close(&self) -> IoReturn {
        let held = self.shared.enter(&[Simple::Close { connection: self.number }.key()]);
        if let Some(operation) = held {
            self.shared.after(operation);
            self.shared.leave(operation);
        }
        let leave = held.and_then(|held| held.leave).map(|at| &self.shared.tape.events()[at].body);
        let mut life = self.life();
        let (usual, consequence) = life.state.close(Rules::all());
        if consequence.end_mappings {
            life.stores.iter().for_each(|store| {
                store.unmap();
            });
        }
        match leave {
            Some(Body::Closed { result }) => *result,
            _ => usual,
        }
    }

    fn other_call(&self, call: &OtherCall<'_>) -> OtherReply {
        let what = key::other_asked(call);
        let held = self.shared.enter(&[Simple::Other { connection: self.number, what }.key()]);
        if let Some(operation) = held {
            self.shared.after(operation);
            self.shared.leave(operation);
            let leave = operation.leave.map(|at| &self.shared.tape.events()[at].body);
            if let Some(Body::OtherReturn { outcome }) = leave {
                return outcome.map(|service| service.map(|it| ServiceId(u64::from(it))));
            }
        }
        let mut life = self.life();
        match call {
            OtherCall::AddRef => life.state.add_ref().map(|()| None),
            OtherCall::Release => life.state.release(Rules::all()).map(|consequence| {
                if consequence.end_mappings {
                    life.stores.iter().for_each(|store| {
                        store.unmap();
                    });
                }
                None
            }),
            OtherCall::Trap { .. } => life.state.check_trap(Rules::all()).map(|()| None),
            _ => Err(IoReturn::UNSUPPORTED),
        }
    }
}

impl fmt::Debug for LenientConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LenientConnection").field("number", &self.number).finish_non_exhaustive()
    }
}
