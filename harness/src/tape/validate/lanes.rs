//! Lanes: positions, times, and the operation that each lane is in.

use super::super::event::{Body, Event, Sequence};
use super::finding::Broken;
use std::collections::BTreeMap;

/// What is wrong, and how to say it.
pub(super) type Wrong = (Broken, String);

/// The operation that a lane is in.
#[derive(Clone, Debug)]
struct Operation {
    enter: Sequence,
    connection: Option<u32>,
    body: Body,
}

#[derive(Clone, Debug, Default)]
struct Lane {
    position: u64,
    time: u64,
    operation: Option<Operation>,
}

/// All lanes, by process and number.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: BTreeMap<(u32, u32), Lane>,
}

impl Lanes {
    /// Checks position, time and pairing of an event. `holes` where events may be missing before it.
    pub(super) fn event(&mut self, event: &Event, holes: bool, wrong: &mut impl FnMut(Wrong)) {
        let device = event.lane == 0;
        let lane = self.lanes.entry((event.process, event.lane)).or_default();
        let expected = lane.position + 1;
        let ahead = holes && event.position > lane.position;
        if event.position != expected && !ahead {
            let found = event.position;
            wrong((Broken::Lane, format!("expected position {expected}, found {found}")));
        }
        lane.position = event.position;
        // The device's side is many threads: their times are their own.
        if event.time < lane.time && !device {
            let (before, found) = (lane.time, event.time);
            wrong((Broken::Lane, format!("expected a time from {before:#x} on, found {found:#x}")));
        }
        lane.time = event.time;
        if event.body.is_enter() {
            if device {
                wrong((Broken::Lane, "an operation of a client cannot be on lane 0".to_owned()));
            }
            if let Some(Operation { enter, .. }) = lane.operation
                && !holes
            {
                let message = format!("expected the leave of {enter} before the next enter");
                wrong((Broken::Pairing, message));
            }
            lane.operation = Some(Operation {
                enter: event.sequence,
                connection: event.connection,
                body: event.body.clone(),
            });
        } else if event.body.is_leave() {
            let operation = lane.operation.take();
            leave(event, operation.as_ref(), holes, wrong);
        }
    }

    /// The enter that the lane of an event is in.
    pub(super) fn entered(&self, event: &Event) -> Option<&Body> {
        let lane = self.lanes.get(&(event.process, event.lane))?;
        lane.operation.as_ref().map(|operation| &operation.body)
    }

    /// Enters without a leave.
    pub(super) fn in_flight(&self) -> Vec<Sequence> {
        let operations = self.lanes.values().filter_map(|lane| lane.operation.as_ref());
        let mut enters: Vec<_> = operations.map(|operation| operation.enter).collect();
        enters.sort_unstable();
        enters
    }

    /// A process became another program: its operations will never be left.
    pub(super) fn exec(&mut self, process: u32) {
        for ((_, _), lane) in self.lanes.range_mut((process, 0)..=(process, u32::MAX)) {
            lane.operation = None;
        }
    }
}

fn leave(event: &Event, operation: Option<&Operation>, holes: bool, wrong: &mut impl FnMut(Wrong)) {
    let name = event.body.name();
    let Some(operation) = operation else {
        if !holes {
            wrong((Broken::Pairing, format!("expected an enter before {name} in the lane")));
        }
        return;
    };
    let enter = operation.enter;
    if event.cause != Some(enter) {
        if !holes {
            let message = format!("expected the cause of {name} to be its enter {enter}");
            wrong((Broken::Cause, message));
        }
        return;
    }
    if !event.body.is_leave_of(&operation.body) {
        let entered = operation.body.name();
        wrong((Broken::Pairing, format!("expected the leave of {entered} {enter}, found {name}")));
    }
    let opens = matches!(operation.body, Body::Open { .. });
    if !opens && event.connection != operation.connection {
        let message = format!("expected the connection of {enter}");
        wrong((Broken::Connection, message));
    }
}
