//! A made-up client that goes on for as long as one likes: what a flight recorder is tried with.

use crate::journal::{
    Call, Data, Journal, OtherCall, Record, Return, Stamp, Status, Structure, Token,
};
use dextape::IoReturn;
use dextape::connection::{Matching, Value};
use dextape::memory::{Update, Width};
use dextape::schedule::Generator;
use dextape::tape::{Capture, Header, MappedMemory, OutputKind};

/// Lanes of the client.
const LANES: u32 = 4;

/// Connections, memories and calls that are under way at once, at most.
const CONNECTIONS: usize = 6;
const MEMORIES: usize = 6;
const PENDING: usize = 8;

/// The bytes that are written at once, most often and now and then: those are longer than a small segment
/// takes in one piece.
const WRITE_MAX: u64 = 400;
const WRITE_LONG: u64 = 9000;

/// Lengths of memories.
const LENGTHS: [u64; 3] = [512, 4096, 20_000];

/// What one event is in each journal.
type Tokens = Vec<Token>;

/// The client: it appends the same events to all of its journals, each with its place among them as its
/// time, so that two accounts of it can be compared.
#[derive(Debug)]
pub struct Flight<'a> {
    journals: Vec<&'a Journal>,
    generator: Generator,
    time: u64,
    lanes: Vec<Lane>,
    connections: Vec<Open>,
    memories: Vec<Memory>,
    pending: Vec<Pending>,
    posted: Vec<(Tokens, u32)>,
    numbers: [u32; 2],
}

#[derive(Debug, Default)]
struct Lane {
    number: u32,
    underway: Option<(Tokens, Option<u32>, Leave)>,
}

#[derive(Debug)]
enum Leave {
    Open(u32),
    Call,
    AsyncCall { queue: u32, reference: [u64; 3] },
    Wait,
    Map { memory_type: u32 },
    Unmap { memory: u32 },
    Close,
    Other,
}

#[derive(Debug)]
struct Open {
    number: u32,
    closing: bool,
}

#[derive(Debug)]
struct Memory {
    number: u32,
    length: u64,
    holders: Vec<(u32, u32)>,
    unmapping: bool,
}

#[derive(Debug)]
struct Pending {
    tokens: Tokens,
    connection: u32,
    queue: u32,
    reference: [u64; 3],
    completions: u64,
    of: u64,
}

impl<'a> Flight<'a> {
    /// A client whose doings `seed` decides.
    #[must_use]
    pub fn new(journals: &[&'a Journal], seed: u64) -> Self {
        let lanes = (1..=LANES).map(|number| Lane { number, underway: None }).collect();
        let mut new = Self {
            journals: journals.to_vec(),
            generator: Generator::new(seed),
            time: 0,
            lanes,
            connections: Vec::new(),
            memories: Vec::new(),
            pending: Vec::new(),
            posted: Vec::new(),
            numbers: [0; 2],
        };
        let header = Header::mock();
        new.journals.iter().for_each(|journal| {
            journal.append(Stamp::default(), &Record::Header(&header));
        });
        for lane in 1..=LANES {
            new.tell(lane, None, None, |_| Record::Queue { queue: lane });
        }
        new
    }

    /// Events so far.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.time
    }

    /// Goes on until there are so many events. False where a journal has taken one of them no more.
    pub fn run(&mut self, events: u64) -> bool {
        while self.time < events {
            self.step();
        }
        self.journals.iter().all(|journal| journal.status() == Status::Recording)
    }

    fn tell<'r>(
        &mut self,
        lane: u32,
        connection: Option<u32>,
        cause: Option<&Tokens>,
        record: impl Fn(usize) -> Record<'r>,
    ) -> Tokens {
        let time = self.time;
        self.time += 1;
        let append = |(index, journal): (usize, &&Journal)| {
            let cause = cause.and_then(|tokens| tokens.get(index)).copied();
            journal.append(Stamp { lane, connection, cause, time }, &record(index))
        };
        self.journals.iter().enumerate().filter_map(append).collect()
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.generator.below(bound)
    }

    fn pick(&mut self, length: usize) -> Option<usize> {
        (length > 0).then(|| self.below(length as u64) as usize)
    }

    fn step(&mut self) {
        let index = self.below(u64::from(LANES)) as usize;
        let lane = self.lanes[index].number;
        if let Some((enter, connection, leave)) = self.lanes[index].underway.take() {
            self.leave(lane, &enter, connection, leave);
            return;
        }
        match self.below(100) {
            0..2 if self.connections.len() < CONNECTIONS => self.open(index),
            2 => self.close(index),
            3..6 => self.map(index),
            6 => self.unmap(index),
            7..28 => self.access(lane),
            28..36 => self.post(),
            36..44 => self.deliver(lane),
            44..48 => self.registry(lane),
            48..58 => self.call(index, true),
            58..61 => {
                let enter =
                    self.tell(lane, None, None, |_| Record::Wait { queue: lane, timeout: Some(9) });
                self.lanes[index].underway = Some((enter, None, Leave::Wait));
            }
            _ => self.call(index, false),
        }
    }

    fn open(&mut self, index: usize) {
        let lane = self.lanes[index].number;
        let service = 1 + self.below(3) as u32;
        let enter = self.tell(lane, None, None, |_| Record::Open { service, open_type: 0 });
        self.numbers[0] += 1;
        let number = self.numbers[0];
        self.connections.push(Open { number, closing: true });
        self.lanes[index].underway = Some((enter, None, Leave::Open(number)));
    }

    /// A connection that may be used.
    fn usable(&mut self) -> Option<u32> {
        let open: Vec<u32> =
            self.connections.iter().filter(|open| !open.closing).map(|open| open.number).collect();
        self.pick(open.len()).map(|index| open[index])
    }

    fn is_used(&self, connection: u32) -> bool {
        self.lanes.iter().any(|lane| {
            lane.underway.as_ref().is_some_and(|(_, used, _)| *used == Some(connection))
        })
    }

    fn close(&mut self, index: usize) {
        let Some(number) = self.usable() else { return };
        if self.is_used(number) {
            return;
        }
        // The kernel completes nothing of a connection that is being closed here.
        self.pending.retain(|call| call.connection != number);
        let lane = self.lanes[index].number;
        let enter = self.tell(lane, Some(number), None, |_| Record::Close);
        if let Some(open) = self.connections.iter_mut().find(|open| open.number == number) {
            open.closing = true;
        }
        for memory in &mut self.memories {
            memory.unmapping |= memory.holders.iter().any(|(holder, _)| *holder == number);
        }
        self.lanes[index].underway = Some((enter, Some(number), Leave::Close));
    }

    fn map(&mut self, index: usize) {
        let Some(number) = self.usable().filter(|_| self.memories.len() < MEMORIES) else { return };
        let lane = self.lanes[index].number;
        // Each mapping of a connection is of a type of its own, so that none is mapped twice.
        self.numbers[1] += 1;
        let memory_type = self.numbers[1];
        let record = Record::Map { memory_type, options: 1, address: 0 };
        let enter = self.tell(lane, Some(number), None, |_| record);
        self.lanes[index].underway = Some((enter, Some(number), Leave::Map { memory_type }));
    }

    fn unmap(&mut self, index: usize) {
        let Some(at) = self.pick(self.memories.len()) else { return };
        let Memory { number: memory, unmapping, ref holders, .. } = self.memories[at];
        let &[(connection, memory_type), ..] = holders.as_slice() else { return };
        let closing = self.connections.iter().any(|it| it.number == connection && it.closing);
        if unmapping || closing {
            return;
        }
        self.memories[at].unmapping = true;
        let lane = self.lanes[index].number;
        let record = Record::Unmap { memory_type, memory: Some(memory) };
        let enter = self.tell(lane, Some(connection), None, |_| record);
        self.lanes[index].underway = Some((enter, Some(connection), Leave::Unmap { memory }));
    }

    fn access(&mut self, lane: u32) {
        let Some(at) = self.pick(self.memories.len()) else { return };
        let Memory { number: memory, length, ref holders, unmapping } = self.memories[at];
        let Some((connection, _)) = holders.first().copied().filter(|_| !unmapping) else { return };
        let of = Some(connection);
        let word = 8 * self.below(length / 8);
        match self.below(6) {
            0 | 1 => {
                let (offset, bytes) = self.written(length);
                let data = Data::Bytes(&bytes);
                self.tell(lane, of, None, |_| Record::Write { memory, offset, width: None, data });
            }
            2 => {
                let value = self.below(1 << 40).to_le_bytes();
                let (width, data) = (Some(Width::Eight), Data::Bytes(&value));
                let record = Record::Write { memory, offset: word, width, data };
                self.tell(lane, of, None, |_| record);
            }
            3 => {
                let operand = self.below(1 << 20);
                let update = match self.below(5) {
                    0 => Update::Swap(operand),
                    1 => Update::Add(operand),
                    2 => Update::Or(operand),
                    3 => Update::And(operand),
                    _ => Update::CompareExchange { expected: 0, new: operand },
                };
                let record = Record::Update { memory, offset: word, width: Width::Four, update };
                self.tell(lane, of, None, |_| record);
            }
            _ => {
                let (offset, bytes) = self.written(length);
                let unattributed = self.below(2) == 0;
                let (data, last_equal) = (Data::Bytes(&bytes), None);
                self.tell(lane, of, None, |_| Record::Patch {
                    memory,
                    offset,
                    data,
                    read: 1,
                    last_equal,
                    unattributed,
                });
            }
        }
    }

    /// Where in so many bytes some are written, and which.
    fn written(&mut self, length: u64) -> (u64, Vec<u8>) {
        let most = if self.below(40) == 0 { WRITE_LONG } else { WRITE_MAX };
        let count = 1 + self.below(most.min(length));
        let offset = self.below(length - count + 1);
        (offset, self.bytes(count))
    }

    fn bytes(&mut self, count: u64) -> Vec<u8> {
        let zero = self.below(4) == 0;
        (0..count).map(|_| if zero { 0 } else { self.generator.below(256) as u8 }).collect()
    }

    fn call(&mut self, index: usize, completes: bool) {
        let Some(connection) = self.usable() else { return };
        let lane = self.lanes[index].number;
        let selector = self.below(9) as u32;
        if selector == 8 {
            let record = Record::OtherCall(OtherCall::GetService);
            let enter = self.tell(lane, Some(connection), None, |_| record);
            self.lanes[index].underway = Some((enter, Some(connection), Leave::Other));
            return;
        }
        let count = match self.below(60) {
            0 => 3000 + self.below(1000),
            _ => self.below(64),
        };
        let input = self.bytes(count);
        let scalars = [self.time, u64::from(lane)];
        let call = Call {
            selector,
            scalars: &scalars,
            scalar_count: 2,
            input: match count {
                0 => Structure::None,
                _ => Structure::Bytes(Data::Bytes(&input)),
            },
            scalars_asked: 2,
            output: OutputKind::Bytes { size: 24 },
        };
        if completes && self.pending.len() < PENDING {
            let reference = [0, u64::from(lane), self.time];
            let record = Record::AsyncCall { call, queue: Some(lane), reference: Some(&reference) };
            let enter = self.tell(lane, Some(connection), None, |_| record);
            let leave = Leave::AsyncCall { queue: lane, reference };
            self.lanes[index].underway = Some((enter, Some(connection), leave));
        } else {
            let enter = self.tell(lane, Some(connection), None, |_| Record::Call(call));
            self.lanes[index].underway = Some((enter, Some(connection), Leave::Call));
        }
    }

    fn leave(&mut self, lane: u32, enter: &Tokens, connection: Option<u32>, leave: Leave) {
        let worked = self.below(8) > 0;
        let result = if worked { IoReturn::SUCCESS } else { IoReturn::NO_RESOURCES };
        let output = [7; 24];
        let scalars = [1, 2];
        let returned = Record::Return(match worked {
            true => Return {
                result,
                scalars: &scalars,
                structure_size: Some(24),
                structure: Some(Data::Bytes(&output)),
            },
            false => Return { result, scalars: &[], structure_size: None, structure: None },
        });
        let cause = Some(enter);
        match leave {
            Leave::Open(number) if worked => {
                self.tell(lane, Some(number), cause, |_| Record::Opened);
                self.connections.iter_mut().for_each(|open| open.closing &= open.number != number);
            }
            Leave::Open(number) => {
                self.tell(lane, None, cause, |_| Record::OpenFailed { result });
                self.connections.retain(|open| open.number != number);
            }
            Leave::Call => drop(self.tell(lane, connection, cause, |_| returned)),
            Leave::AsyncCall { queue, reference } => {
                self.tell(lane, connection, cause, |_| returned);
                if worked && let Some(connection) = connection {
                    let tokens = enter.clone();
                    let of = if self.below(4) == 0 { 1 + self.below(30) } else { 1 };
                    let completions = 0;
                    self.pending.push(Pending {
                        tokens,
                        connection,
                        queue,
                        reference,
                        completions,
                        of,
                    });
                }
            }
            Leave::Wait => {
                let timed_out = !worked;
                self.tell(lane, None, cause, |_| Record::Woke { timed_out });
            }
            Leave::Map { memory_type } => self.mapped(lane, enter, connection, memory_type, worked),
            Leave::Unmap { memory } => {
                self.tell(lane, connection, cause, |_| Record::Unmapped { result });
                if worked {
                    self.memories.retain(|known| known.number != memory);
                } else if let Some(known) = self.memories.iter_mut().find(|it| it.number == memory)
                {
                    known.unmapping = false;
                }
            }
            Leave::Close => {
                let result = IoReturn::SUCCESS;
                self.tell(lane, connection, cause, |_| Record::Closed { result });
                self.connections.retain(|open| Some(open.number) != connection);
                let of = |holders: &[(u32, u32)]| holders.iter().any(|it| Some(it.0) == connection);
                self.memories.retain(|memory| !of(&memory.holders));
            }
            Leave::Other => {
                let outcome = Ok(Some(1));
                self.tell(lane, connection, cause, |_| Record::OtherReturn { outcome });
            }
        }
    }

    fn mapped(
        &mut self,
        lane: u32,
        enter: &Tokens,
        connection: Option<u32>,
        memory_type: u32,
        worked: bool,
    ) {
        let Some(connection) = connection.filter(|_| worked) else {
            let outcome = Err(IoReturn::BAD_ARGUMENT);
            self.tell(lane, connection, Some(enter), |_| Record::Mapped { outcome });
            return;
        };
        self.numbers[1] += 1;
        let number = self.numbers[1];
        let length = LENGTHS[self.below(LENGTHS.len() as u64) as usize];
        let size = length.next_multiple_of(dextape::limits::PAGE_SIZE);
        let capture = Capture::Accessor;
        let outcome = Ok(MappedMemory { memory: number, length, size, capture, read_only: false });
        self.tell(lane, Some(connection), Some(enter), |_| Record::Mapped { outcome });
        let holders = vec![(connection, memory_type)];
        self.memories.push(Memory { number, length, holders, unmapping: false });
    }

    fn post(&mut self) {
        let Some(at) = self.pick(self.pending.len()) else { return };
        let call = &mut self.pending[at];
        call.completions += 1;
        let ordinal = call.completions;
        let mut reference = [0; 8];
        reference[..3].copy_from_slice(&call.reference);
        let (connection, queue, tokens) = (call.connection, call.queue, call.tokens.clone());
        if call.completions == call.of {
            self.pending.remove(at);
        }
        let arguments = [self.time];
        let (status, arguments) = (IoReturn::SUCCESS, &arguments[..]);
        let posted = self.tell(0, Some(connection), Some(&tokens), |_| Record::Posted {
            ordinal,
            status,
            arguments,
            reference: &reference,
        });
        self.posted.push((posted, queue));
    }

    fn deliver(&mut self, lane: u32) {
        let Some(at) = self.posted.iter().position(|(_, queue)| *queue == lane) else { return };
        let (posted, queue) = self.posted.remove(at);
        self.tell(lane, None, Some(&posted), |_| Record::Delivered { queue, polls: 0 });
    }

    fn registry(&mut self, lane: u32) {
        if self.below(2) == 0 {
            let matching = Matching::service("Flight");
            self.tell(lane, None, None, |_| Record::Matched {
                matching: &matching,
                outcome: Ok(&[1, 2, 3]),
            });
        } else {
            let value = Value::Number(self.time);
            self.tell(lane, None, None, |_| Record::Property {
                service: 1,
                key: Some("count"),
                outcome: Ok(Some(&value)),
            });
        }
    }
}
