//! Programs in C, C++ and Python against `libIOKit.so`: compiled here, and run as processes of their
//! own.
//!
//! A trial that needs a program which this machine does not have is ignored, and its name says which.

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
mod agreement;
#[cfg(target_os = "linux")]
mod appendix_b;
#[cfg(target_os = "linux")]
mod asynchronous;
#[cfg(target_os = "linux")]
mod contents;
#[cfg(target_os = "linux")]
mod ended;
#[cfg(target_os = "linux")]
mod endurance;
#[cfg(target_os = "linux")]
mod environment;
#[cfg(target_os = "linux")]
mod flight;
#[cfg(target_os = "linux")]
mod headers;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(target_os = "linux")]
mod ownership;
#[cfg(target_os = "linux")]
mod pointers;
#[cfg(target_os = "linux")]
mod program;
#[cfg(target_os = "linux")]
mod races;
#[cfg(target_os = "linux")]
mod rules;
#[cfg(target_os = "linux")]
mod scenarios;
#[cfg(target_os = "linux")]
mod tier_one;

#[cfg(target_os = "linux")]
fn main() {
    let arguments = libtest_mimic::Arguments::from_args();
    let trials = [
        headers::trials(),
        environment::trials(),
        tier_one::trials(),
        rules::trials(),
        appendix_b::trials(),
        asynchronous::trials(),
        memory::trials(),
        ownership::trials(),
        agreement::trials(),
        ended::trials(),
        flight::trials(),
        endurance::trials(),
        races::trials(),
        pointers::trials(),
        scenarios::trials(),
    ];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit();
}
