//! Runs of a check that leave a tape where they fail.

use crate::recording::{RecordOptions, RecordingSession};
use crate::seal::{SealOptions, seal};
use dextape::connection::System;
use dextape::perturb::RunRecorder;
use dextape::tape::Tape;
use std::sync::Arc;

/// The recording of one run of a [`Check`](dextape::perturb::Check) of a mock.
///
/// # Examples
///
/// ```
/// use dextape::connection::{Matching, System};
/// use dextape::kernel::MockSystem;
/// use dextape::perturb::Check;
/// use dextape::tape::Tape;
/// use dextape_recorder::recording::RecordOptions;
/// use dextape_recorder::suite::RunRecording;
/// use std::sync::Arc;
///
/// let check = Check::mock(1, |schedule, faults| {
///     MockSystem::builder(schedule).faults(faults).build()
/// });
/// let check = check.recorder(|| RunRecording::start(RecordOptions::default()));
/// # let folder = tempfile::tempdir()?;
/// # let check = check.keep(folder.path().join("failed.tape.jsonl"));
/// // Nothing is published there.
/// let failure = check.run(|system: &Arc<dyn System>| {
///     system.first_service(&Matching::service("AppleSMC")).map(drop)
/// });
/// let tape = Tape::read(&failure.unwrap_err().tape?)?;
/// assert_eq!(tape.events().len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RunRecording {
    session: Arc<RecordingSession>,
    folder: tempfile::TempDir,
}

impl RunRecording {
    /// Begins one, in a folder for temporary files.
    ///
    /// # Errors
    ///
    /// Why it cannot, completing "failed to ...".
    pub fn start(options: RecordOptions) -> Result<Box<dyn RunRecorder>, String> {
        let folder = tempfile::tempdir()
            .map_err(|error| format!("make a folder for a recording: {error}"))?;
        let session = RecordingSession::start(&folder.path().join("journal"), options);
        let session = session.map_err(|error| error.to_string())?;
        Ok(Box::new(Self { session, folder }))
    }
}

impl RunRecorder for RunRecording {
    fn wrap(&self, system: Arc<dyn System>) -> Arc<dyn System> {
        self.session.wrap(system)
    }

    fn finish(self: Box<Self>) -> Result<Tape, String> {
        self.session.finish();
        let (journal, path) =
            (self.folder.path().join("journal"), self.folder.path().join("run.tape.jsonl"));
        let sealed = seal(&journal, &path, SealOptions::default());
        sealed.map_err(|error| error.to_string())?;
        let mut tape = Tape::read(&path).map_err(|error| error.to_string())?;
        // The file is gone with its folder.
        tape.inline_blobs().map_err(|error| error.to_string())?;
        Ok(tape)
    }
}
