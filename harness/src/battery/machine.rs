//! A dext against a model of it: sequences of what clients can do, at random, and shrunk.

use super::bench::{Bench, Wrong};
use super::client::{Answer, Attempt, Client, Input, Stage};
use super::contract::Contract;
use super::moves::{accesses, asked, illegal, legal, unknown_type};
use super::problem::{ProblemKind, Subject};
use crate::IoReturn;
use crate::connection::Mapping;
use crate::kernel::MockSystem;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use proptest_state_machine::ReferenceStateMachine;
use std::collections::{BTreeMap, BTreeSet};
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

/// What a dext should do, simply. Everything around it (counts and sizes that the contract does not allow,
/// selectors and memory types that there are not, opens and closes between the calls) is the machine's.
///
/// See [`exercise`] for an example.
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
    client: usize,
    step: Step,
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
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {}: ", self.client)?;
        match &self.step {
            Step::Open => f.write_str("opens the service"),
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

/// A sequence that shows a dext to differ from its model, as short as it was found.
#[derive(Clone, Debug)]
pub struct Counterexample {
    /// What the clients do, in order.
    pub steps: Vec<Transition>,
    /// What is wrong then.
    pub problems: String,
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in (1..).zip(&self.steps) {
            writeln!(f, "{number:>3}  {step}")?;
        }
        f.write_str(&self.problems)
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
                all.push((3, of(&clients, legal(method))));
                all.push((1, of(&clients, illegal(method, &contract))));
            }
            let known = contract.memories.iter().map(|memory| memory.memory_type);
            // One that there is not, beside those.
            let types: Vec<u32> = known.chain([unknown_type(&contract)]).collect();
            let step = (select(types), any::<bool>()).prop_map(|(memory_type, map)| match map {
                true => Step::Map(memory_type),
                false => Step::Unmap(memory_type),
            });
            all.push((2, of(&clients, step.boxed())));
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
            Step::Close | Step::Call(_) => is_open,
        }
    }

    fn apply(mut state: Self::State, transition: &Transition) -> Self::State {
        let _ = state.step(transition, &M::contract());
        state
    }
}

/// What a step should give.
enum Outcome {
    Call(Expected),
    /// Any error.
    Refused,
    Done,
    /// Bytes that are read, where the model says which.
    Bytes(Option<Vec<u8>>),
}

impl<M: Model> MachineState<M> {
    fn step(&mut self, transition: &Transition, contract: &Contract) -> Outcome {
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
            Step::Call(attempt) => match asked(attempt, contract) {
                Some(asked) => Outcome::Call(self.model.call(client, &asked)),
                None => Outcome::Refused,
            },
        }
    }
}

/// Makes `cases` sequences of steps of up to three clients, each on a fresh dext in virtual time, and holds what
/// they see against the model. The lints of the mock, leaks, panics and hangs count as they do in the
/// [battery](super::run). The sequences are the same on every machine.
///
/// # Errors
///
/// The shortest sequence that was found to show a difference.
///
/// # Examples
///
/// A counter whose author forgot that clients are not to share it:
///
/// ```
/// use dextape::IoReturn;
/// use dextape::battery::{Asked, Contract, Expected, MethodContract, Model, exercise};
/// use dextape::connection::Matching;
/// use dextape::driverkit::{ExternalMethodArguments, Service, UserClient};
/// use dextape::kernel::{MockSystem, ServiceDescription};
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// struct Counter(Arc<AtomicU64>);
///
/// impl UserClient for Counter {
///     fn external_method(
///         &self,
///         selector: u64,
///         arguments: &mut ExternalMethodArguments<'_>,
///     ) -> IoReturn {
///         match (selector, arguments.scalar_input, &mut *arguments.scalar_output) {
///             (0, [], [count]) if arguments.completion.is_none() => {
///                 *count = self.0.fetch_add(1, Ordering::Relaxed);
///                 IoReturn::SUCCESS
///             }
///             _ => IoReturn::BAD_ARGUMENT,
///         }
///     }
/// }
///
/// struct Driver(Arc<AtomicU64>);
///
/// impl Service for Driver {
///     fn new_user_client(&self, _: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
///         Ok(Some(Arc::new(Counter(Arc::clone(&self.0)))))
///     }
/// }
///
/// #[derive(Clone, Debug, Default)]
/// struct CountsForEach([u64; 3]);
///
/// impl Model for CountsForEach {
///     fn contract() -> Contract {
///         Contract::new(Matching::service("Counter"))
///             .method(MethodContract::new(0).wants_scalars(1).synchronous())
///     }
///
///     fn publish(mock: &Arc<MockSystem>) -> Result<(), IoReturn> {
///         let driver = Arc::new(Driver(Arc::default()));
///         mock.publish(ServiceDescription::class("Counter"), driver).map(drop)
///     }
///
///     fn opened(&mut self, client: usize) {
///         self.0[client] = 0;
///     }
///
///     fn call(&mut self, client: usize, _: &Asked) -> Expected {
///         self.0[client] += 1;
///         Expected::Gives { scalars: vec![self.0[client] - 1], bytes: Vec::new() }
///     }
/// }
///
/// let found = exercise::<CountsForEach>(64, 1..20).unwrap_err();
/// // Two clients, or one that comes again, and a call of each.
/// assert!(found.steps.len() <= 5, "{found}");
/// ```
pub fn exercise<M: Model>(
    cases: u32,
    steps: std::ops::Range<usize>,
) -> Result<(), Box<Counterexample>> {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let strategy = Machine::<M>::sequential_strategy(steps);
    let outcome = runner.run(&strategy, |(state, steps, seen)| {
        if let Some(seen) = seen {
            seen.store(steps.len(), std::sync::atomic::Ordering::SeqCst);
        }
        play(state, steps).map_err(TestCaseError::fail)
    });
    match outcome {
        Ok(()) => Ok(()),
        Err(TestError::Fail(reason, (state, steps, _))) => {
            Err(Box::new(shortest(&state, steps, reason.to_string())))
        }
        Err(TestError::Abort(reason)) => {
            Err(Box::new(Counterexample { steps: Vec::new(), problems: reason.to_string() }))
        }
    }
}

/// Takes out steps, by twos and by ones, until none can go: what belongs together, such as an open and its
/// close, goes only together.
fn shortest<M: Model>(
    state: &MachineState<M>,
    mut steps: Vec<Transition>,
    mut problems: String,
) -> Counterexample {
    'again: loop {
        let count = steps.len();
        let ones = (0..count).map(|one| (one, one));
        let twos = (0..count).flat_map(|one| (one + 1..count).map(move |other| (one, other)));
        for (one, other) in ones.chain(twos) {
            let kept = steps.iter().enumerate().filter(|(at, _)| *at != one && *at != other);
            let fewer: Vec<Transition> = kept.map(|(_, step)| step.clone()).collect();
            if !can_be_made(state, &fewer) {
                continue;
            }
            if let Err(found) = play(state.clone(), fewer.clone()) {
                (steps, problems) = (fewer, found);
                continue 'again;
            }
        }
        return Counterexample { steps, problems };
    }
}

fn can_be_made<M: Model>(state: &MachineState<M>, steps: &[Transition]) -> bool {
    let mut state = state.clone();
    steps.iter().all(|step| {
        let can = Machine::<M>::preconditions(&state, step);
        state = Machine::<M>::apply(state.clone(), step);
        can
    })
}

/// Plays a sequence on a fresh dext; gives what is wrong.
fn play<M: Model>(state: MachineState<M>, steps: Vec<Transition>) -> Result<(), String> {
    let contract = M::contract();
    let justified = contract.justified.clone();
    let mut bench = Bench::new(contract, Arc::new(M::publish));
    bench.check(Subject::Dext, "a sequence", move |stage| in_order(stage, state, &steps));
    let mut report = bench.report;
    report.sort(&justified);
    if report.is_clean() { Ok(()) } else { Err(report.to_string()) }
}

fn in_order<M: Model>(
    stage: &Stage,
    mut state: MachineState<M>,
    steps: &[Transition],
) -> Vec<Wrong> {
    let mut clients: [Option<Client>; CLIENTS] = Default::default();
    let mut mappings: BTreeMap<(usize, u32), Mapping> = BTreeMap::new();
    for (number, transition) in (1..).zip(steps) {
        let outcome = state.step(transition, &stage.contract);
        let wrong = |kind: ProblemKind, what: String| {
            vec![Wrong(kind, Subject::Dext, format!("step {number}, {transition}: {what}"))]
        };
        let slot = &mut clients[transition.client];
        let result = match (&transition.step, &*slot) {
            (Step::Open, _) => match stage.open() {
                Ok(client) => {
                    *slot = Some(client);
                    IoReturn::SUCCESS
                }
                Err(code) => code,
            },
            (_, None) => continue,
            (Step::Call(attempt), Some(client)) => {
                let answer = client.attempt(attempt);
                match outcome {
                    Outcome::Call(expected) => {
                        if let Some(what) = differs(&expected, &answer) {
                            return wrong(ProblemKind::Output, what);
                        }
                        continue;
                    }
                    _ => answer.result,
                }
            }
            (Step::Close, Some(client)) => {
                let result = client.close();
                mappings.retain(|(of, _), _| *of != transition.client);
                *slot = None;
                stage.mock.settle();
                result
            }
            (Step::Map(memory_type), Some(client)) => match client.map(*memory_type) {
                Ok(mapping) => {
                    mappings.insert((transition.client, *memory_type), mapping);
                    IoReturn::SUCCESS
                }
                Err(code) => code,
            },
            (Step::Unmap(memory_type), Some(client)) => {
                mappings.remove(&(transition.client, *memory_type));
                client.unmap(*memory_type)
            }
            (Step::Write(memory_type, offset, bytes), _) => {
                let Some(mapping) = mappings.get(&(transition.client, *memory_type)) else {
                    continue;
                };
                match mapping.memory().copy_in(*offset, bytes) {
                    Ok(()) => IoReturn::SUCCESS,
                    Err(error) => return wrong(ProblemKind::Memory, error.to_string()),
                }
            }
            (Step::Read(memory_type, offset, length), _) => {
                let Some(mapping) = mappings.get(&(transition.client, *memory_type)) else {
                    continue;
                };
                match (mapping.memory().read_vec(*offset, *length), outcome) {
                    (Err(error), _) => return wrong(ProblemKind::Memory, error.to_string()),
                    (Ok(bytes), Outcome::Bytes(Some(expected))) if bytes != expected => {
                        let what = format!("gives {bytes:02x?}, and should give {expected:02x?}");
                        return wrong(ProblemKind::Memory, what);
                    }
                    _ => continue,
                }
            }
        };
        match (outcome, result.is_success()) {
            (Outcome::Refused, true) => {
                return wrong(ProblemKind::Accepted, "should be refused".to_owned());
            }
            (Outcome::Done, false) => {
                return wrong(ProblemKind::Refused, format!("gives {result}"));
            }
            _ => {}
        }
    }
    for client in clients.into_iter().flatten() {
        let _ = client.completions();
        let _ = client.close();
    }
    Vec::new()
}

fn differs(expected: &Expected, answer: &Answer) -> Option<String> {
    let same = match expected {
        Expected::Any => true,
        Expected::Fails(code) => answer.result == *code,
        Expected::Gives { scalars, bytes } => {
            answer.result.is_success()
                && answer.scalars == *scalars
                && answer.bytes.get(..answer.size as usize) == Some(bytes)
        }
    };
    (!same).then(|| format!("gives {answer}, and should give {expected:x?}"))
}
