//! Device registers: memory whose accesses run code of a device.
//!
//! [`Registers`] is the memory and [`RegisterModel`] what answers it. A [`RegisterFile`] is a model put
//! together from single registers of the usual kinds; a device with a mind of its own implements the
//! trait itself.
//!
//! 1. Each access reaches the model once, with the offset and width that the program used. A bulk copy
//!    is a sequence of accesses of the width of the bus, in ascending order, with single bytes where it
//!    does not begin or end on a multiple of it.
//! 2. The model runs on the task that makes the access, with nothing held: what takes longer belongs
//!    to a task of the device's own.
//! 3. In a simulated schedule a read takes virtual time, as a read of a device does: a loop that does
//!    nothing but read a register comes to its end.
//! 4. An atomic update is a read and then a write. The device sees two accesses; between them no other
//!    task runs in a simulated schedule. On a Mac device memory knows no atomics at all.

mod cells;
mod file;
mod store;

pub use cells::{
    ComputedRegister, Doorbell, FifoRegister, PlainRegister, ReadToClear, Register, WriteOneToClear,
};
pub use file::RegisterFile;
pub use store::{RegisterModel, Registers};
