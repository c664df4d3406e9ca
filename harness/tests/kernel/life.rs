//! Services and connections that come and go.

use dextape::IoReturn;
use dextape::call::MapOptions;
use dextape::connection::{ConnectionExt, Matching, Notice, NoticeKind, System, Value};
use dextape::driverkit::{
    BufferMemoryDescriptor, DeferredStop, Direction, DispatchQueue, ExternalMethodArguments, Lint,
    MemoryDescriptor, OsData, OsObject, Provider, Service, UserClient, defer_super_stop, os_log,
};
use dextape::kernel::{MockSystem, ServiceDescription};
use dextape::schedule::Schedule;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Logs its life, and leaks an object with each call.
struct Driver {
    start: IoReturn,
}

struct Client {
    buffer: Mutex<Option<BufferMemoryDescriptor>>,
}

impl Service for Driver {
    fn start(&self, provider: &Provider) -> IoReturn {
        os_log(format!("driver starts on {}", provider.class()));
        self.start
    }

    fn stop(&self, _: &Provider) -> IoReturn {
        os_log("driver stops");
        IoReturn::SUCCESS
    }

    fn new_user_client(&self, open_type: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        os_log(format!("new user client of type {open_type}"));
        Ok(Some(Arc::new(Client { buffer: Mutex::new(None) })))
    }
}

impl UserClient for Client {
    fn start(&self, _: &Provider) -> IoReturn {
        os_log("user client starts");
        IoReturn::SUCCESS
    }

    fn stop(&self, _: &Provider) -> IoReturn {
        os_log("user client stops");
        IoReturn::SUCCESS
    }

    fn external_method(&self, _: u64, _: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let forgotten = OsData::with_bytes(&[1, 2, 3]);
        drop(forgotten);
        IoReturn::SUCCESS
    }

    fn copy_client_memory_for_type(
        &self,
        memory_type: u64,
        _: &mut u64,
        memory: &mut Option<MemoryDescriptor>,
    ) -> IoReturn {
        let fresh = || BufferMemoryDescriptor::create(Direction::IN_OUT, 128, 8).unwrap();
        let mut kept = self.buffer.lock().unwrap();
        let buffer =
            if memory_type == 0 { kept.get_or_insert_with(fresh).clone() } else { fresh() };
        if memory_type == 0 {
            buffer.retain();
        }
        *memory = Some(buffer.descriptor());
        IoReturn::SUCCESS
    }
}

fn driver() -> Arc<Driver> {
    Arc::new(Driver { start: IoReturn::SUCCESS })
}

fn description() -> ServiceDescription {
    ServiceDescription::dext("Driver", "com.example.driver").property("Colour", "green")
}

#[test]
fn notices_come_in_order_to_those_who_asked_for_such_services() {
    Schedule::simulate(1, |schedule| {
        let mock = MockSystem::new(schedule);
        let first = mock.publish(description(), driver()).unwrap();
        let green = mock.watch(&Matching::default().property("Colour", "green")).unwrap();
        let other = mock.watch(&Matching::user_class("Other")).unwrap();
        let (publisher, clock) = (Arc::clone(&mock), schedule.clone());
        let task = schedule.spawn("publisher", move || {
            clock.sleep(Duration::from_secs(1));
            let second = publisher.publish(description(), driver()).unwrap();
            publisher.terminate(first);
            second
        });
        let notice = |kind, service| Some(Notice { kind, service });
        assert_eq!(green.wait(None), notice(NoticeKind::Arrived, first));
        assert_eq!(green.wait(Some(Duration::from_millis(1))), None);
        let arrived = green.wait(None);
        assert_eq!(schedule.now(), Duration::from_secs(1));
        let second = task.join();
        assert_eq!(arrived, notice(NoticeKind::Arrived, second));
        assert_eq!(green.wait(None), notice(NoticeKind::Terminated, first));
        assert_eq!((green.poll(), other.poll()), (None, None));

        assert_eq!(mock.matching_services(&Matching::user_class("Driver")), Ok(vec![second]));
        assert_eq!(mock.open(first, 0).unwrap_err(), IoReturn::OFFLINE);
        let colour = mock.property(first, "Colour");
        assert_eq!(colour, Ok(Some(Value::from("green"))), "an ended service can still be read");
        assert_eq!(mock.property(second, "Weight"), Ok(None));
    });
}

#[test]
fn a_driver_that_does_not_start_is_not_published() {
    Schedule::simulate(1, |schedule| {
        let mock = MockSystem::new(schedule);
        let refusing = Arc::new(Driver { start: IoReturn::NO_DEVICE });
        assert_eq!(mock.publish(description(), refusing), Err(IoReturn::NO_DEVICE));
        assert_eq!(mock.matching_services(&Matching::default()), Ok(vec![]));
    });
}

#[test]
fn the_driver_stops_after_its_user_clients() {
    Schedule::simulate(1, |schedule| {
        let mock = MockSystem::new(schedule);
        let service = mock.publish(description(), driver()).unwrap();
        let closed = mock.open(service, 3).unwrap();
        let open = mock.open(service, 4).unwrap();
        assert_eq!(closed.close(), IoReturn::SUCCESS);
        mock.settle();
        mock.terminate(service);
        mock.terminate(service);
        mock.settle();
        drop((open, closed));
        mock.settle();
        let expected = [
            "driver starts on IOUserResources",
            "new user client of type 3",
            "user client starts",
            "new user client of type 4",
            "user client starts",
            "user client stops",
            "user client stops",
            "driver stops",
        ];
        assert_eq!(mock.log(), expected);
    });
}

#[test]
fn what_a_closed_connection_left_is_reported_and_what_an_open_one_has_is_not() {
    Schedule::simulate(1, |schedule| {
        let mock = MockSystem::new(schedule);
        let service = mock.publish(description(), driver()).unwrap();
        let connection = mock.open(service, 0).unwrap();
        connection.call(0).send().unwrap();
        let mapping = connection.map_memory(0, MapOptions::ANYWHERE, 0).unwrap();
        mapping.store::<u32>(0, 1).unwrap();
        assert_eq!(mock.leaks(), []);
        assert_eq!(connection.close(), IoReturn::SUCCESS);
        let left: Vec<_> = mock.leaks().iter().map(|leak| (leak.class, leak.user_client)).collect();
        let client = Some(connection.id().0);
        assert_eq!(left, [("OSData", client), ("IOBufferMemoryDescriptor", client)]);
        mock.terminate(service);
        assert_eq!(mock.leaks().len(), 2, "the same two once the process has ended");
    });
}

#[test]
fn the_dext_that_makes_a_buffer_each_time_is_found_out() {
    Schedule::simulate(1, |schedule| {
        let mock = MockSystem::new(schedule);
        let service = mock.publish(description(), driver()).unwrap();
        let connection = mock.open(service, 0).unwrap();
        let mapping = connection.map_memory(1, MapOptions::ANYWHERE, 0).unwrap();
        let result = connection.unmap_memory(1, mapping.address());
        assert_eq!(result, IoReturn::BAD_ARGUMENT);
        let findings = mock.findings();
        assert!(findings.iter().any(|finding| finding.lint() == Lint::FreshDescriptor));

        let right = connection.map_memory(0, MapOptions::ANYWHERE, 0).unwrap();
        assert_eq!(connection.unmap_memory(0, right.address()), IoReturn::SUCCESS);
        assert_eq!(mock.findings().len(), findings.len(), "the right dext is not");
    });
}

/// Stops as DriverKit's do that wait for cancel handlers: some time later.
struct Slow(Duration);

impl Service for Slow {
    fn stop(&self, _: &Provider) -> IoReturn {
        let (stop, queue) = (defer_super_stop(), DispatchQueue::create("later").unwrap());
        let after = self.0;
        queue.dispatch_after(after, {
            let queue = queue.clone();
            move || {
                queue.release();
                stop.into_iter().for_each(DeferredStop::super_stop);
            }
        });
        IoReturn::SUCCESS
    }

    fn new_user_client(&self, _: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        Ok(None)
    }
}

/// The kernel does not wait (H9), and the process goes on: what it lets go of as it passes its stop on is
/// no leak. One that takes too long is ended after a second.
#[test]
fn a_process_passes_its_stop_on_after_the_kernel_is_done() {
    for (after, left) in [(Duration::from_millis(900), 0), (Duration::from_secs(2), 1)] {
        Schedule::simulate(1, |schedule| {
            let mock = MockSystem::new(schedule);
            let description = ServiceDescription::dext("Slow", "com.example.slow");
            let service = mock.publish(description, Arc::new(Slow(after))).unwrap();
            mock.terminate(service);
            mock.settle();
            assert_eq!(schedule.now(), Duration::ZERO, "nobody waits for it");
            let leaks: Vec<_> = mock.leaks().iter().map(|leak| leak.class).collect();
            assert_eq!(leaks, ["IODispatchQueue"; 1][..left], "after {after:?}");
            assert_eq!(schedule.now(), after.min(Duration::from_secs(1)));
        });
    }
}
