//! What a client can do next: the calls that the contract allows, and the battery's own that it does not.

use super::client::{Attempt, Input, Output, Wake};
use super::contract::{Amount, Argument, Asynchrony, Contract, MethodContract};
use super::machine::{Asked, Step};
use crate::limits::{INLINE_STRUCTURE_MAX, SCALARS_MAX};
use proptest::prelude::*;
use proptest::sample::Index;
use std::ops::RangeInclusive;

/// Sizes above this are not tried.
const BYTES_MAX: u64 = 1 << 20;

/// The call as a model is asked about it; `None` where the contract does not allow it.
pub(crate) fn asked(attempt: &Attempt, contract: &Contract) -> Option<Asked> {
    let method = contract.of_selector(attempt.selector)?;
    let (Input::Bytes(input), Output::Bytes(bytes_asked)) = (&attempt.input, attempt.output) else {
        return None;
    };
    let length = input.len() as u64;
    let legal = method.scalars_in.allows(attempt.scalars.len() as u64, length)
        && method.bytes_in.allows(length, length)
        && method.scalars_out.allows(attempt.scalars_asked as u64, length)
        && method.bytes_out.allows(bytes_asked, length)
        && !matches!(
            (attempt.wake, method.asynchrony),
            (Wake::Sync, Asynchrony::Always) | (Wake::Port, Asynchrony::Never) | (Wake::NoPort, _)
        );
    legal.then(|| Asked {
        selector: attempt.selector,
        scalars: attempt.scalars.clone(),
        input: input.clone(),
        scalars_asked: attempt.scalars_asked,
        bytes_asked,
        asynchronous: attempt.wake == Wake::Port,
    })
}

pub(super) fn unknown_type(contract: &Contract) -> u32 {
    let taken = |number: &u32| contract.memories.iter().any(|it| it.memory_type == *number);
    (0..).find(|number| !taken(number)).unwrap_or(u32::MAX)
}

/// Reads and writes of a few bytes within a mapping.
pub(super) fn accesses(memory_type: u32, length: u64, read_only: bool) -> BoxedStrategy<Step> {
    let places = (0..length, 1_u64..=8);
    let read = places.prop_map(move |(offset, count)| {
        Step::Read(memory_type, offset, count.min(length - offset))
    });
    if read_only {
        return read.boxed();
    }
    let bytes = proptest::collection::vec(any::<u8>(), 1..=8);
    let write = (0..length, bytes).prop_map(move |(offset, mut bytes)| {
        bytes.truncate((length - offset) as usize);
        Step::Write(memory_type, offset, bytes)
    });
    prop_oneof![read, write].boxed()
}

/// A legal call of a method: its example, or others of the same counts and sizes, small values first.
pub(crate) fn legal(method: &MethodContract) -> BoxedStrategy<Attempt> {
    let example = Attempt::legal(method);
    let scalars: Vec<BoxedStrategy<u64>> = method
        .scalars
        .iter()
        .map(|argument| match argument {
            Argument::Any(example) => {
                prop_oneof![3 => Just(*example), 2 => 0_u64..8, 1 => any::<u64>()].boxed()
            }
            Argument::Within { range, .. } => RangeInclusive::clone(range).boxed(),
            Argument::Returned { .. } => Just(0).boxed(),
        })
        .collect();
    let bytes = proptest::collection::vec(any::<u8>(), method.input.len());
    let input = prop_oneof![Just(method.input.clone()), bytes];
    let attempt = (scalars, input).prop_map(move |(scalars, bytes)| Attempt {
        scalars,
        input: Input::Bytes(bytes),
        ..example.clone()
    });
    attempt.boxed()
}

/// A legal call at the edge of what is allowed: the fewest or most scalars or bytes, or values at the ends of
/// their ranges.
pub(crate) fn edge(method: &MethodContract, contract: &Contract) -> BoxedStrategy<Attempt> {
    let legal = Attempt::legal(method);
    let mut cases = vec![legal.clone()];
    let mut case = |change: &dyn Fn(&mut Attempt)| {
        let mut attempt = legal.clone();
        change(&mut attempt);
        let fits = attempt.scalars.len().max(attempt.scalars_asked) <= SCALARS_MAX;
        // A size that goes with another one may be none by itself.
        if fits && asked(&attempt, contract).is_some() && !cases.contains(&attempt) {
            cases.push(attempt);
        }
    };
    let amounts = |amount: &Amount, most: u64| match amount {
        Amount::Any => vec![0, most],
        amount => amount.edges(),
    };
    for count in amounts(&method.scalars_in, SCALARS_MAX as u64) {
        case(&|it| it.scalars.resize(count as usize, 0));
    }
    for count in amounts(&method.scalars_out, SCALARS_MAX as u64) {
        case(&|it| it.scalars_asked = count as usize);
    }
    for size in
        amounts(&method.bytes_in, INLINE_STRUCTURE_MAX).into_iter().filter(|it| *it <= BYTES_MAX)
    {
        case(&|it| {
            if let Input::Bytes(bytes) = &mut it.input {
                bytes.resize(size as usize, 0);
            }
            if method.bytes_out == Amount::AsInput {
                it.output = Output::Bytes(size);
            }
        });
    }
    for size in
        amounts(&method.bytes_out, INLINE_STRUCTURE_MAX).into_iter().filter(|it| *it <= BYTES_MAX)
    {
        case(&|it| it.output = Output::Bytes(size));
    }
    for (index, argument) in method.scalars.iter().enumerate() {
        let ends = match argument {
            Argument::Any(_) => vec![0, u64::MAX],
            Argument::Within { range, .. } => vec![*range.start(), *range.end()],
            Argument::Returned { .. } => Vec::new(),
        };
        for value in ends {
            case(&|it| it.scalars[index] = value);
        }
    }
    any::<Index>().prop_map(move |index| index.get(&cases).clone()).boxed()
}

/// A call as the battery makes them: one count or size aside, NULL, a selector that there is not.
pub(crate) fn illegal(method: &MethodContract, contract: &Contract) -> BoxedStrategy<Attempt> {
    let legal = Attempt::legal(method);
    let mut cases = Vec::new();
    let mut case = |change: &dyn Fn(&mut Attempt)| {
        let mut attempt = legal.clone();
        change(&mut attempt);
        // What the contract leaves open says nothing, and over 16 scalars are the library's affair (A2).
        let fits = attempt.scalars.len().max(attempt.scalars_asked) <= SCALARS_MAX;
        if fits && asked(&attempt, contract).is_none() {
            cases.push(attempt);
        }
    };
    case(&|it| it.scalars.truncate(it.scalars.len().saturating_sub(1)));
    case(&|it| it.scalars.push(0));
    case(&|it| it.scalars_asked = it.scalars_asked.saturating_sub(1));
    case(&|it| it.scalars_asked += 1);
    for (more, less) in [(1_i64, false), (1, true)] {
        case(&|it| {
            if let Input::Bytes(bytes) = &mut it.input {
                let length = bytes.len() as i64 + if less { -more } else { more };
                bytes.resize(length.max(0) as usize, 0);
            }
        });
        case(&|it| {
            if let Output::Bytes(size) = &mut it.output {
                *size = if less { size.saturating_sub(1) } else { *size + 1 };
            }
        });
    }
    case(&|it| it.wake = if it.wake == Wake::Sync { Wake::Port } else { Wake::Sync });
    let taken = |selector: &u32| contract.of_selector(*selector).is_some();
    let unknown = (0..).find(|selector| !taken(selector)).unwrap_or(u32::MAX);
    case(&|it| it.selector = unknown);
    let pick = any::<Index>().prop_map(move |index| index.get(&cases).clone());
    pick.boxed()
}
