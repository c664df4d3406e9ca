//! What a script itself suggests could differ.

use super::script::{Script, What};
use crate::perturb::{Deviation, Shift};
use crate::tape::Body;
use std::time::Duration;

/// How much later or earlier.
const SHIFTS: [Duration; 5] = [
    Duration::from_millis(1),
    Duration::from_millis(10),
    Duration::from_millis(100),
    Duration::from_millis(1000),
    Duration::from_millis(10_000),
];

/// How much later the second half of a change comes.
const HALVES: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(20)];

const WORD: u64 = 8;

impl Script {
    /// Every single deviation of what the device did.
    pub(in crate::perturb) fn timing(&self) -> Vec<Deviation> {
        let mut found = Vec::new();
        for deed in &self.deeds {
            let event = self.event(deed.event).sequence;
            match &deed.what {
                What::Post { .. } | What::Notice { .. } => {
                    let late = SHIFTS.iter().map(|by| Shift::Late(*by));
                    let early = SHIFTS.iter().map(|by| Shift::Early(*by));
                    found.extend(late.chain(early).map(|shift| Deviation::Post { event, shift }));
                }
                What::Patch { free: true, bytes, .. } => {
                    found.push(Deviation::PatchLate { event });
                    found.extend(SHIFTS.iter().map(|by| Deviation::PatchEarly { event, by: *by }));
                    let length = bytes.len() as u64;
                    if length > WORD {
                        let at = (length / 2).next_multiple_of(WORD).min(length - 1);
                        let split = |by: &Duration| Deviation::PatchSplit { event, at, by: *by };
                        found.extend(HALVES.iter().map(split));
                    }
                }
                What::Patch { .. } => {}
            }
        }
        found
    }

    /// What a deviation moves.
    pub(in crate::perturb) fn describe(&self, deviation: &Deviation) -> String {
        let event = match deviation {
            Deviation::Post { event, .. }
            | Deviation::PatchEarly { event, .. }
            | Deviation::PatchLate { event }
            | Deviation::PatchSplit { event, .. } => self.tape.event(*event),
            _ => None,
        };
        match event.map(|event| (&event.body, event.cause)) {
            Some((Body::Posted { ordinal, .. }, Some(call))) => {
                format!("completion {ordinal} of call {call} of the tape")
            }
            Some((Body::Patch { memory, offset, data, .. }, _)) => {
                format!("{} bytes at {offset:#x} of memory {memory} of the tape", data.length())
            }
            _ => String::new(),
        }
    }
}
