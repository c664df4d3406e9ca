//! Programs for macOS that reach the real system's library, run here: `../shared/tools/macho-run` loads
//! them, and `libIOKit.so` with a mock behind it is their IOKit.
//!
//! What they need besides is named in the environment by `.ci/run darwin-run`. Where `../shared` is
//! absent each trial is ignored by its name, and counted; where only the environment is not set, that
//! is said.

#[cfg(target_os = "linux")]
mod clients;
#[cfg(target_os = "linux")]
mod macsmc;
#[cfg(target_os = "linux")]
mod tools;

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    let arguments = libtest_mimic::Arguments::from_args();
    let tools = tools::Tools::find();
    let mut trials = clients::trials(tools.as_ref());
    trials.extend(macsmc::trials(tools.as_ref()));
    if tools.is_none() && tools::are_there() {
        // They are run by another step of the same check.
        trials.clear();
        if !arguments.list {
            eprintln!("programs for macOS: not run, because DEXTAPE_MACHO_RUN is not set");
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}
