//! `minimize --baseline`, and `adopt` of what comes of it.

use crate::common::Folder;
#[cfg(target_os = "linux")]
use crate::exec::compiled;
use dextape::tape::Tape;
#[cfg(target_os = "linux")]
use dextape::tape::{Body, Payload};
use dextape_lab::Baseline;

const TAPE: &str = "a.tape.jsonl";
const SMALL: &str = "small.tape.jsonl";

fn minimized(folder: &Folder, more: &[&str]) -> crate::common::Said {
    folder.run(&[&["minimize", TAPE, "-o", SMALL][..], more].concat())
}

/// The seconds that it took differ.
fn untimed(said: &crate::common::Said) -> String {
    let text = said.to_string();
    let (before, rest) = text.split_once(" in ").unwrap_or((&text, ""));
    let after = rest.split_once(" s and ").map_or("", |(_, after)| after);
    format!("{before} in TIME and {after}")
}

#[test]
fn a_run_under_a_fault_shrinks_to_the_fault_over_its_mock() {
    let folder = Folder::new();
    let faults = "open: refuse NotPermitted; call 3 #2: delay 5ms";
    folder.run(&["record", "null-driver", "--faults", faults, "--out", TAPE]);
    let said = minimized(&folder, &["--baseline"]);
    assert_eq!(said.code, Some(0), "{said}");
    insta::assert_snapshot!(untimed(&said), @"
    3 events became 0 in TIME and 6 runs; nothing can be taken away from it
    over the mock of null-driver
        fault open: refuse NotPermitted
    what they bring about: the client's error: open NullDriver: kIOReturnNotPermitted (#)
    small.tape.jsonl
    --- stderr
    --- exit code 0
    ");
    let first = folder.read(SMALL);
    let small = Tape::read(&folder.path(SMALL)).unwrap();
    assert!(small.events().is_empty() && small.validate().is_valid());
    let baseline = Baseline::of_header(small.header()).unwrap().unwrap();
    assert_eq!(baseline.deviations.to_string(), "fault open: refuse NotPermitted");
    let said = minimized(&folder, &["--baseline=null-driver", "--jobs", "3"]);
    assert_eq!((said.code, folder.read(SMALL)), (Some(0), first), "{said}");
    // Once more: the tape itself says that it is over a mock.
    let again = ["minimize", SMALL, "-o", "again.tape.jsonl"];
    let said = folder.run(&again);
    assert_eq!(said.code, Some(0), "{said}");
    assert!(said.out.contains("\nover the mock of null-driver\n"), "{said}");
    insta::assert_snapshot!(folder.run(&["replay", SMALL]), @r#"
    --- stderr
    error: failed to replay small.tape.jsonl: replay the tape alone: it holds only in what a run on a mock differs, which its header names as {"deviations":["fault open: refuse NotPermitted"],"mock":"null-driver","places":[""]}; `cargo xtask minimize` and `dextape_lab::Regression` run clients over that mock
    --- exit code 1
    "#);
    assert_eq!(folder.run(&["verify", SMALL]).code, Some(0));
}

#[test]
fn what_cannot_be_laid_over_a_mock_is_refused() {
    let folder = Folder::new();
    let said = folder.run(&["record", "null-driver", "--out", TAPE]);
    assert_eq!(said.code, Some(0), "{said}");
    let told = |more: &[&str]| minimized(&folder, more).to_string();
    insta::assert_snapshot!([
        told(&["--baseline"]),
        told(&["--baseline=smc"]),
        told(&["--baseline=moon", "--client", "smc"]),
    ].join("\n"), @r#"
    --- stderr
    error: failed to find a failure in a.tape.jsonl: with all of it the client ends well
    --- exit code 1
    --- stderr
    error: failed to lay the tape over the mock of smc: it is one of null-driver, and its parameters are of that
    --- exit code 2
    --- stderr
    error: failed to find scenario "moon": there are blocking-waits, capture-ring, hid-frames, input-descriptor, irq-page, null-driver, nvme-rings, pcie-bar, sbp2-commands, shared-buffer, smc, usb-bulk
    --- exit code 2
    "#);
    let said = minimized(&folder, &["--baseline", "--against", "null-driver"]);
    assert_eq!(said.code, Some(2), "{said}");
    let mut tape = Tape::read(&folder.path(TAPE)).unwrap();
    tape.header_mut().scenario = None;
    tape.write(&folder.path(TAPE)).unwrap();
    insta::assert_snapshot!(told(&["--baseline", "--client", "null-driver"]), @"
    --- stderr
    error: failed to find the mock: the tape's header names no scenario; --baseline=SCENARIO names one
    --- exit code 2
    ");
    assert!(!folder.path(SMALL).exists());
}

/// A client that adds up what it is answered. The bug: it adds what cannot be an answer, too.
#[cfg(target_os = "linux")]
const SUM: &str = r#"
#include <IOKit/IOKitLib.h>
#include <assert.h>
#include <stdint.h>

int main(void) {
  io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceMatching("IOUserService"));
  io_connect_t connect = IO_OBJECT_NULL;
  if (IOServiceOpen(service, mach_task_self(), 0, &connect) != KERN_SUCCESS) return 3;
  uint64_t sum = 0, left = 0;
  for (uint64_t i = 0; i < 8; i++) {
    uint64_t in[2] = {1000 + i, i * i}, out[2] = {0, 0};
    size_t size = sizeof out;
    if (IOConnectCallStructMethod(connect, 1, in, sizeof in, out, &size) != KERN_SUCCESS) return 4;
    if (MENDED && out[0] != in[0] + 1) left += in[0] + 1; else sum += out[0];
  }
  assert(sum + left == 8036);
  return 0;
}
"#;

#[test]
#[cfg(target_os = "linux")]
fn of_a_program_the_answer_is_left_that_the_mock_does_not_give() {
    let (folder, other) = (Folder::new(), Folder::new());
    let built = |folder: &Folder, mended: &str| {
        let source = folder.path("sum.c");
        std::fs::write(&source, SUM.replace("MENDED", mended)).unwrap();
        compiled(folder, source.to_str().unwrap())
    };
    let (program, mended) = (built(&folder, "0"), built(&other, "1"));
    let said = folder.run(&["record", "null-driver", "--out", TAPE, "--exec", &mended]);
    assert_eq!(said.code, Some(0), "{said}");
    // The device in the field gave one answer that the mock does not give.
    let mut tape = Tape::read(&folder.path(TAPE)).unwrap();
    let mut replies = tape.events_mut().iter_mut().filter_map(|event| match &mut event.body {
        Body::Return(reply) => Some(reply),
        _ => None,
    });
    replies.nth(4).unwrap().structure = Some(Payload::bytes(&[7; 16]));
    tape.write(&folder.path(TAPE)).unwrap();
    let with = ["--holds-with", &mended, "--fails-with", &program];
    let said = minimized(&folder, &with);
    assert_eq!(said.code, Some(0), "{said}");
    let alone = Tape::read(&folder.path(SMALL)).unwrap().events().len();
    let said = minimized(&folder, &[&["--baseline=null-driver"], &with[..]].concat());
    assert_eq!(said.code, Some(0), "{said}");
    let small = Tape::read(&folder.path(SMALL)).unwrap();
    let names: Vec<&str> = small.events().iter().map(|event| event.body.name()).collect();
    assert_eq!(names, ["open", "opened", "call", "return"]);
    assert_eq!(alone, 0, "alone an answer is enough that no device gave");

    // What strikes in simulated time only is no matter for a program.
    let mut tape = small;
    let stalls = Baseline {
        mock: "null-driver".to_owned(),
        deviations: "lane 1 before #1: stall 1ms".parse().unwrap(),
        places: Vec::new(),
    };
    stalls.enter(tape.header_mut());
    tape.write(&folder.path(TAPE)).unwrap();
    let said = folder.run(&["replay", TAPE, "--exec", &mended]);
    assert_ne!(said.code, Some(0), "{said}");
    assert!(said.err.contains("`lane 1 before #1: stall 1ms` strikes in simulated time"), "{said}");
}

#[test]
fn what_is_kept_runs_over_the_mock() {
    let folder = Folder::new();
    fs_err::create_dir_all(folder.path("scenarios")).unwrap();
    folder.write("scenarios/Cargo.toml", b"");
    folder.run(&["record", "null-driver", "--faults", "open: refuse NotPermitted", "--out", TAPE]);
    let said = minimized(&folder, &["--baseline"]);
    assert_eq!(said.code, Some(0), "{said}");
    let test = |name: &str, more: &[&str]| {
        let said = folder.run(&[&["adopt", SMALL, "--name", name][..], more].concat());
        assert_eq!(said.code, Some(0), "{said}");
        let path = format!("scenarios/tests/regressions/{name}.rs");
        String::from_utf8(folder.read(&path)).unwrap()
    };
    let own = test("own", &[]);
    assert!(
        own.contains("crate::support::client(&regression, \"null-driver\").unwrap();"),
        "{own}"
    );
    let other = test("other", &["--runs", "crate::mended"]);
    assert!(
        other.contains("crate::support::client_over(&regression, crate::mended).unwrap();"),
        "{other}"
    );
}
