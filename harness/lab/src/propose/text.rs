//! The file of a proposal, with comments.

use super::number::Meaning;
use super::structure::{Found, What};
use crate::view::printable;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Bytes of a file from which nothing is added: a description may have 1 MiB.
const ENOUGH: usize = 512 << 10;

/// Writes the file: tables in the order in which they come, structures, enumerations and flags behind them.
#[derive(Debug, Default)]
pub(super) struct Writer {
    text: String,
    behind: String,
    enums: BTreeMap<String, Vec<(String, u64)>>,
    flags: BTreeMap<String, Vec<(String, u64)>>,
    pub(super) structures: usize,
}

impl Writer {
    pub(super) fn begin(&mut self, service: &str, events: usize, tapes: usize) {
        let tapes = if tapes == 1 { "a tape".to_owned() } else { format!("{tapes} tapes") };
        self.comment(&format!(
            "Proposed from {tapes} of {events} events. Every name is made up, every width"
        ));
        self.comment("and meaning a guess: what stands behind each is what it was guessed from.");
        self.line("format = 1");
        if !service.is_empty() {
            self.text("name", service);
            self.line(&format!("services = [{}]", quoted(service)));
        }
    }

    /// True where nothing more should be described.
    pub(super) fn is_full(&self) -> bool {
        self.text.len() + self.behind.len() > ENOUGH
    }

    /// A comment is one line that holds only what can be printed.
    pub(super) fn comment(&mut self, text: &str) {
        self.line(&format!("# {}", printable(text)));
    }

    pub(super) fn table(&mut self, name: &str) {
        self.line(&format!("\n[{name}]"));
    }

    pub(super) fn text(&mut self, key: &str, value: &str) {
        self.line(&format!("{key} = {}", quoted(value)));
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// A list of scalars, called by a word and their place; `of` makes the names of their tables different.
    pub(super) fn scalars(
        &mut self,
        key: &str,
        word: &str,
        of: &str,
        scalars: &[(Meaning, String)],
    ) {
        if scalars.is_empty() {
            return;
        }
        self.line(&format!("{key} = ["));
        for (index, (meaning, evidence)) in scalars.iter().enumerate() {
            let name = match meaning.word() {
                "field" => format!("{word}_{index}"),
                meaning => format!("{meaning}_{word}_{index}"),
            };
            let more = self.more(meaning, &format!("{of}_{index}"));
            let name = quoted(&name);
            let line = if more.is_empty() {
                format!("    {name},")
            } else {
                format!("    {{ name = {name}{more} }},")
            };
            self.line(&format!("{line} # {}", printable(&remark(meaning, evidence))));
        }
        self.line("]");
    }

    /// What follows from a meaning, as further entries of a table; notes what they refer to.
    fn more(&mut self, meaning: &Meaning, of: &str) -> String {
        let named = |values: &[u64], word: &str| -> Vec<(String, u64)> {
            values.iter().map(|value| (format!("{word}_{value:#x}"), *value)).collect()
        };
        match meaning {
            Meaning::Counter => ", kind = \"counter\"".to_owned(),
            Meaning::Issued(..) => ", kind = \"issued\"".to_owned(),
            Meaning::FourCharacters => ", show = \"four_characters\"".to_owned(),
            Meaning::Enum(values) => {
                let name = format!("Choice_{of}");
                let entry = format!(", enum = {}", quoted(&name));
                self.enums.insert(name, named(values, "value"));
                entry
            }
            Meaning::Flags(bits) => {
                let name = format!("Flags_{of}");
                let entry = format!(", flags = {}", quoted(&name));
                self.flags.insert(name, named(bits, "bit"));
                entry
            }
            Meaning::Plain | Meaning::Constant(_) | Meaning::Address => String::new(),
        }
    }

    pub(super) fn structure(&mut self, name: &str, size: u64, about: &str, found: &[Found]) {
        self.structures += 1;
        // A text of its own, since a table ends where the next begins.
        let mut text =
            format!("\n[structures.{name}]\n# {}\nsize = {size}\nfields = [\n", printable(about));
        for field in found {
            let Found { at, size, what, evidence } = field;
            let (word, of, more, said) = match what {
                What::Number(meaning, high_first) => {
                    let mut more = self.more(meaning, &format!("{name}_{at:#x}"));
                    if *high_first {
                        more += ", endian = \"big\"";
                    }
                    (meaning.word(), format!("u{}", size * 8), more, remark(meaning, evidence))
                }
                What::Float => ("float", "f32".to_owned(), String::new(), evidence.clone()),
                What::Text => {
                    ("text", "text".to_owned(), format!(", count = {size}"), evidence.clone())
                }
                What::Bytes => {
                    ("data", "bytes".to_owned(), format!(", count = {size}"), evidence.clone())
                }
            };
            // Writing to a text cannot fail.
            let _ = writeln!(
                text,
                "    {{ name = \"{word}_{at:#x}\", at = {at:#x}, type = \"{of}\"{more} }}, # {}",
                printable(&said)
            );
        }
        text += "]\n";
        self.behind += &text;
    }

    pub(super) fn finish(mut self) -> String {
        self.text += &self.behind;
        for (what, tables) in [("enums", &self.enums), ("flags", &self.flags)] {
            for (name, values) in tables {
                let _ = writeln!(self.text, "\n[{what}.{name}]");
                for (name, value) in values {
                    // TOML has numbers up to the largest positive one of 64 bits with a sign.
                    let _ = match i64::try_from(*value) {
                        Ok(_) => writeln!(self.text, "{name} = {value:#x}"),
                        Err(_) => writeln!(self.text, "{name} = \"{value:#x}\""),
                    };
                }
            }
        }
        self.text
    }
}

/// What is said of a field: what it is taken for, where that is not in its entry, and the evidence.
fn remark(meaning: &Meaning, evidence: &str) -> String {
    match meaning {
        Meaning::Address => format!(
            "{evidence}; addresses of the client? Then kind = \"pointer\" with a length says what stands there"
        ),
        _ => evidence.to_owned(),
    }
}

/// A text in quotes as TOML has it: what may not stand there as it is becomes an escape.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for char in text.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            char if char.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(char));
            }
            char => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use dextape::protocol::Protocol;

    /// A tape is hostile: a name of a service that closes the text must not begin a table.
    #[test]
    fn names_from_a_tape_stay_texts() {
        let evil = "a\"]\n[selectors.1]\nname = \"b\"\u{7f}\u{202e}\\";
        let mut writer = Writer::default();
        writer.begin(evil, 1, 1);
        writer.comment(evil);
        let protocol = Protocol::from_toml(&writer.finish()).unwrap();
        assert_eq!(protocol.services, [evil]);
        assert!(protocol.selectors.is_empty());
    }
}
