//! Properties: what a dext reads of its provider and itself, and what a client reads of the dext.

use dextape::IoReturn;
use dextape::connection::{Matching, System, Value};
use dextape::driverkit::{
    OsDictionary, OsObject, Provider, Service, USER_SERVICE_PROPERTIES, UserClient,
    copy_properties, set_properties,
};
use dextape::kernel::{MockSystem, ServiceDescription};
use dextape::schedule::Schedule;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Publishes how many ports its provider says there are, times the factor of its personality.
struct Hub;

impl Service for Hub {
    fn start(&self, provider: &Provider) -> IoReturn {
        let (provider, own) = (provider.copy_properties(), copy_properties().unwrap());
        let ports = provider.u64("Ports").unwrap() * own.u64("Factor").unwrap();
        let published = OsDictionary::with_capacity(1);
        published.set_u64("AllPorts", ports);
        let result = set_properties(&published);
        for dictionary in [provider, own, published] {
            dictionary.release();
        }
        result
    }

    fn new_user_client(&self, _: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        Err(IoReturn::UNSUPPORTED)
    }
}

#[test]
fn a_client_reads_what_the_dext_has_set_in_a_property_of_its_own() {
    Schedule::simulate(1, |schedule| {
        let mock = MockSystem::new(schedule);
        let description =
            ServiceDescription::dext("Hub", "com.example.hub").property("Factor", 3_u64);
        let provider = Provider::new("IOUSBHostDevice").with_property("Ports", 4_u64);
        let service = mock.publish_on(description, provider, Arc::new(Hub)).unwrap();
        let set = Value::Dictionary(BTreeMap::from([("AllPorts".to_owned(), Value::Number(12))]));
        assert_eq!(mock.property(service, USER_SERVICE_PROPERTIES), Ok(Some(set.clone())));
        assert_eq!(mock.property(service, "AllPorts"), Ok(None));
        let all = mock.properties(service).unwrap();
        assert_eq!((&all[USER_SERVICE_PROPERTIES], &all["Factor"]), (&set, &Value::Number(3)));
        assert!(mock.leaks().is_empty() && mock.findings().is_empty());
    });
}

#[test]
fn a_service_is_found_by_the_class_and_name_that_a_client_reads_as_properties() {
    Schedule::simulate(1, |schedule| {
        let mock = MockSystem::new(schedule);
        let service = mock.publish(ServiceDescription::class("Hub"), Arc::new(Nobody)).unwrap();
        for key in ["IOClass", "IORegistryEntryName"] {
            assert_eq!(mock.property(service, key), Ok(Some(Value::from("Hub"))), "{key}");
            let found = |value| {
                let matching = Matching::service("IOService").property(key, value);
                mock.matching_services(&matching).unwrap()
            };
            assert_eq!((found("Hub"), found("Other")), (vec![service], vec![]), "{key}");
        }
    });
}

/// Serves nobody.
struct Nobody;

impl Service for Nobody {
    fn new_user_client(&self, _: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        Err(IoReturn::UNSUPPORTED)
    }
}
