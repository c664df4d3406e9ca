//! A system that answers everything.

use super::LenientError;
use super::connection::LenientConnection;
use super::held::Held;
use super::key::{self, Simple};
use super::mark::inlined;
use super::ordinary::Ordinary;
use super::queue::{Arrivals, LenientNotices, LenientQueue, QueueHandle};
use super::state::Shared;
use dextape::IoReturn;
use dextape::call::ServiceId;
use dextape::connection::{
    CompletionQueue, Connection, Matching, Notice, NoticeKind, NoticeQueue, System, Value,
};
use dextape::memory::SharedBuffer;
use dextape::schedule::Schedule;
use dextape::tape::{Body, Tape};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A tape that answers leniently: what it holds as it was, all else as usual.
///
/// # Examples
///
/// ```
/// use dextape::connection::Matching;
/// use dextape::schedule::Schedule;
/// use dextape::tape::{Header, Tape};
/// use dextape_lab::Lenient;
/// use std::sync::Arc;
///
/// // A tape that holds nothing at all.
/// let lenient = Lenient::new(Arc::new(Tape::new(Header::mock(), vec![])))?;
/// let system = lenient.system(&Schedule::free());
/// let service = system.first_service(&Matching::service("AppleSMC"))?;
/// assert!(system.open(service, 0).is_ok());
/// assert_eq!(lenient.report().held, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Lenient {
    tape: Arc<Tape>,
    held: Arc<Held>,
    ordinary: Arc<Ordinary>,
    runs: Mutex<Vec<Arc<Shared>>>,
}

/// What a client was answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LenientReport {
    /// Operations that the client made, accesses to memory and polls among them.
    pub operations: u64,
    /// Operations that the tape held.
    pub held: u64,
}

impl Lenient {
    /// Makes a tape ready. One that was not [marked](super::mark) tells itself what is ordinary.
    ///
    /// # Errors
    ///
    /// [`LenientError`] where bytes of the tape cannot be read, or what its header says.
    pub fn new(mut tape: Arc<Tape>) -> Result<Self, LenientError> {
        if !tape.blobs().is_empty() {
            tape = Arc::new(inlined(&tape)?);
        }
        let told = Ordinary::of_header(tape.header())?;
        let ordinary = Arc::new(told.unwrap_or_else(|| Ordinary::of_tape(&tape)));
        let held = Arc::new(Held::of(&tape));
        Ok(Self { tape, held, ordinary, runs: Mutex::default() })
    }

    /// A system of its own, which begins at the beginning.
    ///
    /// # Panics
    ///
    /// Operations on what comes from it panic where the client has made more than eight times as many as
    /// the whole tape held, and some: it does not come to an end.
    #[must_use]
    pub fn system(&self, schedule: &Schedule) -> Arc<dyn System> {
        let shared = Arc::new(Shared::new(&self.tape, &self.held, &self.ordinary, schedule));
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.push(Arc::clone(&shared));
        Arc::new(LenientSystem { shared })
    }

    /// What the clients of all its systems were answered.
    #[must_use]
    pub fn report(&self) -> LenientReport {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.iter().fold(LenientReport::default(), |told, run| {
            let (operations, held) = run.counted();
            LenientReport { operations: told.operations + operations, held: told.held + held }
        })
    }
}

#[derive(Debug)]
struct LenientSystem {
    shared: Arc<Shared>,
}

impl LenientSystem {
    /// The event that the tape holds for what is asked.
    fn held(&self, key: u64) -> Option<&Body> {
        let operation = self.shared.enter(&[key])?;
        self.shared.after(operation);
        self.shared.leave(operation);
        Some(&self.shared.tape.events()[operation.enter].body)
    }

    fn services(&self, matching: &Matching) -> Vec<u32> {
        let known = self.shared.ordinary.services.get(&format!("{matching:?}"));
        known.cloned().unwrap_or_else(|| vec![1])
    }

    fn read(&self, service: ServiceId, key: Option<&str>) -> Result<Option<Value>, IoReturn> {
        match self.held(Simple::Property { service: service.0, key }.key()) {
            Some(Body::Property { outcome, .. }) => outcome.clone(),
            _ => Ok(None),
        }
    }
}

fn services(numbers: &[u32]) -> Vec<ServiceId> {
    numbers.iter().map(|number| ServiceId(u64::from(*number))).collect()
}

impl System for LenientSystem {
    fn matching_services(&self, matching: &Matching) -> Result<Vec<ServiceId>, IoReturn> {
        match self.held(key::matching(matching, false)) {
            Some(Body::Matched { outcome, .. }) => {
                outcome.as_deref().map(services).map_err(|it| *it)
            }
            _ => Ok(services(&self.services(matching))),
        }
    }

    fn property(&self, service: ServiceId, key: &str) -> Result<Option<Value>, IoReturn> {
        self.read(service, Some(key))
    }

    fn properties(&self, service: ServiceId) -> Result<BTreeMap<String, Value>, IoReturn> {
        match self.read(service, None)? {
            Some(Value::Dictionary(properties)) => Ok(properties),
            _ => Ok(BTreeMap::new()),
        }
    }

    fn identify(&self, _service: ServiceId) -> BTreeMap<String, Value> {
        BTreeMap::new()
    }

    fn open(&self, service: ServiceId, open_type: u32) -> Result<Box<dyn Connection>, IoReturn> {
        let key = Simple::Open { service: service.0, open_type }.key();
        let mut number = None;
        if let Some(operation) = self.shared.enter(&[key]) {
            self.shared.leave(operation);
            let leave = operation.leave.map(|leave| &self.shared.tape.events()[leave]);
            match leave.map(|leave| (&leave.body, leave.connection)) {
                Some((Body::OpenFailed { result }, _)) => return Err(*result),
                Some((_, connection)) => number = connection,
                None => {}
            }
        }
        let mut state = self.shared.state();
        state.connections += 1;
        let number = number.unwrap_or(state.connections);
        drop(state);
        Ok(Box::new(LenientConnection::new(&self.shared, number)))
    }

    fn watch(&self, matching: &Matching) -> Result<Arc<dyn NoticeQueue>, IoReturn> {
        let held = self.held(key::matching(matching, true));
        if let Some(Body::Watch { result, .. }) = held
            && !result.is_success()
        {
            return Err(*result);
        }
        let notices = Arrivals::new(&self.shared);
        let events = self.shared.tape.events();
        let places = held.and_then(|_| self.shared.held.notices.get(&notices.number()));
        match places {
            Some(places) => {
                let began = self.shared.schedule.now();
                for place in places {
                    let event = &events[*place];
                    if let Body::Notice { kind, service, .. } = event.body {
                        let due = self.shared.delay(event.time).saturating_sub(began);
                        let service = ServiceId(u64::from(service));
                        notices.send(Notice { kind, service }, due);
                    }
                }
            }
            None if self.shared.ordinary.notices => {
                for service in services(&self.services(matching)) {
                    let kind = NoticeKind::Arrived;
                    notices.send(Notice { kind, service }, std::time::Duration::ZERO);
                }
            }
            None => {}
        }
        Ok(Arc::new(LenientNotices(notices)))
    }

    fn completion_queue(&self) -> Arc<dyn CompletionQueue> {
        Arc::new(QueueHandle(Arc::new(LenientQueue::new(&self.shared))))
    }

    fn address_of(&self, buffer: &SharedBuffer) -> u64 {
        self.shared.state().own.address_of(buffer)
    }

    fn schedule(&self) -> &Schedule {
        &self.shared.schedule
    }
}
