//! How many of the exam's bugs are found, by what and after how many runs; and that no run made of a
//! tape is one that could not have been.

mod candidates;
#[path = "../bug_exam/exam/mod.rs"]
mod exam;
mod extrapolated;
mod found;
mod irq_lost_wake_up;
mod minimized;
mod mutants;
mod runs;
mod shared_torn_text;
#[path = "../regressions/support.rs"]
mod support;
mod table;
