//! A tape on which two clients part: one fails, and the mended one does not fail alike.

use super::options::MinimizeOptions;
use super::search::{Attempt, Minimized, minimize};
use super::{MinimizeError, Mode};
use dextape::tape::{Sequence, Tape};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// As [`minimize`] in client mode, for a client that `fails` and a mended one of which `is_alike` says whether
/// it fails alike: where the one fails with what is left, the other does not.
///
/// With the whole tape both may fail alike, as it holds what was done to a client that went wrong. Then parts
/// are taken away for as long as the one fails, until the other does not; that tape is minimised.
///
/// # Errors
///
/// [`MinimizeError`] where the tape is not whole, not valid, or does not bring the failure about;
/// [`MinimizeError::Alike`] where the two clients part with no tape that was met on the way.
///
/// # Examples
///
/// ```
/// use dextape::tape::{Body, Event, Header, Tape};
/// use dextape_lab::{Attempt, MinimizeOptions, Mode, minimize_apart};
///
/// // A client fails where it reads the third property; so does the mended one where it reads the fifth, too.
/// let read = |number: u64| {
///     let key = Some(format!("key {number}"));
///     Event::new(number, 1, number, Body::Property { service: 1, key, outcome: Ok(None) })
/// };
/// let whole = Tape::new(Header::mock(), (1..=9).map(read).collect());
/// let has = |attempt: &Attempt, number: u64| {
///     attempt.tape().events().iter().any(|event| attempt.original(event.sequence) == number)
/// };
/// let options = MinimizeOptions::of(Mode::Client);
/// let found = minimize_apart(&whole, "it", &options, &|it| has(it, 3), &|it| has(it, 5))?;
/// assert_eq!((found.number_of(3), found.number_of(5)), (Some(1), None));
/// # Ok::<(), dextape_lab::MinimizeError>(())
/// ```
pub fn minimize_apart(
    tape: &Tape,
    what: &str,
    options: &MinimizeOptions,
    fails: &(dyn Fn(&Attempt) -> bool + Sync),
    is_alike: &(dyn Fn(&Attempt) -> bool + Sync),
) -> Result<Minimized, MinimizeError> {
    let options = MinimizeOptions { mode: Mode::Client, ..options.clone() };
    let they_part = |attempt: &Attempt| fails(attempt) && !is_alike(attempt);
    match minimize(tape, what, &options, &they_part) {
        Err(MinimizeError::NotSeen(_)) => {}
        found => return found,
    }
    let first: Mutex<Option<(Tape, Arc<Vec<Sequence>>)>> = Mutex::default();
    let stop = Arc::new(AtomicBool::new(false));
    let until_they_part = |attempt: &Attempt| {
        let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
        stop.fetch_or(options.stop.load(Ordering::Relaxed), Ordering::Relaxed);
        if first.is_some() || !fails(attempt) {
            return false;
        }
        if !is_alike(attempt) && attempt.tape().validate().is_valid() {
            let tape = Tape::new(attempt.tape().header().clone(), attempt.tape().events().to_vec());
            *first = Some((tape, Arc::clone(attempt.numbers())));
            stop.store(true, Ordering::Relaxed);
        }
        true
    };
    // One after the other: which tape is the first must not hang on who is faster.
    let in_order = MinimizeOptions { jobs: 1, stop: Arc::clone(&stop), ..options.clone() };
    let on_the_way = minimize(tape, what, &in_order, &until_they_part)?;
    let first = first.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (first, numbers) = first.ok_or_else(|| MinimizeError::Alike(what.to_owned()))?;
    let found = minimize(&first, what, &options, &they_part)?;
    Ok(found.after(&numbers, &on_the_way))
}
