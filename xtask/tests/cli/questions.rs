//! Questions, right and wrong, that need no tape.

use crate::common::Folder;

#[test]
fn a_wrong_verb_is_a_wrong_question() {
    let said = Folder::new().run(&["rewind"]);
    insta::assert_snapshot!(said, @r"
    --- stderr
    error: unrecognized subcommand 'rewind'

    Usage: cargo xtask [OPTIONS] <COMMAND>

    For more information, try '--help'.
    --- exit code 2
    ");
}

#[test]
fn no_verb_shows_what_there_is() {
    let said = Folder::new().run::<&str>(&[]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("Usage: cargo xtask"), "{said}");
    assert_eq!(said.out, "");
}

#[test]
fn help_is_a_result() {
    let said = Folder::new().run(&["--help"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    assert!(said.out.contains("Exit codes: 0 all is well;"), "{said}");
}

#[test]
fn the_scenarios_are_listed_with_what_can_be_set() {
    let folder = Folder::new();
    let said = folder.run(&["list"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    let first = |line: &str| line.split_whitespace().next().map(str::to_owned);
    let names: Vec<_> = said.out.lines().filter(|line| !line.starts_with(' ')).map(first).collect();
    assert!(names.contains(&Some("smc".to_owned())), "{said}");
    assert!(said.out.contains("--param dump"), "{said}");

    let json: serde_json::Value =
        serde_json::from_str(&folder.run(&["list", "--format", "json"]).out).unwrap();
    assert_eq!(json["scenarios"]["smc"]["parameters"]["dump"]["default"], "");
}

#[test]
fn a_bench_or_proof_of_no_such_name_is_a_wrong_question() {
    let folder = Folder::new();
    for verb in ["bench", "prove"] {
        let said = folder.run(&[verb, "no-such-name"]);
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""));
        assert!(
            said.err.starts_with(&format!(
                "error: failed to find such a {}",
                verb.replace("prove", "proof")
            )),
            "{said}"
        );
    }
}

#[test]
fn completions_name_every_verb() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish"] {
        let said = folder.run(&["completions", shell]);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
        for verb in ["record", "replay", "diff", "show", "verify", "recover", "reseal"] {
            assert!(said.out.contains(verb), "{shell} lacks {verb}");
        }
    }
}
