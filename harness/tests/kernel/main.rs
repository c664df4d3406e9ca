//! The mock system from outside: what the rules of the boundary do not say, but its users rely on.

mod allocation;
mod asynchronous;
mod data_queue;
mod faults;
mod kext;
mod life;
mod mapping_table;
mod properties;
mod threads;
