//! Legal shapes with values that nobody expects.

use super::super::bench::{Bench, Wrong};
use super::super::client::{Attempt, Input};
use super::super::report::Subject;
use super::shapes::undisturbed;
use super::{Calm, code, ended, refused};
use std::sync::Arc;

const VALUES: [u64; 10] = [
    0,
    1,
    0xff,
    0x1000,
    0x7fff_ffff,
    0xffff_ffff,
    0x1_0000_0000,
    i64::MAX as u64,
    u64::MAX - 7,
    u64::MAX,
];

/// Words of a structure that are tried one by one.
const WORDS_MAX: usize = 16;

/// Puts extreme values in place of each scalar and of each word of the structure.
pub(in crate::battery) fn values(bench: &mut Bench, calm: &Calm) {
    let contract = Arc::clone(&bench.contract);
    for method in &contract.methods {
        let base = Attempt::legal(method);
        let mut attempts = Vec::new();
        for place in 0..base.scalars.len() {
            for value in VALUES {
                let mut attempt = base.clone();
                attempt.scalars[place] = value;
                attempts.push((format!("scalar {place} is {value:#x}"), attempt));
            }
        }
        for place in (0..method.input.len() / 4).take(WORDS_MAX) {
            for value in [0_u32, 1, 0x1000, i32::MAX as u32, u32::MAX] {
                let mut bytes = method.input.clone();
                bytes[place * 4..place * 4 + 4].copy_from_slice(&value.to_le_bytes());
                let attempt = Attempt { input: Input::Bytes(bytes), ..base.clone() };
                attempts.push((format!("the word at byte {} is {value:#x}", place * 4), attempt));
            }
        }
        for fill in [0, 0xff] {
            let bytes = vec![fill; method.input.len()];
            let attempt = Attempt { input: Input::Bytes(bytes), ..base.clone() };
            attempts.push((format!("every byte handed in is {fill:#x}"), attempt));
        }
        attempts.retain(|(_, attempt)| *attempt != base);
        let steady = calm.is_steady(&contract, method.selector);
        let expected = calm.legal.get(&method.selector).filter(|_| steady);
        for (what, attempt) in attempts {
            let (method, contract) = (method.clone(), Arc::clone(&contract));
            let expected = expected.cloned();
            let subject = Subject::Selector(method.selector);
            bench.check(subject, what, move |stage| {
                let client = match stage.open() {
                    Ok(client) => client,
                    Err(code) => return refused(code),
                };
                client.prepare(&method);
                let answer = client.attempt(&attempt);
                let mut wrong: Vec<Wrong> =
                    code(&contract, Some(&method), &answer).into_iter().collect();
                if !answer.result.is_success() {
                    wrong.extend(undisturbed(&client, &method, expected.as_ref()));
                }
                let _ = client.completions();
                ended(&client, wrong)
            });
        }
    }
}
