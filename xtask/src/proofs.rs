//! The long proofs of this workspace.

use crate::Proof;

/// What `prove` runs. The test run takes a sample of each.
pub(crate) const PROOFS: &[Proof] = &[
    Proof {
        name: "kill",
        about: "a recording killed with SIGKILL seals with all that was finished, simulated and free",
        package: "dextape-recorder",
        target: Some("kill_recorded"),
        test: "killed",
        variable: "DEXTAPE_KILLS",
        sample: 10,
        full: 200,
    },
    Proof {
        name: "tape-damage",
        about: "a tape cut at every byte or flipped is read, recovered or refused in bounded memory",
        package: "dextape",
        target: Some("tape_exam"),
        test: "cut_and_flipped",
        variable: "DEXTAPE_TAPE_FLIPS",
        sample: 500,
        full: 10_000,
    },
    Proof {
        name: "journal-damage",
        about: "a journal cut at every byte, flipped or forged is recovered or refused",
        package: "dextape-recorder",
        target: Some("damage"),
        test: "a_",
        variable: "DEXTAPE_JOURNAL_FLIPS",
        sample: 120,
        full: 10_000,
    },
    Proof {
        name: "round-trip",
        about: "any program on any dext replays alike; one changed byte diverges at its place",
        package: "dextape-recorder",
        target: Some("round_trip"),
        test: "",
        variable: "PROPTEST_CASES",
        sample: 256,
        full: 2_000,
    },
    Proof {
        name: "replay-oracle",
        about: "the replayer answers as a separately written decision table does, by every policy",
        package: "dextape",
        target: None,
        test: "replay::tests::oracle",
        variable: "PROPTEST_CASES",
        sample: 256,
        full: 10_000,
    },
    Proof {
        name: "rounds",
        about: "open, map, unmap and close leave no memory, thread or file behind",
        package: "dextape",
        target: Some("rounds"),
        test: "opening_mapping_unmapping_and_closing",
        variable: "DEXTAPE_ROUNDS",
        sample: 2_000,
        full: 200_000,
    },
];
