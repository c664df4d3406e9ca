//! `record --faults`.

use crate::common::Folder;
use dextape::tape::Tape;

const OUT: &str = "a.tape.jsonl";

#[test]
fn a_faulty_run_is_recorded_and_the_tape_says_so() {
    let folder = Folder::new();
    folder.write(
        "plan",
        b"# the second call of selector 1 is slow and fails\ncall 1 #1: error Busy\n",
    );
    let record = |faults: &str| {
        let asked = ["record", "null-driver", "--faults", faults, "--out", OUT, "--print"];
        let said = folder.run(&asked);
        assert_eq!(said.code, Some(0), "{said}");
        assert!(said.out.contains("\nstruct: kIOReturnBusy (0xe00002d5)\n"), "{said}");
        (said.out, folder.read(OUT))
    };
    assert_eq!(record("plan"), record("call 1 #1: error 0xe00002d5"), "a file, or the text");
    let tape = Tape::read(&folder.path(OUT)).unwrap();
    assert_eq!(tape.header().provenance, ["faults: call 1 #1: error Busy"]);
    assert_eq!(folder.run(&["replay", OUT]).code, Some(0));
}

#[test]
fn a_client_that_cannot_go_on_leaves_its_tape() {
    let folder = Folder::new();
    let refused = ["record", "null-driver", "--faults", "open: refuse NotPermitted", "--out", OUT];
    // The second time nothing of the first is in the way.
    assert_eq!(folder.run(&refused), folder.run(&refused));
    insta::assert_snapshot!(folder.run(&refused), @"
        --- stderr
        error: failed to run the client of null-driver: open NullDriver: kIOReturnNotPermitted (0xe00002e2); what it did is on a.tape.jsonl
        --- exit code 2
        ");
    assert_eq!(folder.run(&["verify", OUT]).code, Some(1), "its client fails again");
    assert_eq!(Tape::read(&folder.path(OUT)).unwrap().events().len(), 3);
}

#[test]
fn a_dext_that_dies_is_on_the_tape_as_its_client_saw_it() {
    let folder = Folder::new();
    let faults = "call 0 #1: dext dies";
    let said = folder.run(&["record", "null-driver", "--faults", faults, "--out", OUT, "--print"]);
    assert_eq!(said.code, Some(0), "{said}");
    assert!(
        said.out
            .starts_with("scalar: MIG_SERVER_DIED (0xfffffecc)\nstruct: MACH_SEND_INVALID_DEST"),
        "{said}"
    );
}

#[test]
fn faults_that_cannot_be_read_are_a_wrong_question() {
    let folder = Folder::new();
    folder.write("plan", b"seed 1\ncall 1: explode\n");
    folder.write("large", &vec![b'#'; (1 << 20) + 1]);
    let said = |faults: &str| folder.run(&["record", "smc", "--faults", faults]).to_string();
    insta::assert_snapshot!(["plan", "large", "plann", "open: lost"].map(said).join("\n"), @r#"
    --- stderr
    error: failed to read faults from plan: read fault 2 ("call 1: explode"): expected error CODE, delay TIME, never returns, dext dies or device removed in a call; the first and the last two also with `afterwards`
    --- exit code 2
    --- stderr
    error: failed to read faults from large: expected at most 1048576 bytes, found 1048577
    --- exit code 2
    --- stderr
    error: failed to read fault 1 ("plann"): expected a site, a colon and what happens there, such as `call 3 #2: error Busy` (and there is no file of that name)
    --- exit code 2
    --- stderr
    error: failed to read fault 1 ("open: lost"): expected error CODE, refuse CODE, delay TIME, dext dies or device removed in an open (and there is no file of that name)
    --- exit code 2
    "#);
    let live = folder.run(&["record", "smc", "--live", "--faults", "open: error Busy"]);
    assert_eq!(live.code, Some(2), "{live}");
    assert!(live.err.contains("cannot be used with"), "{live}");
}
