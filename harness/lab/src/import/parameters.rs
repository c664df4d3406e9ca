//! What the parameters of a call say.

use super::error::{ImportError, Wrong};
use super::literal::{Literal, Value};
use super::log::{Parameters, at};
use dextape::registry::{self, Matching};
use std::collections::BTreeMap;

/// What a dictionary holds.
type Entries = [(String, Literal)];

impl Parameters {
    fn wrong(&self, column: usize, problem: impl Into<String>) -> ImportError {
        at(self.line, Wrong::new(column, problem))
    }

    fn find(&self, name: &str) -> Option<&Entries> {
        let named = |entries: &&Vec<(String, Literal)>| {
            entry(entries, "name").is_some_and(|it| it.value == Value::Text(name.to_owned()))
        };
        self.all.iter().find(named).map(Vec::as_slice)
    }

    /// True where there is such a parameter: the shorter functions leave some out.
    pub(super) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    fn parameter(&self, name: &str) -> Result<&Entries, ImportError> {
        let missing =
            || self.wrong(self.end, format!("expected a parameter named {name}; log it as well"));
        self.find(name).ok_or_else(missing)
    }

    fn of(&self, entries: &Entries, name: &str, key: &str) -> Result<Literal, ImportError> {
        let missing = || self.wrong(self.end, format!("expected {key} of the parameter {name}"));
        entry(entries, key).cloned().ok_or_else(missing)
    }

    /// The value of a parameter that is a number, or a pointer.
    pub(super) fn number(&self, name: &str) -> Result<u64, ImportError> {
        let value = self.of(self.parameter(name)?, name, "value")?;
        match value.value {
            Value::Number(number) => Ok(number),
            _ => Err(self.wrong(value.column, format!("expected a number as value of {name}"))),
        }
    }

    /// The same, of 32 bits.
    pub(super) fn number32(&self, name: &str) -> Result<u32, ImportError> {
        let number = self.number(name)?;
        u32::try_from(number).map_err(|_| {
            self.wrong(self.end, format!("expected {name} to have 32 bits, found {number:#x}"))
        })
    }

    /// A text, out of the C or `CFSTR` quotes that it is logged in.
    pub(super) fn text(&self, name: &str) -> Result<String, ImportError> {
        let value = self.of(self.parameter(name)?, name, "value")?;
        let Value::Text(text) = value.value else {
            return Err(self.wrong(value.column, format!("expected a text as value of {name}")));
        };
        let inner = text.strip_prefix("CFSTR(").and_then(|text| text.strip_suffix(')'));
        let inner = inner.unwrap_or(&text);
        let unquoted = inner.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        Ok(unquoted.unwrap_or(inner).to_owned())
    }

    /// What a pointer points to.
    pub(super) fn data(&self, name: &str) -> Result<Vec<u64>, ImportError> {
        let data = self.of(self.parameter(name)?, name, "data")?;
        let problem = || self.wrong(data.column, format!("expected numbers as data of {name}"));
        let Value::List(items) = &data.value else { return Err(problem()) };
        let number = |item: &Literal| match item.value {
            Value::Number(number) => Some(number),
            _ => None,
        };
        items.iter().map(number).collect::<Option<_>>().ok_or_else(problem)
    }

    /// The same, of bytes.
    pub(super) fn bytes(&self, name: &str) -> Result<Vec<u8>, ImportError> {
        let bytes = self.data(name)?.into_iter().map(u8::try_from).collect::<Result<_, _>>();
        bytes.map_err(|_| self.wrong(self.end, format!("expected bytes as data of {name}")))
    }

    /// The one number that a pointer points to.
    pub(super) fn pointed(&self, name: &str) -> Result<u64, ImportError> {
        match self.data(name)?[..] {
            [number] => Ok(number),
            _ => Err(self.wrong(self.end, format!("expected one number as data of {name}"))),
        }
    }

    /// What a count by reference points to; 0 for NULL.
    pub(super) fn counted(&self, name: &str) -> Result<u64, ImportError> {
        if self.number(name)? == 0 { Ok(0) } else { self.pointed(name) }
    }

    /// `items` where there are as many as `count` says.
    pub(super) fn as_many<T>(
        &self,
        name: &str,
        items: Vec<T>,
        count: u64,
    ) -> Result<Vec<T>, ImportError> {
        if items.len() as u64 == count {
            return Ok(items);
        }
        let found = items.len();
        let problem = format!("expected {count} items as data of {name}, found {found}");
        Err(self.wrong(self.end, problem))
    }

    /// What the interposer found the object of a parameter to be called.
    pub(super) fn called(&self, name: &str) -> Option<String> {
        let Value::Text(origin) = &entry(self.find(name)?, "ori")?.value else { return None };
        let (_, after) = origin.split_once("Matching(\"")?;
        Some(after.split_once("\")")?.0.to_owned())
    }

    /// A matching dictionary: its conditions.
    pub(super) fn matching(&self, name: &str) -> Result<Matching, ImportError> {
        let origin = self.of(self.parameter(name)?, name, "ori")?;
        let Value::Dictionary(entries) = &origin.value else {
            let problem = format!("expected a dictionary as ori of {name}");
            return Err(self.wrong(origin.column, problem));
        };
        Ok(entries.iter().map(|(key, value)| (key.clone(), property(&value.value))).collect())
    }
}

fn entry<'a>(entries: &'a Entries, key: &str) -> Option<&'a Literal> {
    entries.iter().find(|(own, _)| own == key).map(|(_, value)| value)
}

fn property(value: &Value) -> registry::Value {
    match value {
        Value::Number(number) => (*number).into(),
        Value::Text(text) => text.as_str().into(),
        Value::List(items) => {
            registry::Value::Array(items.iter().map(|item| property(&item.value)).collect())
        }
        Value::Dictionary(entries) => {
            let entries = entries.iter().map(|(key, value)| (key.clone(), property(&value.value)));
            registry::Value::Dictionary(entries.collect::<BTreeMap<_, _>>())
        }
    }
}
