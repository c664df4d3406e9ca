//! The calls of a connection beside methods and memory, recorded.

use super::connection::{RecordingConnection, Wake};
use super::redact::FieldPlace;
use super::system::number_service;
use crate::journal::{OtherCall as Recorded, Record};
use dextape::connection::{OtherCall, OtherReply, Value};

impl RecordingConnection {
    pub(super) fn other(&self, call: &OtherCall<'_>) -> OtherReply {
        let mut passed_on = *call;
        let session = &self.context.session;
        if !session.is_recording() {
            if let OtherCall::SetNotificationPort { queue: queue @ Some(_), .. } = &mut passed_on {
                *queue = queue.map(|queue| Wake::of(queue, &self.context).own.unwrap_or(queue));
            }
            return self.inner.other_call(&passed_on);
        }
        let (redacted, trapped);
        let record = match *call {
            OtherCall::SetNotificationPort { notification_type, queue, reference } => {
                let wake = queue.map(|queue| (queue, Wake::of(queue, &self.context)));
                if let OtherCall::SetNotificationPort { queue, .. } = &mut passed_on {
                    *queue = wake.as_ref().map(|(given, wake)| wake.own.unwrap_or(*given));
                }
                let queue = wake.map(|(_, wake)| wake.number);
                Recorded::SetNotificationPort { notification_type, queue, reference }
            }
            OtherCall::AddClient { client } => {
                let client = client.and_then(|client| self.context.handles().connection(client));
                Recorded::AddClient { client }
            }
            OtherCall::GetService => Recorded::GetService,
            OtherCall::SetProperties { properties: Some(properties) } => {
                redacted = self.redacted(properties);
                Recorded::SetProperties { properties: redacted.as_ref().or(Some(properties)) }
            }
            OtherCall::SetProperties { properties: None } => {
                Recorded::SetProperties { properties: None }
            }
            OtherCall::Trap { index, arguments } => {
                trapped = session.hook.scalars(&FieldPlace::Trap { index }, &[], arguments);
                Recorded::Trap { index, arguments: trapped.as_slice() }
            }
            OtherCall::AddRef => Recorded::AddRef,
            OtherCall::Release => Recorded::Release,
        };
        let enter = self.append(&Record::OtherCall(record));
        let reply = self.inner.other_call(&passed_on);
        let outcome = reply.map(|service| {
            service.map(|service| number_service(&self.context, &*self.system, service))
        });
        self.leave(enter, &Record::OtherReturn { outcome });
        reply
    }

    /// Properties as they may be recorded, where that is not as they are. Those of a dictionary stand
    /// under their keys, others under none.
    fn redacted(&self, properties: &Value) -> Option<Value> {
        let hook = self.context.hook();
        match properties {
            Value::Dictionary(entries) => hook.values(entries).map(Value::Dictionary),
            other => hook.value("", other),
        }
    }
}
