//! Planned faults: what the client sees of them is what the boundary makes of them.

use dextape::IoReturn;
use dextape::call::{Completion, MapOptions};
use dextape::connection::{
    CallError, Connection, ConnectionExt, Matching, NoticeKind, Reply, System,
};
use dextape::driverkit::{
    BufferMemoryDescriptor, Direction, ExternalMethodArguments, MappingOptions, MemoryDescriptor,
    OsObject, OsSharedPtr, Provider, Service, UserClient, async_completion, os_log,
};
use dextape::kernel::{MockSystem, ServiceDescription};
use dextape::schedule::Schedule;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

struct Driver;

#[derive(Default)]
struct Client {
    buffer: OnceLock<OsSharedPtr<BufferMemoryDescriptor>>,
}

impl Service for Driver {
    fn new_user_client(&self, _: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        os_log("made");
        Ok(Some(Arc::new(Client::default())))
    }
}

impl UserClient for Client {
    fn start(&self, _: &Provider) -> IoReturn {
        os_log("started");
        let buffer = BufferMemoryDescriptor::create(Direction::IN_OUT, 128, 0).unwrap();
        self.buffer.set(OsSharedPtr::adopt(buffer)).unwrap();
        IoReturn::SUCCESS
    }

    fn stop(&self, _: &Provider) -> IoReturn {
        os_log("stopped");
        IoReturn::SUCCESS
    }

    /// Completes at once, writes to an output descriptor, and adds one to its scalar.
    fn external_method(
        &self,
        selector: u64,
        arguments: &mut ExternalMethodArguments<'_>,
    ) -> IoReturn {
        os_log(format!("method {selector}"));
        if let Some(completion) = &arguments.completion {
            async_completion(completion, IoReturn::SUCCESS, arguments.scalar_input);
        }
        if let Some(output) = &arguments.structure_output_descriptor {
            let map = output.create_mapping(MappingOptions::default(), 0, 0, 0, 0).unwrap();
            map.store::<u8>(0, 7).unwrap();
            map.release();
        }
        for (index, scalar) in arguments.scalar_input.iter().enumerate() {
            if index < arguments.scalar_output.len() {
                arguments.scalar_output[index] = scalar + 1;
            }
        }
        IoReturn::SUCCESS
    }

    fn copy_client_memory_for_type(
        &self,
        _: u64,
        _: &mut u64,
        memory: &mut Option<MemoryDescriptor>,
    ) -> IoReturn {
        let buffer = self.buffer.get().unwrap();
        buffer.retain();
        *memory = Some(buffer.descriptor());
        IoReturn::SUCCESS
    }
}

/// Runs `client` against the driver with `faults`.
fn run<R>(faults: &str, client: impl FnOnce(&Arc<MockSystem>) -> R) -> R {
    Schedule::simulate(1, |schedule| {
        let mock = MockSystem::builder(schedule).faults(faults.parse().unwrap()).build();
        mock.publish(ServiceDescription::class("Driver"), Arc::new(Driver)).unwrap();
        client(&mock)
    })
}

fn open(mock: &Arc<MockSystem>) -> Result<Box<dyn Connection>, IoReturn> {
    let system: &dyn System = &**mock;
    system.open(system.first_service(&Matching::service("Driver"))?, 0)
}

fn add(connection: &dyn Connection, selector: u32) -> Result<u64, IoReturn> {
    let reply = connection.call(selector).scalars(&[1]).want_scalars(1).send();
    reply.map(|reply| reply.scalars[0]).map_err(|error| error.io_return().unwrap())
}

#[test]
fn an_error_of_the_dext_reaches_the_client_as_it_is_and_its_work_is_not_done() {
    run("call 3 #2: error 0xe3ff8001", |mock| {
        let connection = open(mock).unwrap();
        assert_eq!(add(&*connection, 3), Ok(2));
        assert_eq!(add(&*connection, 4), Ok(2));
        assert_eq!(add(&*connection, 3), Err(IoReturn(0xe3ff_8001)));
        assert_eq!(add(&*connection, 3), Ok(2));
        assert_eq!(mock.log(), ["made", "started", "method 3", "method 4", "method 3"]);
    });
}

#[test]
fn an_error_afterwards_leaves_what_the_dext_wrote_through_a_descriptor() {
    run("call 0 #1: error Timeout afterwards", |mock| {
        let connection = open(mock).unwrap();
        let mut bytes = vec![1; 5000];
        let failed = connection.call(0).output_bytes(&mut bytes);
        let expected = CallError::Failed { selector: 0, result: IoReturn::TIMEOUT };
        assert_eq!(failed, Err(expected));
        assert_eq!(bytes[..2], [7, 1], "writes through the descriptor stay (B8)");
        assert_eq!(mock.log().last().unwrap(), "method 0");
    });
}

#[test]
fn an_error_shows_as_a_bad_argument_on_map_and_verbatim_on_unmap() {
    run("map 0 #1: error NoMemory; map 0 #2: refuse; unmap 0 #1: error Busy", |mock| {
        let connection = open(mock).unwrap();
        let map = || connection.map_memory(0, MapOptions::ANYWHERE, 0).map(|map| map.length());
        assert_eq!(map(), Err(IoReturn::BAD_ARGUMENT), "F5");
        assert_eq!(map(), Err(IoReturn::BAD_ARGUMENT), "F5, for want of room");
        assert_eq!(map(), Ok(128));
        assert_eq!(connection.unmap_memory(0, 0), IoReturn::BUSY, "F18");
        assert_eq!(connection.unmap_memory(0, 0), IoReturn::SUCCESS);
        assert_eq!(connection.close(), IoReturn::SUCCESS);
        mock.settle();
        assert!(mock.findings().is_empty(), "{:?}", mock.findings());
        assert!(mock.leaks().is_empty(), "{:?}", mock.leaks());
    });
}

#[test]
fn an_open_is_refused_with_the_codes_that_people_report() {
    let refused = |faults: &str| {
        run(faults, |mock| {
            let refused = open(mock).err();
            mock.settle();
            assert!(mock.leaks().is_empty(), "{:?}", mock.leaks());
            let log = mock.log();
            assert!(open(mock).is_ok(), "the next open works");
            (refused, log.join(" "))
        })
    };
    let made_and_stopped = "made started stopped".to_owned();
    let cases = [
        // The entitlement is looked at once the user client is there (G6).
        ("open #1: refuse 0xe00002e2", IoReturn::NOT_PERMITTED, made_and_stopped.clone()),
        ("open #1: refuse NotPrivileged", IoReturn::NOT_PRIVILEGED, made_and_stopped.clone()),
        ("open #1: refuse 0xe00002c7", IoReturn::UNSUPPORTED, made_and_stopped),
        ("open #1: refuse 0xe00002bc", IoReturn::ERROR, String::new()),
        ("open #1: refuse 0xe00002d7", IoReturn::OFFLINE, String::new()),
        ("open #1: error ExclusiveAccess", IoReturn::EXCLUSIVE_ACCESS, String::new()),
    ];
    for (faults, code, log) in cases {
        assert_eq!(refused(faults), (Some(code), log), "{faults}");
    }
}

#[test]
fn a_dext_that_dies_is_a_dead_server_for_what_is_inside() {
    let died = IoReturn::MIG_SERVER_DIED;
    run("open #2: dext dies", |mock| {
        let connection = open(mock).unwrap();
        assert_eq!(open(mock).err(), Some(died), "G8");
        assert_eq!(add(&*connection, 0), Err(IoReturn::MACH_SEND_INVALID_DEST), "H1");
    });
    run("call 0 #2: dext dies", |mock| {
        let connection = open(mock).unwrap();
        assert_eq!(add(&*connection, 0), Ok(2));
        assert_eq!(add(&*connection, 0), Err(died), "H4");
        assert_eq!(add(&*connection, 0), Err(IoReturn::MACH_SEND_INVALID_DEST), "H1");
        assert_eq!(mock.log(), ["made", "started", "method 0"], "neither worked nor stopped");
    });
    run("unmap 0: dext dies", |mock| {
        let connection = open(mock).unwrap();
        connection.map_memory(0, MapOptions::ANYWHERE, 0).unwrap();
        assert_eq!(connection.unmap_memory(0, 0), died, "H4");
        assert_eq!(add(&*connection, 0), Err(IoReturn::BAD_ARGUMENT), "H1, once mapped");
    });
    run("map 0: dext dies", |mock| {
        let connection = open(mock).unwrap();
        let mapped = connection.map_memory(0, MapOptions::ANYWHERE, 0).err();
        assert_eq!(mapped, Some(IoReturn::BAD_ARGUMENT), "H4 as F5");
    });
}

#[test]
fn a_dext_that_dies_or_is_removed_between_calls_does_so_after_the_reply() {
    for faults in ["call 0 #1: dext dies afterwards", "call 0 #1: device removed afterwards"] {
        run(faults, |mock| {
            let connection = open(mock).unwrap();
            assert_eq!(add(&*connection, 0), Ok(2), "{faults}");
            assert_eq!(add(&*connection, 0), Err(IoReturn::MACH_SEND_INVALID_DEST), "{faults}");
            let system: &dyn System = &**mock;
            let gone = system.first_service(&Matching::service("Driver"));
            assert_eq!(gone, Err(IoReturn::NOT_FOUND), "{faults}");
            mock.settle();
            let stopped = mock.log().contains(&"stopped".to_owned());
            assert_eq!(stopped, faults.contains("removed"), "{faults}");
        });
    }
}

#[test]
fn a_call_during_which_the_device_goes_finishes_with_its_own_result() {
    run("call 0 #1: device removed", |mock| {
        let connection = open(mock).unwrap();
        let notices = mock.watch(&Matching::service("Driver")).unwrap();
        assert_eq!(add(&*connection, 0), Ok(2), "H3");
        assert_eq!(add(&*connection, 0), Err(IoReturn::MACH_SEND_INVALID_DEST));
        let kinds: Vec<_> = std::iter::from_fn(|| notices.poll()).map(|each| each.kind).collect();
        assert_eq!(kinds, [NoticeKind::Arrived, NoticeKind::Terminated]);
    });
}

#[test]
fn what_is_planned_for_a_time_happens_then() {
    run("at 5ms: device removed", |mock| {
        let connection = open(mock).unwrap();
        mock.schedule().sleep(Duration::from_millis(4));
        assert_eq!(add(&*connection, 0), Ok(2));
        mock.schedule().sleep(Duration::from_millis(2));
        assert_eq!(add(&*connection, 0), Err(IoReturn::MACH_SEND_INVALID_DEST));
    });
}

#[test]
fn a_delay_is_the_dexts_own_time() {
    run("call *: delay 5ms; open: delay 1ms; map 0: delay 2ms", |mock| {
        let now = || mock.schedule().now();
        let connection = open(mock).unwrap();
        assert_eq!(now(), Duration::from_millis(1));
        connection.map_memory(0, MapOptions::ANYWHERE, 0).unwrap();
        assert_eq!(now(), Duration::from_millis(3));
        assert_eq!(add(&*connection, 0), Ok(2));
        assert_eq!(now(), Duration::from_millis(8));
    });
}

#[test]
fn a_call_that_never_returns_hangs_its_caller_until_the_dext_dies() {
    run("call 1: never returns; at 9ms: dext dies", |mock| {
        let connection = open(mock).unwrap();
        assert_eq!(add(&*connection, 1), Err(IoReturn::MIG_SERVER_DIED), "H4");
        assert_eq!(mock.schedule().now(), Duration::from_millis(9));
    });
    let stuck = std::panic::catch_unwind(|| {
        run("call 1: never returns", |mock| add(&*open(mock).unwrap(), 1))
    });
    let report = *stuck.unwrap_err().downcast::<String>().unwrap();
    assert!(report.contains("main waits for a method that never returns (H7)"), "{report}");
}

#[test]
fn completions_get_lost_come_twice_or_late_and_not_from_the_dead() {
    let completions = |faults: &str| {
        run(faults, |mock| {
            let (connection, queue) = (open(mock).unwrap(), mock.completion_queue());
            let call = |number: u64| -> Result<Reply, CallError> {
                connection.call(2).scalars(&[number]).completing_on(&*queue, &[0, 1]).send()
            };
            call(1).unwrap();
            call(2).unwrap();
            let argument = |completion: Completion| {
                completion.arguments[0] + if completion.status.is_success() { 0 } else { 100 }
            };
            let taken: Vec<_> =
                std::iter::from_fn(|| queue.wait(Some(Duration::from_millis(50)))).collect();
            taken.into_iter().map(argument).collect::<Vec<_>>()
        })
    };
    assert_eq!(completions("completion 3: lost"), [1, 2]);
    assert_eq!(completions("completion 2 #1: lost"), [2]);
    assert_eq!(completions("completion 2 #2: doubled"), [1, 2, 2]);
    assert_eq!(completions("completion 2 #2: error Aborted"), [1, 102], "its arguments stay");
    assert_eq!(completions("completion 2 #1: late 5ms"), [2, 1]);
    assert_eq!(completions("completion 2 #1: late 5ms; at 3ms: dext dies"), [2], "D20");
}

#[test]
fn a_hang_holds_up_whoever_shares_its_queue() {
    // Each connection has its own lock (K1); both share the service's queue (K3), which hangs.
    run("call 1 #1: never returns; at 5ms: dext dies", |mock| {
        let (first, second) = (open(mock).unwrap(), open(mock).unwrap());
        let hung = mock.schedule().spawn("hung", move || add(&*first, 1));
        mock.schedule().sleep(Duration::from_millis(1));
        assert_eq!(add(&*second, 0), Err(IoReturn::MIG_SERVER_DIED), "it waits for the queue");
        assert_eq!(hung.join(), Err(IoReturn::MIG_SERVER_DIED));
    });
}
