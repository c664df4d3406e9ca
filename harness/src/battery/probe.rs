//! A contract by asking.

use super::bench::{Bench, Publish};
use super::client::{Attempt, Input, Output, Wake};
use super::contract::{Asynchrony, Contract, MemoryContract, MethodContract};
use super::problem::Subject;
use crate::IoReturn;
use crate::connection::Matching;
use crate::kernel::MockSystem;
use std::sync::Arc;

const SELECTORS: u32 = 32;
const MEMORY_TYPES: u32 = 8;
const SCALARS: [usize; 7] = [0, 1, 2, 3, 4, 6, 16];
const BYTES: [u64; 8] = [0, 4, 8, 16, 32, 64, 80, 128];

/// Finds out which calls a dext takes: of the first selectors the smallest that it does not refuse, and
/// of the first memory types those that it maps. What needs other values than ones, or another call
/// before, is not found; [`Contract::from_tape`] knows such.
#[must_use]
pub fn probe(
    matching: Matching,
    publish: impl Fn(&Arc<MockSystem>) -> Result<(), IoReturn> + Send + Sync + 'static,
) -> Contract {
    let publish: Publish = Arc::new(publish);
    let mut contract = Contract::new(matching);
    let mut asked = 0;
    for selector in 0..SELECTORS {
        let mut bench = Bench::new(contract.clone(), Arc::clone(&publish));
        let found = bench.trial(Subject::Selector(selector), "it is probed", move |stage| {
            let client = stage.open().ok()?;
            let found =
                shapes(selector).find(|attempt| client.attempt(attempt).result.is_success());
            // Nothing more is asked of it.
            let _ = client.close();
            found
        });
        asked += 1;
        if let Some(attempt) = found.flatten() {
            contract = contract.method(described(&attempt));
        }
    }
    let mut bench = Bench::new(contract.clone(), publish);
    let mapped = bench.trial(Subject::Dext, "memory types are probed", |stage| {
        let Ok(client) = stage.open() else { return Vec::new() };
        let mapped = (0..MEMORY_TYPES).filter_map(|memory_type| {
            let mapping = client.map(memory_type).ok()?;
            let mut memory = MemoryContract::new(memory_type).length(mapping.length());
            memory.read_only = mapping.is_read_only();
            Some(memory)
        });
        let mapped = mapped.collect();
        // Nothing more is asked of it.
        let _ = client.close();
        mapped
    });
    contract.memories = mapped.unwrap_or_default();
    contract.learned_from = Some(asked);
    contract
}

/// Shapes of calls, the smallest first.
fn shapes(selector: u32) -> impl Iterator<Item = Attempt> {
    let mut shapes = Vec::new();
    for wake in [Wake::Sync, Wake::Port] {
        for scalars_in in SCALARS {
            for bytes_in in BYTES {
                for scalars_out in SCALARS {
                    for bytes_out in BYTES {
                        shapes.push((wake, scalars_in, bytes_in, scalars_out, bytes_out));
                    }
                }
            }
        }
    }
    let size = |shape: &(Wake, usize, u64, usize, u64)| {
        shape.1 as u64 * 8 + shape.2 + shape.3 as u64 * 8 + shape.4
    };
    shapes.sort_by_key(size);
    shapes.into_iter().map(move |(wake, scalars_in, bytes_in, scalars_asked, bytes_out)| Attempt {
        selector,
        scalars: vec![1; scalars_in],
        input: Input::Bytes(vec![1; bytes_in as usize]),
        scalars_asked,
        output: Output::Bytes(bytes_out),
        wake,
    })
}

fn described(attempt: &Attempt) -> MethodContract {
    let bytes = match &attempt.input {
        Input::Bytes(bytes) => &bytes[..],
        Input::Null(_) => &[],
    };
    let mut method = MethodContract::new(attempt.selector)
        .scalars(&attempt.scalars)
        .input(bytes)
        .wants_scalars(attempt.scalars_asked as u32);
    if let Output::Bytes(size) = attempt.output {
        method = method.wants_bytes(size);
    }
    if attempt.wake == Wake::Port {
        method.asynchrony = Asynchrony::Always;
    }
    method
}
