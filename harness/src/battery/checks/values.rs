//! Legal shapes with values that nobody expects.

use super::super::bench::{Bench, Wrong};
use super::super::client::{Attempt, Input};
use super::super::contract::{Argument, MethodContract};
use super::super::problem::{ProblemKind, Subject};
use super::shapes::resolved;
use super::{Calm, code, ended, refused};
use std::collections::BTreeSet;
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
    let calm = Arc::new(calm.clone());
    for method in &contract.methods {
        let base = Attempt::legal(method);
        let mut attempts = Vec::new();
        for place in 0..base.scalars.len() {
            let mut values: BTreeSet<u64> = VALUES.into_iter().collect();
            if let Argument::Within { range, .. } = &method.scalars[place] {
                let (least, most) = (*range.start(), *range.end());
                values.extend([least, most, least.wrapping_sub(1), most.wrapping_add(1)]);
                // Who looks at some bits only takes them for others.
                values.extend([most + (1 << 32), least + (1 << 32), least | 1 << 63]);
            }
            for value in values {
                let mut attempt = base.clone();
                attempt.scalars[place] = value;
                let what = format!("scalar {place} is {value:#x}");
                let legal = match &method.scalars[place] {
                    Argument::Any(_) => None,
                    Argument::Within { range, .. } => Some(range.contains(&value)),
                    // What was returned is not known before.
                    Argument::Returned { .. } => None,
                };
                attempts.push((what, attempt, legal));
            }
            if let Argument::Returned { .. } = &method.scalars[place] {
                others_value(bench, method, place);
            }
        }
        for place in (0..method.input.len() / 4).take(WORDS_MAX) {
            for value in [0_u32, 1, 0x1000, i32::MAX as u32, u32::MAX] {
                let mut bytes = method.input.clone();
                bytes[place * 4..place * 4 + 4].copy_from_slice(&value.to_le_bytes());
                let attempt = Attempt { input: Input::Bytes(bytes), ..base.clone() };
                attempts.push((
                    format!("the word at byte {} is {value:#x}", place * 4),
                    attempt,
                    None,
                ));
            }
        }
        for fill in [0, 0xff] {
            let bytes = vec![fill; method.input.len()];
            let attempt = Attempt { input: Input::Bytes(bytes), ..base.clone() };
            attempts.push((format!("every byte handed in is {fill:#x}"), attempt, None));
        }
        attempts.retain(|(_, attempt, _)| *attempt != base);
        for (what, attempt, legal) in attempts {
            let (method, contract) = (method.clone(), Arc::clone(&contract));
            let calm = Arc::clone(&calm);
            let subject = Subject::Selector(method.selector);
            bench.check(subject, what, move |stage| {
                let client = match stage.open() {
                    Ok(client) => client,
                    Err(code) => return refused(code),
                };
                let ready = client.prepare(&method);
                let answer = client.attempt(&resolved(attempt.clone(), &method, &ready));
                let mut wrong: Vec<Wrong> =
                    code(&contract, Some(&method), &answer).into_iter().collect();
                if !answer.result.is_success() {
                    wrong.extend(calm.undisturbed(&client, method.selector));
                }
                if legal == Some(answer.result.is_success()) {
                    // As promised.
                } else if legal == Some(false) {
                    let message = "it accepts a scalar that is out of bounds".to_owned();
                    wrong.push(Wrong(ProblemKind::Accepted, subject, message));
                } else if legal == Some(true) {
                    let message = format!("it refuses a legal scalar with {}", answer.result);
                    wrong.push(Wrong(ProblemKind::Refused, subject, message));
                }
                let _ = client.completions();
                ended(&client, wrong)
            });
        }
    }
}

/// What is done to a value that was returned.
type Change = fn(u64) -> u64;

/// What was not returned, or not to this client, is refused.
fn others_value(bench: &mut Bench, method: &MethodContract, place: usize) {
    let subject = Subject::Selector(method.selector);
    let say = move |message: &str| Wrong(ProblemKind::Accepted, subject, message.to_owned());
    let refusal = |change: Change| {
        let own = method.clone();
        move |stage: &super::super::client::Stage| {
            let client = match stage.open() {
                Ok(client) => client,
                Err(code) => return refused(code),
            };
            let mut attempt = client.prepare(&own);
            attempt.scalars[place] = change(attempt.scalars[place]);
            let mut wrong: Vec<_> =
                code(&stage.contract, Some(&own), &client.attempt(&attempt)).into_iter().collect();
            if client.attempt(&attempt).result.is_success() {
                wrong.push(say("it accepts a scalar that was never returned"));
            }
            ended(&client, wrong)
        }
    };
    let changes: [(&str, Change); 5] = [
        ("one more than", |value| value.wrapping_add(1)),
        ("one less than", |value| value.wrapping_sub(1)),
        ("the opposite of", |value| !value),
        ("with a high bit more than", |value| value ^ (1 << 32)),
        ("a hundred more than", |value| value.wrapping_add(100)),
    ];
    for (how, change) in changes {
        bench.check(subject, format!("scalar {place} is {how} what was returned"), refusal(change));
    }
    if bench.contract.exclusive {
        return;
    }
    let own = method.clone();
    bench.check(
        subject,
        format!("scalar {place} is what another client was given"),
        move |stage| {
            let (other, client) = match (stage.open(), stage.open()) {
                (Ok(other), Ok(client)) => (other, client),
                (Err(code), _) | (_, Err(code)) => return refused(code),
            };
            // The other has one more, so that the numbers differ where each client has its own.
            let _ = other.prepare(&own);
            let theirs = other.prepare(&own).scalars[place];
            let mut without = own.clone();
            if let Argument::Returned { by, .. } = own.scalars[place] {
                without.after.retain(|selector| *selector != by);
            }
            let mut attempt = client.prepare(&without);
            attempt.scalars[place] = theirs;
            let mut wrong = Vec::new();
            if client.attempt(&attempt).result.is_success() {
                let message = "it accepts a scalar that was returned to another client".to_owned();
                wrong.push(Wrong(ProblemKind::State, subject, message));
            }
            let wrong = ended(&client, wrong);
            ended(&other, wrong)
        },
    );
}
