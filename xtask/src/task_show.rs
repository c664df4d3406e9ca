//! `show`: a tape as people read it.

use crate::Registry;
use crate::exit::Failure;
use crate::output::{Format, Output};
use crate::task_picture::Picture;
use clap::Args;
use dextape::protocol::Protocol;
use dextape::tape::{
    Event, Header, Host, Kind, TapeReader, Transcript, TranscriptOptions, render_event,
};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;

/// Bytes of transcript that are collected before they are written.
const CHUNK: usize = 1 << 15;

/// What is shown of a tape.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The tape; `-` for standard input.
    tape: PathBuf,
    /// Show all bytes, as a dump below their line.
    #[arg(long)]
    hex: bool,
    /// Show the time of each line, in seconds since the recording began.
    #[arg(long)]
    times: bool,
    /// Only calls of this selector, with what they bring about.
    #[arg(long)]
    selector: Option<u32>,
    /// Only events of this connection.
    #[arg(long)]
    connection: Option<u32>,
    /// Only events of this lane, which is a thread of the client; 0 is the device's side.
    #[arg(long)]
    lane: Option<u32>,
    /// Only events of these kinds, such as call,mapped.
    #[arg(long = "kind", value_delimiter = ',', value_parser = kind)]
    kinds: Vec<Kind>,
    /// Only what failed, and gaps.
    #[arg(long)]
    errors: bool,
    /// Show selectors, fields and memories by the names of this protocol description.
    #[arg(long, value_name = "FILE")]
    protocol: Option<PathBuf>,
    #[command(flatten)]
    picture: Picture,
}

fn kind(name: &str) -> Result<Kind, String> {
    Kind::of(name).ok_or_else(|| {
        let known: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        format!("the kinds are {}", known.join(", "))
    })
}

/// Shows a tape, reading it as a stream. What stands before a broken line is shown, too.
pub(crate) fn run(registry: &Registry, asked: Show, out: &mut Output) -> Result<(), Failure> {
    if asked.picture.is_asked() {
        return asked.picture.show(registry, &asked.tape, asked.protocol.as_deref(), out);
    }
    let mut reader = match asked.tape.to_str() {
        Some("-") => TapeReader::from_stream(Box::new(std::io::stdin())),
        _ => TapeReader::open(&asked.tape),
    }
    .map_err(|error| Failure::tape(&error))?;
    let mut options = TranscriptOptions::default();
    if let Some(path) = &asked.protocol {
        let protocol = Protocol::read(path).map_err(|error| Failure::environment(&error))?;
        options.protocol = Some(Arc::new(protocol));
    }
    options.times = asked.times;
    options.hex = asked.hex;
    options.selector = asked.selector;
    options.connection = asked.connection;
    options.lane = asked.lane;
    options.kinds = asked.kinds;
    options.errors_only = asked.errors;
    match out.format() {
        Format::Text => text(&mut reader, options, out),
        Format::Json => as_json(&mut reader, options, out),
    }
}

fn text(
    reader: &mut TapeReader,
    options: TranscriptOptions,
    out: &mut Output,
) -> Result<(), Failure> {
    out.line(heading(reader.header()))?;
    let hex = options.hex;
    let mut transcript = Transcript::new(options);
    let mut lines = String::with_capacity(CHUNK * 2);
    let mut trouble = None;
    while let Some(event) = reader.next() {
        match event {
            Ok(event) if hex => {
                transcript.event_from(&event, &|digest| reader.load(digest), &mut lines);
            }
            Ok(event) => transcript.event(&event, &mut lines),
            Err(error) => {
                trouble = Some(Failure::tape(&error));
                break;
            }
        }
        if lines.len() > CHUNK {
            out.bytes(lines.as_bytes())?;
            lines.clear();
        }
    }
    transcript.finish(&mut lines);
    out.bytes(lines.as_bytes())?;
    trouble.map_or(Ok(()), Err)
}

fn as_json(
    reader: &mut TapeReader,
    options: TranscriptOptions,
    out: &mut Output,
) -> Result<(), Failure> {
    let mut transcript = Transcript::new(options);
    for event in reader {
        let event = event.map_err(|error| Failure::tape(&error))?;
        if transcript.wants(&event) {
            out.line(of_event(&event))?;
        }
    }
    Ok(())
}

fn of_event(event: &Event) -> Value {
    json!({
        "sequence": event.sequence,
        "process": event.process,
        "lane": event.lane,
        "connection": event.connection,
        "cause": event.cause,
        "kind": event.body.kind().map(Kind::name),
        "text": render_event(event).trim_start(),
    })
}

/// What a tape is, in a line.
pub(crate) fn heading(header: &Header) -> String {
    let host = match &header.host {
        Host::Mock => "a mock".to_owned(),
        Host::Mac { model, system } => format!("{model}, macOS {system}"),
    };
    let mut line = format!("tape {} by {}, of {host}", header.format, header.recorder);
    if let Some(scenario) = &header.scenario {
        line += &format!(", scenario {}", scenario.name);
    }
    if let Some(seed) = header.seed {
        line += &format!(", seed {seed}");
    }
    for note in &header.provenance {
        line += &format!("; {note}");
    }
    line
}
