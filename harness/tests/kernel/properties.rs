//! Properties: what a dext reads of its provider and itself, and what a client reads of the dext.

use dextape::IoReturn;
use dextape::connection::{System, Value};
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
