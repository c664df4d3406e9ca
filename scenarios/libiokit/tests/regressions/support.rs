//! How regressions of clients in C are run.

use dextape_lab::{Regression, RegressionError};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The folder of the library as it was built for this test.
fn library() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let found = test.ancestors().skip(1).take(2).find(|folder| folder.join("libIOKit.so").exists());
    found.expect("the library is built with its tests").to_owned()
}

/// Compiles a client, named from this package, and runs it with the tape to answer it.
pub(crate) fn program(
    regression: &Regression,
    source: &str,
    arguments: &[&str],
) -> Result<(), RegressionError> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("client");
    let compiled = Command::new(package.join("../../harness/cabi/bin/dextape-cc"))
        .arg(package.join(source))
        .args(["-framework", "IOKit", "-framework", "CoreFoundation", "-o"])
        .arg(&program)
        .env("DEXTAPE_LIBRARY", library())
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let ran = Command::new(&program)
        .args(arguments)
        .env("LD_LIBRARY_PATH", library())
        .env("DEXTAPE_TAPE", regression.tape().path().unwrap())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&ran.stderr);
    regression.program(ran.status.code(), ran.status.signal(), &stderr)
}
