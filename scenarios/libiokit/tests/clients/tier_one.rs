//! What every client does: find, open, call, close.

use crate::program::{Program, trial};
use libtest_mimic::Trial;

/// Reads the number of keys of the small dump.
const COUNT: &str = "io_connect_t connect = open_service(find(\"AppleSMC\"));\n\
     unsigned char in[80] = {0}, out[80] = {0}; size_t size = sizeof out;\n\
     unsigned key = 0x234b4559, length = 4; memcpy(in, &key, 4); memcpy(in + 28, &length, 4); in[42] = 5;\n\
     kern_return_t kr = IOConnectCallStructMethod(connect, 2, in, sizeof in, out, &size);\n\
     printf(\"%x %zu %u\\n\", (unsigned)kr, size, out[51]);\n\
     printf(\"%x\\n\", (unsigned)IOServiceClose(connect));\n";

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("tier_one::a_call_and_its_recording_and_its_replay", &["gcc"], recorded),
        trial("tier_one::divergence_ends_the_client_with_101", &["gcc"], divergence),
        trial("tier_one::divergence_can_be_answered_and_is_told_at_the_end", &["gcc"], answered),
        trial("tier_one::strict_replay_tells_what_was_left", &["gcc"], strict),
        trial("tier_one::trap_1_the_task_as_variable_and_as_function", &["gcc"], task),
    ]
}

fn recorded() {
    let program = Program::c(COUNT).on("smc");
    let tape = program.path("t.tape.jsonl");
    let program = program.set("DEXTAPE_RECORD", tape.to_str().unwrap());
    let live = program.run();
    assert_eq!(live.well(), "0 80 24\n0\n");
    assert!(!program.path("t.journal").exists(), "the journal is sealed");
    let replay = Program::c(COUNT).set("DEXTAPE_TAPE", tape.to_str().unwrap());
    assert_eq!(replay.set("DEXTAPE_STRICT", "1").run(), live);
}

/// A tape of [`COUNT`], in the folder of what recorded it.
fn tape() -> (Program, String) {
    let program = Program::c(COUNT).on("smc");
    let tape = program.path("t.tape.jsonl").to_str().unwrap().to_owned();
    let program = program.set("DEXTAPE_RECORD", &tape);
    program.run().well();
    (program, tape)
}

/// As [`COUNT`], with another key, and a line at the exit of the process.
fn other() -> Program {
    Program::c_with(
        "static void at_the_end(void) { printf(\"exit handler\\n\"); }",
        &format!("atexit(at_the_end); printf(\"begin\\n\");\n{}", COUNT.replace("4559", "455a")),
    )
}

fn divergence() {
    let (_folder, tape) = tape();
    let ran = other().set("DEXTAPE_TAPE", &tape).run();
    assert_eq!((ran.code, &ran.out[..]), (Some(101), "begin\n"), "{ran}");
    assert!(ran.err.contains("failed to IOConnectCallStructMethod: "), "{ran}");
    assert!(ran.err.contains("differs"), "{ran}");
}

fn answered() {
    let (_folder, tape) = tape();
    let other = other().set("DEXTAPE_TAPE", &tape);
    let ran = other.set("DEXTAPE_ON_DIVERGENCE", "kIOReturnNotReady").run();
    assert_eq!(ran.code, Some(101), "{ran}");
    assert_eq!(ran.out, "begin\ne00002d8 80 0\ne00002d8\nexit handler\n", "{ran}");
    assert!(ran.err.contains("failed to replay: "), "{ran}");
}

fn strict() {
    let (_folder, tape) = tape();
    let less = || Program::c("find(\"AppleSMC\");").set("DEXTAPE_TAPE", &tape);
    let less = || less().set("DEXTAPE_LEAKS", "no");
    assert_eq!(less().run().well(), "");
    let ran = less().set("DEXTAPE_STRICT", "1").run();
    assert_eq!(ran.code, Some(102), "{ran}");
    assert!(ran.err.contains("failed to use the whole tape: replayed 1 of 4 operations"), "{ran}");
}

fn task() {
    let source = "#include <stdio.h>\nextern unsigned mach_task_self_; unsigned mach_task_self(void);\n\
         int main(void) { printf(\"%d\\n\", mach_task_self_ == mach_task_self()); return 0; }\n";
    assert_eq!(Program::compile(&["gcc"], "c", source).run().well(), "1\n");
}
