//! Serial numbers of a machine and its parts, planted in the keys of AppleSMC: the gate refuses the tape, a
//! policy takes them out, and in the recorder's hook before they reach the disk.

use super::support::parameters;
use super::tapes;
use dextape::redaction::{PrivateValue, Pseudonym, RedactionPolicy};
use dextape::tape::Tape;
use dextape_lab::{Gate, PackError, Report, find_private, pack_report};
use dextape_recorder::recording::{PolicyRedactor, RecordOptions, RecordingSession};
use dextape_recorder::seal::{SealOptions, seal};
use dextape_scenarios::smc::{SCENARIO, Serials};
use dextape_scenarios::{Time, run_on_mock};
use std::path::Path;
use std::sync::Arc;

const SEEDS: [u64; 3] = [1, 2, 0xd15e_a5e5];

/// That of the fixtures: the values of the keys that hold serial numbers, in the replies to reads of them.
fn policy() -> RedactionPolicy {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/smc/policy.toml");
    let policy = RedactionPolicy::read(&path).unwrap();
    // Memory has the characters of a key in the order of a number's bytes.
    let hex = |key: &str| key.bytes().rev().map(|byte| format!("{byte:02x}")).collect::<String>();
    let keys: Vec<_> = policy.fields.iter().map(|it| &it.when.as_ref().unwrap().hex).collect();
    assert!(keys.into_iter().eq(&Serials::KEYS.map(hex)), "each key has its rule");
    policy
}

fn gate(serials: &Serials, policy: RedactionPolicy) -> Gate {
    Gate {
        policy,
        private: serials.texts().iter().filter_map(|text| PrivateValue::of_text(text)).collect(),
        replaces_private: false,
        pseudonym: Pseudonym::new([5; 32]),
    }
}

fn pack(tape: Tape, gate: &Gate) -> Result<Tape, PackError> {
    let report = Report { tapes: vec![("smc".to_owned(), tape)], ..Report::default() };
    let packed = pack_report(report, gate)?;
    let mut bundle = dextape_lab::Bundle::read(std::io::Cursor::new(packed.bytes)).unwrap();
    let mut text = Vec::new();
    bundle.unpack_tape(0, &mut text).unwrap();
    Ok(Tape::from_bytes(text).unwrap())
}

/// The serial numbers that stand in a file, by a search of nothing but their bytes.
fn held(path: &Path, serials: &Serials) -> usize {
    let bytes = std::fs::read(path).unwrap();
    let Serials { machine, board, battery, address, .. } = serials;
    let mut wanted: Vec<Vec<u8>> =
        [machine, board, battery].map(|text| text.clone().into_bytes()).into();
    wanted.push(machine.encode_utf16().flat_map(u16::to_le_bytes).collect());
    wanted.push(address.to_vec());
    let hex = |bytes: &Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let texts: Vec<Vec<u8>> = wanted.iter().map(|bytes| hex(bytes).into_bytes()).collect();
    wanted
        .iter()
        .zip(&texts)
        .filter(|(raw, text)| {
            let holds = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
            holds(raw) || holds(text)
        })
        .count()
}

#[test]
fn a_tape_with_serial_numbers_is_refused_and_passes_by_a_policy() {
    for seed in SEEDS {
        let serials = Serials::of_seed(seed);
        let parameters = parameters(&SCENARIO, &[("serials", &seed.to_string())]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("smc.tape.jsonl");
        let live = tapes::record(&SCENARIO, &parameters, Time::Simulated { seed: 1 }, &path);
        let output = live.unwrap().output;
        let hex: String = serials.machine.bytes().map(|byte| format!("{byte:02X}")).collect();
        assert!(output.contains(&hex), "the client reads it");
        assert_eq!(held(&path, &serials), 5, "each key is on the tape");
        let tape = || Tape::read(&path).unwrap();
        assert!(!tape().header().scenario.as_ref().unwrap().parameters.contains_key("serials"));

        let refused = pack(tape(), &gate(&serials, RedactionPolicy::new()));
        let Err(PackError::Leaks(leaks)) = refused else { panic!("{refused:?}") };
        let found: std::collections::BTreeSet<usize> =
            leaks.iter().map(|(_, leak)| leak.value).collect();
        assert_eq!(found.len(), 4, "each value is found: {leaks:?}");

        let mut passed = pack(tape(), &gate(&serials, policy())).unwrap();
        let values = gate(&serials, RedactionPolicy::new()).private;
        assert_eq!(find_private(&mut passed, &values, 10).unwrap(), []);
        let redacted = folder.path().join("redacted.tape.jsonl");
        passed.write(&redacted).unwrap();
        assert_eq!(held(&redacted, &serials), 0);
        // The dumper only copies what it is given.
        assert_eq!(tapes::replay(&redacted).unwrap().lines().count(), output.lines().count());
    }
}

#[test]
fn a_recording_by_a_policy_never_has_them_on_the_disk() {
    for seed in SEEDS {
        let serials = Serials::of_seed(seed);
        let parameters = parameters(&SCENARIO, &[("serials", &seed.to_string())]);
        let folder = tempfile::tempdir().unwrap();
        for follows in [false, true] {
            let journal = folder.path().join(format!("journal-{follows}"));
            let redactor = PolicyRedactor::new(policy(), Pseudonym::new([6; 32]));
            let redactor = follows.then(|| Arc::new(redactor) as _);
            let options = RecordOptions { redactor, ..RecordOptions::default() };
            let session = RecordingSession::start(&journal, options).unwrap();
            run_on_mock(&SCENARIO, &parameters, Time::Simulated { seed: 1 }, |system| {
                session.wrap(system)
            })
            .unwrap();
            session.finish();
            let expected = if follows { 0 } else { 5 };
            assert_eq!(held(&journal, &serials), expected, "in the journal as it lies on the disk");
            let tape = folder.path().join(format!("{follows}.tape.jsonl"));
            seal(&journal, &tape, SealOptions::default()).unwrap();
            assert_eq!(held(&tape, &serials), expected);
            let packed = pack(Tape::read(&tape).unwrap(), &gate(&serials, RedactionPolicy::new()));
            assert_eq!(packed.is_ok(), follows);
        }
    }
}
