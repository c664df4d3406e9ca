//! A program in C through `libIOKit.so`: live, recorded and replayed, beside `umockdev-run`, which
//! replays an ioctl to one. Each run is a process of its own, which times its loop of calls itself.

use super::case::line;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Group of these figures.
pub(crate) const GROUP: &str = "iokit";

/// Calls of one run: their tape fits a processor's cache, as a test's does.
const CALLS: u32 = 4096;

/// Runs of each kind; the median of them is the figure.
const RUNS: usize = 25;

/// Calls, and ioctls, of what is slow.
const SLOW_CALLS: u32 = 500;

/// Memory type of the dext that has 1 MiB, the most that is looked at.
const LARGE: &str = "4";

/// Measures and prints; what cannot be measured here is said on stderr, with what it needs.
pub(crate) fn print() {
    if !cfg!(target_os = "linux") {
        eprintln!("not measured: {GROUP}, whose library is for Linux");
        return;
    }
    if let Err(reason) = programs().and_then(|programs| programs.print()) {
        eprintln!("not measured: {GROUP}: {reason}");
    }
}

/// The two programs, compiled, and the library.
struct Programs {
    folder: tempfile::TempDir,
    library: PathBuf,
}

fn programs() -> Result<Programs, String> {
    let bench = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut beside = bench.ancestors().skip(1).take(2).map(Path::to_owned);
    let library = beside
        .find(|folder| folder.join("libIOKit.so").exists())
        .ok_or("libIOKit.so is not beside the bench, where cargo builds it")?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, source) in [("iokit", include_str!("iokit.c")), ("ioctl", include_str!("ioctl.c"))] {
        let file = folder.path().join(format!("{name}.c"));
        std::fs::write(&file, source).map_err(|error| error.to_string())?;
        let mut compile = Command::new("gcc");
        compile.args(["-O2", "-isystem"]).arg(here.join("../harness/cabi/include")).arg(&file);
        compile.arg("-o").arg(folder.path().join(name));
        if name == "iokit" {
            compile.arg("-L").arg(&library).arg("-lIOKit");
        }
        run(&mut compile).map_err(|error| format!("{error} (Debian package gcc)"))?;
    }
    Ok(Programs { folder, library })
}

impl Programs {
    fn print(&self) -> Result<(), String> {
        let nanoseconds = |what, value, goal| line(GROUP, what, value, "ns", None, goal);
        let mock = [("DEXTAPE_SCENARIO", "boundary-probe")];
        let tape = self.path("calls.tape.jsonl");
        let replay = [("DEXTAPE_TAPE", &*tape)];
        let copy = self.path("copy.tape.jsonl");
        let recorded = [("DEXTAPE_TAPE", &*tape), ("DEXTAPE_RECORD", &*copy)];
        // Large enough for all calls, so that what is compared is the appending alone; and one that comes round.
        let [ring, small] =
            ["64MiB", "1MiB"].map(|size| [replay[0], recorded[1], ("DEXTAPE_RING", size)]);
        let calls = CALLS.to_string();
        self.timed(&[mock[0], ("DEXTAPE_RECORD", &*tape)], &[&calls])?;

        // By turns, so that what else the machine does meets them all.
        let (mut replayed, mut copied, mut live) = (Vec::new(), Vec::new(), Vec::new());
        let (mut in_ring, mut round) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            replayed.push(self.timed(&replay, &[&calls])?);
            copied.push(self.timed(&recorded, &[&calls])?);
            in_ring.push(self.timed(&ring, &[&calls])?);
            round.push(self.timed(&small, &[&calls])?);
            live.push(self.timed(&mock, &[&calls])?);
        }
        let (replayed, copied, live) = (median(replayed), median(copied), median(live));
        let counted = self.instructions(&replay, &calls);
        line(GROUP, "a call from C, replayed", replayed, "ns", counted, Some(("most", 60.0)));
        nanoseconds(
            "a call from C, replayed and recorded: added",
            copied - replayed,
            Some(("most", 200.0)),
        );
        for (what, figures) in [
            ("a call from C, replayed and recorded in a ring of 64 MiB: added", in_ring),
            ("a call from C, replayed and recorded in a ring of 1 MiB: added", round),
        ] {
            nanoseconds(what, median(figures) - replayed, None);
        }
        nanoseconds("a call from C, live on the mock", live, None);
        let slow = SLOW_CALLS.to_string();
        let copy_of_live = [mock[0], ("DEXTAPE_RECORD", &*copy)];
        let scanned: Result<Vec<_>, _> =
            (0..5).map(|_| self.timed(&copy_of_live, &[&slow, LARGE])).collect();
        let scanned = median(scanned?);
        nanoseconds(
            "a call from C, live and recorded, with 1 MiB of scanned memory",
            scanned,
            None,
        );
        match self.umockdev(&slow) {
            Ok(ioctl) => nanoseconds("umockdev-run: an ioctl from C, replayed", ioctl, None),
            Err(reason) => eprintln!(
                "not measured: umockdev-run beside {GROUP}: {reason} (Debian package umockdev)"
            ),
        }
        Ok(())
    }

    /// Its place in the folder.
    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    fn command(&self, program: &str, variables: &[(&str, &str)]) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("DEXTAPE_") {
                command.env_remove(name);
            }
        }
        command.env("LD_LIBRARY_PATH", &self.library).envs(variables.iter().copied());
        command
    }

    /// Nanoseconds of one call, as the program says.
    fn timed(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Result<f64, String> {
        let mut command = self.command(&self.path("iokit"), variables);
        figure(&run(command.args(arguments))?)
    }

    /// Instructions of one call; `None` where there is no valgrind to count them.
    fn instructions(&self, variables: &[(&str, &str)], calls: &str) -> Option<f64> {
        let mut command = self.command("valgrind", variables);
        command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
        command.args(["--toggle-collect=IOConnectCallMethod", &self.path("iokit"), calls]);
        let text = String::from_utf8_lossy(&command.output().ok()?.stderr).into_owned();
        let (_, counted) = text.lines().find_map(|line| line.split_once("Collected :"))?;
        Some(counted.trim().parse::<f64>().ok()? / f64::from(CALLS))
    }

    /// Nanoseconds of one ioctl that umockdev answers by what was written down.
    fn umockdev(&self, calls: &str) -> Result<f64, String> {
        let device = "P: /devices/virtual/input/input1/event1\nN: input/event1\n\
             E: DEVNAME=/dev/input/event1\nE: SUBSYSTEM=input\nE: MAJOR=13\nE: MINOR=65\n";
        let bytes = "01".repeat(24);
        let ioctl = format!("@DEV /dev/input/event1\nEVIOCGABS(0) 0 {bytes}\n");
        let (described, dump) = (self.path("event1.umockdev"), self.path("event1.ioctl"));
        std::fs::write(&described, device).map_err(|error| error.to_string())?;
        std::fs::write(&dump, ioctl).map_err(|error| error.to_string())?;
        let mut runs = Vec::new();
        for _ in 0..3 {
            let mut command = self.command("umockdev-run", &[]);
            command.args(["-d", &described, "-i", &format!("/dev/input/event1={dump}"), "--"]);
            runs.push(figure(&run(command.arg(self.path("ioctl")).arg(calls))?)?);
        }
        Ok(median(runs))
    }
}

/// What it printed.
fn run(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{name} does not start: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(format!("{name} ended with {}: {said}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn figure(text: &str) -> Result<f64, String> {
    text.trim().parse().map_err(|_| format!("{text:?} is no figure"))
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
