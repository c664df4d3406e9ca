//! One client thread of the tape.

use super::DifferenceKind;
use super::session::Session;
use dextape::IoReturn;
use dextape::call::{Completion, MapOptions, ServiceId};
use dextape::connection::{Connection, OtherCall as Asked, Value};
use dextape::tape::{Body, Event, OtherCall};
use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

/// The events of a lane, and how far it has come.
pub(super) struct Lane {
    pub(super) session: Arc<Session>,
    events: Vec<usize>,
}

/// A result, or that there is none.
pub(super) fn shown(result: Result<(), IoReturn>) -> String {
    result.map_or_else(|code| code.to_string(), |()| "success".to_owned())
}

impl Lane {
    pub(super) fn new(session: Arc<Session>, events: Vec<usize>) -> Self {
        Self { session, events }
    }

    /// Performs the operations one after the other.
    pub(super) fn run(&self) {
        let session = &*self.session;
        let mut done = BTreeSet::new();
        for (index, place) in self.events.iter().copied().enumerate() {
            let event = session.event(place);
            if !done.contains(&place) && !event.body.is_leave() {
                if !session.pace.turn(event.sequence, event.time) {
                    let found = "another one is still waited for";
                    let recorded = &"that all before it are over";
                    session.differs(place, DifferenceKind::Order, "its turn", recorded, &found);
                }
                session.pace.done(event.sequence);
                session.made();
                let leave =
                    if event.body.is_enter() { session.leave(event.sequence) } else { None };
                if event.body.is_enter() && leave.is_none() {
                    // It never came back on the tape, and nothing of this lane comes after it.
                    return;
                }
                // What a wait brought stands between its enter and its leave.
                let within: Vec<usize> = self.events[index + 1..]
                    .iter()
                    .copied()
                    .take_while(|within| leave.is_some_and(|leave| *within < leave))
                    .collect();
                self.perform(place, event, leave, &within);
                for within in within {
                    done.insert(within);
                    session.pace.done(session.event(within).sequence);
                }
            }
            session.pace.done(event.sequence);
        }
    }

    fn differs(&self, place: usize, kind: DifferenceKind, part: &str, told: [&dyn Display; 2]) {
        let [recorded, found] = told;
        self.session.differs(place, kind, part, recorded, found);
    }

    /// Compares two results.
    fn results(&self, place: usize, recorded: Result<(), IoReturn>, found: Result<(), IoReturn>) {
        if recorded != found {
            let told = [&shown(recorded) as &dyn Display, &shown(found)];
            self.differs(place, DifferenceKind::Result, "the result", told);
        }
    }

    /// The connection that an event is of; without one the operation cannot be made.
    pub(super) fn connection(&self, place: usize) -> Option<Arc<dyn Connection>> {
        let number = self.session.event(place).connection;
        let connection =
            number.and_then(|number| self.session.things().connections.get(&number).cloned());
        if connection.is_none() {
            let told = [&"a connection" as &dyn Display, &"has none: its open failed"];
            self.differs(place, DifferenceKind::NotMade, "what it is made on", told);
        }
        connection
    }

    fn perform(&self, place: usize, event: &Event, leave: Option<usize>, within: &[usize]) {
        let session = &*self.session;
        let leave_body = leave.map(|leave| &session.event(leave).body);
        match (&event.body, leave_body) {
            (Body::Matched { matching, outcome }, _) => {
                let found = session.system.matching_services(matching);
                self.services(place, outcome, &found);
            }
            (Body::Property { service, key, outcome }, _) => {
                self.property(place, *service, key.as_deref(), outcome);
            }
            (Body::Watch { queue, matching, result }, _) => {
                let found = session.system.watch(matching);
                self.results(place, result.ok(), found.as_ref().map(drop).map_err(|code| *code));
                if let Ok(notices) = found {
                    session.things().notices.insert(*queue, notices);
                }
            }
            (Body::Notice { .. }, _) => self.notice(place, None),
            (Body::Queue { queue }, _) => {
                let made = session.system.completion_queue();
                session.things().completions.insert(*queue, made);
            }
            (Body::Delivered { .. }, _) => self.delivered(place, None),
            (Body::Wait { queue, timeout }, Some(_)) => {
                self.wait(place, leave, within, *queue, *timeout);
            }
            (Body::Open { service, open_type }, Some(opened)) => {
                self.open(place, leave, (*service, *open_type), opened);
            }
            (Body::Call(call), Some(Body::Return(recorded))) => {
                self.call(place, call, None, recorded);
            }
            (Body::AsyncCall { call, queue, reference }, Some(Body::Return(recorded))) => {
                self.call(place, call, Some((*queue, reference.as_deref())), recorded);
            }
            (Body::Map { memory_type, options, address }, Some(Body::Mapped { outcome })) => {
                let Some(connection) = self.connection(place) else { return };
                let options = MapOptions(*options);
                let found = connection.map_memory(*memory_type, options, *address);
                self.mapped(place, outcome, found);
            }
            (Body::Unmap { memory_type, memory }, Some(Body::Unmapped { result })) => {
                let Some(connection) = self.connection(place) else { return };
                let address = memory.map_or(0, |memory| self.address(memory));
                let found = connection.unmap_memory(*memory_type, address);
                self.results(place, result.ok(), found.ok());
            }
            (Body::Close, Some(Body::Closed { result })) => {
                let Some(connection) = self.connection(place) else { return };
                self.results(place, result.ok(), connection.close().ok());
            }
            (Body::OtherCall(call), Some(Body::OtherReturn { outcome })) => {
                let Some(connection) = self.connection(place) else { return };
                let found = self.other(&*connection, call);
                let recorded = outcome.map(drop);
                self.results(place, recorded, found.map(drop));
                if let (Ok(Some(number)), Ok(Some(service))) = (outcome, found) {
                    self.bind(place, *number, service);
                }
            }
            (Body::Write { memory, offset, width, data }, _) => {
                self.write(place, *memory, *offset, *width, data);
            }
            (Body::Update { memory, offset, width, update }, _) => {
                self.update(place, *memory, *offset, *width, *update);
            }
            (Body::Patch { memory, offset, data, .. }, _) => {
                self.patch(place, *memory, *offset, data);
            }
            _ => {}
        }
    }

    fn bind(&self, place: usize, number: u32, service: ServiceId) {
        if !self.session.things().bind_service(number, service) {
            let told = [&format!("service {number}") as &dyn Display, &"has another one"];
            self.differs(place, DifferenceKind::Registry, "the service", told);
        }
    }

    fn services(
        &self,
        place: usize,
        recorded: &Result<Vec<u32>, IoReturn>,
        found: &Result<Vec<ServiceId>, IoReturn>,
    ) {
        match (recorded, found) {
            (Ok(recorded), Ok(found)) if recorded.len() == found.len() => {
                for (number, service) in recorded.iter().zip(found) {
                    self.bind(place, *number, *service);
                }
            }
            (Ok(recorded), Ok(found)) => {
                let told = [&recorded.len() as &dyn Display, &found.len()];
                self.differs(place, DifferenceKind::Registry, "the number of services", told);
                for (number, service) in recorded.iter().zip(found) {
                    self.session.things().bind_service(*number, *service);
                }
            }
            (recorded, found) => {
                let recorded = recorded.as_ref().map(drop).map_err(|code| *code);
                self.results(place, recorded, found.as_ref().map(drop).map_err(|code| *code));
            }
        }
    }

    fn property(
        &self,
        place: usize,
        service: u32,
        key: Option<&str>,
        recorded: &Result<Option<Value>, IoReturn>,
    ) {
        let service = self.session.things().services.get(&service).copied();
        let Some(service) = service else {
            let told = [&"a service" as &dyn Display, &"has none"];
            return self.differs(place, DifferenceKind::NotMade, "what it is read of", told);
        };
        let system = &self.session.system;
        let found = match key {
            Some(key) => system.property(service, key),
            None => system.properties(service).map(|all| Some(Value::Dictionary(all))),
        };
        if *recorded != found {
            let told = [&format!("{recorded:?}") as &dyn Display, &format!("{found:?}")];
            self.differs(place, DifferenceKind::Registry, "the property", told);
        }
    }

    fn open(
        &self,
        place: usize,
        leave: Option<usize>,
        (service, open_type): (u32, u32),
        recorded: &Body,
    ) {
        let session = &*self.session;
        let service = session.things().services.get(&service).copied();
        let Some(service) = service else {
            let told = [&"a service" as &dyn Display, &"has none"];
            return self.differs(place, DifferenceKind::NotMade, "what is opened", told);
        };
        let found = session.system.open(service, open_type);
        let recorded = match recorded {
            Body::OpenFailed { result } => Err(*result),
            _ => Ok(()),
        };
        self.results(place, recorded, found.as_ref().map(drop).map_err(|code| *code));
        let number = leave.and_then(|leave| session.event(leave).connection);
        if let (Some(number), Ok(connection)) = (number, found) {
            session.things().connections.insert(number, Arc::from(connection));
        }
    }

    fn wait(
        &self,
        place: usize,
        leave: Option<usize>,
        within: &[usize],
        queue: u32,
        timeout: Option<u64>,
    ) {
        let session = &*self.session;
        let took = leave
            .map_or(0, |leave| session.event(leave).time)
            .saturating_sub(session.event(place).time);
        let patience = Duration::from_nanos(took).saturating_add(session.options.patience);
        let limit = timeout.map_or(patience, Duration::from_nanos);
        match within.first() {
            Some(delivered) if matches!(session.event(*delivered).body, Body::Notice { .. }) => {
                self.notice(*delivered, Some(limit));
            }
            Some(delivered) => self.delivered(*delivered, Some(limit)),
            None => {
                // It timed out.
                let completions = session.things().completions.get(&queue).cloned();
                let notices = session.things().notices.get(&queue).cloned();
                let found = match (completions, notices) {
                    (Some(queue), _) => queue.wait(Some(limit)).map(|found| described(&found)),
                    (None, Some(queue)) => {
                        queue.wait(Some(limit)).map(|found| format!("{found:?}"))
                    }
                    (None, None) => None,
                };
                if let Some(found) = found {
                    let told = [&"that nothing comes" as &dyn Display, &found];
                    self.differs(place, DifferenceKind::Completion, "what is waited for", told);
                }
            }
        }
    }

    /// Takes a completion, which may come later than on the tape.
    fn delivered(&self, place: usize, limit: Option<Duration>) {
        let session = &*self.session;
        let event = session.event(place);
        let Body::Delivered { queue, .. } = event.body else { return };
        let posted = event.cause.and_then(|posted| session.tape.event(posted));
        let Some(Body::Posted { status, arguments, reference, .. }) =
            posted.map(|posted| &posted.body)
        else {
            return;
        };
        let recorded = Completion { reference: *reference, status: *status, arguments: *arguments };
        let queue = session.things().completions.get(&queue).cloned();
        let limit = limit.unwrap_or(session.options.patience);
        match queue.and_then(|queue| queue.wait(Some(limit))) {
            Some(found) if found == recorded => {}
            found => {
                let found = found.map_or_else(|| "gives none".to_owned(), |it| described(&it));
                let told = [&described(&recorded) as &dyn Display, &found];
                self.differs(place, DifferenceKind::Completion, "the completion", told);
            }
        }
    }

    /// Takes a notice.
    fn notice(&self, place: usize, limit: Option<Duration>) {
        let session = &*self.session;
        let Body::Notice { queue, kind, service } = session.event(place).body else { return };
        let queue = session.things().notices.get(&queue).cloned();
        let limit = limit.unwrap_or(session.options.patience);
        // What is there is taken, as the client did; only what is not there yet is waited for.
        match queue.and_then(|queue| queue.poll().or_else(|| queue.wait(Some(limit)))) {
            Some(found) if found.kind == kind => self.bind(place, service, found.service),
            found => {
                let found = found.map_or_else(
                    || "gives none".to_owned(),
                    |found| format!("{:?}, {}", found.kind, found.service),
                );
                let told = [&format!("{kind:?}, service {service}") as &dyn Display, &found];
                self.differs(place, DifferenceKind::Registry, "the notice", told);
            }
        }
    }

    fn other(
        &self,
        connection: &dyn Connection,
        call: &OtherCall,
    ) -> Result<Option<ServiceId>, IoReturn> {
        let things = |number: u32| self.session.things().connections.get(&number).cloned();
        match call {
            OtherCall::SetNotificationPort { notification_type, queue, reference } => {
                let queue =
                    queue.and_then(|queue| self.session.things().completions.get(&queue).cloned());
                connection.other_call(&Asked::SetNotificationPort {
                    notification_type: *notification_type,
                    queue: queue.as_deref(),
                    reference: *reference,
                })
            }
            OtherCall::AddClient { client } => {
                let client = client.and_then(things).map(|client| client.id());
                connection.other_call(&Asked::AddClient { client })
            }
            OtherCall::GetService => connection.other_call(&Asked::GetService),
            OtherCall::SetProperties { properties } => {
                connection.other_call(&Asked::SetProperties { properties: properties.as_ref() })
            }
            OtherCall::Trap { index, arguments } => {
                connection.other_call(&Asked::Trap { index: *index, arguments })
            }
            OtherCall::AddRef => connection.other_call(&Asked::AddRef),
            OtherCall::Release => connection.other_call(&Asked::Release),
            // A call that this version does not know.
            _ => Err(IoReturn::UNSUPPORTED),
        }
    }
}

/// A completion as people read it.
fn described(completion: &Completion) -> String {
    let Completion { reference, status, arguments } = completion;
    let status = if status.is_success() { "success".to_owned() } else { status.to_string() };
    format!("{status}, arguments {:x?}, reference {reference:x?}", &arguments[..])
}
