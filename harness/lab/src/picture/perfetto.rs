//! A tape as a trace in the format of Chrome, which the viewer of Perfetto reads.

use super::mark::{Mark, fault_marks};
use crate::view::{
    FieldName, FieldValue, Links, Names, for_each_field, is_failure, printable, shown, title,
};
use dextape::tape::{Body, Event, Tape};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::io::{self, Write};

/// Nanoseconds of an event in a tape whose time stands still: its place is its time.
const STEP: u64 = 1000;

/// Writes the tape as a JSON object with `traceEvents`, as the *Trace Event Format* has it:
///
/// - processes are those of the tape, threads are its lanes; lane 0 is called `device`, others `thread N`;
/// - an operation is a complete event (`ph` `X`, with `ts` and `dur`), anything else an instant of its
///   thread (`i`);
/// - a completion is a flow from its call over where it was posted to where it was delivered (`s`, `t`,
///   `f`), numbered by the sequence number of its posted event;
/// - calls that are pending are a counter (`C`);
/// - `args` hold connection, sequence number, position, and each field by its name;
/// - marks, and faults that the tape was recorded with, are instants of their process.
///
/// `ts` and `dur` are microseconds. Where the time of the tape stands still from its first event to its
/// last, each event takes a microsecond, so that their order is to be seen.
///
/// # Errors
///
/// The output fails.
pub fn perfetto<W: Write>(
    tape: &Tape,
    marks: &[Mark],
    names: &dyn Names,
    mut to: W,
) -> io::Result<W> {
    let events = tape.events();
    let links = Links::of(events);
    let stands = events.first().map(|event| event.time) == events.last().map(|event| event.time);
    let time = |place: usize, event: &Event| if stands { place as u64 * STEP } else { event.time };
    to.write_all(b"{\"displayTimeUnit\":\"ns\",\"otherData\":")?;
    let other = json!({
        "recorder": tape.header().recorder,
        "time": format!("{:?}", tape.header().time).to_lowercase(),
        "axis": if stands { "order" } else { "time" },
    });
    serde_json::to_writer(&mut to, &other)?;
    to.write_all(b",\"traceEvents\":[\n")?;
    let mut out = Lines { to, first: true };
    let lanes: BTreeSet<(u32, u32)> = events.iter().map(|it| (it.process, it.lane)).collect();
    for (process, lane) in lanes {
        let name = if lane == 0 { "device".to_owned() } else { format!("thread {lane}") };
        // The device's side stands below the client's threads.
        let index = if lane == 0 { u32::MAX } else { lane };
        for (what, args) in [
            ("thread_name", json!({ "name": name })),
            ("thread_sort_index", json!({ "sort_index": index })),
        ] {
            out.line(
                json!({ "ph": "M", "name": what, "pid": process, "tid": lane, "args": args }),
            )?;
        }
    }
    let mut pending = 0_u64;
    for (place, event) in events.iter().enumerate() {
        let cause = links.cause(place);
        if cause.is_some_and(|enter| links.leave(enter) == Some(place)) {
            // Its enter has told it; but a call that failed has no completions to come.
            continue;
        }
        let at = time(place, event);
        let mut args = args_of(event, place, &links, names);
        let leave = links.leave(place).map(|leave| (leave, &events[leave]));
        let mut told = json!({
            "name": title(event, place, &links, names),
            "cat": category(&event.body),
            "pid": event.process,
            "tid": event.lane,
            "ts": micros(at),
        });
        let failed = leave.map_or(is_failure(&event.body), |(_, leave)| is_failure(&leave.body));
        if failed {
            told["cname"] = json!("terrible");
        }
        if let Some((leave_at, leave)) = leave {
            args.extend(args_of(leave, leave_at, &links, names));
            told["ph"] = json!("X");
            told["dur"] = micros(time(leave_at, leave).saturating_sub(at));
        } else {
            told["ph"] = json!("i");
            told["s"] = json!("t");
        }
        args.insert("sequence".to_owned(), json!(event.sequence));
        args.insert("position".to_owned(), json!(event.position));
        if let Some(connection) = event.connection {
            args.insert("connection".to_owned(), json!(connection));
        }
        told["args"] = Value::Object(args);
        out.line(told)?;
        let flow = |phase: &str, id: u64, event: &Event, at: u64| {
            let mut flow = json!({
                "ph": phase, "name": "completion", "cat": "completion", "id": id,
                "pid": event.process, "tid": event.lane, "ts": micros(at),
            });
            if phase == "f" {
                // Binds to what encloses it, not to what comes next.
                flow["bp"] = json!("e");
            }
            flow
        };
        match &event.body {
            Body::Posted { .. } => {
                if let Some(call) = cause {
                    let submitted = &events[call];
                    out.line(flow("s", event.sequence, submitted, time(call, submitted)))?;
                    out.line(flow("t", event.sequence, event, at))?;
                }
            }
            Body::Delivered { .. } => {
                if let Some(posted) = cause {
                    out.line(flow("f", events[posted].sequence, event, at))?;
                }
            }
            _ => {}
        }
        let first = matches!(&event.body, Body::Posted { ordinal: 1, .. }) && cause.is_some();
        let asked = matches!(event.body, Body::AsyncCall { .. })
            && leave.is_none_or(|(_, leave)| !is_failure(&leave.body));
        if asked || first {
            pending = if asked { pending + 1 } else { pending.saturating_sub(1) };
            out.line(json!({
                "ph": "C", "name": "calls pending", "pid": event.process, "ts": micros(at),
                "args": { "calls": pending },
            }))?;
        }
    }
    let planned = fault_marks(tape).unwrap_or_default();
    for mark in marks.iter().chain(&planned) {
        let Some(place) = links.place(mark.sequence) else { continue };
        let event = &events[place as usize];
        out.line(json!({
            "ph": "i", "s": "p", "name": printable(&mark.text), "cat": mark.kind.word(),
            "pid": event.process, "tid": event.lane, "ts": micros(time(place as usize, event)),
            "args": { "sequence": event.sequence },
        }))?;
    }
    out.to.write_all(b"\n]}\n")?;
    out.to.flush()?;
    Ok(out.to)
}

/// Trace events, one a line.
struct Lines<W> {
    to: W,
    first: bool,
}

impl<W: Write> Lines<W> {
    fn line(&mut self, event: Value) -> io::Result<()> {
        if !std::mem::take(&mut self.first) {
            self.to.write_all(b",\n")?;
        }
        serde_json::to_writer(&mut self.to, &event).map_err(io::Error::from)
    }
}

/// Nanoseconds as the microseconds of a trace, to the nanosecond.
fn micros(nanoseconds: u64) -> Value {
    match nanoseconds % 1000 {
        0 => json!(nanoseconds / 1000),
        _ => json!(nanoseconds as f64 / 1000.0),
    }
}

fn category(body: &Body) -> &'static str {
    match body {
        Body::Call(_) | Body::OtherCall(_) => "call",
        Body::AsyncCall { .. } => "async_call",
        Body::Posted { .. } | Body::Delivered { .. } => "completion",
        Body::Wait { .. } => "wait",
        Body::Map { .. } | Body::Unmap { .. } => "mapping",
        Body::Write { .. } | Body::Update { .. } | Body::Patch { .. } => "memory",
        Body::Matched { .. } | Body::Property { .. } | Body::Watch { .. } | Body::Notice { .. } => {
            "registry"
        }
        _ => "life",
    }
}

fn args_of(event: &Event, place: usize, links: &Links, names: &dyn Names) -> Map<String, Value> {
    let mut args = Map::new();
    for_each_field(event, place, links, &mut |name: FieldName, value: FieldValue<'_>| {
        let key = name.shown(&value, names);
        args.insert(key, Value::String(shown(&value, names)));
    });
    args
}
