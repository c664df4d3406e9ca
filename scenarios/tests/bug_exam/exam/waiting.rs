//! Waiting that stands a wake-up without a reason.

use super::stop::Stop;
use dextape::call::Completion;
use dextape::connection::{CompletionQueue, Connection, Matching, System};
use dextape::schedule::Schedule;
use std::sync::Arc;
use std::time::Duration;

/// The next completion, if one comes in time. A wait that gives none too early is taken up again.
pub(super) fn completion_within(
    queue: &dyn CompletionQueue,
    schedule: &Schedule,
    patience: Duration,
) -> Option<Completion> {
    let deadline = schedule.now() + patience;
    loop {
        let left = deadline.saturating_sub(schedule.now());
        let completion = queue.wait(Some(left));
        if completion.is_some() || schedule.now() >= deadline {
            return completion;
        }
    }
}

/// Opens the service of that class.
pub(super) fn open(system: &Arc<dyn System>, class: &str) -> Result<Arc<dyn Connection>, Stop> {
    let service = system.first_service(&Matching::user_class(class))?;
    Ok(Arc::from(system.open(service, 0)?))
}
