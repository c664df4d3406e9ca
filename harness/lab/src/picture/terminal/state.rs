//! What is shown of a tape, and how keys change it.

use crate::view::{FieldValue, Links, Names, for_each_field, is_failure, printable, shown, title};
use dextape::tape::{Event, Tape};
use std::fmt::Write;

/// Bytes on a line of a dump.
const LINE: usize = 16;

/// Bytes of one payload that are dumped.
const DUMP_MAX: usize = 16 << 10;

/// A key that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character.
    Char(char),
    /// One row up.
    Up,
    /// One row down.
    Down,
    /// A screen up.
    PageUp,
    /// A screen down.
    PageDown,
    /// To the first row.
    Home,
    /// To the last row.
    End,
    /// Ends the search and keeps what it found.
    Enter,
    /// Empties the search.
    Escape,
    /// Takes back a character of the search.
    Backspace,
    /// Between list and details.
    Tab,
}

/// A tape that is being looked at.
pub struct State<'a> {
    pub(super) tape: &'a Tape,
    pub(super) called: String,
    names: &'a dyn Names,
    links: Links,
    titles: Vec<String>,
    /// What a search looks at, in lower case; made when it is first asked for.
    haystack: Vec<String>,
    /// Places of the events that the search leaves.
    pub(super) rows: Vec<usize>,
    /// Which of the rows is chosen.
    pub(super) chosen: usize,
    pub(super) query: String,
    pub(super) searching: bool,
    pub(super) in_details: bool,
    /// First line of the details that is shown.
    pub(super) scroll: usize,
    /// Rows that fit the screen; told by the view.
    pub(super) page: usize,
    pub(super) quits: bool,
}

impl std::fmt::Debug for State<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("rows", &self.rows.len()).finish_non_exhaustive()
    }
}

impl<'a> State<'a> {
    /// The tape, `called` so, with all of its events.
    #[must_use]
    pub fn new(tape: &'a Tape, called: &str, names: &'a dyn Names) -> Self {
        let links = Links::of(tape.events());
        let titles = tape.events().iter().enumerate();
        let titles = titles.map(|(place, event)| title(event, place, &links, names)).collect();
        Self {
            tape,
            called: printable(called),
            names,
            links,
            titles,
            haystack: Vec::new(),
            rows: (0..tape.events().len()).collect(),
            chosen: 0,
            query: String::new(),
            searching: false,
            in_details: false,
            scroll: 0,
            page: 10,
            quits: false,
        }
    }

    /// Does what a key asks for.
    pub fn key(&mut self, key: Key) {
        if self.searching {
            return self.search_key(key);
        }
        let page = self.page.max(1);
        match key {
            Key::Char('q') => self.quits = true,
            Key::Char('/') => self.searching = true,
            Key::Escape if self.query.is_empty() => self.in_details = false,
            Key::Escape => {
                self.query.clear();
                self.search();
            }
            Key::Tab => self.in_details = !self.in_details,
            Key::Char('n') => self.failure(true),
            Key::Char('p') => self.failure(false),
            Key::Char('c') => self.follow(self.place().and_then(|it| self.links.cause(it))),
            Key::Char('l') => self.follow(self.place().and_then(|it| self.links.leave(it))),
            Key::Up | Key::Char('k') => self.step(-1),
            Key::Down | Key::Char('j') => self.step(1),
            Key::PageUp => self.step(-(page as isize)),
            Key::PageDown => self.step(page as isize),
            Key::Home | Key::Char('g') => self.step(isize::MIN),
            Key::End | Key::Char('G') => self.step(isize::MAX),
            _ => {}
        }
    }

    fn search_key(&mut self, key: Key) {
        match key {
            Key::Char(char) => self.query.push(char),
            Key::Backspace => {
                self.query.pop();
            }
            Key::Escape => {
                self.query.clear();
                self.searching = false;
            }
            Key::Enter => self.searching = false,
            Key::Up => return self.step(-1),
            Key::Down => return self.step(1),
            _ => return,
        }
        self.search();
    }

    /// Leaves the events whose title or fields hold every word of the query; `failed` those that failed.
    fn search(&mut self) {
        let place = self.place();
        let query = self.query.to_lowercase();
        let words: Vec<&str> = query.split_whitespace().collect();
        if words.is_empty() {
            self.rows = (0..self.tape.events().len()).collect();
        } else {
            if self.haystack.is_empty() {
                let events = self.tape.events().iter().enumerate();
                self.haystack = events.map(|(place, event)| self.text_of(event, place)).collect();
            }
            let fits = |place: &usize| {
                words.iter().all(|word| match *word {
                    "failed" => is_failure(&self.tape.events()[*place].body),
                    word => self.haystack[*place].contains(word),
                })
            };
            self.rows = (0..self.tape.events().len()).filter(fits).collect();
        }
        // What was chosen stays so, or what comes next.
        self.chosen = self.rows.partition_point(|row| Some(*row) < place);
        self.chosen = self.chosen.min(self.rows.len().saturating_sub(1));
        self.scroll = 0;
    }

    fn text_of(&self, event: &Event, place: usize) -> String {
        let mut text = format!("{} {} ", event.body.name(), self.titles[place]);
        for_each_field(event, place, &self.links, &mut |name, value| {
            // Writing to a text cannot fail.
            let _ =
                write!(text, "{} {} ", name.shown(&value, self.names), shown(&value, self.names));
        });
        text.to_lowercase()
    }

    fn step(&mut self, by: isize) {
        if self.in_details {
            self.scroll = self.scroll.saturating_add_signed(by);
            self.scroll = self.scroll.min(self.details().len().saturating_sub(1));
        } else {
            let last = self.rows.len().saturating_sub(1);
            self.chosen = self.chosen.saturating_add_signed(by).min(last);
            self.scroll = 0;
        }
    }

    /// Goes to the next or previous event that failed.
    fn failure(&mut self, forwards: bool) {
        let failed = |row: &usize| is_failure(&self.tape.events()[self.rows[*row]].body);
        let next = if forwards {
            (self.chosen + 1..self.rows.len()).find(failed)
        } else {
            (0..self.chosen.min(self.rows.len())).rev().find(failed)
        };
        self.chosen = next.unwrap_or(self.chosen);
        self.scroll = 0;
    }

    fn follow(&mut self, place: Option<usize>) {
        let row = place.and_then(|place| self.rows.binary_search(&place).ok());
        self.chosen = row.unwrap_or(self.chosen);
        self.scroll = 0;
    }

    /// The chosen event.
    pub(super) fn place(&self) -> Option<usize> {
        self.rows.get(self.chosen).copied()
    }

    /// The event of a row: number, who, title, and whether it failed.
    pub(super) fn row(&self, place: usize) -> (String, String, &str, bool) {
        let event = &self.tape.events()[place];
        let process =
            if event.process == 1 { String::new() } else { format!("P{} ", event.process) };
        let connection = event.connection.map_or_else(String::new, |it| format!(" c{it}"));
        let who = format!("{process}L{}{connection}", event.lane);
        (event.sequence.to_string(), who, &self.titles[place], is_failure(&event.body))
    }

    /// What is known of the chosen event, line by line.
    pub(super) fn details(&self) -> Vec<String> {
        let Some(place) = self.place() else { return Vec::new() };
        let events = self.tape.events();
        let event = &events[place];
        let mut lines = vec![self.titles[place].clone()];
        lines.push(format!(
            "{} at {} ns, position {} of its lane",
            event.body.name(),
            event.time,
            event.position
        ));
        for (word, other) in
            [("comes of", self.links.cause(place)), ("returns in", self.links.leave(place))]
        {
            if let Some(other) = other {
                lines.push(format!("{word} {} {}", events[other].sequence, self.titles[other]));
            }
        }
        lines.push(String::new());
        let mut dumps = Vec::new();
        for_each_field(event, place, &self.links, &mut |name, value| {
            let word = name.shown(&value, self.names);
            lines.push(format!("{word:16} {}", shown(&value, self.names)));
            let FieldValue::Bytes { payload, part, offset } = value else { return };
            match self.tape.bytes(payload) {
                Ok(Some(bytes)) => {
                    let named = part.map(|part| self.names.structure(part, offset, &bytes));
                    for field in named.into_iter().flatten() {
                        let (name, value) = (printable(&field.name), printable(&field.value));
                        lines.push(format!("  {name:14} {value}"));
                    }
                    dumps.extend([String::new(), word]);
                    dump(&bytes, offset, &mut dumps);
                }
                Ok(None) => {}
                Err(error) => dumps.push(printable(&format!("failed to {error}"))),
            }
        });
        lines.append(&mut dumps);
        lines
    }
}

fn dump(bytes: &[u8], first: u64, lines: &mut Vec<String>) {
    for (index, chunk) in bytes[..bytes.len().min(DUMP_MAX)].chunks(LINE).enumerate() {
        let (mut hex, mut text) = (String::new(), String::new());
        for (place, byte) in chunk.iter().enumerate() {
            // Writing to a text cannot fail.
            let _ = write!(hex, "{byte:02x}{}", if place == LINE / 2 - 1 { "  " } else { " " });
            text.push(if byte.is_ascii_graphic() || *byte == b' ' {
                char::from(*byte)
            } else {
                '.'
            });
        }
        lines.push(format!("{:06x}  {hex:49} {text}", first.saturating_add((index * LINE) as u64)));
    }
    if bytes.len() > DUMP_MAX {
        lines.push(format!("and {} more bytes", bytes.len() - DUMP_MAX));
    }
}
