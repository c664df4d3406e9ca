//! The library at work: a program for macOS, in C, that is recorded from inside.
//!
//! They need the library as it is linked, what loads programs for macOS here, and a library that stands
//! for IOKit; `.ci/run darwin-run` names all of them in the environment. Where it does not, there is
//! nothing to run, and that is said.

#[cfg(target_os = "linux")]
mod ended;
#[cfg(target_os = "linux")]
mod exec;
#[cfg(target_os = "linux")]
mod library;
#[cfg(target_os = "linux")]
mod program;
#[cfg(target_os = "linux")]
mod redacted;
#[cfg(target_os = "linux")]
mod tapes;

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    let arguments = libtest_mimic::Arguments::from_args();
    let mut trials = library::trials();
    match program::Tools::find() {
        Some(tools) => {
            trials.extend(ended::trials(&tools));
            trials.extend(exec::trials(&tools));
            trials.extend(redacted::trials(&tools));
            trials.extend(tapes::trials(tools));
        }
        None if !arguments.list => {
            eprintln!("the recording library: not run, because DEXTAPE_MACHO_RUN is not set");
        }
        None => {}
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}
