//! The library itself. From the ground up: [`original`] declares what is interposed, [`client`] reads
//! the program's memory, [`passage`] carries an original call past the recorder, [`system`] is
//! the system that makes them; [`region`] says which mapped memory is ordinary, [`quiet`] when the
//! program does not run, [`pages`] compares that memory, and [`watch`] does so while the program waits;
//! [`recorder`] is the recording in progress, [`gate`](crate::gate) and [`edge`] the way in and out of a
//! replacement; then the replacements, and [`tuples`], which names them to dyld.

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
mod quiet;
mod recorder;
mod region;
mod registry;
mod system;
mod tuples;
mod watch;
