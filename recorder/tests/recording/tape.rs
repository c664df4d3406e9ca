//! A client on the test device with a recorder between, and what the journal holds of it.

use super::device::Device;
use dextape::call::ServiceId;
use dextape::connection::{Connection, System};
use dextape::schedule::Schedule;
use dextape::tape::Body;
use dextape_recorder::journal::{Content, JournalReader, Stamp};
use dextape_recorder::recording::{RecordOptions, RecordingSession};
use std::sync::Arc;

pub(crate) struct Recorded {
    pub(crate) device: Arc<Device>,
    pub(crate) system: Arc<dyn System>,
    pub(crate) session: Arc<RecordingSession>,
    _folder: tempfile::TempDir,
}

/// An event as it stands in the journal. Causes and the like are positions of other events.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) position: u64,
    pub(crate) stamp: Stamp,
    pub(crate) body: Body,
}

impl Written {
    pub(crate) fn cause(&self) -> Option<u64> {
        self.stamp.cause.map(|cause| cause.get())
    }
}

impl Recorded {
    pub(crate) fn start(schedule: &Schedule, shows_posts: bool, options: RecordOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let session = RecordingSession::start(&folder.path().join("journal"), options).unwrap();
        let device = Device::new(schedule, shows_posts);
        let system = session.wrap(device.system());
        Self { device, system, session, _folder: folder }
    }

    pub(crate) fn open(&self) -> Box<dyn Connection> {
        self.system.open(ServiceId(4711), 0).unwrap()
    }

    /// All that the journal holds now, as another process would read it.
    pub(crate) fn contents(&self) -> Vec<(u64, Stamp, Content)> {
        let reader = JournalReader::open(self.session.path()).unwrap();
        let entry = |entry: Result<dextape_recorder::journal::Entry, _>| {
            let entry = entry.unwrap();
            (entry.position, entry.stamp, entry.content)
        };
        reader.map(entry).collect()
    }

    pub(crate) fn events(&self) -> Vec<Written> {
        let event = |(position, stamp, content)| match content {
            Content::Event(body) => Some(Written { position, stamp, body }),
            _ => None,
        };
        self.contents().into_iter().filter_map(event).collect()
    }

    /// The events behind the first that `is_first` finds, that one included.
    pub(crate) fn events_from(&self, is_first: impl Fn(&Body) -> bool) -> Vec<Written> {
        self.events().into_iter().skip_while(|event| !is_first(&event.body)).collect()
    }
}

/// The kinds of events, in order.
pub(crate) fn kinds(events: &[Written]) -> Vec<&str> {
    events.iter().map(|event| event.body.name()).collect()
}
