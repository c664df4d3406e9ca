use super::support::simulate;
use dextape_scenarios::registry;

/// Parameters that make the most of each scenario; one without an entry runs with its defaults.
const SETTINGS: [(&str, &[(&str, &str)]); 4] = [
    ("null-driver", &[("threads", "3"), ("connections", "each")]),
    ("shared-buffer", &[("buffers", "fresh")]),
    ("smc", &[("write", "F0Mn=3200")]),
    ("usb-bulk", &[("small-reads", "lost")]),
];

/// All that a run leaves behind, as text.
fn everything(name: &str, seed: u64) -> String {
    let settings = SETTINGS.iter().find(|(known, _)| *known == name);
    let live = simulate(name, settings.map_or(&[], |(_, set)| *set), seed);
    format!("{live:#?}")
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for scenario in registry().iter() {
        for seed in [0, 7, u64::MAX] {
            let first = everything(scenario.name(), seed);
            assert_eq!(first, everything(scenario.name(), seed), "{} {seed}", scenario.name());
        }
    }
}

/// What a client is told does not hang on the order of tasks, so our tapes are the same for any seed
/// but for the order of events.
#[test]
fn output_is_the_same_for_every_seed() {
    for scenario in registry().iter() {
        let first = simulate(scenario.name(), &[], 0).output;
        for seed in 1..10 {
            let again = simulate(scenario.name(), &[], seed).output;
            assert_eq!(first, again, "{} {seed}", scenario.name());
        }
    }
}
