//! What the environment says, and what a client gets where it says nothing of use.

use crate::program::{Program, trial};
use libtest_mimic::Trial;

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
    bad.chain([silent, waits]).collect()
}
