use super::*;
use crate::driverkit::testing::{in_simulated_process, lints};
use crate::driverkit::{DextProcess, OsObject, OsSharedPtr, os_log};
use crate::schedule::Schedule;

const SECOND: Duration = Duration::from_secs(1);

struct Bench<'a> {
    schedule: &'a Schedule,
    lines: InterruptLines,
    provider: Provider,
    queue: OsSharedPtr<DispatchQueue>,
    source: OsSharedPtr<InterruptDispatchSource>,
}

/// What an enabled source of line 0 logs while `test` runs.
fn heard(kind: InterruptType, test: impl FnOnce(&Bench<'_>)) -> Vec<String> {
    in_simulated_process(3, |process, schedule| {
        let lines = InterruptLines::new(&[kind, InterruptType::EDGE]);
        let provider = Provider::new("IOPCIDevice").with_interrupts(&lines);
        let queue = OsSharedPtr::adopt(DispatchQueue::create("interrupts").unwrap());
        let source = InterruptDispatchSource::create(&provider, 0, &queue).unwrap();
        let source = OsSharedPtr::adopt(source);
        let action = OsSharedPtr::adopt(OsAction::interrupt_occurred(|_, count, time| {
            os_log(format!("{count} at {time:?}"));
        }));
        assert_eq!(source.set_handler(&action), IoReturn::SUCCESS);
        assert_eq!(source.set_enable(true), IoReturn::SUCCESS);
        let bench = Bench { schedule, lines, provider, queue, source };
        test(&bench);
        bench.schedule.sleep(SECOND);
        drop(bench);
        assert_eq!(action.retain_count(), 1, "the source has released its own reference");
        drop(action);
        assert!(process.leaks().is_empty(), "{}", process.leaks());
        assert!(lints(process).is_empty());
        process.log()
    })
}

#[test]
fn interrupts_before_the_call_are_counted_together_and_those_after_it_anew() {
    let log = heard(InterruptType::PCI_MESSAGED, |bench| {
        bench.lines.raise(0);
        bench.lines.raise(0);
        assert_eq!(bench.source.last_interrupt(), (2, Duration::ZERO));
        bench.schedule.sleep(SECOND);
        assert_eq!(bench.source.last_interrupt(), (0, Duration::ZERO));
        bench.lines.raise(0);
    });
    assert_eq!(log, ["2 at 0ns", "1 at 1s"]);
}

#[test]
fn a_source_is_made_disabled_and_the_line_keeps_one_interrupt_meanwhile() {
    let log = heard(InterruptType::EDGE, |bench| {
        assert_eq!(bench.source.set_enable(false), IoReturn::SUCCESS);
        for _ in 0..3 {
            bench.lines.raise(0);
        }
        bench.schedule.sleep(SECOND);
        assert_eq!(bench.source.set_enable(true), IoReturn::SUCCESS);
        // What has not changed is no error, and brings nothing.
        assert_eq!(bench.source.set_enable(true), IoReturn::SUCCESS);

        let second = InterruptDispatchSource::create(&bench.provider, 1, &bench.queue).unwrap();
        let action = OsAction::interrupt_occurred(|_, _, _| os_log("disabled, and yet called"));
        second.set_handler(&action).ok().unwrap();
        action.release();
        bench.lines.raise(1);
        bench.schedule.sleep(SECOND);
        second.release();
    });
    assert_eq!(log, ["1 at 1s"]);
}

#[test]
fn a_level_interrupt_comes_again_until_the_device_lowers_it() {
    let log = in_simulated_process(3, |process, schedule| {
        let lines = InterruptLines::new(&[InterruptType::LEVEL]);
        let provider = Provider::new("IOPCIDevice").with_interrupts(&lines);
        let queue = OsSharedPtr::adopt(DispatchQueue::create("interrupts").unwrap());
        let source = InterruptDispatchSource::create(&provider, 0, &queue).unwrap();
        let device = lines.clone();
        let rounds = Mutex::new(0);
        let action = OsAction::interrupt_occurred(move |_, count, _| {
            let mut rounds = rounds.lock().unwrap();
            *rounds += 1;
            // Raised again while it is being handled, it is still the same assertion.
            if *rounds < 10 {
                device.raise(0);
            }
            os_log(format!("round {rounds}: {count}"));
            if *rounds >= 3 {
                device.lower(0);
            }
        });
        source.set_handler(&action).ok().unwrap();
        source.set_enable(true).ok().unwrap();
        lines.raise(0);
        schedule.sleep(SECOND);
        action.release();
        source.release();
        process.log()
    });
    assert_eq!(log, ["round 1: 1", "round 2: 1", "round 3: 1"]);
}

#[test]
fn a_cancelled_source_hears_nothing_and_gives_the_line_back() {
    let log = heard(InterruptType::EDGE, |bench| {
        let taken = InterruptDispatchSource::create(&bench.provider, 0, &bench.queue);
        assert_eq!(taken.err(), Some(IoReturn::NO_RESOURCES));
        bench.lines.raise(0);
        // It was on its way already, and does not arrive.
        assert_eq!(bench.source.cancel(|| os_log("cancelled")), IoReturn::SUCCESS);
        bench.lines.raise(0);
        bench.schedule.sleep(SECOND);
        assert_eq!(bench.source.set_enable(false), IoReturn::UNSUPPORTED);
        let again = InterruptDispatchSource::create(&bench.provider, 0, &bench.queue).unwrap();
        again.release();
    });
    assert_eq!(log, ["cancelled"]);
}

#[test]
fn an_interrupt_without_a_handler_is_lost() {
    let log = in_simulated_process(3, |process, schedule| {
        let lines = InterruptLines::new(&[InterruptType::EDGE]);
        let provider = Provider::new("IOPCIDevice").with_interrupts(&lines);
        let queue = OsSharedPtr::adopt(DispatchQueue::create("interrupts").unwrap());
        let source = InterruptDispatchSource::create(&provider, 0, &queue).unwrap();
        source.set_enable(true).ok().unwrap();
        lines.raise(0);
        schedule.sleep(SECOND);
        let action = OsAction::interrupt_occurred(|_, count, _| os_log(format!("{count}")));
        source.set_handler(&action).ok().unwrap();
        lines.raise(0);
        schedule.sleep(SECOND);
        action.release();
        source.release();
        process.log()
    });
    assert_eq!(log, ["1"]);
}

#[test]
fn a_disable_says_when_no_call_is_under_way_any_more() {
    let log = heard(InterruptType::EDGE, |bench| {
        bench.lines.raise(0);
        let result = bench.source.set_enable_with_completion(false, || os_log("disabled"));
        assert_eq!(result, IoReturn::SUCCESS);
        bench.lines.raise(0);
    });
    assert_eq!(log, ["1 at 0ns", "disabled"]);
}

#[test]
fn a_provider_has_the_lines_that_it_was_given() {
    in_simulated_process(3, |_, _| {
        let queue = OsSharedPtr::adopt(DispatchQueue::create("interrupts").unwrap());
        let lines = InterruptLines::new(&[InterruptType::LEVEL]);
        let provider = Provider::new("IOPCIDevice").with_interrupts(&lines);
        let kind = InterruptDispatchSource::interrupt_type;
        assert_eq!(kind(&provider, 0), Ok(InterruptType::LEVEL));
        assert_eq!(kind(&provider, 1), Err(IoReturn::NO_INTERRUPT));
        assert_eq!(kind(&Provider::new("IOUserResources"), 0), Err(IoReturn::NO_INTERRUPT));
        let create = |index| InterruptDispatchSource::create(&provider, index, &queue);
        assert_eq!(create(1).err(), Some(IoReturn::NO_INTERRUPT));
        // The upper half of the index chooses a clock.
        create(0x1_0000).unwrap().release();
        assert!(!lines.raise(1), "there is no such line");
    });
}

#[test]
fn the_end_of_a_process_gives_its_lines_back() {
    in_simulated_process(3, |_, schedule| {
        let lines = InterruptLines::new(&[InterruptType::EDGE]);
        let provider = Provider::new("IOPCIDevice").with_interrupts(&lines);
        let open = |name: &str| {
            let process = DextProcess::new(name, schedule);
            let inside = process.enter();
            let queue = DispatchQueue::create("interrupts").unwrap();
            let source = InterruptDispatchSource::create(&provider, 0, &queue).map(drop);
            drop(inside);
            (process, source)
        };
        let (first, opened) = open("first");
        assert_eq!(opened, Ok(()));
        assert_eq!(open("second").1, Err(IoReturn::NO_RESOURCES));
        first.kill();
        assert_eq!(open("third").1, Ok(()));
    });
}
