//! `index` and `export`: many tapes as tables.

use crate::exit::Failure;
use crate::output::Output;
use crate::place::shown;
use crate::progress;
use crate::task_picture::{names, protocol};
use crate::task_verify::collect;
use clap::Args;
use dextape::tape::{TapeError, TapeReader};
use dextape_lab::{COLUMNS, Rows, summary};
use serde_json::json;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Which tapes are listed.
#[derive(Debug, Args)]
pub(crate) struct Index {
    /// Tapes, and folders of tapes.
    #[arg(required = true)]
    places: Vec<PathBuf>,
    /// The file that is written, JSON Lines; stdout by default.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Which tapes are written as a table, and where.
#[derive(Debug, Args)]
#[command(after_help = "Columns: cargo xtask export --columns. With DuckDB: \
                        SELECT kind, count(*) FROM 'events.jsonl' GROUP BY kind;")]
pub(crate) struct Export {
    /// Tapes, and folders of tapes.
    #[arg(required_unless_present = "columns")]
    places: Vec<PathBuf>,
    /// The file that is written: JSON Lines, or Parquet where its name ends in .parquet; JSON Lines on
    /// stdout by default.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// A protocol description whose names are used.
    #[arg(long, value_name = "FILE")]
    protocol: Option<PathBuf>,
    /// Print what the columns are, and nothing else.
    #[arg(long, conflicts_with_all = ["places", "out"])]
    columns: bool,
}

/// Each tape with what it is called: its path from the place that was asked for.
fn tapes(places: &[PathBuf]) -> Result<Vec<(PathBuf, String)>, Failure> {
    let mut found = Vec::new();
    for place in places {
        let mut tapes = Vec::new();
        collect(place, &mut tapes)?;
        for tape in tapes {
            let below = tape.strip_prefix(place).ok().filter(|it| !it.as_os_str().is_empty());
            let called = below.map_or_else(|| shown(&tape), |below| below.display().to_string());
            found.push((tape, called));
        }
    }
    if found.is_empty() {
        let places: Vec<_> = places.iter().map(|place| shown(place)).collect();
        return Err(Failure::environment(format!("find tapes in {}", places.join(", "))));
    }
    Ok(found)
}

/// What lines are written to.
enum Lines<'a> {
    Out(&'a mut Output),
    File(BufWriter<fs_err::File>),
}

impl<'a> Lines<'a> {
    fn to(path: Option<&Path>, out: &'a mut Output) -> Result<Self, Failure> {
        Ok(match path {
            None => Self::Out(out),
            Some(path) => Self::File(BufWriter::new(
                fs_err::File::create(path).map_err(Failure::environment)?,
            )),
        })
    }

    fn line(&mut self, line: impl std::fmt::Display) -> Result<(), Failure> {
        match self {
            Self::Out(out) => out.line(line),
            Self::File(file) => writeln!(file, "{line}").map_err(Failure::environment),
        }
    }

    fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Out(_) => Ok(()),
            Self::File(mut file) => file.flush().map_err(Failure::environment),
        }
    }
}

/// One line a tape. One that cannot be read has its error instead.
pub(crate) fn index(asked: &Index, out: &mut Output) -> Result<(), Failure> {
    let tapes = tapes(&asked.places)?;
    let bar = progress::bar("index", tapes.len() as u64);
    let mut lines = Lines::to(asked.out.as_deref(), out)?;
    for (path, called) in &tapes {
        let row = TapeReader::open(path).and_then(|reader| summary(called, reader));
        let row = row.unwrap_or_else(|error| json!({ "tape": called, "error": error.to_string() }));
        lines.line(row)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    lines.finish()
}

/// One row an event.
pub(crate) fn export(asked: &Export, out: &mut Output) -> Result<(), Failure> {
    if asked.columns {
        return columns(out);
    }
    let tapes = tapes(&asked.places)?;
    let parquet = asked.out.as_ref().filter(|to| to.extension().is_some_and(|it| it == "parquet"));
    match parquet {
        Some(to) => to_parquet(asked, &tapes, to),
        None => {
            let mut lines = Lines::to(asked.out.as_deref(), out)?;
            let exported =
                each_row(asked, &tapes, |row| lines.line(serde_json::Value::Object(row)));
            lines.finish()?;
            exported
        }
    }
}

#[cfg(feature = "parquet")]
fn to_parquet(asked: &Export, tapes: &[(PathBuf, String)], to: &Path) -> Result<(), Failure> {
    let file = BufWriter::new(fs_err::File::create(to).map_err(Failure::environment)?);
    let mut rows = dextape_lab::ParquetRows::new(file).map_err(Failure::environment)?;
    let exported = each_row(asked, tapes, |row| rows.row(row).map_err(Failure::environment));
    rows.finish().map_err(Failure::environment)?;
    exported
}

#[cfg(not(feature = "parquet"))]
fn to_parquet(_: &Export, _: &[(PathBuf, String)], to: &Path) -> Result<(), Failure> {
    Err(Failure::environment(format!(
        "write {}: this program is built without the feature parquet; build it with \
         --features parquet, or give a name that ends in .jsonl",
        shown(to)
    )))
}

/// Gives `take` the rows of all tapes. What cannot be read is left out, told, and a failure at the end.
fn each_row(
    asked: &Export,
    tapes: &[(PathBuf, String)],
    mut take: impl FnMut(dextape_lab::Row) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let protocol = protocol(asked.protocol.as_deref())?;
    let names = names(protocol.as_ref());
    let bar = progress::bar("export", tapes.len() as u64);
    let mut broken = 0_u64;
    for (path, called) in tapes {
        let mut one = || -> Result<Result<(), TapeError>, Failure> {
            let mut reader = match TapeReader::open(path) {
                Ok(reader) => reader,
                Err(error) => return Ok(Err(error)),
            };
            let mut rows = Rows::new(called, reader.header(), names);
            while let Some(event) = reader.next() {
                match event {
                    Ok(event) => take(rows.row(&event, Some(&reader)))?,
                    Err(error) => return Ok(Err(error)),
                }
            }
            Ok(Ok(()))
        };
        if let Err(error) = one()? {
            broken += 1;
            bar.suspend(|| eprintln!("note: failed to {error}"));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    match broken {
        0 => Ok(()),
        _ => Err(Failure::Invalid(format!(
            "export {broken} of {} tapes whole; what was read of them is in the table",
            tapes.len()
        ))),
    }
}

fn columns(out: &mut Output) -> Result<(), Failure> {
    for column in COLUMNS {
        let kind = format!("{:?}", column.kind).to_lowercase();
        out.result(
            || format!("{:15} {kind:7} {}", column.name, column.about),
            || json!({ "name": column.name, "kind": kind, "about": column.about }),
        )?;
    }
    Ok(())
}
