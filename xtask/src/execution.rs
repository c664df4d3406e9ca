//! Programs of other people's that are recorded and replayed through `libIOKit.so`.

use crate::exit::Failure;
use crate::place::{shown, workspace};
use clap::Args;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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

/// What came of a run.
pub(crate) struct Executed {
    /// What it printed.
    pub(crate) output: Vec<u8>,
    /// How it ended.
    pub(crate) status: std::process::ExitStatus,
}

const LIBRARY: &str = "libIOKit.so";

/// Further names that programs look for: the one library has what they mean.
const OTHER_NAMES: &[&str] = &["libCoreFoundation.so", "libdispatch.so", "libSystem.so"];

/// Variables that the user may have set.
const KEPT: &[&str] = &["DEXTAPE_LEAKS", "DEXTAPE_SLOWER"];

impl Execution {
    /// True where a program is to be run.
    pub(crate) fn is_asked(&self) -> bool {
        !self.exec.is_empty()
    }

    /// The program, for people.
    pub(crate) fn name(&self) -> String {
        self.exec.first().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }

    /// Runs it to its end with these variables of `DEXTAPE_*`, and no others but [`KEPT`].
    pub(crate) fn run(&self, variables: &[(&str, OsString)]) -> Result<Executed, Failure> {
        let library = self.library()?;
        // A folder of links, so that every name is found, and by ctypes, too.
        let folder = tempfile::tempdir().map_err(Failure::environment)?;
        for name in OTHER_NAMES.iter().chain([&LIBRARY]) {
            link(&library, &folder.path().join(name)).map_err(Failure::environment)?;
        }
        let mut path = OsString::from(folder.path());
        if let Some(before) = std::env::var_os("LD_LIBRARY_PATH").filter(|path| !path.is_empty()) {
            path.push(":");
            path.push(before);
        }
        let Some((program, arguments)) = self.exec.split_first() else {
            return Err(Failure::environment("run a program: there is none"));
        };
        let mut command = Command::new(program);
        command.args(arguments).stderr(Stdio::inherit()).env("LD_LIBRARY_PATH", path);
        for (name, _) in std::env::vars_os() {
            let of_the_user = KEPT.iter().any(|kept| name == *kept);
            if name.to_string_lossy().starts_with("DEXTAPE_") && !of_the_user {
                command.env_remove(name);
            }
        }
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let output = command
            .output()
            .map_err(|error| Failure::environment(format!("run {}: {error}", self.name())))?;
        Ok(Executed { output: output.stdout, status: output.status })
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
