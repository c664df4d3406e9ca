//! `IOUserClient::ExternalMethod` of the base class: the checks of a dispatch table.

use super::{DextProcess, ExternalMethodArguments};
use crate::IoReturn;
use crate::boundary::Rules;
use crate::boundary::dispatch::{self, CallFacts, DispatchChecks, UNCHECKED};
use std::fmt;

/// What a method of a dispatch table demands, and where it is.
#[doc(alias = "IOUserClientMethodDispatch")]
pub struct UserClientMethodDispatch<T: ?Sized + 'static> {
    /// The method; `None` makes every call that passes the checks fail (E4).
    pub function: Option<fn(&T, &mut ExternalMethodArguments<'_>) -> IoReturn>,
    /// 1: there must be a completion; 0: there must be none; `0xffffffff`: either (E1).
    pub check_completion_exists: u32,
    /// Scalars that must be handed in, or `0xffffffff` (E2).
    pub check_scalar_input_count: u32,
    /// Bytes that must be handed in, or `0xffffffff` (E2).
    pub check_structure_input_size: u32,
    /// Scalars that must be asked for, or `0xffffffff` (E2).
    pub check_scalar_output_count: u32,
    /// Bytes that must be asked for, not those returned, or `0xffffffff` (E3).
    pub check_structure_output_size: u32,
}

impl<T: ?Sized> UserClientMethodDispatch<T> {
    /// No function and no checks: the base for struct update syntax.
    pub const UNCHECKED: Self = Self {
        function: None,
        check_completion_exists: UNCHECKED,
        check_scalar_input_count: UNCHECKED,
        check_structure_input_size: UNCHECKED,
        check_scalar_output_count: UNCHECKED,
        check_structure_output_size: UNCHECKED,
    };

    /// No function, and nothing goes in or out: the base for methods that say what they do take.
    ///
    /// # Examples
    ///
    /// ```
    /// use dextape::driverkit::UserClientMethodDispatch;
    ///
    /// const SET_RATE: UserClientMethodDispatch<()> =
    ///     UserClientMethodDispatch { check_scalar_input_count: 1, ..UserClientMethodDispatch::PLAIN };
    /// assert_eq!(SET_RATE.check_completion_exists, 0);
    /// ```
    pub const PLAIN: Self = Self {
        function: None,
        check_completion_exists: 0,
        check_scalar_input_count: 0,
        check_structure_input_size: 0,
        check_scalar_output_count: 0,
        check_structure_output_size: 0,
    };

    fn checks(&self) -> DispatchChecks {
        DispatchChecks {
            completion_exists: self.check_completion_exists,
            scalar_input_count: self.check_scalar_input_count,
            structure_input_size: self.check_structure_input_size,
            scalar_output_count: self.check_scalar_output_count,
            structure_output_size: self.check_structure_output_size,
        }
    }
}

impl<T: ?Sized> Clone for UserClientMethodDispatch<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for UserClientMethodDispatch<T> {}

impl<T: ?Sized> fmt::Debug for UserClientMethodDispatch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserClientMethodDispatch")
            .field("function", &self.function.is_some())
            .field("checks", &self.checks())
            .finish()
    }
}

/// What `super::ExternalMethod(selector, arguments, dispatch, target, reference)` does: checks the
/// arguments against `dispatch` and calls its function with `target`.
///
/// Where `target` is `None` a function is never called and the call fails as if there were none.
#[doc(alias = "ExternalMethod")]
pub fn super_external_method<T: ?Sized>(
    selector: u64,
    arguments: &mut ExternalMethodArguments<'_>,
    dispatch: Option<&UserClientMethodDispatch<T>>,
    target: Option<&T>,
) -> IoReturn {
    let _ = selector;
    let rules = DextProcess::current().map_or_else(Rules::all, |process| process.rules());
    let facts = CallFacts {
        completion: arguments.completion.is_some(),
        scalar_input_count: arguments.scalar_input.len() as u32,
        structure_input_size: arguments.structure_input_length(),
        scalar_output_count: arguments.scalar_output_count,
        structure_output_maximum_size: arguments.structure_output_maximum_size,
    };
    let function = dispatch.and_then(|dispatch| dispatch.function).zip(target);
    let checks = dispatch.map(UserClientMethodDispatch::checks);
    let entry = checks.as_ref().map(|checks| (checks, function.is_some()));
    match (dispatch::driverkit(rules, entry, &facts), function) {
        (Err(refusal), _) => refusal,
        (Ok(()), Some((function, target))) => function(target, arguments),
        (Ok(()), None) => IoReturn::SUCCESS,
    }
}
