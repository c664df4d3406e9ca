//! The battery on the null driver in C++: it gives what it gives in Rust.

use crate::compile::{null_driver, trial};
use dextape::IoReturn;
use dextape::battery::{
    self, Amount, Contract, MemoryContract, MethodContract, ProblemKind, Subject,
};
use dextape::connection::Matching;
use libtest_mimic::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("battery::gives_nothing_but_what_the_sample_is_known_for", "g++", || {
        let contract = contract().justify(
            ProblemKind::Lint,
            Subject::Selector(1),
            "selectors 0 and 1 of the sample have no dispatch entry",
        );
        let plugin = null_driver();
        let report = battery::run(contract, move |mock| plugin.publish(mock).map(drop));
        assert!(report.is_clean(), "{report}");
        let lints: Vec<_> = report.justified.iter().map(|problem| &problem.message[..13]).collect();
        assert_eq!(lints, ["output-unwrit", "output-too-lo"], "{report}");
    })]
}

/// The sample as it is documented, and the shared buffer that only the dext in C++ has.
fn contract() -> Contract {
    let scalars: Vec<u64> = (0..16).collect();
    let data = [44, 1, 0, 0, 0, 0, 0, 0, 144, 1, 0, 0, 0, 0, 0, 0];
    let any = |method: MethodContract| {
        let method = method.scalars_in(Amount::Any).scalars_out(Amount::Any);
        method.bytes_in(Amount::Any).bytes_out(Amount::Any)
    };
    Contract::new(Matching::user_class("NullDriver"))
        .method(any(MethodContract::new(0).scalars(&scalars).wants_scalars(16)))
        .method(any(MethodContract::new(1).input(&data).wants_bytes(16)))
        .method(MethodContract::new(2).scalars(&scalars).wants_scalars(16).synchronous())
        .method(MethodContract::new(3).input(&data).wants_bytes(16).synchronous())
        .method(MethodContract::new(4).input(&data).wants_bytes(16).completes(1))
        // Before any registration there is nothing to complete.
        .method(MethodContract::new(5).input(&data).after(&[4]).code(IoReturn::ERROR))
        .memory(MemoryContract::new(0).length(128))
}
