//! Programs of other people's that are recorded and replayed through `libIOKit.so`.

use crate::exit::Failure;
use crate::input::{Input, KEPT_MAX, Kept};
use crate::place::{shown, workspace};
use clap::Args;
use dextape_lab::Failure as Failed;
use dextape_recorder::flight::Triggers;
use dextape_recorder::journal::RingOptions;
use std::ffi::OsString;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The program, and the library that answers it.
#[derive(Debug, Args)]
pub(crate) struct Execution {
    /// Run this program, in C or whatever calls C, with its arguments: IOKit is `libIOKit.so` then. It
    /// stands last.
    #[arg(long, num_args = 1.., allow_hyphen_values = true, value_names = ["PROGRAM", "ARGS"])]
    exec: Vec<OsString>,
    /// The library that answers the program; the one of this workspace by default.
    #[arg(long, requires = "exec")]
    library: Option<PathBuf>,
}

/// How a program is recorded.
#[derive(Clone, Debug, Default)]
pub(crate) struct How {
    /// The redaction policy.
    pub(crate) redact: Option<PathBuf>,
    /// What is kept, where that is bounded.
    pub(crate) ring: Option<RingOptions>,
    /// What has tapes cut meanwhile.
    pub(crate) triggers: Option<Triggers>,
}

impl How {
    /// As the program is told.
    pub(crate) fn variables(&self) -> Vec<(&'static str, OsString)> {
        let policy = self.redact.iter().map(|policy| ("DEXTAPE_REDACT", policy.into()));
        let ring = self.ring.iter().map(|ring| ("DEXTAPE_RING", ring.to_string().into()));
        let triggers = self.triggers.iter();
        let triggers = triggers.map(|it| ("DEXTAPE_TRIGGER", it.to_string().into()));
        policy.chain(ring).chain(triggers).collect()
    }
}

/// What came of a run.
pub(crate) struct Executed {
    /// What there was to read, where it was to be kept.
    pub(crate) input: Vec<u8>,
    /// What it printed.
    pub(crate) output: Vec<u8>,
    /// How it ended.
    pub(crate) status: std::process::ExitStatus,
}

const LIBRARY: &str = "libIOKit.so";

/// Further names that programs look for: the one library has what they mean.
const OTHER_NAMES: &[&str] = &["libCoreFoundation.so", "libdispatch.so", "libSystem.so"];

/// Variables that the user may have set.
const KEPT: &[&str] = &["DEXTAPE_COVERAGE", "DEXTAPE_LEAKS", "DEXTAPE_SLOWER"];

/// How long a program may run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit(pub(crate) Duration);

/// What came of a run that may have been cut short.
pub(crate) struct Ran {
    status: Option<std::process::ExitStatus>,
    stderr: String,
}

impl Ran {
    /// How it failed, if it did.
    pub(crate) fn failure(&self) -> Option<Failed> {
        let Some(status) = self.status else { return Some(Failed::client("time is over", "")) };
        #[cfg(unix)]
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        #[cfg(not(unix))]
        let signal = None;
        Failed::of_program(status.code(), signal, &self.stderr)
    }
}

/// What is kept of what a program writes to stderr: its end.
const STDERR_MAX: u64 = 1 << 16;

impl Execution {
    /// This program with its arguments.
    pub(crate) fn new(exec: &[OsString], library: Option<&Path>) -> Self {
        Self { exec: exec.to_vec(), library: library.map(Path::to_owned) }
    }

    /// True where a program is to be run.
    pub(crate) fn is_asked(&self) -> bool {
        !self.exec.is_empty()
    }

    /// The program, for people.
    pub(crate) fn name(&self) -> String {
        self.exec.first().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }

    /// The program's file.
    pub(crate) fn program(&self) -> PathBuf {
        self.exec.first().map(PathBuf::from).unwrap_or_default()
    }

    /// Runs it on this Mac, with the library inserted that records it from inside.
    pub(crate) fn run_inserted(&self, tape: &Path, how: &How) -> Result<Executed, Failure> {
        const INSERTED: &str = "libdextape_interpose.dylib";
        let library = match &self.library {
            Some(library) => library.clone(),
            None => workspace().join("target/debug").join(INSERTED),
        };
        let library = fs_err::canonicalize(library).map_err(|error| {
            Failure::environment(error).with(
                "`cargo build --package dextape-interpose --lib --features live` builds the library \
                 that records, --library names another place",
            )
        })?;
        let mut command = Command::new(self.program());
        command.args(self.exec.iter().skip(1)).stderr(Stdio::inherit());
        command.env("DYLD_INSERT_LIBRARIES", library).env("DEXTAPE_RECORD", tape);
        command.envs(how.variables());
        let output = command
            .output()
            .map_err(|error| Failure::environment(format!("run {}: {error}", self.name())))?;
        Ok(Executed { input: Vec::new(), output: output.stdout, status: output.status })
    }

    /// Runs it to its end with these variables of `DEXTAPE_*`, and no others but [`KEPT`].
    pub(crate) fn run(
        &self,
        variables: &[(&str, OsString)],
        input: Input,
    ) -> Result<Executed, Failure> {
        let folder = tempfile::tempdir().map_err(Failure::environment)?;
        let mut command = self.command(variables, folder.path())?;
        command.stdin(input.stdio()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let failed = |error| Failure::environment(format!("run {}: {error}", self.name()));
        let mut child = command.spawn().map_err(failed)?;
        let kept = child.stdin.take().and_then(|stdin| input.feed(stdin));
        let output = child.wait_with_output().map_err(failed)?;
        let input = kept.map_or_else(|| Some(Vec::new()), Kept::take);
        let input = input.ok_or_else(|| {
            let name = self.name();
            Failure::environment(format!(
                "keep what {name} read for its replay: it is more than {KEPT_MAX} bytes"
            ))
        })?;
        Ok(Executed { input, output: output.stdout, status: output.status })
    }

    /// Runs it as [`run`](Self::run) does, but for no longer than that, and keeps what it writes to stderr.
    pub(crate) fn run_within(
        &self,
        variables: &[(&str, OsString)],
        limit: Limit,
    ) -> Result<Ran, Failure> {
        let folder = tempfile::tempdir().map_err(Failure::environment)?;
        let mut command = self.command(variables, folder.path())?;
        let path = folder.path().join("stderr");
        let stderr = fs_err::File::create(&path).map_err(Failure::environment)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr.into_parts().0);
        let failed = |error| Failure::environment(format!("run {}: {error}", self.name()));
        let mut child = command.spawn().map_err(failed)?;
        let deadline = Instant::now() + limit.0;
        let mut pause = Duration::from_micros(200);
        let status = loop {
            if let Some(status) = child.try_wait().map_err(failed)? {
                break Some(status);
            }
            if Instant::now() >= deadline {
                // It may have ended by itself meanwhile.
                let _ended = child.kill();
                child.wait().map_err(failed)?;
                break None;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(10));
        };
        let mut stderr = fs_err::File::open(&path).map_err(Failure::environment)?;
        let length = stderr.metadata().map_err(Failure::environment)?.len();
        let from = SeekFrom::Start(length.saturating_sub(STDERR_MAX));
        stderr.seek(from).map_err(Failure::environment)?;
        let mut bytes = Vec::new();
        stderr.take(STDERR_MAX).read_to_end(&mut bytes).map_err(Failure::environment)?;
        Ok(Ran { status, stderr: String::from_utf8_lossy(&bytes).into_owned() })
    }

    /// The program, with a folder in which it finds the library.
    fn command(&self, variables: &[(&str, OsString)], folder: &Path) -> Result<Command, Failure> {
        let library = self.library()?;
        // Links, so that every name is found, and by ctypes, too.
        for name in OTHER_NAMES.iter().chain([&LIBRARY]) {
            link(&library, &folder.join(name)).map_err(Failure::environment)?;
        }
        let mut path = OsString::from(folder);
        if let Some(before) = std::env::var_os("LD_LIBRARY_PATH").filter(|path| !path.is_empty()) {
            path.push(":");
            path.push(before);
        }
        let Some((program, arguments)) = self.exec.split_first() else {
            return Err(Failure::environment("run a program: there is none"));
        };
        let mut command = Command::new(program);
        command.args(arguments).env("LD_LIBRARY_PATH", path);
        for (name, _) in std::env::vars_os() {
            let of_the_user = KEPT.iter().any(|kept| name == *kept);
            if name.to_string_lossy().starts_with("DEXTAPE_") && !of_the_user {
                command.env_remove(name);
            }
        }
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }

    /// The library: the one that was named, the one beside this program, or what cargo builds.
    fn library(&self) -> Result<PathBuf, Failure> {
        if let Some(library) = &self.library {
            let there = fs_err::canonicalize(library).map_err(Failure::environment)?;
            return Ok(there);
        }
        let beside = std::env::current_exe().unwrap_or_default();
        let folders = beside.ancestors().skip(1).take(2);
        let known =
            folders.flat_map(|folder| [folder.join("deps").join(LIBRARY), folder.join(LIBRARY)]);
        let mut known = known.filter(|path| path.is_file());
        if let Some(found) = known.next() {
            return Ok(found);
        }
        build()
    }
}

fn link(library: &Path, name: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::symlink(library, name);
    #[cfg(not(unix))]
    return std::fs::copy(library, name).map(drop);
}

/// Has cargo build the library of this workspace.
fn build() -> Result<PathBuf, Failure> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--package", "dextape-libiokit"]);
    let built = command.status().is_ok_and(|status| status.success());
    let path = workspace().join("target/debug").join(LIBRARY);
    if built && path.is_file() {
        return Ok(path);
    }
    Err(Failure::environment(format!(
        "find {LIBRARY}: it is not in {}; --library names another place",
        shown(&path)
    )))
}
