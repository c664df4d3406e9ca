use super::support::simulate;
use dextape_scenarios::{Scenario, registry};

/// Every scenario with the settings of each of its tapes.
fn each_setting(check: impl Fn(&dyn Scenario, &[(&str, &str)])) {
    for scenario in registry().iter() {
        assert!(!scenario.tapes().is_empty(), "{} has no tape", scenario.name());
        for settings in scenario.tapes() {
            check(scenario, settings.set);
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    each_setting(|scenario, set| {
        for seed in [0, 7, u64::MAX] {
            // All that a run leaves behind, as text.
            let run = || format!("{:#?}", simulate(scenario.name(), set, seed));
            assert_eq!(run(), run(), "{} {set:?} {seed}", scenario.name());
        }
    });
}

/// What a client is told does not hang on the order of tasks, so our tapes are the same for any seed
/// but for the order of events.
#[test]
fn output_is_the_same_for_every_seed() {
    each_setting(|scenario, set| {
        let first = simulate(scenario.name(), set, 0).output;
        for seed in 1..10 {
            let again = simulate(scenario.name(), set, seed).output;
            assert_eq!(first, again, "{} {set:?} {seed}", scenario.name());
        }
    });
}
