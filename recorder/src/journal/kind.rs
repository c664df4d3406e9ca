//! Numbers of the kinds of record, as they stand in word 0. A number is never used again.

macro_rules! kinds {
    ($($name:ident = $number:literal,)*) => {$(
        pub(crate) const $name: u8 = $number;
    )*};
}

kinds! {
    HEADER = 1,
    SERVICE = 2,
    CHUNK = 3,
    MATCHED = 10,
    PROPERTY = 11,
    WATCH = 12,
    NOTICE = 13,
    QUEUE = 14,
    OPEN = 20,
    OPENED = 21,
    OPEN_FAILED = 22,
    CALL = 30,
    ASYNC_CALL = 31,
    RETURN = 32,
    OTHER_CALL = 33,
    OTHER_RETURN = 34,
    POSTED = 40,
    DELIVERED = 41,
    WAIT = 42,
    WOKE = 43,
    MAP = 50,
    MAPPED = 51,
    UNMAP = 52,
    UNMAPPED = 53,
    CLOSE = 54,
    CLOSED = 55,
    WRITE = 60,
    UPDATE = 61,
    PATCH = 62,
    UNATTRIBUTED_PATCH = 63,
    TERMINATED = 70,
    GAP = 71,
    KEYFRAME = 72,
    FORK = 73,
    EXEC = 74,
    NOTE = 75,
    FIELDS = 76,
}
