//! The real system against a service that is really there: AppleSMC, which every Mac has.
//!
//! On a Mac with the feature `live` these are tests like others; one whose service the machine lacks
//! is skipped by name. CI runs them against `libIOKit.so`, once with the mock of AppleSMC behind it, and
//! once with the boundary probe, whose memory can be mapped and which completes and ends when it is told
//! to. In builds without a real system there is nothing to run, and that is said.

use libtest_mimic::Arguments;

fn main() -> std::process::ExitCode {
    let arguments = Arguments::from_args();
    let trials = trials();
    if trials.is_empty() && !arguments.list {
        eprintln!("the real system: not run, because this build has none");
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

#[cfg(not(all(target_os = "macos", feature = "live")))]
fn trials() -> Vec<libtest_mimic::Trial> {
    Vec::new()
}

#[cfg(all(target_os = "macos", feature = "live"))]
use live::trials;

#[cfg(all(target_os = "macos", feature = "live"))]
mod live {
    use dextape::IoReturn;
    use dextape::call::{MapOptions, ServiceId};
    use dextape::connection::{
        AsyncWake, Connection, ConnectionExt, Matching, MethodInput, MethodOutput, Notice,
        NoticeKind, OtherCall, System, Value,
    };
    use dextape::kernel::MockSystem;
    use dextape::memory::AccessError;
    use dextape::schedule::Schedule;
    use dextape_recorder::iokit::IoKitSystem;
    use libtest_mimic::{Failed, Trial};
    use std::sync::Arc;
    use std::task::{Context, Poll, Wake, Waker};
    use std::time::Duration;

    type Test = fn(&Arc<IoKitSystem>) -> Result<(), Failed>;

    /// Tests of any Mac with an AppleSMC.
    const TESTS: &[(&str, Test)] = &[
        ("services_are_found_by_class_and_property", found_by_class_and_property),
        ("a_service_that_was_never_shown_is_no_device", never_shown),
        ("a_call_goes_there_and_back", call_goes_there_and_back),
        ("the_library_refuses_more_than_16_scalars", more_than_16_scalars),
        ("a_closed_connection_has_an_invalid_destination", closed_connection),
    ];

    /// Tests of the boundary probe: AppleSMC maps no memory, completes nothing and stays.
    const PROBE_TESTS: &[(&str, Test)] = &[
        ("mapped_memory_is_reached_until_it_is_unmapped", mapped_memory),
        ("completions_arrive_in_order_and_wake_their_client", completions),
        ("the_wake_of_a_call_is_checked", wakes),
        ("other_calls_are_answered", other_calls),
        // The last one: it ends the service.
        ("services_that_come_and_go_are_noticed", notices),
    ];

    const PROBE: &str = "BoundaryProbe";

    pub(super) fn trials() -> Vec<Trial> {
        let there = |class| IoKitSystem::open().is_ok_and(|system| first(&system, class).is_ok());
        if there(PROBE) {
            let all = || -> Result<(), Failed> {
                // One service, so one after the other.
                PROBE_TESTS.iter().try_for_each(|(name, test)| {
                    println!("{name}");
                    test(&IoKitSystem::open()?)
                })
            };
            return vec![Trial::test("the_boundary_probe_is_served", all)];
        }
        let absent = !there("AppleSMC");
        TESTS
            .iter()
            .map(|(name, test)| {
                let run = move || test(&IoKitSystem::open()?);
                Trial::test(*name, run).with_ignored_flag(absent)
            })
            .collect()
    }

    fn first(system: &Arc<IoKitSystem>, class: &str) -> Result<ServiceId, IoReturn> {
        let system: &dyn System = &**system;
        system.first_service(&Matching::service(class))
    }

    fn probe(system: &Arc<IoKitSystem>) -> Result<Box<dyn Connection>, IoReturn> {
        System::open(&**system, first(system, PROBE)?, 0)
    }

    fn smc(system: &Arc<IoKitSystem>) -> Result<ServiceId, IoReturn> {
        first(system, "AppleSMC")
    }

    fn open(system: &Arc<IoKitSystem>) -> Result<Box<dyn Connection>, IoReturn> {
        System::open(&**system, smc(system)?, 0)
    }

    fn found_by_class_and_property(system: &Arc<IoKitSystem>) -> Result<(), Failed> {
        let service = smc(system)?;
        let again = Matching::service("AppleSMC").property("IOClass", "AppleSMC");
        assert_eq!(system.matching_services(&again)?, [service], "the number stays");
        let other = Matching::service("AppleSMC").property("IOClass", "NoSuchClass");
        assert_eq!(system.matching_services(&other)?, []);
        let class = Some(Value::from("AppleSMC"));
        assert_eq!(system.property(service, "IOClass")?, class);
        assert_eq!(system.property(service, "NoSuchProperty")?, None);
        assert_eq!(system.properties(service)?.get("IOClass").cloned(), class);
        Ok(())
    }

    fn never_shown(system: &Arc<IoKitSystem>) -> Result<(), Failed> {
        let never = ServiceId(99);
        assert_eq!(system.properties(never), Err(IoReturn::NO_DEVICE));
        assert_eq!(System::open(&**system, never, 0).err(), Some(IoReturn::NO_DEVICE));
        Ok(())
    }

    fn call_goes_there_and_back(system: &Arc<IoKitSystem>) -> Result<(), Failed> {
        let connection = open(system)?;
        // Command 9 asks for size and type of a key.
        let mut request = [0_u8; 80];
        request[..4].copy_from_slice(&u32::from_be_bytes(*b"#KEY").to_le_bytes());
        request[42] = 9;
        let mut reply = [0_u8; 80];
        let returned = connection.call(2).input_bytes(&request).output_bytes(&mut reply)?;
        assert_eq!(returned.structure_size, 80);
        assert_eq!(reply[40], 0, "the result in the structure");
        assert_eq!(reply[28..32], 4_u32.to_le_bytes(), "size of the key");
        assert_eq!(reply[32..36], u32::from_be_bytes(*b"ui32").to_le_bytes(), "its type");
        Ok(())
    }

    fn more_than_16_scalars(system: &Arc<IoKitSystem>) -> Result<(), Failed> {
        let connection = open(system)?;
        let input = MethodInput { scalars: &[0; 17], ..MethodInput::default() };
        let mut output = MethodOutput { scalar_count: 3, ..MethodOutput::default() };
        let result = connection.call_method(2, &input, &mut output);
        assert_eq!(result, IoReturn::MIG_ARRAY_TOO_LARGE, "A2");
        assert_eq!(output.scalar_count, 3, "A17");
        Ok(())
    }

    fn closed_connection(system: &Arc<IoKitSystem>) -> Result<(), Failed> {
        let connection = open(system)?;
        assert_eq!(connection.close(), IoReturn::SUCCESS);
        let result = connection.call(2).send().unwrap_err().io_return();
        assert_eq!(result, Some(IoReturn::MACH_SEND_INVALID_DEST), "A15");
        assert_eq!(connection.close(), IoReturn::MACH_SEND_INVALID_DEST);
        Ok(())
    }

    fn mapped_memory(system: &Arc<IoKitSystem>) -> Result<(), Failed> {
        let connection = probe(system)?;
        let first = connection.map_memory(0, MapOptions::ANYWHERE, 0)?;
        let second = connection.map_memory(0, MapOptions::ANYWHERE, 0)?;
        assert_eq!((first.length(), first.size()), (128, system.page_size()));
        assert_eq!((first.id(), first.address()), (second.id(), second.address()), "F11");
        first.store::<u32>(124, 0xdead_beef)?;
        assert_eq!(second.load::<u32>(124)?, 0xdead_beef);
        assert_eq!(second.fetch_add::<u32>(124, 1)?, 0xdead_beef);
        assert_eq!(first.read_vec(120, 8)?, [0, 0, 0, 0, 0xf0, 0xbe, 0xad, 0xde]);
        let beyond = first.load::<u32>(first.size());
        assert!(matches!(beyond, Err(AccessError::OutOfRange { .. })));
        assert_eq!(
            connection.map_memory(1, MapOptions::ANYWHERE, 0).err(),
            Some(IoReturn::BAD_ARGUMENT),
            "F18"
        );

        assert_eq!(connection.unmap_memory(1, 0), IoReturn::NO_DEVICE, "F18");
        assert_eq!(first.load::<u32>(124)?, 0xdead_bef0, "nothing was unmapped");
        assert_eq!(connection.unmap_memory(0, 0), IoReturn::SUCCESS);
        assert_eq!(second.load::<u32>(0), Err(AccessError::Unmapped { offset: 0 }), "F16");
        let third = connection.map_memory(0, MapOptions::ANYWHERE, 0)?;
        assert_ne!(third.id(), first.id(), "a mapping of its own, whatever its address");
        assert_eq!(connection.close(), IoReturn::SUCCESS);
        assert_eq!(third.store::<u8>(0, 1), Err(AccessError::Unmapped { offset: 0 }), "F23");
        Ok(())
    }

    fn completions(system: &Arc<IoKitSystem>) -> Result<(), Failed> {
        let (queue, other) = (system.completion_queue(), system.completion_queue());
        let connection = probe(system)?;
        let call = |arguments, completions| {
            let (scalars, reference) = ([arguments, completions], [9, 0x11, 0x22]);
            connection.call(8).scalars(&scalars).completing_on(&*queue, &reference).send()
        };
        let unit = 0x1_0000_0001;
        call(2, 2)?;
        call(16, 1)?;
        for count in [2, 2, 16] {
            let completion = queue.wait(None).ok_or("nothing came")?;
            assert_eq!(completion.reference, [0, 0x11, 0x22, 0, 0, 0, 0, 0], "D7, D8");
            assert_eq!(completion.status, IoReturn::ABORTED, "D14");
            let arguments: Vec<u64> = (1..=count).map(|value| value * unit).collect();
            assert_eq!(completion.arguments[..], arguments, "D15, D17");
        }
        assert_eq!(queue.poll(), None);
        assert_eq!(queue.wait(Some(Duration::from_millis(1))), None);
        assert_eq!(other.poll(), None);

        let waiting = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| block_on(queue.next()));
            std::thread::sleep(Duration::from_millis(20));
            call(1, 1).map(|_| waiting.join())
        })?;
        assert_eq!(waiting.map_err(|_| "the waiting thread panicked")?.arguments[..], [unit]);
        // Some are left in the queue when it goes.
        call(1, 100)?;
        Ok(())
    }

    /// Runs a future on this thread.
    fn block_on<F: Future>(future: F) -> F::Output {
        struct Unpark(std::thread::Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut future = std::pin::pin!(future);
        loop {
            match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(output) => return output,
                Poll::Pending => std::thread::park(),
            }
        }
    }

    fn wakes(system: &Arc<IoKitSystem>) -> Result<(), Failed> {
        let connection = probe(system)?;
        let queue = system.completion_queue();
        let call = |queue, reference: Option<&[u64]>| {
            let wake = AsyncWake { queue, reference };
            let result = connection.call(8).scalars(&[1]).waking(wake).send();
            result.map_or_else(|error| error.io_return(), |_| Some(IoReturn::SUCCESS))
        };
        let nowhere = AsyncWake { queue: None, reference: Some(&[0]) };
        assert!(connection.call(0).waking(nowhere).send().is_ok(), "D6");
        assert_eq!(call(Some(&*queue), None), Some(IoReturn::SUCCESS), "D2");
        assert!(queue.wait(None).is_some());
        assert_eq!(call(Some(&*queue), Some(&[])), Some(IoReturn::BAD_ARGUMENT), "D3");
        assert_eq!(call(Some(&*queue), Some(&[0; 9])), Some(IoReturn::MIG_ARRAY_TOO_LARGE), "D1");
        let mock = MockSystem::new(&Schedule::free());
        let elsewhere = mock.completion_queue();
        let refused = call(Some(&*elsewhere), Some(&[0]));
        assert_eq!(refused, Some(IoReturn::MACH_SEND_INVALID_RIGHT), "D5");
        assert_eq!(queue.wait(Some(Duration::from_millis(1))), None);
        Ok(())
    }

    fn other_calls(system: &Arc<IoKitSystem>) -> Result<(), Failed> {
        let (connection, other) = (probe(system)?, probe(system)?);
        let ask = |call: OtherCall<'_>| connection.other_call(&call).err();
        let properties = Value::Dictionary([("Number".to_owned(), Value::Number(8))].into());
        let set = OtherCall::SetProperties { properties: Some(&properties) };
        assert_eq!(ask(set), Some(IoReturn::UNSUPPORTED), "G19");
        let client = Some(other.id());
        assert_eq!(ask(OtherCall::AddClient { client }), Some(IoReturn::UNSUPPORTED), "G17");
        let trap = || OtherCall::Trap { index: 2, arguments: &[1, 2] };
        assert_eq!(ask(trap()), None, "G20");
        assert_eq!(ask(OtherCall::GetService), Some(IoReturn::UNSUPPORTED), "G18");
        assert_eq!(ask(OtherCall::AddRef), None, "G15");
        assert_eq!(ask(OtherCall::Release), None, "G15");
        assert_eq!(connection.close(), IoReturn::SUCCESS);
        assert_eq!(ask(OtherCall::GetService), Some(IoReturn::MACH_SEND_INVALID_DEST), "A15");
        assert_eq!(ask(trap()), Some(IoReturn::BAD_ARGUMENT), "G21");
        Ok(())
    }

    fn notices(system: &Arc<IoKitSystem>) -> Result<(), Failed> {
        let watched = system.watch(&Matching::service(PROBE))?;
        let other = system.watch(&Matching::service("NoSuchClass"))?;
        let service = first(system, PROBE)?;
        let arrived = Notice { kind: NoticeKind::Arrived, service };
        assert_eq!(watched.poll(), Some(arrived), "it is there already");
        assert_eq!(watched.poll(), None);
        assert_eq!(other.poll(), None);
        probe(system)?.call(12).send()?;
        let terminated = Notice { kind: NoticeKind::Terminated, service };
        assert_eq!(watched.wait(None), Some(terminated));
        Ok(())
    }
}
