//! The replayer itself.

use super::describe;
use super::program::{Kind, Program};
use super::report::{ReplayReport, Unused};
use super::session::Session;
use super::state::State;
use super::system::ReplaySystem;
use super::{Divergence, LoadError, Policy, ReplayOptions};
use crate::connection::System;
use crate::schedule::Schedule;
use crate::tape::Tape;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A tape that is ready to be played to a client.
///
/// # Examples
///
/// A tape on which the client looks for a service and finds one:
///
/// ```
/// use dextape::connection::Matching;
/// use dextape::replay::{Replayer, ReplayOptions};
/// use dextape::schedule::Schedule;
/// use dextape::tape::{Body, Event, Header, Tape};
/// use std::sync::Arc;
///
/// let looked = Body::Matched { matching: Matching::service("AppleSMC"), outcome: Ok(vec![1]) };
/// let tape = Tape::new(Header::mock(), vec![Event::new(1, 1, 1, looked)]);
/// let replayer = Replayer::new(Arc::new(tape), ReplayOptions::default())?;
///
/// let system = replayer.system(&Schedule::free());
/// let services = system.matching_services(&Matching::service("AppleSMC"));
/// assert_eq!(services.map(|services| services.len()), Ok(1));
///
/// let report = replayer.finish()?;
/// assert!(report.is_complete());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing is replayed before a client uses its system"]
pub struct Replayer {
    session: Arc<Session>,
}

impl Replayer {
    /// Makes a tape ready.
    ///
    /// # Errors
    ///
    /// The tape misses bytes that its events refer to, its events do not fit together, or its header
    /// names an unknown policy.
    pub fn new(tape: Arc<Tape>, options: ReplayOptions) -> Result<Self, LoadError> {
        let program = Program::compile(tape, &options)?;
        Ok(Self { session: Arc::new(Session::new(program, &options)) })
    }

    /// How the client's own memory is reached: what its pointers lead to is compared and written from then
    /// on. Without it the tape's [`Pointed`](crate::tape::Pointed) bytes are left alone. The first call
    /// counts.
    pub fn reach_client(&self, space: Arc<dyn crate::memory::ClientSpace>) {
        let _ = self.session.program.space.set(space);
    }

    /// The policy: the one of the options, or of the tape's header, or else the one that the tape's
    /// threads ask for.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.session.policy
    }

    /// The system that the tape was recorded from, as its client saw it. Several systems of one
    /// replayer go on in the same tape.
    ///
    /// Where tape and schedule are simulated both, the time of the schedule follows the tape.
    ///
    /// # Panics
    ///
    /// Every operation on the system, and on what comes from it, panics with the [`Divergence`] where
    /// the client does something that the tape does not hold, unless
    /// [`OnDivergence::Answer`](super::OnDivergence::Answer) is set.
    #[must_use]
    pub fn system(&self, schedule: &Schedule) -> Arc<dyn System> {
        Arc::new(ReplaySystem::new(&self.session, schedule))
    }

    /// What the replay came to, so far: to be called when the client is done.
    ///
    /// # Errors
    ///
    /// The first divergence, where there was one.
    pub fn finish(&self) -> Result<ReplayReport, Divergence> {
        let mut state = self.session.state();
        if let Some(divergence) = &state.divergence {
            let divergence = divergence.with_invented(state.invented);
            state.told = true;
            return Err(divergence);
        }
        Ok(report(&self.session.program, &state))
    }
}

impl Drop for Replayer {
    /// Panics where the replay diverged and nobody asked [`finish`](Replayer::finish), so that a
    /// client which swallows panics passes no test.
    fn drop(&mut self) {
        let mut state = self.session.state();
        let untold = !std::mem::replace(&mut state.told, true);
        let Some(divergence) = state.divergence.clone().filter(|_| untold) else { return };
        let divergence = divergence.with_invented(state.invented);
        drop(state);
        if std::thread::panicking() {
            eprintln!("{divergence}");
        } else {
            panic!("{divergence}");
        }
    }
}

fn report(program: &Program, state: &State) -> ReplayReport {
    let mut unused: BTreeMap<(u32, Option<u32>), Unused> = BTreeMap::new();
    for (index, step) in program.steps.iter().enumerate() {
        let index = index as u32;
        // A wait in which the recording ended is nothing that the client left out.
        let ends = step.kind == Kind::Wait && step.leave == super::program::NONE;
        // Nobody can be served from what is half on the tape.
        let half = program.segments.as_ref().is_some_and(|segments| segments.is_half(index));
        if state.has_entered(index) || ends || half {
            continue;
        }
        let place = program.place(step.enter);
        let entry = unused.entry((place.lane, place.connection)).or_insert_with(|| Unused {
            count: 0,
            first: place,
            event: describe::step(program, index),
        });
        entry.count += 1;
    }
    let crossing = state.crossing.as_deref().zip(program.segments.as_deref());
    let crossing = crossing.map(|(it, segments)| it.report(program, &state.progress, segments));
    ReplayReport {
        policy: program.policy,
        operations: program.steps.len() as u64,
        used: state.progress.used(program) - crossing.as_ref().map_or(0, |it| it.passed_over),
        unused,
        unread_patches: state
            .unread(program)
            .filter(|patch| {
                !state.crossing.as_ref().is_some_and(|it| it.has_shown(program, *patch))
            })
            .map(|patch| program.place(program.patches[patch as usize].event))
            .collect(),
        masked: state.masked,
        symbols: state.symbols.len(),
        crossing,
    }
}
