//! The client: logs in, has the disk do one thing after the other, and goes on through timeouts and
//! resets of the bus.

use super::abi::{
    BLOCK, CommandRequest, CommandResult, DISK_NODE, SENSE, SEQUENCE_OFFSET, StatusBlock,
    USER_CLASS, direction, login, memory_type, selector,
};
use super::disk::opcode;
use super::parameter;
use crate::print::{Outcome, Plain};
use crate::{Parameters, ScenarioError, open};
use dextape::IoReturn;
use dextape::call::MapOptions;
use dextape::connection::{CallError, Connection, ConnectionExt, Mapping, System};
use dextape::memory::AccessError;
use dextape::schedule::Schedule;
use std::fmt::{self, Display};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

/// How often the client asks for what takes time.
const POLL: Duration = Duration::from_millis(7);

/// How often it asks for the result of a command after its time is up.
const POLLS_MORE: u64 = 5;

/// How often it asks for the state of its session.
const LOGIN_POLLS: u32 = 20;

/// After how long it looks again at a status that is being changed.
const LOOK_AGAIN: Duration = Duration::from_micros(750);

/// How often it looks: a dext that dies in the middle of a change never ends it.
const LOOKS: u32 = 20;

/// Time that a command has, in milliseconds.
const TIMEOUT: u32 = 200;

/// Less than the disk's motor needs.
const SHORT_TIMEOUT: u32 = 40;

/// Blocks that are more than fit a message.
const MANY_BLOCKS: u8 = 16;

/// What the client does wrong, if anything.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mistake {
    None,
    /// It takes the status as it is, although it is being changed.
    Torn,
    /// It keeps the generation that it has learned first.
    Stale,
}

pub(super) fn run(
    parameters: &Parameters,
    system: &Arc<dyn System>,
    out: &mut dyn Write,
) -> Result<(), ScenarioError> {
    let choices = [("right", Mistake::None), ("torn", Mistake::Torn), ("stale", Mistake::Stale)];
    let mistake = parameters.choice(parameter::CLIENT, &choices)?;
    let connection = open(system, USER_CLASS)?;
    let map = connection.map_memory(memory_type::STATUS, MapOptions::ANYWHERE, 0);
    let status = map.map_err(ScenarioError::refused("map the status"))?;
    let reply = connection.call(selector::CREATE_SESSION).scalars(&[DISK_NODE]).want_scalars(1);
    let session = reply.send()?.scalars[0];
    let schedule = system.schedule();
    let connection = &*connection;
    let mut client = Client { connection, schedule, status, mistake, session, generation: 0, out };
    client.show_status()?;
    client.log_in()?;
    client.use_the_disk()?;
    client.run_out_of_time()?;
    client.reset()?;
    client.eject()?;
    let released = client.call(selector::RELEASE_SESSION, &[session]);
    writeln!(client.out, "release the session: {released}")?;
    writeln!(client.out, "close: {}", Plain(connection.close()))?;
    Ok(())
}

/// A command for the disk.
struct Command<'a> {
    cdb: &'a [u8],
    outgoing: &'a [u8],
    transfer_length: u32,
    timeout: u32,
}

impl<'a> Command<'a> {
    fn new(cdb: &'a [u8], transfer_length: u32) -> Self {
        Self { cdb, outgoing: &[], transfer_length, timeout: TIMEOUT }
    }

    /// What is handed to the dext.
    fn request(&self, way: u8) -> Vec<u8> {
        let header = CommandRequest {
            cdb_length: self.cdb.len() as u32,
            transfer_length: self.transfer_length,
            outgoing_length: self.outgoing.len() as u32,
            timeout_ms: self.timeout,
            direction: way,
            capture_sense: 1,
            ..CommandRequest::default()
        };
        [bytemuck::bytes_of(&header), self.cdb, self.outgoing].concat()
    }
}

/// A command block of ten bytes for blocks of the disk.
fn blocks(operation: u8, first: u8, count: u8) -> [u8; 10] {
    [operation, 0, 0, 0, 0, first, 0, 0, count, 0]
}

/// What came of a command.
enum Finished {
    /// The disk has answered.
    Answered { data: Vec<u8>, sense: Vec<u8> },
    /// It failed on its way.
    Failed(IoReturn),
    /// It was not submitted.
    NotSubmitted(CallError),
    /// Its result cannot be had, the first time and the second.
    Unreadable(IoReturn, IoReturn),
    /// There is no result.
    Missing,
}

impl Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered { data, sense } => match (data.len(), sense.get(2).zip(sense.get(12))) {
                (0, None) => f.write_str("ok"),
                (length, None) => write!(f, "ok, {length} bytes"),
                (_, Some((key, code))) => write!(f, "refused, sense {key:#04x} {code:#04x}"),
            },
            Self::Failed(code) => write!(f, "failed with {code}"),
            Self::NotSubmitted(CallError::Failed { result, .. }) => {
                write!(f, "not submitted: {result}")
            }
            Self::NotSubmitted(error) => write!(f, "not submitted: {error}"),
            Self::Unreadable(first, second) => write!(f, "{first}, asked again {second}"),
            Self::Missing => f.write_str("no result, long after its time"),
        }
    }
}

struct Client<'a> {
    connection: &'a dyn Connection,
    schedule: &'a Schedule,
    status: Mapping,
    mistake: Mistake,
    session: u64,
    /// The generation for which commands are meant.
    generation: u64,
    out: &'a mut dyn Write,
}

impl Client<'_> {
    fn call(&self, selector: u32, scalars: &[u64]) -> String {
        Outcome(&self.connection.call(selector).scalars(scalars).send()).to_string()
    }

    /// The status. Only where the sequence is even, and the same before and after, it is of one piece;
    /// `None` where it never is.
    fn status(&self) -> Result<Option<StatusBlock>, AccessError> {
        for _ in 0..LOOKS {
            let before = self.status.load::<u64>(SEQUENCE_OFFSET)?;
            if before.is_multiple_of(2) || self.mistake == Mistake::Torn {
                let block = self.status.read_struct(0)?;
                let after = self.status.load::<u64>(SEQUENCE_OFFSET)?;
                if before == after {
                    return Ok(Some(block));
                }
            }
            self.schedule.sleep(LOOK_AGAIN);
        }
        Ok(None)
    }

    fn show_status(&mut self) -> Result<(), ScenarioError> {
        let Some(block) = self.status()? else {
            writeln!(self.out, "status: changes all the time")?;
            return Ok(());
        };
        let name = block.state_name.split(|byte| *byte == 0).next().unwrap_or_default();
        writeln!(
            self.out,
            "status: {}, generation {}, {} nodes, root {}; {} pending, {} timeouts",
            String::from_utf8_lossy(name),
            block.generation,
            block.nodes,
            block.root_node,
            block.pending,
            block.timeouts,
        )?;
        Ok(())
    }

    /// Logs in, and waits for it.
    fn log_in(&mut self) -> Result<(), ScenarioError> {
        let begun = self.call(selector::START_LOGIN, &[self.session]);
        writeln!(self.out, "log in: {begun}")?;
        self.wait_for_login()
    }

    /// Asks until the session has logged in, or cannot.
    fn wait_for_login(&mut self) -> Result<(), ScenarioError> {
        for _ in 0..LOGIN_POLLS {
            let scalars = [self.session];
            let call = self.connection.call(selector::SESSION_STATE).scalars(&scalars);
            let reply = call.want_scalars(5).send();
            let Ok(answer) = &reply else {
                writeln!(self.out, "session: {}", Outcome(&reply))?;
                return Ok(());
            };
            let [state, _, generation, error, _] = answer.scalars[..] else { break };
            match state {
                login::LOGGED_IN => {
                    if self.generation == 0 || self.mistake != Mistake::Stale {
                        self.generation = generation;
                    }
                    writeln!(self.out, "session: logged in, generation {generation}")?;
                    return Ok(());
                }
                login::FAILED => {
                    let error = IoReturn(u32::try_from(error).unwrap_or(u32::MAX));
                    writeln!(self.out, "session: failed with {error}")?;
                    return Ok(());
                }
                _ => self.schedule.sleep(POLL),
            }
        }
        writeln!(self.out, "session: not logged in")?;
        Ok(())
    }

    fn submit(&self, command: &Command<'_>) -> Result<u64, CallError> {
        let way = match (command.transfer_length, command.outgoing.len()) {
            (0, 0) => direction::NONE,
            (0, _) => direction::TO_TARGET,
            _ => direction::FROM_TARGET,
        };
        let request = command.request(way);
        let call = self.connection.call(selector::SUBMIT_COMMAND).input_bytes(&request);
        let reply = call.scalars(&[self.session, self.generation]).want_scalars(1).send()?;
        Ok(reply.scalars.first().copied().unwrap_or_default())
    }

    /// Asks for the result of a command until there is one, or its time is long up.
    fn finish(&self, handle: u64, command: &Command<'_>) -> Finished {
        let mut room =
            vec![0; size_of::<CommandResult>() + (command.transfer_length + SENSE) as usize];
        let mut ask = || {
            let scalars = [handle];
            let call = self.connection.call(selector::COMMAND_RESULT).scalars(&scalars);
            call.output_bytes(&mut room).map_err(|error| error.io_return())
        };
        let polls = u64::from(command.timeout) / POLL.as_millis() as u64 + POLLS_MORE;
        for _ in 0..polls {
            self.schedule.sleep(POLL);
            match ask() {
                Ok(_) => return finished(&room),
                // Not yet, or never: the dext does not say.
                Err(Some(IoReturn::NOT_FOUND)) => {}
                Err(code) => {
                    let again = ask().err().flatten().unwrap_or(IoReturn::SUCCESS);
                    return Finished::Unreadable(code.unwrap_or(IoReturn::ERROR), again);
                }
            }
        }
        Finished::Missing
    }

    fn command(&self, command: &Command<'_>) -> Finished {
        match self.submit(command) {
            Ok(handle) => self.finish(handle, command),
            Err(error) => Finished::NotSubmitted(error),
        }
    }

    fn use_the_disk(&mut self) -> Result<(), ScenarioError> {
        let inquiry = self.command(&Command::new(&[opcode::INQUIRY, 0, 0, 0, 36, 0], 36));
        match &inquiry {
            Finished::Answered { data, .. } => {
                let name =
                    String::from_utf8_lossy(data.get(8..32).unwrap_or_default()).into_owned();
                writeln!(self.out, "inquiry: {}", name.trim_end())?;
            }
            other => writeln!(self.out, "inquiry: {other}")?,
        }
        let block: Vec<u8> = (0..BLOCK).map(|position| (position % 251) as u8).collect();
        let write = blocks(opcode::WRITE, 3, 1);
        let write = Command { outgoing: &block, ..Command::new(&write, 0) };
        writeln!(self.out, "write block 3: {}", self.command(&write))?;
        let read = self.command(&Command::new(&blocks(opcode::READ, 3, 1), BLOCK));
        let same = matches!(&read, Finished::Answered { data, .. } if *data == block);
        let same = if same { "the same" } else { "something else" };
        writeln!(self.out, "read block 3: {read}, {same}")?;
        let unknown = self.command(&Command::new(&[0xc0, 0, 0, 0, 0, 0], 0));
        writeln!(self.out, "an unknown command: {unknown}")?;
        let behind = self.command(&Command::new(&blocks(opcode::READ, 99, 1), BLOCK));
        writeln!(self.out, "read block 99: {behind}")?;
        let length = u32::from(MANY_BLOCKS) * BLOCK;
        let many_blocks: Vec<u8> = (0..length).map(|position| (position % 249) as u8).collect();
        let write = blocks(opcode::WRITE, 0, MANY_BLOCKS);
        let write = Command { outgoing: &many_blocks, ..Command::new(&write, 0) };
        writeln!(self.out, "write {MANY_BLOCKS} blocks: {}", self.command(&write))?;
        let read = blocks(opcode::READ, 0, MANY_BLOCKS);
        let read = self.command(&Command::new(&read, length));
        let same = matches!(&read, Finished::Answered { data, .. } if *data == many_blocks);
        let same = if same { "the same" } else { "something else" };
        writeln!(self.out, "read {MANY_BLOCKS} blocks: {read}, {same}")?;
        Ok(())
    }

    /// The disk's motor needs longer than the command has.
    fn run_out_of_time(&mut self) -> Result<(), ScenarioError> {
        let stop = Command {
            timeout: SHORT_TIMEOUT,
            ..Command::new(&[opcode::START_STOP_UNIT, 0, 0, 0, 0, 0], 0)
        };
        writeln!(self.out, "stop, {SHORT_TIMEOUT} ms: {}", self.command(&stop))?;
        writeln!(self.out, "ready? {}", self.ready())?;
        self.show_status()
    }

    fn ready(&self) -> Finished {
        self.command(&Command::new(&[opcode::TEST_UNIT_READY, 0, 0, 0, 0, 0], 0))
    }

    /// The bus is reset while the disk starts its motor.
    fn reset(&mut self) -> Result<(), ScenarioError> {
        let start = Command::new(&[opcode::START_STOP_UNIT, 0, 0, 0, 1, 0], 0);
        let submitted = self.submit(&start);
        self.schedule.sleep(POLL);
        writeln!(self.out, "reset the bus: {}", self.call(selector::BUS_RESET, &[]))?;
        self.show_status()?;
        writeln!(self.out, "ready? {}", self.ready())?;
        let started = match submitted {
            Ok(handle) => self.finish(handle, &start),
            Err(error) => Finished::NotSubmitted(error),
        };
        writeln!(self.out, "start: {started}")?;
        self.wait_for_login()?;
        writeln!(self.out, "ready? {}", self.ready())?;
        Ok(())
    }

    /// The disk is told to eject; it may leave the bus before it has answered.
    fn eject(&mut self) -> Result<(), ScenarioError> {
        let eject = Command::new(&[opcode::START_STOP_UNIT, 0, 0, 0, 2, 0], 0);
        writeln!(self.out, "eject: {}", self.command(&eject))?;
        self.wait_for_login()?;
        writeln!(self.out, "ready? {}", self.ready())?;
        self.show_status()
    }
}

/// The result of a command from its bytes.
fn finished(bytes: &[u8]) -> Finished {
    let (header, rest) = bytes.split_at(size_of::<CommandResult>());
    let header: CommandResult = bytemuck::pod_read_unaligned(header);
    if header.transport_status != 0 {
        return Finished::Failed(IoReturn(header.transport_status));
    }
    let data = (header.payload_length as usize).min(rest.len());
    let (data, rest) = rest.split_at(data);
    let sense = (header.sense_length as usize).min(rest.len());
    Finished::Answered { data: data.to_vec(), sense: rest[..sense].to_vec() }
}
