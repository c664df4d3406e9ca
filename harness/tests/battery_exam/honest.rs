//! A client that keeps to the description, and to which every sampler is the same.

use crate::dext::{Bug, Configuration, Info, Sampler, description, memory_type, selector};
use dextape::IoReturn;
use dextape::call::{MapOptions, ServiceId};
use dextape::connection::{CompletionQueue, Connection, ConnectionExt, Matching, System};
use dextape::kernel::MockSystem;
use dextape::schedule::Schedule;
use std::sync::Arc;
use std::time::Duration;

/// A system with a sampler.
pub(crate) struct Bench {
    pub(crate) schedule: Schedule,
    pub(crate) mock: Arc<MockSystem>,
    pub(crate) service: ServiceId,
}

impl Bench {
    /// Runs `body` at one, in a simulated schedule.
    pub(crate) fn with<R>(seed: u64, sampler: Sampler, body: impl FnOnce(&Self) -> R) -> R {
        Schedule::simulate(seed, |schedule| {
            let mock = MockSystem::new(schedule);
            sampler.publish(&mock).unwrap();
            let system: &dyn System = &*mock;
            let wanted = Matching::user_class(description().user_class);
            let service = system.first_service(&wanted).unwrap();
            body(&Self { schedule: schedule.clone(), mock, service })
        })
    }

    pub(crate) fn open(&self) -> Box<dyn Connection> {
        self.mock.open(self.service, 0).unwrap()
    }

    pub(crate) fn queue(&self) -> Arc<dyn CompletionQueue> {
        self.mock.completion_queue()
    }
}

/// The right one, and one with each bug.
pub(crate) fn samplers() -> Vec<Sampler> {
    [Sampler::RIGHT].into_iter().chain(Bug::ALL.map(Sampler::with)).collect()
}

fn inverted(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| !byte).collect()
}

fn use_scalars_and_session(connection: &dyn Connection) {
    let sum = connection.call(selector::ADD).scalars(&[u64::MAX, 3]).want_scalars(2).send();
    assert_eq!(sum.unwrap().scalars[..], [2, 1]);
    let number = connection.call(selector::OPEN_SESSION).scalars(&[1]).want_scalars(1).send();
    assert_eq!(number.unwrap().scalars[..], [1]);
    let handles = [70, 71, 72].map(|value| {
        let reply = connection.call(selector::ALLOCATE).scalars(&[value]).want_scalars(1).send();
        reply.unwrap().scalars[0]
    });
    for (handle, value) in handles.into_iter().zip([70, 71, 72]).rev() {
        let reply = connection.call(selector::FREE).scalars(&[handle]).want_scalars(1).send();
        assert_eq!(reply.unwrap().scalars[..], [value]);
    }
    connection.call(selector::CLOSE_SESSION).send().unwrap();
}

fn use_structures(connection: &dyn Connection) {
    let configuration = Configuration { gain: 7, rate: 44_100, mask: 0xff00_ff00 };
    connection.call(selector::CONFIGURE).input(&configuration).send().unwrap();
    let info = connection.call(selector::INFO).output::<Info>().unwrap();
    assert_eq!(info, Info { version: 3, feeds: 0, configuration });
    for length in [4, 4096, 4100, 65_536] {
        let given: Vec<u8> = (0..length).map(|number| number as u8).collect();
        let mut got = vec![0; length];
        let call = connection.call(selector::INVERT).input_bytes(&given);
        assert_eq!(call.output_bytes(&mut got).unwrap().structure_size, length as u64);
        assert_eq!(got, inverted(&given), "{length}");
    }
}

fn use_memory(connection: &dyn Connection) {
    let map = |memory_type| connection.map_memory(memory_type, MapOptions::ANYWHERE, 0).unwrap();
    let (window, status) = (map(memory_type::WINDOW), map(memory_type::STATUS));
    assert_eq!((window.length(), status.length()), (16_384, 64));
    for bytes in [vec![250; 5], (0..4096).map(|number| number as u8).collect()] {
        let call = connection.call(selector::FEED).scalars(&[2]).input_bytes(&bytes);
        let sum: u64 = bytes.iter().copied().map(u64::from).sum();
        let reply = call.want_scalars(2).send().unwrap();
        assert_eq!(reply.scalars[..], [sum, bytes.len() as u64]);
        assert_eq!(window.read_vec(0, bytes.len() as u64).unwrap(), bytes);
        assert_eq!(status.load::<u32>(4), Ok(selector::FEED));
    }
    let served = status.load::<u32>(0).unwrap();
    connection.call(selector::ADD).scalars(&[1, 1]).want_scalars(2).send().unwrap();
    assert_eq!(status.load::<u32>(0), Ok(served + 1));
    window.store::<u32>(16_380, 9).unwrap();
    assert!(status.store::<u32>(0, 0).is_err());
}

fn watch(bench: &Bench, connection: &dyn Connection) {
    let queue = bench.queue();
    for scalars in [[20, 3], [1000, 1]] {
        let call = connection.call(selector::WATCH).scalars(&scalars);
        call.completing_on(&*queue, &[0, 5]).send().unwrap();
        for number in 1..=scalars[1] {
            let completion = queue.wait(Some(Duration::from_secs(2))).unwrap();
            assert_eq!((completion.status, completion.reference[1]), (IoReturn::SUCCESS, 5));
            assert_eq!(completion.arguments[..], [number]);
        }
    }
    assert_eq!(queue.wait(Some(Duration::from_secs(5))), None);
}

/// Uses all that the description offers, twice.
fn use_legally(bench: &Bench) {
    for _ in 0..2 {
        let connection = bench.open();
        use_scalars_and_session(&*connection);
        use_structures(&*connection);
        use_memory(&*connection);
        watch(bench, &*connection);
        assert_eq!(connection.close(), IoReturn::SUCCESS);
        bench.schedule.sleep(Duration::from_secs(60));
        bench.mock.settle();
    }
}

#[test]
fn a_client_that_keeps_to_the_description_sees_no_bug() {
    for sampler in samplers() {
        println!("{sampler:?}");
        Bench::with(1, sampler, use_legally);
    }
}

#[test]
fn with_such_a_client_the_right_dext_leaves_nothing_behind() {
    for seed in 0..10 {
        Bench::with(seed, Sampler::RIGHT, |bench| {
            use_legally(bench);
            bench.mock.terminate(bench.service);
            assert_eq!(bench.mock.leaks(), []);
            assert_eq!(bench.mock.findings(), []);
        });
    }
}
