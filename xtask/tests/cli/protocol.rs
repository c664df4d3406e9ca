//! `protocol`: proposed descriptions, and how `show` uses them.

use crate::common::Folder;
use std::path::Path;

fn smc() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/smc/small.tape.jsonl");
    path.to_string_lossy().into_owned()
}

#[test]
fn what_is_proposed_can_be_checked_and_shown_and_is_not_written_over() {
    let folder = Folder::new();
    let said = folder.run(&["protocol", "propose", &smc(), "-o", "smc.toml"]);
    insta::assert_snapshot!(said, @r"
    smc.toml: 1 selectors, 2 structures, 0 memory types; all guesses, to be read and named
    --- stderr
    --- exit code 0
    ");
    let text = String::from_utf8(folder.read("smc.toml")).unwrap();
    assert!(text.starts_with("# Proposed from a tape of 166 events."), "{text}");
    // Each field says what it was guessed from.
    assert!(text.lines().filter(|line| line.starts_with("    {")).all(|line| line.contains(" # ")));
    let to_stdout = folder.run(&["protocol", "propose", &smc()]);
    assert_eq!((to_stdout.code, to_stdout.out), (Some(0), text));

    let shown = folder.run(&["show", &smc(), "--protocol", "smc.toml", "--selector", "2"]).out;
    assert!(shown.contains("selector_2() input Input2 {code_0x0: '#KEY'"), "{shown}");

    let again = folder.run(&["protocol", "propose", &smc(), "-o", "smc.toml"]);
    assert_eq!((again.code, again.out.as_str()), (Some(2), ""));
    assert!(again.err.starts_with("error: failed to write smc.toml: it is there"), "{again}");
    let forced = folder.run(&["protocol", "propose", &smc(), "-o", "smc.toml", "--force"]);
    assert_eq!(forced.code, Some(0), "{forced}");

    folder.write("broken.toml", b"format = 1\n[selectors.0]\nname = 3\n");
    let said = folder.run(&["protocol", "check", "broken.toml"]);
    assert_eq!(said.code, Some(1), "{said}");
    assert!(said.err.contains("failed to read line 3, column 8"), "{said}");
}

#[test]
fn wrong_questions_are_told_what_there_is() {
    let folder = Folder::new();
    let said = folder.run(&["protocol", "propose", &smc(), "--service", "Nobody"]);
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""));
    assert!(
        said.err.ends_with("find connections to \"Nobody\": the tapes have \"AppleSMC\"\n"),
        "{said}"
    );
    assert_eq!(folder.run(&["protocol", "propose"]).code, Some(2));
    assert_eq!(folder.run(&["protocol", "propose", "none"]).code, Some(2));
    folder.write("broken.tape.jsonl", b"{\"tape\":\"1.0\"");
    assert_eq!(folder.run(&["protocol", "propose", "broken.tape.jsonl"]).code, Some(1));
}
