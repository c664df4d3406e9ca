//! Kept by `cargo xtask adopt`: what the tape brought about must not come again.

use dextape_lab::Regression;

/// the client's error: check failed: the number of the queue was wrong: call selector #: kIOReturnBadArgument (#)
#[test]
fn nvme_gone() {
    let tape = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/regressions/nvme_gone.tape.jsonl");
    let regression = Regression::read(tape.as_ref()).unwrap();
    regression.client(|system| (crate::exam::CANDIDATES[3].run)(system, None)).unwrap();
}
