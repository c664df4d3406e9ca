//! The system of a script.

use super::connection::PlayedConnection;
use super::queue::{PlayedNotices, PlayedQueue};
use super::script::{Key, is_same_look};
use super::stage::Stage;
use crate::IoReturn;
use crate::call::ServiceId;
use crate::connection::{CompletionQueue, Connection, Matching, NoticeQueue, System, Value};
use crate::memory::{ClientAddresses, SharedBuffer};
use crate::perturb::operation::Operation;
use crate::schedule::Schedule;
use crate::tape::Body;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A system that is served from a script.
#[derive(Debug)]
pub(in crate::perturb) struct PlayedSystem {
    stage: Arc<Stage>,
    own: Mutex<ClientAddresses>,
}

impl PlayedSystem {
    pub(in crate::perturb) fn new(stage: &Arc<Stage>) -> Self {
        Self { stage: Arc::clone(stage), own: Mutex::default() }
    }

    /// A look into the registry: a second one finds what the first did.
    fn look(&self, matching: Option<&Matching>, of: Option<(u32, Option<&str>)>) -> Body {
        let passage = self.stage.gate.enter(Operation::Registry);
        let stage = &*self.stage;
        let mut state = stage.now();
        let is_same = |held: &Body| is_same_look(held, matching, of);
        let found = state.take(stage, &Key::Registry, is_same);
        let found = found.or_else(|| {
            let all = stage.script.by_key.get(&Key::Registry)?;
            let body = |operation: &&usize| {
                is_same(&stage.script.event(stage.script.operations[**operation].enter).body)
            };
            all.iter().rfind(body).copied()
        });
        let Some(found) = found else {
            drop(state);
            stage.leave_tape("this look into the registry");
        };
        let body = stage.script.event(stage.script.operations[found].enter).body.clone();
        let now = stage.schedule.now();
        if let Some(log) = &mut state.log {
            log.append(stage.lane(), None, None, now, body.clone());
        }
        drop(state);
        stage.gate.leave(passage);
        body
    }

    fn read(&self, service: ServiceId, key: Option<&str>) -> Result<Option<Value>, IoReturn> {
        let service = u32::try_from(service.0).unwrap_or(u32::MAX);
        match self.look(None, Some((service, key))) {
            Body::Property { outcome, .. } => outcome,
            _ => Ok(None),
        }
    }
}

impl System for PlayedSystem {
    fn matching_services(&self, matching: &Matching) -> Result<Vec<ServiceId>, IoReturn> {
        match self.look(Some(matching), None) {
            Body::Matched { outcome, .. } => outcome.map(|services| {
                services.iter().map(|service| ServiceId(u64::from(*service))).collect()
            }),
            _ => Ok(Vec::new()),
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

    fn open(&self, service: ServiceId, open_type: u32) -> Result<Box<dyn Connection>, IoReturn> {
        let stage = &*self.stage;
        let passage = stage.gate.enter(Operation::Open);
        let service = u32::try_from(service.0).unwrap_or(u32::MAX);
        let lane = stage.lane();
        if let Some(code) = stage.open_fails() {
            let mut state = stage.now();
            let now = stage.schedule.now();
            if let Some(log) = &mut state.log {
                let enter = log.append(lane, None, None, now, Body::Open { service, open_type });
                log.append(lane, None, Some(enter), now, Body::OpenFailed { result: code });
            }
            drop(state);
            stage.gate.leave(passage);
            return Err(code);
        }
        let mut state = stage.now();
        let Some(found) = state.take(stage, &Key::Open { service, open_type }, |_| true) else {
            drop(state);
            stage.leave_tape("an open of this service and type");
        };
        let enter = state.log.as_mut().map(|log| {
            let body = Body::Open { service, open_type };
            log.append(lane, None, None, stage.schedule.now(), body)
        });
        drop(state);
        drop(stage.pass(found));
        stage.gate.leave(passage);
        let leave = stage.script.operations[found].leave.map(|leave| stage.script.event(leave));
        let Some(leave) = leave else { stage.leave_tape("the end of an open") };
        let mut state = stage.now();
        if let Some(log) = &mut state.log {
            let body = leave.body.clone();
            log.append(lane, leave.connection, enter, stage.schedule.now(), body);
        }
        if let (Some(fates), Some(number)) = (&mut state.fates, leave.connection) {
            fates.opened(number);
        }
        drop(state);
        match (&leave.body, leave.connection) {
            (Body::Opened, Some(number)) => {
                Ok(Box::new(PlayedConnection::new(&self.stage, number)))
            }
            (Body::OpenFailed { result }, _) => Err(*result),
            _ => stage.leave_tape("what came of an open"),
        }
    }

    fn watch(&self, matching: &Matching) -> Result<Arc<dyn NoticeQueue>, IoReturn> {
        let stage = &*self.stage;
        let passage = stage.gate.enter(Operation::Registry);
        let is_same =
            |held: &Body| matches!(held, Body::Watch { matching: it, .. } if it == matching);
        let mut state = stage.now();
        let Some(found) = state.take(stage, &Key::Watch, is_same) else {
            drop(state);
            stage.leave_tape("this watch");
        };
        let body = stage.script.event(stage.script.operations[found].enter).body.clone();
        if let Some(log) = &mut state.log {
            log.append(stage.lane(), None, None, stage.schedule.now(), body.clone());
        }
        drop(state);
        stage.gate.leave(passage);
        match body {
            Body::Watch { queue, result, .. } => {
                result.ok()?;
                Ok(Arc::new(PlayedNotices::new(&self.stage, queue)))
            }
            _ => Err(IoReturn::UNSUPPORTED),
        }
    }

    fn completion_queue(&self) -> Arc<dyn CompletionQueue> {
        let stage = &*self.stage;
        let mut state = stage.now();
        let Some(found) = state.take(stage, &Key::Queue, |_| true) else {
            drop(state);
            stage.leave_tape("one more completion queue");
        };
        let body = stage.script.event(stage.script.operations[found].enter).body.clone();
        if let Some(log) = &mut state.log {
            log.append(stage.lane(), None, None, stage.schedule.now(), body.clone());
        }
        drop(state);
        let number = if let Body::Queue { queue } = body { queue } else { 0 };
        Arc::new(PlayedQueue::new(&self.stage, number))
    }

    fn address_of(&self, buffer: &SharedBuffer) -> u64 {
        self.own.lock().unwrap_or_else(PoisonError::into_inner).address_of(buffer)
    }

    fn schedule(&self) -> &Schedule {
        &self.stage.schedule
    }
}
