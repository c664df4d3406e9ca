//! One page that holds everything.

use super::mark::{Mark, fault_marks};
use super::pack::Pack;
use super::scene::{Shared, scene};
use crate::diff::{Change, Diff};
use crate::view::Names;
use dextape::tape::{Tape, TapeError};
use serde_json::{Map, Value, json};

/// Events of a tape that a page can show.
pub const EVENTS_MAX: usize = 1_000_000;

const PAGE: &str = include_str!("assets/page.html");
const STYLE: &str = include_str!("assets/page.css");
const SCRIPTS: &[&str] = &[
    include_str!("assets/data.js"),
    include_str!("assets/search.js"),
    include_str!("assets/timeline.js"),
    include_str!("assets/heat.js"),
    include_str!("assets/list.js"),
    include_str!("assets/panel.js"),
    include_str!("assets/main.js"),
];

/// Why there is no page. The texts complete "failed to ...".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PageError {
    /// Bytes of a tape cannot be read.
    #[error("{0}")]
    Tape(#[from] TapeError),
    /// The tape is too long to be looked at whole.
    #[error(
        "make a page of {0} events: at most {EVENTS_MAX} can be looked at; take a part of the tape"
    )]
    TooLong(usize),
}

/// A page that shows the tape, which is `called` so. Beside `marks` it marks the faults that the tape was
/// recorded with.
///
/// # Errors
///
/// [`PageError`] where the tape is too long, or cannot be read again.
///
/// # Examples
///
/// ```
/// use dextape::tape::sample;
/// use dextape_lab::{Hex, page};
///
/// let html = page(&sample::every_kind(), "</script>", &[], &Hex)?;
/// assert!(html.starts_with("<!doctype html>"));
/// # Ok::<(), dextape_lab::PageError>(())
/// ```
pub fn page(
    tape: &Tape,
    called: &str,
    marks: &[Mark],
    names: &dyn Names,
) -> Result<String, PageError> {
    let (mut shared, mut pack, mut told) = (Shared::default(), Pack::default(), Map::new());
    let tape = one(tape, called, marks, names, "a.", &mut shared, &mut pack)?;
    told.insert("tapes".to_owned(), json!([tape]));
    shared.finish(&mut pack, &mut told);
    Ok(assembled(&pack.text(told)))
}

/// A page that shows two tapes side by side, with what differs between them.
///
/// # Errors
///
/// [`PageError`] where a tape is too long, or cannot be read again.
pub fn diff_page(
    diff: &Diff,
    (a, called_a): (&Tape, &str),
    (b, called_b): (&Tape, &str),
    names: &dyn Names,
) -> Result<String, PageError> {
    let (mut shared, mut pack, mut told) = (Shared::default(), Pack::default(), Map::new());
    let tapes = [
        one(a, called_a, &[], names, "a.", &mut shared, &mut pack)?,
        one(b, called_b, &[], names, "b.", &mut shared, &mut pack)?,
    ];
    told.insert("tapes".to_owned(), json!(tapes));
    let mut entries = Vec::with_capacity(diff.entries.len() * 3);
    let (mut from, mut fields) = (Vec::new(), Vec::new());
    for entry in &diff.entries {
        let change = match entry.change {
            Change::Same => 0,
            Change::Changed => 1,
            Change::Moved => 2,
            Change::Removed => 3,
            Change::Inserted => 4,
        };
        let place = |side: Option<crate::diff::DiffSide>| side.map_or(-1, |side| side.event as i32);
        entries.extend([change, place(entry.a), place(entry.b)]);
        from.push((fields.len() / 3) as i32);
        for field in &entry.fields {
            fields.push(shared.text(&field.place()));
            for value in [&field.a, &field.b] {
                fields.push(shared.text(value.as_deref().unwrap_or("nothing")));
            }
        }
    }
    from.push((fields.len() / 3) as i32);
    pack.integers("diff.entries".to_owned(), &entries);
    pack.integers("diff.fieldFrom".to_owned(), &from);
    pack.integers("diff.fields".to_owned(), &fields);
    told.insert(
        "diff".to_owned(),
        json!({ "counts": diff.counts, "header": diff.header, "volatile": diff.volatile }),
    );
    shared.finish(&mut pack, &mut told);
    Ok(assembled(&pack.text(told)))
}

fn one(
    tape: &Tape,
    called: &str,
    marks: &[Mark],
    names: &dyn Names,
    prefix: &str,
    shared: &mut Shared,
    pack: &mut Pack,
) -> Result<Value, PageError> {
    if tape.events().len() > EVENTS_MAX {
        return Err(PageError::TooLong(tape.events().len()));
    }
    let mut marks = marks.to_vec();
    // A plan that cannot be read marks nothing; what it says is among the header's notes.
    marks.extend(fault_marks(tape).unwrap_or_default());
    Ok(scene(tape, called, &marks, names, prefix, shared, pack)?)
}

/// The page with its style, scripts and data in place.
fn assembled(data: &str) -> String {
    let mut page = String::with_capacity(data.len() + (128 << 10));
    for (index, part) in PAGE.split("{{").enumerate() {
        let Some((name, rest)) = part.split_once("}}").filter(|_| index > 0) else {
            page.push_str(part);
            continue;
        };
        match name {
            "style" => page.push_str(STYLE),
            "script" => SCRIPTS.iter().for_each(|script| page.push_str(script)),
            "data" => page.push_str(data),
            _ => {}
        }
        page.push_str(rest);
    }
    page
}
