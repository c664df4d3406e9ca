//! Somebody else's client, unchanged: the crate `macsmc`.

use crate::tools::{Tools, trial, well};
use dextape::tape::{Body, Tape};
use libtest_mimic::Trial;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

pub(crate) fn trials(tools: Option<&Arc<Tools>>) -> Vec<Trial> {
    vec![
        trial(tools, "macsmc_prints_what_the_mock_holds", printed),
        trial(tools, "macsmc_is_recorded_from_inside_and_replayed", recorded),
    ]
}

/// A machine with a key of each type that the crate decodes.
const DUMP: &str = "\
macOS 10.14.1 (18B75)
Public keys (11):
[#KEY] type [ui32] 75693332 len [ 4] attr [80] -> 0000000B
[ACID] type [ch8*] 6368382A len [ 8] attr [90] -> 6162630000000000
[F0Ac] type [fpe2] 66706532 len [ 2] attr [80] -> 1C40
[F0Mn] type [fpe2] 66706532 len [ 2] attr [C0] -> 1450
[F0Mx] type [flt ] 666C7420 len [ 4] attr [C0] -> 00004045
[FNum] type [ui8 ] 75693820 len [ 1] attr [80] -> 01
[MSSN] type [si8 ] 73693820 len [ 1] attr [D0] -> 80
[NATJ] type [ui8?] 75693800 len [ 1] attr [D0] -> 07
[TC0P] type [sp78] 73703738 len [ 2] attr [80] -> 2B40
[zRDB] type [flag] 666C6167 len [ 1] attr [50] -> NOT READABLE, code 85
[zSEN] type [flag] 666C6167 len [ 1] attr [91] -> 01
";

/// Between the fields of its structure the crate hands in whatever lies there.
const ANNOTATIONS: &str = r#"
format = 1
name = "AppleSMC"
[selectors.2]
name = "call"
input = "ParamStruct"
[structures.ParamStruct]
fields = [
    { name = "key", type = "u32", show = "four_characters" },
    { name = "version", type = "bytes", count = 6 },
    { name = "gap", type = "u16", kind = "padding" },
    { name = "limits", type = "bytes", count = 16 },
    { name = "size", type = "u32" },
    { name = "data_type", type = "u32", show = "four_characters" },
    { name = "attributes", type = "u8" },
    { name = "more", type = "bytes", count = 3, kind = "padding" },
    { name = "result", type = "u8" },
    { name = "status", type = "u8" },
    { name = "command", type = "u8" },
    { name = "last", type = "u8", kind = "padding" },
    { name = "index", type = "u32" },
    { name = "value", type = "bytes", count = 32 },
]
"#;

/// What the dump says, decoded by hand: 1C40 is 7232 quarters, 2B40 is 11072 of 256 parts, 45400000 is 3072.
/// The crate does not look at the result inside the structure, so what cannot be read is 0.
const LINES: [&str; 14] = [
    "11 keys",
    "#KEY: 11",
    "ACID: \"abc\"",
    "F0Ac: 1808",
    "F0Mn: 1300",
    "F0Mx: 3072",
    "FNum: 1",
    "MSSN: -128",
    "NATJ: [07]",
    "TC0P: 43.25",
    "zRDB: flag false",
    "zSEN: flag true",
    "fan: 1808 rpm of 1300 to 3072",
    "CPU: 43.25 degrees Celsius",
];

#[track_caller]
fn check(said: &str) {
    let found: Vec<_> = said.lines().collect();
    assert_eq!(found.len(), LINES.len(), "{said}");
    for (found, expected) in found.iter().zip(LINES) {
        assert_eq!(*found, expected);
    }
}

fn dumped<'a>(command: &'a mut Command, folder: &Path) -> &'a mut Command {
    fs_err::write(folder.join("dump.txt"), DUMP).unwrap();
    command.env("DEXTAPE_PARAMETERS", "dump=dump.txt")
}

fn printed(tools: &Tools) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = tools.macsmc(folder.path(), ("DEXTAPE_SCENARIO", "smc".as_ref()));
    check(&well(&dumped(&mut command, folder.path()).output().unwrap()));
}

fn recorded(tools: &Tools) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("smc.tape.jsonl");
    fs_err::write(folder.path().join("smc.toml"), ANNOTATIONS).unwrap();
    let mut command = tools.macsmc_recorded(folder.path(), &path);
    command.env("DEXTAPE_ANNOTATIONS", "smc.toml");
    let said = well(&dumped(&mut command, folder.path()).output().unwrap());
    check(&said);
    let tape = Tape::read(&path).unwrap();
    assert!(tape.validate().is_valid(), "{}", tape.validate());
    let calls = tape.events().iter().filter(|event| matches!(event.body, Body::Call(_))).count();
    // Each key takes two: its size and type, then its value. Each key of the list is found by its index
    // first; `F0Tg`, `F0Sf` and others are not there, which one call says.
    assert!(calls > 3 * 10, "{calls}");

    let mut replay = tools.macsmc(folder.path(), ("DEXTAPE_TAPE", path.as_ref()));
    let replayed = replay.env("DEXTAPE_STRICT", "1").output().unwrap();
    assert_eq!(well(&replayed), said);

    // A tape whose values are other ones is what it prints, not the mock's.
    let mut text = fs_err::read_to_string(&path).unwrap();
    assert!(text.contains("2b40"), "TC0P is on the tape");
    text = text.replace("2b40", "2c40");
    let edited = folder.path().join("edited.tape.jsonl");
    fs_err::write(&edited, text).unwrap();
    let mut reseal = crate::tools::native(folder.path());
    well(&reseal.arg("reseal").arg(&edited).output().unwrap());
    let mut replay = tools.macsmc(folder.path(), ("DEXTAPE_TAPE", edited.as_ref()));
    assert!(well(&replay.output().unwrap()).ends_with("CPU: 44.25 degrees Celsius\n"));
}
