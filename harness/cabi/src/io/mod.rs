//! The C functions of IOKit itself.

mod call;
mod connect;
mod handles;
mod iterator;
mod lent;
mod mapping;
mod matching;
mod object;
mod pages;
mod registry;
mod service;

pub(crate) use handles::from_numbers;
pub(crate) use lent::show_all;
pub(crate) use mapping::{forget_ended, look_all};
pub(crate) use pages::install as install_pages;
