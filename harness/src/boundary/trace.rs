//! Which rules a run touched.

use super::{Rule, RuleSet};
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where a run notes the rules that it touches: those whose situation came up, so that something else
/// could have happened without them. A call of seventeen scalars touches A2, one of sixteen does not.
///
/// It is carried along with the [`Rules`](super::Rules) of one system, so that runs beside each other
/// do not mix. Noting is an atomic operation at most, and no question of time, thread or order.
///
/// # Examples
///
/// ```
/// use dextape::boundary::{Rule, RuleTrace};
/// use dextape::connection::{ConnectionExt, Matching, System};
/// use dextape::driverkit::{ExternalMethodArguments, Service, UserClient};
/// use dextape::kernel::{MockSystem, ServiceDescription};
/// use dextape::schedule::Schedule;
/// use dextape::IoReturn;
/// use std::sync::Arc;
/// # struct Echo;
/// # impl UserClient for Echo {
/// #     fn external_method(&self, _: u64, _: &mut ExternalMethodArguments<'_>) -> IoReturn {
/// #         IoReturn::SUCCESS
/// #     }
/// # }
/// # impl Service for Echo {
/// #     fn new_user_client(&self, _: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
/// #         Ok(Some(Arc::new(Echo)))
/// #     }
/// # }
///
/// static TRACE: RuleTrace = RuleTrace::new();
/// Schedule::simulate(1, |schedule| {
///     let mock = MockSystem::builder(schedule).rule_trace(&TRACE).build();
///     mock.publish(ServiceDescription::dext("Echo", "com.example.echo"), Arc::new(Echo))?;
///     let system: &dyn System = &*mock;
///     let service = system.first_service(&Matching::user_class("Echo"))?;
///     let connection = system.open(service, 0)?;
///     assert!(connection.call(0).scalars(&[0; 16]).send().is_ok());
///     assert!(!TRACE.touched().has(Rule::A2));
///     assert!(connection.call(0).scalars(&[0; 17]).send().is_err());
///     assert!(TRACE.touched().has(Rule::A2));
///     Ok::<(), IoReturn>(())
/// }).unwrap();
/// ```
#[derive(Default)]
pub struct RuleTrace {
    marks: [AtomicU64; RuleSet::WORDS],
    /// Who else is told of a rule that is touched for the first time.
    also: OnceLock<fn(Rule)>,
}

impl RuleTrace {
    /// No rule is touched yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { marks: [const { AtomicU64::new(0) }; RuleSet::WORDS], also: OnceLock::new() }
    }

    /// Has `also` called with each rule that is touched for the first time from now on. The first
    /// such wish is the one that counts.
    pub(crate) fn tell(&self, also: fn(Rule)) {
        // A second one is the same: there is one place that collects for the process.
        let _ = self.also.set(also);
    }

    /// Notes that a rule was touched.
    #[inline]
    pub(crate) fn note(&self, rule: Rule) {
        let (word, bit) = RuleSet::place(rule);
        if self.marks[word].load(Ordering::Relaxed) & bit == 0 {
            self.first(rule, word, bit);
        }
    }

    #[cold]
    fn first(&self, rule: Rule, word: usize, bit: u64) {
        let before = self.marks[word].fetch_or(bit, Ordering::Relaxed);
        if before & bit == 0
            && let Some(also) = self.also.get()
        {
            also(rule);
        }
    }

    /// The rules touched so far.
    #[must_use]
    pub fn touched(&self) -> RuleSet {
        RuleSet::of_words(self.marks.each_ref().map(|word| word.load(Ordering::Relaxed)))
    }
}

impl fmt::Debug for RuleTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RuleTrace").field(&self.touched()).finish()
    }
}
