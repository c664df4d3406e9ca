//! The words of calls, of what they return, and of places in memory: what a protocol description names.

use super::describe::Description;
use super::event::{Call, OtherCall, OutputKind, Return, Structure};
use super::naming::Names;
use super::payload::Payload;
use crate::IoReturn;
use crate::protocol::{self, ScalarDescription};

impl Description {
    pub(super) fn result(&mut self, result: IoReturn, names: Names<'_>) {
        match names.protocol {
            _ if result.is_success() => self.text("ok"),
            Some(protocol) => self.text(&protocol.result_text(result)),
            None => self.text(&result.to_string()),
        }
    }

    /// A name behind its number.
    pub(super) fn name(&mut self, name: Option<&str>) {
        if let Some(name) = name {
            self.text(" ");
            self.text(name);
        }
    }

    /// Scalars, with their names as far as there are some.
    pub(super) fn scalars(&mut self, scalars: &[u64], names: &[ScalarDescription]) {
        for (index, scalar) in scalars.iter().enumerate() {
            if index > 0 {
                self.text(", ");
            }
            match names.get(index) {
                Some(described) => {
                    self.text(&described.name);
                    self.text(": ");
                    self.text(&described.describe(*scalar));
                }
                None => self.hex(*scalar),
            }
        }
    }

    /// A structure: by its fields where it is described and its bytes are at hand.
    fn structure(&mut self, data: &Payload, described: Option<&protocol::Structure>) {
        match (described, data) {
            (Some(structure), Payload::Bytes(bytes)) => {
                self.text(&structure.name);
                self.text(" ");
                self.text(&structure.describe(bytes));
            }
            _ => self.payload(data),
        }
    }

    /// What a call returned.
    pub(super) fn returned(&mut self, returned: &Return, names: Names<'_>) {
        let Return { result, scalars, structure_size, structure } = returned;
        self.result(*result, names);
        if !scalars.is_empty() {
            self.text(" (");
            self.scalars(scalars, names.selector.map_or(&[], |selector| &selector.outputs));
            self.text(")");
        }
        if let Some(structure) = structure {
            self.text(" output ");
            self.structure(
                structure,
                names.selector.and_then(|selector| selector.output.as_deref()),
            );
        }
        let told = structure.as_ref().map_or(0, Payload::length);
        if let Some(size) = structure_size
            && *size != told
        {
            self.text(" size ");
            self.number(*size);
        }
    }

    pub(super) fn call(&mut self, call: &Call, names: Names<'_>) {
        self.number(call.selector);
        self.name(names.selector.map(|selector| &*selector.name));
        self.text("(");
        self.scalars(&call.scalars, names.selector.map_or(&[], |selector| &selector.inputs));
        if call.scalar_count as usize != call.scalars.len() {
            self.text(" of ");
            self.number(call.scalar_count);
        }
        self.text(")");
        let described = names.selector.and_then(|selector| selector.input.as_deref());
        match &call.input {
            Structure::None => {}
            Structure::Bytes(data) => {
                self.text(" input ");
                self.structure(data, described);
            }
            Structure::Shared { memory, data } => {
                self.text(" input memory ");
                self.number(*memory);
                self.text(", ");
                self.structure(data, described);
            }
            Structure::Null { size } => {
                self.text(" input NULL of ");
                self.size(*size);
            }
            Structure::Unmapped { size } => {
                self.text(" input nowhere of ");
                self.size(*size);
            }
        }
        if call.scalars_asked != 0 {
            self.text(" asks ");
            self.number(call.scalars_asked);
            self.text(if call.scalars_asked == 1 { " scalar" } else { " scalars" });
        }
        let asks = if call.scalars_asked != 0 { ", " } else { " asks " };
        match call.output {
            OutputKind::None => {}
            OutputKind::Bytes { size } => {
                self.text(asks);
                self.size(size);
            }
            OutputKind::Shared { memory, size } => {
                self.text(asks);
                self.text("memory ");
                self.number(memory);
                self.text(" of ");
                self.size(size);
            }
            OutputKind::Null { size } => {
                self.text(asks);
                self.text("NULL of ");
                self.size(size);
            }
            OutputKind::Unmapped { size } => {
                self.text(asks);
                self.text("nowhere of ");
                self.size(size);
            }
            OutputKind::Variable => {
                self.text(asks);
                self.text("variable output");
            }
        }
    }

    pub(super) fn other_call(&mut self, call: &OtherCall) {
        match call {
            OtherCall::SetNotificationPort { notification_type, queue, .. } => {
                self.text("set notification port of type ");
                self.number(*notification_type);
                match queue {
                    Some(queue) => {
                        self.text(" to queue ");
                        self.number(*queue);
                    }
                    None => self.text(" to none"),
                }
            }
            OtherCall::AddClient { client: Some(client) } => {
                self.text("add client c");
                self.number(*client);
            }
            OtherCall::AddClient { client: None } => {
                self.text("add client, which is no connection")
            }
            OtherCall::GetService => self.text("get service"),
            OtherCall::SetProperties { properties: Some(properties) } => {
                self.text("set properties ");
                self.value(properties);
            }
            OtherCall::SetProperties { properties: None } => {
                self.text("set properties that cannot be serialised");
            }
            OtherCall::Trap { index, arguments } => {
                self.text("trap ");
                self.number(*index);
                self.text("(");
                self.scalars(arguments, &[]);
                self.text(")");
            }
            OtherCall::AddRef => self.text("add a right"),
            OtherCall::Release => self.text("release a right"),
        }
    }

    /// A place in a memory, with the field that begins there.
    pub(super) fn place(&mut self, memory: u32, offset: u64, names: Names<'_>) {
        self.text(" memory ");
        self.number(memory);
        self.text("+");
        self.hex(offset);
        if let Some(field) = names.memory.and_then(|memory| memory.field_at(offset)) {
            self.text(" ");
            self.text(&field);
        }
    }

    /// Bytes of a memory, by the fields that they are where they are whole ones.
    pub(super) fn part(&mut self, offset: u64, data: &Payload, names: Names<'_>) {
        if let (Some(memory), Payload::Bytes(bytes)) = (names.memory, data)
            && let Some(values) = memory.describe_part(offset, bytes)
        {
            return self.text(&values);
        }
        self.payload(data);
    }
}
