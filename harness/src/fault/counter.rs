//! Which faults strike: the state of a plan while it is carried out.

use super::{
    CallFault, CompletionFault, Ending, Fault, FaultPlan, MapFault, OpenFault, UnmapFault, When,
};
use crate::schedule::Generator;
use std::time::Duration;

/// What strikes one operation: first the time that passes, then what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strike<F> {
    /// How long the dext takes before anything else.
    pub delay: Duration,
    /// What happens then; nothing out of the ordinary without it.
    pub what: Option<F>,
}

impl<F> Default for Strike<F> {
    fn default() -> Self {
        Self { delay: Duration::ZERO, what: None }
    }
}

/// A plan with the count of what has happened so far.
///
/// # Examples
///
/// ```
/// use dextape::IoReturn;
/// use dextape::fault::{CallFault, FaultCounter};
///
/// let mut counter = FaultCounter::new("call 3 #2: error Busy".parse()?);
/// assert_eq!(counter.call(3).what, None);
/// assert_eq!(counter.call(4).what, None);
/// assert_eq!(counter.call(3).what, Some(CallFault::Fails(IoReturn::BUSY)));
/// assert_eq!(counter.call(3).what, None);
/// # Ok::<(), dextape::fault::FaultError>(())
/// ```
#[derive(Clone, Debug)]
pub struct FaultCounter {
    plan: FaultPlan,
    /// Operations so far at the site of each fault.
    seen: Vec<u64>,
}

impl FaultCounter {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new(plan: FaultPlan) -> Self {
        let seen = vec![0; plan.faults.len()];
        Self { plan, seen }
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &FaultPlan {
        &self.plan
    }

    /// What strikes an open that comes now.
    pub fn open(&mut self) -> Strike<OpenFault> {
        self.strike(|fault| match fault {
            Fault::Open { when, what } => Some((*when, *what)),
            _ => None,
        })
    }

    /// What strikes a call of `selector` that comes now.
    pub fn call(&mut self, selector: u32) -> Strike<CallFault> {
        self.strike(|fault| match fault {
            Fault::Call { selector: wanted, when, what } if is(*wanted, selector) => {
                Some((*when, *what))
            }
            _ => None,
        })
    }

    /// What becomes of a completion that a call of `selector` gets now.
    pub fn completion(&mut self, selector: u32) -> Option<CompletionFault> {
        let strike = self.strike(|fault| match fault {
            Fault::Completion { selector: wanted, when, what } if is(*wanted, selector) => {
                Some((*when, *what))
            }
            _ => None,
        });
        strike.what
    }

    /// What strikes a map of `memory_type` that comes now.
    pub fn map(&mut self, memory_type: u32) -> Strike<MapFault> {
        self.strike(|fault| match fault {
            Fault::Map { memory_type: wanted, when, what } if is(*wanted, memory_type) => {
                Some((*when, *what))
            }
            _ => None,
        })
    }

    /// What strikes an unmap of `memory_type` that comes now.
    pub fn unmap(&mut self, memory_type: u32) -> Strike<UnmapFault> {
        self.strike(|fault| match fault {
            Fault::Unmap { memory_type: wanted, when, what } if is(*wanted, memory_type) => {
                Some((*when, *what))
            }
            _ => None,
        })
    }

    /// What happens at which time, in the plan's order.
    pub fn at_times(&self) -> impl Iterator<Item = (Duration, Ending)> {
        self.plan.faults.iter().filter_map(|fault| match fault {
            Fault::At { time, what } => Some((*time, *what)),
            _ => None,
        })
    }

    fn strike<F: Effect>(&mut self, here: impl Fn(&Fault) -> Option<(When, F)>) -> Strike<F> {
        let mut strike = Strike::default();
        for (index, fault) in self.plan.faults.iter().enumerate() {
            let Some((when, what)) = here(fault) else { continue };
            self.seen[index] += 1;
            if !strikes(when, self.seen[index], self.plan.seed, index) {
                continue;
            }
            match what.delay() {
                Some(delay) => strike.delay = strike.delay.saturating_add(delay),
                None if strike.what.is_none() => strike.what = Some(what),
                None => {}
            }
        }
        strike
    }
}

fn is(wanted: Option<u32>, number: u32) -> bool {
    wanted.is_none_or(|wanted| wanted == number)
}

fn strikes(when: When, number: u64, seed: u64, fault: usize) -> bool {
    match when {
        When::From(first) => number >= first,
        When::Nth(only) => number == only,
        When::Every(step) => step > 0 && number.is_multiple_of(step),
        When::Chance(percent) => {
            // By fault and number, so that one fault more or less leaves the others as they were.
            let mut of_fault = Generator::new(seed.wrapping_add(fault as u64));
            let mut generator = Generator::new(of_fault.next_u64().wrapping_add(number));
            generator.below(100) < u64::from(percent)
        }
    }
}

/// What can happen at one site.
trait Effect: Copy {
    /// The time that passes, where that is all of it.
    fn delay(&self) -> Option<Duration>;
}

macro_rules! effect {
    ($($fault:ident),*) => {$(
        impl Effect for $fault {
            fn delay(&self) -> Option<Duration> {
                match self {
                    Self::Delay(delay) => Some(*delay),
                    _ => None,
                }
            }
        }
    )*};
}

effect!(OpenFault, CallFault, MapFault, UnmapFault);

impl Effect for CompletionFault {
    fn delay(&self) -> Option<Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::IoReturn;

    fn struck(plan: &str, calls: u64) -> Vec<u64> {
        let mut counter = FaultCounter::new(plan.parse().unwrap());
        (1..=calls).filter(|_| counter.call(0).what.is_some()).collect()
    }

    #[test]
    fn faults_strike_when_they_should() {
        assert_eq!(struck("call 0: error Busy", 3), [1, 2, 3]);
        assert_eq!(struck("call * #2: error Busy", 5), [2]);
        assert_eq!(struck("call 0 #4+: error Busy", 6), [4, 5, 6]);
        assert_eq!(struck("call 0 /3: error Busy", 7), [3, 6]);
        assert!(struck("call 1: error Busy", 3).is_empty());
        assert!(struck("call 0 0%: error Busy", 100).is_empty());
        assert_eq!(struck("call 0 100%: error Busy", 3), [1, 2, 3]);
    }

    #[test]
    fn chance_goes_by_the_seed_and_not_by_the_other_faults() {
        let some = struck("seed 5; call 0 30%: error Busy", 1000);
        assert!((200..400).contains(&some.len()), "{} of 1000", some.len());
        assert_eq!(struck("seed 5; call 0 30%: error Busy; open: error Busy", 1000), some);
        assert_ne!(struck("seed 6; call 0 30%: error Busy", 1000), some);
    }

    #[test]
    fn delays_add_up_and_the_first_of_the_rest_happens() {
        let plan = "call 0: delay 2ms; call *: error Busy; call 0: delay 3ms; call 0: dext dies";
        let mut counter = FaultCounter::new(plan.parse().unwrap());
        let what = Some(CallFault::Fails(IoReturn::BUSY));
        assert_eq!(counter.call(0), Strike { delay: Duration::from_millis(5), what });
        assert_eq!(counter.call(1), Strike { delay: Duration::ZERO, what });
        assert_eq!(counter.completion(0), None);
        assert_eq!(counter.open(), Strike::default());
    }
}
