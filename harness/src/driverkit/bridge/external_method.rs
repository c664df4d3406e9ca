//! `ExternalMethod`: arguments in, results out, and what the system owns of them.

use crate::IoReturn;
use crate::boundary::{self, Arrival, InputForm};
use crate::driverkit::arguments::ScalarOutput;
use crate::driverkit::data::OsData;
use crate::driverkit::descriptor::{Direction, MemoryDescriptor};
use crate::driverkit::finding::{Lint, Place};
use crate::driverkit::object::sealed::Handle;
use crate::driverkit::{
    CompletionSink, DextProcess, ExternalMethodArguments, OsAction, OsObject, UserClientNumber,
};
use crate::limits::INLINE_STRUCTURE_MAX;
use crate::memory::Backing;
use std::fmt;
use std::sync::Arc;

/// One call into a dext: what [`boundary::arrival`] says that it sees, and the bytes to it.
///
/// [`boundary::arrival`]: crate::boundary::arrival()
pub struct ExternalMethodCall<'a> {
    /// What the dext sees. Where it says that there is a descriptor, the store below is it; where it
    /// says that there is none, the store is not looked at.
    pub arrival: Arrival,
    /// Scalars handed in.
    pub scalar_input: &'a [u64],
    /// Bytes of a structure that arrives as `OSData` (B3): shorter ones are followed by zeros, longer
    /// ones cut.
    pub structure_input: &'a [u8],
    /// The client's memory, from its start, of a structure that arrives as a descriptor (B4); `None`
    /// where the client has nothing mapped there (B6).
    pub input_store: Option<Arc<Backing>>,
    /// Room for as many scalars as are asked for, as [`boundary::scalar_output_start`] fills it (B2).
    ///
    /// [`boundary::scalar_output_start`]: crate::boundary::scalar_output_start
    pub scalar_output: &'a mut [u64],
    /// The client's memory, from its start, of an output descriptor (B8); `None` as above.
    pub output_store: Option<Arc<Backing>>,
    /// Where completions go, if the arrival says that there is one. It is called only where a
    /// completion goes out (D11, D20), with any number of arguments (D13 is the kernel's), and dropped
    /// once the action is gone (D12).
    pub completion: Option<CompletionSink>,
}

impl fmt::Debug for ExternalMethodCall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalMethodCall")
            .field("arrival", &self.arrival)
            .field("scalar_input", &self.scalar_input)
            .finish_non_exhaustive()
    }
}

/// What a dext left of a call. The rules of group C have yet to be applied.
#[derive(Clone, Debug)]
pub struct ExternalMethodOutcome {
    /// What the method returned.
    pub result: IoReturn,
    /// `scalarOutputCount` as the dext left it, which may be more than was asked for (C7). The values
    /// are in the room of the call.
    pub scalar_output_count: u32,
    /// The bytes of `structureOutput`, of any length; `None` where the dext left it unset (C3).
    pub structure_output: Option<Arc<[u8]>>,
}

/// Calls an external method in `process` on behalf of `client`, and gives up afterwards what the
/// system holds of its arguments: `OSData`, descriptors and completion live on only where the dext
/// retained them (B10, D12), and what it left in `structure_output` is taken and released.
pub fn external_method(
    process: &DextProcess,
    client: UserClientNumber,
    call: ExternalMethodCall<'_>,
    method: impl FnOnce(u64, &mut ExternalMethodArguments<'_>) -> IoReturn,
) -> ExternalMethodOutcome {
    let arrival = call.arrival;
    let selector = arrival.selector;
    let place = Place::ExternalMethod { selector };
    let _inside = process.enter_at(Some(client), place.clone());

    let maximum = arrival.maximum;
    // Nothing may be returned in-line beside a descriptor (C5).
    let inline_maximum = if arrival.output_descriptor.is_some() { 0 } else { maximum };
    let asked = arrival.scalar_output_count;
    let issued = Issued::new(process, client, &call);
    let mut arguments = ExternalMethodArguments {
        version: arrival.version,
        selector,
        completion: issued.completion.clone(),
        scalar_input: call.scalar_input,
        structure_input: issued.input.clone(),
        structure_input_descriptor: issued.input_descriptor.clone(),
        scalar_output: ScalarOutput::new(call.scalar_output),
        scalar_output_count: asked,
        structure_output: None,
        structure_output_descriptor: issued.output_descriptor.clone(),
        structure_output_maximum_size: maximum,
    };
    let result = method(selector, &mut arguments);

    let count = arguments.scalar_output_count;
    let output = arguments.structure_output.take().filter(|data| is_there(data, &place));
    let length = output.as_ref().map(|data| data.len() as u64);
    if result == IoReturn::SUCCESS {
        let lints = Lints { process, place: &place };
        lints.count(asked, count, &arguments.scalar_output);
        lints.output(length, inline_maximum, issued.output_descriptor.is_some());
        lints.late_output(length, inline_maximum, issued.completion.as_ref());
    }
    drop(arguments);
    let structure_output = output.map(|data| {
        let bytes = data.bytes();
        data.release();
        bytes
    });
    issued.give_up(process, &place);
    ExternalMethodOutcome { result, scalar_output_count: count, structure_output }
}

/// What the system holds while the method runs.
struct Issued {
    completion: Option<OsAction>,
    input: Option<OsData>,
    input_descriptor: Option<MemoryDescriptor>,
    output_descriptor: Option<MemoryDescriptor>,
}

impl Issued {
    fn new(process: &DextProcess, client: UserClientNumber, call: &ExternalMethodCall<'_>) -> Self {
        let descriptor = |store: &Option<Arc<Backing>>, length, direction, copy_on_write| {
            let (client, store) = (Some(client), store.clone());
            MemoryDescriptor::of_client(process, client, store, length, direction, copy_on_write)
        };
        let (mut input, mut input_descriptor) = (None, None);
        match call.arrival.input {
            InputForm::None => {}
            InputForm::Data { length } if length == call.structure_input.len() as u64 => {
                input = Some(OsData::for_call(process, Some(client), call.structure_input));
            }
            InputForm::Data { length } => {
                let length = length.min(INLINE_STRUCTURE_MAX) as usize;
                let mut bytes = call.structure_input.to_vec();
                bytes.resize(length, 0);
                input = Some(OsData::for_call(process, Some(client), &bytes));
            }
            InputForm::Descriptor { length } => {
                let rule = boundary::input_descriptor(process.rules());
                let direction = if rule.read_only { Direction::OUT } else { Direction::IN_OUT };
                input_descriptor =
                    Some(descriptor(&call.input_store, length, direction, rule.copy_on_write));
            }
        }
        let output_descriptor = call
            .arrival
            .output_descriptor
            .map(|length| descriptor(&call.output_store, length, Direction::IN, false));
        let sink = call.completion.clone().filter(|_| call.arrival.completion);
        let completion = sink.map(|sink| OsAction::for_client(process, Some(client), sink));
        Self { completion, input, input_descriptor, output_descriptor }
    }

    fn give_up(self, process: &DextProcess, place: &Place) {
        if let Some(completion) = self.completion
            && boundary::completion::releases_action(process.rules())
        {
            give_up(&completion, place, "completion", Arc::strong_count(&completion.object));
        }
        let descriptors = self.input_descriptor.is_some() || self.output_descriptor.is_some();
        let any = self.input.is_some() || descriptors;
        if !any || !boundary::releases_inputs(process.rules()) {
            return;
        }
        if let Some(input) = self.input {
            give_up(&input, place, "structure_input", Arc::strong_count(&input.object));
        }
        let descriptors = [
            (self.input_descriptor, "structure_input_descriptor"),
            (self.output_descriptor, "structure_output_descriptor"),
        ];
        for (descriptor, name) in descriptors {
            if let Some(descriptor) = descriptor {
                give_up(&descriptor, place, name, Arc::strong_count(&descriptor.object));
            }
        }
    }
}

/// Whether the system can take what the dext left in `structure_output`.
fn is_there(output: &OsData, place: &Place) -> bool {
    let there = output.retain_count() > 0;
    if !there {
        let message =
            "structure_output was released by the dext, and the system, which releases it, \
                       finds nothing there"
                .to_owned();
        output.header().report_as(Lint::OverRelease, place.clone(), message);
    }
    there
}

/// Releases an argument that the dext did not ask to keep. `pointers` counts the pointers to it that
/// there still are, with that of the system and that of the process.
fn give_up(argument: &impl OsObject, place: &Place, name: &str, pointers: usize) {
    let header = argument.header();
    if header.count() == 0 {
        let message = format!(
            "{name} was released although the dext holds no reference to it: the system's is gone"
        );
        return header.report_as(Lint::OverRelease, place.clone(), message);
    }
    // The dext's own retain says that it means to keep it, and its own releases that it does not.
    let kept = header.count() == 1 && !header.was_retained() && pointers > 2;
    argument.release();
    if kept {
        let effect = match name {
            "completion" => "it is aborted now, and the client's callback will never be called",
            _ => "it is gone now, and the pointer dangles",
        };
        let message = format!("a copy of {name} was kept without a reference of its own: {effect}");
        header.report_as(Lint::KeptWithoutRetain, place.clone(), message);
    }
}

/// What shows in the results of a method that succeeded.
struct Lints<'a> {
    process: &'a DextProcess,
    place: &'a Place,
}

impl Lints<'_> {
    fn count(&self, asked: u32, left: u32, output: &ScalarOutput<'_>) {
        if left > asked {
            self.report(
                Lint::CountRaised,
                format!("scalar_output_count was set to {left} where the client asked for {asked}"),
            );
        } else if left == asked {
            let unwritten: Vec<String> =
                output.unwritten(asked).map(|index| index.to_string()).collect();
            if !unwritten.is_empty() {
                self.report(
                    Lint::OutputUnwritten,
                    format!(
                        "of {asked} scalar outputs {} {} never written, and the client takes {} \
                         for {}",
                        unwritten.join(", "),
                        if unwritten.len() == 1 { "was" } else { "were" },
                        if unwritten.len() == 1 { "it" } else { "them" },
                        if unwritten.len() == 1 { "a value" } else { "values" },
                    ),
                );
            }
        }
    }

    fn output(&self, length: Option<u64>, maximum: u64, has_descriptor: bool) {
        let Some(length) = length.filter(|length| *length > maximum) else { return };
        let asked = match (has_descriptor, maximum) {
            (true, _) => "the client asked for a descriptor to be filled".to_owned(),
            (false, 0) => "the client asked for none".to_owned(),
            (false, maximum) => format!("the client asked for {maximum}"),
        };
        self.report(
            Lint::OutputTooLong,
            format!(
                "structure_output holds {length} bytes where {asked}, so the client gets \
                 kIOReturnBadArgument and none of them"
            ),
        );
    }

    fn late_output(&self, length: Option<u64>, maximum: u64, completion: Option<&OsAction>) {
        let asked = (1..=INLINE_STRUCTURE_MAX).contains(&maximum);
        let kept = completion
            .is_some_and(|completion| completion.retain_count() > 1 && !completion.was_fired());
        if asked && length.is_none() && kept {
            self.report(
                Lint::LateInlineOutput,
                format!(
                    "the client asked for {maximum} bytes in-line, structure_output is unset and \
                     the completion is kept for later, but the client's buffer is filled with \
                     zeros now and cannot be reached again"
                ),
            );
        }
    }

    fn report(&self, lint: Lint, message: String) {
        self.process.report(lint, self.place.clone(), message, None);
    }
}

#[cfg(test)]
mod tests;
