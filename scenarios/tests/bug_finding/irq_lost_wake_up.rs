//! Kept by `cargo xtask adopt`: what the tape brought about must not come again.

use dextape_lab::Regression;

/// the client's error: check failed: nobody handled vector #, pending: true
#[test]
fn irq_lost_wake_up() {
    let tape =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/regressions/irq_lost_wake_up.tape.jsonl");
    let regression = Regression::read(tape.as_ref()).unwrap();
    crate::support::client_over(&regression, |system| {
        (crate::exam::CANDIDATES[5].run)(system, None)
    })
    .unwrap();
}
