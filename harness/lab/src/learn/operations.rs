//! A tape as a list of operations, each with its enter and leave.

use dextape::tape::{Body, Call, Payload, Return, Structure, Tape, TapeError};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// One operation of the client.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    /// Places of its events on the tape: the enter first, then what came between, the leave last.
    pub(super) enter: usize,
    pub(super) leave: Option<usize>,
    /// What it must have in common with another run's to be the same operation: kind, connection,
    /// selector, counts and lengths of a call; all of anything else.
    pub(super) shape: String,
    pub(super) call: Option<CallData>,
}

/// The bytes of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CallData {
    pub(super) selector: u32,
    pub(super) scalars: Vec<u64>,
    pub(super) input: Vec<u8>,
    pub(super) scalars_out: Vec<u64>,
    pub(super) output: Vec<u8>,
}

impl Operation {
    /// True where both hand in the same.
    pub(super) fn same_inputs(&self, other: &Self) -> bool {
        self.shape == other.shape
            && match (&self.call, &other.call) {
                (Some(one), Some(other)) => {
                    one.scalars == other.scalars && one.input == other.input
                }
                _ => true,
            }
    }
}

/// The operations of a tape in their order.
pub(super) fn operations(tape: &Tape) -> Result<Vec<Operation>, TapeError> {
    let mut leaves = BTreeMap::new();
    for (place, event) in tape.events().iter().enumerate() {
        if let Some(enter) = event.cause.filter(|_| event.body.is_leave()) {
            leaves.insert(enter, place);
        }
    }
    // Numbers of services depend on what else a run looked for; names do not.
    let service = |number: &u32| {
        let known = tape.header().services.get(number).and_then(|service| service.name.clone());
        known.unwrap_or_else(|| number.to_string())
    };
    let mut operations = Vec::new();
    for (place, event) in tape.events().iter().enumerate() {
        let alone = matches!(
            event.body,
            Body::Matched { .. }
                | Body::Property { .. }
                | Body::Watch { .. }
                | Body::Notice { .. }
                | Body::Queue { .. }
                | Body::Delivered { .. }
                | Body::Write { .. }
                | Body::Update { .. }
        );
        if !alone && !event.body.is_enter() {
            continue;
        }
        let leave = leaves.get(&event.sequence).copied();
        let (mut shape, mut data) = (String::new(), None);
        match &event.body {
            Body::Call(call) | Body::AsyncCall { call, .. } => {
                let Call { selector, scalar_count, scalars_asked, output, .. } = call;
                let (kind, length) = match &call.input {
                    Structure::None => (0, 0),
                    Structure::Bytes(data) => (1, data.length()),
                    Structure::Shared { data, .. } => (2, data.length()),
                    Structure::Null { size } => (3, *size),
                };
                shape =
                    format!("{selector} {scalar_count} {kind} {length} {scalars_asked} {output:?}");
                let returned = leave.map(|leave| &tape.events()[leave].body);
                data = Some(call_data(tape, call, returned)?);
            }
            Body::Matched { matching, .. } => shape = format!("{matching:?}"),
            Body::Property { service: of, key, .. } => shape = format!("{} {key:?}", service(of)),
            Body::Open { service: of, open_type } => shape = format!("{} {open_type}", service(of)),
            Body::Notice { queue, kind, service: of } => {
                shape = format!("{queue} {kind:?} {}", service(of));
            }
            Body::Watch { matching, .. } => shape = format!("{matching:?}"),
            Body::Wait { queue, .. } | Body::Delivered { queue, .. } => shape = queue.to_string(),
            body => shape = format!("{shape}{body:?}"),
        }
        let shape = format!("{} {:?} {shape}", event.body.name(), event.connection);
        operations.push(Operation { enter: place, leave, shape, call: data });
    }
    Ok(operations)
}

fn call_data(tape: &Tape, call: &Call, returned: Option<&Body>) -> Result<CallData, TapeError> {
    let bytes = |payload: &Payload| -> Result<Vec<u8>, TapeError> {
        Ok(tape.bytes(payload)?.map(Cow::into_owned).unwrap_or_default())
    };
    let input = match &call.input {
        Structure::Bytes(data) | Structure::Shared { data, .. } => bytes(data)?,
        Structure::None | Structure::Null { .. } => Vec::new(),
    };
    let (mut scalars_out, mut output) = (Vec::new(), Vec::new());
    if let Some(Body::Return(Return { scalars, structure, .. })) = returned {
        scalars_out = scalars.to_vec();
        output = structure.as_ref().map_or(Ok(Vec::new()), bytes)?;
    }
    let (selector, scalars) = (call.selector, call.scalars.to_vec());
    Ok(CallData { selector, scalars, input, scalars_out, output })
}
