//! What a battery tries, by what it is about.

mod calm;
mod life;
mod memory;
mod order;
mod selectors;
mod shapes;
mod state;
mod threads;
mod values;

pub(super) use calm::{Calm, calm};
pub(super) use life::life;
pub(super) use memory::memory;
pub(super) use order::order;
pub(super) use selectors::selectors;
pub(super) use shapes::shapes;
pub(super) use state::state;
pub(super) use threads::threads;
pub(super) use values::values;

use super::bench::Wrong;
use super::client::{Answer, Client};
use super::contract::{Contract, MethodContract};
use super::problem::{ProblemKind, Subject};
use crate::IoReturn;

/// What is wrong with an error, if anything: only documented ones may come.
fn code(contract: &Contract, method: Option<&MethodContract>, answer: &Answer) -> Option<Wrong> {
    let always = [IoReturn::SUCCESS, IoReturn::BAD_ARGUMENT, IoReturn::UNSUPPORTED];
    // What the boundary makes of variable output that was not set (C6).
    let boundary = [IoReturn::UNDERRUN, IoReturn::MIG_ARRAY_TOO_LARGE];
    let of_method = method.map_or(&[][..], |method| &method.codes);
    let known = always.iter().chain(&boundary).chain(&contract.codes).chain(of_method);
    if known.copied().any(|code| code == answer.result) {
        return None;
    }
    let message = format!("it answers {}, which is not documented", answer.result);
    Some(Wrong(ProblemKind::Code, Subject::Selector(answer.selector), message))
}

/// The end of a trial that only one call is about: nothing more is expected of a close.
fn ended(client: &Client, mut wrong: Vec<Wrong>) -> Vec<Wrong> {
    let result = client.close();
    if !result.is_success() {
        let message = format!("a close gives {result}");
        wrong.push(Wrong(ProblemKind::Refused, Subject::Dext, message));
    }
    wrong
}

/// An open that fails.
fn refused(code: IoReturn) -> Vec<Wrong> {
    let message = format!("an open is refused with {code}");
    vec![Wrong(ProblemKind::Refused, Subject::Dext, message)]
}
