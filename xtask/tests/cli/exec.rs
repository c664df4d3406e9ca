//! Programs in C that are recorded and replayed by the command line.

use crate::common::Folder;
use std::path::Path;
use std::process::Command;

/// Compiles a client, of `clients-c` or by its whole path, with the compiler for sources that were written
/// for a Mac.
pub(crate) fn compiled(folder: &Folder, client: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let built = Path::new(env!("CARGO_BIN_EXE_xtask")).parent().unwrap();
    let libraries = [built.join("deps"), built.to_owned()];
    let library = libraries.iter().find(|folder| folder.join("libIOKit.so").is_file()).unwrap();
    let program = folder.path("client");
    let output = Command::new(root.join("harness/cabi/bin/dextape-cc"))
        .args(["-Wall", "-Werror", "-arch", "x86_64", "-mmacosx-version-min=13.0", "-o"])
        .arg(&program)
        .arg(root.join("scenarios/clients-c").join(client))
        .args(["-framework", "IOKit", "-framework", "CoreFoundation"])
        .env("DEXTAPE_LIBRARY", library)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program.to_str().unwrap().to_owned()
}

#[test]
#[cfg(target_os = "linux")]
fn a_program_in_c_is_recorded_verified_and_replayed() {
    let folder = Folder::new();
    let program = compiled(&folder, "null_driver.c");
    let said = folder.run(&["record", "null-driver", "--out", "c.tape.jsonl", "--exec", &program]);
    assert_eq!(said.code, Some(0), "{said}");
    assert!(
        said.out.contains("on the mock of null-driver: 33 events; the client printed 15 lines"),
        "{said}"
    );
    let said = folder.run(&["replay", "c.tape.jsonl", "--exec", &program]);
    assert_eq!(said.code, Some(0), "{said}");
    // With its argument it asks for more than the tape holds.
    let said = folder.run(&["replay", "c.tape.jsonl", "--exec", &program, "async"]);
    assert_eq!(said.code, Some(1), "{said}");
    assert!(said.err.contains("failed to IONotificationPortCreate: "), "{said}");
}

/// Half of what it prints comes from its stdin, in the recording and in the replay that verifies it.
#[test]
#[cfg(target_os = "linux")]
fn a_program_reads_the_same_when_it_is_replayed() {
    let folder = Folder::new();
    let program = compiled(&folder, "null_driver.c");
    folder.write("input", b"read by the program\n");
    let script = format!("{program} sync; cat");
    let run = |arguments: &[&str]| {
        let input = std::fs::File::open(folder.path("input")).unwrap();
        let output = folder.command(arguments).stdin(input).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(said.contains("\nread by the program\n"), "{said}");
    };
    let exec = ["--print", "--exec", "sh", "-c", &script];
    run(&[&["record", "null-driver", "--out", "c.tape.jsonl"], &exec[..]].concat());
    run(&[&["replay", "c.tape.jsonl"], &exec[..]].concat());
}

#[test]
#[cfg(target_os = "linux")]
fn a_program_without_iokit_leaves_no_tape() {
    let folder = Folder::new();
    let said = folder.run(&["record", "smc", "--out", "none.tape.jsonl", "--exec", "true"]);
    assert_eq!(said.code, Some(2), "{said}");
    assert!(said.err.contains("failed to record true: it left no tape"), "{said}");
}

/// It ends by a signal, in the recording and in the replay, and its tape is sealed all the same.
#[test]
#[cfg(target_os = "linux")]
fn a_program_that_crashes_has_its_tape_sealed() {
    let folder = Folder::new();
    let source = folder.path("crash.c");
    let includes = "#include <IOKit/IOKitLib.h>\n#include <stdlib.h>\n";
    let main = "int main(void) { IOServiceGetMatchingService(0, IOServiceMatching(\"None\")); abort(); }\n";
    folder.write("crash.c", [includes, main].concat().as_bytes());
    let program = compiled(&folder, source.to_str().unwrap());
    let record = ["record", "null-driver", "--out", "c.tape.jsonl", "--exec", &program];
    let said = folder.run(&record);
    assert_eq!(said.code, Some(0), "{said}");
    assert!(said.out.contains("signal: 6"), "{said}");
    let note = "note: sealed c.tape.jsonl, 1 events, of a program that did not seal it itself\n";
    assert!(said.err.contains(note), "{said}");
    assert!(!folder.path("c.journal").exists());
    // A journal that somebody left is not taken for this program's.
    folder.write("c.journal", b"");
    let said = folder.run(&record);
    assert_eq!(said.code, Some(2), "{said}");
    assert!(said.err.contains("`cargo xtask recover c.journal` makes its tape"), "{said}");
}

#[test]
#[cfg(target_os = "linux")]
fn the_compiler_knows_no_other_framework() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut command = Command::new(root.join("harness/cabi/bin/dextape-cc"));
    let output = command.args(["-framework", "AppKit"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        said,
        "dextape-cc: there is no framework AppKit here, only IOKit and CoreFoundation\n"
    );
}
