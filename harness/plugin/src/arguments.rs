//! `IOUserClientMethodArguments` on their way into C++ and back.

use crate::abi::{Arguments, Checks, Handle};
use crate::handles::{Managed, hand_over, lend, take_back};
use crate::host::{action_of, data_of, descriptor_of};
use crate::raw::get;
use dextape::IoReturn;
use dextape::driverkit::{
    ExternalMethodArguments, ScalarOutput, UserClientMethodDispatch, super_external_method,
};
use dextape::limits::SCALARS_MAX;

/// What stands in an output that C++ has not written. A dext that returns just this is taken for one that
/// has not.
const UNWRITTEN: u64 = 0xdeca_fbad_0ddc_0ffe;

/// Calls a method of C++ with these arguments.
pub(crate) fn pass(
    arguments: &mut ExternalMethodArguments<'_>,
    call: impl FnOnce(&mut Arguments) -> IoReturn,
) -> IoReturn {
    let mut output = [UNWRITTEN; SCALARS_MAX];
    let mut passed = Arguments {
        version: arguments.version,
        selector: arguments.selector,
        completion: lend(arguments.completion.clone().map(|it| Managed::Action(it, None))),
        scalar_input: arguments.scalar_input.as_ptr(),
        scalar_input_count: arguments.scalar_input.len() as u32,
        structure_input: lend(arguments.structure_input.clone().map(Managed::Data)),
        structure_input_descriptor: lend(
            arguments.structure_input_descriptor.clone().map(Managed::Descriptor),
        ),
        scalar_output: output.as_mut_ptr(),
        scalar_output_count: arguments.scalar_output_count,
        structure_output: 0,
        structure_output_descriptor: lend(
            arguments.structure_output_descriptor.clone().map(Managed::Descriptor),
        ),
        structure_output_maximum_size: arguments.structure_output_maximum_size,
        reserved: [0; 30],
    };
    let lent = [
        passed.completion,
        passed.structure_input,
        passed.structure_input_descriptor,
        passed.structure_output_descriptor,
    ];
    let result = call(&mut passed);
    for (index, value) in output.into_iter().enumerate().take(arguments.scalar_output.len()) {
        if value != UNWRITTEN {
            arguments.scalar_output[index] = value;
        }
    }
    arguments.scalar_output_count = passed.scalar_output_count;
    arguments.structure_output = given(passed.structure_output);
    lent.into_iter().for_each(take_back);
    result
}

/// What the dext left in `structureOutput`, which is the system's from now on.
fn given(handle: Handle) -> Option<dextape::driverkit::OsData> {
    let data = data_of(handle)?;
    hand_over(handle);
    Some(data)
}

/// What the base class says to a call before it calls the function.
pub(crate) fn check(arguments: *const Arguments, checks: Option<Checks>) -> IoReturn {
    // Only counts are looked at, and the values are not the plug-in's to promise.
    const NOTHING: [u64; SCALARS_MAX] = [0; SCALARS_MAX];
    let Some(passed) = get(arguments) else { return IoReturn::BAD_ARGUMENT };
    let mut none: [u64; 0] = [];
    let mut arguments = ExternalMethodArguments {
        version: passed.version,
        selector: passed.selector,
        completion: action_of(passed.completion),
        scalar_input: &NOTHING[..(passed.scalar_input_count as usize).min(SCALARS_MAX)],
        structure_input: data_of(passed.structure_input),
        structure_input_descriptor: descriptor_of(passed.structure_input_descriptor),
        scalar_output: ScalarOutput::new(&mut none),
        scalar_output_count: passed.scalar_output_count,
        structure_output: None,
        structure_output_descriptor: descriptor_of(passed.structure_output_descriptor),
        structure_output_maximum_size: passed.structure_output_maximum_size,
    };
    let dispatch = checks.map(|checks| UserClientMethodDispatch::<()> {
        function: (checks.has_function != 0).then_some(|(): &(), _| IoReturn::SUCCESS),
        check_completion_exists: checks.completion_exists,
        check_scalar_input_count: checks.scalar_input_count,
        check_structure_input_size: checks.structure_input_size,
        check_scalar_output_count: checks.scalar_output_count,
        check_structure_output_size: checks.structure_output_size,
    });
    super_external_method(passed.selector, &mut arguments, dispatch.as_ref(), Some(&()))
}
