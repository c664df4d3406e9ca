//! A field that differs.

use serde::Serialize;

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FieldChange {
    /// What it is called, such as `scalar 0` or `output`.
    pub name: String,
    /// First byte, where it is a range of bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// True where a protocol names the range.
    #[serde(skip)]
    pub named: bool,
    /// What the first tape has; `None` for nothing.
    pub a: Option<String>,
    /// What the second tape has; `None` for nothing.
    pub b: Option<String>,
}

impl FieldChange {
    pub(super) fn new(name: impl Into<String>, a: Option<String>, b: Option<String>) -> Self {
        Self { name: name.into(), offset: None, named: false, a, b }
    }

    /// The name with the offset of what has no name of its own.
    #[must_use]
    pub fn place(&self) -> String {
        match self.offset.filter(|_| !self.named) {
            Some(offset) => format!("{} {offset:#x}", self.name),
            None => self.name.clone(),
        }
    }
}
