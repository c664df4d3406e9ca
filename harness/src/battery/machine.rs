//! A dext against a model of it: sequences of what clients can do, at random, and shrunk.

use super::client::{Attempt, Input};
use super::contract::{Asynchrony, Contract, MethodContract};
use super::moves::{accesses, asked, illegal, legal, unknown_type};
use crate::IoReturn;
use crate::kernel::MockSystem;
use proptest::prelude::*;
use proptest::sample::select;
use proptest_state_machine::ReferenceStateMachine;
use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// Clients that there are at most at a time.
pub const CLIENTS: usize = 3;

/// A call that the contract allows, as the model is asked about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The selector.
    pub selector: u32,
    /// Scalars handed in.
    pub scalars: Vec<u64>,
    /// The structure handed in; empty where there is none.
    pub input: Vec<u8>,
    /// Scalars asked for.
    pub scalars_asked: usize,
    /// Bytes asked for.
    pub bytes_asked: u64,
    /// It is asynchronous, with a wake port.
    pub asynchronous: bool,
}

/// What a call gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Success, with these scalars and bytes.
    Gives {
        /// Scalars that come back.
        scalars: Vec<u64>,
        /// The structure that comes back.
        bytes: Vec<u8>,
    },
    /// This error.
    Fails(IoReturn),
    /// The model does not say; that it comes back is all.
    Any,
}

/// What comes to a client that waits for a completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// This one, within the contract's patience.
    Comes {
        /// Its status.
        status: IoReturn,
        /// Its arguments.
        arguments: Vec<u64>,
    },
    /// None, since none is due.
    Nothing,
    /// The model does not say.
    Any,
}

/// What a dext should do, simply. Everything around it (counts and sizes that the contract does not allow,
/// selectors and memory types that there are not, opens and closes between the calls) is the machine's.
///
/// See [`exercise`](super::exercise()) for an example.
pub trait Model: Clone + Default + fmt::Debug + Send + Sync + 'static {
    /// What the dext promises.
    fn contract() -> Contract;

    /// Publishes the dext.
    ///
    /// # Errors
    ///
    /// What the mock says.
    fn publish(mock: &Arc<MockSystem>) -> Result<(), IoReturn>;

    /// A call that the contract allows, by client 0, 1 or 2.
    fn call(&mut self, client: usize, asked: &Asked) -> Expected;

    /// The client waits for a completion, for as long as the contract's patience. What it takes is not due
    /// any more.
    fn awaited(&mut self, client: usize) -> Awaited {
        let _ = client;
        Awaited::Any
    }

    /// The client has opened the service. Only where the contract says `exclusive` is that refused, to a
    /// second one.
    fn opened(&mut self, client: usize) {
        let _ = client;
    }

    /// The client has written bytes to memory of a type that it has mapped.
    fn wrote(&mut self, client: usize, memory_type: u32, offset: u64, bytes: &[u8]) {
        let _ = (client, memory_type, offset, bytes);
    }

    /// What the client reads in memory of a type that it has mapped; `None` where the model does not say.
    fn reads(&self, client: usize, memory_type: u32, offset: u64, length: u64) -> Option<Vec<u8>> {
        let _ = (client, memory_type, offset, length);
        None
    }

    /// The client has closed its connection.
    fn closed(&mut self, client: usize) {
        let _ = client;
    }
}

/// One step of a client.
#[derive(Clone, Debug)]
pub struct Transition {
    pub(super) client: usize,
    pub(super) step: Step,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Open,
    Close,
    Call(Attempt),
    Map(u32),
    Unmap(u32),
    Write(u32, u64, Vec<u8>),
    Read(u32, u64, u64),
    /// Waits for a completion.
    Take,
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {}: ", self.client)?;
        match &self.step {
            Step::Open => f.write_str("opens the service"),
            Step::Take => f.write_str("waits for a completion"),
            Step::Close => f.write_str("closes its connection"),
            Step::Map(memory_type) => write!(f, "maps memory type {memory_type}"),
            Step::Unmap(memory_type) => write!(f, "unmaps memory type {memory_type}"),
            Step::Write(memory_type, offset, bytes) => {
                write!(f, "writes {bytes:02x?} at {offset:#x} of memory type {memory_type}")
            }
            Step::Read(memory_type, offset, length) => {
                write!(f, "reads {length} bytes at {offset:#x} of memory type {memory_type}")
            }
            Step::Call(attempt) => {
                write!(f, "{attempt}")?;
                if !attempt.scalars.is_empty() {
                    write!(f, ", scalars {:x?}", attempt.scalars)?;
                }
                match &attempt.input {
                    Input::Bytes(bytes) if !bytes.is_empty() => {
                        let shown = &bytes[..bytes.len().min(16)];
                        write!(f, ", bytes {shown:02x?}")
                    }
                    _ => Ok(()),
                }
            }
        }
    }
}

/// The model, and what the machine knows beside it.
#[derive(Clone, Debug)]
pub struct MachineState<M> {
    model: M,
    open: [bool; CLIENTS],
    mapped: BTreeSet<(usize, u32)>,
}

/// The reference state machine of a model, for those who want to put it beside others.
#[derive(Debug)]
pub struct Machine<M>(PhantomData<M>);

impl<M: Model> ReferenceStateMachine for Machine<M> {
    type State = MachineState<M>;
    type Transition = Transition;

    fn init_state() -> BoxedStrategy<Self::State> {
        let open = [false; CLIENTS];
        Just(MachineState { model: M::default(), open, mapped: BTreeSet::new() }).boxed()
    }

    fn transitions(state: &Self::State) -> BoxedStrategy<Transition> {
        let contract = M::contract();
        let clients: Vec<usize> = (0..CLIENTS).filter(|client| state.open[*client]).collect();
        let idle: Vec<usize> = (0..CLIENTS).filter(|client| !state.open[*client]).collect();
        let of = |clients: &[usize], step: BoxedStrategy<Step>| {
            let step = (select(clients.to_vec()), step);
            step.prop_map(|(client, step)| Transition { client, step }).boxed()
        };
        let mut all: Vec<(u32, BoxedStrategy<Transition>)> = Vec::new();
        if !idle.is_empty() {
            // The first idle one, since they are alike.
            all.push((2, of(&idle[..1], Just(Step::Open).boxed())));
        }
        if !clients.is_empty() {
            all.push((1, of(&clients, Just(Step::Close).boxed())));
            for method in &contract.methods {
                all.push((3, of(&clients, legal(method).prop_map(Step::Call).boxed())));
                all.push((
                    1,
                    of(&clients, illegal(method, &contract).prop_map(Step::Call).boxed()),
                ));
            }
            let known = contract.memories.iter().map(|memory| memory.memory_type);
            // One that there is not, beside those.
            let types: Vec<u32> = known.chain([unknown_type(&contract)]).collect();
            let step = (select(types), any::<bool>()).prop_map(|(memory_type, map)| match map {
                true => Step::Map(memory_type),
                false => Step::Unmap(memory_type),
            });
            all.push((2, of(&clients, step.boxed())));
            let completes = |method: &&MethodContract| method.asynchrony != Asynchrony::Never;
            let asynchronous = contract.methods.iter().filter(completes).count();
            if asynchronous > 0 {
                // As often as there is something to come.
                all.push((2 * asynchronous as u32, of(&clients, Just(Step::Take).boxed())));
            }
        }
        for (client, memory_type) in &state.mapped {
            let memory = contract.memories.iter().find(|it| it.memory_type == *memory_type);
            let Some((memory, length)) = memory.and_then(|it| Some((it, it.length?))) else {
                continue;
            };
            let step = accesses(*memory_type, length, memory.read_only);
            all.push((2, of(&[*client], step)));
        }
        proptest::strategy::Union::new_weighted(all).boxed()
    }

    fn preconditions(state: &Self::State, transition: &Transition) -> bool {
        let is_open = state.open[transition.client];
        match &transition.step {
            Step::Open => !is_open,
            // What is unmapped that was not mapped is a matter of the battery.
            Step::Unmap(memory_type) => {
                is_open && state.mapped.contains(&(transition.client, *memory_type))
            }
            Step::Map(memory_type) => {
                is_open && !state.mapped.contains(&(transition.client, *memory_type))
            }
            Step::Read(memory_type, ..) | Step::Write(memory_type, ..) => {
                is_open && state.mapped.contains(&(transition.client, *memory_type))
            }
            Step::Close | Step::Call(_) | Step::Take => is_open,
        }
    }

    fn apply(mut state: Self::State, transition: &Transition) -> Self::State {
        let _ = state.step(transition, &M::contract());
        state
    }
}

/// What a step should give.
pub(super) enum Outcome {
    Call(Expected),
    Completion(Awaited),
    /// Any error.
    Refused,
    Done,
    /// Bytes that are read, where the model says which.
    Bytes(Option<Vec<u8>>),
}

impl<M: Model> MachineState<M> {
    pub(super) fn step(&mut self, transition: &Transition, contract: &Contract) -> Outcome {
        let client = transition.client;
        match &transition.step {
            Step::Open if contract.exclusive && self.open.contains(&true) => Outcome::Refused,
            Step::Open => {
                self.open[client] = true;
                self.model.opened(client);
                Outcome::Done
            }
            Step::Close => {
                self.open[client] = false;
                self.mapped.retain(|(of, _)| *of != client);
                self.model.closed(client);
                Outcome::Done
            }
            Step::Map(memory_type) | Step::Unmap(memory_type) => {
                let known =
                    contract.memories.iter().any(|memory| memory.memory_type == *memory_type);
                match &transition.step {
                    _ if !known => return Outcome::Refused,
                    Step::Map(_) => self.mapped.insert((client, *memory_type)),
                    _ => self.mapped.remove(&(client, *memory_type)),
                };
                Outcome::Done
            }
            Step::Write(memory_type, offset, bytes) => {
                self.model.wrote(client, *memory_type, *offset, bytes);
                Outcome::Done
            }
            Step::Read(memory_type, offset, length) => {
                Outcome::Bytes(self.model.reads(client, *memory_type, *offset, *length))
            }
            Step::Take => Outcome::Completion(self.model.awaited(client)),
            Step::Call(attempt) => match asked(attempt, contract) {
                Some(asked) => Outcome::Call(self.model.call(client, &asked)),
                None => Outcome::Refused,
            },
        }
    }
}
