//! Mappings: as promised, again, undone, of unknown types, and whose they are.

use super::super::bench::{Bench, Wrong};
use super::super::client::Stage;
use super::super::contract::MemoryContract;
use super::super::problem::{ProblemKind, Subject};
use super::{ended, refused};
use crate::IoReturn;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Maps and unmaps every memory type, and some that there are not.
pub(in crate::battery) fn memory(bench: &mut Bench) {
    let contract = Arc::clone(&bench.contract);
    for memory in &contract.memories {
        let subject = Subject::MemoryType(memory.memory_type);
        let own = memory.clone();
        bench.check(subject, "it is mapped, mapped again and unmapped", move |stage| {
            mapped_twice(stage, &own)
        });
        let own = memory.clone();
        bench.check(subject, "it is mapped and unmapped fifty times", move |stage| {
            many_times(stage, &own)
        });
        if !memory.shared && !contract.exclusive {
            let own = memory.clone();
            bench.check(subject, "two clients have it mapped", move |stage| {
                two_clients(stage, &own)
            });
        }
        if !memory.shared {
            let own = memory.clone();
            bench.check(subject, "a later client maps what an earlier one wrote", move |stage| {
                later_client(stage, &own)
            });
        }
        let own = memory.clone();
        bench.check(subject, "it is still mapped when the connection is closed", move |stage| {
            let client = match stage.open() {
                Ok(client) => client,
                Err(code) => return refused(code),
            };
            let _ = client.script(false);
            // Whether it maps is a matter of other trials.
            let _ = (client.map(own.memory_type), client.map(own.memory_type));
            ended(&client, Vec::new())
        });
    }
    let known: BTreeSet<u32> = contract.memories.iter().map(|memory| memory.memory_type).collect();
    let highest = known.iter().max().copied().unwrap_or(0);
    let unknown = (0..=highest.min(64))
        .chain([highest.wrapping_add(1), highest.wrapping_add(2), 0x100, 0x1_0000, u32::MAX])
        .chain(known.iter().flat_map(|own| {
            [own.wrapping_add(0x100), own.wrapping_add(0x1_0000), own | 0x8000_0000]
        }));
    let unknown: BTreeSet<u32> = unknown.filter(|it| !known.contains(it)).collect();
    for memory_type in unknown {
        let subject = Subject::MemoryType(memory_type);
        let what = format!("memory type {memory_type} is mapped, which there is not");
        let codes = contract.codes.clone();
        bench.check(subject, what, move |stage| {
            let client = match stage.open() {
                Ok(client) => client,
                Err(code) => return refused(code),
            };
            let mut wrong = Vec::new();
            if client.map(memory_type).is_ok() {
                let message = "it maps a memory type that there is not".to_owned();
                wrong.push(Wrong(ProblemKind::Accepted, subject, message));
            }
            let result = client.unmap(memory_type);
            if result.is_success() && wrong.is_empty() {
                let message = "it unmaps a memory type that there is not (F19)".to_owned();
                wrong.push(Wrong(ProblemKind::Accepted, subject, message));
            }
            let known = [IoReturn::SUCCESS, IoReturn::BAD_ARGUMENT, IoReturn::UNSUPPORTED];
            if !known.contains(&result) && !codes.contains(&result) {
                let message = format!("its unmap answers {result}, which is not documented");
                wrong.push(Wrong(ProblemKind::Code, subject, message));
            }
            ended(&client, wrong)
        });
    }
}

fn mapped_twice(stage: &Stage, memory: &MemoryContract) -> Vec<Wrong> {
    let memory_type = memory.memory_type;
    let subject = Subject::MemoryType(memory_type);
    let mut wrong = Vec::new();
    let mut say = |message: String| wrong.push(Wrong(ProblemKind::Memory, subject, message));
    let client = match stage.open() {
        Ok(client) => client,
        Err(code) => return refused(code),
    };
    let first = match client.map(memory_type) {
        Ok(first) => first,
        Err(code) => {
            say(format!("it cannot be mapped: {code}"));
            return ended(&client, wrong);
        }
    };
    if let Some(promised) = memory.length.filter(|promised| *promised != first.length()) {
        say(format!("it has {} bytes, promised are {promised}", first.length()));
    }
    if first.is_read_only() != memory.read_only {
        let is = if first.is_read_only() { "read-only" } else { "writable" };
        say(format!("it is mapped {is} against its promise (F2)"));
    }
    match client.map(memory_type) {
        Ok(second) if second.id() != first.id() => {
            say("mapped again it is another memory (F11)".to_owned());
        }
        Ok(_) => {}
        Err(code) => say(format!("it cannot be mapped again: {code}")),
    }
    let unmapped = client.unmap(memory_type);
    if !unmapped.is_success() {
        say(format!("it cannot be unmapped: {unmapped} (F15, F20)"));
    } else if first.read_vec(0, 1).is_ok() {
        say("an unmap leaves it mapped (F19)".to_owned());
    }
    let again = client.unmap(memory_type);
    if again.is_success() && unmapped.is_success() {
        say("a second unmap succeeds although nothing is mapped (F16)".to_owned());
    }
    if client.map(memory_type).is_err() {
        say("after an unmap it cannot be mapped any more (F4)".to_owned());
    }
    ended(&client, wrong)
}

fn many_times(stage: &Stage, memory: &MemoryContract) -> Vec<Wrong> {
    let client = match stage.open() {
        Ok(client) => client,
        Err(code) => return refused(code),
    };
    for round in 1..=50 {
        let unmapped =
            client.map(memory.memory_type).and_then(|_| client.unmap(memory.memory_type).ok());
        if let Err(code) = unmapped {
            let message = format!("in round {round} map and unmap give {code}");
            let subject = Subject::MemoryType(memory.memory_type);
            return ended(&client, vec![Wrong(ProblemKind::Memory, subject, message)]);
        }
    }
    ended(&client, Vec::new())
}

/// Bytes that no dext writes by chance.
const MARK: [u8; 4] = [0xde, 0xad, 0x5e, 0xed];

fn two_clients(stage: &Stage, memory: &MemoryContract) -> Vec<Wrong> {
    let (first, second) = match (stage.open(), stage.open()) {
        (Ok(first), Ok(second)) => (first, second),
        (Err(code), _) | (_, Err(code)) => return refused(code),
    };
    let mut wrong = Vec::new();
    if let (Ok(own), Ok(other)) = (first.map(memory.memory_type), second.map(memory.memory_type)) {
        let marked = own.copy_in(0, &MARK).is_ok();
        let seen = other.read_vec(0, 4).unwrap_or_default();
        if own.id() == other.id() || marked && seen == MARK {
            let message = "what one client writes is seen by another".to_owned();
            let subject = Subject::MemoryType(memory.memory_type);
            wrong.push(Wrong(ProblemKind::State, subject, message));
        }
    }
    let wrong = ended(&first, wrong);
    ended(&second, wrong)
}

fn later_client(stage: &Stage, memory: &MemoryContract) -> Vec<Wrong> {
    let first = match stage.open() {
        Ok(first) => first,
        Err(code) => return refused(code),
    };
    if let Ok(mapping) = first.map(memory.memory_type) {
        let words = mapping.length() / 4;
        for word in 0..words.min(4096) {
            // A read-only memory is for the dext to write.
            let _ = mapping.copy_in(word * 4, &MARK);
        }
    }
    let wrong = ended(&first, Vec::new());
    stage.mock.settle();
    let second = match stage.open() {
        Ok(second) => second,
        Err(code) => return refused(code),
    };
    let mut wrong = wrong;
    if let Ok(mapping) = second.map(memory.memory_type) {
        let bytes = mapping.read_vec(0, mapping.length().min(1 << 14)).unwrap_or_default();
        if bytes.chunks(4).any(|word| word == MARK) {
            let message = "what an earlier client wrote is still there for a later one".to_owned();
            let subject = Subject::MemoryType(memory.memory_type);
            wrong.push(Wrong(ProblemKind::State, subject, message));
        }
    }
    ended(&second, wrong)
}
