//! The clients of the exam as a package of their own, in which `mutants.rs` has them mutated: what a
//! client has to pass, whatever has become of its code.

mod exam;

#[cfg(test)]
mod runs;
