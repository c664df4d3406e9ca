//! What everything that belongs to one wrapped system shares: its session, its clock, its handles.

use super::LongWrites;
use super::memory::WatchedMemory;
use super::numbers::Handles;
use super::redact::{FieldPlace, Hook, Passed};
use super::session::{RecordingSession, nanoseconds};
use super::watch::result_of;
use crate::journal::{Data, Record, Stamp, Token};
use dextape::schedule::Schedule;
use dextape::tape::{Digest, NoteSubject};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The lane of the device's side.
const DEVICE_LANE: u32 = 0;

pub(crate) struct Context {
    pub(crate) session: Arc<RecordingSession>,
    pub(crate) schedule: Schedule,
    /// Number of the system within its session.
    pub(crate) system: u32,
    /// What the schedule's clock showed when recording began, in nanoseconds; wraps.
    began: u64,
    handles: Mutex<Handles<Arc<WatchedMemory>>>,
    /// The system tells when something ends on the other side.
    sees_ends: AtomicBool,
}

impl Context {
    pub(crate) fn new(session: Arc<RecordingSession>, schedule: Schedule, began: u64) -> Self {
        let system = session.numbers.systems.next();
        Self {
            session,
            schedule,
            system,
            began,
            handles: Mutex::new(Handles::new()),
            sees_ends: AtomicBool::new(false),
        }
    }

    /// Numbers of this system's handles. Not to be held across a call of the inner system.
    pub(crate) fn handles(&self) -> MutexGuard<'_, Handles<Arc<WatchedMemory>>> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the system tells when something ends on the other side.
    pub(crate) fn sees_ends(&self, sees: bool) {
        self.sees_ends.store(sees, Ordering::Relaxed);
    }

    /// True where the tape learns of an end only when the client does.
    pub(crate) fn ends_by_notice(&self) -> bool {
        !self.sees_ends.load(Ordering::Relaxed)
    }

    pub(crate) fn hook(&self) -> &Hook {
        &self.session.hook
    }

    /// Appends an event to the calling thread's lane. `None` where it is not on the tape.
    #[inline]
    pub(crate) fn append(
        &self,
        connection: Option<u32>,
        cause: Option<Token>,
        record: &Record<'_>,
    ) -> Option<Token> {
        if !self.session.is_recording() {
            return None;
        }
        let time = self.time();
        let token = self.session.lanes.with(|lane| {
            let stamp = Stamp { lane: lane.number, connection, cause, time: lane.time(time) };
            let token = self.session.journal.append(stamp, record)?;
            lane.event(token);
            // A patch belongs to a read, which is no operation of its own.
            if !matches!(record, Record::Patch { .. }) {
                lane.polls.clear();
            }
            Some(token)
        })?;
        self.tell(record, |note| {
            self.session.lanes.with(|lane| {
                let (lane_number, time) = (lane.number, lane.time(time));
                let stamp = Stamp { lane: lane_number, connection: None, cause: None, time };
                let noted = self.session.journal.append(stamp, note);
                noted.into_iter().for_each(|token| lane.event(token));
            });
        });
        Some(token)
    }

    /// Tells whoever watches of a result, and has `append` note that.
    #[inline]
    fn tell(&self, record: &Record<'_>, append: impl FnOnce(&Record<'_>)) {
        let Some((result, what)) = result_of(record) else { return };
        let Some(watch) = self.session.watch_for(result) else { return };
        let reason = format!("{what} came back with {result}");
        append(&Record::Note { subject: NoteSubject::Trigger, memory: None, reason: &reason });
        watch.triggered(&self.session, &reason, Some(result));
    }

    /// Further fields of the calling thread's next event.
    pub(crate) fn fields(&self, connection: Option<u32>, key: &str, value: serde_json::Value) {
        if self.session.is_recording() {
            let map = serde_json::Map::from_iter([(key.to_owned(), value)]);
            let text = serde_json::Value::Object(map).to_string();
            let time = self.time();
            self.session.lanes.with(|lane| {
                let stamp =
                    Stamp { lane: lane.number, connection, cause: None, time: lane.time(time) };
                self.session.journal.append(stamp, &Record::Fields(&text));
            });
        }
    }

    /// Appends the leave of what `enter` began. Where the enter is not on the tape, neither is the
    /// leave.
    #[inline]
    pub(crate) fn leave(
        &self,
        connection: Option<u32>,
        enter: Option<Token>,
        record: &Record<'_>,
    ) -> Option<Token> {
        self.append(connection, Some(enter?), record)
    }

    /// Appends an event of the device's side.
    pub(crate) fn append_device(
        &self,
        connection: Option<u32>,
        cause: Option<Token>,
        record: &Record<'_>,
    ) -> Option<Token> {
        if !self.session.is_recording() {
            return None;
        }
        let stamp = Stamp { lane: DEVICE_LANE, connection, cause, time: self.time() };
        let token = self.session.journal.append(stamp, record)?;
        self.tell(record, |note| {
            let stamp = Stamp { connection: None, cause: None, ..stamp };
            self.session.journal.append(stamp, note);
        });
        Some(token)
    }

    /// Nanoseconds since recording began.
    fn time(&self) -> u64 {
        nanoseconds(self.schedule.now()).wrapping_sub(self.began)
    }

    /// Bytes that the client hands in, redacted, as the policy for long writes has them.
    pub(crate) fn handed_in<'a>(&self, place: &FieldPlace<'_>, bytes: &'a [u8]) -> HandedIn<'a> {
        let passed = self.hook().bytes(place, bytes);
        let hash = match (self.session.long_writes, passed.data()) {
            (LongWrites::HashOver(most), Data::Bytes(bytes)) if bytes.len() as u64 > most => {
                Some(Data::Hash { digest: Digest::of(bytes), length: bytes.len() as u64 })
            }
            _ => None,
        };
        HandedIn { passed, hash }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("system", &self.system).finish_non_exhaustive()
    }
}

/// Bytes that the client handed in, on their way to the journal.
#[derive(Debug)]
pub(crate) struct HandedIn<'a> {
    passed: Passed<'a>,
    hash: Option<Data<'static>>,
}

impl HandedIn<'_> {
    pub(crate) fn data(&self) -> Data<'_> {
        self.hash.unwrap_or_else(|| self.passed.data())
    }
}
