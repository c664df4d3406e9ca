//! Tapes that are kept because they brought a failure about, and the tests that run them.

use crate::drive::{DriveError, DriveOptions, drive, planned_faults};
use crate::lenient::LenientError;
use crate::minimize::{Baseline, Driven, Failure, MakeBaseline, answered, answered_over, caught};
use dextape::connection::System;
use dextape::kernel::MockSystem;
use dextape::schedule::Schedule;
use dextape::tape::{Tape, TapeError};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Note in the provenance of a tape that has something on it which must not be given away, and that nobody
/// has taken out yet.
pub const REDACTION_PENDING: &str = "redaction pending";

/// Why a tape is no regression that can be run, or that its failure is still there. The texts complete
/// "failed to ...".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegressionError {
    /// It cannot be read.
    #[error("{0}")]
    Tape(#[from] TapeError),
    /// It is not valid.
    #[error("keep {0} as a regression: it is not valid: {1}")]
    Invalid(PathBuf, String),
    /// Its header names no failure.
    #[error(
        "keep {0} as a regression: its header names no failure; `cargo xtask minimize` makes a tape \
         that does"
    )]
    NoFailure(PathBuf),
    /// What its header says of the failure cannot be read.
    #[error("{0}")]
    Failure(String),
    /// What its header says of the baseline cannot be read.
    #[error("{0}")]
    Baseline(String),
    /// A mock has to answer what it does not hold.
    #[error(
        "run a client by {0} alone: it holds only in what a run on the mock of {1} differs; give that mock \
         to `Regression::client_over`"
    )]
    NeedsMock(PathBuf, String),
    /// It says nothing of a mock.
    #[error("run a client by {0} over a mock: its header names no baseline")]
    NoBaseline(PathBuf),
    /// Something on it must not be given away.
    #[error(
        "keep {0} as a regression: redaction is pending; take out what must not be given away, then the \
         note from its provenance"
    )]
    RedactionPending(PathBuf),
    /// It cannot answer a client.
    #[error("{0}")]
    Lenient(#[from] LenientError),
    /// It cannot drive a dext.
    #[error("{0}")]
    Drive(#[from] DriveError),
    /// The failure is still there.
    #[error("hold what {0} is kept for: there is again {1}")]
    StillThere(PathBuf, Failure),
}

/// A tape that brought a failure about, which must not come again.
///
/// # Examples
///
/// ```
/// use dextape::connection::{Matching, System};
/// use dextape::tape::{Body, Event, Header, Tape};
/// use dextape_lab::{Failure, Regression, RegressionError, mark};
///
/// // A service that is not there made the client fail.
/// let looked = Body::Matched { matching: Matching::service("AppleSMC"), outcome: Ok(vec![]) };
/// let mut tape = Tape::new(Header::mock(), vec![Event::new(1, 1, 1, looked)]);
/// mark(&mut tape)?;
/// Failure::client("error", "there are no services").enter(tape.header_mut());
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("no_service.tape.jsonl");
/// tape.write(&path)?;
///
/// let regression = Regression::read(&path)?;
/// let services = |system: &dyn System| system.matching_services(&Matching::service("AppleSMC"));
/// let failed = regression.client(|system| match services(&**system) {
///     Ok(found) if found.is_empty() => Err("there are no services".to_owned()),
///     _ => Ok(()),
/// });
/// assert!(matches!(failed, Err(RegressionError::StillThere(..))));
/// regression.client(|system| services(&**system).map(drop))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Regression {
    path: PathBuf,
    tape: Arc<Tape>,
    failure: Failure,
    baseline: Option<Baseline>,
}

impl Regression {
    /// Reads one.
    ///
    /// # Errors
    ///
    /// [`RegressionError`] where the tape cannot be read, is not valid, names no failure, or is still to be
    /// redacted.
    pub fn read(path: &Path) -> Result<Self, RegressionError> {
        let tape = Tape::read(path)?;
        let shown = path.to_owned();
        if let Some(finding) = tape.validate().findings.first() {
            return Err(RegressionError::Invalid(shown, finding.to_string()));
        }
        if tape.header().provenance.iter().any(|note| note.starts_with(REDACTION_PENDING)) {
            return Err(RegressionError::RedactionPending(shown));
        }
        let failure = Failure::of_header(tape.header()).map_err(RegressionError::Failure)?;
        let failure = failure.ok_or_else(|| RegressionError::NoFailure(shown.clone()))?;
        let baseline = Baseline::of_header(tape.header()).map_err(RegressionError::Baseline)?;
        Ok(Self { path: shown, tape: Arc::new(tape), failure, baseline })
    }

    /// The tape.
    #[must_use]
    pub fn tape(&self) -> &Arc<Tape> {
        &self.tape
    }

    /// What it brought about.
    #[must_use]
    pub fn failure(&self) -> &Failure {
        &self.failure
    }

    /// The mock that answers what it does not hold, and what differs in its run; `None` of a tape that
    /// stands alone.
    #[must_use]
    pub fn baseline(&self) -> Option<&Baseline> {
        self.baseline.as_ref()
    }

    /// Runs a client in Rust that is answered from the tape. That it ends otherwise, well or not, is fine:
    /// most answers are made up.
    ///
    /// # Errors
    ///
    /// [`RegressionError::StillThere`] where it fails as it did, [`RegressionError::NeedsMock`] where the
    /// tape does not stand alone.
    pub fn client<T, E: Display>(
        &self,
        client: impl FnOnce(&Arc<dyn System>) -> Result<T, E>,
    ) -> Result<(), RegressionError> {
        if let Some(over) = &self.baseline {
            return Err(RegressionError::NeedsMock(self.path.clone(), over.mock.clone()));
        }
        self.ended(answered(&self.tape, client)?)
    }

    /// Runs a client in Rust on a mock, which `make` builds and of which [`baseline`](Self::baseline) tells,
    /// with what the tape holds imposed on it. That it ends otherwise, well or not, is fine: a fault may
    /// have been imposed that every client reports.
    ///
    /// # Errors
    ///
    /// [`RegressionError::StillThere`] where it fails as it did, [`RegressionError::NoBaseline`] where the tape
    /// stands alone.
    pub fn client_over<T, E: Display>(
        &self,
        make: &MakeBaseline<'_>,
        client: impl FnOnce(&Arc<dyn System>) -> Result<T, E>,
    ) -> Result<(), RegressionError> {
        if self.baseline.is_none() {
            return Err(RegressionError::NoBaseline(self.path.clone()));
        }
        self.ended(answered_over(&self.tape, make, client)?)
    }

    /// Judges how a program ended that was answered from the tape, with `DEXTAPE_TAPE` and
    /// `libIOKit.so`, which has the mock where there has to be one: by its exit code or signal and what it wrote to stderr.
    ///
    /// # Errors
    ///
    /// [`RegressionError::StillThere`] where it failed as it did.
    pub fn program(
        &self,
        code: Option<i32>,
        signal: Option<i32>,
        stderr: &str,
    ) -> Result<(), RegressionError> {
        self.ended(Failure::of_program(code, signal, stderr))
    }

    fn ended(&self, found: Option<Failure>) -> Result<(), RegressionError> {
        match found {
            Some(found) if found == self.failure => {
                Err(RegressionError::StillThere(self.path.clone(), found))
            }
            _ => Ok(()),
        }
    }

    /// Has the tape drive a dext, which `publish` puts on a mock.
    ///
    /// # Errors
    ///
    /// [`RegressionError::StillThere`] where it fails as it did.
    pub fn dext<E: Display>(
        &self,
        publish: impl FnOnce(&Arc<MockSystem>) -> Result<(), E>,
    ) -> Result<(), RegressionError> {
        let faults = planned_faults(&self.tape)?;
        let seed = self.tape.header().seed.unwrap_or_default();
        let run = || {
            Schedule::simulate(seed, |schedule| {
                let mock = MockSystem::builder(schedule).faults(faults).build();
                publish(&mock).map_err(|error| error.to_string())?;
                driven(&self.tape, mock).map_err(|error| error.to_string())
            })
        };
        let driven = match caught(run) {
            Ok(Ok(driven)) => driven,
            Ok(Err(panic)) | Err(panic) => Driven { panic: Some(panic), ..Driven::default() },
        };
        if self.failure.is_seen_on(&self.tape, &driven) {
            Err(RegressionError::StillThere(self.path.clone(), self.failure.clone()))
        } else {
            Ok(())
        }
    }
}

/// Has a tape drive what is on a mock, and asks the mock then what it found.
///
/// # Errors
///
/// [`DriveError`] where the tape cannot play a client.
pub fn driven(tape: &Arc<Tape>, mock: Arc<MockSystem>) -> Result<Driven, DriveError> {
    let system: Arc<dyn System> = Arc::clone(&mock) as Arc<dyn System>;
    let options = DriveOptions { differences_max: usize::MAX, ..DriveOptions::default() };
    let report = drive(tape, &system, options)?;
    drop(system);
    let findings = mock.findings();
    let leaks = mock.leaks();
    let leaks = leaks.iter().map(|leak| format!("the dext left: {leak}"));
    let findings = findings.iter().map(ToString::to_string).chain(leaks).collect();
    Ok(Driven { report, findings, panic: None })
}
