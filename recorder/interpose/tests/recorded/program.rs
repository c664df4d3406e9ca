//! The program, compiled for macOS and for this machine, and how both are run.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use tempfile::TempDir;

/// What the tests need, by the environment.
#[derive(Debug)]
pub(crate) struct Tools {
    /// Loads programs for macOS.
    macho_run: PathBuf,
    /// The library under test.
    interposer: PathBuf,
    /// The folder of the library that stands for IOKit.
    iokit: PathBuf,
    /// A Python with zig.
    python: PathBuf,
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
            interposer: needed("DEXTAPE_INTERPOSER"),
            iokit: needed("DEXTAPE_LIBIOKIT"),
            python: needed("ZIG_PYTHON"),
        }))
    }
}

/// A folder with the program in it.
pub(crate) struct Program {
    tools: Arc<Tools>,
    folder: TempDir,
}

fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[track_caller]
fn done(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}:\n{said}");
}

/// Its stdout, where it ended well and said nothing else.
#[track_caller]
pub(crate) fn well(output: &Output) -> &str {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{:?}\n{said}", output.status);
    std::str::from_utf8(&output.stdout).unwrap()
}

impl Program {
    /// Compiles the program of these tests for this machine and for macOS, there linked against the
    /// library under test or not.
    pub(crate) fn compile(tools: &Arc<Tools>, linked: bool) -> Self {
        Self::compile_source(tools, "tests/recorded/client.c", linked)
    }

    /// As [`compile`](Self::compile), another one.
    pub(crate) fn compile_source(tools: &Arc<Tools>, source: &str, linked: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let source = here(source);
        let library = &tools.iokit;
        let common = |command: &mut Command, out: &str| {
            command.args(["-Wall", "-Werror", "-O1"]).arg(&source).arg("-o").arg(at(out));
        };
        let mut gcc = Command::new("gcc");
        common(&mut gcc, "native");
        done(gcc.arg("-L").arg(library).arg("-lIOKit"));
        let mut system = Command::new("gcc");
        system.args(["-shared", "-fPIC", "-O1", "-Wl,--no-as-needed"]);
        system.arg(here("../../.ci/macos/libsystem.c")).arg("-o").arg(at("libsystem.so"));
        done(system.arg("-L").arg(library).arg("-lIOKit"));
        let mut zig = Command::new(&tools.python);
        zig.args(["-m", "ziglang", "cc", "-target", "x86_64-macos"]);
        zig.arg("-F").arg(here("../../.ci/macos"));
        common(&mut zig, "client");
        if linked {
            zig.arg("-DLINKED").arg(&tools.interposer);
        }
        done(zig.args(["-framework", "IOKit", "-framework", "CoreFoundation"]));
        Self { tools: Arc::clone(tools), folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program of this machine.
    pub(crate) fn native(&self) -> Command {
        let mut command = Command::new(self.path("native"));
        self.prepare(&mut command);
        command
    }

    /// The program for macOS, with the library inserted where `record` says what to record.
    pub(crate) fn macos(&self, record: Option<&OsStr>) -> Command {
        let mut command = Command::new(&self.tools.macho_run);
        if let Some(tape) = record {
            command.arg("--insert").arg(&self.tools.interposer);
            command.env("DEXTAPE_RECORD", tape).env("CLIENT_FORGETS_RECORD", "1");
        }
        command.arg(self.path("client"));
        self.prepare(&mut command);
        let iokit = self.tools.iokit.join("libIOKit.so");
        let (iokit, system) = (iokit.display(), self.path("libsystem.so"));
        let frameworks =
            format!("IOKit={iokit}:CoreFoundation={iokit}:libSystem.B={}", system.display());
        command.env("MACHO_RUN_FRAMEWORKS", frameworks);
        command
    }

    fn prepare(&self, command: &mut Command) {
        let set: Vec<_> = command.get_envs().map(|(name, _)| name.to_owned()).collect();
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("DEXTAPE_") && !set.contains(&name) {
                command.env_remove(name);
            }
        }
        command.env("LD_LIBRARY_PATH", &self.tools.iokit).env("DEXTAPE_SCENARIO", "boundary-probe");
        command.current_dir(self.folder.path()).stdin(Stdio::null());
    }
}
