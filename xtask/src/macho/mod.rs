//! Programs for macOS, read as files: whether they can be recorded from inside, and what stands in the
//! way. Nothing here needs a Mac, and nothing trusts the file.
//!
//! [`image`](Program) reads the file, [`signature`](Signature) what it is signed with, and [`obstacle`](Obstacle)
//! says what follows from both.

mod bundle;
#[cfg(test)]
mod forge;
mod image;
mod obstacle;
mod property_list;
mod signature;
#[cfg(test)]
mod tests;

pub(crate) use bundle::BundleInfo;
#[cfg(test)]
pub(crate) use image::Architecture;
pub(crate) use image::{MachoError, Program, Slice};
pub(crate) use obstacle::{Obstacle, Way, obstacles, way};
pub(crate) use signature::Signature;
