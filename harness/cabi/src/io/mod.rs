//! The C functions of IOKit itself.

mod call;
mod connect;
mod data_queue;
mod handles;
mod iterator;
mod lent;
mod look;
mod mapping;
mod matching;
mod notification;
mod object;
mod pages;
mod registers;
mod registry;
mod rights;
mod service;

pub(crate) use handles::from_numbers;
pub(crate) use lent::show_all;
pub(crate) use mapping::look_all;
pub(crate) use pages::install as install_pages;
pub(crate) use rights::{change, destroy, release, retain};
pub(crate) use service::destination;
