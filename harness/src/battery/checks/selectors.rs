//! Selectors that there are not.

use super::super::bench::{Bench, Wrong};
use super::super::client::{Attempt, Input, Output, Wake};
use super::super::problem::{ProblemKind, Subject};
use super::{Calm, code, ended, refused};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Calls selectors that the contract does not have, bare and as if they were legal ones: who looks at
/// some bits of a selector only takes one for the other.
pub(in crate::battery) fn selectors(bench: &mut Bench, _: &Calm) {
    let contract = Arc::clone(&bench.contract);
    let known: BTreeSet<u32> = contract.methods.iter().map(|method| method.selector).collect();
    let highest = known.iter().max().copied().unwrap_or(0);
    let gaps = 0..=highest.min(256);
    let beyond = [highest.wrapping_add(1), highest.wrapping_add(2), 0x7fff_ffff, u32::MAX];
    let unknown = |selector: &u32| !known.contains(selector);
    let mut attempts: Vec<Attempt> = gaps
        .chain(beyond)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .filter(unknown)
        .map(|selector| Attempt {
            selector,
            scalars: Vec::new(),
            input: Input::Bytes(Vec::new()),
            scalars_asked: 0,
            output: Output::Bytes(0),
            wake: Wake::Sync,
        })
        .collect();
    for method in &contract.methods {
        let own = method.selector;
        let like = [
            own.wrapping_add(0x100),
            own.wrapping_add(0x1_0000),
            own | 0x8000_0000,
            !own,
            highest.wrapping_add(1),
            u32::MAX,
        ];
        let like = like.into_iter().collect::<BTreeSet<_>>().into_iter().filter(unknown);
        attempts.extend(like.map(|selector| Attempt { selector, ..Attempt::legal(method) }));
    }
    for attempt in attempts {
        let subject = Subject::Selector(attempt.selector);
        let contract = Arc::clone(&contract);
        bench.check(subject, attempt.to_string(), move |stage| {
            let client = match stage.open() {
                Ok(client) => client,
                Err(code) => return refused(code),
            };
            let answer = client.attempt(&attempt);
            let mut wrong: Vec<_> = code(&contract, None, &answer).into_iter().collect();
            if answer.result.is_success() {
                let message = "it accepts a selector that there is not".to_owned();
                wrong.push(Wrong(ProblemKind::Accepted, subject, message));
            }
            ended(&client, wrong)
        });
    }
}
