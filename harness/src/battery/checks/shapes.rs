//! Counts and sizes that are not legal, and calls with and without a completion.

use super::super::bench::{Bench, Wrong};
use super::super::client::{Attempt, Client, Input, Output, POISON, Wake};
use super::super::contract::{Asynchrony, Contract, MethodContract};
use super::super::report::{ProblemKind, Subject};
use super::{Calm, code, ended, refused};
use crate::limits::{INLINE_STRUCTURE_MAX, SCALARS_MAX};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Sizes at which something changes.
const SIZES: [u64; 12] =
    [0, 1, 3, 7, 255, 4095, 4096, 4097, 5000, 8192, (1 << 16) + 1, (1 << 20) + 1];

/// Tries every count, and sizes at which something changes.
pub(in crate::battery) fn shapes(bench: &mut Bench, calm: &Calm) {
    let contract = Arc::clone(&bench.contract);
    for method in &contract.methods {
        for (attempt, legal) in variants(method) {
            try_variant(bench, calm, &contract, method, attempt, legal);
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
            variants.push((attempt, method.scalars_in.allows(count as u64)));
        }
        if count != base.scalars_asked && count <= SCALARS_MAX {
            let attempt = Attempt { scalars_asked: count, ..base.clone() };
            variants.push((attempt, method.scalars_out.allows(count as u64)));
        }
    }
    let around = |size: u64| [size.saturating_sub(1), size + 1, size * 2];
    let sizes = |own: u64| -> BTreeSet<u64> {
        SIZES.into_iter().chain(around(own)).filter(|size| *size != own).collect()
    };
    let own = method.input.len() as u64;
    for size in sizes(own) {
        let mut bytes = method.input.clone();
        bytes.resize(size as usize, 0x3c);
        let attempt = Attempt { input: Input::Bytes(bytes), ..base.clone() };
        variants.push((attempt, method.bytes_in.allows(size)));
    }
    for size in sizes(method.bytes_asked) {
        let attempt = Attempt { output: Output::Bytes(size), ..base.clone() };
        variants.push((attempt, method.bytes_out.allows(size)));
    }
    // To the dext these are no structures at all (A10, A12).
    let null = Attempt { input: Input::Null(5000), ..base.clone() };
    variants.push((null, method.bytes_in.allows(0)));
    let null = Attempt { output: Output::Null(5000), ..base.clone() };
    variants.push((null, method.bytes_out.allows(0)));
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
    calm: &Calm,
    contract: &Arc<Contract>,
    method: &MethodContract,
    attempt: Attempt,
    legal: bool,
) {
    let steady = calm.is_steady(contract, method.selector);
    let expected = calm.legal.get(&method.selector).filter(|_| steady).cloned();
    let (method, contract) = (method.clone(), Arc::clone(contract));
    let subject = Subject::Selector(method.selector);
    bench.check(subject, attempt.to_string(), move |stage| {
        let client = match stage.open() {
            Ok(client) => client,
            Err(code) => return refused(code),
        };
        client.prepare(&method);
        let answer = client.attempt(&attempt);
        let mut wrong = Vec::new();
        if answer.result.is_success() && !legal {
            wrong.push(Wrong(ProblemKind::Accepted, subject, accepted(&method, &attempt)));
        }
        wrong.extend(code(&contract, Some(&method), &answer));
        if let (true, Output::Bytes(size)) = (answer.result.is_success(), attempt.output)
            && legal
            && size > INLINE_STRUCTURE_MAX
            && answer.bytes.iter().all(|byte| *byte == POISON)
        {
            let message = "it leaves the output descriptor unwritten".to_owned();
            wrong.push(Wrong(ProblemKind::Output, subject, message));
        }
        if !answer.result.is_success() {
            wrong.extend(undisturbed(&client, &method, expected.as_ref()));
        }
        let _ = client.completions();
        ended(&client, wrong)
    });
}

/// After a call that was refused the legal one gives what it always does.
pub(super) fn undisturbed(
    client: &Client,
    method: &MethodContract,
    expected: Option<&super::Answer>,
) -> Option<Wrong> {
    let expected = expected?;
    let again = client.attempt(&Attempt::legal(method));
    (again != *expected).then(|| {
        let message = format!(
            "after a call that it refused, its legal call gives {again} instead of {expected}"
        );
        Wrong(ProblemKind::State, Subject::Selector(method.selector), message)
    })
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

/// Where any size may be handed in, one over 4096 bytes must not be taken for nothing: it arrives as a
/// descriptor (B4).
fn large_input(bench: &mut Bench, method: &MethodContract) {
    if ![0, INLINE_STRUCTURE_MAX, INLINE_STRUCTURE_MAX + 1]
        .iter()
        .all(|size| method.bytes_in.allows(*size))
    {
        return;
    }
    let (own, subject) = (method.clone(), Subject::Selector(method.selector));
    let of = move |size: u64| {
        let own = own.clone();
        move |stage: &super::super::client::Stage| {
            let client = stage.open().ok()?;
            client.prepare(&own);
            let input = Input::Bytes((0..size).map(|index| index as u8 | 1).collect());
            let answer = client.attempt(&Attempt { input, ..Attempt::legal(&own) });
            // Its result is a matter of other trials.
            let _ = client.close();
            Some(answer)
        }
    };
    let mut answer =
        |size| bench.trial(subject, format!("{size} bytes are handed in"), of(size)).flatten();
    let (none, inline, large) =
        (answer(0), answer(INLINE_STRUCTURE_MAX), answer(INLINE_STRUCTURE_MAX + 1));
    if let (Some(none), Some(inline), Some(large)) = (none, inline, large)
        && none == large
        && none != inline
    {
        let message =
            "it takes an input of more than 4096 bytes, which is a descriptor, for none (B4)";
        let trial = "4097 bytes are handed in";
        bench.report.add(ProblemKind::Output, subject, message.to_owned(), trial);
    }
}
