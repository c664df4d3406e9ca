//! `IOConnectCallMethod` and `IOConnectCallAsyncMethod` (groups A to D).

use super::connection::{Link, MockConnection};
use super::dext::upcall_client;
use super::queue::{MockQueue, Port};
use super::system::{Completions, Kernel};
use super::under_way::{Returning, UnderWay, post};
use crate::IoReturn;
use crate::boundary::completion;
use crate::boundary::library::{Stop, send};
use crate::boundary::{
    Arrival, ClientReply, CopyOut, DextReply, Hold, InputForm, LockedOperation, Operation, Rule,
    Rules, WakePort, arrival, came_out, completion_hold, descriptor_writes_stay, failed, in_time,
    refused, reply, scalar, scalar_output_start,
};
use crate::call::Completion;
use crate::connection::{
    AsyncWake, CompletionQueue, MethodInput, MethodOutput, StructureInput, StructureOutput,
    call_shape,
};
use crate::driverkit::bridge::{ExternalMethodCall, ExternalMethodOutcome, external_method};
use crate::driverkit::{CompletionSink, DextProcess};
use crate::limits::{INLINE_STRUCTURE_MAX, SCALARS_MAX};
use crate::memory::{Backing, Memory};
use crate::schedule::Monitor;
use std::sync::{Arc, Weak};

impl MockConnection {
    pub(super) fn method(
        &self,
        selector: u32,
        wake: Option<&AsyncWake<'_>>,
        input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn {
        if wake.is_some() {
            refuse_borrowed(&output.structure);
        }
        let rules = self.kernel.rules;
        let port = wake.and_then(|wake| wake.queue).map(|queue| self.own_port(queue));
        let shape = call_shape(input, output, wake.map(|wake| (wake, wake_port(port))));
        let connection = self.link.state().check(rules);
        let request = match send(rules, &shape, connection) {
            Ok(request) => request,
            Err(Stop::Refused(code)) => return give(refused(rules, &shape, code), output),
            // A Rust caller has no pointers that could be NULL where they are followed.
            Err(Stop::Fault) => return IoReturn::KERN_INVALID_ADDRESS,
        };
        let arrival = arrival(rules, selector, &request, port.is_some());
        let Some(passage) = Passage::new(&arrival, input, output) else {
            return give(failed(&request, IoReturn::NO_MEMORY), output);
        };
        // Its completions wait for a call that nothing overtakes (D17).
        let waits = arrival.completion && !rules.open().completion_overtakes_call;
        let returning = Returning(rules, waits.then(Arc::default));
        let sink = wake.filter(|_| arrival.completion).map(|wake| {
            let (port, call) = (port.flatten(), returning.1.clone());
            completion_sink(&self.kernel, &self.link, selector, port, wake.reference, call)
        });

        let mut scalars = [0; SCALARS_MAX];
        let asked = (arrival.scalar_output_count as usize).min(SCALARS_MAX);
        for (scalar, before) in scalars.iter_mut().zip(output.scalars.iter()) {
            *scalar = scalar_output_start(rules, *before);
        }
        let call = ExternalMethodCall {
            arrival,
            scalar_input: &input.scalars[..arrival.scalar_input_count as usize],
            structure_input: passage.inline(input),
            input_store: passage.input.clone(),
            scalar_output: &mut scalars[..asked],
            output_store: passage.output.clone(),
            completion: sink,
        };
        let visit = self.link.come(&self.kernel, LockedOperation::Method);
        self.kernel.schedule.yield_now();
        let outcome = self.call_dext(selector, call);
        drop(visit);

        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(code) => {
                passage.finish(rules, code, output);
                return give(failed(&request, code), output);
            }
        };
        let dext = DextReply {
            result: outcome.result,
            scalar_count: outcome.scalar_output_count,
            structure: outcome.structure_output.as_ref().map(|bytes| bytes.len() as u64),
        };
        let Some(answer) = reply(rules, &request, &dext) else { wait_for_ever(&self.kernel) };
        passage.finish(rules, answer.result, output);
        if completion::returns_outputs(rules, wake.is_some()) {
            take(rules, &answer, &scalars, outcome.structure_output.as_deref(), output);
        }
        answer.result
    }

    /// The port of a queue of this system; another's is a name without a receive right (D5).
    pub(super) fn own_port<'q>(&self, queue: &'q dyn CompletionQueue) -> Option<&'q Arc<Port>> {
        let port = queue.as_any().downcast_ref::<MockQueue>().map(MockQueue::port);
        port.filter(|port| port.system() == self.kernel.number)
    }

    fn call_dext(
        &self,
        selector: u32,
        call: ExternalMethodCall<'_>,
    ) -> Result<ExternalMethodOutcome, IoReturn> {
        let (link, rules) = (&*self.link, self.kernel.rules);
        let died = IoReturn::MIG_SERVER_DIED;
        let user_client = link.user_client().ok_or(died)?;
        let mut ending = None;
        self.kernel.client.sandbox.method(rules, selector)?;
        link.dext.reachable(rules)?;
        let began = self.kernel.schedule.now();
        let outcome =
            upcall_client(rules, link.dext.process(), (&*user_client, &link.method_queue), || {
                external_method(link.dext.process(), link.id.0, call, |seen, arguments| {
                    let own = || user_client.external_method(seen, arguments);
                    let (result, afterwards) = self.kernel.faulty_method(link, selector, own);
                    ending = afterwards;
                    result
                })
            });
        came_out(rules, Operation::Method, link.meanwhile())?;
        in_time(rules, self.kernel.schedule.now().saturating_sub(began))?;
        if let Some(ending) = ending {
            self.kernel.end(link.dext.id(), ending);
        }
        outcome.ok_or(died)
    }
}

/// Memory of an asynchronous call must outlive it.
#[track_caller]
fn refuse_borrowed(structure: &StructureOutput<'_>) {
    let borrowed = matches!(structure, StructureOutput::Bytes(_));
    assert!(
        !borrowed || structure.size() <= INLINE_STRUCTURE_MAX,
        "failed to make an asynchronous call with room for {} bytes in a borrowed slice: the dext \
         may write to it after the call has returned; use a SharedBuffer",
        structure.size()
    );
}

pub(super) fn wake_port(port: Option<Option<&Arc<Port>>>) -> WakePort {
    match port {
        None => WakePort::Null,
        Some(None) => WakePort::Foreign,
        Some(Some(_)) => WakePort::Own,
    }
}

/// The memory that carries the structures of one call across.
#[derive(Default)]
struct Passage {
    /// A copy of an in-line input that others could change meanwhile (A8).
    inline: Option<Vec<u8>>,
    input: Option<Arc<Backing>>,
    output: Option<Arc<Backing>>,
    /// The output is to be copied back to the client's slice.
    borrowed: bool,
}

impl Passage {
    /// `None` where the machine has no such memory.
    fn new(arrival: &Arrival, input: &MethodInput<'_>, output: &MethodOutput<'_>) -> Option<Self> {
        let mut passage = Self::default();
        match (arrival.input, input.structure) {
            (InputForm::Data { length }, StructureInput::Shared(buffer)) => {
                let mut copy = vec![0; usize::try_from(length).ok()?];
                buffer.store().copy_out(0, &mut copy).ok()?;
                passage.inline = Some(copy);
            }
            (InputForm::Descriptor { .. }, StructureInput::Bytes(bytes)) => {
                passage.input = Some(copy_of(bytes)?);
            }
            (InputForm::Descriptor { .. }, StructureInput::Shared(buffer)) => {
                passage.input = Some(Arc::clone(buffer.store()));
            }
            _ => {}
        }
        match (arrival.output_descriptor, &output.structure) {
            (Some(_), StructureOutput::Bytes(bytes)) => {
                passage.output = Some(copy_of(bytes)?);
                passage.borrowed = true;
            }
            (Some(_), StructureOutput::Shared(buffer)) => {
                passage.output = Some(Arc::clone(buffer.store()));
            }
            _ => {}
        }
        Some(passage)
    }

    /// Bytes of an in-line input.
    fn inline<'a>(&'a self, input: &MethodInput<'a>) -> &'a [u8] {
        match (&self.inline, input.structure) {
            (Some(copy), _) => copy,
            (None, StructureInput::Bytes(bytes)) => bytes,
            (None, _) => &[],
        }
    }

    /// Gives the client's slice what the dext wrote through the descriptor (B8).
    fn finish(&self, rules: Rules, result: IoReturn, output: &mut MethodOutput<'_>) {
        if self.output.is_some()
            && descriptor_writes_stay(rules, result)
            && self.borrowed
            && let (Some(store), StructureOutput::Bytes(bytes)) =
                (&self.output, &mut output.structure)
        {
            let copied = store.copy_out(0, bytes);
            debug_assert!(copied.is_ok(), "the store was made as long as the slice");
        }
    }
}

fn copy_of(bytes: &[u8]) -> Option<Arc<Backing>> {
    let store = Backing::try_new(bytes.len() as u64)?;
    store.copy_in(0, bytes).ok()?;
    Some(store)
}

/// Hands the client a failure: its outputs stay as they are (A17), but for variable output (A14).
fn give(answer: ClientReply, output: &mut MethodOutput<'_>) -> IoReturn {
    take(Rules::all(), &answer, &[0; SCALARS_MAX], None, output);
    answer.result
}

/// Copies the reply into the client's outputs.
fn take(
    rules: Rules,
    answer: &ClientReply,
    scalars: &[u64; SCALARS_MAX],
    structure: Option<&[u8]>,
    output: &mut MethodOutput<'_>,
) {
    if let Some(count) = answer.scalar_count {
        for (room, value) in output.scalars.iter_mut().zip(scalars).take(count as usize) {
            *room = scalar(rules, *value, *room);
        }
        output.scalar_count = count;
    }
    if let Some(size) = answer.structure_size {
        output.structure_size = size;
    }
    let bytes = structure.unwrap_or(&[]);
    match (answer.structure, &mut output.structure) {
        (CopyOut::Inline { copied, zeros }, StructureOutput::Bytes(room)) => {
            let copied = (copied as usize).min(bytes.len()).min(room.len());
            room[..copied].copy_from_slice(&bytes[..copied]);
            let zeros = (zeros as usize).min(room.len() - copied);
            room[copied..copied + zeros].fill(0);
        }
        (CopyOut::Inline { copied, zeros }, StructureOutput::Shared(buffer)) => {
            let mut reply = bytes[..(copied as usize).min(bytes.len())].to_vec();
            reply.resize(reply.len() + zeros as usize, 0);
            // The kernel's copy into the client's memory, which it asked for with that length.
            let stored = buffer.store().copy_in(0, &reply);
            debug_assert!(stored.is_ok(), "a reply is no longer than what was asked for");
        }
        (CopyOut::Variable { length }, StructureOutput::Variable(room)) => {
            room.clear();
            room.extend_from_slice(&bytes[..(length as usize).min(bytes.len())]);
        }
        _ => {}
    }
}

/// A method that returned `MIG_NO_REPLY` leaves its caller hanging (C9).
fn wait_for_ever(kernel: &Kernel) -> ! {
    let never = Monitor::new(&kernel.schedule, "a reply that the kernel never sends (C9)", ());
    let mut guard = never.lock();
    loop {
        guard.wait_until(None);
    }
}

/// Where the completions of a call go: its wake port, by name only (D19).
fn completion_sink(
    kernel: &Arc<Kernel>,
    link: &Arc<Link>,
    selector: u32,
    port: Option<&Arc<Port>>,
    reference: Option<&[u64]>,
    call: Option<Arc<UnderWay>>,
) -> CompletionSink {
    let rules = kernel.rules;
    let reference = completion::reference(rules, reference);
    let held = port.filter(|_| !completion::wake_port_is_weak(rules)).cloned();
    let port = port.map_or_else(Weak::new, Arc::downgrade);
    let (link_kernel, kernel, process) =
        (kernel, Arc::downgrade(kernel), link.dext.process().downgrade());
    let counted = link_kernel.completions(&link.dext, selector);
    let link = Arc::downgrade(link);
    Arc::new(move |status, arguments| {
        let _ = &held;
        let ended = || link.upgrade().is_none_or(|link| link.state().is_terminated());
        if rules.is_watched(Rule::D21) && ended() && !completion::outlives_connection(rules) {
            return;
        }
        let link = link.upgrade().filter(|_| completion_hold(rules) != Hold::None);
        let _visit = link.as_ref().map(|link| link.gate.come().lock(rules, completion_hold(rules)));
        if let Some(completion) = completion::completion(rules, reference, status, arguments) {
            counted.iter().for_each(Completions::more);
            let (port, call) = (Weak::clone(&port), call.clone());
            let deliver = move |code: Option<IoReturn>| {
                let mut completion: Completion = completion;
                completion.status = code.unwrap_or(completion.status);
                match &call {
                    Some(call) => call.post(rules, &port, completion),
                    None => post(rules, &port, completion),
                }
            };
            match (kernel.upgrade(), process.upgrade().map(DextProcess::from_inner)) {
                (Some(kernel), Some(process)) => {
                    kernel.faulty_completion(&process, selector, deliver);
                }
                _ => deliver(None),
            }
        }
    })
}
