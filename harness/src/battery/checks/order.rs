//! Calls in an order that nobody expects: without what has to come before, again, and after others.

use super::super::bench::{Bench, Wrong};
use super::super::client::Attempt;
use super::super::problem::{ProblemKind, Subject};
use super::{code, ended, refused};
use std::sync::Arc;

/// How often a legal call is repeated; the contract speaks of some dozen times.
const REPEATS: usize = 200;
const PROMISED: usize = 24;

/// Legal calls too early, again and again, and after each other one.
pub(in crate::battery) fn order(bench: &mut Bench) {
    let contract = Arc::clone(&bench.contract);
    for method in &contract.methods {
        let subject = Subject::Selector(method.selector);
        if method.needs_them {
            let own = method.clone();
            bench.check(subject, "it is called before what has to come before", move |stage| {
                let client = match stage.open() {
                    Ok(client) => client,
                    Err(code) => return refused(code),
                };
                let answer = client.attempt(&Attempt::legal(&own));
                let mut wrong: Vec<_> =
                    code(&stage.contract, Some(&own), &answer).into_iter().collect();
                if answer.result.is_success() {
                    let message = format!("it works without selectors {:?} before", own.after);
                    wrong.push(Wrong(ProblemKind::Accepted, subject, message));
                }
                ended(&client, wrong)
            });
        }
        let own = method.clone();
        bench.check(subject, "its legal call is made again and again", move |stage| {
            let client = match stage.open() {
                Ok(client) => client,
                Err(code) => return refused(code),
            };
            let attempt = client.prepare(&own);
            let mut wrong = Vec::new();
            for round in 1..=REPEATS {
                let answer = client.attempt(&attempt);
                wrong.extend(code(&stage.contract, Some(&own), &answer));
                let worked = answer.result.is_success();
                if own.repeatable == Some(true) && round <= PROMISED && !worked {
                    let message = format!("in round {round} it gives {}", answer.result);
                    wrong.push(Wrong(ProblemKind::Refused, subject, message));
                    break;
                }
                if own.repeatable == Some(false) && round == 2 && worked {
                    let message = "it works a second time".to_owned();
                    wrong.push(Wrong(ProblemKind::Accepted, subject, message));
                    break;
                }
            }
            let _ = client.completions();
            ended(&client, wrong)
        });
        for other in &contract.methods {
            let (own, other) = (method.clone(), other.clone());
            let what = format!("selector {} is called before it", other.selector);
            bench.check(subject, what, move |stage| {
                let client = match stage.open() {
                    Ok(client) => client,
                    Err(code) => return refused(code),
                };
                let attempt = client.prepare(&own);
                let _ = client.legal(&other);
                let answer = client.attempt(&attempt);
                let wrong = code(&stage.contract, Some(&own), &answer).into_iter().collect();
                let _ = client.completions();
                ended(&client, wrong)
            });
        }
    }
}
