//! Dexts of scenarios against models of them: the right ones agree, the naive one is found out.

use dextape::IoReturn;
use dextape::battery::{
    Amount, Asked, Awaited, CLIENTS, Contract, Expected, MemoryContract, MethodContract, Model,
    ProblemKind, Subject, exercise,
};
use dextape::connection::Matching;
use dextape::driverkit::{ExternalMethodArguments, Service, UserClient, async_completion};
use dextape::kernel::{MockSystem, ServiceDescription};
use dextape_scenarios::null_driver::NullDriver;
use dextape_scenarios::null_driver::abi::completion;
use dextape_scenarios::shared_buffer::abi::{BUFFER_LENGTH, STATUS_LENGTH, USER_CLASS, buffer};
use dextape_scenarios::shared_buffer::{Buffers, SharedBufferDriver};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Sequences in a test run.
const CASES: u32 = 48;

/// How long the driver takes for a request.
const REQUEST_TIME: Duration = Duration::from_secs(5);

/// How long a client waits for it.
const PATIENCE: Duration = Duration::from_secs(6);

/// NullDriver: the checked methods, the registration of a completion, and the requests that it answers.
#[derive(Clone, Debug, Default)]
struct Null {
    registered: [bool; CLIENTS],
    /// Time passes only where somebody waits.
    now: Duration,
    /// What each client has to come, by when it does and in the order in which that began.
    due: [BTreeMap<(Duration, u64), Vec<u64>>; CLIENTS],
    begun: u64,
}

impl Null {
    fn begin(&mut self, client: usize, after: Duration, what: u64, data: &[u8]) {
        self.begun += 1;
        let word = |at: usize| u64::from_le_bytes(data[at..at + 8].try_into().unwrap());
        let place = (self.now + after, self.begun);
        self.due[client].insert(place, vec![what, word(0), word(8)]);
    }
}

impl Model for Null {
    fn contract() -> Contract {
        let scalars: Vec<u64> = (0..16).collect();
        let unchecked = "selectors 0 and 1 of the sample have no dispatch entry";
        let any = |method: MethodContract| {
            let method = method.scalars_in(Amount::Any).scalars_out(Amount::Any);
            method.bytes_in(Amount::Any).bytes_out(Amount::Any)
        };
        let contract =
            Contract { patience: PATIENCE, ..Contract::new(Matching::user_class("NullDriver")) };
        contract
            .justify(ProblemKind::Lint, Subject::Selector(1), unchecked)
            .method(any(MethodContract::new(0).scalars(&scalars).wants_scalars(16)))
            .method(any(MethodContract::new(1).input(&[1; 16]).wants_bytes(16)))
            .method(MethodContract::new(2).scalars(&scalars).wants_scalars(16).synchronous())
            .method(MethodContract::new(3).input(&[1; 16]).wants_bytes(16).synchronous())
            .method(MethodContract::new(4).input(&[1; 16]).wants_bytes(16).completes(1))
            .method(MethodContract::new(5).input(&[1; 16]).code(IoReturn::ERROR))
    }

    fn publish(mock: &Arc<MockSystem>) -> Result<(), IoReturn> {
        NullDriver::publish(mock).map(drop)
    }

    fn opened(&mut self, client: usize) {
        self.registered[client] = false;
        self.due[client].clear();
    }

    fn awaited(&mut self, client: usize) -> Awaited {
        let Some(((when, _), arguments)) = self.due[client].pop_first() else {
            self.now += PATIENCE;
            return Awaited::Nothing;
        };
        self.now = self.now.max(when);
        Awaited::Comes { status: IoReturn::SUCCESS, arguments }
    }

    fn call(&mut self, client: usize, asked: &Asked) -> Expected {
        let one_more = |word: &[u8], step: u64| {
            u64::from_le_bytes(word.try_into().unwrap()).wrapping_add(step).to_le_bytes()
        };
        let answered =
            |input: &[u8]| [one_more(&input[..8], 1), one_more(&input[8..], 10)].concat();
        match asked.selector {
            0 | 2 => Expected::Gives {
                scalars: asked.scalars.iter().map(|scalar| scalar.wrapping_add(1)).collect(),
                bytes: Vec::new(),
            },
            1 | 3 | 4 => {
                if asked.selector == 4 {
                    self.registered[client] = true;
                    let answer = answered(&asked.input);
                    self.begin(client, Duration::ZERO, completion::REGISTERED, &answer);
                }
                Expected::Gives { scalars: Vec::new(), bytes: answered(&asked.input) }
            }
            _ if self.registered[client] => {
                self.begin(client, REQUEST_TIME, completion::REQUESTED, &asked.input);
                Expected::Gives { scalars: Vec::new(), bytes: Vec::new() }
            }
            _ => Expected::Fails(IoReturn::ERROR),
        }
    }
}

/// SharedBuffer: a text, a counter, and nobody else's.
#[derive(Clone, Debug)]
struct Buffer<const FRESH: bool> {
    bytes: [[u8; BUFFER_LENGTH as usize]; CLIENTS],
}

impl<const FRESH: bool> Default for Buffer<FRESH> {
    fn default() -> Self {
        Self { bytes: [[0; BUFFER_LENGTH as usize]; CLIENTS] }
    }
}

impl<const FRESH: bool> Model for Buffer<FRESH> {
    fn contract() -> Contract {
        Contract::new(Matching::user_class(USER_CLASS))
            .method(MethodContract::new(0).wants_scalars(1).synchronous())
            .method(MethodContract::new(2).scalars(&[3]).wants_scalars(1).synchronous())
            .memory(MemoryContract::new(0).length(BUFFER_LENGTH))
            .memory(MemoryContract::new(1).length(STATUS_LENGTH).read_only())
    }

    fn publish(mock: &Arc<MockSystem>) -> Result<(), IoReturn> {
        let buffers = if FRESH { Buffers::Fresh } else { Buffers::Kept };
        SharedBufferDriver::publish(buffers, mock).map(drop)
    }

    fn opened(&mut self, client: usize) {
        self.bytes[client] = [0; BUFFER_LENGTH as usize];
    }

    fn wrote(&mut self, client: usize, memory_type: u32, offset: u64, bytes: &[u8]) {
        if memory_type == 0 {
            self.bytes[client][offset as usize..][..bytes.len()].copy_from_slice(bytes);
        }
    }

    fn reads(&self, client: usize, memory_type: u32, offset: u64, length: u64) -> Option<Vec<u8>> {
        let bytes = &self.bytes[client][offset as usize % BUFFER_LENGTH as usize..];
        (memory_type == 0).then(|| bytes[..length as usize].to_vec())
    }

    fn call(&mut self, client: usize, asked: &Asked) -> Expected {
        let bytes = &mut self.bytes[client];
        let told = if asked.selector == 0 {
            let text = bytes[buffer::TEXT as usize..].iter_mut().take_while(|letter| **letter != 0);
            let small = text.filter(|letter| letter.is_ascii_lowercase());
            small.map(|letter| letter.make_ascii_uppercase()).count() as u64
        } else {
            let counter = &mut bytes[buffer::COUNTER as usize..][..8];
            let before = u64::from_le_bytes((&*counter).try_into().unwrap());
            counter.copy_from_slice(&before.wrapping_add(asked.scalars[0]).to_le_bytes());
            before
        };
        Expected::Gives { scalars: vec![told], bytes: Vec::new() }
    }
}

#[test]
fn null_driver_is_what_its_model_says() {
    // A registration, a request and two waits of one client are rare in short sequences.
    if let Err(found) = exercise::<Null>(4 * CASES, 1..32) {
        panic!("{found}");
    }
}

#[test]
fn shared_buffer_is_what_its_model_says() {
    if let Err(found) = exercise::<Buffer<false>>(CASES, 1..16) {
        panic!("{found}");
    }
}

#[test]
fn a_buffer_made_anew_each_time_is_found_out_in_a_few_steps() {
    let found = exercise::<Buffer<true>>(CASES, 1..16).unwrap_err();
    assert!(found.steps.len() <= 3, "{found}");
}

/// A dext that says by a completion what it was called with; with the bug, in the second call of a
/// connection, what it was called with before.
struct Echo {
    has_bug: bool,
    before: AtomicU64,
}

impl UserClient for Echo {
    fn external_method(
        &self,
        selector: u64,
        arguments: &mut ExternalMethodArguments<'_>,
    ) -> IoReturn {
        let (0, [word], Some(action)) = (selector, arguments.scalar_input, &arguments.completion)
        else {
            return IoReturn::BAD_ARGUMENT;
        };
        if !arguments.scalar_output.is_empty() || arguments.structure_input.is_some() {
            return IoReturn::BAD_ARGUMENT;
        }
        if arguments.structure_output_maximum_size > 0 {
            return IoReturn::BAD_ARGUMENT;
        }
        let before = self.before.swap(*word, Ordering::Relaxed);
        let said = if self.has_bug && before > 0 { before } else { *word };
        async_completion(action, IoReturn::SUCCESS, &[said]);
        IoReturn::SUCCESS
    }
}

struct EchoDriver(bool);

impl Service for EchoDriver {
    fn new_user_client(&self, _: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        Ok(Some(Arc::new(Echo { has_bug: self.0, before: AtomicU64::new(0) })))
    }
}

#[derive(Clone, Debug, Default)]
struct Echoes<const BUG: bool> {
    due: [Vec<u64>; CLIENTS],
}

impl<const BUG: bool> Model for Echoes<BUG> {
    fn contract() -> Contract {
        let echo = MethodContract::new(0).scalars(&[7]).completes(1);
        Contract::new(Matching::service("Echo")).method(echo)
    }

    fn publish(mock: &Arc<MockSystem>) -> Result<(), IoReturn> {
        mock.publish(ServiceDescription::class("Echo"), Arc::new(EchoDriver(BUG))).map(drop)
    }

    fn opened(&mut self, client: usize) {
        self.due[client].clear();
    }

    fn call(&mut self, client: usize, asked: &Asked) -> Expected {
        self.due[client].push(asked.scalars[0]);
        Expected::Gives { scalars: Vec::new(), bytes: Vec::new() }
    }

    fn awaited(&mut self, client: usize) -> Awaited {
        let due = &mut self.due[client];
        match due.is_empty() {
            true => Awaited::Nothing,
            false => Awaited::Comes { status: IoReturn::SUCCESS, arguments: vec![due.remove(0)] },
        }
    }
}

#[test]
fn a_completion_that_says_something_else_is_found_out_in_a_few_steps() {
    if let Err(found) = exercise::<Echoes<false>>(CASES, 1..16) {
        panic!("{found}");
    }
    let found = exercise::<Echoes<true>>(CASES, 1..16).unwrap_err();
    // An open, two calls, and two waits.
    assert!(found.steps.len() <= 5, "{found}");
    assert!(found.problems.contains("waits for a completion"), "{found}");
}
