//! Records that are kept, and whose they are.

use crate::journal::kind;
use crate::journal::layout::{split_word_0, u64_at};
use std::collections::BTreeMap;

/// A record that is kept, from its word 0 on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pinned {
    pub(super) position: u64,
    /// The how many-th event it was; 0 where it is none.
    pub(super) ordinal: u64,
    pub(super) bytes: Vec<u8>,
}

impl Pinned {
    pub(super) fn new(position: u64, ordinal: u64, bytes: &[u8]) -> Self {
        Self { position, ordinal, bytes: bytes.to_vec() }
    }

    /// Bytes that it takes in a saved state.
    pub(super) fn cost(&self) -> u64 {
        self.bytes.len() as u64 + 40
    }

    /// Kind of the record.
    pub(super) fn kind(&self) -> u8 {
        split_word_0(u64_at(&self.bytes, 0)).map_or(kind::CHUNK, |(_, kind, _)| kind)
    }

    /// Its time.
    pub(super) fn time(&self) -> u64 {
        u64_at(&self.bytes, 24)
    }
}

/// What becomes of an operation once it is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Nothing.
    Drop,
    /// Of the time before a lane has a connection.
    Opening,
    /// It belongs to the beginning of this connection, or to its end.
    Connection(u32),
    /// A map of this connection, later than its beginning.
    Map(u32),
    /// Such a map, of this memory: it is kept as long as it lasts.
    Mapped(u32, u32),
    /// A call that was asked to be kept.
    Sticky,
    /// A call that may still complete.
    Pending(u64),
}

/// What is known of a connection.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Connection {
    pub(super) service: u32,
    pub(super) calls: u32,
    pub(super) closed: bool,
    /// Events that were kept of its beginning, and their bytes.
    pub(super) events: u32,
    pub(super) bytes: u64,
    pub(super) records: Vec<Pinned>,
    /// Maps that came later than its beginning, by memory.
    pub(super) maps: BTreeMap<u32, Vec<Pinned>>,
}

/// What is known of a lane.
#[derive(Clone, Debug, Default)]
pub(super) struct Lane {
    /// The connection that it used last.
    pub(super) connection: Option<u32>,
    /// Events before that.
    pub(super) loose: u32,
    /// The how many-th event its last one was.
    pub(super) touched: u64,
    /// The operation that it is in.
    pub(super) underway: Option<Underway>,
    /// Further fields of its next event.
    pub(super) fields: Option<Pinned>,
    /// Room of a record that was dropped, to be used again.
    pub(super) spare: Vec<u8>,
}

impl PartialEq for Lane {
    fn eq(&self, other: &Self) -> bool {
        // Not the spare room.
        (self.connection, self.loose, self.touched)
            == (other.connection, other.loose, other.touched)
            && (&self.underway, &self.fields) == (&other.underway, &other.fields)
    }
}

/// An operation that has been entered.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Underway {
    pub(super) class: Class,
    /// What stands before its enter and belongs to it: further fields, chunks.
    pub(super) before: Vec<Pinned>,
    pub(super) enter: Pinned,
    /// False where there was no room for more than the beginning of its enter.
    pub(super) whole: bool,
}

impl Underway {
    /// Bytes that it takes.
    pub(super) fn cost(&self) -> u64 {
        self.enter.cost() + self.before.iter().map(Pinned::cost).sum::<u64>()
    }
}

/// What is known of a queue.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Queue {
    /// The how many-th event named it last.
    pub(super) touched: u64,
    pub(super) records: Vec<Pinned>,
}

/// What is known of an asynchronous call.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct AsyncCall {
    pub(super) connection: u32,
    pub(super) completions: u64,
    /// The how many-th event the last of them was.
    pub(super) completed: u64,
    /// Completions that nobody has taken yet.
    pub(super) waiting: u32,
    /// Its connection is closed, or it failed: it completes no more.
    pub(super) done: bool,
    pub(super) records: Vec<Pinned>,
}

impl AsyncCall {
    /// True where it may complete: it never did, or did more than once.
    pub(super) fn is_pending(&self) -> bool {
        !self.done && self.completions != 1
    }
}

/// A completion that nobody has taken yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Posted {
    /// Token of its call.
    pub(super) call: u64,
    pub(super) records: Vec<Pinned>,
}
