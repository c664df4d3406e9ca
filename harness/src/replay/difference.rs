//! How what a client asked for differs from what a step of the tape asked for.

use super::describe;
use super::divergence::{Difference, Shown};
use super::program::{Buffer, Compare, Flags, Kind, Program, StepIndex};
use super::request::{CallRequest, Request, recorded};
use crate::tape::{Comparison, Field, FieldRule};

/// Bytes of a field that a report keeps, around the first difference.
const SHOWN_MAX: usize = 4096;
/// Bytes of a row in a report.
const ROW: usize = 16;

/// What weighs more than any bytes: the operation is made on something else.
pub(super) const OTHER_THING: u64 = 1 << 32;
pub(super) const OTHER_CONNECTION: u64 = 1 << 24;

/// How far a step is from the request; `None` where it is another operation. What is farther than `limit`
/// is only known to be so.
pub(super) fn distance(
    program: &Program,
    step: StepIndex,
    request: &Request<'_>,
    limit: u64,
) -> Option<u64> {
    let is_call = |kind| matches!(kind, Kind::Call | Kind::AsyncCall);
    let (kind, asked) = (program.step(step).kind, request.kind());
    if kind != asked && !(is_call(kind) && is_call(asked)) {
        return None;
    }
    let far = |differ: bool, weight: u64| if differ { weight } else { 0 };
    Some(match (recorded(program, step), *request) {
        (Request::Call(held), Request::Call(given)) => {
            let selector = far(held.selector != given.selector || kind != asked, OTHER_THING);
            let connection = far(held.connection != given.connection, OTHER_CONNECTION);
            if selector + connection > limit {
                return Some(selector + connection);
            }
            let limit = limit - selector - connection;
            selector + connection + call_distance(program, step, (&held, &given), limit)
        }
        (held, given) => {
            // One for each field that differs, and the bytes of a write.
            let fields = differences(program, step, &given).len() as u64;
            let other = far(
                held.connection(program) != given.connection(program)
                    || thing(&held) != thing(&given),
                OTHER_THING,
            );
            let bytes = match (held, given) {
                (Request::Write { bytes: held, .. }, Request::Write { bytes: given, .. }) => {
                    byte_distance(held, given, &[], limit)
                }
                _ => 0,
            };
            fields + other + bytes
        }
    })
}

/// The number of what an operation is made on.
fn thing(request: &Request<'_>) -> u64 {
    match *request {
        Request::Property { service, .. } | Request::Open { service, .. } => service,
        Request::Wait { queue, .. } | Request::Take { queue } | Request::TakeNotice { queue } => {
            u64::from(queue)
        }
        Request::Map { memory_type, .. } | Request::Unmap { memory_type, .. } => {
            u64::from(memory_type)
        }
        Request::Write { memory, .. } | Request::Update { memory, .. } => u64::from(memory),
        Request::Other { call, .. } => super::other::key_words(call)[0],
        _ => 0,
    }
}

fn call_distance(
    program: &Program,
    step: StepIndex,
    (held, given): (&CallRequest<'_>, &CallRequest<'_>),
    limit: u64,
) -> u64 {
    let rules = program.rules.calls(held.connection, held.selector);
    let is_ruled = |place: usize| rules.is_some_and(|rules| rules.scalars[place].is_some());
    let words = held.scalars.iter().zip(given.scalars).zip(0..);
    let words = words.filter(|((held, given), place)| held != given && !is_ruled(*place)).count();
    let bytes = if program.step(step).flags.has(Flags::OPAQUE_INPUT) {
        0
    } else {
        let ranges = rules.map_or(&[][..], |rules| &rules.structure);
        byte_distance(held.bytes, given.bytes, ranges, limit)
    };
    let others = [
        held.scalar_count != given.scalar_count,
        held.scalars_asked != given.scalars_asked,
        held.input != given.input,
        held.length != given.length,
        held.output != given.output,
        held.output_size != given.output_size,
        queue(held) != queue(given),
    ];
    let others = others.into_iter().filter(|differs| *differs).count();
    let is_ruled = |place: usize| {
        rules.is_some_and(|rules| matches!(rules.references.get(place), Some(Some(_))))
    };
    let references = references(held).iter().zip(references(given)).zip(0..).skip(1);
    let references =
        references.filter(|((held, given), place)| held != given && !is_ruled(*place)).count();
    (words + others + references) as u64 + bytes
}

fn queue(call: &CallRequest<'_>) -> Option<u32> {
    call.wake.and_then(|wake| wake.queue)
}

fn references<'a>(call: &CallRequest<'a>) -> &'a [u64] {
    call.wake.and_then(|wake| wake.reference).unwrap_or_default()
}

/// How many bytes differ; more than `limit` where they are more, and then no matter how many.
fn byte_distance(held: &[u8], given: &[u8], ranges: &[(u64, u64, Compare)], limit: u64) -> u64 {
    /// Bytes that are compared at once: most are equal, or all differ.
    const PART: usize = 64;

    let mut far = (held.len() as u64).abs_diff(given.len() as u64);
    let length = held.len().min(given.len());
    let (held, given) = (&held[..length], &given[..length]);
    let mut at = 0;
    for (held, given) in held.chunks(PART).zip(given.chunks(PART)) {
        if far > limit {
            break;
        }
        if held != given {
            far += part_distance(held, given, at, ranges);
        }
        at += PART as u64;
    }
    far
}

fn part_distance(held: &[u8], given: &[u8], at: u64, ranges: &[(u64, u64, Compare)]) -> u64 {
    /// The lowest bit of each byte of a word.
    const LOWEST: u64 = 0x0101_0101_0101_0101;

    if !ranges.is_empty() {
        let differ = held.iter().zip(given).zip(at..).filter(|((held, given), index)| {
            held != given && !super::matching::covers(ranges, *index)
        });
        return differ.count() as u64;
    }
    let ((held_words, held), (given_words, given)) =
        (held.as_chunks::<8>(), given.as_chunks::<8>());
    let mut far = 0;
    for (held, given) in held_words.iter().zip(given_words) {
        let mut differ = u64::from_le_bytes(*held) ^ u64::from_le_bytes(*given);
        differ |= differ >> 4;
        differ |= differ >> 2;
        differ |= differ >> 1;
        far += (differ & LOWEST).count_ones();
    }
    u64::from(far) + held.iter().zip(given).filter(|(held, given)| held != given).count() as u64
}

/// The fields in which the request differs from the step.
pub(super) fn differences(
    program: &Program,
    step: StepIndex,
    request: &Request<'_>,
) -> Vec<Difference> {
    let mut found = Found(Vec::new());
    match (recorded(program, step), *request) {
        (Request::Call(held), Request::Call(given)) => {
            let opaque = program.step(step).flags.has(Flags::OPAQUE_INPUT);
            call_differences(&mut found, program, opaque, &held, &given);
        }
        (
            Request::Property { service, key },
            Request::Property { service: other, key: other_key },
        ) => {
            found.text("service", service, other);
            found.text("key", key.unwrap_or("(all)"), other_key.unwrap_or("(all)"));
        }
        (Request::Matched(held), Request::Matched(given))
        | (Request::Watch(held), Request::Watch(given)) => {
            let text = |matching: &crate::connection::Matching| {
                let conditions: Vec<_> = matching
                    .conditions()
                    .map(|(key, value)| format!("{key} = {value:?}"))
                    .collect();
                conditions.join(", ")
            };
            found.text("conditions", text(held), text(given));
        }
        (
            Request::Open { service, open_type },
            Request::Open { service: other, open_type: other_type },
        ) => {
            found.text("service", service, other);
            found.text("type", open_type, other_type);
        }
        (
            Request::Wait { queue, timeout },
            Request::Wait { queue: other, timeout: other_timeout },
        ) => {
            let text = |timeout: Option<u64>| match timeout {
                Some(nanoseconds) => format!("{:?}", std::time::Duration::from_nanos(nanoseconds)),
                None => "none".to_owned(),
            };
            found.text("queue", queue, other);
            found.text("timeout", text(timeout), text(other_timeout));
        }
        (
            Request::Map { connection, memory_type, options, address },
            Request::Map {
                connection: other,
                memory_type: other_type,
                options: other_options,
                address: other_address,
            },
        ) => {
            found.text("connection", connection, other);
            found.text("memory type", memory_type, other_type);
            found.text("options", format!("{options:#x}"), format!("{other_options:#x}"));
            found.text("address", format!("{address:#x}"), format!("{other_address:#x}"));
        }
        (
            Request::Unmap { connection, memory_type, memory },
            Request::Unmap { connection: other, memory_type: other_type, memory: other_memory },
        ) => {
            let text =
                |memory: Option<u32>| memory.map_or("none".to_owned(), |number| number.to_string());
            found.text("connection", connection, other);
            found.text("memory type", memory_type, other_type);
            found.text("memory of the address", text(memory), text(other_memory));
        }
        (Request::Close { connection }, Request::Close { connection: other }) => {
            found.text("connection", connection, other);
        }
        (
            Request::Other { connection, call },
            Request::Other { connection: other, call: other_call },
        ) => {
            found.text("connection", connection, other);
            if !super::other::same(program, call, other_call) {
                found.text("call", describe::other(call), describe::other(other_call));
            }
        }
        (held @ Request::Write { .. }, given @ Request::Write { .. }) => {
            write_differences(&mut found, program, step, &held, &given);
        }
        (held @ Request::Update { .. }, given @ Request::Update { .. }) => {
            if let (
                Request::Update { memory, offset, width, update },
                Request::Update {
                    memory: other,
                    offset: other_offset,
                    width: other_width,
                    update: other_update,
                },
            ) = (held, given)
            {
                found.text("memory", memory_number(program, memory), memory_number(program, other));
                found.text("offset", format!("{offset:#x}"), format!("{other_offset:#x}"));
                found.text("width", width.bytes(), other_width.bytes());
                found.text("update", format!("{update:x?}"), format!("{other_update:x?}"));
            }
        }
        _ => {}
    }
    found.0
}

fn memory_number(program: &Program, memory: u32) -> u32 {
    program.memories.get(memory as usize).map_or(memory, |memory| memory.number)
}

fn write_differences(
    found: &mut Found,
    program: &Program,
    step: StepIndex,
    held: &Request<'_>,
    given: &Request<'_>,
) {
    let (
        Request::Write { memory, offset, width, bytes, length },
        Request::Write {
            memory: other,
            offset: other_offset,
            width: other_width,
            bytes: other_bytes,
            length: other_length,
        },
    ) = (*held, *given)
    else {
        return;
    };
    let width_text = |width: Option<crate::memory::Width>| match width {
        Some(width) => format!("a word of {}", width.bytes()),
        None => "a copy".to_owned(),
    };
    found.text("memory", memory_number(program, memory), memory_number(program, other));
    found.text("offset", format!("{offset:#x}"), format!("{other_offset:#x}"));
    found.text("width", width_text(width), width_text(other_width));
    found.text("length", length, other_length);
    let memory_type = program.memories.get(memory as usize).and_then(|memory| memory.memory_type);
    let same_place = memory == other && offset == other_offset;
    let rule = |from: u64, count: u64| {
        let memory_type = memory_type.filter(|_| same_place)?;
        let offset = offset.checked_add(from)?;
        Some(FieldRule {
            selector: None,
            on: None,
            field: Field::Write { memory_type, offset, length: count },
            comparison: Comparison::Masked,
        })
    };
    if program.step(step).flags.has(Flags::OPAQUE_INPUT) {
        if length == other_length && same_place {
            found.hashed("bytes written");
        }
    } else {
        found.bytes("bytes written", bytes, other_bytes, rule);
    }
}

fn call_differences(
    found: &mut Found,
    program: &Program,
    opaque: bool,
    held: &CallRequest<'_>,
    given: &CallRequest<'_>,
) {
    let selector = Some(given.selector);
    let rules = program.rules.calls(held.connection, held.selector);
    let masked =
        |field| Some(FieldRule { selector, on: None, field, comparison: Comparison::Masked });
    found.text("selector", held.selector, given.selector);
    found.text("connection", held.connection, given.connection);
    found.text("count of scalars handed in", held.scalar_count, given.scalar_count);
    for (index, (held, given)) in held.scalars.iter().zip(given.scalars).enumerate() {
        let rule = rules.and_then(|rules| rules.scalars[index]);
        let name = format!("scalar input {index}{}", symbol(rule));
        if rule != Some(Compare::Masked) && held != given {
            let mask = masked(Field::ScalarInput(index)).filter(|_| rule.is_none());
            found.word(name, *held, *given, mask);
        }
    }
    found.text("count of scalars asked for", held.scalars_asked, given.scalars_asked);
    found.text("kind of structure input", buffer(held.input), buffer(given.input));
    found.text("length of structure input", held.length, given.length);
    if opaque {
        found.hashed("structure input");
    } else if rules.is_none_or(|rules| {
        byte_distance(held.bytes, given.bytes, &rules.structure, 0) > 0
            || rules.structure.iter().any(|(.., compare)| *compare != Compare::Masked)
    }) {
        let ranges = rules.map_or(&[][..], |rules| &rules.structure);
        let (mut shown, mut actual) = (held.bytes.to_vec(), given.bytes.to_vec());
        // What is masked is no difference.
        for (offset, length, compare) in ranges {
            for bytes in [&mut shown, &mut actual] {
                let end = bytes.len() as u64;
                let (from, to) = ((*offset).min(end), offset.saturating_add(*length).min(end));
                if *compare == Compare::Masked {
                    bytes[from as usize..to as usize].fill(0);
                }
            }
        }
        let rule = |from, count| masked(Field::StructureInput(from, count));
        found.bytes("structure input", &shown, &actual, rule);
    }
    found.text("kind of structure output", buffer(held.output), buffer(given.output));
    found.text("size of structure output", held.output_size, given.output_size);
    if let (Some(held_memory), Some(given_memory)) = (held.input_memory, given.input_memory) {
        found.text("memory handed in", held_memory, given_memory);
    }
    if let (Some(held_memory), Some(given_memory)) = (held.output_memory, given.output_memory) {
        found.text("memory asked for", held_memory, given_memory);
    }
    let name = |queue: Option<u32>| match queue {
        None => "none".to_owned(),
        Some(super::request::FOREIGN_QUEUE) => "another system's".to_owned(),
        Some(number) => number.to_string(),
    };
    found.text("queue", name(queue(held)), name(queue(given)));
    let (held, given) = (references(held), references(given));
    found.text("count of references", held.len(), given.len());
    for (index, (held, given)) in held.iter().zip(given).enumerate().skip(1) {
        let rule = rules.and_then(|rules| rules.references.get(index).copied().flatten());
        if rule != Some(Compare::Masked) && held != given {
            let mask = masked(Field::Reference(index)).filter(|_| rule.is_none());
            found.word(format!("reference {index}{}", symbol(rule)), *held, *given, mask);
        }
    }
}

fn symbol(rule: Option<Compare>) -> &'static str {
    match rule {
        Some(Compare::Symbol(_)) => " (a symbol)",
        _ => "",
    }
}

const fn buffer(buffer: Buffer) -> &'static str {
    match buffer {
        Buffer::None => "none",
        Buffer::Bytes => "bytes",
        Buffer::Shared => "shared buffer",
        Buffer::Null => "NULL with a size",
        Buffer::Unmapped => "nothing mapped, with a size",
        Buffer::Variable => "variable",
    }
}

struct Found(Vec<Difference>);

impl Found {
    fn text<T: ToString>(&mut self, field: &str, recorded: T, actual: T) {
        let (recorded, actual) = (recorded.to_string(), actual.to_string());
        if recorded != actual {
            self.push(field.to_owned(), Shown::Text(recorded), Shown::Text(actual), Vec::new());
        }
    }

    fn word(&mut self, field: String, recorded: u64, actual: u64, mask: Option<FieldRule>) {
        let masks = mask.into_iter().collect();
        let text = |word| Shown::Text(format!("{word:#x}"));
        self.push(field, text(recorded), text(actual), masks);
    }

    /// Bytes of which the tape holds a hash only.
    fn hashed(&mut self, field: &str) {
        let text = |text: &str| Shown::Text(text.to_owned());
        self.push(
            field.to_owned(),
            text("other bytes, by their hash"),
            text("these bytes"),
            Vec::new(),
        );
    }

    fn bytes(
        &mut self,
        field: &str,
        recorded: &[u8],
        actual: &[u8],
        mask: impl Fn(u64, u64) -> Option<FieldRule>,
    ) {
        let differs = |index: &usize| recorded.get(*index) != actual.get(*index);
        let length = recorded.len().max(actual.len());
        let Some(first) = (0..length).find(differs) else { return };
        let last = (0..length).rev().find(differs).unwrap_or(first);
        // A mask helps only where the lengths agree.
        let masks = match recorded.len() == actual.len() {
            true => runs(recorded, actual),
            false => Vec::new(),
        };
        let masks = masks.into_iter().filter_map(|(from, count)| mask(from, count)).collect();
        let from = first / ROW * ROW;
        let shown = |bytes: &[u8]| {
            let start = from.min(bytes.len());
            let end = from.saturating_add(SHOWN_MAX).min(last / ROW * ROW + ROW).min(bytes.len());
            Shown::Bytes {
                offset: from as u64,
                bytes: bytes[start..end.max(start)].to_vec(),
                length: bytes.len() as u64,
            }
        };
        self.push(field.to_owned(), shown(recorded), shown(actual), masks);
    }

    fn push(&mut self, field: String, recorded: Shown, actual: Shown, masks: Vec<FieldRule>) {
        self.0.push(Difference { field, recorded, actual, masks, named: Vec::new() });
    }
}

/// Offset and length of each run of bytes that differ; few equal bytes between do not end one. One run
/// over all where there would be many.
fn runs(recorded: &[u8], actual: &[u8]) -> Vec<(u64, u64)> {
    const RUNS_MAX: usize = 8;
    const BETWEEN: u64 = 3;
    let mut runs: Vec<(u64, u64)> = Vec::new();
    let pairs = recorded.iter().zip(actual).enumerate();
    for (index, _) in pairs.filter(|(_, (recorded, actual))| recorded != actual) {
        let index = index as u64;
        match runs.last_mut() {
            Some((from, count)) if index - (*from + *count) <= BETWEEN => {
                *count = index - *from + 1
            }
            _ => runs.push((index, 1)),
        }
    }
    match (runs.first(), runs.last()) {
        (Some((first, _)), Some((last, count))) if runs.len() > RUNS_MAX => {
            vec![(*first, last + count - first)]
        }
        _ => runs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One byte after the other.
    fn slowly(held: &[u8], given: &[u8], ranges: &[(u64, u64, Compare)]) -> u64 {
        let covers = |index: usize| crate::replay::matching::covers(ranges, index as u64);
        let (short, long) = (held.len().min(given.len()), held.len().max(given.len()));
        let differ = |index: &usize| held[*index] != given[*index] && !covers(*index);
        ((0..short).filter(differ).count() + long - short) as u64
    }

    #[test]
    fn bytes_are_as_far_from_each_other_as_many_differ() {
        let mut state = 1_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) % below
        };
        for _ in 0..500 {
            let (length, most) = (random(200), [1, 2, 255][random(3) as usize]);
            let held: Vec<u8> = (0..length).map(|_| random(most + 1) as u8).collect();
            let mut given = held.clone();
            given.truncate(random(length + 1).max(length.saturating_sub(20)) as usize);
            for _ in 0..random(40).min(given.len() as u64) {
                let place = random(given.len() as u64) as usize;
                given[place] = random(256) as u8;
            }
            let ranges = [(random(100), random(50), Compare::Masked)];
            for ranges in [&[][..], &ranges] {
                let expected = slowly(&held, &given, ranges);
                assert_eq!(byte_distance(&held, &given, ranges, u64::MAX), expected);
                // Up to the limit it is exact.
                for limit in [0, expected / 2, expected] {
                    let far = byte_distance(&held, &given, ranges, limit);
                    assert_eq!(far.min(limit + 1), expected.min(limit + 1));
                }
            }
        }
    }
}
