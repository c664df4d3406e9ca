//! `show --html`, `--perfetto` and `--tui`: a tape to look at.

use crate::Registry;
use crate::exit::Failure;
use crate::output::Output;
use crate::place::shown;
use crate::play::{divergence, scenario_of};
use clap::Args;
use dextape::protocol::Protocol;
use dextape::tape::Tape;
use dextape_lab::{Hex, Mark, MarkKind, Names, PageError, page, perfetto};
use serde_json::json;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A tape as a picture, whole: filters are for transcripts.
#[derive(Debug, Args)]
pub(crate) struct Picture {
    /// Write a page to look at: one file, without a network.
    #[arg(long, value_name = "FILE", conflicts_with_all = FILTERS)]
    html: Option<PathBuf>,
    /// Write a trace for ui.perfetto.dev or chrome://tracing.
    #[arg(long, value_name = "FILE", conflicts_with_all = FILTERS)]
    perfetto: Option<PathBuf>,
    /// Show the tape in this terminal, to search and look through.
    #[cfg(feature = "tui")]
    #[arg(long, conflicts_with_all = FILTERS, conflicts_with_all = ["html", "perfetto"])]
    tui: bool,
    /// Replay the tape to its scenario's client first, and mark where that diverges (--html, --perfetto).
    #[arg(long)]
    replay: bool,
}

const FILTERS: [&str; 7] = ["hex", "times", "selector", "connection", "lane", "kinds", "errors"];

impl Picture {
    pub(crate) fn is_asked(&self) -> bool {
        self.html.is_some() || self.perfetto.is_some() || self.is_tui()
    }

    fn is_tui(&self) -> bool {
        #[cfg(feature = "tui")]
        return self.tui;
        #[cfg(not(feature = "tui"))]
        return false;
    }

    pub(crate) fn show(
        &self,
        registry: &Registry,
        path: &Path,
        described: Option<&Path>,
        out: &mut Output,
    ) -> Result<(), Failure> {
        let tape = Arc::new(read(path)?);
        let protocol = protocol(described)?;
        let names = names(protocol.as_ref());
        let called = called(path);
        #[cfg(feature = "tui")]
        if self.tui {
            let mut state = dextape_lab::terminal::State::new(&tape, &called, names);
            return dextape_lab::terminal::run(&mut state).map_err(Failure::environment);
        }
        let mut marks = Vec::new();
        if self.replay {
            let (scenario, parameters) = scenario_of(&registry.scenarios, &tape)?;
            if let Some((place, text)) = divergence(scenario, &parameters, &tape)? {
                let last = tape.events().last().map_or(0, |event| event.sequence);
                let sequence = place.unwrap_or(last);
                marks.push(Mark { sequence, kind: MarkKind::Divergence, text });
            }
        }
        let marked = marks.len();
        if let Some(to) = &self.html {
            let html = page(&tape, &called, &marks, names).map_err(page_failed)?;
            write_page(to, &html, out, marked)?;
        }
        if let Some(to) = &self.perfetto {
            let file = fs_err::File::create(to).map_err(Failure::environment)?;
            perfetto(&tape, &marks, names, BufWriter::new(file)).map_err(Failure::environment)?;
            let to = shown(to);
            out.result(
                || format!("{to}: {} events; open it in ui.perfetto.dev", tape.events().len()),
                || json!({ "perfetto": to, "events": tape.events().len(), "marks": marked }),
            )?;
        }
        Ok(())
    }
}

/// Reads a tape; `-` is standard input.
fn read(path: &Path) -> Result<Tape, Failure> {
    let tape = match path.to_str() {
        Some("-") => dextape::tape::TapeReader::from_stream(Box::new(std::io::stdin()))
            .and_then(Tape::collect),
        _ => Tape::read(path),
    };
    tape.map_err(|error| Failure::tape(&error))
}

/// Reads a protocol description, if one is named.
pub(crate) fn protocol(path: Option<&Path>) -> Result<Option<Protocol>, Failure> {
    path.map(Protocol::read).transpose().map_err(Failure::environment)
}

/// The names of a protocol, or hex.
pub(crate) fn names(protocol: Option<&Protocol>) -> &dyn Names {
    match protocol {
        Some(protocol) => protocol,
        None => &Hex,
    }
}

/// What a page calls a tape: its name without folders, which say something of the machine.
pub(crate) fn called(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

pub(crate) fn page_failed(error: PageError) -> Failure {
    match error {
        PageError::Tape(error) => Failure::tape(&error),
        error => Failure::environment(error),
    }
}

/// Writes a page, and says so.
pub(crate) fn write_page(
    to: &Path,
    html: &str,
    out: &mut Output,
    marks: usize,
) -> Result<(), Failure> {
    fs_err::write(to, html).map_err(Failure::environment)?;
    let to = shown(to);
    out.result(
        || {
            let marked = if marks > 0 { ", with the divergence of a replay" } else { "" };
            format!("{to}: {} KiB{marked}; open it in a browser", html.len().div_ceil(1024))
        },
        || json!({ "html": to, "bytes": html.len(), "marks": marks }),
    )
}
