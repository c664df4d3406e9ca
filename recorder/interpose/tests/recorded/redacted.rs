//! What a redaction policy names, in a program that is recorded from inside: it never reaches the disk.

use crate::program::{Program, Tools, well};
use dextape::tape::{Tape, validate};
use dextape_recorder::program::journal_of;
use libtest_mimic::{Failed, Trial};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

/// What the property `HostSystem` of the scenario holds; the client hands it in again.
const PRIVATE: &str = "macOS 10.14.1 (18B75)";

/// A policy that takes it out, and one that takes something else out.
const NAMED: &str = "format = 1\nproperties = ['HostSystem']";
const OTHER: &str = "format = 1\nproperties = ['Other']";

pub(crate) fn trials(tools: &Arc<Tools>) -> Vec<Trial> {
    type Test = fn(&Arc<Tools>);
    let tests: [(&str, Test); 4] = [
        ("redacted::neither_tape_nor_journal_has_it", no_trace),
        ("redacted::a_flight_recorder_has_no_trace_of_it_either", flight),
        ("redacted::a_broken_policy_is_said_and_nothing_is_recorded", broken),
        ("redacted::a_linked_program_is_refused_by_a_broken_policy", linked),
    ];
    let trial = |(name, test): (&str, Test)| {
        let tools = Arc::clone(tools);
        Trial::test(name, move || -> Result<(), Failed> {
            test(&tools);
            Ok(())
        })
    };
    tests.map(trial).into()
}

/// The program, its tape, and how it is run.
struct Client {
    program: Program,
    tape: PathBuf,
}

impl Client {
    fn new(tools: &Arc<Tools>) -> Self {
        let program = Program::compile_source(tools, "tests/recorded/another.c", false);
        let tape = program.path("t.tape.jsonl");
        Self { program, tape }
    }

    /// Runs it with a policy of this text; with more in its environment.
    fn run(&self, policy: &str, mode: &str, more: &[(&str, &str)]) -> Output {
        let path = self.program.path("policy.toml");
        std::fs::write(&path, policy).unwrap();
        let mut command = self.program.macos(Some(self.tape.as_os_str()));
        command.arg(mode).env("DEXTAPE_SCENARIO", "smc").env("DEXTAPE_REDACT", path);
        command.envs(more.iter().copied()).output().unwrap()
    }

    fn journal(&self) -> PathBuf {
        journal_of(&self.tape)
    }
}

/// How often the value, or the part of it that nothing else is called, is in a file: as it is, as UTF-16, as
/// hexadecimal digits of either case.
fn traces(path: &Path) -> usize {
    let bytes = std::fs::read(path).unwrap();
    let count = |part: &[u8]| bytes.windows(part.len()).filter(|window| *window == part).count();
    let forms = |text: &str| {
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        [text.as_bytes().to_vec(), wide, hex.to_uppercase().into_bytes(), hex.into_bytes()]
    };
    [PRIVATE, "18B75"].iter().flat_map(|text| forms(text)).map(|form| count(&form)).sum()
}

fn no_trace(tools: &Arc<Tools>) {
    let client = Client::new(tools);
    let ran = client.run(NAMED, "", &[]);
    let said = well(&ran).to_owned();
    assert!(said.starts_with(&format!("{PRIVATE}, 0 ")), "the program gets the truth: {said}");
    assert!(!client.journal().exists());
    assert_eq!(traces(&client.tape), 0);
    assert!(validate(&client.tape).unwrap().is_valid());
    let tape = Tape::read(&client.tape).unwrap();
    let told = tape.header().redactions.join("\n");
    assert!(told.contains("1 values at "), "{told}");
    // A replay hands out the pseudonym, which the program hands in again.
    let mut replay = client.program.native();
    replay.env_remove("DEXTAPE_SCENARIO").env("DEXTAPE_TAPE", &client.tape);
    let replayed = replay.env("DEXTAPE_STRICT", "1").output().unwrap();
    let replayed = well(&replayed);
    assert_eq!(replayed.len(), said.len());
    assert_ne!(replayed, said);

    // A program that is killed has its journal as it was written.
    let client = Client::new(tools);
    let ran = client.run(NAMED, "killed", &[]);
    assert_eq!(String::from_utf8_lossy(&ran.stdout), said, "{ran:?}");
    assert!(!ran.status.success() && !client.tape.exists(), "{ran:?}");
    assert_eq!(traces(&client.journal()), 0);

    // It is the policy that takes it out: both files have it by another one.
    let client = Client::new(tools);
    assert_eq!(well(&client.run(OTHER, "", &[])), said);
    assert!(traces(&client.tape) >= 4, "as text and as bytes");
    let client = Client::new(tools);
    assert!(!client.run(OTHER, "killed", &[]).status.success());
    assert!(traces(&client.journal()) >= 4, "read and handed in");
}

fn flight(tools: &Arc<Tools>) {
    for (policy, has_it) in [(NAMED, false), (OTHER, true)] {
        let client = Client::new(tools);
        let ran = client.run(policy, "killed", &[("DEXTAPE_RING", "1MiB")]);
        assert!(!ran.status.success(), "{ran:?}");
        assert_eq!(traces(&client.journal()) > 0, has_it, "{policy}");
    }
}

fn broken(tools: &Arc<Tools>) {
    let policies = [
        (
            "format = 1\nproperty = ['HostSystem']",
            "line 2 of a redaction policy: unknown field `property`",
        ),
        ("format = 2", "line 1 of a redaction policy: its format is 2, and only 1 is known"),
        ("format = 1\nproperties = [", "line 2 of a redaction policy: "),
        ("", "line 1 of a redaction policy: missing field `format`"),
    ];
    let client = Client::new(tools);
    let nothing = |ran: Output, message: &str| {
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        let begin = format!("dextape: failed to record {}: read ", client.tape.display());
        assert!(said.starts_with(&begin) && said.contains(message), "{said}");
        assert_eq!(said.matches("dextape: ").count(), 1, "said once: {said}");
        // The program itself is none the worse for it.
        assert!(ran.status.success(), "{said}");
        assert!(String::from_utf8_lossy(&ran.stdout).starts_with(PRIVATE));
        assert!(!client.tape.exists() && !client.journal().exists());
    };
    for (policy, message) in policies {
        nothing(client.run(policy, "", &[]), message);
    }
    let missing = client.program.path("missing.toml");
    let missing = missing.to_str().unwrap();
    let ran = client.run(NAMED, "", &[("DEXTAPE_REDACT", missing)]);
    nothing(ran, &format!("{missing}: No such file"));
}

fn linked(tools: &Arc<Tools>) {
    let program = Program::compile(tools, true);
    let (tape, policy) = (program.path("t.tape.jsonl"), program.path("policy.toml"));
    std::fs::write(&policy, "format = 2").unwrap();
    let ran = program.macos(None).arg(&tape).env("DEXTAPE_REDACT", &policy).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(said.starts_with("stop -1\nstart -1\nagain -1\n"), "{ran:?}");
    assert!(String::from_utf8_lossy(&ran.stderr).contains("its format is 2"), "{ran:?}");
    assert!(!tape.exists() && !journal_of(&tape).exists());
}
