//! The battery on the dexts of the scenarios: the right ones give nothing, the naive one what it is
//! there to show.

use dextape::IoReturn;
use dextape::battery::{
    self, Amount, Contract, MemoryContract, MethodContract, ProblemKind, Report, Subject,
};
use dextape::connection::Matching;
use dextape::kernel::MockSystem;
use dextape_scenarios::null_driver::NullDriver;
use dextape_scenarios::shared_buffer::{self, Buffers, SharedBufferDriver};
use dextape_scenarios::{Parameters, Scenario, smc, usb_bulk};
use std::sync::Arc;

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
    let report = battery::run(null_driver(), |mock| NullDriver::publish(mock).map(drop));
    assert!(report.is_clean(), "{report}");
    assert!(report.trials > 300, "{report}");
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
    panic!("{report}");
}

#[test]
fn smc_x() {
    let contract = battery::probe(Matching::service("AppleSMC"), publish_of(smc::SCENARIO));
    println!("{contract:#?}");
    let report = run(contract, smc::SCENARIO);
    panic!("{report}");
}

#[test]
fn usb_x() {
    let contract = battery::probe(
        Matching::user_class(usb_bulk::abi::USER_CLASS),
        publish_of(usb_bulk::SCENARIO),
    );
    println!("{contract:#?}");
    let report = run(contract, usb_bulk::SCENARIO);
    panic!("{report}");
}

fn publish_of(
    scenario: impl Scenario + 'static,
) -> impl Fn(&Arc<MockSystem>) -> Result<(), IoReturn> + Send + Sync {
    let mut parameters = Parameters::of(&scenario);
    scenario.prepare(&mut parameters).unwrap();
    move |mock: &Arc<MockSystem>| scenario.publish(&parameters, mock).map_err(|_| IoReturn::ERROR)
}
