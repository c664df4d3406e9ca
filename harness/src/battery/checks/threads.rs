//! Several threads at once.

use super::super::bench::{Bench, Wrong};
use super::super::client::Client;
use super::super::problem::Subject;
use super::calm::Seen;
use super::{Calm, ended, refused};
use crate::schedule::TaskHandle;
use std::sync::Arc;

/// Orders of the tasks that are tried for each.
const ROUNDS: usize = 6;

/// Calls from several threads, on one connection and on several, and closes meanwhile.
pub(in crate::battery) fn threads(bench: &mut Bench, calm: &Calm) {
    let contract = Arc::clone(&bench.contract);
    for _ in 0..ROUNDS {
        bench.check(
            Subject::Dext,
            "two threads make every legal call on one connection",
            |stage| {
                with_threads(stage, |client| {
                    let _ = client.script(false);
                })
            },
        );
        bench.check(Subject::Dext, "it is closed while another thread calls", |stage| {
            let client = match stage.open() {
                Ok(client) => Arc::new(client),
                Err(code) => return refused(code),
            };
            let calling = Arc::clone(&client);
            let other = stage.system().schedule().spawn("calling", move || {
                let _ = calling.script(false);
            });
            stage.system().schedule().yield_now();
            let wrong = ended(&client, Vec::new());
            other.join();
            let _ = client.completions();
            wrong
        });
        if !contract.memories.is_empty() {
            bench.check(Subject::Dext, "memory is mapped while another thread calls", |stage| {
                with_threads(stage, |client| {
                    for memory in &client.stage.contract.memories {
                        // Whether it maps is a matter of other trials.
                        let _ = (client.map(memory.memory_type), client.unmap(memory.memory_type));
                    }
                })
            });
        }
        if !contract.exclusive {
            let calm = Arc::new(calm.clone());
            bench.check(Subject::Dext, "two clients make every legal call at once", move |stage| {
                let (first, second) = match (stage.open(), stage.open()) {
                    (Ok(first), Ok(second)) => (first, second),
                    (Err(code), _) | (_, Err(code)) => return refused(code),
                };
                let schedule = stage.system().schedule();
                let run = |client: Client| -> TaskHandle<Vec<Wrong>> {
                    let calm = Arc::clone(&calm);
                    schedule.spawn("client", move || {
                        let seen = Seen::by(&client);
                        ended(&client, calm.compare(&seen, "beside another client"))
                    })
                };
                let (first, second) = (run(first), run(second));
                let mut wrong = first.join();
                wrong.extend(second.join());
                wrong
            });
        }
    }
}

fn with_threads(
    stage: &super::super::client::Stage,
    other: impl FnOnce(&Client) + Send + 'static,
) -> Vec<Wrong> {
    let client = match stage.open() {
        Ok(client) => Arc::new(client),
        Err(code) => return refused(code),
    };
    let shared = Arc::clone(&client);
    let thread = stage.system().schedule().spawn("other", move || other(&shared));
    let _ = client.script(false);
    thread.join();
    let _ = client.completions();
    ended(&client, Vec::new())
}
