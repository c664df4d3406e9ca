//! A contract from a tape.

use super::contract::{Amount, Asynchrony, Contract, MemoryContract, MethodContract};
use crate::connection::Matching;
use crate::tape::{Body, Call, OutputKind, Structure, Tape};
use std::collections::{BTreeMap, BTreeSet};

/// The calls of one selector that worked.
#[derive(Default)]
struct Calls {
    first: Option<MethodContract>,
    scalars_in: BTreeSet<u64>,
    bytes_in: BTreeSet<u64>,
    scalars_out: BTreeSet<u64>,
    bytes_out: BTreeSet<u64>,
    asynchronous: BTreeSet<bool>,
}

impl Contract {
    /// What the calls of a tape that worked have in common. Amounts that were always the same count as
    /// the only legal ones, which may be too narrow; every error on the tape counts as documented.
    ///
    /// `None` where no open on the tape worked.
    #[must_use]
    pub fn from_tape(tape: &Tape) -> Option<Self> {
        let events = tape.events();
        let enter = |cause: Option<u64>| cause.and_then(|cause| tape.event(cause));
        let opened = events.iter().find(|event| matches!(event.body, Body::Opened))?;
        let Body::Open { service, open_type } = enter(opened.cause)?.body else { return None };
        let mut contract = Self::new(matching(tape, service)).open_type(open_type);
        let (mut order, mut calls, mut count) = (Vec::new(), BTreeMap::<u32, Calls>::new(), 0);
        for event in events {
            match (&event.body, enter(event.cause).map(|enter| &enter.body)) {
                (Body::Return(leave), Some(Body::Call(call) | Body::AsyncCall { call, .. })) => {
                    count += 1;
                    if !leave.result.is_success() {
                        if !contract.codes.contains(&leave.result) {
                            contract.codes.push(leave.result);
                        }
                        continue;
                    }
                    let asynchronous = enter(event.cause)
                        .is_some_and(|enter| matches!(enter.body, Body::AsyncCall { .. }));
                    if !calls.contains_key(&call.selector) {
                        order.push(call.selector);
                    }
                    calls.entry(call.selector).or_default().add(tape, call, asynchronous);
                }
                (Body::Mapped { outcome: Ok(mapped) }, Some(Body::Map { memory_type, .. })) => {
                    let known = |memory: &MemoryContract| memory.memory_type == *memory_type;
                    if !contract.memories.iter().any(known) {
                        let mut memory = MemoryContract::new(*memory_type).length(mapped.length);
                        memory.read_only = mapped.read_only;
                        contract.memories.push(memory);
                    }
                }
                _ => {}
            }
        }
        let mut before = Vec::new();
        for selector in order {
            let method = calls.remove(&selector).and_then(Calls::contract);
            // What came before may be what makes it legal.
            if let Some(mut method) = method {
                method.after.clone_from(&before);
                before.push(selector);
                contract.methods.push(method);
            }
        }
        contract.learned_from = Some(count);
        Some(contract)
    }
}

fn matching(tape: &Tape, service: u32) -> Matching {
    let found = tape.events().iter().find_map(|event| match &event.body {
        Body::Matched { matching, outcome: Ok(services) } if services.contains(&service) => {
            Some(matching.clone())
        }
        _ => None,
    });
    found.unwrap_or_default()
}

impl Calls {
    fn add(&mut self, tape: &Tape, call: &Call, asynchronous: bool) {
        let input = match &call.input {
            Structure::Bytes(data) | Structure::Shared { data, .. } => {
                self.bytes_in.insert(data.length());
                // Bytes of which only a hash was kept cannot be handed in again.
                let bytes = tape.bytes(data).ok().flatten();
                bytes.map_or_else(|| vec![0; data.length().min(1 << 24) as usize], |it| it.to_vec())
            }
            Structure::None | Structure::Null { .. } | Structure::Unmapped { .. } => {
                self.bytes_in.insert(0);
                Vec::new()
            }
        };
        let asked = match call.output {
            OutputKind::Bytes { size } | OutputKind::Shared { size, .. } => size,
            _ => 0,
        };
        self.scalars_in.insert(call.scalars.len() as u64);
        self.scalars_out.insert(call.scalars_asked.min(16).into());
        self.bytes_out.insert(asked);
        self.asynchronous.insert(asynchronous);
        self.first.get_or_insert_with(|| {
            let mut method = MethodContract::new(call.selector)
                .scalars(&call.scalars)
                .input(&input)
                .wants_scalars(call.scalars_asked.min(16))
                .wants_bytes(asked);
            if asynchronous {
                method.asynchrony = Asynchrony::Always;
            }
            method
        });
    }

    fn contract(self) -> Option<MethodContract> {
        let amount = |seen: &BTreeSet<u64>| match (seen.first(), seen.last()) {
            (Some(first), Some(last)) if first == last => Amount::Exactly(*first),
            _ => Amount::Any,
        };
        let mut method = self.first?;
        method.scalars_in = amount(&self.scalars_in);
        method.bytes_in = amount(&self.bytes_in);
        method.scalars_out = amount(&self.scalars_out);
        method.bytes_out = amount(&self.bytes_out);
        if self.asynchronous.len() > 1 {
            method.asynchrony = Asynchrony::Either;
        }
        Some(method)
    }
}
