//! Holds a dext against its model, and makes what shows a difference short.

use super::bench::{Bench, WAITS, Wrong};
use super::client::{Answer, Client, REFERENCE, Stage};
use super::machine::{
    Awaited, CLIENTS, Expected, Machine, MachineState, Model, Outcome, Step, Transition,
};
use super::problem::{ProblemKind, Subject};
use crate::IoReturn;
use crate::call::Completion;
use crate::connection::Mapping;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use proptest_state_machine::ReferenceStateMachine;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

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
    let takes = steps.iter().filter(|step| matches!(step.step, Step::Take)).count();
    bench.waits = WAITS.saturating_add(takes as u32);
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
            (Step::Take, Some(client)) => {
                let came = client.completion();
                if let Outcome::Completion(awaited) = outcome
                    && let Some(what) = awaited_differs(&awaited, came.as_ref())
                {
                    return wrong(ProblemKind::Completion, what);
                }
                continue;
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

fn awaited_differs(awaited: &Awaited, came: Option<&Completion>) -> Option<String> {
    // The first word is the library's own.
    let strange = came.filter(|it| it.reference[1..REFERENCE.len()] != REFERENCE[1..]);
    if let Some(came) = strange {
        return Some(format!("a completion comes with the reference {:x?}", came.reference));
    }
    let same = match (awaited, came) {
        (Awaited::Any, _) | (Awaited::Nothing, None) => true,
        (Awaited::Comes { status, arguments }, Some(came)) => {
            came.status == *status && came.arguments[..] == arguments[..]
        }
        _ => false,
    };
    let text = match came {
        Some(came) => format!("{} with {:x?} comes", came.status, &came.arguments[..]),
        None => "nothing comes".to_owned(),
    };
    let due = match awaited {
        Awaited::Comes { status, arguments } => format!("{status} with {arguments:x?}"),
        _ => "nothing".to_owned(),
    };
    (!same).then(|| format!("{text}, and {due} should"))
}
