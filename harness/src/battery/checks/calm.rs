//! The legal calls by themselves: what everything else is compared with.

use super::super::bench::{Bench, Wrong};
use super::super::client::{Answer, Attempt, Client, Output, POISON, Wake};
use super::super::contract::MethodContract;
use super::super::problem::{ProblemKind, Subject};
use crate::IoReturn;
use crate::limits::INLINE_STRUCTURE_MAX;
use std::collections::BTreeMap;

/// Bytes of a memory that are looked at.
const LOOKED_AT: u64 = 1 << 16;

/// What one client saw that made every legal call in turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::battery) struct Seen {
    pub(in crate::battery) answers: Vec<Answer>,
    pub(in crate::battery) completions: Vec<(IoReturn, Vec<u64>)>,
    pub(in crate::battery) memories: BTreeMap<u32, Result<Vec<u8>, IoReturn>>,
}

impl Seen {
    /// Makes every legal call, waits for completions, and looks at the memories.
    pub(in crate::battery) fn by(client: &Client) -> Self {
        let answers = client.script(false);
        let completions = client.completions();
        let completions = completions
            .iter()
            .map(|completion| (completion.status, completion.arguments.to_vec()))
            .collect();
        let memories = client.stage.contract.memories.iter();
        let memories = memories.map(|memory| {
            let mapped = client.map(memory.memory_type).map(|mapping| {
                mapping.read_vec(0, mapping.length().min(LOOKED_AT)).unwrap_or_default()
            });
            if mapped.is_ok() {
                // Its result is a matter of other trials.
                let _ = client.unmap(memory.memory_type);
            }
            (memory.memory_type, mapped)
        });
        Self { answers, completions, memories: memories.collect() }
    }
}

/// What a dext answers when nobody disturbs it.
#[derive(Clone, Debug)]
pub(in crate::battery) struct Calm {
    /// All of them in turn.
    seen: Option<Seen>,
    /// All of them in turn after what has to come before a method.
    prepared: BTreeMap<u32, Seen>,
    /// Answers that are not the same twice, or depend on others by design: by place in the script.
    loose: Vec<bool>,
    completions_loose: bool,
    memories_loose: BTreeMap<u32, bool>,
}

impl Calm {
    /// Where another client saw something else although it should not have.
    pub(in crate::battery) fn compare(&self, seen: &Seen, because: &str) -> Vec<Wrong> {
        self.seen.as_ref().map_or_else(Vec::new, |calm| self.differences(calm, seen, because))
    }

    /// After a call that was refused everything goes on as if it had not been made.
    pub(in crate::battery) fn undisturbed(&self, client: &Client, selector: u32) -> Vec<Wrong> {
        let Some(calm) = self.prepared.get(&selector) else { return Vec::new() };
        let seen = Seen::by(client);
        let because = format!("after a call of selector {selector} that was refused");
        self.differences(calm, &seen, &because)
    }

    fn differences(&self, calm: &Seen, seen: &Seen, because: &str) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        for ((expected, found), loose) in calm.answers.iter().zip(&seen.answers).zip(&self.loose) {
            if expected != found && !loose {
                let message = format!("{because}, it gives {found} instead of {expected}");
                let subject = Subject::Selector(expected.selector);
                wrong.push(Wrong(ProblemKind::State, subject, message));
            }
        }
        if calm.completions != seen.completions && !self.completions_loose {
            let (expected, found) = (calm.completions.len(), seen.completions.len());
            let message = if expected == found {
                format!("{because}, completions carry something else")
            } else {
                format!("{because}, {found} completions come instead of {expected}")
            };
            wrong.push(Wrong(ProblemKind::State, Subject::Dext, message));
        }
        for (memory_type, expected) in &calm.memories {
            let loose = self.memories_loose.get(memory_type) == Some(&true);
            if seen.memories.get(memory_type) != Some(expected) && !loose {
                let message = format!("{because}, the memory holds something else");
                let subject = Subject::MemoryType(*memory_type);
                wrong.push(Wrong(ProblemKind::State, subject, message));
            }
        }
        wrong
    }
}

/// Makes the legal calls in peace.
pub(in crate::battery) fn calm(bench: &mut Bench) -> Calm {
    let contract = std::sync::Arc::clone(&bench.contract);
    for method in &contract.methods {
        let subject = Subject::Selector(method.selector);
        let own = method.clone();
        let trial = bench.trial(subject, "its legal call is made", move |stage| {
            let client = stage.open()?;
            let legal = client.prepare(&own);
            let before = client.completions();
            let answer = client.attempt(&legal);
            let completions = client.completions();
            let _ = (before, client.close());
            Ok((answer, completions.len() as u64))
        });
        let what = "its legal call is made";
        match trial {
            None => {}
            Some(Err::<_, IoReturn>(code)) => {
                let message = format!("an open is refused with {code}");
                bench.report.add(ProblemKind::Refused, Subject::Dext, message, what);
            }
            Some(Ok((answer, completions))) => {
                if answer.result.is_success() {
                    for Wrong(kind, subject, message) in outputs(method, &answer, completions) {
                        bench.report.add(kind, subject, message, what);
                    }
                } else {
                    let message = format!("its legal call fails with {}", answer.result);
                    bench.report.add(ProblemKind::Refused, subject, message, what);
                }
            }
        }
    }
    let script = |bench: &mut Bench| {
        bench.trial(Subject::Dext, "every legal call is made in turn", |stage| {
            let client = stage.open().ok()?;
            let seen = Seen::by(&client);
            // Its result is a matter of other trials.
            let _ = client.close();
            Some(seen)
        })
    };
    let (first, second) = (script(bench).flatten(), script(bench).flatten());
    let mut prepared = BTreeMap::new();
    for method in &contract.methods {
        let mut twice = || {
            let own = method.clone();
            let seen =
                bench.trial(Subject::Dext, "every legal call is made in turn", move |stage| {
                    let client = stage.open().ok()?;
                    client.prepare(&own);
                    let seen = Seen::by(&client);
                    // Its result is a matter of other trials.
                    let _ = client.close();
                    Some(seen)
                });
            seen.flatten()
        };
        // Where it is not the same twice nothing can be said of a third time.
        if let (Some(first), Some(second)) = (twice(), twice())
            && first == second
        {
            prepared.insert(method.selector, first);
        }
    }
    let differs = |place: usize| match (&first, &second) {
        (Some(first), Some(second)) => first.answers.get(place) != second.answers.get(place),
        _ => true,
    };
    let loose = contract.methods.iter().enumerate();
    let loose =
        loose.map(|(place, method)| method.shared || method.volatile || differs(place)).collect();
    let any_shared = contract.methods.iter().any(|method| method.shared || method.volatile);
    let completions = |seen: &Option<Seen>| seen.as_ref().map(|seen| seen.completions.clone());
    let memories = contract.memories.iter().map(|memory| {
        let held = |seen: &Option<Seen>| {
            seen.as_ref().and_then(|seen| seen.memories.get(&memory.memory_type).cloned())
        };
        (memory.memory_type, memory.shared || held(&first) != held(&second))
    });
    Calm {
        loose,
        completions_loose: any_shared || completions(&first) != completions(&second),
        memories_loose: memories.collect(),
        seen: first,
        prepared,
    }
}

/// What is wrong with the outputs of a legal call that worked.
fn outputs(method: &MethodContract, answer: &Answer, completions: u64) -> Vec<Wrong> {
    let subject = Subject::Selector(method.selector);
    let mut wrong = Vec::new();
    let mut say = |kind, message: String| wrong.push(Wrong(kind, subject, message));
    let attempt = Attempt::legal(method);
    if answer.scalars.len() != attempt.scalars_asked {
        let (asked, given) = (attempt.scalars_asked, answer.scalars.len());
        say(ProblemKind::Output, format!("of {asked} scalars asked for it gives {given}"));
    }
    let Output::Bytes(asked) = attempt.output else { return wrong };
    if asked > 0
        && asked <= INLINE_STRUCTURE_MAX
        && !method.bytes_out.allows(answer.size, method.input.len() as u64)
    {
        let promised = &method.bytes_out;
        say(
            ProblemKind::Output,
            format!("it gives {} bytes, promised are {promised}", answer.size),
        );
    }
    let untouched =
        |byte: u8| !answer.bytes.is_empty() && answer.bytes.iter().all(|it| *it == byte);
    // That of an asynchronous call is filled later.
    if asked > INLINE_STRUCTURE_MAX && untouched(POISON) && attempt.wake == Wake::Sync {
        say(ProblemKind::Output, "it leaves the output descriptor unwritten".to_owned());
    }
    // In-line output that is never set comes back as zeros (C3).
    if (1..=INLINE_STRUCTURE_MAX).contains(&asked) && answer.size == asked && untouched(0) {
        let message = "its output is all zeros, as an output that was never set is (C3)";
        say(ProblemKind::Output, message.to_owned());
    }
    if attempt.wake == Wake::Port
        && let Some(promised) = method.completions
        && promised != completions
    {
        say(
            ProblemKind::Completion,
            format!("{completions} completions come, promised {promised}"),
        );
    }
    wrong
}
