//! The events of a recording, one by one, with the numbers that they have on the tape.

use super::family::{Family, Member};
use super::lookup::{Lookup, RUNS_MAX};
use super::{SealError, SealOptions, SealReport};
use crate::journal::{Content, Entry, JournalError, JournalReader};
use dextape::tape::{Body, Digest, Event, Header, Payload, Sequence};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Lanes of a recording: more threads than any client has had, and a bound for a journal that was made
/// to mislead.
const LANES_MAX: usize = 1 << 16;

/// A journal, and those of forked children, as the events of a tape.
///
/// Events come in the order of the journal; those of several processes in the order of their times,
/// and a child's after its fork. The same journals give the same events.
///
/// # Examples
///
/// ```
/// use dextape_recorder::journal::{Journal, JournalOptions, Record, Stamp};
/// use dextape_recorder::seal::{SealOptions, Sealing};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("client.journal");
/// let journal = Journal::create(&path, JournalOptions::default())?;
/// let lane = Stamp { lane: 1, ..Stamp::default() };
/// let enter = journal.append(lane, &Record::Close);
/// drop(journal);
///
/// let mut sealing = Sealing::open(&path, SealOptions::default())?;
/// let event = sealing.next_event()?.unwrap();
/// assert_eq!((event.sequence, event.lane, event.position), (1, 1, 1));
/// assert_eq!(sealing.next_event()?, None);
/// assert_eq!(sealing.report().in_flight, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Sealing {
    header: Header,
    options: SealOptions,
    streams: Vec<Stream>,
    processes: BTreeMap<Vec<u32>, u32>,
    /// Positions in the lanes, by process and lane.
    lanes: BTreeMap<(u32, u32), u64>,
    /// The stream that the last event came from.
    last: usize,
    enters: u64,
    leaves: u64,
    report: SealReport,
}

/// The journal of one process, on its way to the tape.
#[derive(Debug)]
struct Stream {
    reader: JournalReader,
    forks: Vec<u32>,
    process: u32,
    /// False as long as the parent's journal has not come to the fork.
    born: bool,
    /// The next event.
    head: Option<Entry>,
    /// Its further fields.
    fields: Option<String>,
    /// Further fields of lanes whose next event has not come yet.
    waiting: HashMap<u32, String>,
    /// Time of the last event: order within a journal never goes back for a time.
    time: u64,
    lookup: Lookup,
}

impl Sealing {
    /// Opens a journal and those of its process's forked children beside it. Their processes must
    /// have ended, or be done with recording.
    ///
    /// # Errors
    ///
    /// `Journal` where the journal cannot be read; `Io` where its folder cannot be listed.
    pub fn open(path: &Path, options: SealOptions) -> Result<Self, SealError> {
        let family = Family::open(path)?;
        let process_of = |forks: &Vec<u32>| family.processes.get(forks).copied().unwrap_or(0);
        let mut streams = Vec::new();
        for Member { reader, forks, announced } in family.members {
            let process = process_of(&forks);
            let mut stream = Stream {
                reader,
                forks,
                process,
                born: !announced,
                head: None,
                fields: None,
                waiting: HashMap::new(),
                time: 0,
                lookup: Lookup::default(),
            };
            stream.advance()?;
            streams.push(stream);
        }
        let report = SealReport {
            processes: family.processes.len() as u64,
            ignored: family.ignored,
            ..SealReport::default()
        };
        Ok(Self {
            header: family.header,
            options,
            streams,
            processes: family.processes,
            lanes: BTreeMap::new(),
            last: 0,
            enters: 0,
            leaves: 0,
            report,
        })
    }

    /// The tape's header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What is known so far; complete once [`next_event`](Self::next_event) has given `None`.
    #[must_use]
    pub fn report(&self) -> SealReport {
        SealReport {
            in_flight: self.enters.saturating_sub(self.leaves),
            holes: self.streams.iter().map(|stream| stream.reader.holes()).sum(),
            ..self.report.clone()
        }
    }

    /// The next event of the tape.
    ///
    /// # Errors
    ///
    /// The disk fails. What is wrong with the journal comes as gaps.
    pub fn next_event(&mut self) -> Result<Option<Event>, JournalError> {
        let Some(index) = self.choose() else { return Ok(None) };
        self.last = index;
        let stream = &mut self.streams[index];
        let Some(entry) = stream.head.take() else { return Ok(None) };
        let fields = stream.fields.take();
        stream.advance()?;
        let mut event = self.event(index, entry)?;
        if let Some(Ok(fields)) = fields.map(|text| serde_json::from_str(&text))
            && matches!(event.body, Body::Call(_) | Body::AsyncCall { .. } | Body::Return(_))
        {
            event.extra = fields;
        }
        Ok(Some(event))
    }

    /// The stream whose event is next.
    fn choose(&self) -> Option<usize> {
        let ready = |stream: &&Stream| stream.born && stream.head.is_some();
        let last = self.streams.get(self.last).filter(ready);
        if let Some(stream) = last
            && stream.lookup.runs() >= RUNS_MAX
        {
            return Some(self.last);
        }
        let next = self.streams.iter().enumerate().filter(|(_, stream)| ready(stream));
        next.min_by_key(|(_, stream)| stream.next_time()).map(|(index, _)| index).or_else(|| {
            // Where the parent's journal was cut before the fork, the child is not held up by it.
            self.streams.iter().position(|stream| stream.head.is_some())
        })
    }

    fn event(&mut self, index: usize, entry: Entry) -> Result<Event, JournalError> {
        let sequence = self.report.events + 1;
        let stream = &mut self.streams[index];
        let process = stream.process;
        let mut stamp = entry.stamp;
        let mut body = match entry.content {
            Content::Event(body) => {
                stream.time = stream.time.max(stamp.time);
                body
            }
            Content::Damage(reason) => {
                stamp.time = stream.time;
                Body::Gap { events: None, reason }
            }
            // `advance` keeps these back.
            Content::Header(_) | Content::Service(..) | Content::Fields(_) => {
                Body::Gap { events: Some(0), reason: String::new() }
            }
        };
        if self.lanes.len() >= LANES_MAX && !self.lanes.contains_key(&(process, stamp.lane)) {
            let reason = format!("an event of lane {}: more than {LANES_MAX} lanes", stamp.lane);
            body = Body::Gap { events: Some(1), reason };
            (stamp.lane, stamp.connection, stamp.cause) = (0, None, None);
        }
        let cause = match stamp.cause {
            Some(token) => self.reference(index, token.get())?,
            None => None,
        };
        self.finish_body(index, &mut body)?;
        self.count(&body, cause);
        let position = self.lanes.entry((process, stamp.lane)).or_insert(0);
        *position += 1;
        let event = Event {
            sequence,
            process,
            lane: stamp.lane,
            position: *position,
            connection: stamp.connection,
            cause,
            time: stamp.time,
            must_understand: false,
            body,
            extra: BTreeMap::new(),
        };
        let stream = &mut self.streams[index];
        if stream.reader.is_before(entry.position) {
            stream.lookup.insert_kept(entry.position, sequence);
        } else {
            stream.lookup.insert(entry.position, sequence, stream.reader.segment_size());
        }
        self.report.events = sequence;
        Ok(event)
    }

    /// Turns the tokens of a body into sequence numbers, and a fork's ordinal into a process.
    fn finish_body(&mut self, index: usize, body: &mut Body) -> Result<(), JournalError> {
        match body {
            Body::Patch { last_equal: Some(token), .. } => {
                let resolved = self.reference(index, *token)?;
                if let Body::Patch { last_equal, .. } = body {
                    *last_equal = resolved;
                }
            }
            Body::Keyframe(keyframe) => {
                let mut pending = Vec::new();
                for token in std::mem::take(&mut keyframe.pending) {
                    pending.extend(self.reference(index, token)?);
                }
                keyframe.pending = pending;
            }
            Body::Fork { child } => {
                let forks = [self.streams[index].forks.as_slice(), &[*child]].concat();
                if let Some(stream) = self.streams.iter_mut().find(|stream| stream.forks == forks) {
                    stream.born = true;
                }
                if let Some(process) = self.processes.get(&forks) {
                    *child = *process;
                }
            }
            Body::Write { data, .. } => {
                if let (Some(bytes), Some(most)) = (data.as_bytes(), self.options.hash_writes_over)
                    && bytes.len() as u64 > most
                {
                    *data = Payload::Hash { digest: Digest::of(bytes), length: bytes.len() as u64 };
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The sequence number of what a token of a process refers to: in its own journal, or, where it
    /// was handed out before the process was forked, in that of the nearest parent that has one.
    fn reference(&mut self, index: usize, token: u64) -> Result<Option<Sequence>, JournalError> {
        let mut holder = index;
        while token < self.streams[holder].reader.origin() {
            let forks = &self.streams[holder].forks;
            let parent = (0..forks.len()).rev().find_map(|depth| {
                self.streams.iter().position(|stream| stream.forks == forks[..depth])
            });
            let Some(parent) = parent else { break };
            holder = parent;
        }
        let stream = &mut self.streams[holder];
        let found = stream.lookup.get(token, &mut stream.reader)?;
        if found.is_none() {
            self.report.unresolved += 1;
        }
        Ok(found)
    }

    fn count(&mut self, body: &Body, cause: Option<Sequence>) {
        match body {
            Body::Gap { .. } => self.report.gaps += 1,
            Body::Open { .. }
            | Body::Call(_)
            | Body::AsyncCall { .. }
            | Body::Wait { .. }
            | Body::Map { .. }
            | Body::Unmap { .. }
            | Body::Close
            | Body::OtherCall(_) => self.enters += 1,
            Body::Opened
            | Body::OpenFailed { .. }
            | Body::Return(_)
            | Body::Woke { .. }
            | Body::Mapped { .. }
            | Body::Unmapped { .. }
            | Body::Closed { .. }
            | Body::OtherReturn { .. } => self.leaves += u64::from(cause.is_some()),
            _ => {}
        }
    }
}

impl Stream {
    /// Goes to the next event.
    fn advance(&mut self) -> Result<(), JournalError> {
        self.head = None;
        // By lane: those of a lane come just before its event, with other lanes' events between them.
        for entry in &mut self.reader {
            let entry = entry?;
            if let Content::Fields(text) = &entry.content {
                if self.waiting.len() < LANES_MAX {
                    self.waiting.insert(entry.stamp.lane, text.clone());
                }
                continue;
            }
            if entry.is_event() {
                self.fields = self.waiting.remove(&entry.stamp.lane);
                self.head = Some(entry);
                break;
            }
        }
        Ok(())
    }

    /// Time of the next event as far as the order among processes goes.
    fn next_time(&self) -> u64 {
        let next = self.head.as_ref().filter(|entry| matches!(entry.content, Content::Event(_)));
        next.map_or(self.time, |entry| entry.stamp.time.max(self.time))
    }
}
