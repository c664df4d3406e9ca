//! The soak under the thread sanitizer, which watches client, library and the standard library alike.
//!
//! Only `cargo xtask prove iokit-races` runs it, since the library and the standard library are built
//! for it a second time, which takes minutes. The library has no runtime of the sanitizer of its own:
//! the client brings rustc's, and clang's stays away, so that one serves both.

use crate::endurance::{PRELUDE, SOAK, soaked};
use crate::program::{Program, Ran, has, trial};
use libtest_mimic::Trial;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Calls of the soak. Without it there is no trial of this file.
const CALLS: &str = "DEXTAPE_IOKIT_RACES";

/// One call of so many is made once more with a recorder before the mock.
const RECORDED: u64 = 10;

/// Two threads have the library write their results to the same place, which is a race.
const PLANTED: &str = r#"
static io_connect_t connection;
static uint64_t results[4];

static void *call(void *argument) {
  (void)argument;
  for (int i = 0; i < 200; i++) {
    uint32_t count = 4;
    if (IOConnectCallScalarMethod(connection, 1, NULL, 0, results, &count) != 0) _exit(3);
  }
  return NULL;
}

int main(void) {
  pthread_t threads[2];
  connection = open_service(find("BoundaryProbe"));
  for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, call, NULL);
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  IOServiceClose(connection);
  return 0;
}
"#;

/// The target that is built for: this machine's.
fn target() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

/// Where rustc has its libraries.
fn sysroot() -> PathBuf {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output().unwrap();
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

/// The runtime of the sanitizer that comes with rustc. Its name has the channel of the compiler in it.
fn runtime(rustlib: &Path) -> Option<PathBuf> {
    let files = std::fs::read_dir(rustlib.join(target()).join("lib")).ok()?;
    let mut files = files.filter_map(|file| Some(file.ok()?.path()));
    files.find(|file| file.to_string_lossy().ends_with("rt.tsan.a"))
}

/// The library with the sanitizer in it, and the runtime that goes with it.
struct Watched {
    folder: PathBuf,
    runtime: PathBuf,
}

impl Watched {
    /// Builds it.
    #[track_caller]
    fn build() -> Self {
        let rustlib = sysroot().join("lib/rustlib");
        let runtime = runtime(&rustlib);
        let mut missing = Vec::new();
        if !has("clang") {
            missing.push("clang (on Debian: `apt-get install clang`)");
        }
        if !rustlib.join("src/rust/library/std").exists() {
            missing.push("the standard library's source (`rustup component add rust-src`)");
        }
        if runtime.is_none() {
            missing.push("a rustc that has the thread sanitizer's runtime for this target");
        }
        assert!(missing.is_empty(), "failed to look for races: missing {}", missing.join(", "));
        let into = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("tsan");
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(env!("CARGO_MANIFEST_DIR"));
        command.args(["build", "-Zbuild-std", "--package", "dextape-libiokit", "--lib"]);
        command.args(["--target", &target(), "--target-dir"]).arg(&into);
        // The sanitizer and the standard library's build are not stable yet.
        command.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Zsanitizer=thread");
        command.env("CARGO_INCREMENTAL", "0").env_remove("CARGO_ENCODED_RUSTFLAGS");
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "failed to build the library with its watch:\n{said}");
        Self { folder: into.join(target()).join("debug"), runtime: runtime.unwrap() }
    }

    /// Runs a program in C with the library, recorded if a tape is named.
    #[track_caller]
    fn run(&self, source: &str, argument: &str, tape: Option<&str>) -> Ran {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let (folder, runtime) = (text(&self.folder), text(&self.runtime));
        let client = ["clang", "-fsanitize=thread", "-fno-sanitize-link-runtime", "-rdynamic"];
        let whole = ["-Wl,--whole-archive", &runtime, "-Wl,--no-whole-archive", "-L", &folder];
        let compiler = [&client[..], &whole[..], &["-ldl", "-lrt"]].concat();
        let program = Program::compile(&compiler, "c", &format!("{PRELUDE}\n{source}"));
        let program = program.on("boundary-probe").set("LD_LIBRARY_PATH", folder.as_str());
        let mut program = program.set("TSAN_OPTIONS", "exitcode=66").argument(argument);
        if let Some(tape) = tape {
            program = program.set("DEXTAPE_RECORD", tape);
        }
        let ran = program.run();
        assert!(tape.is_none_or(|tape| program.path(tape).exists()), "no tape: {ran}");
        ran
    }
}

pub(crate) fn trials() -> Vec<Trial> {
    let Ok(calls) = std::env::var(CALLS) else { return Vec::new() };
    vec![trial("races::the_soak_has_none_and_a_planted_one_is_seen", &[], move || {
        let count = calls.parse().unwrap_or_else(|_| panic!("{CALLS} is {calls:?}, no number"));
        let watched = Watched::build();
        let planted = watched.run(PLANTED, "", None);
        assert_eq!(planted.code, Some(66), "{planted}");
        assert!(planted.err.contains("ThreadSanitizer: data race"), "{planted}");
        let ran = watched.run(SOAK, &calls, None);
        soaked(ran.well(), count);
        println!("{}", ran.out.trim());
        // A recorder is slow under this watch.
        let few = count / RECORDED;
        let ran = watched.run(SOAK, &few.to_string(), Some("soak.tape.jsonl"));
        soaked(ran.well(), few);
        println!("{}", ran.out.trim().replace("figures: ", "figures: recorded, "));
    })]
}
