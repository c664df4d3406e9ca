//! One figure: what is run, and how it is timed.

use super::count;
use serde_json::json;
use std::time::{Duration, Instant};

/// What a figure is told in.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    /// Nanoseconds an iteration.
    Nanoseconds,
    /// Millions of bytes a second, where an iteration handles so many.
    Megabytes(u64),
    /// Events a second, where an iteration handles so many.
    Events(u64),
    /// Schedules a second; an iteration is one.
    Schedules,
}

/// What is run: for so many iterations, or fewer than were prepared.
pub(crate) type Run = Box<dyn FnOnce(u64)>;

/// A benchmark.
pub(crate) struct Case {
    /// Its group.
    pub(crate) group: &'static str,
    /// What is measured.
    pub(crate) name: String,
    unit: Unit,
    /// Iterations of one round at most: what is prepared for them takes memory.
    limit: u64,
    /// True where each iteration does the same whatever was prepared, so that its instructions can
    /// be counted.
    counted: bool,
    goal: Option<(&'static str, f64)>,
    set_up: Box<dyn Fn(u64) -> Run>,
}

impl Case {
    /// A case of nanoseconds an iteration, whose instructions are counted.
    pub(crate) fn new<R: FnOnce(u64) + 'static>(
        group: &'static str,
        name: impl Into<String>,
        set_up: impl Fn(u64) -> R + 'static,
    ) -> Self {
        Self {
            group,
            name: name.into(),
            unit: Unit::Nanoseconds,
            limit: 1 << 12,
            counted: true,
            goal: None,
            set_up: Box::new(move |prepared| Box::new(set_up(prepared))),
        }
    }

    /// In this unit, uncounted, with at most `limit` iterations a round.
    pub(crate) fn unit(self, unit: Unit, limit: u64) -> Self {
        Self { unit, limit, counted: false, ..self }
    }

    /// Without its instructions: of what takes long.
    pub(crate) fn uncounted(self) -> Self {
        Self { counted: false, ..self }
    }

    /// At most this figure.
    pub(crate) fn at_most(self, figure: f64) -> Self {
        Self { goal: Some(("most", figure)), ..self }
    }

    /// At least this figure.
    pub(crate) fn at_least(self, figure: f64) -> Self {
        Self { goal: Some(("least", figure)), ..self }
    }

    /// The name that a count is asked for by.
    pub(crate) fn id(&self) -> String {
        format!("{}: {}", self.group, self.name)
    }

    /// Prepares `prepared` iterations.
    pub(crate) fn prepare(&self, prepared: u64) -> Run {
        (self.set_up)(prepared)
    }

    /// Measures, and prints one JSON line.
    pub(crate) fn print(&self) {
        let nanoseconds = self.nanoseconds();
        let (value, unit) = match self.unit {
            Unit::Nanoseconds => (nanoseconds, "ns"),
            Unit::Megabytes(bytes) => (bytes as f64 / nanoseconds * 1e3, "MB/s"),
            Unit::Events(events) => (events as f64 / nanoseconds * 1e9, "events/s"),
            Unit::Schedules => (1e9 / nanoseconds, "schedules/s"),
        };
        let instructions = self.counted.then(|| count::instructions(&self.id())).flatten();
        line(self.group, &self.name, value, unit, instructions, self.goal);
    }

    /// At most this many iterations a round.
    pub(crate) fn limit(self, limit: u64) -> Self {
        Self { limit, ..self }
    }

    /// Median time of one iteration over the rounds. A round is as long as the limit says, so that
    /// what is replayed fits a processor's cache, as a test's tape does.
    fn nanoseconds(&self) -> f64 {
        let mut rounds = vec![self.round(self.limit)];
        let enough = Duration::from_millis(400);
        while rounds.len() < 9 || (rounds.len() < 201 && rounds.iter().sum::<Duration>() < enough) {
            rounds.push(self.round(self.limit));
        }
        rounds.sort();
        rounds[rounds.len() / 2].as_nanos() as f64 / self.limit as f64
    }

    fn round(&self, iterations: u64) -> Duration {
        let run = self.prepare(iterations);
        let start = Instant::now();
        run(iterations);
        start.elapsed()
    }
}

/// Prints one figure.
pub(crate) fn line(
    group: &str,
    what: &str,
    value: f64,
    unit: &str,
    instructions: Option<f64>,
    goal: Option<(&str, f64)>,
) {
    let goal = goal.map(|(kind, figure)| json!({ kind: figure }));
    let line = json!({
        "group": group,
        "what": what,
        "value": value,
        "unit": unit,
        "instructions": instructions,
        "goal": goal,
    });
    println!("{line}");
}
