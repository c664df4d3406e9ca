//! Kept by `cargo xtask adopt`: what the tape brought about must not come again.

use dextape_lab::Regression;

/// the client's signal 6: forgetful.c:#: main: Assertion `!(seen == # && out[#] == #)' failed.
#[test]
fn forgetful_client() {
    let tape = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fixtures/regressions/forgetful_client.tape.jsonl"
    );
    let regression = Regression::read(tape.as_ref()).unwrap();
    crate::support::program(&regression, "../../xtask/tests/cli/forgetful.c", &["mended"]).unwrap();
}
