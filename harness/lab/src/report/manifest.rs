//! What a bundle says of itself.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The only version of the format.
pub(super) const FORMAT: u32 = 1;

/// The file `manifest.json` of a bundle.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Manifest {
    /// Version of the format: 1.
    pub format: u32,
    /// Name and version of what packed it.
    pub packed_by: String,
    /// What is known of client, machine and dext, such as `client version`, `model`, `system`, `dext`.
    pub environment: BTreeMap<String, String>,
    /// The tapes.
    pub tapes: Vec<TapeEntry>,
    /// All files but this one.
    pub files: Vec<FileEntry>,
    /// What was redacted, and what the redaction may have changed.
    pub redactions: Vec<String>,
}

/// A tape of a bundle.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TapeEntry {
    /// Its file in the bundle.
    pub file: String,
    /// What it was called where it was packed.
    pub called: String,
    /// Its events.
    pub events: u64,
}

/// A file of a bundle.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub size: u64,
    /// Their BLAKE3 hash.
    pub blake3: String,
}

/// The JSON Schema of the manifest of a report, as `cargo xtask schema report` prints it.
///
/// # Examples
///
/// ```
/// assert!(dextape_lab::report_schema().contains("\"environment\""));
/// ```
#[cfg(feature = "schema")]
#[must_use]
pub fn report_schema() -> String {
    let mut schema = schemars::schema_for!(Manifest);
    schema.insert("title".to_owned(), "The manifest of a report of dextape".into());
    let mut text = format!("{:#}", schema.as_value());
    text.push('\n');
    text
}

impl Manifest {
    /// Every text that came from outside.
    pub(super) fn texts(&mut self) -> Vec<&mut String> {
        let Self { environment, tapes, redactions, .. } = self;
        let called = tapes.iter_mut().map(|tape| &mut tape.called);
        environment.values_mut().chain(called).chain(redactions).collect()
    }
}
