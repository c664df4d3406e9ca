//! The battery on the dexts of the scenarios: the right ones give nothing, the naive one what it is
//! there to show.

use dextape::IoReturn;
use dextape::battery::{
    self, Amount, Argument, Contract, MemoryContract, MethodContract, ProblemKind, Report, Subject,
};
use dextape::connection::Matching;
use dextape::kernel::MockSystem;
use dextape::tape::Tape;
use dextape_scenarios::null_driver::NullDriver;
use dextape_scenarios::shared_buffer::{self, Buffers, SharedBufferDriver};
use dextape_scenarios::{Parameters, Scenario, smc, usb_bulk};
use std::path::Path;
use std::sync::Arc;

/// `kUSBHostReturnPipeStalled`.
const PIPE_STALLED: IoReturn = IoReturn(0xe000_404f);

/// NullDriver as Apple's sample documents it.
fn null_driver() -> Contract {
    let scalars: Vec<u64> = (0..16).collect();
    let data = [44, 1, 0, 0, 0, 0, 0, 0, 144, 1, 0, 0, 0, 0, 0, 0];
    Contract::new(Matching::user_class("NullDriver"))
        .method(
            MethodContract::new(0)
                .scalars(&scalars)
                .wants_scalars(16)
                .scalars_in(Amount::Any)
                .scalars_out(Amount::Any)
                // Without a dispatch entry nobody looks at structures.
                .bytes_in(Amount::Any)
                .bytes_out(Amount::Any),
        )
        .method(
            MethodContract::new(1)
                .input(&data)
                .wants_bytes(16)
                .scalars_in(Amount::Any)
                .scalars_out(Amount::Any)
                .bytes_in(Amount::Any)
                .bytes_out(Amount::Any),
        )
        .method(MethodContract::new(2).scalars(&scalars).wants_scalars(16).synchronous())
        .method(MethodContract::new(3).input(&data).wants_bytes(16).synchronous())
        .method(MethodContract::new(4).input(&data).wants_bytes(16).completes(1))
        .method(
            // Before any registration there is nothing to complete.
            MethodContract::new(5).input(&data).after(&[4]).code(IoReturn::ERROR),
        )
}

fn shared_buffer() -> Contract {
    Contract::new(Matching::user_class(shared_buffer::abi::USER_CLASS))
        .method(MethodContract::new(0).wants_scalars(1).synchronous())
        .method(MethodContract::new(1).scalars(&[5]).synchronous())
        .method(MethodContract::new(2).scalars(&[3]).wants_scalars(1).synchronous())
        .memory(MemoryContract::new(0).length(128))
        .memory(MemoryContract::new(1).length(16).read_only())
}

fn run(contract: Contract, scenario: impl Scenario + 'static) -> Report {
    let mut parameters = Parameters::of(&scenario);
    scenario.prepare(&mut parameters).unwrap();
    battery::run(contract, move |mock: &Arc<MockSystem>| {
        scenario.publish(&parameters, mock).map_err(|_| IoReturn::ERROR)
    })
}

#[test]
fn null_driver_gives_nothing() {
    let unchecked = "selectors 0 and 1 of the sample have no dispatch entry";
    let contract = null_driver().justify(ProblemKind::Lint, Subject::Selector(1), unchecked);
    let report = battery::run(contract, |mock| NullDriver::publish(mock).map(drop));
    assert!(report.is_clean(), "{report}");
    let lints: Vec<_> = report.justified.iter().map(|problem| &problem.message[..13]).collect();
    assert_eq!(lints, ["output-unwrit", "output-too-lo"], "{report}");
}

#[test]
fn a_kept_buffer_gives_nothing() {
    let publish =
        |mock: &Arc<MockSystem>| SharedBufferDriver::publish(Buffers::Kept, mock).map(drop);
    let report = battery::run(shared_buffer(), publish);
    assert!(report.is_clean(), "{report}");
}

#[test]
fn a_fresh_buffer_cannot_be_unmapped() {
    let publish =
        |mock: &Arc<MockSystem>| SharedBufferDriver::publish(Buffers::Fresh, mock).map(drop);
    let report = battery::run(shared_buffer(), publish);
    let said: Vec<_> = report
        .problems
        .iter()
        .filter(|problem| problem.subject == Subject::MemoryType(0))
        .map(|problem| format!("{}: {}", problem.kind, problem.message))
        .collect();
    assert_eq!(
        said,
        [
            "memory: mapped again it is another memory (F11)",
            "memory: it cannot be unmapped: kIOReturnBadArgument (0xe00002c2) (F15, F20)",
            "memory: in round 1 map and unmap give kIOReturnBadArgument (0xe00002c2)",
            "lint: fresh-descriptor: a new descriptor was made for an unmap, which therefore finds nothing \
         to unmap",
        ],
        "{report}"
    );
}

/// A contract learned from the fixture of a scenario.
fn learned(tape: &str) -> Contract {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    Contract::from_tape(&Tape::read(&fixtures.join(tape)).unwrap()).unwrap()
}

#[test]
fn smc_gives_nothing() {
    let report = run(learned("smc/small.tape.jsonl"), smc::SCENARIO);
    assert!(report.is_clean(), "{report}");
}

#[test]
fn usb_bulk_gives_nothing() {
    use usb_bulk::abi::{USER_CLASS, device, endpoint, selector};
    let ends = || Argument::Within { range: endpoint::OUT..=endpoint::IN, example: endpoint::IN };
    // Everything goes through one device, and comes back when the device likes.
    let contract = Contract::new(Matching::user_class(USER_CLASS))
        .exclusive()
        .code(PIPE_STALLED)
        .method(MethodContract::new(selector::DEVICE).scalars(&[device::SEND, 100]).shared())
        .method(
            MethodContract::new(selector::WRITE)
                .scalars(&[7])
                .input(&[1; 64])
                .bytes_in(Amount::Within(1..=1 << 24))
                .asynchronous()
                .shared(),
        )
        .method(
            MethodContract::new(selector::READ)
                .scalars(&[8])
                .wants_bytes(8192)
                .bytes_out(Amount::Within(4097..=1 << 24))
                .asynchronous()
                .shared(),
        )
        .method(MethodContract::new(selector::ABORT).arguments(&[ends()]).synchronous().shared())
        .method(
            MethodContract::new(selector::CLEAR_STALL).arguments(&[ends()]).synchronous().shared(),
        )
        .method(MethodContract::new(selector::COUNTS).wants_scalars(4).synchronous().shared());
    let report = run(contract, usb_bulk::SCENARIO);
    assert!(report.is_clean(), "{report}");
}

#[test]
fn what_is_probed_is_what_the_contract_says() {
    let publish =
        |mock: &Arc<MockSystem>| SharedBufferDriver::publish(Buffers::Kept, mock).map(drop);
    let probed = battery::probe(Matching::user_class(shared_buffer::abi::USER_CLASS), publish);
    let shapes = |contract: &Contract| -> Vec<_> {
        let methods = contract.methods.iter();
        methods.map(|it| (it.selector, it.scalars_in.clone(), it.scalars_out.clone())).collect()
    };
    assert_eq!(shapes(&probed), shapes(&self::shared_buffer()));
    let memories: Vec<_> =
        probed.memories.iter().map(|it| (it.memory_type, it.length, it.read_only)).collect();
    assert_eq!(memories, [(0, Some(128), false), (1, Some(16), true)]);
}
