//! What a run of a tape is that the tape suggests and does not prove, and what a failed request is.

use super::candidates::record;
use super::exam::{CANDIDATES, Candidate};
use dextape::IoReturn;
use dextape::connection::{ConnectionExt, Matching, System};
use dextape::perturb::{Check, Deviations};
use dextape::tape::{Body, Tape};
use dextape_scenarios::nvme_rings::abi::memory_type;
use dextape_scenarios::{irq_page, null_driver, usb_bulk};
use std::sync::Arc;

fn candidate(name: &str) -> &'static Candidate {
    CANDIDATES.iter().find(|candidate| candidate.scenario.name() == name).unwrap()
}

/// Makes a run of a client's own tape.
fn run(candidate: &'static Candidate, tape: &Tape, list: &str) -> Tape {
    let list: Deviations = list.parse().unwrap();
    let check = Check::new(tape).unwrap();
    check.record(&list, |system| (candidate.run)(system, None)).unwrap()
}

/// A request that ends with an error has brought nothing, and what came with its end does not come.
#[test]
fn a_failed_request_brings_no_data() {
    let usb = candidate("usb-bulk");
    let tape = record(usb, None);
    let data = |tape: &Tape| {
        let is_data =
            |body: &Body| matches!(body, Body::Patch { data, .. } if data.length() > 4096);
        tape.events().iter().filter(|event| is_data(&event.body)).count()
    };
    let statuses = |tape: &Tape| {
        let status = |body: &Body| match body {
            Body::Posted { status, .. } if !status.is_success() => Some(*status),
            _ => None,
        };
        tape.events().iter().filter_map(|event| status(&event.body)).collect::<Vec<_>>()
    };
    let failed = run(usb, &tape, "fault completion * #3: error Aborted");
    assert_eq!(statuses(&failed), [IoReturn::ABORTED]);
    assert!(statuses(&tape).is_empty());
    assert_eq!((data(&tape), data(&failed)), (6, 2), "the third brings none, and the client stops");
    let selector = usb_bulk::abi::selector::READ;
    let other = run(usb, &tape, &format!("fault completion {} #1: error Aborted", selector + 90));
    assert_eq!(data(&other), 6);
}

/// The tail of the completion ring moves on by one while the client looks at each; a device that is ahead
/// does not wait for that, but is one command ahead at most.
#[test]
fn a_device_that_is_ahead_is_one_step_ahead() {
    let nvme = candidate("nvme-rings");
    let tape = record(nvme, None);
    let ring = memory_type::completions(1);
    let of_type = |tape: &Tape| {
        let mut asked = None;
        tape.events().iter().find_map(|event| match &event.body {
            Body::Map { memory_type, .. } => {
                asked = Some(*memory_type);
                None
            }
            Body::Mapped { outcome: Ok(mapped) } if asked == Some(ring) => Some(mapped.memory),
            _ => None,
        })
    };
    let steps = |tape: &Tape| {
        let memory = of_type(tape).unwrap();
        let tail = |body: &Body| match body {
            Body::Patch { memory: of, offset: 8, data, .. } if *of == memory => {
                Some(i16::from(data.as_bytes().unwrap()[0]))
            }
            _ => None,
        };
        let tails: Vec<_> = tape.events().iter().filter_map(|event| tail(&event.body)).collect();
        let step = |pair: &[i16]| (pair[1] - pair[0]).rem_euclid(8);
        tails.windows(2).map(step).max().unwrap()
    };
    let most = |manner: &str| {
        let late =
            (20..200).step_by(3).map(|at| format!("{manner}lane 1 before #{at}: stall 300ms"));
        late.map(|list| steps(&run(nvme, &tape, &list))).max().unwrap()
    };
    assert_eq!(steps(&tape), 1);
    assert_eq!(most(""), 1);
    assert_eq!(most("extrapolated: device ahead; "), 2);
}

/// A call that the tape does not hold has an answer where that is asked for, and ends the run else.
#[test]
fn a_call_off_the_tape_is_answered_where_that_is_asked_for() {
    let tape = record(candidate("irq-page"), None);
    let selector = irq_page::abi::selector::CHECK_INTERRUPT;
    let ask = |system: &Arc<dyn System>| {
        let class = Matching::user_class(irq_page::abi::USER_CLASS);
        let connection = system.open(system.first_service(&class)?, 0)?;
        let reply = connection.call(selector).want_scalars(4).send();
        Ok::<_, IoReturn>(reply.map(|reply| reply.scalars[..].to_vec()).ok())
    };
    let found = std::cell::RefCell::new(None);
    let check = |list: &str| {
        *found.borrow_mut() = None;
        let explored = Check::new(&tape)
            .unwrap()
            .deviations(list.parse().unwrap())
            .run(|system| ask(system).map(|reply| *found.borrow_mut() = reply));
        (explored.unwrap().left, found.borrow().clone())
    };
    assert_eq!(check("lane 1 before #1: stall 1ms"), (1, None));
    assert_eq!(check("extrapolated: calls answered"), (0, Some(vec![0; 4])));
    let faulty = format!("extrapolated: calls answered; fault call {selector}: error Timeout");
    assert_eq!(check(&faulty), (0, None), "a fault strikes it, too");
    let dies = format!("extrapolated: calls answered; fault call {selector}: dext dies");
    assert_eq!(check(&dies), (0, None), "nobody is there");
}

/// It is answered as the one whose input is nearest, with what came of that.
#[test]
fn a_call_of_other_input_is_answered_as_the_nearest() {
    let null = candidate("null-driver");
    let tape = record(null, None);
    let ask = |system: &Arc<dyn System>| {
        let class = Matching::user_class(null_driver::abi::USER_CLASS);
        let connection = system.open(system.first_service(&class)?, 0)?;
        let queue = system.completion_queue();
        let data = null_driver::abi::Data { foo: 1, bar: 99 };
        let call = connection.call(null_driver::abi::selector::REGISTER_ASYNC).input(&data);
        let sent = call.completing_on(&*queue, &[0, 1, 2]).output::<null_driver::abi::Data>();
        sent.map_err(|_| IoReturn::ERROR)?;
        queue.wait(None).map(|came| came.status).ok_or(IoReturn::TIMEOUT)?.ok()
    };
    let check = |list: &str| {
        let list = list.parse().unwrap();
        Check::new(&tape).unwrap().deviations(list).run(ask).unwrap().left
    };
    assert_eq!(check("lane 1 before #1: stall 1ms"), 1);
    assert_eq!(check("extrapolated: calls answered"), 0, "and it completes");
}
