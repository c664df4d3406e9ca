//! Names, rights and messages: as much of Mach as a client of IOKit sees.
//!
//! A name is a number of 32 bits. Its low byte says how often its place was used, so that an old name
//! does not come back for long. What it names has send rights, which are counted (user references),
//! and for a port of the client's own a receive right.

mod object;
mod queue;
pub(crate) mod report;
mod seat;
mod seats;
mod signal;
mod table;

pub(crate) use object::{Connect, Iterator, Kind};
pub(crate) use queue::{Port, Received, Watch, receive};
pub(crate) use seats::{Held, hold};
pub(crate) use signal::Signal;
pub(crate) use table::{
    MAIN_PORT, Right, TASK_SELF, allocate_receive, connection_name, deallocate, destroy, insert,
    insert_send, lookup, modify, port_of, references, retain, send_port, service_name,
};
