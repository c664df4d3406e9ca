//! `minimize`.

use crate::common::Folder;
#[cfg(target_os = "linux")]
use crate::exec::compiled;
use dextape::tape::{Body, Tape};

const TAPE: &str = "a.tape.jsonl";
const SMALL: &str = "small.tape.jsonl";

fn recorded(folder: &Folder) -> Tape {
    let said = folder.run(&["record", "null-driver", "--out", TAPE]);
    assert_eq!(said.code, Some(0), "{said}");
    Tape::read(&folder.path(TAPE)).unwrap()
}

#[test]
fn an_answer_of_a_dext_shrinks_to_the_call_that_gets_it() {
    let folder = Folder::new();
    recorded(&folder);
    let asked =
        ["minimize", TAPE, "--against", "null-driver", "--reply", "3:BadArgument", "-o", SMALL];
    let said = folder.run(&asked);
    assert_eq!(said.code, Some(0), "{said}");
    assert!(said.out.contains("76 events became 5 in "), "{said}");
    assert!(said.out.contains("nothing can be taken away from it"), "{said}");
    let tape = Tape::read(&folder.path(SMALL)).unwrap();
    assert!(tape.validate().is_valid());
    assert_eq!(tape.header().provenance, ["trimmed: 5 of 76 events"]);
    let said = folder.run(&["drive", SMALL, "--against", "null-driver"]);
    assert_eq!(said.code, Some(0), "{said}");
}

#[test]
fn a_difference_is_found_by_itself_or_by_its_event() {
    let folder = Folder::new();
    let mut tape = recorded(&folder);
    for event in tape.events_mut() {
        if let Body::Return(reply) = &mut event.body
            && [5, 15].contains(&event.sequence)
        {
            reply.result = dextape::IoReturn::BUSY;
        }
    }
    tape.events_mut().iter_mut().for_each(|event| {
        if let Body::Return(reply) = &mut event.body
            && !reply.result.is_success()
        {
            (reply.scalars, reply.structure, reply.structure_size) =
                (Default::default(), None, None);
        }
    });
    tape.write(&folder.path(TAPE)).unwrap();
    for (more, selector) in [(&[][..], 0), (&["--event", "14"], 2)] {
        let asked = [&["minimize", TAPE, "--against", "null-driver", "-o", SMALL], more].concat();
        let said = folder.run(&asked);
        assert_eq!(said.code, Some(0), "{said}");
        let small = Tape::read(&folder.path(SMALL)).unwrap();
        let calls = small.events().iter().filter_map(|event| match &event.body {
            Body::Call(call) => Some(call.selector),
            _ => None,
        });
        assert_eq!(calls.collect::<Vec<_>>(), [selector], "{said}");
    }
}

#[test]
fn where_nothing_fails_nothing_is_made() {
    let folder = Folder::new();
    recorded(&folder);
    insta::assert_snapshot!(folder.run(&["minimize", TAPE, "-o", SMALL]), @"
    --- stderr
    error: failed to find a failure in a.tape.jsonl: with all of it the client ends well
    --- exit code 1
    ");
    let asked = ["minimize", TAPE, "--against", "null-driver", "-o", SMALL];
    insta::assert_snapshot!(folder.run(&asked), @"
    --- stderr
    error: failed to find a failure in a.tape.jsonl: with all of it the dext does nothing of what is looked for
    --- exit code 1
    ");
    let said = folder.run(&["minimize", "none", "-o", SMALL]);
    assert_eq!(said.code, Some(2), "{said}");
    let asked = ["minimize", TAPE, "-o", SMALL, "--fails-with", "./no-such-program"];
    let said = folder.run(&asked);
    assert_eq!(said.code, Some(2), "{said}");
    assert!(said.err.contains("failed to run ./no-such-program: "), "{said}");
    assert!(!folder.path(SMALL).exists());
}

#[test]
#[cfg(target_os = "linux")]
fn a_program_in_c_keeps_the_answers_that_make_it_fail() {
    let folder = Folder::new();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/forgetful.c");
    let program = compiled(&folder, source);
    let exec = ["record", "null-driver", "--out", TAPE, "--exec", &program, "mended"];
    let said = folder.run(&exec);
    assert_eq!(said.code, Some(0), "{said}");
    let asked = ["minimize", TAPE, "-o", SMALL, "--jobs", "2", "--fails-with", &program];
    let said = folder.run(&asked);
    assert_eq!(said.code, Some(0), "{said}");
    assert!(said.out.contains("the client's signal 6: forgetful.c:#: main: Assertion `"), "{said}");
    let small = Tape::read(&folder.path(SMALL)).unwrap();
    assert_eq!(small.events().len(), 6, "{}", small.to_text().unwrap());
    // The mended program ends well with what is left, and so it says nothing.
    let asked = ["minimize", SMALL, "-o", "smaller", "--fails-with", &program, "mended"];
    let said = folder.run(&asked);
    assert_eq!(said.code, Some(1), "{said}");
    assert!(said.err.contains("with all of it the program ends well"), "{said}");
}

/// A client that adds up what it is answered. The bug: it leaves the fourth answer out where the third was
/// as it should be. Where answers are made up, the sum is wrong without any bug.
#[cfg(target_os = "linux")]
const SUM: &str = r#"
#include <IOKit/IOKitLib.h>
#include <assert.h>
#include <stdint.h>

int main(void) {
  io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceMatching("IOUserService"));
  io_connect_t connect = IO_OBJECT_NULL;
  if (IOServiceOpen(service, mach_task_self(), 0, &connect) != KERN_SUCCESS) return 3;
  uint64_t sum = 0, third = 0;
  for (uint64_t i = 0; i < 8; i++) {
    uint64_t in[2] = {1000 + i, i * i}, out[2] = {0, 0};
    size_t size = sizeof out;
    if (IOConnectCallStructMethod(connect, 1, in, sizeof in, out, &size) != KERN_SUCCESS) return 4;
    if (i == 2) third = out[0];
    if (i != 3 || MENDED || third != 1003) sum += out[0];
  }
  assert(sum == 8036);
  return 0;
}
"#;

/// Without a word about the mended client everything goes, since that fails on an empty tape as well.
#[test]
#[cfg(target_os = "linux")]
fn what_the_mended_program_fails_by_too_shows_nothing() {
    let (folder, other) = (Folder::new(), Folder::new());
    let built = |folder: &Folder, mended: bool| {
        let source = folder.path("sum.c");
        let text = SUM.replace("MENDED", if mended { "1" } else { "0" });
        std::fs::write(&source, text).unwrap();
        compiled(folder, source.to_str().unwrap())
    };
    let (program, mended) = (built(&folder, false), built(&other, true));
    let said = folder.run(&["record", "null-driver", "--out", TAPE, "--exec", &mended]);
    assert_eq!(said.code, Some(0), "{said}");

    let said = folder.run(&["minimize", TAPE, "-o", SMALL, "--fails-with", &program]);
    assert_eq!(said.code, Some(0), "{said}");
    let told = |exec: &str| {
        let tape = folder.path(SMALL);
        let asked = ["minimize", tape.to_str().unwrap(), "-o", "again", "--fails-with", exec];
        folder.run(&asked).code
    };
    assert_eq!((told(&program), told(&mended)), (Some(0), Some(0)), "both fail by what is left");

    let with = ["--holds-with", &mended, "--fails-with", &program];
    let said = folder.run(&[&["minimize", TAPE, "-o", SMALL], &with[..]].concat());
    assert_eq!(said.code, Some(0), "{said}");
    assert_eq!((told(&program), told(&mended)), (Some(0), Some(1)), "only the one fails");
    let small = Tape::read(&folder.path(SMALL)).unwrap();
    // The sum of the mended program has to be right, which takes each of the answers.
    let calls = small.events().iter().filter(|event| matches!(event.body, Body::Call(_)));
    assert_eq!(calls.count(), 8, "{}", small.to_text().unwrap());

    let with = ["--holds-with", &program, "--fails-with", &program];
    insta::assert_snapshot!(folder.run(&[&["minimize", TAPE, "-o", SMALL], &with[..]].concat()), @"
    --- stderr
    error: failed to tell the program from the mended one by a.tape.jsonl: with all of it both fail alike, and with every part of it that was tried
    --- exit code 1
    ");
    let said = folder.run(&["minimize", TAPE, "-o", SMALL, "--holds-with", &mended]);
    assert_eq!(said.code, Some(2), "{said}");
}
