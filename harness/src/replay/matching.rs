//! Whether what a client asks for is what a step of the tape asked for.

use super::program::{Buffer, CallRules, Compare, Flags, Kind, Program, Step, StepIndex, unmarked};
use super::request::{CallRequest, FOREIGN_QUEUE, Request, recorded};
use super::state::State;
use super::symbols::Pair;
use crate::limits::ASYNC_REFERENCE_MAX;
use crate::schedule::TimeMode;
use crate::tape::{Body, Digest, Payload, Structure};

/// True where the step's inputs are the request's, as far as rules compare them.
#[inline]
pub(super) fn matches(
    program: &Program,
    state: &State,
    index: StepIndex,
    request: &Request<'_>,
) -> bool {
    let step = program.step(index);
    match request {
        Request::Call(call) => call_matches(program, state, step, index, call),
        _ => step.kind == request.kind() && other_matches(program, state, index, request),
    }
}

/// Flags that a plain comparison does not serve.
const UNCOMMON: Flags = Flags(Flags::RULES.0 | Flags::OPAQUE_INPUT.0 | Flags::SHARED.0);

#[inline]
fn call_matches(
    program: &Program,
    state: &State,
    step: &Step,
    index: StepIndex,
    call: &CallRequest<'_>,
) -> bool {
    let kind = if call.wake.is_some() { Kind::AsyncCall } else { Kind::Call };
    let plain = step.kind == kind
        && step.selector == call.selector
        && step.connection == call.connection
        && step.scalar_count == call.scalar_count
        && step.scalars_asked == call.scalars_asked
        && step.input == call.input
        && step.input_length == call.length
        && step.output == call.output
        && step.output_size == call.output_size;
    if !plain {
        return false;
    }
    if step.flags.has(UNCOMMON) || kind == Kind::AsyncCall {
        return uncommon_matches(program, state, index, call);
    }
    equal_words(program.arena.words(step.words, step.scalars_in), call.scalars)
        && (step.input != Buffer::Bytes
            || equal(program.arena.bytes(step.input_at, step.input_length), call.bytes))
}

/// As [`equal`], for scalars.
#[inline]
pub(super) fn equal_words(held: &[u64], given: &[u64]) -> bool {
    held.len() == given.len()
        && held.iter().zip(given).fold(0, |differ, (held, given)| differ | (held ^ given)) == 0
}

/// Compares short bytes word by word: a client has just written them in words, and the wide loads of
/// the C library's comparison would have to wait until those stores are through.
#[inline]
pub(super) fn equal(held: &[u8], given: &[u8]) -> bool {
    const SHORT: usize = 128;
    if held.len() != given.len() {
        return false;
    }
    if held.len() > SHORT {
        return held == given;
    }
    let (held_words, held_rest) = held.as_chunks::<8>();
    let (given_words, given_rest) = given.as_chunks::<8>();
    let words = held_words.iter().zip(given_words);
    let differ = words.fold(0, |differ, (held, given)| {
        differ | (u64::from_le_bytes(*held) ^ u64::from_le_bytes(*given))
    });
    let rest = held_rest.iter().zip(given_rest);
    rest.fold(differ, |differ, (held, given)| differ | u64::from(held ^ given)) == 0
}

/// Everything but what [`call_matches`] has compared.
#[cold]
fn uncommon_matches(
    program: &Program,
    state: &State,
    index: StepIndex,
    call: &CallRequest<'_>,
) -> bool {
    let step = program.step(index);
    let Request::Call(held) = recorded(program, index) else { return false };
    let none = CallRules::default();
    let rules = program.rules.calls(step.connection, step.selector).unwrap_or(&none);
    let scalars = held.scalars.iter().zip(call.scalars).zip(&rules.scalars);
    let scalars = held.scalars.len() == call.scalars.len()
        && scalars.into_iter().all(|((held, given), rule)| rule.is_some() || held == given);
    scalars
        && structure_matches(program, step, rules, call.bytes)
        && reference_matches(program, rules, &held, call)
        && buffers_match(program, state, &held, call)
        && program.points_alike(index, call)
        && state.symbols.agree(&symbol_pairs(rules, &held, call))
}

fn structure_matches(program: &Program, step: &Step, rules: &CallRules, given: &[u8]) -> bool {
    if !matches!(step.input, Buffer::Bytes | Buffer::Shared) {
        return true;
    }
    if step.flags.has(Flags::OPAQUE_INPUT) {
        return input_payload(program, step).is_none_or(|payload| opaque_matches(payload, given));
    }
    let held = program.arena.bytes(step.input_at, step.input_length);
    equal_but_for(held, given, &rules.structure)
}

/// The payload of a structure handed in.
pub(super) fn input_payload<'a>(program: &'a Program, step: &Step) -> Option<&'a Payload> {
    match &program.event(step.enter).body {
        Body::Call(call) | Body::AsyncCall { call, .. } => match &call.input {
            Structure::Bytes(data) | Structure::Shared { data, .. } => Some(data),
            Structure::None | Structure::Null { .. } | Structure::Unmapped { .. } => None,
        },
        Body::Write { data, .. } => Some(data),
        _ => None,
    }
}

/// Compares with bytes that are not on the tape: by their hash, or not at all where a redaction took
/// them out. The length is compared before.
fn opaque_matches(payload: &Payload, given: &[u8]) -> bool {
    match payload {
        Payload::Hash { digest, .. } | Payload::Blob { digest, .. } => Digest::of(given) == *digest,
        Payload::Redacted { .. } => true,
        Payload::Bytes(bytes) => **bytes == *given,
    }
}

/// True where both are equal outside the ranges that a rule covers.
fn equal_but_for(held: &[u8], given: &[u8], ranges: &[(u64, u64, Compare)]) -> bool {
    held.len() == given.len()
        && (held == given
            || held
                .iter()
                .zip(given)
                .enumerate()
                .all(|(index, (held, given))| held == given || covers(ranges, index as u64)))
}

/// True where one of the ranges covers the byte.
pub(super) fn covers(ranges: &[(u64, u64, Compare)], index: u64) -> bool {
    ranges.iter().any(|(offset, length, _)| index >= *offset && index - offset < *length)
}

/// True where both are the same queue or none. One that the tape's own system never made is as foreign
/// as the client's.
pub(super) fn queues_match(program: &Program, held: Option<u32>, given: Option<u32>) -> bool {
    match (held, given) {
        (Some(held), Some(FOREIGN_QUEUE)) => program.queues.binary_search(&held).is_err(),
        (held, given) => held == given,
    }
}

fn reference_matches(
    program: &Program,
    rules: &CallRules,
    held: &CallRequest<'_>,
    call: &CallRequest<'_>,
) -> bool {
    let (Some(held), Some(given)) = (&held.wake, &call.wake) else { return true };
    if !queues_match(program, held.queue, given.queue) {
        return false;
    }
    if program.rules.marked
        && let Some(given) = given.reference
        && given.len() == ASYNC_REFERENCE_MAX
    {
        let entries = unmarked(held.reference.unwrap_or_default()).zip(unmarked(given));
        let mut entries = entries.zip(&rules.references[1..]);
        return entries.all(|((held, given), rule)| rule.is_some() || held == given);
    }
    let (held, given) = match (held.reference, given.reference) {
        (Some(held), Some(given)) => (held, given),
        (held, given) => return held.is_none() && given.is_none(),
    };
    // Entry 0 is the kernel's (D7).
    let rules = rules.references.iter().copied().chain(std::iter::repeat(None));
    let entries = held.iter().zip(given).zip(rules).skip(1);
    held.len() == given.len()
        && entries.into_iter().all(|((held, given), rule)| rule.is_some() || held == given)
}

/// A shared buffer that has a number must have the step's; one that has none yet gets the step's if
/// no other has it.
fn buffers_match(
    program: &Program,
    state: &State,
    held: &CallRequest<'_>,
    call: &CallRequest<'_>,
) -> bool {
    let fits = |held: Option<u32>, given: Option<u32>, shared: bool| {
        !shared
            || match given {
                Some(given) => held == Some(given),
                None => held.is_some_and(|number| !state.is_bound(program, number)),
            }
    };
    fits(held.input_memory, call.input_memory, call.input == Buffer::Shared)
        && fits(held.output_memory, call.output_memory, call.output == Buffer::Shared)
        && (!call.same_buffer || held.input_memory == held.output_memory)
}

/// The symbols of a call: what was recorded, and what the client gave.
pub(super) fn symbol_pairs(
    rules: &CallRules,
    held: &CallRequest<'_>,
    call: &CallRequest<'_>,
) -> Vec<Pair> {
    let mut pairs = Vec::new();
    let mut words = |rules: &[Option<Compare>], held: &[u64], given: &[u64], skip: usize| {
        for ((rule, held), given) in rules.iter().zip(held).zip(given).skip(skip) {
            if let Some(Compare::Symbol(set)) = rule {
                pairs.push(Pair::new(*set, &held.to_le_bytes(), &given.to_le_bytes()));
            }
        }
    };
    words(&rules.scalars, held.scalars, call.scalars, 0);
    if let (Some(held), Some(given)) = (&held.wake, &call.wake) {
        let (held, given) =
            (held.reference.unwrap_or_default(), given.reference.unwrap_or_default());
        words(&rules.references, held, given, 1);
    }
    pairs.extend(range_pairs(&rules.structure, held.bytes, call.bytes));
    pairs
}

fn range_pairs(ranges: &[(u64, u64, Compare)], held: &[u8], given: &[u8]) -> Vec<Pair> {
    let part = |bytes: &[u8], offset: u64, length: u64| {
        let end = bytes.len() as u64;
        let (from, to) = (offset.min(end), offset.saturating_add(length).min(end));
        bytes[from as usize..to as usize].to_vec()
    };
    let symbol = |(offset, length, compare): &(u64, u64, Compare)| match compare {
        Compare::Symbol(set) if !held.is_empty() => {
            Some(Pair::new(*set, &part(held, *offset, *length), &part(given, *offset, *length)))
        }
        _ => None,
    };
    ranges.iter().filter_map(symbol).collect()
}

/// The symbols of a write to shared memory.
pub(super) fn write_pairs(
    program: &Program,
    memory: u32,
    offset: u64,
    held: &[u8],
    given: &[u8],
) -> Vec<Pair> {
    let memory_type = program.memories.get(memory as usize).and_then(|info| info.memory_type);
    range_pairs(&program.rules.of_write(memory_type, offset, given.len() as u64), held, given)
}

fn other_matches(
    program: &Program,
    state: &State,
    index: StepIndex,
    request: &Request<'_>,
) -> bool {
    match (recorded(program, index), *request) {
        (Request::Matched(held), Request::Matched(given))
        | (Request::Watch(held), Request::Watch(given)) => held == given,
        (
            Request::Property { service: held, key: held_key },
            Request::Property { service, key },
        ) => held == service && held_key == key,
        (Request::Queue, Request::Queue) => true,
        (
            Request::Open { service: held, open_type: held_type },
            Request::Open { service, open_type },
        ) => held == service && held_type == open_type,
        (
            Request::Wait { queue: held, timeout: held_timeout },
            Request::Wait { queue, timeout },
        ) => held == queue && timeouts_match(program, held_timeout, timeout),
        (Request::Take { queue: held }, Request::Take { queue })
        | (Request::TakeNotice { queue: held }, Request::TakeNotice { queue }) => held == queue,
        (held @ Request::Map { .. }, given @ Request::Map { .. })
        | (held @ Request::Unmap { .. }, given @ Request::Unmap { .. })
        | (held @ Request::Close { .. }, given @ Request::Close { .. }) => {
            held.numbers() == given.numbers()
        }
        (
            Request::Other { connection: held, call: held_call },
            Request::Other { connection, call },
        ) => held == connection && super::other::same(program, held_call, call),
        (
            Request::Write {
                memory: held_memory,
                offset: held_offset,
                width: held_width,
                bytes: held,
                ..
            },
            Request::Write { memory, offset, width, bytes, length },
        ) => {
            let step = program.step(index);
            held_memory == memory
                && held_offset == offset
                && held_width == width
                && step.input_length == length
                && write_matches(program, state, step, (memory, offset), held, bytes)
        }
        (
            Request::Update {
                memory: held_memory,
                offset: held_offset,
                width: held_width,
                update: held,
            },
            Request::Update { memory, offset, width, update },
        ) => {
            held_memory == memory
                && held_offset == offset
                && held_width == width
                && super::program::update_words(held, width)
                    == super::program::update_words(update, width)
        }
        _ => false,
    }
}

/// In free mode a timeout is often what is left until a deadline, and differs each time.
pub(super) fn timeouts_match(program: &Program, held: Option<u64>, given: Option<u64>) -> bool {
    match program.time {
        TimeMode::Simulated => held == given,
        TimeMode::Free => held.is_some() == given.is_some(),
    }
}

fn write_matches(
    program: &Program,
    state: &State,
    step: &Step,
    (memory, offset): (u32, u64),
    held: &[u8],
    given: &[u8],
) -> bool {
    if step.flags.has(Flags::OPAQUE_INPUT) {
        return input_payload(program, step).is_none_or(|payload| opaque_matches(payload, given));
    }
    if held == given && program.rules.writes.is_empty() {
        return true;
    }
    let memory_type = program.memories.get(memory as usize).and_then(|info| info.memory_type);
    let ranges = program.rules.of_write(memory_type, offset, given.len() as u64);
    equal_but_for(held, given, &ranges)
        && state.symbols.agree(&write_pairs(program, memory, offset, held, given))
}

/// How many masked fields of a call differ from the recorded ones.
pub(super) fn masked_differences(
    rules: &CallRules,
    held: &CallRequest<'_>,
    call: &CallRequest<'_>,
) -> u64 {
    let words = |rules: &[Option<Compare>], held: &[u64], given: &[u64]| {
        let fields = rules.iter().zip(held.iter().zip(given));
        fields
            .filter(|(rule, (held, given))| **rule == Some(Compare::Masked) && held != given)
            .count()
    };
    let references = |call: &CallRequest<'_>| match call.wake {
        Some(wake) => wake.reference.unwrap_or_default().to_vec(),
        None => Vec::new(),
    };
    let ranges = rules.structure.iter().filter(|(offset, length, compare)| {
        let differs = |index: u64| {
            let index = usize::try_from(index).unwrap_or(usize::MAX);
            held.bytes.get(index) != call.bytes.get(index)
        };
        let end = offset.saturating_add(*length).min(held.bytes.len() as u64);
        *compare == Compare::Masked && (*offset..end).any(differs)
    });
    let count = words(&rules.scalars, held.scalars, call.scalars)
        + words(&rules.references, &references(held), &references(call))
        + ranges.count();
    count as u64
}
