//! How a run of a mock becomes a tape: by a recorder that this crate does not have.

use super::{DeviationError, Deviations};
use crate::connection::System;
use crate::tape::{Header, Tape};
use std::sync::Arc;

/// Records one run of a mock. `dextape_recorder::recording::RunRecording` is one.
pub trait RunRecorder {
    /// Puts the recorder around the client's side of the run.
    fn wrap(&self, system: Arc<dyn System>) -> Arc<dyn System>;

    /// Once the run is over: its tape, with all bytes in its events.
    ///
    /// # Errors
    ///
    /// Why there is none, completing "failed to ...".
    fn finish(self: Box<Self>) -> Result<Tape, String>;
}

/// Begins the recording of one run. Its error completes "failed to ...".
pub type StartRecording = dyn Fn() -> Result<Box<dyn RunRecorder>, String>;

impl Deviations {
    /// Key of a header under which deviations stand.
    pub const IN_HEADER: &str = "deviations";

    /// Notes in a header that the run of its tape has these deviations from one of a mock. The tape is as
    /// any other all the same.
    ///
    /// # Examples
    ///
    /// ```
    /// use dextape::perturb::Deviations;
    /// use dextape::tape::Header;
    ///
    /// let list: Deviations = "lane 1 after #9: stall 5s; fault call 3 #2: error Timeout".parse()?;
    /// let mut header = Header::mock();
    /// assert_eq!(Deviations::of_header(&header)?, None);
    /// list.enter(&mut header);
    /// assert_eq!(Deviations::of_header(&header)?, Some(list));
    /// # Ok::<(), dextape::perturb::DeviationError>(())
    /// ```
    pub fn enter(&self, header: &mut Header) {
        let texts = self.0.iter().map(|deviation| deviation.to_string().into()).collect();
        header.extra.insert(Self::IN_HEADER.to_owned(), serde_json::Value::Array(texts));
    }

    /// The deviations that a header tells of; `None` where it tells of none.
    ///
    /// # Errors
    ///
    /// What stands there is no list of deviations.
    pub fn of_header(header: &Header) -> Result<Option<Self>, DeviationError> {
        header.extra.get(Self::IN_HEADER).map(|told| told.to_string().parse()).transpose()
    }
}
