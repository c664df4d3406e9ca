//! `diff`: two tapes beside each other.

use crate::exit::Failure;
use crate::output::{Format, Output};
use crate::place::shown;
use crate::task_picture::{called, names, page_failed, protocol, write_page};
use clap::{Args, ValueEnum};
use dextape::tape::Tape;
use dextape_lab::{DiffOptions, DiffText, Names, diff, diff_page};
use serde_json::json;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Which tapes are compared, and how that is told.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 the traffic is the same; 1 it differs; 2 a tape cannot be read. \
                        Times, sequence numbers and what the headers' rules mask are not compared."
)]
pub(crate) struct Diff {
    /// The first tape.
    a: PathBuf,
    /// The second tape.
    b: PathBuf,
    /// Print how many operations changed, moved, went and came, and nothing else.
    #[arg(long)]
    stat: bool,
    /// Compare fields that differ as counters, times and handles do, too, and show every change.
    #[arg(long)]
    all: bool,
    /// Show this many operations around each change.
    #[arg(short = 'U', long, value_name = "N", default_value_t = 3)]
    context: usize,
    /// Write a page that shows both tapes side by side: one file, without a network.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// A protocol description whose names are used.
    #[arg(long, value_name = "FILE")]
    protocol: Option<PathBuf>,
    /// When to use colours.
    #[arg(long, value_enum, default_value_t)]
    color: Color,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Color {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    fn is_wanted(self) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                !refused && std::io::stdout().is_terminal()
            }
        }
    }
}

/// Compares. Takes the output, because that the tapes differ is said by the exit code after it is written.
pub(crate) fn run(asked: &Diff, out: Output) -> Result<(), Failure> {
    let (a, b) = (read(&asked.a)?, read(&asked.b)?);
    let protocol = protocol(asked.protocol.as_deref())?;
    let names = names(protocol.as_ref());
    let options = DiffOptions::default().all(asked.all);
    let diff = diff(&a, &b, options, names).map_err(unreadable)?;
    let (from, to) = (shown(&asked.a), shown(&asked.b));
    let text = DiffText {
        diff: &diff,
        a: &a,
        b: &b,
        titles: [&from, &to],
        names,
        context: asked.context,
        colour: asked.color.is_wanted(),
    };
    match tell(asked, &text, names, out) {
        // That nobody reads on says nothing of the tapes.
        Ok(()) | Err(Failure::ReaderGone) if !diff.is_same() => Err(Failure::Differs),
        told => told,
    }
}

fn tell(
    asked: &Diff,
    text: &DiffText<'_>,
    names: &dyn Names,
    mut out: Output,
) -> Result<(), Failure> {
    let DiffText { diff, a, b, .. } = *text;
    if let Some(to) = &asked.html {
        let (from, with) = (called(&asked.a), called(&asked.b));
        let html = diff_page(diff, (a, &from), (b, &with), names).map_err(page_failed)?;
        write_page(to, &html, &mut out, 0)?;
    }
    match (out.format(), asked.stat) {
        _ if asked.html.is_some() => {}
        (Format::Text, true) => out.line(text.stat())?,
        (Format::Text, false) => {
            out.text(text)?;
            out.line(text.stat())?;
        }
        (Format::Json, true) => {
            out.line(json!({ "same": diff.is_same(), "counts": diff.counts }))?
        }
        (Format::Json, false) => out.line(diff.to_json(a, b, names))?,
    }
    out.finish()
}

/// A tape that cannot be read is no tape that differs.
fn read(path: &Path) -> Result<Tape, Failure> {
    Tape::read(path).map_err(unreadable)
}

fn unreadable(error: dextape::tape::TapeError) -> Failure {
    Failure::environment(error)
}
