//! The client: has two buffers filled, hands them in as the structure that it believes in, and counts
//! what is in them when the completion says that they are full.

use super::abi::{USER_CLASS, sample, selector};
use super::parameter;
use crate::print::{Outcome, Plain};
use crate::{Parameters, ScenarioError};
use dextape::connection::{CompletionQueue, Connection, ConnectionExt, System};
use dextape::memory::{AccessError, SharedBuffer};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

/// How long the client waits for a capture.
const PATIENCE: Duration = Duration::from_secs(1);

/// Sizes of its buffers; the last one goes in the message and has no descriptor.
const SIZES: [u64; 3] = [8192, 5000, 4096];

/// What is in a buffer that nobody has filled; no sample is that.
const EMPTY: u8 = 0xf5;

/// Which structure the buffer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Structure {
    Output,
    Input,
}

pub(super) fn run(
    parameters: &Parameters,
    system: &Arc<dyn System>,
    out: &mut dyn Write,
) -> Result<(), ScenarioError> {
    let choices = [("output", Structure::Output), ("input", Structure::Input)];
    let structure = parameters.choice(parameter::BUFFER, &choices)?;
    let connection = crate::open(system, USER_CLASS)?;
    let queue = system.completion_queue();
    for (tag, size) in (1..).zip(SIZES) {
        capture(&*connection, &*queue, structure, (tag, size), out)?;
    }
    writeln!(out, "close: {}", Plain(connection.close()))?;
    Ok(())
}

fn capture(
    connection: &dyn Connection,
    queue: &dyn CompletionQueue,
    structure: Structure,
    (tag, size): (u64, u64),
    out: &mut dyn Write,
) -> Result<(), ScenarioError> {
    let buffer = SharedBuffer::new(size);
    buffer.memory().copy_in(0, &vec![EMPTY; size as usize])?;
    let (scalars, reference) = ([tag], [0, 1, tag]);
    let call = connection.call(selector::CAPTURE).scalars(&scalars);
    let call = call.completing_on(queue, &reference);
    let reply = match structure {
        Structure::Output => call.output_shared(&buffer),
        Structure::Input => call.input_shared(&buffer).send(),
    };
    writeln!(out, "capture {size}: {}", Outcome(&reply))?;
    if reply.is_err() {
        return Ok(());
    }
    let Some(completion) = queue.wait(Some(PATIENCE)) else {
        writeln!(out, "  no completion")?;
        return Ok(());
    };
    let bytes = completion.arguments.get(1).copied().unwrap_or_default();
    let mine = completion.arguments.first() == Some(&tag);
    let whose = if mine { "" } else { " of another" };
    writeln!(out, "  completion{whose}: {}, {bytes} bytes", Plain(completion.status))?;
    let (samples, empty) = count(&buffer)?;
    writeln!(out, "  in the buffer: {samples} samples, {empty} bytes as before")?;
    Ok(())
}

/// Samples at the head of the buffer, and bytes that are as they were.
fn count(buffer: &SharedBuffer) -> Result<(usize, usize), AccessError> {
    let bytes = buffer.memory().read_vec(0, buffer.length())?;
    let samples = (0..).map(sample).zip(&bytes).take_while(|(want, is)| want == *is).count();
    Ok((samples, bytes.iter().filter(|byte| **byte == EMPTY).count()))
}
