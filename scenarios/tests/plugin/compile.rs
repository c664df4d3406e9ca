//! Compiling a dext.

use dextape_plugin::Plugin;
use libtest_mimic::Trial;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

/// The sources of our own dexts.
fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dexts-cpp")
}

fn has(program: &str) -> bool {
    let mut asked = Command::new(program);
    asked.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    asked.status().is_ok_and(|status| status.success())
}

/// A trial that is ignored where the compiler is missing; its name says so then.
pub(crate) fn trial(name: &str, compiler: &str, body: impl FnOnce() + Send + 'static) -> Trial {
    let there = has(compiler);
    let name = if there { name.to_owned() } else { format!("{name} (no {compiler} here)") };
    let body = move || {
        body();
        Ok(())
    };
    Trial::test(name, body).with_ignored_flag(!there)
}

/// A library in a folder of its own.
pub(crate) struct Compiled {
    _folder: TempDir,
    pub(crate) library: PathBuf,
}

/// Compiles a source.
#[track_caller]
pub(crate) fn compile(compiler: &[&str], source: &Path) -> Compiled {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("dext.so");
    let mut command = Command::new(compiler[0]);
    command.args(&compiler[1..]).args(["-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-g"]);
    let [own, system] = dextape_plugin::include_folders();
    command.arg("-I").arg(own).arg("-isystem").arg(system);
    let output =
        command.arg("-I").arg(sources()).arg(source).arg("-o").arg(&library).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{compiler:?} refuses the dext:\n{said}");
    Compiled { _folder: folder, library }
}

/// Compiles a text.
#[track_caller]
pub(crate) fn compile_text(text: &str) -> Compiled {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("dext.cpp");
    fs_err::write(&source, text).unwrap();
    compile(&["g++", "-std=c++17"], &source)
}

pub(crate) fn null_driver_source() -> PathBuf {
    sources().join("null_driver.cpp")
}

/// The null driver in C++, compiled once.
pub(crate) fn null_driver() -> Plugin {
    static COMPILED: OnceLock<(Compiled, Plugin)> = OnceLock::new();
    let (_, plugin) = COMPILED.get_or_init(|| {
        let compiled = compile(&["g++", "-std=c++17"], &null_driver_source());
        let plugin = Plugin::load(&compiled.library).unwrap();
        (compiled, plugin)
    });
    plugin.clone()
}
