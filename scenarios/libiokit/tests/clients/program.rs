//! A program of the test: how it is compiled, how it is run, and what came of it.

use libtest_mimic::{Failed, Trial};
use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// What every program begins with: the headers, and short words for what the tests ask.
const PRELUDE: &str = include_str!("prelude.h");

/// The folder of the headers.
pub(crate) fn include() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../harness/cabi/include")
}

/// The library as it was built for this test.
pub(crate) fn library() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let found = test.ancestors().skip(1).take(2).map(|folder| folder.join("libIOKit.so"));
    found.into_iter().find(|path| path.exists()).expect("the library is built with its tests")
}

/// True where this machine has the program.
pub(crate) fn has(program: &str) -> bool {
    let mut asked = Command::new(program);
    asked.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    asked.status().is_ok_and(|status| status.success())
}

/// A trial that is ignored where one of these programs is missing; its name says so then.
pub(crate) fn trial(name: &str, needs: &[&str], body: impl FnOnce() + Send + 'static) -> Trial {
    let missing: Vec<_> = needs.iter().copied().filter(|program| !has(program)).collect();
    let full = match missing[..] {
        [] => name.to_owned(),
        _ => format!("{name} (no {} here)", missing.join(", ")),
    };
    let body = move || -> Result<(), Failed> {
        body();
        Ok(())
    };
    Trial::test(full, body).with_ignored_flag(!missing.is_empty())
}

/// A folder with a program in it.
pub(crate) struct Program {
    folder: TempDir,
    variables: Vec<(String, String)>,
    argument: Option<String>,
}

/// What came of a run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "code {:?}, signal {:?}", self.code, self.signal)?;
        write!(f, "--- stdout\n{}--- stderr\n{}", self.out, self.err)
    }
}

impl Ran {
    /// Its stdout, where it ended well and said nothing else.
    #[track_caller]
    pub(crate) fn well(&self) -> &str {
        assert!(self.code == Some(0) && self.err.is_empty(), "{self}");
        &self.out
    }
}

impl Program {
    /// The program of a whole source, by this compiler.
    #[track_caller]
    pub(crate) fn compile(compiler: &[&str], extension: &str, source: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(format!("program.{extension}"));
        std::fs::write(&file, source).unwrap();
        let output = Command::new(compiler[0])
            .args(&compiler[1..])
            .args(["-Wall", "-Werror", "-O1", "-g"])
            .arg("-isystem")
            .arg(include())
            .arg(&file)
            .arg("-o")
            .arg(folder.path().join("program"))
            .arg("-L")
            .arg(library().parent().unwrap())
            .args(["-lIOKit", "-lpthread", "-lm"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{compiler:?} refuses the program:\n{said}");
        Self { folder, variables: Vec::new(), argument: None }
    }

    /// A program in C whose `main` has this body, behind the prelude.
    #[track_caller]
    pub(crate) fn c(body: &str) -> Self {
        Self::c_with("", body)
    }

    /// As [`c`](Self::c), with functions before `main`.
    #[track_caller]
    pub(crate) fn c_with(functions: &str, body: &str) -> Self {
        let main = "int main(int argc, char **argv) { (void)argc, (void)argv;";
        let source = format!("{PRELUDE}\n{functions}\n{main}\n{body}\nreturn 0; }}\n");
        Self::compile(&["gcc"], "c", &source)
    }

    /// Sets a variable of its environment.
    pub(crate) fn set(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// Has a scenario answer.
    pub(crate) fn on(self, scenario: &str) -> Self {
        self.set("DEXTAPE_SCENARIO", scenario)
    }

    /// A file in its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Gives it an argument, if it is not empty, or more of them with commas between.
    pub(crate) fn argument(mut self, argument: &str) -> Self {
        self.argument = Some(argument.to_owned()).filter(|argument| !argument.is_empty());
        self
    }

    pub(crate) fn run(&self) -> Ran {
        let mut command = Command::new(self.path("program"));
        command.args(self.argument.iter().flat_map(|argument| argument.split(',')));
        self.run_command(command)
    }

    /// Runs something else with the same environment.
    pub(crate) fn run_command(&self, mut command: Command) -> Ran {
        self.prepare(&mut command);
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Ran {
            code: output.status.code(),
            signal: output.status.signal(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }

    /// Gives a command the environment of the program.
    pub(crate) fn prepare(&self, command: &mut Command) {
        // What the test run itself was told is not for the program.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("DEXTAPE_") {
                command.env_remove(name);
            }
        }
        command.env("LD_LIBRARY_PATH", library().parent().unwrap());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.folder.path()).stdin(Stdio::null());
    }
}
