//! A system that records what its client finds, reads and opens.

use super::connection::RecordingConnection;
use super::context::Context;
use super::notices::RecordingNotices;
use super::queue::RecordingQueue;
use crate::journal::Record;
use dextape::IoReturn;
use dextape::call::ServiceId;
use dextape::connection::{
    CompletionQueue, Connection, Ended, Matching, NoticeQueue, System, Value,
};
use dextape::memory::SharedBuffer;
use dextape::schedule::Schedule;
use dextape::tape::ServiceIdentity;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct RecordingSystem {
    context: Arc<Context>,
    inner: Arc<dyn System>,
}

impl RecordingSystem {
    pub(crate) fn new(context: Arc<Context>, inner: Arc<dyn System>) -> Self {
        let watching = Arc::downgrade(&context);
        let sees_ends = inner.observe_ends(Arc::new(move |ended| {
            if let Some(context) = watching.upgrade() {
                terminated(&context, ended);
            }
        }));
        context.sees_ends(sees_ends);
        Self { context, inner }
    }

    fn service(&self, service: ServiceId) -> u32 {
        number_service(&self.context, &*self.inner, service)
    }
}

/// Number of a service on the tape. When the client sees it first, the tape is told which one it is.
pub(crate) fn number_service(context: &Context, system: &dyn System, service: ServiceId) -> u32 {
    let (number, new) = context.handles().service(service, &context.session.numbers);
    if new && context.session.is_recording() {
        // The recorder's own look at the registry: no event, since the client did not do it.
        let properties = system.identify(service);
        let identity = identity(context.hook().values(&properties).unwrap_or(properties));
        let record = Record::Service { service: number, identity: &identity };
        context.append_device(None, None, &record);
    }
    number
}

/// Something has ended at this moment. The tape is told where the client knows it.
fn terminated(context: &Context, ended: Ended) {
    let handles = context.handles();
    let (service, connection) = match ended {
        Ended::Service(service) => (handles.known_service(service), None),
        Ended::Connection(connection) => (None, handles.connection(connection)),
    };
    drop(handles);
    if service.is_some() || connection.is_some() {
        context.append_device(connection, None, &Record::Terminated { service });
    }
}

fn identity(mut properties: BTreeMap<String, Value>) -> ServiceIdentity {
    let mut text = |keys: &[&str]| {
        keys.iter().find_map(|key| match properties.remove(*key) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        })
    };
    ServiceIdentity {
        class: text(&["IOObjectClass", "IOClass", Matching::CLASS]),
        name: text(&["IORegistryEntryName", Matching::NAME]),
        user_class: text(&[Matching::USER_CLASS]),
        bundle_id: text(&[Matching::BUNDLE_ID]),
        version: text(&["CFBundleVersion"]),
    }
}

impl System for RecordingSystem {
    fn matching_services(&self, matching: &Matching) -> Result<Vec<ServiceId>, IoReturn> {
        let outcome = self.inner.matching_services(matching);
        let numbers: Result<Vec<u32>, IoReturn> = match &outcome {
            Ok(services) => Ok(services.iter().map(|service| self.service(*service)).collect()),
            Err(result) => Err(*result),
        };
        let found = numbers.as_deref().map_err(|result| *result);
        let redacted = self.context.hook().matching(matching);
        let matching = redacted.as_ref().unwrap_or(matching);
        self.context.append(None, None, &Record::Matched { matching, outcome: found });
        outcome
    }

    fn property(&self, service: ServiceId, key: &str) -> Result<Option<Value>, IoReturn> {
        let outcome = self.inner.property(service, key);
        let value = outcome.as_ref().map(Option::as_ref).map_err(|result| *result);
        let redacted = value.ok().flatten().and_then(|it| self.context.hook().value(key, it));
        let outcome_on_tape = value.map(|value| redacted.as_ref().or(value));
        let service = self.service(service);
        let record = Record::Property { service, key: Some(key), outcome: outcome_on_tape };
        self.context.append(None, None, &record);
        outcome
    }

    fn properties(&self, service: ServiceId) -> Result<BTreeMap<String, Value>, IoReturn> {
        let outcome = self.inner.properties(service);
        if self.context.session.is_recording() {
            let values = outcome.as_ref().map(|properties| {
                let redacted = self.context.hook().values(properties);
                Value::Dictionary(redacted.unwrap_or_else(|| properties.clone()))
            });
            let outcome = values.as_ref().map(Some).map_err(|result| **result);
            let service = self.service(service);
            self.context.append(None, None, &Record::Property { service, key: None, outcome });
        }
        outcome
    }

    fn open(&self, service: ServiceId, open_type: u32) -> Result<Box<dyn Connection>, IoReturn> {
        let number = self.service(service);
        let enter = self.context.append(None, None, &Record::Open { service: number, open_type });
        match self.inner.open(service, open_type) {
            Ok(inner) => {
                let number = self.context.session.numbers.connections.next();
                self.context.leave(Some(number), enter, &Record::Opened);
                self.context.handles().opened(inner.id(), number);
                let (context, system) = (Arc::clone(&self.context), Arc::clone(&self.inner));
                Ok(Box::new(RecordingConnection::new(context, system, inner, number)))
            }
            Err(result) => {
                self.context.leave(None, enter, &Record::OpenFailed { result });
                Err(result)
            }
        }
    }

    fn address_of(&self, buffer: &SharedBuffer) -> u64 {
        self.inner.address_of(buffer)
    }

    fn watch(&self, matching: &Matching) -> Result<Arc<dyn NoticeQueue>, IoReturn> {
        let watched = self.inner.watch(matching);
        let redacted = self.context.hook().matching(matching);
        let matching = redacted.as_ref().unwrap_or(matching);
        match watched {
            Ok(inner) => {
                let queue = self.context.session.numbers.queues.next();
                let record = Record::Watch { queue, matching, result: IoReturn::SUCCESS };
                let watch = self.context.append(None, None, &record);
                let context = Arc::clone(&self.context);
                let system = Arc::clone(&self.inner);
                Ok(Arc::new(RecordingNotices::new(context, system, inner, queue, watch)))
            }
            Err(result) => {
                // No queue came of it: 0 is the number of none.
                self.context.append(None, None, &Record::Watch { queue: 0, matching, result });
                Err(result)
            }
        }
    }

    fn completion_queue(&self) -> Arc<dyn CompletionQueue> {
        let inner = self.inner.completion_queue();
        let number = self.context.session.numbers.queues.next();
        self.context.append(None, None, &Record::Queue { queue: number });
        Arc::new(RecordingQueue::new(Arc::clone(&self.context), inner, number))
    }

    fn check_wait(&self, waited: Duration) {
        self.inner.check_wait(waited);
    }

    fn schedule(&self) -> &Schedule {
        self.inner.schedule()
    }
}
