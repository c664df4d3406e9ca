//! The library itself. From the ground up: [`original`] declares what is interposed, [`client`] reads
//! the program's memory, [`passage`] carries an original call past the recorder, [`system`] is
//! the system that makes them, [`recorder`] the recording in progress, [`edge`] the way in and out of
//! a replacement; then the replacements, and [`tuples`], which names them to dyld.

mod call;
mod client;
mod completion;
mod control;
mod edge;
mod map;
mod open;
mod original;
mod other;
mod pages;
mod passage;
mod port;
mod recorder;
mod registry;
mod system;
mod tuples;
