//! A system that is served from the tape.

use super::connection::ReplayConnection;
use super::program::{NONE, StepIndex};
use super::queue::{ReplayNotices, ReplayQueue};
use super::request::Request;
use super::session::{Clock, Session};
use crate::IoReturn;
use crate::call::ServiceId;
use crate::connection::{CompletionQueue, Connection, Matching, NoticeQueue, System, Value};
use crate::memory::{ClientAddresses, SharedBuffer};
use crate::schedule::Schedule;
use crate::tape::Body;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The registry's stream under `ordered`.
const REGISTRY: u32 = 0;

/// The system of a tape.
#[derive(Debug)]
pub(super) struct ReplaySystem {
    session: Arc<Session>,
    clock: Arc<Clock>,
    /// Where the client's own memory lies: as where it was recorded on a mock.
    own: Mutex<ClientAddresses>,
}

impl ReplaySystem {
    pub(super) fn new(session: &Arc<Session>, schedule: &Schedule) -> Self {
        let clock = Arc::new(session.clock(schedule));
        Self { session: Arc::clone(session), clock, own: Mutex::default() }
    }

    fn perform(&self, request: &Request<'_>) -> Result<StepIndex, IoReturn> {
        self.session.perform(&self.clock, REGISTRY, request)
    }

    /// The event of a step that is enter and leave in one.
    fn body(&self, step: StepIndex) -> &Body {
        let program = &self.session.program;
        &program.event(program.step(step).enter).body
    }

    fn read(&self, service: ServiceId, key: Option<&str>) -> Result<Option<Value>, IoReturn> {
        let step = match self.perform(&Request::Property { service: service.0, key }) {
            // Nothing on the tape tells of it.
            Err(IoReturn::SUCCESS) => return Ok(None),
            step => step?,
        };
        match self.body(step) {
            Body::Property { outcome, .. } => outcome.clone(),
            _ => Ok(None),
        }
    }
}

impl System for ReplaySystem {
    fn matching_services(&self, matching: &Matching) -> Result<Vec<ServiceId>, IoReturn> {
        let step = self.perform(&Request::Matched(matching))?;
        match self.body(step) {
            Body::Matched { outcome: Ok(services), .. } => {
                Ok(services.iter().map(|service| ServiceId(u64::from(*service))).collect())
            }
            _ => Err(self.session.program.step(step).result),
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

    fn identify(&self, service: ServiceId) -> BTreeMap<String, Value> {
        let services = &self.session.program.tape.header().services;
        let noted = u32::try_from(service.0).ok().and_then(|number| services.get(&number));
        let Some(noted) = noted else { return BTreeMap::new() };
        let text = [
            ("IOClass", &noted.class),
            (Matching::NAME, &noted.name),
            (Matching::USER_CLASS, &noted.user_class),
            (Matching::BUNDLE_ID, &noted.bundle_id),
            ("CFBundleVersion", &noted.version),
        ];
        text.into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), Value::String(value.clone()?))))
            .collect()
    }

    fn open(&self, service: ServiceId, open_type: u32) -> Result<Box<dyn Connection>, IoReturn> {
        let step = self.perform(&Request::Open { service: service.0, open_type })?;
        self.session.pass_time(&self.clock, step);
        let step = self.session.program.step(step);
        match step.connection {
            NONE => Err(step.result),
            number => Ok(Box::new(ReplayConnection::new(&self.session, &self.clock, number))),
        }
    }

    fn watch(&self, matching: &Matching) -> Result<Arc<dyn NoticeQueue>, IoReturn> {
        let step = self.perform(&Request::Watch(matching))?;
        let step = self.session.program.step(step);
        step.result.ok()?;
        Ok(Arc::new(ReplayNotices::new(&self.session, &self.clock, step.selector)))
    }

    fn completion_queue(&self) -> Arc<dyn CompletionQueue> {
        // Where the answer is invented, the queue is one that the tape says nothing of.
        let number = match self.perform(&Request::Queue) {
            Ok(step) => self.session.program.step(step).selector,
            Err(_invented) => self.session.queue_across(),
        };
        Arc::new(ReplayQueue::new(&self.session, &self.clock, number))
    }

    fn address_of(&self, buffer: &SharedBuffer) -> u64 {
        self.own.lock().unwrap_or_else(PoisonError::into_inner).address_of(buffer)
    }

    fn check_wait(&self, waited: Duration) {
        self.session.check_wait(&self.clock, waited);
    }

    fn schedule(&self) -> &Schedule {
        &self.clock.schedule
    }
}
