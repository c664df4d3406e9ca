//! A tape as a list of operations, each with its enter and leave.

use dextape::tape::{Body, Call, OpenedAs, Payload, Return, Structure, Tape, TapeError};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

/// What the calls of a kind have in common: what their connection was opened as, and the selector.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct CallKind {
    pub(super) on: Option<OpenedAs>,
    pub(super) selector: u32,
}

/// Numbers of what several runs have in common.
#[derive(Debug, Default)]
pub(super) struct Names {
    shapes: HashMap<String, u32>,
    courses: HashMap<String, u32>,
    numbers: HashMap<CallKind, u32>,
    kinds: Vec<CallKind>,
}

impl Names {
    pub(super) fn kind(&self, number: u32) -> &CallKind {
        &self.kinds[number as usize]
    }

    fn number_of(&mut self, kind: CallKind) -> u32 {
        *self.numbers.entry(kind).or_insert_with_key(|kind| {
            self.kinds.push(kind.clone());
            self.kinds.len() as u32 - 1
        })
    }
}

fn number(names: &mut HashMap<String, u32>, name: String) -> u32 {
    let next = names.len() as u32;
    *names.entry(name).or_insert(next)
}

/// One operation of the client.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    /// Places of its events on the tape.
    pub(super) enter: usize,
    pub(super) leave: Option<usize>,
    /// What orders it: its connection, a queue, or the registry. A connection is the same in two runs
    /// where it is the same open of the same service and type.
    pub(super) course: u32,
    /// What it must have in common with another run's to be the same operation: kind, connection,
    /// selector, counts and lengths of a call; all of anything else.
    pub(super) shape: u32,
    pub(super) call: Option<CallData>,
}

/// The words and bytes of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CallData {
    pub(super) kind: u32,
    pub(super) scalars: Vec<u64>,
    pub(super) input: Vec<u8>,
    pub(super) scalars_out: Vec<u64>,
    pub(super) output: Vec<u8>,
    /// The result, and how much came back.
    pub(super) answer: (Option<u32>, Option<u64>),
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

/// What a connection is called in every run: its service and type, and which of those opens it is. The
/// number of a service stands for a name where it has none.
fn connections(tape: &Tape) -> BTreeMap<u32, String> {
    let mut asked = BTreeMap::new();
    let mut opens: BTreeMap<(String, u32), u32> = BTreeMap::new();
    let mut named = BTreeMap::new();
    for event in tape.events() {
        match &event.body {
            Body::Open { service, open_type } => {
                let open = (called(tape, *service), *open_type);
                let ordinal = opens.entry(open.clone()).or_default();
                *ordinal += 1;
                asked.insert(event.sequence, format!("{} {} #{ordinal}", open.0, open.1));
            }
            Body::Opened => {
                let name = event.cause.and_then(|cause| asked.get(&cause));
                if let (Some(connection), Some(name)) = (event.connection, name) {
                    named.insert(connection, name.clone());
                }
            }
            _ => {}
        }
    }
    named
}

/// Numbers of services depend on what else a run looked for; names do not.
pub(super) fn called(tape: &Tape, service: u32) -> String {
    let identity = tape.header().services.get(&service);
    let label = identity.and_then(|identity| identity.label());
    label.map_or_else(|| service.to_string(), ToOwned::to_owned)
}

/// The operations of a tape in their order.
pub(super) fn operations(tape: &Tape, names: &mut Names) -> Result<Vec<Operation>, TapeError> {
    let mut leaves = BTreeMap::new();
    for (place, event) in tape.events().iter().enumerate() {
        if let Some(enter) = event.cause.filter(|_| event.body.is_leave()) {
            leaves.insert(enter, place);
        }
    }
    let (connections, opened) = (connections(tape), tape.opened());
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
        let connection = event
            .connection
            .map(|number| connections.get(&number).cloned().unwrap_or_else(|| number.to_string()));
        let mut data = None;
        let shape = match &event.body {
            Body::Call(call) | Body::AsyncCall { call, .. } => {
                let on = event.connection.and_then(|number| opened.get(&number)).cloned();
                let kind = names.number_of(CallKind { on, selector: call.selector });
                let returned = leave.map(|leave| &tape.events()[leave].body);
                data = Some(call_data(tape, call, kind, returned)?);
                call_shape(call)
            }
            Body::Matched { matching, .. } | Body::Watch { matching, .. } => {
                format!("{matching:?}")
            }
            Body::Property { service, key, .. } => format!("{} {key:?}", called(tape, *service)),
            Body::Open { service, open_type } => format!("{} {open_type}", called(tape, *service)),
            Body::Notice { queue, kind, service } => {
                format!("{queue} {kind:?} {}", called(tape, *service))
            }
            Body::Wait { queue, .. } | Body::Delivered { queue, .. } => queue.to_string(),
            Body::Map { memory_type, options, .. } => format!("{memory_type} {options}"),
            Body::Unmap { memory_type, .. } => memory_type.to_string(),
            Body::OtherCall(dextape::tape::OtherCall::AddClient { client }) => {
                let client = client.and_then(|number| connections.get(&number));
                format!("add client {client:?}")
            }
            Body::Write { memory, offset, width, .. } => format!("{memory} {offset} {width:?}"),
            body => format!("{body:?}"),
        };
        let course = match (&event.body, &connection) {
            (Body::Wait { queue, .. } | Body::Delivered { queue, .. }, _) => {
                format!("queue {queue}")
            }
            (_, Some(connection)) => connection.clone(),
            _ => String::new(),
        };
        let shape = format!("{} {} {shape}", event.body.name(), connection.unwrap_or_default());
        operations.push(Operation {
            enter: place,
            leave,
            course: number(&mut names.courses, course),
            shape: number(&mut names.shapes, shape),
            call: data,
        });
    }
    Ok(operations)
}

fn call_shape(call: &Call) -> String {
    let Call { selector, scalar_count, scalars_asked, output, .. } = call;
    let (kind, length) = match &call.input {
        Structure::None => (0, 0),
        Structure::Bytes(data) => (1, data.length()),
        Structure::Shared { data, .. } => (2, data.length()),
        Structure::Null { size } => (3, *size),
        Structure::Unmapped { size } => (4, *size),
    };
    format!("{selector} {scalar_count} {kind} {length} {scalars_asked} {output:?}")
}

fn call_data(
    tape: &Tape,
    call: &Call,
    kind: u32,
    returned: Option<&Body>,
) -> Result<CallData, TapeError> {
    let bytes = |payload: &Payload| -> Result<Vec<u8>, TapeError> {
        Ok(tape.bytes(payload)?.map(Cow::into_owned).unwrap_or_default())
    };
    let input = match &call.input {
        Structure::Bytes(data) | Structure::Shared { data, .. } => bytes(data)?,
        Structure::None | Structure::Null { .. } | Structure::Unmapped { .. } => Vec::new(),
    };
    let (mut scalars_out, mut output, mut answer) = (Vec::new(), Vec::new(), (None, None));
    if let Some(Body::Return(Return { result, scalars, structure, structure_size })) = returned {
        scalars_out = scalars.to_vec();
        output = structure.as_ref().map_or(Ok(Vec::new()), bytes)?;
        answer = (Some(result.0), *structure_size);
    }
    Ok(CallData { kind, scalars: call.scalars.to_vec(), input, scalars_out, output, answer })
}
