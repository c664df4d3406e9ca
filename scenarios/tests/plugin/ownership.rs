//! Counts of references are the mock's: what a dext in C++ gets wrong is found.

use crate::compile::{compile_text, null_driver, trial};
use dextape::IoReturn;
use dextape::call::MapOptions;
use dextape::connection::{Connection, ConnectionExt, Matching, System};
use dextape::driverkit::Lint;
use dextape::kernel::MockSystem;
use dextape::schedule::Schedule;
use dextape_plugin::Plugin;
use libtest_mimic::Trial;
use std::sync::Arc;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("ownership::a_buffer_is_mapped_and_unmapped", "g++", || {
            let (findings, leaks) = with(&null_driver(), "NullDriver", |connection| {
                let map = connection.map_memory(0, MapOptions::ANYWHERE, 0).unwrap();
                assert_eq!(map.read_vec(0, 16).unwrap(), b"a buffer of C++\0");
                assert_eq!(
                    connection.map_memory(1, MapOptions::ANYWHERE, 0).err(),
                    Some(IoReturn::BAD_ARGUMENT)
                );
            });
            assert_eq!((findings, leaks), (vec![], vec![]));
        }),
        trial("ownership::what_is_wrong_is_found", "g++", || {
            let library = compile_text(WRONG);
            let plugin = Plugin::load(&library.library).unwrap();
            for (selector, lint) in [(0, Lint::OverRelease), (1, Lint::UseAfterRelease)] {
                let (findings, leaks) = with(&plugin, "Wrong", |connection| {
                    assert!(connection.call(selector).send().is_ok());
                });
                assert_eq!((findings, leaks), (vec![lint], vec![]), "selector {selector}");
            }
            // An argument that was kept without a reference is used in the next call.
            let (findings, leaks) = with(&plugin, "Wrong", |connection| {
                assert!(connection.call(4).input_bytes(&[1; 16]).send().is_ok());
                assert!(connection.call(4).input_bytes(&[1; 16]).send().is_ok());
            });
            assert_eq!((findings, leaks), (vec![Lint::UseAfterRelease], vec![]));
            let (findings, leaks) = with(&plugin, "Wrong", |connection| {
                assert!(connection.call(2).send().is_ok());
            });
            assert_eq!((findings, leaks), (vec![], vec!["OSData".to_owned()]));
        }),
        trial("ownership::a_dext_that_sleeps_when_it_dies_goes_no_further", "g++", || {
            let library = compile_text(WRONG);
            let plugin = Plugin::load(&library.library).unwrap();
            Schedule::simulate(1, |schedule| {
                let mock = MockSystem::new(schedule);
                let service = plugin.publish(&mock).unwrap();
                let connection: Arc<dyn Connection> = Arc::from(mock.open(service, 0).unwrap());
                let calling = Arc::clone(&connection);
                let call = schedule.spawn("client", move || calling.call(3).send().is_err());
                schedule.sleep(std::time::Duration::from_secs(1));
                mock.crash(service);
                assert!(call.join(), "the call ends with its dext");
                assert_eq!(mock.log(), ["sleeping"], "nothing is logged by one that is dead");
            });
        }),
    ]
}

/// Selectors: a release too many, a use after the last one, a leak, a sleep, an argument kept.
const WRONG: &str = r#"
#include <DriverKit/DriverKit.h>
class WrongClient : public IOUserClient {
  OSData *kept = nullptr;
  kern_return_t ExternalMethod(uint64_t selector, IOUserClientMethodArguments *arguments, const IOUserClientMethodDispatch *,
                               OSObject *, void *) override {
    if (selector == 3) {
      os_log(OS_LOG_DEFAULT, "%{public}s", "sleeping");
      IOSleep(10000);
      os_log(OS_LOG_DEFAULT, "awake");
      return kIOReturnSuccess;
    }
    if (selector == 4) {
      size_t length = kept != nullptr ? kept->getLength() : 0;
      kept = arguments->structureInput;
      return length == 0 ? kIOReturnSuccess : kIOReturnError;
    }
    OSData *data = OSData::withBytes("abc", 3);
    if (selector == 2) return kIOReturnSuccess;
    data->release();
    if (selector == 0) data->release();
    if (selector == 1 && data->getLength() != 0) return kIOReturnError;
    return kIOReturnSuccess;
  }
};
class Wrong : public IOService {
  kern_return_t NewUserClient(uint32_t, IOUserClient **client) override {
    *client = new WrongClient;
    return kIOReturnSuccess;
  }
};
DEXTAPE_DEXT(Wrong, "com.example.wrong", DEXTAPE_CLIENT("UserClientProperties", WrongClient))
"#;

/// What a client of the dext leaves behind: findings, and classes of what was leaked.
fn with(
    plugin: &Plugin,
    class: &str,
    client: impl FnOnce(&dyn Connection) + Send,
) -> (Vec<Lint>, Vec<String>) {
    Schedule::simulate(1, |schedule| {
        let mock = MockSystem::new(schedule);
        plugin.publish(&mock).unwrap();
        let system: &dyn System = &*mock;
        let service = system.first_service(&Matching::user_class(class)).unwrap();
        let connection = mock.open(service, 0).unwrap();
        client(&*connection);
        connection.close().ok().unwrap();
        mock.settle();
        let lints = mock.findings().iter().map(dextape::driverkit::Finding::lint).collect();
        let leaks = mock.leaks().iter().map(|leak| leak.class.to_owned()).collect();
        (lints, leaks)
    })
}
