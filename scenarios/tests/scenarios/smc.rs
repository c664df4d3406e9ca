use super::support::{parameters, simulate};
use dextape_scenarios::smc::{SCENARIO, SMALL};
use dextape_scenarios::{Scenario, Time, registry, run_on_mock};

/// The dump that stands before the report.
fn dump_of(output: &str) -> &str {
    output.split_once("\n\n").unwrap().0
}

#[test]
fn the_built_in_dump_comes_out_as_it_went_in() {
    let run = simulate("smc", &[], 1);
    assert_eq!(dump_of(&run.output), SMALL.trim_end());
    let report = "

#KEY says 24; 27 lines, 22 by index and 5 by name.
Not there: 2 by index and 0 by name.
Failed to read BLTP: kIOReturnBadArgument (0xe00002c2).
Failed to read EFBS: kIOReturnNotPrivileged (0xe00002c1).
Close: ok.
";
    assert_eq!(run.output.strip_prefix(SMALL.trim_end()), Some(report));
    assert!(run.findings.is_empty(), "{:?}", run.findings);
    assert!(run.leaks.is_empty(), "{:?}", run.leaks);
}

#[test]
fn hidden_keys_are_those_of_the_list() {
    let run = simulate("smc", &[("hidden", "KPST,nope")], 1);
    assert!(run.output.contains("[KPST] type [ui8?] 75693800 len [ 1] attr [C0] -> 00"));
    assert!(!run.output.contains("[zCRS]"));
    assert!(
        run.output
            .contains("23 lines, 22 by index and 1 by name.\nNot there: 2 by index and 1 by name.")
    );
}

#[test]
fn keys_can_be_written_as_far_as_their_attributes_let_them() {
    let tail = |write| {
        let run = simulate("smc", &[("write", write)], 1);
        let (_, tail) = run.output.split_once("\nWrite of ").unwrap();
        tail.split_once("\n\n").unwrap().0.to_owned()
    };
    assert_eq!(
        tail("F0Mn=3200"),
        "F0Mn: result 00. It is now:\n[F0Mn] type [fpe2] 66706532 len [ 2] attr [C0] -> 3200"
    );
    assert_eq!(
        tail("F0Ac=3200"),
        "F0Ac: result 86. It is now:\n[F0Ac] type [fpe2] 66706532 len [ 2] attr [80] -> 1C40"
    );
    assert_eq!(
        tail("F0Mn=32"),
        "F0Mn: result 87. It is now:\n[F0Mn] type [fpe2] 66706532 len [ 2] attr [C0] -> 1450"
    );
    assert_eq!(tail("nope=00"), "nope: result 84. It is now:\nnot there");
}

#[test]
fn what_is_recorded_says_all_that_the_client_needs() {
    let parameters = parameters(&SCENARIO, &[]);
    let recorded = parameters.recorded();
    let recorded: Vec<_> = recorded.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let hidden = ("hidden", "MSSN,CRDP,KPPW,KPST,zCRS");
    assert_eq!(recorded, [hidden, ("model", "small"), ("write", "")]);
}

#[test]
fn a_dump_that_is_not_there_is_named() {
    let registry = registry();
    let scenario = registry.find("smc").unwrap();
    let mut parameters = dextape_scenarios::Parameters::of(scenario);
    parameters.set("dump", "no/such/dump.txt").unwrap();
    let error = scenario.prepare(&mut parameters).unwrap_err().to_string();
    assert!(error.contains("no/such/dump.txt"), "{error}");
    let time = Time::Simulated { seed: 1 };
    let error = run_on_mock(&SCENARIO, &parameters, time, |system| system).unwrap_err();
    assert!(error.to_string().contains("no/such/dump.txt"), "{error}");
}

#[test]
fn names_that_are_no_keys_are_refused() {
    let parameters = parameters(&SCENARIO, &[("hidden", "KPST;zCRS")]);
    let time = Time::Simulated { seed: 1 };
    let error = run_on_mock(&SCENARIO, &parameters, time, |system| system).unwrap_err();
    let expected = "read parameter hidden = \"KPST;zCRS\": expected names of four characters with \
                    commas between";
    assert_eq!(error.to_string(), expected);
    assert_eq!(SCENARIO.name(), "smc");
}
