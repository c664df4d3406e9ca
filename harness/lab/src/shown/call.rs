//! What a call and its return show.

use dextape::IoReturn;
use dextape::boundary::Rule;
use dextape::limits::{ASYNC_REFERENCE_MAX, INLINE_STRUCTURE_MAX, SCALARS_MAX};
use dextape::tape::{Call, OutputKind, Return, Structure};

/// A call that was entered.
#[derive(Debug)]
pub(super) struct Entered {
    pub(super) call: Call,
    /// Whether it has a wake port, and its reference, where it is asynchronous.
    pub(super) asynchronous: Option<(bool, Option<Vec<u64>>)>,
}

/// What the library, or the kernel before it asks the dext, shows by refusing the call.
pub(super) fn refused(entered: &Entered, result: IoReturn) -> Option<Rule> {
    let Entered { call, asynchronous } = entered;
    let references = asynchronous.as_ref().and_then(|(_, it)| it.as_ref()).map(Vec::len);
    let size = asked(call.output).unwrap_or(0);
    match result {
        IoReturn::MIG_ARRAY_TOO_LARGE if references > Some(ASYNC_REFERENCE_MAX) => Some(Rule::D1),
        IoReturn::MIG_ARRAY_TOO_LARGE if call.scalar_count as usize > SCALARS_MAX => Some(Rule::A2),
        IoReturn::BAD_ARGUMENT if references == Some(0) => Some(Rule::D3),
        IoReturn::IPC_ERROR
            if size > u64::from(u32::MAX) && !matches!(call.output, OutputKind::Null { .. }) =>
        {
            Some(Rule::A13)
        }
        _ => None,
    }
}

/// What the return of a call shows that reached the dext. Of a kernel extension the size of a long
/// output says nothing (C4).
pub(super) fn returned(entered: &Entered, returned: &Return, of_dext: bool) -> Vec<Rule> {
    let Entered { call, asynchronous } = entered;
    let mut rules = Vec::new();
    let mut shows = |condition: bool, rule| rules.extend(condition.then_some(rule));
    let size = asked(call.output);
    let out_of_line = size.is_some_and(|size| size > INLINE_STRUCTURE_MAX);
    let given = given(&call.input);
    if !returned.result.is_success() {
        let nothing = returned.scalars.is_empty() && returned.structure_size.unwrap_or(0) == 0;
        let wanted = call.scalars_asked > 0 || size.is_some_and(|size| size > 0);
        shows(wanted && nothing, Rule::A17);
        shows(out_of_line && returned.structure.is_some(), Rule::B8);
        shows(call.output == OutputKind::Variable, Rule::A14);
        return rules;
    }
    shows(call.scalars_asked as usize > SCALARS_MAX, Rule::A5);
    let long = given > INLINE_STRUCTURE_MAX;
    let null = matches!(call.input, Structure::Null { .. });
    shows(long && null, Rule::A10);
    shows(long && !null, Rule::A9);
    shows(long && !null, Rule::B4);
    shows(call.output == OutputKind::Variable, Rule::A14);
    shows(call.output == OutputKind::Variable, Rule::C6);
    let null = matches!(call.output, OutputKind::Null { .. });
    shows(out_of_line && null, Rule::A12);
    shows(out_of_line && !null, Rule::A11);
    shows(out_of_line && !null && of_dext && returned.structure_size == size, Rule::C4);
    let shorter = returned.structure_size.zip(size).is_some_and(|(told, asked)| told < asked);
    shows(shorter && !out_of_line, Rule::C1);
    let scalars = returned.scalars.len();
    shows(scalars < (call.scalars_asked as usize).min(SCALARS_MAX), Rule::C7);
    if let Some((has_port, reference)) = asynchronous {
        shows(reference.is_none(), Rule::D2);
        shows(!has_port, Rule::D6);
        shows(scalars > 0 || returned.structure.is_some(), Rule::D10);
    }
    rules
}

/// Bytes of structure that the client asked for; `None` without one, and for variable output.
fn asked(output: OutputKind) -> Option<u64> {
    match output {
        OutputKind::None | OutputKind::Variable => None,
        OutputKind::Bytes { size }
        | OutputKind::Shared { size, .. }
        | OutputKind::Null { size }
        | OutputKind::Unmapped { size } => Some(size),
    }
}

/// Bytes of structure that the client handed in.
fn given(input: &Structure) -> u64 {
    match input {
        Structure::None => 0,
        Structure::Bytes(data) | Structure::Shared { data, .. } => data.length(),
        Structure::Null { size } | Structure::Unmapped { size } => *size,
    }
}
