//! A Python literal, as far as logs hold them.

use super::error::Wrong;

/// How deep lists and dictionaries may nest.
const DEPTH_MAX: usize = 16;

/// A value, with the byte of the line where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Literal {
    pub(super) column: usize,
    pub(super) value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Number(u64),
    Text(String),
    List(Vec<Literal>),
    Dictionary(Vec<(String, Literal)>),
}

/// Reads the value that begins at byte `at` of the line and ends with it.
pub(super) fn parse(line: &[u8], at: usize) -> Result<Literal, Wrong> {
    let mut parser = Parser { line, at };
    let value = parser.value(0)?;
    parser.blanks();
    match parser.peek() {
        None => Ok(value),
        Some(_) => Err(parser.expected("the end of the line")),
    }
}

struct Parser<'a> {
    line: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.line.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while self.peek().is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    fn expected(&self, what: &str) -> Wrong {
        let found = match self.peek() {
            None => "the line ends; the log is cut off here, leave out this call".to_owned(),
            Some(byte) => format!("found {:?}", char::from(byte)),
        };
        Wrong::new(self.at, format!("expected {what}, {found}"))
    }

    /// Takes the byte if it comes next.
    fn take(&mut self, byte: u8) -> bool {
        self.blanks();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Result<Literal, Wrong> {
        self.blanks();
        let column = self.at;
        if depth > DEPTH_MAX {
            let problem = format!("expected at most {DEPTH_MAX} lists within each other");
            return Err(Wrong::new(column, problem));
        }
        let value = match self.peek() {
            Some(b'[') => Value::List(self.list(depth)?),
            Some(b'{') => Value::Dictionary(self.dictionary(depth)?),
            Some(b'\'' | b'"') => Value::Text(self.text()?),
            Some(b'0'..=b'9') => Value::Number(self.number()?),
            _ => return Err(self.expected("a list, a dictionary, a text or a number")),
        };
        Ok(Literal { column, value })
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Literal>, Wrong> {
        self.at += 1;
        let mut items = Vec::new();
        while !self.take(b']') {
            items.push(self.value(depth + 1)?);
            if !self.take(b',') && self.peek() != Some(b']') {
                return Err(self.expected("',' or ']'"));
            }
        }
        Ok(items)
    }

    fn dictionary(&mut self, depth: usize) -> Result<Vec<(String, Literal)>, Wrong> {
        self.at += 1;
        let mut entries = Vec::new();
        while !self.take(b'}') {
            if !matches!(self.peek(), Some(b'\'' | b'"')) {
                return Err(self.expected("a text as key, or '}'"));
            }
            let key = self.text()?;
            if !self.take(b':') {
                return Err(self.expected("':'"));
            }
            entries.push((key, self.value(depth + 1)?));
            if !self.take(b',') && self.peek() != Some(b'}') {
                return Err(self.expected("',' or '}'"));
            }
        }
        Ok(entries)
    }

    fn text(&mut self) -> Result<String, Wrong> {
        let quote = self.peek();
        self.at += 1;
        let start = self.at;
        let mut bytes = Vec::new();
        loop {
            match self.peek() {
                None => return Err(self.expected("the end of the text")),
                byte if byte == quote => break,
                Some(b'\\') => {
                    self.at += 1;
                    bytes.push(self.escaped()?);
                }
                Some(byte) => bytes.push(byte),
            }
            self.at += 1;
        }
        self.at += 1;
        String::from_utf8(bytes).map_err(|_| Wrong::new(start, "expected text in UTF-8"))
    }

    /// What the escape stands for whose letter comes next; stays on its last byte.
    fn escaped(&mut self) -> Result<u8, Wrong> {
        let Some(byte) = self.peek() else { return Err(self.expected("an escaped byte")) };
        Ok(match byte {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'\\' | b'\'' | b'"' => byte,
            b'x' => {
                let digits = self.line.get(self.at + 1..self.at + 3);
                let code = digits
                    .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
                    .and_then(|digits| std::str::from_utf8(digits).ok())
                    .and_then(|digits| u8::from_str_radix(digits, 16).ok())
                    .filter(u8::is_ascii);
                let Some(code) = code else {
                    return Err(self.expected("an escape of an ASCII byte in two hex digits"));
                };
                self.at += 2;
                code
            }
            _ => return Err(self.expected(r"one of the escapes \n \t \r \\ \' \x")),
        })
    }

    fn number(&mut self) -> Result<u64, Wrong> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric()) {
            self.at += 1;
        }
        let digits = String::from_utf8_lossy(&self.line[start..self.at]);
        // Old versions of Python write long integers with an L behind.
        let digits = digits.trim_end_matches('L');
        let number = match digits.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => digits.parse(),
        };
        number
            .map_err(|_| Wrong::new(start, format!("expected a number of 64 bits, found {digits}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(line: &str) -> String {
        let Wrong { column, problem } = parse(line.as_bytes(), 0).unwrap_err();
        format!("{column}: {problem}")
    }

    #[test]
    fn values_nest() {
        let line = r#"[0x10, 7, 'a\'b', {"k": [],},]"#;
        let Value::List(items) = parse(line.as_bytes(), 0).unwrap().value else { panic!() };
        let values: Vec<Value> = items.into_iter().map(|item| item.value).collect();
        let entry = Literal { column: 24, value: Value::List(Vec::new()) };
        assert_eq!(
            values,
            [
                Value::Number(16),
                Value::Number(7),
                Value::Text("a'b".to_owned()),
                Value::Dictionary(vec![("k".to_owned(), entry)]),
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_column() {
        insta::assert_snapshot!(
            [
                "",
                "[1,",
                "[1 2]",
                "{1:2}",
                "'a",
                "0x1g",
                "99999999999999999999",
                "[]x",
                "'\\q'",
                "'\\xff'"
            ]
            .map(wrong)
            .join("\n")
        );
        assert!(wrong(&"[".repeat(100_000)).starts_with("18: expected at most 16 lists"));
    }
}
