//! The command line of dextape, as a library that takes a registry of scenarios.
