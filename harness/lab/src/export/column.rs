//! The columns of the table of events.

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// A text.
    Text,
    /// A number from 0 to 2^63 - 1; what is larger stands as 2^63 - 1.
    Number,
    /// True or false.
    Flag,
}

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: ColumnKind,
    /// What it says.
    pub about: &'static str,
}

const fn text(name: &'static str, about: &'static str) -> Column {
    Column { name, kind: ColumnKind::Text, about }
}

const fn number(name: &'static str, about: &'static str) -> Column {
    Column { name, kind: ColumnKind::Number, about }
}

/// The columns, in their order. Where an event has nothing to say, a column is left out of a line of JSON
/// and null in a Parquet file.
pub const COLUMNS: &[Column] = &[
    text("tape", "Path of the tape, from the folder that was asked for."),
    number("sequence", "Sequence number of the event."),
    number("process", "Process, from 1 on."),
    number("lane", "Client thread, from 1 on; 0 is the device's side."),
    number("position", "Position in the lane, from 1 on."),
    number("connection", "Number of the connection."),
    number("cause", "Sequence number of the event that brought this one about."),
    number("time_ns", "Nanoseconds since the recording began."),
    text("kind", "Kind of the event, such as call, return, posted."),
    number("call", "Sequence number of the call that the event is or comes from."),
    number("selector", "Selector of that call."),
    text("selector_name", "Its name, where a protocol description has one."),
    text("service", "What the connection was opened on: name or class of the service."),
    text("result", "What the client was told, or a completion's status: a name, or hex."),
    number("result_code", "The same as a number of 32 bits."),
    Column {
        name: "failed",
        kind: ColumnKind::Flag,
        about: "Whether the event tells of a failure, a gap, or a wait that ran out.",
    },
    number("duration_ns", "Of a leave: nanoseconds since its enter."),
    number("ordinal", "Which completion of its call it is, from 1 on."),
    text(
        "scalars",
        "Scalars handed in or returned, or a completion's arguments: hex, blanks between.",
    ),
    number("length", "Bytes handed in, returned, written or changed."),
    text("bytes", "The first 64 of them in hex, where they are on the tape."),
    number("memory", "Number of the memory."),
    number("memory_type", "Memory type that is mapped or unmapped."),
    number("memory_offset", "First byte in the memory."),
    number("queue", "Number of the completion queue."),
    text("text", "The event in words."),
];
