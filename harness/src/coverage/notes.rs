//! The file in which a process notes what it exercises.

use super::{Fact, Note};
use crate::boundary::{Rule, RuleTrace, Rules};
use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

/// The variable that names the folder in which every process of a test run notes what its mock systems
/// exercise, in a file `PROCESS.coverage.jsonl`.
pub const COVERAGE: &str = "DEXTAPE_COVERAGE";

/// Different facts of one process beyond this are not noted.
const FACTS_MAX: usize = 100_000;

/// What a process notes. Each fact is written when it first comes up, so that nothing is lost however
/// the process ends.
#[derive(Debug)]
pub struct Notes {
    folder: PathBuf,
    trace: RuleTrace,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    seen: HashSet<Note>,
    file: Option<File>,
    /// That it cannot be written was said.
    told: bool,
}

impl Notes {
    /// Those of this process, where the environment asks for them.
    pub fn of_process() -> Option<&'static Self> {
        static NOTES: OnceLock<Option<Notes>> = OnceLock::new();
        let make = || {
            let folder = std::env::var_os(COVERAGE).filter(|folder| !folder.is_empty())?;
            let trace = RuleTrace::new();
            trace.tell(note_rule);
            Some(Self { folder: folder.into(), trace, state: Mutex::default() })
        };
        NOTES.get_or_init(make).as_ref()
    }

    /// Where the process notes the rules that it touches.
    #[must_use]
    pub fn trace(&self) -> &RuleTrace {
        &self.trace
    }

    /// These rules, with a trace of which the process gets to know: their own, or else the process's.
    pub(crate) fn have_traced(&'static self, rules: Rules) -> Rules {
        match rules.trace() {
            None => rules.with_trace(&self.trace),
            Some(trace) => {
                if !std::ptr::eq(trace, &raw const self.trace) {
                    trace.tell(pass_on);
                }
                rules
            }
        }
    }

    /// Notes what was exercised.
    pub fn exercised(&self, fact: Fact) {
        self.note(Note::Exercised(fact));
    }

    /// Notes what there is to be exercised.
    pub fn known(&self, fact: Fact) {
        self.note(Note::Known(fact));
    }

    fn note(&self, note: Note) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.seen.len() >= FACTS_MAX || state.seen.contains(&note) {
            return;
        }
        let written = self.write(&mut state.file, &note);
        state.seen.insert(note);
        if let Err(error) = written
            && !std::mem::replace(&mut state.told, true)
        {
            eprintln!("warning: failed to note coverage in {}: {error}", self.folder.display());
        }
    }

    /// One line at a time, whole, so that processes of one number do not mix theirs.
    fn write(&self, file: &mut Option<File>, note: &Note) -> io::Result<()> {
        let mut line = serde_json::to_vec(note)?;
        line.push(b'\n');
        if file.is_none() {
            std::fs::create_dir_all(&self.folder)?;
            let path = self.folder.join(format!("{}.coverage.jsonl", std::process::id()));
            *file = Some(OpenOptions::new().create(true).append(true).open(path)?);
        }
        file.as_mut().map_or(Ok(()), |file| file.write_all(&line))
    }
}

/// The process's trace has a rule for the first time.
fn note_rule(rule: Rule) {
    if let Some(notes) = Notes::of_process() {
        notes.exercised(Fact::Rule(rule));
    }
}

/// Another trace has a rule for the first time.
fn pass_on(rule: Rule) {
    if let Some(notes) = Notes::of_process() {
        notes.trace.note(rule);
    }
}

/// All rules of the boundary, with the process's trace where there is one: for whoever asks the boundary
/// without a mock system of their own.
#[must_use]
pub fn rules() -> Rules {
    Notes::of_process().map_or_else(Rules::all, |notes| notes.have_traced(Rules::all()))
}
