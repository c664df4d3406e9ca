//! A client that replays over a gap in front of a recorder leaves a tape that has none.

use crate::exam::{self, Case, Ended, Sizes};
use dextape::connection::System;
use dextape::perturb::{Check, Deviations, UnfitTape};
use dextape::tape::{Body, Tape};
use dextape_scenarios::registry;
use std::sync::Arc;

/// Clients that call, wait and share memory; each comes across with the first sizes.
const CLIENTS: [&str; 3] = ["blocking-waits", "smc", "usb-bulk"];

/// The results of calls that failed, in their order.
fn failures(tape: &Tape) -> Vec<dextape::IoReturn> {
    let failed = tape.events().iter().filter_map(|event| match &event.body {
        Body::Return(returned) if !returned.result.is_success() => Some(returned.result),
        _ => None,
    });
    failed.collect()
}

#[test]
fn a_cut_tape_becomes_a_whole_one_that_can_be_perturbed() {
    for case in Case::all().filter(|case| CLIENTS.contains(&&*case.scenario)) {
        let run = case.runs(1).remove(0);
        let sizes = Sizes::all(1)[0];
        let cut = exam::cut_of(&case, &run, sizes, Ended::AtTheEnd).unwrap();
        let gap = cut.events().iter().find(|event| matches!(event.body, Body::Gap { .. })).unwrap();
        // What needs the whole story says where it is missing, and what to do.
        let refused = Check::new(&cut).map(drop).unwrap_err();
        assert_eq!(refused, UnfitTape::Gap(gap.sequence));
        assert!(refused.to_string().contains("cargo xtask replay TAPE --record FILE"));

        let (output, whole) = exam::replay_recorded(&case, &cut).unwrap();
        let about = &case.scenario;
        let validation = whole.validate();
        assert!(validation.is_valid(), "{about}: {validation}");
        assert!(!whole.events().iter().any(|event| matches!(event.body, Body::Gap { .. })));
        // The planted failure is on it, and what stands around that.
        let (held, kept) = (failures(&whole), failures(&cut));
        assert_eq!(held.last(), kept.last(), "{about}");
        let (again, report) = exam::replay(&case, &whole).unwrap();
        assert_eq!((again, report.crossing), (output, None), "{about}");

        let registry = registry();
        let scenario = registry.find(&case.scenario).unwrap();
        let parameters = case.parameters(scenario);
        let check = Check::new(&whole).unwrap();
        let client = |system: &Arc<dyn System>| {
            // That it fails is what the tape is about.
            let _ = scenario.client(&parameters, system, &mut Vec::new());
        };
        let own = check.record(&Deviations::NONE, client).unwrap();
        assert_eq!(failures(&own), held, "{about}");
    }
}
