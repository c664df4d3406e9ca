//! The client: maps, writes, sees the dext change what it wrote, polls, counts, unmaps.

use super::abi::{USER_CLASS, buffer, memory_type, selector, status};
use super::parameter;
use crate::print::{Outcome, Plain};
use crate::{Parameters, ScenarioError, open};
use dextape::IoReturn;
use dextape::call::MapOptions;
use dextape::connection::{Connection, ConnectionExt, Mapping, System};
use dextape::memory::AccessError;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

/// How often the client looks at the flag.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// After how many looks it gives up.
const POLLS_MAX: u32 = 200;

const TEXT: &[u8] = b"hello, dext";

pub(super) fn run(
    parameters: &Parameters,
    system: &Arc<dyn System>,
    out: &mut dyn Write,
) -> Result<(), ScenarioError> {
    let delay = parameters.number(parameter::DELAY, 0..=1000)?;
    let connection = open(system, USER_CLASS)?;
    let connection = &*connection;

    let map = |memory_type| connection.map_memory(memory_type, MapOptions::ANYWHERE, 0);
    let mapping = map(memory_type::BUFFER).map_err(ScenarioError::refused("map the buffer"))?;
    writeln!(out, "map the buffer: {} bytes", mapping.length())?;

    text(connection, &mapping, out)?;
    poll(connection, &mapping, system, delay, out)?;
    count(connection, &mapping, out)?;
    bounds(&mapping, out)?;

    match map(memory_type::BUFFER) {
        Ok(again) => {
            let same = again.id() == mapping.id() && again.address() == mapping.address();
            writeln!(
                out,
                "map it again: {}",
                if same { "the same mapping" } else { "another one" }
            )?;
            writeln!(out, "  its text: {:?}", text_of(&again)?)?;
        }
        Err(result) => writeln!(out, "map it again: {result}")?,
    }
    read_only(connection, out)?;
    writeln!(out, "map an unknown type: {}", outcome(&map(7)))?;
    writeln!(out, "unmap an unknown type: {}", Plain(connection.unmap_memory(7, 0)))?;

    let unmap = || connection.unmap_memory(memory_type::BUFFER, mapping.address());
    writeln!(out, "unmap the buffer: {}", Plain(unmap()))?;
    writeln!(out, "unmap it again: {}", Plain(unmap()))?;
    match mapping.load::<u32>(buffer::FLAG) {
        Ok(flag) => writeln!(out, "the mapping is still there: flag {flag}")?,
        Err(error) => writeln!(out, "the mapping is gone: {error}")?,
    }
    writeln!(out, "close: {}", Plain(connection.close()))?;
    match mapping.load::<u32>(buffer::FLAG) {
        Ok(flag) => writeln!(out, "the mapping outlived it: flag {flag}")?,
        Err(error) => writeln!(out, "after it: {error}")?,
    }
    Ok(())
}

fn outcome(mapped: &Result<Mapping, IoReturn>) -> String {
    match mapped {
        Ok(mapping) => format!("{} bytes", mapping.length()),
        Err(result) => result.to_string(),
    }
}

fn text_of(mapping: &Mapping) -> Result<String, AccessError> {
    let bytes = mapping.read_vec(buffer::TEXT, buffer::TEXT_LENGTH)?;
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(String::from_utf8_lossy(text).into_owned())
}

/// Bulk writes and reads, with the dext's work between.
fn text(
    connection: &dyn Connection,
    mapping: &Mapping,
    out: &mut dyn Write,
) -> Result<(), ScenarioError> {
    writeln!(out, "text before: {:?}", text_of(mapping)?)?;
    mapping.copy_in(buffer::TEXT, TEXT)?;
    let reply = connection.call(selector::CAPITALS).want_scalars(1).send();
    writeln!(out, "capitals: {}", Outcome(&reply))?;
    writeln!(out, "text now: {:?}", text_of(mapping)?)?;
    Ok(())
}

/// Polls the flag until the dext sets it.
fn poll(
    connection: &dyn Connection,
    mapping: &Mapping,
    system: &Arc<dyn System>,
    delay: u64,
    out: &mut dyn Write,
) -> Result<(), ScenarioError> {
    mapping.store::<u32>(buffer::FLAG, 0)?;
    let reply = connection.call(selector::SET_FLAG_LATER).scalars(&[delay]).send();
    writeln!(out, "set the flag later: {}", Outcome(&reply))?;
    for _ in 0..POLLS_MAX {
        if mapping.load::<u32>(buffer::FLAG)? != 0 {
            writeln!(out, "the flag is set")?;
            return Ok(());
        }
        system.schedule().sleep(POLL_INTERVAL);
    }
    writeln!(out, "the flag is not set after {POLLS_MAX} looks")?;
    Ok(())
}

/// Atomic updates of words that the dext updates, too.
fn count(
    connection: &dyn Connection,
    mapping: &Mapping,
    out: &mut dyn Write,
) -> Result<(), ScenarioError> {
    let before = mapping.fetch_add::<u64>(buffer::COUNTER, 5)?;
    let reply = connection.call(selector::COUNT).scalars(&[20]).want_scalars(1).send();
    let after = mapping.fetch_add::<u64>(buffer::COUNTER, 1)?;
    writeln!(out, "counter: {before} before, {after} after the dext's turn: {}", Outcome(&reply))?;
    let swapped = mapping.swap::<u64>(buffer::COUNTER, 1000)?;
    let kept = mapping.compare_exchange::<u64>(buffer::COUNTER, 1, 2)?;
    let exchanged = mapping.compare_exchange::<u64>(buffer::COUNTER, 1000, 7)?;
    let now = mapping.load::<u64>(buffer::COUNTER)?;
    writeln!(out, "swap {swapped}, compare-exchange {kept} and {exchanged}, now {now}")?;
    mapping.fetch_or::<u32>(buffer::BITS, 0b1010)?;
    let bits = mapping.fetch_and::<u32>(buffer::BITS, 0b0110)?;
    let left = mapping.load::<u32>(buffer::BITS)?;
    writeln!(out, "bits {bits:04b}, then {left:04b}")?;
    Ok(())
}

/// What lies behind the buffer, and what is no word.
fn bounds(mapping: &Mapping, out: &mut dyn Write) -> Result<(), ScenarioError> {
    let last = mapping.length() - 8;
    mapping.store::<u64>(last, 9)?;
    writeln!(out, "last word: {}", mapping.load::<u64>(last)?)?;
    let unaligned = mapping.load::<u32>(buffer::TEXT + 2).err();
    let unaligned = unaligned.map_or_else(|| "read".to_owned(), |error| error.to_string());
    writeln!(out, "unaligned word: {unaligned}")?;
    mapping.store::<u64>(last, 0)?;
    Ok(())
}

/// Memory that only the dext writes.
fn read_only(connection: &dyn Connection, out: &mut dyn Write) -> Result<(), ScenarioError> {
    let mapped = connection.map_memory(memory_type::STATUS, MapOptions::ANYWHERE, 0);
    writeln!(out, "map the status: {}", outcome(&mapped))?;
    let Ok(mapping) = mapped else { return Ok(()) };
    let served = mapping.load::<u32>(status::SERVED)?;
    let last = mapping.load::<u32>(status::LAST)?;
    writeln!(out, "  {served} methods served, the last was {last}")?;
    let refused = mapping.store::<u32>(status::SERVED, 0).err();
    let refused = refused.map_or_else(|| "done".to_owned(), |error| error.to_string());
    writeln!(out, "  write to it: {refused}")?;
    let unmapped = connection.unmap_memory(memory_type::STATUS, mapping.address());
    writeln!(out, "unmap the status: {}", Plain(unmapped))?;
    Ok(())
}
