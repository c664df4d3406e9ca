//! A search as a whole.

use super::MinimizeError;
use super::cut::cut;
use super::kept::Kept;
use super::options::{Control, MinimizeOptions, Mode};
use super::shrink::Shrinker;
use super::simplify::simplify;
use super::units::Units;
use crate::lenient::{inlined, mark, usual};
use dextape::tape::{Sequence, Tape};
use std::sync::Arc;

/// What the provenance of a minimised tape begins with.
pub const TRIMMED: &str = "trimmed";

/// A tape with less on it, to be tried.
#[derive(Debug)]
pub struct Attempt {
    tape: Arc<Tape>,
    before: Arc<Vec<Sequence>>,
}

impl Attempt {
    /// Of a tape with all on it that there is.
    #[must_use]
    pub fn of(tape: Tape) -> Self {
        let before = tape.events().iter().map(|event| event.sequence).collect();
        Self { tape: Arc::new(tape), before: Arc::new(before) }
    }

    /// The number on the whole tape of each event.
    pub(super) fn numbers(&self) -> &Arc<Vec<Sequence>> {
        &self.before
    }

    /// The tape. In client mode it is [marked](crate::mark) for [`Lenient`](crate::Lenient).
    #[must_use]
    pub fn tape(&self) -> &Arc<Tape> {
        &self.tape
    }

    /// The number that an event of it has on the whole tape; 0 for a number that no event has.
    #[must_use]
    pub fn original(&self, sequence: Sequence) -> Sequence {
        let place = usize::try_from(sequence).ok().and_then(|number| number.checked_sub(1));
        place.and_then(|place| self.before.get(place)).copied().unwrap_or(0)
    }
}

/// A minimised tape.
#[derive(Debug)]
#[non_exhaustive]
pub struct Minimized {
    /// The tape: valid, with `trimmed` in its provenance.
    pub tape: Tape,
    /// Events of the whole tape.
    pub events_before: usize,
    /// True where nothing can be taken away from it; false where the time was over before that was sure.
    pub is_minimal: bool,
    /// Runs made.
    pub trials: u64,
    /// Runs that were not made again.
    pub remembered: u64,
    before: Arc<Vec<Sequence>>,
}

impl Minimized {
    /// Of the whole tape of an earlier search: what was minimised had these numbers there.
    pub(super) fn after(self, numbers: &[Sequence], earlier: &Self) -> Self {
        let original = |number: &Sequence| {
            let place = usize::try_from(*number).ok().and_then(|number| number.checked_sub(1));
            place.and_then(|place| numbers.get(place)).copied().unwrap_or(0)
        };
        let count = self.tape.events().len();
        let mut whole = Self {
            events_before: earlier.events_before,
            trials: self.trials + earlier.trials,
            remembered: self.remembered + earlier.remembered,
            before: Arc::new(self.before.iter().map(original).collect()),
            ..self
        };
        let notes = &mut whole.tape.header_mut().provenance;
        if let Some(note) = notes.last_mut().filter(|note| note.starts_with(TRIMMED)) {
            *note = trimmed(count, earlier.events_before);
        }
        whole
    }

    /// The number on the whole tape of each event.
    pub(super) fn numbers(&self) -> &Arc<Vec<Sequence>> {
        &self.before
    }

    /// The number of an event of the whole tape on this one, if it is on it.
    #[must_use]
    pub fn number_of(&self, original: Sequence) -> Option<Sequence> {
        let place = self.before.iter().position(|before| *before == original)?;
        Some(place as Sequence + 1)
    }
}

/// Takes as much from a tape as can be while `fails` holds: while the failure that is looked for, named
/// `what` for people, happens with what is left. `fails` should look for that failure only: that a cut tape
/// brings about another one says nothing.
///
/// What is left is valid, and nothing more can be taken from it: no operation (with what cannot be there
/// without it), patch or other event. The same is left on every machine and for any number of jobs, unless
/// the time was over.
///
/// # Errors
///
/// [`MinimizeError`] where the tape is not whole, not valid, or does not bring the failure about.
///
/// # Examples
///
/// ```
/// use dextape::tape::{Body, Event, Header, Tape};
/// use dextape_lab::{MinimizeOptions, Mode, minimize};
///
/// // What is looked for is a read of the third property.
/// let read = |number: u64| {
///     let key = Some(format!("key {number}"));
///     Event::new(number, 1, number, Body::Property { service: 1, key, outcome: Ok(None) })
/// };
/// let whole = Tape::new(Header::mock(), (1..=9).map(read).collect());
/// let found = minimize(&whole, "a read", &MinimizeOptions::of(Mode::Client), &|attempt| {
///     attempt.tape().events().iter().any(|event| attempt.original(event.sequence) == 3)
/// })?;
/// assert!(found.is_minimal);
/// assert_eq!(found.tape.events().len(), 1);
/// # Ok::<(), dextape_lab::MinimizeError>(())
/// ```
pub fn minimize(
    tape: &Tape,
    what: &str,
    options: &MinimizeOptions,
    fails: &(dyn Fn(&Attempt) -> bool + Sync),
) -> Result<Minimized, MinimizeError> {
    let mut base = inlined(tape)?;
    let validation = base.validate();
    if let Some(finding) = validation.findings.first() {
        return Err(MinimizeError::Invalid(finding.to_string()));
    }
    let mut units = Units::of(&base, options.mode)?;
    if options.mode == Mode::Client {
        mark(&mut base)?;
    }
    let events_before = base.events().len();
    let mut trial = Attempt::of(base);
    let mut before;
    if !fails(&trial) {
        return Err(MinimizeError::NotSeen(what.to_owned()));
    }
    let control = Control::new(options);
    let is_minimal = loop {
        let whole = Arc::clone(&trial.tape);
        let cut_of = |kept: &Kept| {
            let (tape, numbers) = cut(&whole, &units, kept);
            let before = numbers.into_iter().map(|number| trial.original(number)).collect();
            Attempt { tape: Arc::new(tape), before: Arc::new(before) }
        };
        let fails_with = |kept: &Kept| {
            let trial = cut_of(kept);
            fails(&trial) && trial.tape.validate().is_valid()
        };
        let mut shrinker = Shrinker::new(&units, &fails_with, &control);
        if options.mode == Mode::Client {
            shrinker.hint(usual_units(&whole, &units));
        }
        let (kept, is_minimal) = shrinker.run();
        let cut = cut_of(&kept);
        before = Arc::clone(&cut.before);
        trial = cut;
        if options.mode == Mode::Dext || !is_minimal {
            break is_minimal;
        }
        let still_fails = |tape: Tape| {
            let trial = Attempt { tape: Arc::new(tape), before: Arc::clone(&before) };
            let holds = fails(&trial) && trial.tape.validate().is_valid();
            holds.then(|| copy(&trial.tape))
        };
        let (simpler, changed) = simplify(copy(&trial.tape), &control, &still_fails);
        trial.tape = Arc::new(simpler);
        if !changed {
            break !control.is_over();
        }
        // What is simpler may need less.
        units = Units::of(&trial.tape, options.mode)?;
    };
    let told = control.progress();
    let mut tape = copy(&trial.tape);
    let count = tape.events().len();
    tape.header_mut().provenance.push(trimmed(count, events_before));
    let (trials, remembered) = (told.trials, told.remembered);
    Ok(Minimized { tape, events_before, is_minimal, trials, remembered, before })
}

/// The note in the provenance.
fn trimmed(count: usize, of: usize) -> String {
    format!("{TRIMMED}: {count} of {of} events")
}

/// Units that a lenient baseline answers alike without them.
fn usual_units(tape: &Tape, units: &Units) -> Vec<u32> {
    let is_usual = usual(tape);
    let all = 0..units.len() as u32;
    all.filter(|unit| units.events[*unit as usize].iter().all(|it| is_usual[*it as usize]))
        .collect()
}

fn copy(tape: &Tape) -> Tape {
    Tape::new(tape.header().clone(), tape.events().to_vec())
}
