//! Kept by `cargo xtask adopt`: what the tape brought about must not come again.

use dextape_lab::Regression;

/// the client's error: check failed: the text is half changed: # of # letters
#[test]
fn shared_torn_text() {
    let tape =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/regressions/shared_torn_text.tape.jsonl");
    let regression = Regression::read(tape.as_ref()).unwrap();
    crate::support::client_over(&regression, |system| {
        (crate::exam::CANDIDATES[1].run)(system, None)
    })
    .unwrap();
}
