//! What one client does must not show in another, unless that is promised.

use super::super::bench::Bench;
use super::super::problem::Subject;
use super::calm::Seen;
use super::{Calm, ended, refused};
use std::sync::Arc;

/// Makes the legal calls beside and after other clients.
pub(in crate::battery) fn state(bench: &mut Bench, calm: &Calm) {
    let exclusive = bench.contract.exclusive;
    let calm = Arc::new(calm.clone());
    let own = Arc::clone(&calm);
    bench.check(Subject::Dext, "an earlier client has come and gone", move |stage| {
        for altered in [false, true] {
            match stage.open() {
                Ok(earlier) => {
                    let _ = (earlier.script(altered), earlier.completions(), earlier.close());
                }
                Err(code) => return refused(code),
            }
            stage.mock.settle();
        }
        let client = match stage.open() {
            Ok(client) => client,
            Err(code) => return refused(code),
        };
        let seen = Seen::by(&client);
        ended(&client, own.compare(&seen, "after an earlier client"))
    });
    let own = Arc::clone(&calm);
    bench.check(
        Subject::Dext,
        "an earlier client has gone in the middle of things",
        move |stage| {
            match stage.open() {
                // Completions are on their way, memory is mapped, and nothing is closed.
                Ok(earlier) => {
                    let _ = earlier.script(true);
                    for memory in &stage.contract.memories {
                        // Whether it maps is a matter of other trials.
                        let _ = earlier.map(memory.memory_type);
                    }
                    drop(earlier);
                }
                Err(code) => return refused(code),
            }
            stage.mock.settle();
            let client = match stage.open() {
                Ok(client) => client,
                Err(code) => return refused(code),
            };
            let seen = Seen::by(&client);
            ended(&client, own.compare(&seen, "after a client that died"))
        },
    );
    if exclusive {
        return;
    }
    let own = Arc::clone(&calm);
    bench.check(Subject::Dext, "another client makes the same calls before", move |stage| {
        let (other, client) = match (stage.open(), stage.open()) {
            (Ok(other), Ok(client)) => (other, client),
            (Err(code), _) | (_, Err(code)) => return refused(code),
        };
        let _ = (other.script(false), other.script(true));
        let seen = Seen::by(&client);
        let _ = other.completions();
        let wrong = ended(&client, own.compare(&seen, "beside another client"));
        ended(&other, wrong)
    });
    bench.check(Subject::Dext, "another client closes in between", move |stage| {
        let (other, client) = match (stage.open(), stage.open()) {
            (Ok(other), Ok(client)) => (other, client),
            (Err(code), _) | (_, Err(code)) => return refused(code),
        };
        let _ = (other.script(false), other.completions());
        let wrong = ended(&other, Vec::new());
        stage.mock.settle();
        let seen = Seen::by(&client);
        let mut wrong = wrong;
        wrong.extend(calm.compare(&seen, "after another client has closed"));
        ended(&client, wrong)
    });
}
