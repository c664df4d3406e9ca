//! `tapes`.

use crate::common::Folder;
use dextape::tape::Tape;

#[test]
fn orphans_and_expired_tapes_are_told() {
    let folder = Folder::new();
    for (name, expires) in [("asked", None), ("orphan", None), ("old", Some("2001-12-31"))] {
        let file = format!("tapes/{name}.tape.jsonl");
        folder.run(&["record", "null-driver", "--out", &file]);
        let mut tape = Tape::read(&folder.path(&file)).unwrap();
        if let Some(last) = expires {
            tape.header_mut().extra.insert("expires".to_owned(), last.into());
        }
        tape.write(&folder.path(&file)).unwrap();
    }
    fs_err::create_dir_all(folder.path("used")).unwrap();
    let asked = |name: &str| folder.path(&format!("tapes/{name}.tape.jsonl")).display().to_string();
    let list = format!("{}\n{}\n{}\n", asked("asked"), asked("old"), asked("asked"));
    folder.write("used/17.tapes", list.as_bytes());
    let said = folder.run(&["tapes", "tapes", "--used", "used"]);
    assert_eq!(said.code, Some(0), "{said}");
    assert!(said.err.contains("warning: tapes/orphan.tape.jsonl: no test asked for it"), "{said}");
    assert!(said.err.contains("warning: tapes/old.tape.jsonl: has expired"), "{said}");
    assert!(!said.err.contains("asked.tape.jsonl"), "{said}");
    let said = folder.run(&["tapes", "tapes", "--used", "used", "--strict"]);
    assert_eq!(said.code, Some(1), "{said}");
    assert!(said.err.contains("failed to keep 3 tapes: 2 have trouble"), "{said}");
    let said = folder.run(&["tapes", "tapes", "--used", "none"]);
    assert_eq!(said.code, Some(2), "{said}");
}
