//! What client pointers inside a call led to: an expectation where the dext left it as it was, and what
//! the client gets where it did not.

use super::compile::{Compiler, LoadError};
use super::step::{Flags, Program, StepIndex};
use crate::memory::ClientSpace;
use crate::replay::request::CallRequest;
use crate::tape::{Body, Event, Pointed};
use std::sync::Arc;

/// What pointers of one step led to.
#[derive(Debug, Default)]
pub(in crate::replay) struct PointedBytes {
    given: Vec<Pointed>,
    returned: Vec<Pointed>,
}

impl Compiler<'_> {
    /// Takes what an event that has been compiled says of pointers.
    pub(super) fn pointed(&mut self, event: &Event) -> Result<(), LoadError> {
        let pointed = Pointed::of(event).map_err(|_| LoadError::Inconsistent {
            sequence: event.sequence,
            problem: "what its pointers led to cannot be read",
        })?;
        let enter = match &event.body {
            Body::Call(_) | Body::AsyncCall { .. } => Some(event.sequence),
            Body::Return(_) => event.cause,
            _ => None,
        };
        let step = enter.and_then(|enter| self.steps.get(&enter)).copied();
        let Some(step) = step.filter(|_| !pointed.is_empty()) else { return Ok(()) };
        let known = self.program.pointed.entry(step).or_default();
        if matches!(event.body, Body::Return(_)) {
            // What was written there is no expectation.
            known.given.retain(|given| pointed.iter().all(|changed| changed.field != given.field));
            known.returned = pointed;
        } else {
            known.given = pointed;
        }
        if let Some(step) = self.program.steps.get_mut(step as usize) {
            step.flags.set(Flags::RULES);
        }
        Ok(())
    }
}

impl Program {
    fn reach(&self, step: StepIndex) -> Option<(&PointedBytes, &Arc<dyn ClientSpace>)> {
        Some((self.pointed.get(&step)?, self.space.get()?))
    }

    /// True where the client's pointers lead to what they led to when the step was recorded, or its memory
    /// is out of reach.
    pub(in crate::replay) fn points_alike(&self, step: StepIndex, call: &CallRequest<'_>) -> bool {
        let Some((pointed, space)) = self.reach(step) else { return true };
        pointed.given.iter().all(|given| {
            let mut there = vec![0; given.data.len()];
            let address = Pointed::address(given.field, call.scalars, call.bytes);
            address.is_some_and(|address| {
                there.is_empty() || space.read(address, &mut there) && there == given.data
            })
        })
    }

    /// Writes where the client's pointers lead what the dext had written there.
    pub(in crate::replay) fn give_pointed(&self, step: StepIndex, call: &CallRequest<'_>) {
        let Some((pointed, space)) = self.reach(step) else { return };
        for returned in &pointed.returned {
            if let Some(address) = Pointed::address(returned.field, call.scalars, call.bytes) {
                // What the client has taken away meanwhile nobody gets.
                let _ = space.write(address, &returned.data);
            }
        }
    }
}
