//! How many bugs of the second exam are found, by what and after how many runs. It was written when the
//! first one had been worked on, by an examiner who had not seen the engine.

#[path = "../bug_finding/candidates.rs"]
mod candidates;
#[path = "../bug_exam_second/exam/mod.rs"]
mod exam;
#[path = "../bug_finding/found.rs"]
mod found;
mod table;
