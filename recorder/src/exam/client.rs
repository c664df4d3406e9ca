//! A recorded client whose process is killed: what it had finished is on the tape, and what it was in
//! the middle of has its enter there.

use crate::recording::{RecordOptions, RecordingSession};
use crate::seal::{SealOptions, SealReport, seal};
use dextape::IoReturn;
use dextape::call::MapOptions;
use dextape::connection::{CompletionQueue, Connection, ConnectionExt, Mapping, Matching};
use dextape::driverkit::{
    BufferMemoryDescriptor, Direction, ExternalMethodArguments, MemoryDescriptor, OsData, OsObject,
    Provider, Service, UserClient, async_completion,
};
use dextape::kernel::{MockSystem, ServiceDescription};
use dextape::schedule::{Generator, Schedule};
use dextape::tape::{Body, Event, Tape, validate};
use std::error::Error;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The variable by which a process knows that it is a recorded client to be killed; it holds the mode
/// of time and the journal's path.
pub const RECORDED_VICTIM: &str = "DEXTAPE_EXAM_RECORDED_VICTIM";

/// Said before the first word of a victim, since a test harness may say something of its own first.
const MARK: &[u8; 8] = b"\0victim\0";

/// Threads of a victim in free time, and tasks in simulated time.
const THREADS: u64 = 4;

/// Every so many turns a client makes an asynchronous call and waits for its completion.
const ASYNC_EVERY: u64 = 4;

type AnyError = Box<dyn Error + Send + Sync>;

/// In which mode of time the victim's client runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VictimTime {
    /// Virtual time, four tasks.
    Simulated,
    /// Real time, four threads.
    Free,
}

impl VictimTime {
    const fn name(self) -> &'static str {
        match self {
            Self::Simulated => "simulated",
            Self::Free => "free",
        }
    }
}

/// What a victim tells of: which thread, which turn, and how far it is with it.
#[derive(Clone, Copy)]
enum Word {
    /// The dext has the turn's first call: it was entered.
    Inside = 1,
    /// The client has done all of the turn.
    Finished = 2,
}

fn tell(word: Word, thread: u64, turn: u64) -> std::io::Result<()> {
    let mut line = [0; 24];
    line[..8].copy_from_slice(&(word as u64).to_le_bytes());
    line[8..16].copy_from_slice(&thread.to_le_bytes());
    line[16..].copy_from_slice(&turn.to_le_bytes());
    let mut output = std::io::stdout().lock();
    output.write_all(&line)?;
    output.flush()
}

/// Where [`RECORDED_VICTIM`] is set: records four clients on one connection of a mock and tells on the
/// standard output how far each has come, until it is killed. Elsewhere it returns at once.
///
/// # Errors
///
/// Where the journal cannot be made, or nobody reads the output any more.
pub fn be_the_recorded_victim() -> Result<(), AnyError> {
    let Some(role) = std::env::var_os(RECORDED_VICTIM) else { return Ok(()) };
    let role = role.to_str().ok_or("the victim's role is no text")?;
    let (time, journal) = role.split_once(':').ok_or("the victim's role has no journal")?;
    let session = RecordingSession::start(Path::new(journal), RecordOptions::default())?;
    let mut output = std::io::stdout().lock();
    output.write_all(MARK)?;
    output.flush()?;
    drop(output);
    let run = |schedule: &Schedule| run_clients(schedule, &session);
    match time {
        "simulated" => Schedule::simulate(1, run),
        _ => run(&Schedule::free()),
    }
}

fn run_clients(schedule: &Schedule, session: &Arc<RecordingSession>) -> Result<(), AnyError> {
    let mock = MockSystem::new(schedule);
    let description = ServiceDescription::class("Victim");
    mock.publish(description, Arc::new(VictimService)).map_err(|code| code.to_string())?;
    let system = session.wrap(mock);
    let service =
        system.first_service(&Matching::service("Victim")).map_err(|code| code.to_string())?;
    let connection: Arc<dyn Connection> =
        Arc::from(system.open(service, 0).map_err(|code| code.to_string())?);
    let mapping =
        connection.map_memory(0, MapOptions::ANYWHERE, 0).map_err(|code| code.to_string())?;
    let tasks: Vec<_> = (0..THREADS)
        .map(|thread| {
            let (system, connection) = (Arc::clone(&system), Arc::clone(&connection));
            let mapping = mapping.clone();
            schedule.spawn(&format!("client {thread}"), move || {
                let queue = system.completion_queue();
                (0..).try_for_each(|turn| take_turn(&*connection, &mapping, &*queue, thread, turn))
            })
        })
        .collect();
    tasks.into_iter().try_for_each(dextape::schedule::TaskHandle::join)
}

/// One turn of a client: a call, a read of what the dext wrote meanwhile, a write, and now and then an
/// asynchronous call.
fn take_turn(
    connection: &dyn Connection,
    mapping: &Mapping,
    queue: &dyn CompletionQueue,
    thread: u64,
    turn: u64,
) -> Result<(), AnyError> {
    let input = [thread, turn, 7];
    let echoed: [u64; 3] = connection.call(0).scalars(&input[..2]).input(&input).output()?;
    let seen = mapping.load::<u64>(thread * 8)?;
    if (echoed, seen) != (input, turn + 1) {
        return Err(format!("turn {turn} of thread {thread} saw {echoed:?} and {seen}").into());
    }
    mapping.store::<u64>(64 + thread * 8, turn)?;
    if turn.is_multiple_of(ASYNC_EVERY) {
        let reference = [0, thread, turn];
        connection.call(1).scalars(&input[..2]).completing_on(queue, &reference).send()?;
        let completion = queue.wait(None).ok_or("no completion")?;
        if completion.reference[1..3] != reference[1..] {
            return Err(format!("reference {:?}", completion.reference).into());
        }
    }
    Ok(tell(Word::Finished, thread, turn)?)
}

/// The events that a turn leaves in the client's lane.
fn events_of(turn: u64) -> &'static [&'static str] {
    const CALL: [&str; 9] =
        ["call", "return", "patch", "write", "async_call", "return", "wait", "delivered", "woke"];
    if turn.is_multiple_of(ASYNC_EVERY) { &CALL } else { &CALL[..4] }
}

struct VictimService;

impl Service for VictimService {
    fn new_user_client(&self, _open_type: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        Ok(Some(Arc::new(VictimClient::default())))
    }
}

#[derive(Default)]
struct VictimClient {
    buffer: OnceLock<BufferMemoryDescriptor>,
}

impl UserClient for VictimClient {
    fn start(&self, _provider: &Provider) -> IoReturn {
        match BufferMemoryDescriptor::create(Direction::IN_OUT, 128, 8) {
            Ok(buffer) => {
                self.buffer.get_or_init(|| buffer);
                IoReturn::SUCCESS
            }
            Err(code) => code,
        }
    }

    fn external_method(
        &self,
        selector: u64,
        arguments: &mut ExternalMethodArguments<'_>,
    ) -> IoReturn {
        let &[thread, turn] = arguments.scalar_input else { return IoReturn::BAD_ARGUMENT };
        if selector == 0 {
            if tell(Word::Inside, thread, turn).is_err() {
                return IoReturn::IO_ERROR;
            }
            if let Some(buffer) = self.buffer.get()
                && buffer.address_range().store::<u64>(thread * 8, turn + 1).is_err()
            {
                return IoReturn::VM_ERROR;
            }
            let bytes = arguments.structure_input.as_ref().map(|input| input.bytes().to_vec());
            arguments.structure_output = bytes.map(|bytes| OsData::with_bytes(&bytes));
        } else if let Some(completion) = &arguments.completion {
            async_completion(completion, IoReturn::SUCCESS, &[turn]);
        }
        IoReturn::SUCCESS
    }

    fn copy_client_memory_for_type(
        &self,
        _memory_type: u64,
        _options: &mut u64,
        memory: &mut Option<MemoryDescriptor>,
    ) -> IoReturn {
        let Some(buffer) = self.buffer.get() else { return IoReturn::NOT_READY };
        buffer.retain();
        *memory = Some(buffer.descriptor());
        IoReturn::SUCCESS
    }
}

/// Starts `victim` (a command that comes to [`be_the_recorded_victim`]) `times` times, kills it with
/// SIGKILL at a random moment, seals what it left, and compares the tape with what it had told of.
/// Gives the sum of the reports.
///
/// # Errors
///
/// Where the tape is not valid, misses an event that was finished or the enter of a call that the dext
/// had, or holds one in another order than the client made it; where the victim cannot be started.
pub fn kill_recorded_at_random(
    folder: &Path,
    times: u64,
    seed: u64,
    time: VictimTime,
    victim: impl Fn() -> Command,
) -> Result<SealReport, AnyError> {
    let mut generator = Generator::new(seed);
    let mut sum = SealReport::default();
    for round in 0..times {
        let journal = folder.join(format!("recorded-{}-{round}", time.name()));
        let tape = folder.join("recorded.tape.jsonl");
        let delay = Duration::from_micros(generator.below(4_000));
        let told = kill_one(&journal, time, delay, victim())?;
        let report = seal(&journal, &tape, SealOptions::default())?;
        let failed = |what: String| format!("round {round}, killed after {delay:?}: {what}");
        let validation = validate(&tape)?;
        if !validation.is_valid() {
            return Err(failed(validation.to_string()).into());
        }
        check(&Tape::read(&tape)?, &told).map_err(failed)?;
        sum.events += report.events;
        sum.holes += report.holes;
        sum.in_flight += report.in_flight;
        sum.gaps += report.gaps;
        std::fs::remove_file(&journal)?;
    }
    Ok(sum)
}

/// How far a client had come, by what it told: turns finished, and turns whose call the dext had.
#[derive(Clone, Copy, Default)]
struct Told {
    finished: u64,
    inside: u64,
}

fn kill_one(
    journal: &Path,
    time: VictimTime,
    delay: Duration,
    mut command: Command,
) -> Result<[Told; THREADS as usize], AnyError> {
    let mut role = PathBuf::from(format!("{}:", time.name())).into_os_string();
    role.push(journal);
    command.env(RECORDED_VICTIM, role).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let mut output = child.stdout.take().ok_or("the victim has no output")?;
    let mut said = Vec::new();
    while !said.ends_with(MARK) {
        let mut byte = [0];
        if said.len() > 4096 || output.read_exact(&mut byte).is_err() {
            child.kill()?;
            child.wait()?;
            return Err("the victim does not begin".into());
        }
        said.push(byte[0]);
    }
    let reader = std::thread::spawn(move || {
        let mut words = Vec::new();
        output.read_to_end(&mut words).map(|_| words)
    });
    std::thread::sleep(delay);
    child.kill()?;
    child.wait()?;
    let words = reader.join().map_err(|_| "the reader panicked")??;
    let mut told = [Told::default(); THREADS as usize];
    for word in words.chunks_exact(24) {
        let number = |at: usize| -> Result<u64, AnyError> {
            Ok(u64::from_le_bytes(word[at..at + 8].try_into()?))
        };
        let told = told.get_mut(number(8)? as usize).ok_or("the victim told of a stranger")?;
        let count =
            if number(0)? == Word::Inside as u64 { &mut told.inside } else { &mut told.finished };
        *count = number(16)? + 1;
    }
    Ok(told)
}

/// An error where an event that was told of is not on the tape in its place.
fn check(tape: &Tape, told: &[Told]) -> Result<(), String> {
    for (thread, told) in told.iter().enumerate() {
        let is_own = |event: &&Event| match &event.body {
            Body::Call(call) => call.scalars.first() == Some(&(thread as u64)),
            _ => false,
        };
        let Some(first) = tape.events().iter().find(is_own) else {
            if told.inside > 0 {
                return Err(format!("thread {thread} told of a call, and none is on the tape"));
            }
            continue;
        };
        let begun = |event: &&Event| event.lane == first.lane && event.position >= first.position;
        let mut events = tape.events().iter().filter(begun);
        for turn in 0.. {
            let mut found = 0;
            for expected in events_of(turn) {
                let Some(event) = events.next() else { break };
                if event.body.name() != *expected || !belongs(event, thread as u64, turn) {
                    let sequence = event.sequence;
                    return Err(format!(
                        "event {sequence}: expected {expected} of turn {turn} of thread {thread}"
                    ));
                }
                found += 1;
            }
            let all = events_of(turn).len();
            if turn < told.finished && found < all {
                return Err(format!(
                    "turn {turn} of thread {thread} was finished; {found} of {all} events are there"
                ));
            }
            if turn < told.inside && found == 0 {
                return Err(format!("the call of turn {turn} of thread {thread} was entered"));
            }
            if found < all {
                break;
            }
        }
    }
    Ok(())
}

/// True where the event says what its client did in that turn.
fn belongs(event: &Event, thread: u64, turn: u64) -> bool {
    match &event.body {
        Body::Call(call) | Body::AsyncCall { call, .. } => call.scalars[..] == [thread, turn],
        Body::Write { offset, data, .. } => {
            *offset == 64 + thread * 8 && data.as_bytes() == Some(&turn.to_le_bytes())
        }
        _ => true,
    }
}
