//! Dexts in C++: compiled here, loaded, and compared with those in Rust.
//!
//! A trial that needs a compiler which this machine does not have is ignored, and its name says which.

#[cfg(not(unix))]
fn main() {}

#[cfg(unix)]
mod battery;
#[cfg(unix)]
mod compile;
#[cfg(unix)]
mod iig;
#[cfg(unix)]
mod loading;
#[cfg(unix)]
mod ownership;
#[cfg(unix)]
#[path = "../tapes/mod.rs"]
mod tapes;
#[cfg(unix)]
mod twin;

#[cfg(unix)]
fn main() -> std::process::ExitCode {
    let arguments = libtest_mimic::Arguments::from_args();
    let trials =
        [twin::trials(), battery::trials(), iig::trials(), loading::trials(), ownership::trials()];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit_code()
}
