//! Calls: what the boundary makes of what the client handed in, beside what the tape says that it got.

use super::super::event::{Call, OutputKind, Return, Structure};
use super::finding::Broken;
use super::lanes::Wrong;
use crate::IoReturn;
use crate::boundary::library::{Stop, send};
use crate::boundary::{
    CallShape, ClientRange, DextReply, Pointer, ReferenceShape, Request, Rule, Rules,
    StructureShape, Transfer, WakePort, reply,
};
use crate::limits::{ASYNC_REFERENCE_MAX, SCALARS_MAX, VARIABLE_OUTPUT_SIZE};

/// The asynchronous half of a call: whether it has a wake port, and its reference.
pub(super) type Asynchronous<'a> = Option<(bool, Option<&'a [u64]>)>;

/// Checks the leave of a call against its enter. `dead` is what a connection that has certainly ended
/// answers; `vague` where it may have ended, and `gone` what it answers if it did so unseen.
#[expect(clippy::too_many_arguments, reason = "one for each thing that is known of the connection")]
pub(super) fn check(
    call: &Call,
    asynchronous: Asynchronous<'_>,
    returned: &Return,
    dead: Option<IoReturn>,
    vague: bool,
    gone: Option<IoReturn>,
    rules: Rules,
    wrong: &mut impl FnMut(Wrong),
) {
    let shape = shape(call, asynchronous);
    let sent = send(rules, &shape, dead.map_or(Ok(()), Err));
    let request = match sent {
        Ok(request) => request,
        Err(Stop::Fault) => return,
        Err(Stop::Refused(expected)) => {
            let unseen = gone.and_then(|gone| send(rules, &shape, Err(gone)).err());
            let unseen = unseen == Some(Stop::Refused(returned.result));
            if expected != returned.result && !vague && !unseen {
                let rule = refusal(call, asynchronous, dead);
                let message = format!("expected {expected}, found {}", returned.result);
                wrong((Broken::Boundary(rule), message));
            }
            if !returned.result.is_success() {
                after_failure(call, returned, wrong);
            }
            return;
        }
    };
    if returned.result.is_success() {
        after_success(&request, returned, rules, wrong);
    } else {
        after_failure(call, returned, wrong);
    }
}

/// The rule by which a call is refused before it reaches the dext.
fn refusal(call: &Call, asynchronous: Asynchronous<'_>, dead: Option<IoReturn>) -> Rule {
    let references = asynchronous.and_then(|(_, reference)| reference).map(<[u64]>::len);
    match references {
        Some(count) if count > ASYNC_REFERENCE_MAX => Rule::D1,
        _ if call.scalar_count as usize > SCALARS_MAX => Rule::A2,
        _ if dead.is_some() => Rule::H1,
        Some(0) => Rule::D3,
        _ => Rule::A13,
    }
}

fn after_success(
    request: &Request,
    returned: &Return,
    rules: Rules,
    wrong: &mut impl FnMut(Wrong),
) {
    let boundary = |rule, message| (Broken::Boundary(rule), message);
    let scalars = returned.scalars.len() as u32;
    let out_of_line = matches!(request.output, Transfer::OutOfLine { .. });
    let dext = DextReply {
        result: IoReturn::SUCCESS,
        scalar_count: scalars,
        structure: if out_of_line { None } else { returned.structure_size },
    };
    let Some(expected) = reply(rules, request, &dext) else { return };
    if !expected.result.is_success() {
        let size = returned.structure_size.unwrap_or(0);
        let message = format!("expected at most the structure asked for, found {size:#x} bytes");
        return wrong(boundary(Rule::C2, message));
    }
    if expected.scalar_count != Some(scalars) {
        let asked = request.scalars_asked;
        let message = format!("expected at most the {asked} scalars asked for, found {scalars}");
        wrong(boundary(Rule::C7, message));
    }
    let Some(size) = returned.structure_size else {
        return wrong((Broken::Fields, "expected the size of the structure returned".to_owned()));
    };
    // A kernel extension may say that it wrote less (C4 is of dexts).
    let told_less = !rules.holds(Rule::C4)
        && matches!(request.output, Transfer::OutOfLine { size: asked, .. } if size <= asked);
    if expected.structure_size != Some(size) && !told_less {
        let expected = expected.structure_size.unwrap_or(0);
        let message = format!("expected a structure of {expected:#x} bytes, found {size:#x}");
        wrong(boundary(if out_of_line { Rule::C4 } else { Rule::C3 }, message));
    }
    if let Some(structure) = &returned.structure
        && structure.length() != size
    {
        let found = structure.length();
        let message = format!("expected the {size:#x} bytes that were returned, found {found:#x}");
        wrong(boundary(if out_of_line { Rule::B8 } else { Rule::C1 }, message));
    }
}

fn after_failure(call: &Call, returned: &Return, wrong: &mut impl FnMut(Wrong)) {
    let mut outputs = |what: &str| {
        let message = format!("expected no {what} from a call that failed");
        wrong((Broken::Boundary(Rule::A17), message));
    };
    if !returned.scalars.is_empty() {
        outputs("scalars");
    }
    if returned.structure_size.is_some_and(|size| size > 0 || call.output != OutputKind::Variable) {
        outputs("size of a structure");
    }
    // Out-of-line memory was written by the dext itself, whatever it answered (B8).
    let asked = match call.output {
        OutputKind::Bytes { size } | OutputKind::Shared { size, .. } => size,
        _ => 0,
    };
    if returned.structure.is_some() && asked <= crate::limits::INLINE_STRUCTURE_MAX {
        outputs("structure");
    }
}

/// The shape of the call as the client made it.
fn shape(call: &Call, asynchronous: Asynchronous<'_>) -> CallShape {
    let (output, output_asked) = match call.output {
        OutputKind::None => (ClientRange::Null, None),
        OutputKind::Bytes { size }
        | OutputKind::Shared { size, .. }
        | OutputKind::Unmapped { size } => (ClientRange::Somewhere, Some(size)),
        OutputKind::Null { size } => (ClientRange::Null, Some(size)),
        OutputKind::Variable => (ClientRange::Somewhere, Some(VARIABLE_OUTPUT_SIZE)),
    };
    CallShape {
        scalars: Pointer::Present,
        scalar_count: call.scalar_count,
        structure: match &call.input {
            Structure::None => StructureShape::NONE,
            Structure::Bytes(data) | Structure::Shared { data, .. } => {
                StructureShape::of(data.length())
            }
            Structure::Null { size } => StructureShape::null(*size),
            Structure::Unmapped { size } => StructureShape::of(*size),
        },
        scalar_output: Pointer::Present,
        scalars_asked: Some(call.scalars_asked),
        output,
        output_asked,
        reference: asynchronous.map(|(has_port, reference)| ReferenceShape {
            // A foreign port cannot be told from an own one here (D5): its refusal is a failure.
            wake_port: if has_port { WakePort::Own } else { WakePort::Null },
            pointer: if reference.is_some() { Pointer::Present } else { Pointer::Null },
            count: reference.map_or(0, |reference| reference.len() as u32),
        }),
    }
}
