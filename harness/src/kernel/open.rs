//! `IOServiceOpen` (G1 to G11).

use super::connection::{Link, MockConnection};
use super::dext::{Dext, upcall};
use super::system::Kernel;
use super::task::TaskOfClient;
use crate::IoReturn;
use crate::boundary::entitlement::{OpenedDext, admits_after_making, admitted};
use crate::boundary::{
    Meanwhile, OpenReach, OpenRefusal, Operation, Rule, came_out, open as open_check,
    open_type as type_seen, opened,
};
use crate::call::{ConnectionId, ServiceId};
use crate::connection::Connection;
use crate::driverkit::bridge::{Phase, in_phase, set_client_task, set_default_queue};
use crate::driverkit::{DispatchQueue, Provider, QUEUE_DEFAULT, QUEUE_EXTERNAL_METHOD, UserClient};
use crate::fault::{OpenFault, Strike};
use std::sync::Arc;

type Made = (Arc<dyn UserClient>, [DispatchQueue; 2]);

impl Kernel {
    /// As on a Mac, a service that has ended is offline for an open (H5).
    pub(super) fn open(
        self: &Arc<Self>,
        service: ServiceId,
        open_type: u32,
    ) -> Result<Box<dyn Connection>, IoReturn> {
        let dext = self.service(service);
        open_check(self.rules, dext.is_some())?;
        let Some(dext) = dext.filter(|dext| !dext.is_terminated()) else {
            self.rules.note(Rule::H5);
            return Err(IoReturn::OFFLINE);
        };
        let strike = self.faults.open();
        let planned = match strike.what {
            Some(OpenFault::Refused(refusal)) => Some(refusal),
            _ => None,
        };
        if let Some(refusal) = planned {
            self.rules.note(refusal.rule());
        }
        if let Some(refusal) = planned.filter(|refusal| refusal.reach() == OpenReach::NotAsked) {
            return Err(refusal.code());
        }
        let class = crate::boundary::entitlement::USER_CLIENT_CLASS;
        let watched = self.rules.is_watched(Rule::G6);
        if watched && self.admit(&dext, class).is_err() && !admits_after_making(self.rules) {
            self.admit(&dext, class).map_err(OpenRefusal::code)?;
        }
        let id = self.next_connection();
        self.schedule.yield_now();
        dext.client_came();
        let (user_client, queues) = match self.new_user_client(&dext, id, open_type, strike) {
            Ok(made) => made,
            Err(code) => {
                dext.client_left();
                return Err(code);
            }
        };
        let admitted = self.admit(&dext, user_client.kernel_class());
        let link = Link::new(self, id, Arc::clone(&dext), user_client, queues);
        self.came(&link);
        if dext.is_terminated() {
            // It ended while the user client was being made.
            link.terminate(self);
        }
        if let Some(refusal) = planned.or(admitted.err()) {
            // Once it was made (G4, G6).
            link.terminate(self);
            drop(MockConnection::new(Arc::clone(self), link));
            return Err(refusal.code());
        }
        Ok(Box::new(MockConnection::new(Arc::clone(self), link)))
    }

    /// Whether the client may have what the dext has made (G4 to G7).
    fn admit(&self, dext: &Dext, kernel_class: &str) -> Result<(), OpenRefusal> {
        let description = dext.description();
        let opened = OpenedDext {
            bundle_id: description.bundle_id.as_deref(),
            entitlements: &description.entitlements,
            properties: &description.user_client_properties,
        };
        admitted(self.rules, &self.client.entitlements, &opened, kernel_class)
    }

    /// Has the dext make and start a user client.
    fn new_user_client(
        self: &Arc<Self>,
        dext: &Dext,
        connection: ConnectionId,
        open_type: u32,
        strike: Strike<OpenFault>,
    ) -> Result<Made, IoReturn> {
        let rules = self.rules;
        dext.reachable(rules)?;
        let (process, client) = (dext.process(), Some(connection.0));
        let service = dext.service().ok_or(IoReturn::OFFLINE)?;
        let open_type = type_seen(rules, open_type);
        let make = || {
            let made = in_phase(process, client, Phase::NewUserClient, || {
                let own = || service.new_user_client(open_type);
                self.faulty_open((dext.id(), process), strike, own)
            });
            opened(rules, made.as_ref().map(Option::is_some).map_err(|code| *code))?;
            let Ok(Some(user_client)) = made else { return Err(IoReturn::ERROR) };
            in_phase(process, client, Phase::Start, || {
                let provider = Provider::new(&dext.description().class);
                user_client.start(&provider).ok()?;
                let queue = |name| user_client.dispatch_queue(name);
                let default = queue(QUEUE_DEFAULT).unwrap_or_else(|| dext.queue().clone());
                set_default_queue(process, client, &default);
                let methods = queue(QUEUE_EXTERNAL_METHOD).unwrap_or_else(|| default.clone());
                Ok((Arc::clone(&user_client), [methods, default]))
            })
        };
        let made = upcall(rules, process, dext.queue(), make);
        if matches!(made, Some(Ok(_))) {
            let task = TaskOfClient(Arc::downgrade(self));
            set_client_task(process, connection.0, Arc::new(task));
        }
        let meanwhile = if process.is_dead() { Meanwhile::Died } else { Meanwhile::Nothing };
        came_out(rules, Operation::Open, meanwhile)?;
        made.unwrap_or(Err(IoReturn::MIG_SERVER_DIED))
    }
}
