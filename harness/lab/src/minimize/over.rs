//! A tape over a mock: the events and deviations without which the mock alone would not bring a failure
//! about.

use super::baseline::Baseline;
use super::search::{Attempt, Minimized, TRIMMED, minimize};
use super::{MinimizeError, MinimizeOptions, Mode, minimize_apart};
use crate::lenient::{inlined, unmark};
use dextape::fault::{CallFault, CompletionFault, Fault};
use dextape::perturb::{Deviation, Deviations, Shift, shrink};
use dextape::tape::Tape;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Times that are tried in place of longer ones, in milliseconds.
const PLAIN_TIMES: [u64; 15] =
    [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000];

/// Takes as much from a tape over a mock as can be while one client `fails` and the mended one, if there is
/// one, is not `is_alike`, as [`minimize_apart`] does; and as many of the deviations as can be. What is left of
/// these has the shortest plain time that does. Both run their clients by
/// [`answered_over`](super::answered_over): the tape that they are given names the [`Baseline`], with the
/// deviations of this attempt.
///
/// It begins with the deviations and nothing of the tape, where that is enough; otherwise with the tape
/// without them; otherwise with both.
///
/// # Errors
///
/// [`MinimizeError`] where the tape is not whole, not valid, or does not bring the failure about;
/// [`MinimizeError::Bare`] where the mock does so alone.
pub fn minimize_over(
    tape: &Tape,
    baseline: &Baseline,
    what: &str,
    options: &MinimizeOptions,
    fails: &(dyn Fn(&Attempt) -> bool + Sync),
    is_alike: &(dyn Fn(&Attempt) -> bool + Sync),
) -> Result<Minimized, MinimizeError> {
    let options = MinimizeOptions { mode: Mode::Client, ..options.clone() };
    let mut whole = inlined(tape)?;
    let mut bare = Tape::new(whole.header().clone(), Vec::new());
    let with = |tape: &mut Tape, deviations: &Deviations| {
        let baseline = Baseline { deviations: deviations.clone(), ..baseline.clone() };
        baseline.enter(tape.header_mut());
    };
    let they_part = |attempt: &Attempt| fails(attempt) && !is_alike(attempt);
    let asked = Cell::new(0);
    let attempt = |tape: &Tape, deviations: &Deviations| {
        asked.set(asked.get() + 1);
        let mut tape = Tape::new(tape.header().clone(), tape.events().to_vec());
        with(&mut tape, deviations);
        Attempt::of(tape)
    };
    if fails(&attempt(&bare, &Deviations::NONE)) {
        return Err(MinimizeError::Bare(what.to_owned()));
    }
    let mut deviations = baseline.deviations.clone();
    let events_before = whole.events().len();
    let mut found = if they_part(&attempt(&bare, &deviations)) {
        with(&mut bare, &deviations);
        minimize(&bare, what, &options, &they_part)?
    } else {
        with(&mut whole, &Deviations::NONE);
        match minimize_apart(&whole, what, &options, fails, is_alike) {
            Err(MinimizeError::NotSeen(_) | MinimizeError::Alike(_)) if !deviations.is_empty() => {
                with(&mut whole, &deviations);
                minimize_apart(&whole, what, &options, fails, is_alike)?
            }
            found => {
                deviations = Deviations::NONE;
                found?
            }
        }
    };
    loop {
        let tape = &found.tape;
        let does = |list: &Deviations| {
            !options.stop.load(Ordering::Relaxed) && they_part(&attempt(tape, list))
        };
        let mut left = shrink(&deviations, does);
        plain(&mut left, &does);
        if left == deviations {
            break;
        }
        deviations = left;
        // With other deviations another event may not be needed.
        let mut tape = Tape::new(tape.header().clone(), tape.events().to_vec());
        with(&mut tape, &deviations);
        let again = minimize(&tape, what, &options, &they_part)?;
        let numbers = Arc::clone(found.numbers());
        found = again.after(&numbers, &found);
    }
    found.events_before = events_before;
    found.trials += asked.get();
    found.is_minimal &= !options.stop.load(Ordering::Relaxed);
    let events = found.tape.events().len();
    let header = found.tape.header_mut();
    unmark(header);
    // What the tape was recorded with is told by the baseline now.
    header.extra.remove(Deviations::IN_HEADER);
    header.provenance.clone_from(&tape.header().provenance);
    let with = match deviations.is_empty() {
        true => String::new(),
        false => format!(" with {deviations}"),
    };
    let mock = &baseline.mock;
    let note =
        format!("{TRIMMED}: {events} of {events_before} events, over the mock of {mock}{with}");
    header.provenance.push(note);
    Ok(found)
}

/// Gives each deviation the shortest plain time with which the list still does it.
fn plain(list: &mut Deviations, does: &dyn Fn(&Deviations) -> bool) {
    for place in 0..list.len() {
        let shorter = PLAIN_TIMES.iter().find_map(|time| {
            let time = Duration::from_millis(*time);
            let changed = shortened(&list.0[place], time)?;
            let mut candidate = list.clone();
            candidate.0[place] = changed;
            does(&candidate).then_some(candidate)
        });
        if let Some(shorter) = shorter {
            *list = shorter;
        }
    }
}

/// The same with that time, where its own is longer.
fn shortened(deviation: &Deviation, to: Duration) -> Option<Deviation> {
    let mut changed = deviation.clone();
    let time = match &mut changed {
        Deviation::Stall { time, .. } => time,
        Deviation::Timer { late, .. } => late,
        Deviation::Post { shift: Shift::Early(by) | Shift::Late(by), .. } => by,
        Deviation::Fault(Fault::Completion { what: CompletionFault::Late(late), .. }) => late,
        Deviation::Fault(Fault::Call { what: CallFault::Delay(delay), .. }) => delay,
        _ => return None,
    };
    if *time <= to {
        return None;
    }
    *time = to;
    Some(changed)
}
