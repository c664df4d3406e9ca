//! Dexts of scenarios against models of them: the right ones agree, the naive one is found out.

use dextape::IoReturn;
use dextape::battery::{
    Amount, Asked, CLIENTS, Contract, Expected, MemoryContract, MethodContract, Model, ProblemKind,
    Subject, exercise,
};
use dextape::connection::Matching;
use dextape::kernel::MockSystem;
use dextape_scenarios::null_driver::NullDriver;
use dextape_scenarios::shared_buffer::abi::{BUFFER_LENGTH, STATUS_LENGTH, USER_CLASS, buffer};
use dextape_scenarios::shared_buffer::{Buffers, SharedBufferDriver};
use std::sync::Arc;

/// Sequences in a test run.
const CASES: u32 = 48;

/// NullDriver: the checked methods, and the registration of a completion.
#[derive(Clone, Debug, Default)]
struct Null {
    registered: [bool; CLIENTS],
}

impl Model for Null {
    fn contract() -> Contract {
        let scalars: Vec<u64> = (0..16).collect();
        let unchecked = "selectors 0 and 1 of the sample have no dispatch entry";
        let any = |method: MethodContract| {
            let method = method.scalars_in(Amount::Any).scalars_out(Amount::Any);
            method.bytes_in(Amount::Any).bytes_out(Amount::Any)
        };
        Contract::new(Matching::user_class("NullDriver"))
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
                self.registered[client] |= asked.selector == 4;
                Expected::Gives { scalars: Vec::new(), bytes: answered(&asked.input) }
            }
            _ if self.registered[client] => {
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
    if let Err(found) = exercise::<Null>(CASES, 1..16) {
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
