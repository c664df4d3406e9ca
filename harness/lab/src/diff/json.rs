//! A comparison for programs.

use super::diff::{Change, Diff, DiffCounts, DiffEntry, DiffSide};
use super::field_change::FieldChange;
use super::text::words;
use super::volatile::VolatileField;
use crate::view::{Links, Names};
use dextape::tape::Tape;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Serialize)]
struct Told<'a> {
    same: bool,
    counts: &'a DiffCounts,
    header: &'a [FieldChange],
    volatile: &'a [VolatileField],
    entries: Vec<Entry<'a>>,
    repeated: &'a BTreeMap<String, u64>,
}

#[derive(Serialize)]
struct Entry<'a> {
    change: Change,
    #[serde(skip_serializing_if = "Option::is_none")]
    a: Option<Item>,
    #[serde(skip_serializing_if = "Option::is_none")]
    b: Option<Item>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    fields: &'a [FieldChange],
}

#[derive(Serialize)]
struct Item {
    sequence: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    leave: Option<u64>,
    process: u32,
    lane: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<u32>,
    kind: String,
    text: String,
}

impl Diff {
    /// The comparison as one JSON value:
    ///
    /// - `same`: whether the traffic is the same.
    /// - `counts`: items by `same`, `changed`, `moved`, `removed`, `inserted`.
    /// - `header`: fields of the headers that differ, each with `name`, `a` and `b`.
    /// - `volatile`: fields that were folded away: `selector`, `field`, `class`, `differs`, `compared`,
    ///   `example`.
    /// - `entries`: each item that is not the same: `change`; `a` and `b` where that tape has it, with
    ///   `sequence`, `leave` (sequence number of the leave), `process`, `lane`, `connection`, `kind` and
    ///   `text`; `fields` that differ, with `name`, `offset` where it is a range of bytes, `a` and `b`
    ///   (`null` where that tape has nothing).
    /// - `repeated`: how often changes came that are told in `entries` a few times only.
    #[must_use]
    pub fn to_json<'a>(&'a self, a: &Tape, b: &Tape, names: &dyn Names) -> Value {
        let links = [Links::of(a.events()), Links::of(b.events())];
        let item = |tape: &Tape, links: &Links, side: DiffSide| {
            let event = tape.events().get(side.event)?;
            Some(Item {
                sequence: event.sequence,
                leave: side.leave.and_then(|leave| Some(tape.events().get(leave)?.sequence)),
                process: event.process,
                lane: event.lane,
                connection: event.connection,
                kind: event.body.name().to_owned(),
                text: words(tape, links, side, names),
            })
        };
        let tells = |entry: &&DiffEntry| entry.change != Change::Same && !entry.repeats;
        let entry = |entry: &'a DiffEntry| {
            let DiffEntry { change, a: ours, b: theirs, fields, .. } = entry;
            Entry {
                change: *change,
                a: ours.and_then(|side| item(a, &links[0], side)),
                b: theirs.and_then(|side| item(b, &links[1], side)),
                fields,
            }
        };
        let told = Told {
            same: self.is_same(),
            counts: &self.counts,
            header: &self.header,
            volatile: &self.volatile,
            entries: self.entries.iter().filter(tells).map(entry).collect(),
            repeated: &self.repeated,
        };
        serde_json::to_value(told).unwrap_or_default()
    }
}
