//! Lives of connections on the mock, recorded and replayed: the calls beside methods and memory, and what
//! ends on the other side.

use dextape::IoReturn;
use dextape::call::MapOptions;
use dextape::connection::{Connection, ConnectionExt, Matching, Notice, NoticeKind, System, Value};
use dextape::driverkit::{
    BufferMemoryDescriptor, Direction, ExternalMethodArguments, MemoryDescriptor, Service,
    UserClient,
};
use dextape::kernel::{MockSystem, ServiceDescription};
use dextape::memory::AccessError;
use dextape::replay::{DivergenceKind, Policy, ReplayOptions, Replayer};
use dextape::schedule::Schedule;
use dextape::tape::{Body, Event, Tape};
use dextape_recorder::recording::{RecordOptions, RecordingSession};
use dextape_recorder::seal::{SealOptions, seal};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

struct Client;

impl UserClient for Client {
    fn external_method(&self, _: u64, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        arguments.scalar_output.fill(7);
        IoReturn::SUCCESS
    }

    fn copy_client_memory_for_type(
        &self,
        _: u64,
        _: &mut u64,
        memory: &mut Option<MemoryDescriptor>,
    ) -> IoReturn {
        let buffer = BufferMemoryDescriptor::create(Direction::IN_OUT, 64, 0);
        *memory = buffer.ok().map(|buffer| buffer.descriptor());
        IoReturn::SUCCESS
    }
}

struct Driver;

impl Service for Driver {
    fn new_user_client(&self, _: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        Ok(Some(Arc::new(Client)))
    }
}

fn described() -> ServiceDescription {
    ServiceDescription::dext("Driver", "com.example.driver")
}

/// What a client does with a system. The mock is there in the recording only.
type Story<R> = fn(&dyn System, Option<&Arc<MockSystem>>) -> R;

/// Records the story, has the tape validated and replays it under every policy: the client must see
/// the same.
fn told<R: PartialEq + std::fmt::Debug>(story: Story<R>) -> (R, Arc<Tape>) {
    let folder = tempfile::tempdir().unwrap();
    let (journal, path) = (folder.path().join("journal"), folder.path().join("a.tape.jsonl"));
    let seen = Schedule::simulate(3, |schedule| {
        let mock = MockSystem::new(schedule);
        mock.publish(described(), Arc::new(Driver)).unwrap();
        let session = RecordingSession::start(&journal, RecordOptions::default()).unwrap();
        let system = session.wrap(Arc::clone(&mock) as Arc<dyn System>);
        let seen = story(&*system, Some(&mock));
        session.finish();
        seen
    });
    seal(&journal, &path, SealOptions::default()).unwrap();
    let tape = Arc::new(Tape::read(&path).unwrap());
    let validation = tape.validate();
    assert!(validation.is_valid(), "{validation}");
    for policy in Policy::ALL {
        let options = ReplayOptions::default().policy(policy);
        let replayer = Replayer::new(Arc::clone(&tape), options).unwrap();
        let again = Schedule::simulate(3, |schedule| story(&*replayer.system(schedule), None));
        assert_eq!(again, seen, "{policy}");
        assert!(replayer.finish().unwrap().is_complete(), "{policy}");
    }
    (seen, tape)
}

fn opened(system: &dyn System) -> Box<dyn Connection> {
    let service = system.first_service(&Matching::user_class("Driver")).unwrap();
    system.open(service, 0).unwrap()
}

fn call(connection: &dyn Connection) -> IoReturn {
    let called = connection.call(0).want_scalars(1).send();
    called.err().and_then(|error| error.io_return()).unwrap_or(IoReturn::SUCCESS)
}

#[test]
fn calls_beside_methods_and_memory_replay() {
    let (seen, _) = told(|system, _| {
        let (first, second) = (opened(system), opened(system));
        let queue = system.completion_queue();
        let stranger = MockSystem::new(system.schedule()).completion_queue();
        // A reference is often a pointer, which differs from run to run.
        let pointer = std::ptr::from_ref(&queue).addr() as u64;
        let on = Value::from("on");
        let mut seen = vec![
            first.set_notification_port(1, Some(&*queue), pointer),
            first.set_notification_port(1, Some(&*stranger), pointer),
            first.set_notification_port(1, None, pointer),
            first.add_client(Some(second.id())),
            first.add_client(None),
            first.get_service().unwrap_err(),
            first.set_property("Light", Some(&on)),
            first.set_properties(None),
            first.trap(2, &[1, 2, 3]),
            first.trap(0, &[]),
        ];
        seen.push(second.close());
        seen.extend([second.trap(2, &[]), second.add_ref(), second.release()]);
        seen
    });
    let unsupported = IoReturn::UNSUPPORTED;
    let expected = [
        unsupported,
        IoReturn::MACH_SEND_INVALID_RIGHT,
        unsupported,
        unsupported,
        IoReturn::BAD_ARGUMENT,
        unsupported,
        unsupported,
        unsupported,
        IoReturn::SUCCESS,
        IoReturn(14),
        IoReturn::SUCCESS,
        IoReturn::BAD_ARGUMENT,
        IoReturn::KERN_INVALID_NAME,
        IoReturn::KERN_INVALID_NAME,
    ];
    assert_eq!(seen, expected);
}

#[test]
fn a_mapping_outlives_the_close_while_another_right_is_held() {
    let (seen, _) = told(|system, _| {
        let connection = opened(system);
        let mapping = connection.map_memory(0, MapOptions::ANYWHERE, 0).unwrap();
        let taken = connection.add_ref();
        let closed = (connection.close(), call(&*connection), mapping.load::<u8>(0));
        let released = (connection.release(), mapping.load::<u8>(0));
        (taken, closed, released)
    });
    let gone = Err(AccessError::Unmapped { offset: 0 });
    let ok = IoReturn::SUCCESS;
    assert_eq!(seen, (ok, (ok, IoReturn::BAD_ARGUMENT, Ok(0)), (ok, gone)), "F24");
}

/// Its service is removed under a client that watches and that uses the connection further.
fn removed(system: &dyn System, mock: Option<&Arc<MockSystem>>) -> (Vec<IoReturn>, Option<Notice>) {
    let notices = system.watch(&Matching::user_class("Driver")).unwrap();
    let arrived = notices.wait(None).unwrap();
    let connection = system.open(arrived.service, 0).unwrap();
    let mut seen = vec![call(&*connection)];
    if let Some(mock) = mock {
        mock.terminate(arrived.service);
    }
    seen.extend([call(&*connection), connection.trap(2, &[]), connection.close()]);
    seen.extend(system.open(arrived.service, 0).err());
    (seen, notices.wait(Some(Duration::from_secs(1))))
}

fn ends(tape: &Tape) -> Vec<&Event> {
    let events = tape.events().iter();
    events.filter(|event| matches!(event.body, Body::Terminated { .. })).collect()
}

#[test]
fn the_end_of_a_service_stands_on_the_tape_when_it_comes() {
    let ((seen, notice), tape) = told(removed);
    let dead = IoReturn::MACH_SEND_INVALID_DEST;
    let expected = [IoReturn::SUCCESS, dead, IoReturn::BAD_ARGUMENT, dead, IoReturn::OFFLINE];
    assert_eq!(seen, expected);
    assert_eq!(notice.map(|notice| notice.kind), Some(NoticeKind::Terminated));
    let [end] = ends(&tape)[..] else { panic!("{:?}", ends(&tape)) };
    assert_eq!((end.lane, &end.body), (0, &Body::Terminated { service: Some(1) }));
    // Between the call that still worked and the one that did not.
    let returns = tape.events().iter().filter(|event| matches!(event.body, Body::Return(_)));
    let returns: Vec<u64> = returns.map(|event| event.sequence).collect();
    assert!(returns[0] < end.sequence && end.sequence < returns[1], "{returns:?}");
}

#[test]
fn a_tape_on_which_a_dead_connection_answers_is_not_valid() {
    let (_, tape) = told(removed);
    let mut events = tape.events().to_vec();
    let dead = events.iter_mut().rev().find_map(|event| match &mut event.body {
        Body::Return(returned) => Some((event.sequence, returned)),
        _ => None,
    });
    let (sequence, returned) = dead.unwrap();
    returned.result = IoReturn::NOT_PERMITTED;
    let found = Tape::new(tape.header().clone(), events).validate().findings;
    let [finding] = &found[..] else { panic!("{found:?}") };
    assert_eq!(finding.sequence, Some(sequence));
    assert!(finding.message.contains("expected MACH_SEND_INVALID_DEST"), "{}", finding.message);
    // Nothing is certain where a client only heard of it.
    let mut events = tape.events().to_vec();
    for event in &mut events {
        match &mut event.body {
            Body::Return(returned) if event.sequence == sequence => {
                returned.result = IoReturn::NOT_PERMITTED;
            }
            Body::Terminated { .. } => (event.lane, event.position) = (2, 1),
            _ => {}
        }
    }
    let validation = Tape::new(tape.header().clone(), events).validate();
    assert!(validation.is_valid(), "{validation}");
}

/// So many calls, the last of them after the service has died.
fn calls(system: &dyn System, mock: Option<&Arc<MockSystem>>, count: u32) -> Vec<IoReturn> {
    let service = system.first_service(&Matching::user_class("Driver")).unwrap();
    let connection = system.open(service, 0).unwrap();
    let mut seen = vec![call(&*connection)];
    if let Some(mock) = mock {
        mock.crash(service);
    }
    seen.extend((1..count).map(|_| call(&*connection)));
    seen
}

#[test]
fn a_replay_names_the_end_to_a_client_that_goes_on() {
    let (_, tape) = told(|system, mock| calls(system, mock, 2));
    let replayer = Replayer::new(tape, ReplayOptions::default()).unwrap();
    let diverged = catch_unwind(AssertUnwindSafe(|| {
        Schedule::simulate(3, |schedule| calls(&*replayer.system(schedule), None, 3))
    }));
    assert!(diverged.is_err());
    let report = replayer.finish().unwrap_err();
    assert_eq!(report.kind, DivergenceKind::WrongState);
    assert!(report.message.contains("ended this connection on the tape"), "{}", report.message);
}

#[test]
fn one_user_client_of_several_is_terminated() {
    let (seen, tape) = told(|system, mock| {
        let (first, second) = (opened(system), opened(system));
        if let Some(mock) = mock {
            mock.terminate_client(first.id());
        }
        (call(&*first), first.close(), call(&*second))
    });
    let dead = IoReturn::MACH_SEND_INVALID_DEST;
    assert_eq!(seen, (dead, dead, IoReturn::SUCCESS));
    let [end] = ends(&tape)[..] else { panic!("{:?}", ends(&tape)) };
    assert_eq!((end.lane, end.connection), (0, Some(1)));
    assert_eq!(end.body, Body::Terminated { service: None });
}

#[test]
fn a_service_that_is_matched_anew_is_another_one() {
    let (seen, tape) = told(|system, mock| {
        let notices = system.watch(&Matching::bundle_id("com.example.driver")).unwrap();
        let first = notices.wait(None).unwrap();
        let old = system.open(first.service, 0).unwrap();
        if let Some(mock) = mock {
            let update = described().property("Version", 2_u64);
            mock.rematch(first.service, update, Arc::new(Driver)).unwrap();
        }
        let (end, begin) = (notices.wait(None).unwrap(), notices.wait(None).unwrap());
        let new = system.open(begin.service, 0).unwrap();
        let version = system.property(begin.service, "Version").unwrap();
        assert_ne!(first.service, begin.service);
        assert_eq!((end.kind, end.service), (NoticeKind::Terminated, first.service));
        assert_eq!(begin.kind, NoticeKind::Arrived);
        (call(&*old), call(&*new), version)
    });
    let dead = IoReturn::MACH_SEND_INVALID_DEST;
    assert_eq!(seen, (dead, IoReturn::SUCCESS, Some(Value::Number(2))));
    assert_eq!(ends(&tape).len(), 1);
}
