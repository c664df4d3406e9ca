//! The client: asks what disk it is, writes blocks and reads them back through the rings, meets
//! commands that fail, and tears down what it made.

use super::abi::{
    BLOCK, Command, IDENTIFY_LENGTH, Submission, USER_CLASS, admin_opcode, identify, selector,
};
use super::dext::DataBuffers;
use super::host_buffer::HostBuffer;
use super::host_queue::{Habit, HostQueue};
use super::worker::{Ended, Worker};
use super::{BUFFERS, parameter};
use crate::print::{Outcome, Plain};
use crate::{Parameters, ScenarioError, open};
use dextape::connection::{CallError, Connection, ConnectionExt, System};
use dextape::memory::AccessError;
use dextape::schedule::TaskHandle;
use std::io::Write;
use std::sync::Arc;

/// Blocks from the first block of one queue to that of the next.
const BLOCKS_OF_A_QUEUE: u64 = 32;

/// What is to be done.
#[derive(Clone, Copy)]
struct Plan {
    buffers: DataBuffers,
    habit: Habit,
    depth: u64,
    blocks: u64,
    queues: u64,
}

impl Plan {
    fn of(parameters: &Parameters) -> Result<Self, ScenarioError> {
        Ok(Self {
            buffers: parameters.choice(parameter::BUFFERS, &BUFFERS)?,
            habit: parameters.choice(parameter::CLIENT, &Habit::CHOICES)?,
            depth: parameters.number(parameter::DEPTH, 2..=64)?,
            blocks: parameters.number(parameter::BLOCKS, 1..=16)?,
            queues: parameters.number(parameter::QUEUES, 1..=4)?,
        })
    }
}

pub(super) fn run(
    parameters: &Parameters,
    system: &Arc<dyn System>,
    out: &mut dyn Write,
) -> Result<(), ScenarioError> {
    let plan = Plan::of(parameters)?;
    let connection: Arc<dyn Connection> = Arc::from(open(system, USER_CLASS)?);
    match session(plan, &connection, system, out) {
        // The driver went away, or refused what the rest depends on.
        Err(error @ (ScenarioError::Call(_) | ScenarioError::Refused { .. })) => {
            writeln!(out, "stopped: {error}")?;
        }
        other => other?,
    }
    writeln!(out, "close: {}", Plain(connection.close()))?;
    Ok(())
}

fn session(
    plan: Plan,
    connection: &Arc<dyn Connection>,
    system: &Arc<dyn System>,
    out: &mut dyn Write,
) -> Result<(), ScenarioError> {
    let early = HostBuffer::new(&**connection, plan.buffers, IDENTIFY_LENGTH);
    writeln!(out, "buffer before init: {}", told(early.as_ref().err()))?;
    writeln!(out, "init: {}", Outcome(&connection.call(selector::INIT).send()))?;
    describe(plan, &**connection, out)?;

    // Numbers are given out in this order, whatever the threads do then.
    let mut workers = Vec::new();
    for number in 0..plan.queues {
        let queue = HostQueue::new(&**connection, plan.depth, plan.habit)?;
        writeln!(out, "queue pair {}: {}", queue.id, queue.describe()?)?;
        let buffer = HostBuffer::new(&**connection, plan.buffers, 2 * plan.blocks * BLOCK)?;
        let first_block = number * BLOCKS_OF_A_QUEUE;
        workers.push(Worker::new(queue, buffer, first_block, plan.blocks));
    }
    let mut tasks = Vec::new();
    for mut worker in workers.drain(1..) {
        let (connection, schedule) = (Arc::clone(connection), system.schedule().clone());
        let name = format!("queue {}", worker.queue.id);
        tasks.push(system.schedule().spawn(&name, move || {
            let worked = worker.work(&*connection, &schedule);
            (worker, worked)
        }));
    }
    let mut first = workers.remove(0);
    let worked = first.work(&**connection, system.schedule());
    let mut workers = vec![(first, worked)];
    workers.extend(tasks.into_iter().map(TaskHandle::join));
    for (worker, worked) in workers {
        writeln!(out, "-- queue {}", worker.queue.id)?;
        out.write_all(worker.text().as_bytes())?;
        worked?;
        for (what, outcome) in worker.queue.delete(&**connection) {
            writeln!(out, "{what}: {outcome}")?;
        }
        if worker.queue.is_mapped() {
            writeln!(out, "a ring that nobody can unmap is left")?;
        }
        worker.buffer.free(&**connection)?;
    }
    let poke = |queues: [u64; 2]| {
        let reply = connection.call(selector::POKE).scalars(&queues).send();
        Outcome(&reply).to_string()
    };
    writeln!(out, "-- after all")?;
    writeln!(out, "poke a queue that is gone: {}", poke([1, 1]))?;
    writeln!(out, "poke rings of two queues: {}", poke([1, 2]))?;
    Ok(())
}

fn told(error: Option<&ScenarioError>) -> String {
    error.map_or_else(|| "ok".to_owned(), ToString::to_string)
}

/// What disk it is, by commands that run inside their call.
fn describe(
    plan: Plan,
    connection: &dyn Connection,
    out: &mut dyn Write,
) -> Result<(), ScenarioError> {
    let buffer = HostBuffer::new(connection, plan.buffers, IDENTIFY_LENGTH)?;
    let identify = |what: u64, opcode: u8| -> Result<u16, CallError> {
        let command = Command { opcode, first_block: what, namespace: 1, ..Command::default() };
        let submission = Submission {
            command,
            data_bytes: IDENTIFY_LENGTH,
            data_token: buffer.token,
            ..Submission::default()
        };
        let ended: Submission = connection.call(selector::ONESHOT).input(&submission).output()?;
        Ok(ended.completion.status >> 1)
    };
    let text = |at: u64, length: u64| -> Result<String, AccessError> {
        let bytes = buffer.memory().read_vec(at, length)?;
        Ok(String::from_utf8_lossy(&bytes).trim_end_matches(['\0', ' ']).to_owned())
    };
    let ended = identify(1, admin_opcode::IDENTIFY)?;
    let (model, serial) = (text(identify::MODEL, 40)?, text(identify::SERIAL, 20)?);
    writeln!(out, "identify the controller: {}, {model:?} {serial:?}", Ended(ended))?;
    let ended = identify(0, admin_opcode::IDENTIFY)?;
    let blocks = buffer.memory().load::<u64>(identify::BLOCKS)?;
    writeln!(out, "identify the namespace: {}, {blocks} blocks", Ended(ended))?;
    writeln!(out, "identify something else: {}", Ended(identify(7, admin_opcode::IDENTIFY)?))?;
    writeln!(out, "another command: {}", Ended(identify(1, 0x7f)?))?;
    buffer.free(connection)?;
    let again = buffer.free(connection);
    writeln!(out, "free a buffer twice: {}", told(again.err().map(Into::into).as_ref()))?;
    Ok(())
}
