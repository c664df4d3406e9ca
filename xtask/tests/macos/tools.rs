//! What the programs need to run.

use libtest_mimic::{Failed, Trial};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

/// What `.ci/run darwin-run` has built.
#[derive(Debug)]
pub(crate) struct Tools {
    macho_run: PathBuf,
    /// The folder of `libIOKit.so`.
    iokit: PathBuf,
    /// `libIOKit.so` with what macho-run lacks of libSystem.
    system: PathBuf,
    /// The library that records a program from inside it.
    interposer: PathBuf,
    /// The command line, for macOS, with the real system.
    xtask: PathBuf,
    /// The program that uses the crate `macsmc`.
    macsmc: PathBuf,
}

/// Whether the loader of programs for macOS lies beside the workspace.
pub(crate) fn are_there() -> bool {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/tools/macho-run").is_dir()
}

/// A trial that is ignored where its tools are absent.
pub(crate) fn trial(
    tools: Option<&Arc<Tools>>,
    name: impl Into<String>,
    test: impl FnOnce(&Tools) + Send + 'static,
) -> Trial {
    let tools = tools.cloned();
    let absent = tools.is_none();
    let run = move || -> Result<(), Failed> {
        test(tools.as_deref().ok_or("DEXTAPE_MACHO_RUN is not set")?);
        Ok(())
    };
    Trial::test(name, run).with_ignored_flag(absent)
}

impl Tools {
    pub(crate) fn find() -> Option<Arc<Self>> {
        let path = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let macho_run = path("DEXTAPE_MACHO_RUN")?;
        let needed = |name: &str| {
            path(name).unwrap_or_else(|| panic!("DEXTAPE_MACHO_RUN is set, and {name} is not"))
        };
        Some(Arc::new(Self {
            macho_run,
            iokit: needed("DEXTAPE_LIBIOKIT"),
            system: needed("DEXTAPE_LIBSYSTEM"),
            interposer: needed("DEXTAPE_INTERPOSER"),
            xtask: needed("DEXTAPE_XTASK_MACOS"),
            macsmc: needed("DEXTAPE_MACSMC"),
        }))
    }

    /// A program for macOS whose IOKit is answered as the pairs say, in `folder`.
    fn program(&self, folder: &Path, insert: bool, answer: (&str, &OsStr)) -> Command {
        let mut command = Command::new(&self.macho_run);
        if insert {
            command.arg("--insert").arg(&self.interposer);
        }
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("DEXTAPE_") {
                command.env_remove(name);
            }
        }
        let iokit = self.iokit.join("libIOKit.so");
        let frameworks = format!(
            "IOKit={iokit}:CoreFoundation={iokit}:libSystem.B={}",
            self.system.display(),
            iokit = iokit.display(),
        );
        command.env("MACHO_RUN_FRAMEWORKS", frameworks).env("LD_LIBRARY_PATH", &self.iokit);
        command.env(answer.0, answer.1).current_dir(folder).stdin(Stdio::null());
        command
    }

    /// The command line for macOS, in front of the mock of a scenario.
    pub(crate) fn xtask(&self, folder: &Path, scenario: &str) -> Command {
        let mut command = self.program(folder, false, ("DEXTAPE_SCENARIO", scenario.as_ref()));
        command.arg(&self.xtask);
        command
    }

    /// The program with `macsmc`, answered as the pair says.
    pub(crate) fn macsmc(&self, folder: &Path, answer: (&str, &OsStr)) -> Command {
        let mut command = self.program(folder, false, answer);
        command.arg(&self.macsmc);
        command
    }

    /// The same in front of the mock, recorded from inside.
    pub(crate) fn macsmc_recorded(&self, folder: &Path, tape: &Path) -> Command {
        let mut command = self.program(folder, true, ("DEXTAPE_SCENARIO", "smc".as_ref()));
        command.env("DEXTAPE_RECORD", tape).arg(&self.macsmc);
        command
    }
}

/// The command line of this machine.
pub(crate) fn native(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.current_dir(folder).stdin(Stdio::null()).env_remove("CARGO_TARGET_DIR");
    command
}

/// Its stdout, where it ended well.
#[track_caller]
pub(crate) fn well(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{said}", output.status);
    String::from_utf8(output.stdout.clone()).unwrap()
}
