//! Calls that a contract allows, just about allows, and does not allow.

use crate::battery::moves::{edge, illegal, legal};
use crate::battery::{Attempt, Contract, Input};
use crate::protocol::Protocol;
use crate::strategies::structure;
use proptest::prelude::*;
use proptest::strategy::Union;
use std::sync::Arc;

/// Calls that the contract allows: the examples of its methods, and others of the same counts and sizes.
/// Where `protocol` has a layout for what a selector takes, of just the size that the contract's example has,
/// the bytes are drawn by its fields.
///
/// They shrink towards the first method and small values.
///
/// # Panics
///
/// The contract has no method.
///
/// # Examples
///
/// ```
/// use dextape::battery::{Contract, MethodContract};
/// use dextape::connection::Matching;
/// use dextape::protocol::Protocol;
/// use dextape::strategies::legal_call;
/// use proptest::strategy::{Strategy, ValueTree};
/// use proptest::test_runner::TestRunner;
///
/// let adder = MethodContract::new(0).scalars(&[2, 3]).wants_scalars(1);
/// let contract = Contract::new(Matching::user_class("Adder")).method(adder);
/// let calls = legal_call(&contract, &Protocol::default());
/// let call = calls.new_tree(&mut TestRunner::deterministic()).unwrap().current();
/// assert_eq!(call.to_string(), "selector 0 is called with 2 scalars in, 1 scalars out");
/// ```
pub fn legal_call(contract: &Contract, protocol: &Protocol) -> BoxedStrategy<Attempt> {
    let each = contract.methods.iter().map(|method| {
        let layout = protocol.selectors.get(&method.selector).and_then(|it| it.input.as_ref());
        let layout = layout.filter(|layout| layout.size == method.input.len() && layout.size > 0);
        let Some(layout) = layout.map(Arc::clone) else { return legal(method) };
        let shaped = (legal(method), structure(&layout)).prop_map(|(attempt, shaped)| {
            let input = Input::Bytes(shaped.bytes().to_vec());
            Attempt { input, ..attempt }
        });
        shaped.boxed()
    });
    Union::new(each).boxed()
}

/// Calls that the contract just about allows: the fewest and most scalars and bytes, and values at the ends
/// of their ranges.
///
/// # Panics
///
/// The contract has no method.
pub fn edge_call(contract: &Contract) -> BoxedStrategy<Attempt> {
    Union::new(contract.methods.iter().map(|method| edge(method, contract))).boxed()
}

/// Calls that the contract does not allow, by one thing each: a count or size beside what is legal, a
/// completion where none is taken, a selector that there is not.
///
/// # Panics
///
/// The contract has no method.
pub fn illegal_call(contract: &Contract) -> BoxedStrategy<Attempt> {
    Union::new(contract.methods.iter().map(|method| illegal(method, contract))).boxed()
}
