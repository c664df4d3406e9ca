//! Where each connection has come, for `nearest`.

use super::{Program, StepIndex};
use std::collections::HashMap;

/// The place of each step in the order of its connection, queue, or the registry.
#[derive(Debug)]
pub(in crate::replay) struct Courses {
    /// Course and place of each step.
    places: Vec<(u32, u32)>,
    count: u32,
}

impl Courses {
    pub(super) fn new(program: &Program) -> Self {
        let mut courses: HashMap<Result<u32, Option<u32>>, (u32, u32)> = HashMap::new();
        let mut places = Vec::with_capacity(program.steps.len());
        for step in &program.steps {
            let next = courses.len() as u32;
            let (course, place) = courses.entry(program.ordered_by(step)).or_insert((next, 0));
            places.push((*course, *place));
            *place += 1;
        }
        Self { places, count: courses.len() as u32 }
    }

    /// How many courses there are.
    pub(in crate::replay) fn count(&self) -> usize {
        self.count as usize
    }

    /// The course of a step, and the place behind it.
    pub(in crate::replay) fn behind(&self, step: StepIndex) -> (usize, u32) {
        let (course, place) = self.places[step as usize];
        (course as usize, place + 1)
    }

    /// Looks for the step nearest to where its course has come, among those that `fits` takes.
    pub(in crate::replay) fn search<'a, F: FnMut(StepIndex) -> bool>(
        &'a self,
        positions: &'a [u32],
        fits: F,
    ) -> Search<'a, F> {
        Search { courses: self, positions, fits, found: None, distance: u32::MAX }
    }
}

/// A search for the nearest step.
pub(in crate::replay) struct Search<'a, F> {
    courses: &'a Courses,
    positions: &'a [u32],
    fits: F,
    /// The nearest one so far.
    pub(in crate::replay) found: Option<StepIndex>,
    distance: u32,
}

impl<F: FnMut(StepIndex) -> bool> Search<'_, F> {
    /// To be told of the steps of one key, in the order of the tape. True where the search is over, since
    /// none that comes can be nearer.
    pub(in crate::replay) fn is_over(&mut self, step: StepIndex) -> bool {
        let (course, place) = self.courses.places[step as usize];
        let position = self.positions[course as usize];
        let (ahead, distance) = (place >= position, place.abs_diff(position));
        let is_further = |found| self.courses.places[found as usize].0 == course && ahead;
        if distance > self.distance && self.found.is_some_and(is_further) {
            return true;
        }
        // Of two as near the later, which comes later.
        if distance <= self.distance && (self.fits)(step) {
            (self.found, self.distance) = (Some(step), distance);
            return ahead;
        }
        false
    }
}
