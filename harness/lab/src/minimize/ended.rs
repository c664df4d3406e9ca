//! How a client ended, as a failure that can be the same again.

use super::Failure;
use crate::lenient::Lenient;
use crate::lenient::LenientError;
use dextape::connection::System;
use dextape::schedule::Schedule;
use dextape::tape::Tape;
use std::any::Any;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

impl Failure {
    /// How a client in Rust ended: `None` where it ended well, else by an error or a panic.
    ///
    /// # Examples
    ///
    /// ```
    /// use dextape_lab::Failure;
    ///
    /// let failure = Failure::of_client(|| Err::<(), _>("17 is odd"));
    /// assert_eq!(failure, Some(Failure::client("error", "# is odd")));
    /// assert_eq!(Failure::of_client(|| Ok::<_, String>(())), None);
    /// ```
    #[must_use]
    pub fn of_client<T, E: Display>(run: impl FnOnce() -> Result<T, E>) -> Option<Self> {
        match caught(run) {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(Self::client("error", &error.to_string())),
            Err(panic) => Some(Self::client("panic", &panic)),
        }
    }

    /// How a client in Rust failed in a run of a [`Check`](dextape::perturb::Check), by what that says of it:
    /// as [`of_client`](Self::of_client) has it.
    ///
    /// # Examples
    ///
    /// ```
    /// use dextape_lab::Failure;
    ///
    /// assert_eq!(Failure::of_run("panicked: 17 is odd"), Failure::client("panic", "# is odd"));
    /// assert_eq!(Failure::of_run("17 is odd"), Failure::client("error", "# is odd"));
    /// ```
    #[must_use]
    pub fn of_run(what: &str) -> Self {
        match what.strip_prefix("panicked: ") {
            Some(panic) => Self::client("panic", panic),
            None => Self::client("error", what),
        }
    }

    /// How a program ended, by its exit code or signal and by what it wrote to stderr: `None` where it ended
    /// well. The message is the place of a panic in Rust where there is one, else the last line.
    ///
    /// # Examples
    ///
    /// ```
    /// use dextape_lab::Failure;
    ///
    /// let failure = Failure::of_program(None, Some(6), "a: src/a.c:12: main: Assertion `x == 3' failed.\n");
    /// assert_eq!(failure.unwrap().to_string(), "the client's signal 6: a.c:#: main: Assertion `x == #' failed.");
    /// assert_eq!(Failure::of_program(Some(0), None, "a warning\n"), None);
    /// ```
    #[must_use]
    pub fn of_program(code: Option<i32>, signal: Option<i32>, stderr: &str) -> Option<Self> {
        let how = match (code, signal) {
            (Some(0), _) => return None,
            (Some(code), _) => format!("exit {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "end".to_owned(),
        };
        let panicked = stderr.lines().find_map(|line| line.split_once(" panicked at "));
        let last = || stderr.lines().rev().find(|line| !line.trim().is_empty());
        match panicked {
            // The place has numbers that matter.
            Some((_, place)) => {
                let message = format!("panicked at {}", anywhere(place.trim_end_matches(':')));
                Some(Self::Client { how, message })
            }
            None => Some(Self::client(&how, &anywhere(last().unwrap_or_default()))),
        }
    }
}

/// A message without what hangs on where and as what a program was built: folders of files, and the name of
/// the program before a failed assertion.
fn anywhere(message: &str) -> String {
    let asserts = message.contains(": Assertion `");
    let message = message.split_once(": ").filter(|_| asserts).map_or(message, |(_, rest)| rest);
    let files = message.split(' ').map(|word| word.rsplit('/').next().unwrap_or(word));
    files.collect::<Vec<_>>().join(" ")
}

/// Runs a client in Rust that is answered from a tape, leniently and in simulated time, with the tape's seed:
/// what a trial in client mode does.
///
/// # Errors
///
/// [`LenientError`] where the tape cannot answer.
pub fn answered<T, E: Display>(
    tape: &Arc<Tape>,
    client: impl FnOnce(&Arc<dyn System>) -> Result<T, E>,
) -> Result<Option<Failure>, LenientError> {
    let lenient = Lenient::new(Arc::clone(tape))?;
    let seed = tape.header().seed.unwrap_or_default();
    Ok(Failure::of_client(|| Schedule::simulate(seed, |on| client(&lenient.system(on)))))
}

/// What a run gives, or what the panic says that ended it.
pub(crate) fn caught<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic: Box<dyn Any + Send>| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        text.unwrap_or("it panicked").to_owned()
    })
}
