//! The registry, and opening.

use super::super::key::{self, Simple};
use super::connection::ImposedConnection;
use super::queue::ImposedQueue;
use super::state::Shared;
use dextape::IoReturn;
use dextape::call::ServiceId;
use dextape::connection::{
    CompletionQueue, Connection, EndObserver, Matching, NoticeQueue, System, Value,
};
use dextape::memory::SharedBuffer;
use dextape::schedule::Schedule;
use dextape::tape::{Body, Tape};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Imposes what a tape holds on a mock. The bytes of the tape are in its events.
pub(crate) fn imposed(mock: Arc<dyn System>, tape: &Arc<Tape>) -> Arc<dyn System> {
    if tape.events().is_empty() {
        return mock;
    }
    let shared = Arc::new(Shared::new(tape, mock.schedule()));
    Arc::new(ImposedSystem { mock, shared })
}

#[derive(Debug)]
struct ImposedSystem {
    mock: Arc<dyn System>,
    shared: Arc<Shared>,
}

impl ImposedSystem {
    fn read(
        &self,
        service: ServiceId,
        key: Option<&str>,
    ) -> Option<Result<Option<Value>, IoReturn>> {
        let number = u64::from(self.shared.state().number(service));
        let held = self.shared.enter(&[Simple::Property { service: number, key }.key()])?;
        match self.shared.asked(&held) {
            Body::Property { outcome, .. } => Some(outcome.clone()),
            _ => None,
        }
    }
}

impl System for ImposedSystem {
    fn matching_services(&self, matching: &Matching) -> Result<Vec<ServiceId>, IoReturn> {
        let found = self.mock.matching_services(matching);
        let mut state = self.shared.state();
        for service in found.iter().flatten() {
            state.number(*service);
        }
        drop(state);
        let held = self.shared.enter(&[key::matching(matching, false)]);
        match held.as_ref().map(|held| self.shared.asked(held)) {
            Some(Body::Matched { outcome: Ok(numbers), .. }) => {
                // What was there besides is not on the mock.
                let state = self.shared.state();
                Ok(numbers.iter().filter_map(|number| state.service(*number)).collect())
            }
            Some(Body::Matched { outcome: Err(result), .. }) => Err(*result),
            _ => found,
        }
    }

    fn property(&self, service: ServiceId, key: &str) -> Result<Option<Value>, IoReturn> {
        self.read(service, Some(key)).unwrap_or_else(|| self.mock.property(service, key))
    }

    fn properties(&self, service: ServiceId) -> Result<BTreeMap<String, Value>, IoReturn> {
        match self.read(service, None) {
            Some(Ok(Some(Value::Dictionary(properties)))) => Ok(properties),
            Some(Err(result)) => Err(result),
            _ => self.mock.properties(service),
        }
    }

    fn identify(&self, service: ServiceId) -> BTreeMap<String, Value> {
        self.mock.identify(service)
    }

    fn open(&self, service: ServiceId, open_type: u32) -> Result<Box<dyn Connection>, IoReturn> {
        let number = u64::from(self.shared.state().number(service));
        let held = self.shared.enter(&[Simple::Open { service: number, open_type }.key()]);
        if let Some(Body::OpenFailed { result }) = held.and_then(|held| self.shared.answer(&held)) {
            return Err(*result);
        }
        let mock = self.mock.open(service, open_type)?;
        let mut state = self.shared.state();
        state.connections += 1;
        let number = state.connections;
        drop(state);
        Ok(Box::new(ImposedConnection::new(mock, Arc::clone(&self.mock), &self.shared, number)))
    }

    fn watch(&self, matching: &Matching) -> Result<Arc<dyn NoticeQueue>, IoReturn> {
        self.mock.watch(matching)
    }

    fn observe_ends(&self, observer: EndObserver) -> bool {
        self.mock.observe_ends(observer)
    }

    fn completion_queue(&self) -> Arc<dyn CompletionQueue> {
        Arc::new(ImposedQueue::new(self.mock.completion_queue(), &self.shared.schedule))
    }

    fn address_of(&self, buffer: &SharedBuffer) -> u64 {
        self.mock.address_of(buffer)
    }

    fn check_wait(&self, waited: Duration) {
        self.mock.check_wait(waited);
    }

    fn schedule(&self) -> &Schedule {
        self.mock.schedule()
    }
}
