//! A freshly started client plays the tape that a flight recorder has cut from its run, from its first
//! call over the gap to the failure.
//!
//! Every scenario's client is recorded whole on the mock with a call that fails late, or a device that is
//! pulled out then. The tape is cut at several sizes, and ends with the failure or with the run.

mod exam;
mod whole;

use exam::{Case, Ended, Sizes, Table};

/// Of so many cuts of a hundred each scenario's client has to come to the failure, where all are made. What
/// stops the others stands in `docs/gaps.md`.
const SHARES: [(&str, u64); 12] = [
    ("blocking-waits", 100),
    ("capture-ring", 75),
    ("hid-frames", 60),
    ("input-descriptor", 25),
    ("irq-page", 55),
    ("null-driver", 80),
    ("nvme-rings", 4),
    ("pcie-bar", 80),
    ("sbp2-commands", 70),
    ("shared-buffer", 100),
    ("smc", 85),
    ("usb-bulk", 90),
];

/// Those whose client comes to the failure in the sample: one size, one place of the failure.
const SAMPLED: [&str; 5] = ["blocking-waits", "irq-page", "pcie-bar", "smc", "usb-bulk"];

#[test]
fn a_fresh_client_reaches_the_failure() {
    let asked: Option<usize> =
        std::env::var("DEXTAPE_GAP_CUTS").ok().and_then(|it| it.parse().ok());
    let mut table = Table::default();
    for case in Case::all().filter(|case| asked.is_some() || SAMPLED.contains(&&*case.scenario)) {
        for run in case.runs(asked.unwrap_or(1)) {
            for sizes in Sizes::all(asked.unwrap_or(1)) {
                for ended in [Ended::AtTheFailure, Ended::AtTheEnd] {
                    if asked.is_none() && ended == Ended::AtTheEnd {
                        continue;
                    }
                    let verdict = exam::play(&case, &run, sizes, ended);
                    table.add(&case, &run, sizes, ended, verdict);
                }
            }
        }
    }
    table.notes().iter().for_each(|note| println!("{note}"));
    println!("{table}");
    // A client that does not come across says why: it never hangs, and nothing panics but with a report.
    for note in table.notes() {
        assert!(!note.contains("panicked"), "{note}");
    }
    if asked.is_none() {
        println!("a sample; all cuts are made by `cargo xtask prove gap-replay`");
        for scenario in SAMPLED {
            let counts = table.rows()[scenario];
            assert!(counts.reached > 0 && counts.reached == counts.cuts(), "{scenario}\n{table}");
        }
        return;
    }
    for (scenario, share) in SHARES {
        let counts = table.rows()[scenario];
        assert!(counts.cuts() > 0, "{scenario} was never cut");
        assert!(counts.reached * 100 >= counts.cuts() * share, "{scenario}: {counts:?}\n{table}");
    }
}
