//! The C functions on ports, messages and memory.

mod codes;
mod error;
mod message;
pub(crate) mod notification;
mod port;
mod task;
mod time;
mod vm;

pub(crate) use codes::*;
pub(crate) use vm::allocate as vm_allocate_pages;
