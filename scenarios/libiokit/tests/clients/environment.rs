//! What the environment says, and what a client gets where it says nothing of use.

use crate::program::{Program, trial};
use dextape::tape::{Body, Tape};
use dextape_recorder::program::{journal_of, tapes_of_others};
use libtest_mimic::Trial;
use std::path::{Path, PathBuf};

/// Asks for a service and an open of whatever it got.
const ASK: &str = "io_service_t service = find(\"AppleSMC\"); io_connect_t connect = 77;\n\
     kern_return_t kr = IOServiceOpen(service, mach_task_self(), 0, &connect);\n\
     printf(\"service %d open %x connect %u\\n\", service != 0, (unsigned)kr, connect);\n\
     IOServiceClose(connect); IOObjectRelease(service);\n";

/// Name, variables, and how the message begins.
type Bad = (&'static str, &'static [(&'static str, &'static str)], &'static str);

pub(crate) fn trials() -> Vec<Trial> {
    let bad: &[Bad] = &[
        ("nothing", &[], "find what to answer from: set DEXTAPE_SCENARIO to a scenario's name, "),
        ("unknown_scenario", &[("DEXTAPE_SCENARIO", "smcc")], "find scenario \"smcc\": there are "),
        (
            "unknown_parameter",
            &[("DEXTAPE_SCENARIO", "smc"), ("DEXTAPE_PARAMETERS", "colour=red")],
            "set parameter \"colour\": the scenario has dump, ",
        ),
        (
            "missing_dump",
            &[("DEXTAPE_SCENARIO", "smc"), ("DEXTAPE_PARAMETERS", "dump=/nonexistent")],
            "start scenario smc: ",
        ),
        ("missing_tape", &[("DEXTAPE_TAPE", "/nonexistent.tape.jsonl")], ""),
        ("plugin", &[("DEXTAPE_PLUGIN", "/nonexistent.so")], "load the plug-in /nonexistent.so: "),
        (
            "record_nowhere",
            &[("DEXTAPE_SCENARIO", "smc"), ("DEXTAPE_RECORD", "/nonexistent/a.tape.jsonl")],
            "record /nonexistent/a.tape.jsonl: ",
        ),
    ];
    let bad = bad.iter().map(|(name, variables, message)| {
        trial(
            &format!("environment::bad_{name}_is_said_and_there_is_no_service"),
            &["gcc"],
            move || {
                let mut program = Program::c(ASK);
                for (name, value) in *variables {
                    program = program.set(name, *value);
                }
                let ran = program.run();
                assert_eq!(ran.code, Some(0), "{ran}");
                assert_eq!(ran.out, "service 0 open 10000003 connect 77\n");
                assert!(ran.err.starts_with(&format!("dextape: failed to {message}")), "{ran}");
                assert!(ran.err.contains("\ndextape: so there is no service here\n"), "{ran}");
            },
        )
    });
    let silent =
        trial("environment::a_client_that_asks_for_nothing_hears_nothing", &["gcc"], || {
            assert_eq!(Program::c("printf(\"%u\\n\", mach_task_self());").run().well(), "259\n");
        });
    // It asks in vain, and then waits for ever for what it asked for.
    let waits = trial(
        "environment::a_client_that_waits_for_nothing_comes_to_an_end",
        &["gcc"],
        || {
            let body = "mach_port_t port; IOCreateReceivePort(53, &port); find(\"AppleSMC\");\n\
             struct { mach_msg_header_t header; char rest[256]; } message; printf(\"waits\\n\");\n\
             mach_msg(&message.header, MACH_RCV_MSG, 0, sizeof message, port, 0, MACH_PORT_NULL);";
            let ran = Program::c(body).set("DEXTAPE_TAPE", "/nonexistent.tape.jsonl").run();
            assert_eq!((ran.code, &ran.out[..]), (Some(101), "waits\n"), "{ran}");
            let last = "\ndextape: so there is no service here\n\
                    dextape: failed to mach_msg: it waits without a timeout, and nothing answers here\n";
            assert!(ran.err.ends_with(last), "{ran}");
        },
    );
    let others = [becomes_another(), has_a_child(), is_redacted(), a_broken_policy_is_said()];
    bad.chain([silent, waits]).chain(others).collect()
}

/// Prints the property of the scenario `smc` that its policy names, and ends by a crash if it has an argument.
const READ_PRIVATE: &str = "io_service_t service = find(\"AppleSMC\"); char text[128] = \"none\";\n\
     CFStringRef host = (CFStringRef)IORegistryEntryCreateCFProperty(service, CFSTR(\"HostSystem\"), NULL, 0);\n\
     if (host) CFStringGetCString(host, text, sizeof text, kCFStringEncodingUTF8);\n\
     printf(\"%d %s\\n\", service != 0, text); fflush(stdout);\n\
     if (host) CFRelease(host);\n\
     IOObjectRelease(service); if (argc > 1) kill(getpid(), SIGKILL);";

/// What the property holds.
const PRIVATE: &str = "macOS 10.14.1 (18B75)";

fn reads_private(policy: &str) -> (Program, PathBuf) {
    let program = Program::c(READ_PRIVATE).on("smc");
    let (tape, redact) = (program.path("t.tape.jsonl"), program.path("policy.toml"));
    fs_err::write(&redact, policy).unwrap();
    let program = program.set("DEXTAPE_RECORD", tape.to_str().unwrap());
    (program.set("DEXTAPE_REDACT", redact.to_str().unwrap()), tape)
}

fn holds(path: &Path, text: &str) -> bool {
    let bytes = fs_err::read(path).unwrap();
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

/// The client gets the truth, and neither its tape nor the journal of one that is killed has it.
fn is_redacted() -> Trial {
    trial("environment::what_a_policy_names_never_reaches_the_disk", &["gcc"], || {
        let said = format!("1 {PRIVATE}\n");
        let (program, tape) = reads_private("format = 1\nproperties = ['HostSystem']");
        assert_eq!(program.run().well(), said);
        assert!(holds(&tape, "HostSystem") && !holds(&tape, PRIVATE));
        assert!(!holds(&tape, "18B75"));
        let recorded = Tape::read(&tape).unwrap();
        assert!(recorded.validate().is_valid());
        let redactions = recorded.header().redactions.join("\n");
        assert!(redactions.contains("1 values at "), "{redactions}");
        // A replay hands out the pseudonym.
        let replayed = Program::c(READ_PRIVATE).set("DEXTAPE_TAPE", tape.to_str().unwrap()).run();
        let (found, text) = replayed.well().trim_end().split_once(' ').unwrap();
        assert_eq!((found, text.len()), ("1", PRIVATE.len()));
        assert_ne!(text, PRIVATE);

        let (program, tape) = reads_private("format = 1\nproperties = ['HostSystem']");
        let program = program.argument("killed");
        let killed = program.run();
        assert_eq!((killed.signal, &killed.out), (Some(9), &said), "{killed}");
        let journal = journal_of(&tape);
        assert!(holds(&journal, "HostSystem") && !holds(&journal, "18B75"));

        // What the policy does not name is there: it is the policy that takes it out.
        let (program, tape) = reads_private("format = 1\nproperties = ['Other']");
        assert_eq!(program.run().well(), said);
        assert!(holds(&tape, PRIVATE));
    })
}

/// Nothing is recorded, and nothing answered, by a policy that cannot be followed.
fn a_broken_policy_is_said() -> Trial {
    trial("environment::a_broken_policy_is_said_and_there_is_no_service", &["gcc"], || {
        let broken = [
            (
                "format = 1\nproperty = ['HostSystem']",
                "line 2 of a redaction policy: unknown field",
            ),
            ("format = 2", "line 1 of a redaction policy: its format is 2"),
        ];
        for (policy, message) in broken {
            let (program, tape) = reads_private(policy);
            let ran = program.run();
            assert_eq!((ran.code, &ran.out[..]), (Some(0), "0 none\n"), "{ran}");
            assert!(ran.err.starts_with("dextape: failed to read "), "{ran}");
            assert!(ran.err.contains("policy.toml: ") && ran.err.contains(message), "{ran}");
            assert!(ran.err.contains("\ndextape: so there is no service here\n"), "{ran}");
            assert!(!tape.exists() && !journal_of(&tape).exists());
        }
        let program = Program::c(READ_PRIVATE).on("smc").set("DEXTAPE_REDACT", "/nonexistent.toml");
        let ran = program.run();
        assert_eq!((ran.code, &ran.out[..]), (Some(0), "0 none\n"), "{ran}");
        assert!(ran.err.starts_with("dextape: failed to read /nonexistent.toml: "), "{ran}");
    })
}

/// A program that asks for something, and then does what its argument says.
const PROGRAMS: &str = "uint64_t out[1]; uint32_t n = 1; io_connect_t c = open_service(find(\"BoundaryProbe\"));\n\
     kern_return_t kr = IOConnectCallScalarMethod(c, 1, NULL, 0, out, &n);\n\
     printf(\"%d %x %llu\\n\", argc, (unsigned)kr, (unsigned long long)out[0]); fflush(stdout);\n\
     if (argc > 1 && !strcmp(argv[1], \"exec\")) execl(argv[0], argv[0], (char *)NULL);\n\
     if (argc > 1) { pid_t child = fork(); if (child == 0) execl(argv[0], argv[0], (char *)NULL); waitpid(child, NULL, 0); }\n\
     IOServiceClose(c);";

/// Runs it, recorded, and gives what it said and its tapes: that which was asked for, and the other.
fn two_programs(how: &str) -> (String, Tape, Tape) {
    let program = Program::c_with("#include <sys/wait.h>\n#include <unistd.h>", PROGRAMS)
        .on("boundary-probe");
    let asked = program.path("t.tape.jsonl");
    let program = program.argument(how).set("DEXTAPE_RECORD", asked.to_str().unwrap());
    let program = program.set("DEXTAPE_LEAKS", "no");
    let ran = program.run();
    assert_eq!((ran.code, &ran.out[..]), (Some(0), "2 0 1\n1 0 1\n"), "{ran}");
    let others = tapes_of_others(&asked).unwrap();
    assert_eq!(others.len(), 1, "{ran}");
    let read = |path: &Path| {
        let tape = Tape::read(path).unwrap();
        assert!(tape.validate().is_valid());
        tape
    };
    (ran.err.clone(), read(&asked), read(&others[0]))
}

fn closes(tape: &Tape) -> bool {
    tape.events().iter().any(|event| matches!(event.body, Body::Closed { .. }))
}

/// The first program does not come to its end, so the second one seals its tape.
fn becomes_another() -> Trial {
    trial("environment::a_program_that_becomes_another_leaves_two_tapes", &["gcc"], || {
        let (said, first, second) = two_programs("exec");
        assert!(
            said.contains("t.journal was left by a program that did not come to its end"),
            "{said}"
        );
        assert!(!closes(&first) && closes(&second));
        assert_eq!(first.events().len() + 2, second.events().len());
    })
}

fn has_a_child() -> Trial {
    trial("environment::a_child_has_a_tape_of_its_own", &["gcc"], || {
        let (said, parent, child) = two_programs("child");
        assert!(said.contains("is another program's, so this one is recorded in"), "{said}");
        assert!(!said.contains("was left"), "{said}");
        assert!(closes(&parent) && closes(&child));
    })
}
