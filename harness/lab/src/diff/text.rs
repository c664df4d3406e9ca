//! A comparison as people read diffs.

use super::diff::{Change, Diff, DiffEntry, DiffSide, sequence};
use super::field_change::FieldChange;
use crate::view::{Links, Names, printable, title};
use dextape::tape::Tape;
use std::fmt::{self, Write};

/// Characters of a value in a line.
const VALUE_SHOWN: usize = 80;

/// A comparison with what is needed to tell it: displayed, it is hunks of what differs with some of what
/// does not around it. Lines of the first tape begin with `-`, of the second with `+`, of what changed
/// with `~`, of what moved with `>`; then come the sequence numbers on both tapes.
#[derive(Clone, Copy)]
pub struct DiffText<'a> {
    /// The comparison.
    pub diff: &'a Diff,
    /// The first tape.
    pub a: &'a Tape,
    /// The second tape.
    pub b: &'a Tape,
    /// What the tapes are called.
    pub titles: [&'a str; 2],
    /// Names of the protocol.
    pub names: &'a dyn Names,
    /// Items that say the same around each change.
    pub context: usize,
    /// Colours for a terminal.
    pub colour: bool,
}

impl fmt::Debug for DiffText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiffText").field("titles", &self.titles).finish_non_exhaustive()
    }
}

/// Escape sequences of a terminal.
#[derive(Clone, Copy)]
enum Colour {
    Red,
    Green,
    Yellow,
    Cyan,
    Bold,
    Dim,
}

impl Colour {
    fn code(self) -> &'static str {
        match self {
            Self::Red => "\u{1b}[31m",
            Self::Green => "\u{1b}[32m",
            Self::Yellow => "\u{1b}[33m",
            Self::Cyan => "\u{1b}[36m",
            Self::Bold => "\u{1b}[1m",
            Self::Dim => "\u{1b}[2m",
        }
    }
}

impl DiffText<'_> {
    fn paint(&self, f: &mut fmt::Formatter<'_>, colour: Option<Colour>, text: &str) -> fmt::Result {
        match colour.filter(|_| self.colour) {
            Some(colour) => writeln!(f, "{}{text}\u{1b}[0m", colour.code()),
            None => writeln!(f, "{text}"),
        }
    }

    /// The counts in one line.
    #[must_use]
    pub fn stat(&self) -> String {
        let counts = &self.diff.counts;
        let mut stat = String::new();
        for (count, word) in [
            (counts.changed, "changed"),
            (counts.moved, "moved"),
            (counts.removed, "removed"),
            (counts.inserted, "inserted"),
        ] {
            if count > 0 {
                let _ = write!(stat, "{count} {word}, ");
            }
        }
        let _ = write!(stat, "{} the same", counts.same);
        if !self.diff.volatile.is_empty() {
            let fields = self.diff.volatile.len();
            let _ = write!(stat, ", {fields} volatile {}", plural("field", fields));
        }
        stat
    }

    fn entry(
        &self,
        f: &mut fmt::Formatter<'_>,
        links: &[Links; 2],
        entry: &DiffEntry,
    ) -> fmt::Result {
        let (sign, colour) = match entry.change {
            Change::Same => (' ', None),
            Change::Changed => ('~', Some(Colour::Yellow)),
            Change::Moved => ('>', Some(Colour::Cyan)),
            Change::Removed => ('-', Some(Colour::Red)),
            Change::Inserted => ('+', Some(Colour::Green)),
        };
        let number = |tape: &Tape, side: Option<DiffSide>| match side {
            Some(side) => sequence(tape, side.event).to_string(),
            None => String::new(),
        };
        let mut line =
            format!("{sign} {:>6} {:>6}  ", number(self.a, entry.a), number(self.b, entry.b));
        // What moved or is the same is told as the second tape has it.
        let (tape, links, side) = match (entry.a, entry.b) {
            (_, Some(side)) => (self.b, &links[1], side),
            (Some(side), None) => (self.a, &links[0], side),
            (None, None) => return Ok(()),
        };
        line.push_str(&words(tape, links, side, self.names));
        self.paint(f, colour, &line)?;
        let width = entry.fields.iter().map(|field| field.place().len()).max().unwrap_or(0);
        entry.fields.iter().try_for_each(|field| self.field(f, field, width.min(40)))
    }

    fn field(&self, f: &mut fmt::Formatter<'_>, field: &FieldChange, width: usize) -> fmt::Result {
        let value = |value: &Option<String>| match value {
            Some(value) => cut(value),
            None => "nothing".to_owned(),
        };
        let (a, b) = (value(&field.a), value(&field.b));
        let place = field.place();
        if self.colour {
            writeln!(f, "{:18}{place:width$}  \u{1b}[31m{a}\u{1b}[0m -> \u{1b}[32m{b}\u{1b}[0m", "")
        } else {
            writeln!(f, "{:18}{place:width$}  {a} -> {b}", "")
        }
    }

    fn hunk(&self, entries: &[DiffEntry]) -> String {
        let range = |tape: &Tape, of: fn(&DiffEntry) -> Option<DiffSide>| {
            let mut numbers = entries
                .iter()
                .filter(|it| it.change != Change::Moved)
                .filter_map(of)
                .flat_map(|it| {
                    [Some(it.event), it.leave].into_iter().flatten().map(|at| sequence(tape, at))
                });
            let first = numbers.next();
            first.map_or_else(
                || "0".to_owned(),
                |first| {
                    let last = numbers.fold(first, u64::max);
                    if last == first { first.to_string() } else { format!("{first}-{last}") }
                },
            )
        };
        format!("@@ -{} +{} @@", range(self.a, |it| it.a), range(self.b, |it| it.b))
    }
}

impl fmt::Display for DiffText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let diff = self.diff;
        if diff.is_same() && diff.header.is_empty() && diff.volatile.is_empty() {
            return Ok(());
        }
        self.paint(f, Some(Colour::Bold), &format!("--- {}", printable(self.titles[0])))?;
        self.paint(f, Some(Colour::Bold), &format!("+++ {}", printable(self.titles[1])))?;
        for change in &diff.header {
            self.paint(f, Some(Colour::Dim), &format!("header: {}", change.name))?;
            self.field(f, change, 0)?;
        }
        let links = [Links::of(self.a.events()), Links::of(self.b.events())];
        let tells = |entry: &DiffEntry| entry.change != Change::Same && !entry.repeats;
        let entries = &diff.entries;
        let mut next = 0;
        while let Some(first) = (next..entries.len()).find(|index| tells(&entries[*index])) {
            let start = first.saturating_sub(self.context).max(next);
            let mut last = first;
            // Changes with no more than twice the context between them are one hunk.
            for (index, entry) in entries.iter().enumerate().skip(first + 1) {
                if index - last > self.context.saturating_mul(2).saturating_add(1) {
                    break;
                }
                if tells(entry) {
                    last = index;
                }
            }
            next = (last + 1).saturating_add(self.context).min(entries.len());
            self.paint(f, Some(Colour::Cyan), &self.hunk(&entries[start..next]))?;
            entries[start..next].iter().try_for_each(|entry| self.entry(f, &links, entry))?;
        }
        for (what, count) in &diff.repeated {
            let line = format!("and {count} more of {what}; --all shows them");
            self.paint(f, Some(Colour::Yellow), &line)?;
        }
        for field in &diff.volatile {
            let line = format!(
                "folded: {} of selector {} ({}) differs in {} of {} calls, {:#x} -> {:#x}",
                field.field,
                field.selector,
                field.class_word(),
                field.differs,
                field.compared,
                field.example.0,
                field.example.1,
            );
            self.paint(f, Some(Colour::Dim), &line)?;
        }
        Ok(())
    }
}

/// An item in words: lane, connection, what is done and what came of it.
pub(super) fn words(tape: &Tape, links: &Links, side: DiffSide, names: &dyn Names) -> String {
    let Some(event) = tape.events().get(side.event) else { return String::new() };
    let mut words = String::new();
    if event.process != 1 {
        let _ = write!(words, "P{}:", event.process);
    }
    let _ = write!(words, "L{} ", event.lane);
    let _ = match event.connection {
        Some(connection) => write!(words, "c{connection} "),
        None => write!(words, "   "),
    };
    words.push_str(&title(event, side.event, links, names));
    if let Some((leave, event)) = side.leave.and_then(|at| Some((at, tape.events().get(at)?))) {
        let told = title(event, leave, links, names);
        // The enter says what it is that returns.
        let told = match event.body {
            dextape::tape::Body::Opened | dextape::tape::Body::Woke { .. } => told.as_str(),
            _ => told.rsplit_once(": ").map_or(told.as_str(), |(_, result)| result),
        };
        let _ = write!(words, " -> {told}");
    }
    words
}

fn cut(value: &str) -> String {
    match value.char_indices().nth(VALUE_SHOWN) {
        Some((at, _)) => format!("{}..", &value[..at]),
        None => value.to_owned(),
    }
}

fn plural(word: &str, count: usize) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}
