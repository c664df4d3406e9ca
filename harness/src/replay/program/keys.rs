//! Keys of steps for `any_order`: connection, operation and inputs, hashed.

use super::{Buffer, CallRules, Compare, FieldRules, Kind, NONE, Program, StepIndex, unmarked};
use crate::memory::{Update, Width};
use crate::replay::other::key_words;
use crate::replay::plain::PlainCall;
use crate::replay::progress::Progress;
use crate::replay::request::{self, CallRequest, Request};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};

/// Steps by the hash of their key: an open-addressed table whose entries are chains of steps in the
/// order of the tape. Equal hashes are told apart by whoever walks the chain, so a bad hash costs time
/// and nothing else; the seed is the process's own, so that no tape can be made to cost it.
#[derive(Debug)]
pub(in crate::replay) struct KeyTable {
    seed: u64,
    mask: usize,
    slots: Vec<Slot>,
    /// The next step of the chain, by step.
    next: Vec<StepIndex>,
    /// Some structure handed in is on the tape as a hash only, so no structure's bytes are in a key.
    lengths_only: bool,
}

#[derive(Debug)]
struct Slot {
    hash: u64,
    /// First step of the chain; [`NONE`] where the slot is free.
    first: StepIndex,
    /// First step of the chain that may still be free. Only a hint: a step is taken by the one who
    /// claims it.
    head: AtomicU32,
}

impl KeyTable {
    pub(super) fn new(program: &Program, lengths_only: bool) -> Self {
        let seed = RandomState::new().hash_one(0_u64);
        let capacity = (program.steps.len() * 2).next_power_of_two().max(8);
        let free = || Slot { hash: 0, first: NONE, head: AtomicU32::new(NONE) };
        let slots = (0..capacity).map(|_| free()).collect();
        let next = vec![NONE; program.steps.len()];
        let mut table = Self { seed, mask: capacity - 1, slots, next, lengths_only };
        // From the last to the first, so that each chain is in the order of the tape.
        for index in (0..program.steps.len() as u32).rev() {
            let hash = table.hash(&program.rules, &request::recorded(program, index));
            let slot = table.slot(hash);
            let slot = &mut table.slots[slot];
            table.next[index as usize] = slot.first;
            *slot = Slot { hash, first: index, head: AtomicU32::new(index) };
        }
        table
    }

    /// True where the bytes handed in are part of a key.
    pub(in crate::replay) fn holds_bytes(&self) -> bool {
        !self.lengths_only
    }

    /// The first step not yet entered that `accepts` takes, among those of the request's key.
    pub(in crate::replay) fn find(
        &self,
        rules: &FieldRules,
        progress: &Progress,
        request: &Request<'_>,
        accepts: impl FnMut(StepIndex) -> bool,
    ) -> Option<StepIndex> {
        self.walk(self.hash(rules, request), progress, accepts)
    }

    /// The first step of the request's hash, entered or not: the name of all that have it. [`NONE`] without
    /// one.
    pub(in crate::replay) fn first(&self, rules: &FieldRules, request: &Request<'_>) -> StepIndex {
        self.slots[self.slot(self.hash(rules, request))].first
    }

    /// By step, the first one of the same hash.
    pub(super) fn firsts(&self) -> Vec<StepIndex> {
        let mut firsts = vec![NONE; self.next.len()];
        for slot in &self.slots {
            let mut step = slot.first;
            while step != NONE {
                firsts[step as usize] = slot.first;
                step = self.next[step as usize];
            }
        }
        firsts
    }

    /// What is left of the steps of a plain call's key, where no rule is about calls and all bytes are
    /// part of a key.
    #[inline]
    pub(in crate::replay) fn left(&self, call: PlainCall<'_>) -> Left<'_> {
        let bytes_or_none = |none| if none { Buffer::None } else { Buffer::Bytes };
        let mut hash = KeyHash::new(self.seed, Kind::Call as u64);
        hash.call(&Counts {
            connection: call.connection,
            selector: call.selector,
            scalar_count: call.scalars.len() as u32,
            scalars_asked: call.scalars_asked,
            input: bytes_or_none(call.bytes.is_empty()),
            length: call.bytes.len() as u64,
            output: bytes_or_none(call.room == 0),
            output_size: call.room,
        });
        hash.inputs(call.scalars, call.bytes);
        Left { head: &self.slots[self.slot(hash.finish())].head, next: &self.next }
    }

    #[inline]
    fn walk(
        &self,
        hash: u64,
        progress: &Progress,
        mut accepts: impl FnMut(StepIndex) -> bool,
    ) -> Option<StepIndex> {
        let head = &self.slots[self.slot(hash)].head;
        let mut step = head.load(Ordering::Relaxed);
        if step != NONE && progress.has_entered(step) {
            while step != NONE && progress.has_entered(step) {
                step = self.next[step as usize];
            }
            head.store(step, Ordering::Relaxed);
        }
        while step != NONE {
            if accepts(step) && !progress.has_entered(step) {
                return Some(step);
            }
            step = self.next[step as usize];
        }
        None
    }

    /// The slot of this hash, or the free one where it would be.
    #[inline]
    fn slot(&self, hash: u64) -> usize {
        let mut slot = hash as usize & self.mask;
        // At most half of the slots are used.
        while self.slots[slot].hash != hash && self.slots[slot].first != NONE {
            slot = (slot + 1) & self.mask;
        }
        slot
    }

    #[inline]
    fn hash(&self, rules: &FieldRules, request: &Request<'_>) -> u64 {
        let mut hash = KeyHash::new(self.seed, request.kind() as u64);
        match request {
            Request::Call(call) => self.hash_call(&mut hash, rules, call),
            Request::Matched(matching) | Request::Watch(matching) => {
                matching.conditions().for_each(|(key, _)| hash.bytes(key.as_bytes()));
            }
            Request::Property { service, key } => {
                hash.word(*service);
                hash.bytes(key.unwrap_or("\0").as_bytes());
            }
            Request::Queue => {}
            Request::Open { service, open_type } => {
                hash.word(*service);
                hash.word(u64::from(*open_type));
            }
            // A timeout counts or not by the mode of time, so it is left to the comparison.
            Request::Wait { queue, .. }
            | Request::Take { queue }
            | Request::TakeNotice { queue } => hash.word(u64::from(*queue)),
            Request::Map { connection, memory_type, options, address } => {
                hash.pair(*connection, *memory_type);
                hash.word(u64::from(*options));
                hash.word(*address);
            }
            Request::Unmap { connection, memory_type, memory } => {
                hash.pair(*connection, *memory_type);
                hash.word(memory.map_or(u64::MAX, u64::from));
            }
            Request::Close { connection } => hash.word(u64::from(*connection)),
            Request::Other { connection, call } => {
                hash.word(u64::from(*connection));
                key_words(call).into_iter().for_each(|word| hash.word(word));
            }
            Request::Write { memory, offset, width, bytes, length } => {
                hash.pair(*memory, width.map_or(0, Width::bytes) as u32);
                hash.word(*offset);
                hash.word(*length);
                if rules.writes.is_empty() && !self.lengths_only {
                    hash.bytes(bytes);
                }
            }
            Request::Update { memory, offset, width, update } => {
                hash.pair(*memory, width.bytes() as u32);
                hash.word(*offset);
                let (tag, first, second) = update_words(*update, *width);
                hash.word(tag);
                hash.word(first);
                hash.word(second);
            }
        }
        hash.finish()
    }

    #[inline]
    fn hash_call(&self, hash: &mut KeyHash, rules: &FieldRules, call: &CallRequest<'_>) {
        hash.call(&Counts::of(call));
        match rules.calls(call.connection, call.selector) {
            None => {
                if self.lengths_only {
                    call.scalars.iter().for_each(|scalar| hash.word(*scalar));
                } else {
                    hash.inputs(call.scalars, call.bytes);
                }
                if let Some(wake) = &call.wake {
                    hash.word(u64::from(wake.queue.is_some()));
                    let reference = wake.reference.unwrap_or_default();
                    hash.word(reference.len() as u64);
                    reference.iter().skip(1).for_each(|entry| hash.word(*entry));
                }
            }
            Some(of_call) => self.hash_ruled(hash, of_call, call, rules.marked),
        }
    }

    /// Leaves out whatever a rule covers; a symbol is told by the comparison.
    fn hash_ruled(
        &self,
        hash: &mut KeyHash,
        rules: &CallRules,
        call: &CallRequest<'_>,
        marked: bool,
    ) {
        for (scalar, rule) in call.scalars.iter().zip(&rules.scalars) {
            hash.word(if rule.is_none() { *scalar } else { 0 });
        }
        if !self.lengths_only {
            let mut bytes = call.bytes.to_vec();
            blank(&mut bytes, &rules.structure);
            hash.bytes(&bytes);
        }
        if let Some(wake) = &call.wake {
            hash.word(u64::from(wake.queue.is_some()));
            let reference = wake.reference.unwrap_or_default();
            if marked {
                for (entry, rule) in unmarked(reference).zip(&rules.references[1..]) {
                    hash.word(if rule.is_none() { entry } else { 0 });
                }
                return;
            }
            hash.word(reference.len() as u64);
            for (entry, rule) in reference.iter().zip(&rules.references).skip(1) {
                hash.word(if rule.is_none() { *entry } else { 0 });
            }
        }
    }
}

/// Sets the ranges that a rule covers to zero.
fn blank(bytes: &mut [u8], ranges: &[(u64, u64, Compare)]) {
    let length = bytes.len() as u64;
    for (offset, size, _) in ranges {
        let from = (*offset).min(length) as usize;
        let to = offset.saturating_add(*size).min(length) as usize;
        bytes[from..to].fill(0);
    }
}

/// An update as three words, operands cut to the width.
pub(in crate::replay) const fn update_words(update: Update, width: Width) -> (u64, u64, u64) {
    let mask = width.mask();
    match update {
        Update::Swap(value) => (0, value & mask, 0),
        Update::Add(value) => (1, value & mask, 0),
        Update::Or(value) => (2, value & mask, 0),
        Update::And(value) => (3, value & mask, 0),
        Update::CompareExchange { expected, new } => (4, expected & mask, new & mask),
    }
}

/// The steps of one key that have not been entered.
pub(in crate::replay) struct Left<'a> {
    head: &'a AtomicU32,
    next: &'a [StepIndex],
}

impl Left<'_> {
    /// The first of them, unless somebody takes it just now; [`NONE`] without one.
    #[inline]
    pub(in crate::replay) fn first(&self) -> StepIndex {
        self.head.load(Ordering::Relaxed)
    }

    /// The first of them was entered. Nothing before it was left, so nothing up to it is now; where
    /// another thread says so of a later one, this is only the older hint.
    #[inline]
    pub(in crate::replay) fn take(&self, first: StepIndex) {
        if let Some(next) = self.next.get(first as usize) {
            self.head.store(*next, Ordering::Relaxed);
        }
    }
}

/// What a call is made on, and its counts and kinds.
struct Counts {
    connection: u32,
    selector: u32,
    scalar_count: u32,
    scalars_asked: u32,
    input: Buffer,
    length: u64,
    output: Buffer,
    output_size: u64,
}

impl Counts {
    const fn of(call: &CallRequest<'_>) -> Self {
        Self {
            connection: call.connection,
            selector: call.selector,
            scalar_count: call.scalar_count,
            scalars_asked: call.scalars_asked,
            input: call.input,
            length: call.length,
            output: call.output,
            output_size: call.output_size,
        }
    }
}

/// A hash of words in pairs: each pair is multiplied under a key of its own place, so that no product
/// waits for the one before.
struct KeyHash {
    state: u64,
    seed: u64,
    key: u64,
}

impl KeyHash {
    /// Digits of pi, so that nothing is hidden in the constant.
    const STEP: u64 = 0x2438_6a88_85a3_08d3;

    #[inline]
    const fn new(seed: u64, first: u64) -> Self {
        Self { state: first, seed, key: seed }
    }

    #[inline]
    const fn fold(left: u64, right: u64) -> u64 {
        let product = left as u128 * right as u128;
        product as u64 ^ (product >> 64) as u64
    }

    #[inline]
    const fn words(&mut self, low: u64, high: u64) {
        self.key = self.key.wrapping_add(Self::STEP);
        let product = Self::fold(low ^ self.key, high ^ self.key.rotate_left(32));
        self.state = self.state.rotate_left(5) ^ product;
    }

    #[inline]
    const fn word(&mut self, word: u64) {
        self.words(word, 0);
    }

    #[inline]
    const fn pair(&mut self, high: u32, low: u32) {
        self.word((high as u64) << 32 | low as u64);
    }

    #[inline]
    const fn call(&mut self, call: &Counts) {
        const fn pair(high: u32, low: u32) -> u64 {
            (high as u64) << 32 | low as u64
        }
        let kinds = (call.input as u64) << 4 | call.output as u64;
        let sizes = call.output_size.rotate_left(32) ^ call.length.rotate_left(8) ^ kinds;
        let counts = pair(call.scalar_count, call.scalars_asked);
        self.words(pair(call.connection, call.selector) ^ counts.rotate_left(16), sizes);
    }

    /// The scalars and bytes of a call.
    #[inline(always)]
    fn inputs(&mut self, scalars: &[u64], bytes: &[u8]) {
        let (pairs, odd) = scalars.as_chunks::<2>();
        pairs.iter().for_each(|[low, high]| self.words(*low, *high));
        odd.iter().for_each(|scalar| self.word(*scalar));
        self.bytes(bytes);
    }

    #[inline(always)]
    fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        let (pairs, odd) = words.as_chunks::<2>();
        for [low, high] in pairs {
            self.words(u64::from_le_bytes(*low), u64::from_le_bytes(*high));
        }
        // The length tells the rest apart from zeros.
        let odd = odd.first().map_or(0, |word| u64::from_le_bytes(*word));
        let rest = rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        self.words(odd, rest ^ (bytes.len() as u64).rotate_left(56));
    }

    #[inline]
    const fn finish(self) -> u64 {
        Self::fold(self.state ^ self.seed, Self::STEP)
    }
}
