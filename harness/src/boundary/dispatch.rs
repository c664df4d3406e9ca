//! Dispatch tables (group E): what a method entry demands of a call before it is made.

use super::{Rule, Rules};
use crate::IoReturn;

/// A check that is left out: `kIOUserClientVariableStructureSize` for sizes, "does not care" for
/// counts and the completion.
pub const UNCHECKED: u32 = 0xffff_ffff;

/// What an entry of `IOUserClientMethodDispatch` demands; [`UNCHECKED`] demands nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DispatchChecks {
    /// `checkCompletionExists`: 1 demands a completion, 0 forbids it (E1).
    pub completion_exists: u32,
    /// `checkScalarInputCount` (E2).
    pub scalar_input_count: u32,
    /// `checkStructureInputSize`, in bytes (E2).
    pub structure_input_size: u32,
    /// `checkScalarOutputCount` (E2).
    pub scalar_output_count: u32,
    /// `checkStructureOutputSize`, in bytes, of what the client asks for (E3).
    pub structure_output_size: u32,
}

/// What a call has, as far as an entry may demand it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallFacts {
    /// True where there is a completion (B9).
    pub completion: bool,
    /// Scalars handed in.
    pub scalar_input_count: u32,
    /// Length of the structure handed in, whether `OSData` or descriptor, in bytes.
    pub structure_input_size: u64,
    /// Scalars asked for.
    pub scalar_output_count: u32,
    /// `structureOutputMaximumSize` (B7), in bytes.
    pub structure_output_maximum_size: u64,
}

/// Whether DriverKit's base `ExternalMethod` goes on to call the entry's function. `dispatch` is
/// the entry and whether it has a function; `None` is a NULL entry.
///
/// # Errors
///
/// `kIOReturnBadArgument` where a check fails (E1 to E3), `kIOReturnNoCompletion` where there is no
/// function (E4), `kIOReturnUnsupported` without an entry (E6, E7).
pub fn driverkit(
    rules: Rules,
    dispatch: Option<(&DispatchChecks, bool)>,
    facts: &CallFacts,
) -> Result<(), IoReturn> {
    let Some((checks, has_function)) = dispatch else {
        return without_entry(rules);
    };
    let first = !has_function && (!rules.on(Rule::E5) || rules.open().function_checked_first);
    if first {
        function(rules, has_function)?;
    }
    let refused = |rule, check: Result<(), IoReturn>| {
        if check.is_err() && rules.on(rule) { check } else { Ok(()) }
    };
    refused(Rule::E1, completion(checks, facts))?;
    refused(Rule::E2, inputs(checks, facts))?;
    refused(Rule::E3, demand(checks.structure_output_size, facts.structure_output_maximum_size))?;
    function(rules, has_function)
}

/// Scalar in, structure in, scalar out (E2).
fn inputs(checks: &DispatchChecks, facts: &CallFacts) -> Result<(), IoReturn> {
    demand(checks.scalar_input_count, u64::from(facts.scalar_input_count))?;
    demand(checks.structure_input_size, facts.structure_input_size)?;
    demand(checks.scalar_output_count, u64::from(facts.scalar_output_count))
}

fn without_entry(rules: Rules) -> Result<(), IoReturn> {
    if !rules.on(Rule::E6) {
        // As if the framework knew the end of the table, which a kext's array does (E9).
        return Err(IoReturn::BAD_ARGUMENT);
    }
    if rules.on(Rule::E7) { Err(rules.open().base_method) } else { Err(IoReturn::ERROR) }
}

/// Whether a kext's `IOUserClient::externalMethod` goes on to call the entry's function.
///
/// # Errors
///
/// As [`driverkit`], but the completion is not checked (E8).
pub fn kext(
    rules: Rules,
    checks: &DispatchChecks,
    has_function: bool,
    facts: &CallFacts,
) -> Result<(), IoReturn> {
    if let Err(refusal) = completion(checks, facts)
        && !rules.on(Rule::E8)
    {
        return Err(refusal);
    }
    counts(checks, facts)?;
    if has_function { Ok(()) } else { Err(IoReturn::NO_COMPLETION) }
}

/// An entry of `IOUserClientMethodDispatch2022`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArrayEntry {
    /// What it demands; the completion is not looked at.
    pub checks: DispatchChecks,
    /// True where it has a function.
    pub has_function: bool,
    /// True where a wake port is allowed.
    pub allow_async: bool,
    /// True where the entry asks for an entitlement that the client lacks.
    pub lacks_entitlement: bool,
}

/// Whether a kext's `IOUserClient2022::dispatchExternalMethod` goes on to call the function of
/// `selector` in `array`.
///
/// # Errors
///
/// `kIOReturnError` for a NULL array, `kIOReturnBadArgument` for a selector beyond its end, a count
/// that does not fit or a wake port that is not allowed, `kIOReturnNotPrivileged` for a missing
/// entitlement, `kIOReturnNoCompletion` without a function (E9).
pub fn kext_array(
    rules: Rules,
    array: Option<&[ArrayEntry]>,
    selector: u64,
    facts: &CallFacts,
) -> Result<(), IoReturn> {
    let array = array.ok_or(IoReturn::ERROR)?;
    let entry = usize::try_from(selector).ok().and_then(|selector| array.get(selector));
    let Some(entry) = entry else {
        return Err(if rules.on(Rule::E9) {
            IoReturn::BAD_ARGUMENT
        } else {
            IoReturn::UNSUPPORTED
        });
    };
    counts(&entry.checks, facts)?;
    if facts.completion && !entry.allow_async && rules.on(Rule::E9) {
        return Err(IoReturn::BAD_ARGUMENT);
    }
    if entry.lacks_entitlement && rules.on(Rule::E9) {
        return Err(IoReturn::NOT_PRIVILEGED);
    }
    if entry.has_function { Ok(()) } else { Err(IoReturn::NO_COMPLETION) }
}

/// Whether a kext's `IOUserClient::externalMethod` without a dispatch entry, which goes by the old
/// tables of methods, goes on to call one. `out_of_line` is true where a structure of the call is over
/// 4096 bytes, either way.
///
/// # Errors
///
/// `kIOReturnIPCError` for such a structure, `kIOReturnUnsupported` without a method (E10).
pub fn kext_old_table(rules: Rules, out_of_line: bool, has_method: bool) -> Result<(), IoReturn> {
    if out_of_line && rules.on(Rule::E10) {
        return Err(IoReturn::IPC_ERROR);
    }
    if has_method { Ok(()) } else { Err(IoReturn::UNSUPPORTED) }
}

fn completion(checks: &DispatchChecks, facts: &CallFacts) -> Result<(), IoReturn> {
    demand(checks.completion_exists, u64::from(facts.completion))
}

/// Scalar in, structure in, scalar out, structure out (E8).
fn counts(checks: &DispatchChecks, facts: &CallFacts) -> Result<(), IoReturn> {
    inputs(checks, facts)?;
    demand(checks.structure_output_size, facts.structure_output_maximum_size)
}

fn demand(check: u32, fact: u64) -> Result<(), IoReturn> {
    if check == UNCHECKED || u64::from(check) == fact {
        Ok(())
    } else {
        Err(IoReturn::BAD_ARGUMENT)
    }
}

fn function(rules: Rules, has_function: bool) -> Result<(), IoReturn> {
    if has_function || !rules.on(Rule::E4) { Ok(()) } else { Err(IoReturn::NO_COMPLETION) }
}
