//! The table of the tape's format: every field of an event line with its form, and the fields of every
//! kind. Reader, writer, schema and tests go by it.

/// Largest number that stands on a tape as a JSON number: what JavaScript and jq hold exactly.
pub(super) const NUMBER_MAX: u64 = (1 << 53) - 1;

/// How a field is spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// JSON number up to [`NUMBER_MAX`].
    Count,
    /// JSON number of 32 bits.
    Number,
    /// 64-bit value as `0x` and digits.
    Hex,
    /// The same, or `null`.
    HexOrNull,
    /// Array of 64-bit values.
    Hexes,
    /// Array of 32-bit JSON numbers.
    Numbers,
    /// Array of counts.
    Counts,
    /// Any text.
    Text,
    /// Result code: a name or hex.
    Code,
    /// Bytes: hex, or where they are.
    Payload,
    /// `true`; left out otherwise.
    Flag,
    /// 1, 2, 4 or 8.
    Width,
    /// Name of a kind.
    Kind,
    /// One of a few words.
    Word(&'static [&'static str]),
    /// Conditions of a matching dictionary.
    Matching,
    /// A registry value.
    Value,
    /// Array of pairs of 32-bit numbers.
    Pairs,
    /// Array of memories of a keyframe.
    Memories,
}

macro_rules! fields {
    ($($field:ident $key:literal $form:expr, $about:literal;)*) => {
        /// A field of an event line.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Field { $($field,)* }

        impl Field {
            /// All fields, in the order in which they are written.
            pub(super) const ALL: &'static [Self] = &[$(Self::$field,)*];

            /// The key on the tape.
            pub(super) const fn key(self) -> &'static str {
                match self { $(Self::$field => $key,)* }
            }

            /// The field of a key.
            pub(super) fn of(key: &str) -> Option<Self> {
                match key { $($key => Some(Self::$field),)* _ => None }
            }

            /// How the field is spelled.
            pub(super) const fn form(self) -> Form {
                match self { $(Self::$field => $form,)* }
            }

            /// What the field says, for people.
            #[cfg_attr(not(feature = "schema"), expect(dead_code, reason = "for the schema"))]
            pub(super) const fn about(self) -> &'static str {
                match self { $(Self::$field => $about,)* }
            }
        }
    };
}

pub(super) const CAPTURES: &[&str] =
    &["accessor", "page_protection", "trap", "sync_points", "uncaptured", "registers"];
pub(super) const OPERATIONS: &[&str] = &["swap", "add", "or", "and", "compare_exchange"];
pub(super) const OTHER_CALLS: &[&str] = &[
    "set_notification_port",
    "add_client",
    "get_service",
    "set_properties",
    "trap",
    "add_ref",
    "release",
];
pub(super) const SUBJECTS: &[&str] = &["trigger", "uncaptured"];
pub(super) const NOTICES: &[&str] = &["arrived", "terminated"];

fields! {
    Sequence "seq" Form::Count, "Global sequence number, from 1 on.";
    Process "process" Form::Number, "Process, from 1 on. Default 1.";
    Lane "lane" Form::Number, "Client thread, from 1 on; 0 is the device's side.";
    Position "pos" Form::Count, "Position in the lane, from 1 on.";
    Connection "conn" Form::Number, "Connection that the event belongs to.";
    Cause "cause" Form::Count, "Sequence number of the event that brought this one about.";
    Time "time" Form::Hex, "Nanoseconds since the recording began. Default 0.";
    Kind "kind" Form::Kind, "What happened.";
    MustUnderstand "must_understand" Form::Flag, "A reader that does not know the kind must refuse the tape.";

    Matching "matching" Form::Matching, "What was looked for: conditions by key.";
    Service "service" Form::Number, "Number of a service.";
    Services "services" Form::Numbers, "Services found.";
    Key "key" Form::Text, "Key of the property; left out where all were read.";
    Value "value" Form::Value, "Value of the property; left out where there is none.";
    Queue "queue" Form::Number, "Number of a queue.";
    Notice "notice" Form::Word(NOTICES), "What happened to the service.";
    OpenType "open_type" Form::Number, "Type given to the open. Default 0.";
    Selector "selector" Form::Number, "Selector of the call.";
    Scalars "scalars" Form::Hexes, "Scalars handed in or returned. Default none.";
    ScalarCount "scalar_count" Form::Number, "Scalars that the client stated. Default: as many as are listed.";
    Input "input" Form::Payload, "Structure handed in.";
    InputMemory "input_memory" Form::Number, "Shared buffer that the structure handed in is.";
    InputNull "input_null" Form::Hex, "Size stated with a NULL structure.";
    InputUnmapped "input_unmapped" Form::Hex, "Size stated with a pointer to where nothing is mapped.";
    ScalarsAsked "scalars_asked" Form::Number, "Scalars asked for. Default 0.";
    OutputSize "output_size" Form::Hex, "Bytes asked for.";
    OutputMemory "output_memory" Form::Number, "Shared buffer for the structure asked for.";
    OutputNull "output_null" Form::Hex, "Size stated with a NULL output.";
    OutputUnmapped "output_unmapped" Form::Hex, "Size stated with room where nothing is mapped.";
    OutputVariable "output_variable" Form::Flag, "Variable output was asked for.";
    Structure "structure" Form::Payload, "Structure returned, or the buffer after the call.";
    StructureSize "structure_size" Form::HexOrNull, "Size returned. Default after success: that of the structure, or 0; after failure: null.";
    Ordinal "ordinal" Form::Count, "Which completion of its call this is. Default 1.";
    Status "status" Form::Code, "Status of the completion. Default kIOReturnSuccess.";
    Arguments "arguments" Form::Hexes, "Arguments of the completion. Default none.";
    Reference "reference" Form::Hexes, "Asynchronous reference, entry 0 blanked; of a completion without trailing zeros.";
    Polls "polls" Form::Count, "Polls of the queue that found nothing before this. Default 0.";
    Timeout "timeout" Form::Hex, "Longest wait in nanoseconds; left out where it is for ever.";
    TimedOut "timed_out" Form::Flag, "The timeout passed.";
    MemoryType "memory_type" Form::Number, "Memory type. Default 0.";
    Options "options" Form::Hex, "The client's map options.";
    Address "address" Form::Hex, "Address asked for. Default 0.";
    Memory "memory" Form::Number, "Number of a memory; aliases share it.";
    Length "length" Form::Hex, "The descriptor's length in bytes.";
    Size "size" Form::Hex, "Accessible bytes.";
    Capture "capture" Form::Word(CAPTURES), "How accesses were seen. Default accessor.";
    ReadOnly "read_only" Form::Flag, "The client's writes are refused.";
    Offset "offset" Form::Hex, "First byte. Default 0.";
    Width "width" Form::Width, "Width of a typed access in bytes.";
    Data "data" Form::Payload, "The bytes.";
    Operation "op" Form::Word(OPERATIONS), "What was done to the word.";
    Expected "expected" Form::Hex, "What the word had to be for the exchange.";
    Operand "operand" Form::Hex, "Operand of the update.";
    Read "read" Form::Count, "Which overlapping read of the lane saw it. Default 1.";
    LastEqual "last_equal" Form::Count, "Event after which the bytes were last seen equal.";
    Unattributed "unattributed" Form::Flag, "The client itself may have made the change.";
    Events "events" Form::Count, "Events missing, where it is known.";
    Reason "reason" Form::Text, "Why, for people.";
    Connections "connections" Form::Pairs, "Open connections: number and service.";
    Memories "memories" Form::Memories, "Live memories.";
    Queues "queues" Form::Numbers, "Live completion queues.";
    Pending "pending" Form::Counts, "Asynchronous calls that may still complete.";
    Child "child" Form::Number, "Process number of the child.";
    What "what" Form::Word(OTHER_CALLS), "Which call beside methods and memory it is.";
    NotificationType "notification_type" Form::Number, "Type of notification. Default 0.";
    Client "client" Form::Number, "Number of the connection that is added; left out for what is none.";
    Index "index" Form::Number, "Index of the trap. Default 0.";
    Subject "subject" Form::Word(SUBJECTS), "What the note is about.";
    Result "result" Form::Code, "What the client was told. Default: it worked.";
}

// A line notes the fields that it has in one word.
const _: () = assert!(Field::ALL.len() <= 128);

impl Field {
    /// Bit of the field in a set of fields.
    pub(super) const fn bit(self) -> u128 {
        1 << self as u32
    }

    /// True for the fields that every event has.
    pub(super) const fn is_common(self) -> bool {
        (self as u32) <= Self::MustUnderstand as u32
    }
}

macro_rules! kinds {
    ($($kind:ident $name:literal [$($required:ident)*] [$($optional:ident)*];)*) => {
        /// A kind of event that this version knows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "named as the variants of `Body`, which are described")]
        #[non_exhaustive]
        pub enum Kind { $($kind,)* }

        impl Kind {
            /// All kinds.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The name on the tape.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            /// The kind of a name.
            #[must_use]
            pub fn of(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$kind),)* _ => None }
            }

            /// Set of the fields without which the event says nothing.
            pub(super) const fn required(self) -> u128 {
                match self { $(Self::$kind => 0 $(| Field::$required.bit())*,)* }
            }

            /// Set of all fields of the kind, but for the common ones.
            pub(super) const fn fields(self) -> u128 {
                self.required()
                    | match self { $(Self::$kind => 0 $(| Field::$optional.bit())*,)* }
            }
        }
    };
}

kinds! {
    Matched "matched" [Matching] [Services Result];
    Property "property" [Service] [Key Value Result];
    Watch "watch" [Queue Matching] [Result];
    Notice "notice" [Queue Notice Service] [];
    Queue "queue" [Queue] [];
    Open "open" [Service] [OpenType];
    Opened "opened" [] [];
    OpenFailed "open_failed" [Result] [];
    Call "call" [Selector] [Scalars ScalarCount Input InputMemory InputNull InputUnmapped ScalarsAsked OutputSize OutputMemory OutputNull OutputUnmapped OutputVariable];
    AsyncCall "async_call" [Selector] [Scalars ScalarCount Input InputMemory InputNull InputUnmapped ScalarsAsked OutputSize OutputMemory OutputNull OutputUnmapped OutputVariable Queue Reference];
    Return "return" [] [Result Scalars StructureSize Structure];
    Posted "posted" [] [Ordinal Status Arguments Reference];
    Delivered "delivered" [Queue] [Polls];
    Wait "wait" [Queue] [Timeout];
    Woke "woke" [] [TimedOut];
    Map "map" [Options] [MemoryType Address];
    Mapped "mapped" [] [Memory Length Size Capture ReadOnly Result];
    Unmap "unmap" [] [MemoryType Memory];
    Unmapped "unmapped" [] [Result];
    Close "close" [] [];
    Closed "closed" [] [Result];
    OtherCall "other_call" [What] [NotificationType Queue Reference Client Value Index Scalars];
    OtherReturn "other_return" [] [Service Result];
    Write "write" [Memory Data] [Offset Width];
    Update "update" [Memory Width Operation Operand] [Offset Expected];
    Patch "patch" [Memory Data] [Offset Read LastEqual Unattributed];
    Terminated "terminated" [] [Service];
    Gap "gap" [Reason] [Events];
    Keyframe "keyframe" [] [Connections Memories Queues Pending];
    Fork "fork" [Child] [];
    Exec "exec" [] [];
    Note "note" [Subject Reason] [Memory];
}
