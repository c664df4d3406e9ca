//! The registry as far as clients read it: which services there are, and what they are called.

use super::dext::Dext;
use super::notice::MockNotices;
use crate::boundary::entitlement::{ALLOW_ANY_ACCESS, Entitlements};
use crate::call::ServiceId;
use crate::connection::{Matching, Notice, NoticeKind, Value};
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

/// What a service is published as.
///
/// # Examples
///
/// ```
/// use dextape::kernel::ServiceDescription;
///
/// let description = ServiceDescription::dext("NullDriver", "com.example.null-driver")
///     .property("DeviceColour", "green");
/// assert_eq!(description.class, "IOUserService");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceDescription {
    /// Class in the registry (`IOClass`): the kernel's, such as `IOUserService`.
    pub class: String,
    /// Name in the registry.
    pub name: String,
    /// Class of the dext (`IOUserClass`), where the service is one.
    pub user_class: Option<String>,
    /// Bundle identifier of the dext (`CFBundleIdentifier`).
    pub bundle_id: Option<String>,
    /// Further properties.
    pub properties: BTreeMap<String, Value>,
    /// Properties of its user clients.
    pub user_client_properties: BTreeMap<String, Value>,
    /// Entitlements of the dext (G5).
    pub entitlements: Entitlements,
}

impl ServiceDescription {
    /// A dext of that class and bundle, named after its class, that any client may open.
    #[must_use]
    pub fn dext(user_class: &str, bundle_id: &str) -> Self {
        Self {
            class: "IOUserService".to_owned(),
            name: user_class.to_owned(),
            user_class: Some(user_class.to_owned()),
            bundle_id: Some(bundle_id.to_owned()),
            entitlements: Entitlements::from([(ALLOW_ANY_ACCESS.to_owned(), true.into())]),
            ..Self::default()
        }
    }

    /// Only a client that is entitled to it may open the dext (G5).
    ///
    /// # Examples
    ///
    /// ```
    /// use dextape::connection::System;
    /// use dextape::driverkit::Service;
    /// use dextape::kernel::{ClientProcess, MockSystem, ServiceDescription};
    /// use dextape::schedule::Schedule;
    /// use dextape::IoReturn;
    /// use std::sync::Arc;
    ///
    /// # struct Client;
    /// # impl dextape::driverkit::UserClient for Client {}
    /// # struct Driver;
    /// # impl Service for Driver {
    /// #     fn new_user_client(
    /// #         &self,
    /// #         _: u32,
    /// #     ) -> Result<Option<Arc<dyn dextape::driverkit::UserClient>>, IoReturn> {
    /// #         Ok(Some(Arc::new(Client)))
    /// #     }
    /// # }
    /// Schedule::simulate(1, |schedule| {
    ///     let open = |client| {
    ///         let mock = MockSystem::builder(schedule).client(client).build();
    ///         let guarded = ServiceDescription::dext("Null", "com.example.null").guarded();
    ///         let service = mock.publish(guarded, Arc::new(Driver))?;
    ///         mock.open(service, 0).map(drop)
    ///     };
    ///     let stranger = ClientProcess::new(501, "stranger");
    ///     assert_eq!(open(stranger.clone()), Err(IoReturn::NOT_PERMITTED));
    ///     assert_eq!(open(stranger.may_open("com.example.null")), Ok(()));
    /// });
    /// ```
    #[must_use]
    pub fn guarded(mut self) -> Self {
        self.entitlements.remove(ALLOW_ANY_ACCESS);
        self
    }

    /// A service of the kernel's own, known by its class, such as `AppleSMC`.
    #[must_use]
    pub fn class(class: &str) -> Self {
        Self { class: class.to_owned(), name: class.to_owned(), ..Self::default() }
    }

    /// Adds a property.
    #[must_use]
    pub fn property(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.properties.insert(key.to_owned(), value.into());
        self
    }

    /// Gives its user clients a property, such as one that says what the kernel locks of itself (K1).
    ///
    /// # Examples
    ///
    /// ```
    /// use dextape::boundary::Locking;
    /// use dextape::kernel::ServiceDescription;
    ///
    /// // No method of it waits for a map, and no map for a method.
    /// let description = ServiceDescription::dext("NullDriver", "com.example.null-driver")
    ///     .user_client_property(Locking::DEFAULT, false);
    /// ```
    #[must_use]
    pub fn user_client_property(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.user_client_properties.insert(key.to_owned(), value.into());
        self
    }

    /// All properties that a client reads; those given win over those made of the other fields.
    pub(super) fn all_properties(&self) -> BTreeMap<String, Value> {
        let mut all = BTreeMap::new();
        let mut add = |key: &str, value: Option<&String>| {
            if let Some(value) = value {
                all.insert(key.to_owned(), Value::String(value.clone()));
            }
        };
        add("IOClass", Some(&self.class));
        add("IORegistryEntryName", Some(&self.name));
        add(Matching::USER_CLASS, self.user_class.as_ref());
        add(Matching::BUNDLE_ID, self.bundle_id.as_ref());
        all.extend(self.properties.iter().map(|(key, value)| (key.clone(), value.clone())));
        all
    }

    /// True where every condition holds. Classes are compared by name; `IOService`, which all
    /// inherit from, matches any.
    pub(super) fn matches(&self, matching: &Matching) -> bool {
        let is =
            |text: &str, value: &Value| matches!(value, Value::String(wanted) if wanted == text);
        let is_some = |text: &Option<String>, value: &Value| {
            text.as_ref().is_some_and(|text| is(text, value))
        };
        matching.conditions().all(|(key, value)| match key {
            Matching::CLASS => is(&self.class, value) || is("IOService", value),
            Matching::NAME => is(&self.name, value),
            Matching::USER_CLASS if self.user_class.is_some() => is_some(&self.user_class, value),
            Matching::BUNDLE_ID if self.bundle_id.is_some() => is_some(&self.bundle_id, value),
            "IOClass" if !self.properties.contains_key(key) => is(&self.class, value),
            "IORegistryEntryName" if !self.properties.contains_key(key) => is(&self.name, value),
            _ => self.properties.get(key) == Some(value),
        })
    }
}

/// The services, and who waits for news of them.
#[derive(Debug, Default)]
pub(super) struct Registry {
    services: BTreeMap<ServiceId, Arc<Dext>>,
    numbers: u64,
    watchers: Vec<Weak<MockNotices>>,
}

impl Registry {
    /// A number for the next service.
    pub(super) fn next_id(&mut self) -> ServiceId {
        self.numbers += 1;
        ServiceId(self.numbers)
    }

    pub(super) fn add(&mut self, dext: Arc<Dext>) {
        let (id, description) = (dext.id(), dext.description().clone());
        self.services.insert(id, dext);
        self.tell(&description, Notice { kind: NoticeKind::Arrived, service: id });
    }

    /// Tells everybody who watches such services.
    pub(super) fn tell(&mut self, description: &ServiceDescription, notice: Notice) {
        self.watchers.retain(|watcher| watcher.strong_count() > 0);
        for watcher in self.watchers.iter().filter_map(Weak::upgrade) {
            if description.matches(watcher.matching()) {
                watcher.post(notice);
            }
        }
    }

    pub(super) fn watch(&mut self, watcher: &Arc<MockNotices>) {
        for service in self.matching(watcher.matching()) {
            watcher.post(Notice { kind: NoticeKind::Arrived, service });
        }
        self.watchers.push(Arc::downgrade(watcher));
    }

    /// The live services that match, in order of publishing.
    pub(super) fn matching(&self, matching: &Matching) -> Vec<ServiceId> {
        let live = self.services.values().filter(|dext| !dext.is_terminated());
        live.filter(|dext| dext.description().matches(matching)).map(|dext| dext.id()).collect()
    }

    pub(super) fn get(&self, service: ServiceId) -> Option<Arc<Dext>> {
        self.services.get(&service).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<Dext>> {
        self.services.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_condition_must_hold() {
        let description = ServiceDescription::dext("SmcDriver", "com.example.smc")
            .property("Colour", "green")
            .property("Ports", 2_u64);
        let yes = [
            Matching::default(),
            Matching::service("IOUserService"),
            Matching::service("IOService"),
            Matching::name("SmcDriver"),
            Matching::user_class("SmcDriver").property("Ports", 2_u64),
            Matching::bundle_id("com.example.smc").property("Colour", "green"),
        ];
        let no = [
            Matching::service("AppleSMC"),
            Matching::name("smcdriver"),
            Matching::user_class("Smc"),
            Matching::bundle_id("com.example"),
            Matching::service("IOUserService").property("Ports", 3_u64),
            Matching::default().property("Weight", 1_u64),
        ];
        for matching in yes {
            assert!(description.matches(&matching), "{matching:?}");
        }
        for matching in no {
            assert!(!description.matches(&matching), "{matching:?}");
        }
    }
}
