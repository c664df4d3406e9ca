//! Opens and closes: many, at once, in the wrong moment.

use super::super::bench::{Bench, Wrong};
use super::super::client::{Attempt, Wake};
use super::super::problem::{ProblemKind, Subject};
use super::{ended, refused};
use std::sync::Arc;

/// Opens and closes in every way.
pub(in crate::battery) fn life(bench: &mut Bench) {
    let contract = Arc::clone(&bench.contract);
    bench.check(Subject::Dext, "it is opened and closed a hundred times", |stage| {
        for _ in 0..100 {
            match stage.open() {
                Ok(client) => {
                    let wrong = ended(&client, Vec::new());
                    stage.mock.settle();
                    if !wrong.is_empty() {
                        return wrong;
                    }
                }
                Err(code) => return refused(code),
            }
        }
        Vec::new()
    });
    bench.check(Subject::Dext, "twenty clients come and go, with every legal call", |stage| {
        for _ in 0..20 {
            match stage.open() {
                Ok(client) => {
                    let _ = client.script(false);
                    drop(client);
                    stage.mock.settle();
                }
                Err(code) => return refused(code),
            }
        }
        Vec::new()
    });
    bench.check(Subject::Dext, "a client makes every legal call thirty times", |stage| {
        let client = match stage.open() {
            Ok(client) => client,
            Err(code) => return refused(code),
        };
        for _ in 0..30 {
            let _ = client.script(false);
        }
        let _ = client.completions();
        ended(&client, Vec::new())
    });
    let exclusive = contract.exclusive;
    bench.check(Subject::Dext, "forty clients are there at once", move |stage| {
        let mut clients = Vec::new();
        for number in 1..=40 {
            match stage.open() {
                Ok(client) if exclusive && number > 1 => {
                    drop(client);
                    let message = "it lets a second client in, although it serves one".to_owned();
                    return vec![Wrong(ProblemKind::Accepted, Subject::Dext, message)];
                }
                Ok(client) => clients.push(client),
                Err(_) if exclusive && number > 1 => break,
                Err(code) => return refused(code),
            }
        }
        clients.iter().fold(Vec::new(), |wrong, client| ended(client, wrong))
    });
    bench.check(Subject::Dext, "calls come after the close, and a second close", |stage| {
        let client = match stage.open() {
            Ok(client) => client,
            Err(code) => return refused(code),
        };
        let wrong = ended(&client, Vec::new());
        let _ = (client.script(false), client.close());
        wrong
    });
    for method in &contract.methods {
        let (own, subject) = (method.clone(), Subject::Selector(method.selector));
        bench.check(
            subject,
            "the connection is closed before its completion comes",
            move |stage| {
                let client = match stage.open() {
                    Ok(client) => client,
                    Err(code) => return refused(code),
                };
                let answer = client.legal(&own);
                let wrong = ended(&client, Vec::new());
                stage.mock.settle();
                let late = client.completions().len() as u64;
                let mut wrong = wrong;
                if let Some(promised) = own.completions
                    && Attempt::legal(&own).wake == Wake::Port
                    && answer.result.is_success()
                    && late > promised
                    && own.after.is_empty()
                {
                    let message = format!("{late} completions come, promised {promised}");
                    wrong.push(Wrong(ProblemKind::Completion, subject, message));
                }
                wrong
            },
        );
        let own = method.clone();
        bench.check(subject, "the device is removed after its legal call", move |stage| {
            let client = match stage.open() {
                Ok(client) => client,
                Err(code) => return refused(code),
            };
            let _ = client.legal(&own);
            let system = stage.system();
            for service in system.matching_services(&stage.contract.matching).unwrap_or_default() {
                stage.mock.terminate(service);
            }
            let _ = (client.completions(), client.script(false));
            // What a close gives now depends on whether anything was mapped (H2).
            let _ = client.close();
            Vec::new()
        });
    }
}
