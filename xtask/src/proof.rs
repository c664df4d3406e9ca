//! What a proof is: a test that the test run samples and `prove` runs in full.

use std::process::Command;
use std::time::{Duration, Instant};

/// A test whose number of cases is set by an environment variable. In the test run it takes a sample;
/// here it takes them all.
#[derive(Clone, Copy, Debug)]
pub struct Proof {
    /// Its name, in kebab case.
    pub name: &'static str,
    /// What it shows, in half a sentence.
    pub about: &'static str,
    /// Package of the test.
    pub package: &'static str,
    /// Test target of the package; `None` for its unit tests.
    pub target: Option<&'static str>,
    /// Full name of the test, or a beginning that several share.
    pub test: &'static str,
    /// Environment variable that sets the number of cases.
    pub variable: &'static str,
    /// Cases of a sample, as the test takes where nothing is set.
    pub sample: u64,
    /// Cases of the full proof.
    pub full: u64,
}

/// What came of a proof.
#[derive(Clone, Debug)]
pub struct ProofRun {
    /// Cases that were asked for.
    pub cases: u64,
    /// Tests that passed.
    pub passed: u64,
    /// Time it took, with what it takes to build the test.
    pub took: Duration,
    /// What the tests have measured: lines of their output that begin with `figures: `.
    pub figures: Vec<String>,
    /// The test's output where it failed, or where no test was found.
    pub failure: Option<String>,
}

impl Proof {
    /// Runs `cases` cases with cargo.
    ///
    /// # Errors
    ///
    /// Cargo cannot be started.
    pub fn run(&self, cases: u64) -> std::io::Result<ProofRun> {
        let start = Instant::now();
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(["test", "--all-features", "--package", self.package]);
        match self.target {
            Some(target) => command.args(["--test", target]),
            None => command.arg("--lib"),
        };
        command.args(["--", self.test, "--show-output"]).env(self.variable, cases.to_string());
        let output = command.output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let passed = passed(&text);
        let mut failure = None;
        if !output.status.success() {
            failure = Some(format!("{text}{}", String::from_utf8_lossy(&output.stderr)));
        } else if passed == 0 {
            failure = Some(format!("no test of package {} is named {}", self.package, self.test));
        }
        let figures = text.lines().filter_map(|line| line.strip_prefix("figures: "));
        let figures = figures.map(str::to_owned).collect();
        Ok(ProofRun { figures, cases, passed, took: start.elapsed(), failure })
    }
}

/// Tests that passed, from the closing lines of a test run.
fn passed(output: &str) -> u64 {
    let counts = output.lines().filter_map(|line| {
        let (before, _) = line.strip_prefix("test result: ")?.split_once(" passed")?;
        before.rsplit(' ').next()?.parse::<u64>().ok()
    });
    counts.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tests_that_passed_are_counted() {
        let output = "running 2 tests\n..\n\n\
             test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 7 filtered out\n\n\
             test result: ok. 1 passed; 0 failed; 3 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(passed(output), 3);
        assert_eq!(passed("test result: ok. 0 passed; 0 failed"), 0);
        assert_eq!(passed("nothing of the kind"), 0);
    }
}
