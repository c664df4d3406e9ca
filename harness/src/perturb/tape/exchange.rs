//! Threads that have exchanged what they do.
//!
//! Of two threads that come to the same place in another order, one makes the call that the tape holds of
//! the other, and the call that it made on the tape may be made by nobody. What waited for that call then
//! never comes here, though the device has heard as much as it did on the tape.

use super::script::{OperationIndex, What};
use super::stage::{Stage, State};

impl State {
    /// An operation is made that the tape holds of a lane.
    pub(super) fn note_exchange(&mut self, stage: &Stage, operation: OperationIndex) {
        let lanes = [stage.script.operations[operation].lane, stage.lane()];
        if lanes[0] != lanes[1] {
            for lane in lanes {
                if !self.exchanged.contains(&lane) {
                    self.exchanged.push(lane);
                }
            }
        }
    }

    /// True where a completion of a call that was made may have come to a queue: it waits for an operation
    /// of a lane that has exchanged what it does.
    pub(super) fn may_have_come(&self, stage: &Stage, queue: u32) -> bool {
        let left_out = |cause: &OperationIndex| {
            let lane = stage.script.operations[*cause].lane;
            !self.used[*cause] && self.exchanged.contains(&lane)
        };
        let deeds = self.deeds.iter().zip(&stage.script.deeds);
        !self.exchanged.is_empty()
            && deeds.filter(|(progress, _)| !progress.done).any(|(_, deed)| {
                matches!(deed.what, What::Post { queue: of, call, .. } if of == queue && self.used[call])
                    && deed.causes.iter().any(left_out)
            })
    }
}
