//! Counts and sizes that are not legal, and calls with and without a completion.

use super::super::bench::{Bench, Wrong};
use super::super::client::{Answer, Attempt, Input, Output, POISON, Wake};
use super::super::contract::{Amount, Asynchrony, Contract, MethodContract};
use super::super::problem::{ProblemKind, Subject};
use super::calm::Seen;
use super::{Calm, code, ended, refused};
use crate::limits::{INLINE_STRUCTURE_MAX, SCALARS_MAX};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Sizes at which something changes.
const SIZES: [u64; 12] =
    [0, 1, 3, 7, 255, 4095, 4096, 4097, 5000, 8192, (1 << 16) + 1, (1 << 20) + 1];

/// Sizes beyond that are not tried.
const SIZE_MAX: u64 = 1 << 24;

/// Tries every count, and sizes at which something changes.
pub(in crate::battery) fn shapes(bench: &mut Bench, calm: &Calm) {
    let contract = Arc::clone(&bench.contract);
    let calm = Arc::new(calm.clone());
    for method in &contract.methods {
        for (attempt, legal) in variants(method) {
            try_variant(bench, &calm, &contract, method, attempt, legal);
        }
        large_input(bench, method);
    }
}

/// Calls that differ from the legal one in one thing, and whether the contract allows them.
fn variants(method: &MethodContract) -> Vec<(Attempt, bool)> {
    let base = Attempt::legal(method);
    let mut variants = Vec::new();
    for count in 0..=SCALARS_MAX + 1 {
        if count != base.scalars.len() {
            let mut attempt = base.clone();
            attempt.scalars.resize(count, 1);
            variants.push((attempt, method.scalars_in.allows(count as u64, 0)));
        }
        if count != base.scalars_asked && count <= SCALARS_MAX {
            let attempt = Attempt { scalars_asked: count, ..base.clone() };
            variants.push((attempt, method.scalars_out.allows(count as u64, 0)));
        }
    }
    let around = |size: u64| [size.saturating_sub(1), size + 1, size * 2];
    let sizes = |own: u64, amount: &Amount| -> BTreeSet<u64> {
        let edges = amount.edges();
        let beside = edges.iter().flat_map(|edge| around(*edge));
        let all = SIZES.into_iter().chain(around(own)).chain(edges.clone()).chain(beside);
        all.filter(|size| *size != own && *size <= SIZE_MAX).collect()
    };
    let own = method.input.len() as u64;
    for size in sizes(own, &method.bytes_in) {
        let mut bytes = method.input.clone();
        bytes.resize(size as usize, 0x3c);
        let input = Input::Bytes(bytes);
        if method.bytes_out == Amount::AsInput {
            // Both together, and the input alone, which is illegal.
            let output = Output::Bytes(size);
            let attempt = Attempt { input: input.clone(), output, ..base.clone() };
            variants.push((attempt, method.bytes_in.allows(size, 0)));
        }
        let legal =
            method.bytes_in.allows(size, 0) && method.bytes_out.allows(method.bytes_asked, size);
        variants.push((Attempt { input, ..base.clone() }, legal));
    }
    for size in sizes(method.bytes_asked, &method.bytes_out) {
        let attempt = Attempt { output: Output::Bytes(size), ..base.clone() };
        variants.push((attempt, method.bytes_out.allows(size, own)));
    }
    // To the dext these are no structures at all (A10, A12).
    let null = Attempt { input: Input::Null(5000), ..base.clone() };
    variants.push((null, method.bytes_in.allows(0, 0)));
    let null = Attempt { output: Output::Null(5000), ..base.clone() };
    variants.push((null, method.bytes_out.allows(0, own)));
    if base.wake == Wake::Sync {
        // The dext may give what it likes, up to 4 GiB.
        let attempt = Attempt { output: Output::Variable, ..base.clone() };
        variants.push((attempt, true));
        let taken = method.asynchrony != Asynchrony::Never;
        variants.push((Attempt { wake: Wake::Port, ..base.clone() }, taken));
        // Without a wake port there is no completion (D6).
        variants.push((Attempt { wake: Wake::NoPort, ..base }, true));
    } else {
        for wake in [Wake::Sync, Wake::NoPort] {
            variants.push((Attempt { wake, ..base.clone() }, false));
        }
    }
    variants
}

fn try_variant(
    bench: &mut Bench,
    calm: &Arc<Calm>,
    contract: &Arc<Contract>,
    method: &MethodContract,
    attempt: Attempt,
    legal: bool,
) {
    let calm = Arc::clone(calm);
    let (method, contract) = (method.clone(), Arc::clone(contract));
    let subject = Subject::Selector(method.selector);
    bench.check(subject, attempt.to_string(), move |stage| {
        let client = match stage.open() {
            Ok(client) => client,
            Err(code) => return refused(code),
        };
        let ready = client.prepare(&method);
        let answer = client.attempt(&resolved(attempt.clone(), &method, &ready));
        let mut wrong = Vec::new();
        if answer.result.is_success() && !legal {
            wrong.push(Wrong(ProblemKind::Accepted, subject, accepted(&method, &attempt)));
        }
        wrong.extend(code(&contract, Some(&method), &answer));
        // Whether content of that size is fine the contract says where it gives bounds.
        let bounded = |amount: &Amount| !matches!(amount, Amount::Any);
        if !answer.result.is_success()
            && legal
            && attempt.output != Output::Variable
            && attempt.wake == Attempt::legal(&method).wake
            && bounded(&method.bytes_in)
            && bounded(&method.bytes_out)
            && bounded(&method.scalars_in)
            && bounded(&method.scalars_out)
        {
            let message = format!("it refuses with {} what is legal", answer.result);
            wrong.push(Wrong(ProblemKind::Refused, subject, message));
        }
        if let (true, Output::Bytes(size)) = (answer.result.is_success(), attempt.output)
            && legal
            && method.bytes_asked > 0
            && attempt.wake == Wake::Sync
            && size > INLINE_STRUCTURE_MAX
            && answer.bytes.iter().all(|byte| *byte == POISON)
        {
            let message = "it leaves the output descriptor unwritten".to_owned();
            wrong.push(Wrong(ProblemKind::Output, subject, message));
        }
        if !answer.result.is_success() {
            wrong.extend(calm.undisturbed(&client, method.selector));
        }
        let _ = client.completions();
        ended(&client, wrong)
    });
}

/// A call that was changed, with what the calls before have returned where it was not.
pub(super) fn resolved(mut attempt: Attempt, method: &MethodContract, ready: &Attempt) -> Attempt {
    let base = Attempt::legal(method);
    let known = base.scalars.iter().zip(&ready.scalars);
    for (scalar, (before, now)) in attempt.scalars.iter_mut().zip(known) {
        if scalar == before {
            *scalar = *now;
        }
    }
    attempt
}

fn accepted(method: &MethodContract, attempt: &Attempt) -> String {
    let base = Attempt::legal(method);
    let told = |what: &str, found: &dyn std::fmt::Display, promised: &dyn std::fmt::Display| {
        format!("it accepts {found} {what}, promised are {promised}")
    };
    let wrong_count = |many: bool| if many { "too many" } else { "too few" };
    if attempt.scalars != base.scalars {
        let found = wrong_count(attempt.scalars.len() > base.scalars.len());
        told("scalars in", &found, &method.scalars_in)
    } else if attempt.scalars_asked != base.scalars_asked {
        let found = wrong_count(attempt.scalars_asked > base.scalars_asked);
        told("scalars out", &found, &method.scalars_out)
    } else if attempt.input != base.input {
        match &attempt.input {
            Input::Bytes(bytes) if !bytes.is_empty() => {
                let found = wrong_count(bytes.len() > method.input.len());
                told("bytes in", &found, &method.bytes_in)
            }
            _ => "it accepts a call without its structure".to_owned(),
        }
    } else if attempt.output != base.output {
        match attempt.output {
            Output::Bytes(size) if size > 0 => {
                let found = wrong_count(size > method.bytes_asked);
                told("bytes out", &found, &method.bytes_out)
            }
            _ => "it accepts a call without room for its structure".to_owned(),
        }
    } else {
        match attempt.wake {
            Wake::Port => "it accepts a completion that it never needs".to_owned(),
            Wake::Sync => {
                "it accepts a synchronous call, although it needs a completion".to_owned()
            }
            Wake::NoPort => {
                "it accepts a call without a wake port, although it needs a completion".to_owned()
            }
        }
    }
}

/// An input of more than 4096 bytes arrives as a descriptor (B4). Where the bytes of a shorter one make a
/// difference, those of a longer one must, too.
fn large_input(bench: &mut Bench, method: &MethodContract) {
    let legal = |size: &u64| method.bytes_in.allows(*size, 0) && *size > 0;
    let edges = method.bytes_in.edges();
    let sizes: BTreeSet<u64> = SIZES.into_iter().chain(edges).filter(legal).collect();
    let inline = sizes.iter().rev().find(|size| **size <= INLINE_STRUCTURE_MAX);
    let large = sizes.iter().find(|size| (INLINE_STRUCTURE_MAX + 1..=SIZE_MAX).contains(*size));
    let (Some(inline), Some(large)) = (inline, large) else { return };
    let subject = Subject::Selector(method.selector);
    let mut seen = |size: u64, factor: u8| {
        let own = method.clone();
        let what = format!("{size} bytes are handed in");
        let seen = bench.trial(subject, what, move |stage| {
            let client = stage.open().ok()?;
            let ready = client.prepare(&own);
            let bytes = (0..size).map(|index| (index as u8).wrapping_mul(factor) | 1).collect();
            let output = match own.bytes_out {
                Amount::AsInput => Output::Bytes(size),
                _ => ready.output,
            };
            let answer = client.attempt(&Attempt { input: Input::Bytes(bytes), output, ..ready });
            let seen = Seen::by(&client);
            // Its result is a matter of other trials.
            let _ = client.close();
            Some((answer, seen))
        });
        seen.flatten()
    };
    let differs = |one: Option<(Answer, Seen)>, other| Some(one? != other?);
    let inline_differs = differs(seen(*inline, 1), seen(*inline, 3));
    if inline_differs == Some(true) && differs(seen(*large, 1), seen(*large, 3)) == Some(false) {
        let message = "the bytes of an input of more than 4096, which is a descriptor, make no \
                       difference (B4)";
        let trial = format!("{large} bytes are handed in");
        bench.report.add(ProblemKind::Output, subject, message.to_owned(), &trial);
    }
}
