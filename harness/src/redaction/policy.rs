//! Where private values stand.

use crate::protocol::{FieldKind, Protocol, ScalarDescription, Structure};
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The only version of the format.
const FORMAT: u32 = 1;

/// The most bytes of a policy.
const FILE_MAX: u64 = 1 << 20;

/// A file that is no redaction policy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// It cannot be read.
    #[error("read {}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What stands in the file is no policy.
    #[error("read {}: {error}", path.display())]
    In {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        error: Box<PolicyError>,
    },
    /// It is larger than a policy can be.
    #[error("read a redaction policy of more than {FILE_MAX} bytes")]
    TooLarge,
    /// It is not the TOML of a policy.
    #[error("read line {line} of a redaction policy: {message}")]
    Syntax {
        /// The line, from 1 on.
        line: usize,
        /// What is wrong there.
        message: String,
    },
}

/// The places of private values.
///
/// # Examples
///
/// ```
/// use dextape::redaction::{FieldPlace, RedactionPolicy};
///
/// let policy = RedactionPolicy::from_toml(
///     r#"
///     format = 1
///     properties = ["IOPlatformSerialNumber"]
///     [[fields]]
///     selector = 2
///     place = "output"
///     at = 48
///     length = 32
///     when = { at = 0, hex = "4d53424d" }
///     "#,
/// )?;
/// assert_eq!(policy.fields[0].place, FieldPlace::Output);
/// # Ok::<(), dextape::redaction::PolicyError>(())
/// ```
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RedactionPolicy {
    /// Version of this format: 1.
    #[cfg_attr(feature = "schema", schemars(extend("const" = FORMAT)))]
    format: u32,
    /// Registry properties, by key.
    #[serde(default)]
    pub properties: Vec<String>,
    /// Fields of calls and completions.
    #[serde(default)]
    pub fields: Vec<PolicyField>,
    /// Ranges of memories.
    #[serde(default)]
    pub memory: Vec<PolicyMemory>,
}

/// A field of calls.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyField {
    /// Of this selector; of all where it is left out.
    #[cfg_attr(feature = "schema", schemars(range(max = u32::MAX)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<u32>,
    /// What of the call.
    pub place: FieldPlace,
    /// First byte of a structure; index of a scalar.
    #[serde(default)]
    pub at: u64,
    /// Bytes of a structure; up to its end where it is left out. A scalar is private as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// Only in calls whose structure handed in has these bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
}

/// What of a call.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FieldPlace {
    /// The structure handed in.
    Input,
    /// The structure returned.
    Output,
    /// A scalar handed in.
    ScalarInput,
    /// A scalar returned.
    ScalarOutput,
    /// An argument of a completion.
    Completion,
}

/// Bytes of the structure handed in that choose the calls of a rule.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// First byte.
    pub at: u64,
    /// The bytes, as pairs of hexadecimal digits.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^([0-9a-fA-F]{2})+$")))]
    pub hex: String,
}

impl When {
    /// True where `input` has the bytes.
    #[must_use]
    pub fn holds(&self, input: &[u8]) -> bool {
        let digits = self.hex.as_bytes();
        let wanted = digits.chunks(2).map(|pair| {
            std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok())
        });
        let Ok(at) = usize::try_from(self.at) else { return false };
        wanted.enumerate().all(|(index, byte)| {
            byte.is_some() && input.get(at.saturating_add(index)).copied() == byte
        })
    }
}

/// A range of a memory.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyMemory {
    /// Of this memory type.
    #[cfg_attr(feature = "schema", schemars(range(max = u32::MAX)))]
    #[serde(rename = "type")]
    pub memory_type: u32,
    /// First byte.
    #[serde(default)]
    pub at: u64,
    /// Bytes; up to the end where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// The range stands again behind each so many bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
}

impl PolicyMemory {
    /// True for a byte of the range.
    #[must_use]
    pub fn covers(&self, offset: u64) -> bool {
        let offset = match self.every {
            Some(every) if every > 0 => offset % every,
            _ => offset,
        };
        offset >= self.at && self.length.is_none_or(|length| offset - self.at < length)
    }
}

/// The JSON Schema of a redaction policy, as a text that ends in a line feed. A policy is TOML; the schema is of
/// the tables and values that it holds.
///
/// # Examples
///
/// ```
/// assert!(dextape::redaction::schema().contains("\"properties\""));
/// ```
#[cfg(feature = "schema")]
#[must_use]
pub fn schema() -> String {
    let mut schema = schemars::schema_for!(RedactionPolicy);
    schema.insert("title".to_owned(), "A redaction policy of dextape".into());
    // Without the example in Rust.
    schema.insert("description".to_owned(), "The places of private values.".into());
    let mut text = format!("{:#}", schema.as_value());
    text.push('\n');
    text
}

impl RedactionPolicy {
    /// A policy that names no place.
    #[must_use]
    pub fn new() -> Self {
        Self { format: FORMAT, ..Self::default() }
    }

    /// Reads a policy from a file of at most 1 MiB.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is too large, or is no policy.
    pub fn read(path: &Path) -> Result<Self, PolicyError> {
        let io = |source| PolicyError::Io { path: path.to_owned(), source };
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(io)?;
        file.take(FILE_MAX + 1).read_to_string(&mut text).map_err(io)?;
        Self::from_toml(&text)
            .map_err(|error| PolicyError::In { path: path.to_owned(), error: Box::new(error) })
    }

    /// Reads a policy.
    ///
    /// # Errors
    ///
    /// The text is too large, or is no policy.
    pub fn from_toml(text: &str) -> Result<Self, PolicyError> {
        if text.len() as u64 > FILE_MAX {
            return Err(PolicyError::TooLarge);
        }
        let syntax = |at: usize, message: String| PolicyError::Syntax {
            line: text.get(..at).unwrap_or("").matches('\n').count() + 1,
            message,
        };
        let policy: Self = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            syntax(at, error.message().trim_end().replace('\n', ", "))
        })?;
        if policy.format != FORMAT {
            let message = format!("its format is {}, and only {FORMAT} is known", policy.format);
            return Err(syntax(0, message));
        }
        for when in policy.fields.iter().filter_map(|field| field.when.as_ref()) {
            let digits = when.hex.bytes().all(|byte| byte.is_ascii_hexdigit());
            if !digits || when.hex.is_empty() || when.hex.len() % 2 != 0 {
                let at = text.find(&when.hex).unwrap_or(0);
                return Err(syntax(at, "`hex` has to be pairs of hexadecimal digits".to_owned()));
            }
        }
        Ok(policy)
    }

    /// The private fields of a protocol description.
    ///
    /// # Examples
    ///
    /// ```
    /// use dextape::{protocol::Protocol, redaction::RedactionPolicy};
    ///
    /// let protocol = Protocol::from_toml(
    ///     r#"
    ///     format = 1
    ///     [properties]
    ///     Owner = { kind = "private" }
    ///     [selectors.1]
    ///     name = "identify"
    ///     output = "Identity"
    ///     [structures.Identity]
    ///     fields = [
    ///         { name = "version", type = "u32" },
    ///         { name = "serial", type = "text", count = 12, kind = "private" },
    ///     ]
    ///     "#,
    /// )?;
    /// let policy = RedactionPolicy::of_protocol(&protocol);
    /// assert_eq!((policy.fields[0].at, policy.fields[0].length), (4, Some(12)));
    /// assert_eq!(policy.properties, ["Owner"]);
    /// # Ok::<(), dextape::protocol::ProtocolError>(())
    /// ```
    #[must_use]
    pub fn of_protocol(protocol: &Protocol) -> Self {
        let mut policy = Self::new();
        let private =
            |(key, kind): (&String, &FieldKind)| (*kind == FieldKind::Private).then(|| key.clone());
        policy.properties = protocol.properties.iter().filter_map(private).collect();
        for (number, selector) in &protocol.selectors {
            let field = |place, at, length| PolicyField {
                selector: Some(*number),
                place,
                at,
                length,
                when: None,
            };
            let structures =
                [(FieldPlace::Input, &selector.input), (FieldPlace::Output, &selector.output)];
            for (place, structure) in structures {
                for (at, length) in structure.iter().flat_map(|structure| ranges(structure)) {
                    policy.fields.push(field(place, at, Some(length)));
                }
            }
            let scalars: [(FieldPlace, &[ScalarDescription]); 3] = [
                (FieldPlace::ScalarInput, &selector.inputs),
                (FieldPlace::ScalarOutput, &selector.outputs),
                (FieldPlace::Completion, &selector.completion),
            ];
            for (place, scalars) in scalars {
                for (index, scalar) in scalars.iter().enumerate() {
                    if scalar.kind == FieldKind::Private {
                        policy.fields.push(field(place, index as u64, None));
                    }
                }
            }
        }
        for (number, memory) in &protocol.memory {
            let Some(layout) = &memory.layout else { continue };
            policy.memory.extend(ranges(layout).into_iter().map(|(at, length)| PolicyMemory {
                memory_type: *number,
                at,
                length: Some(length),
                every: memory.repeated.then_some(layout.size as u64),
            }));
        }
        policy
    }

    /// All places of both.
    pub fn extend(&mut self, other: Self) {
        self.properties.extend(other.properties);
        self.fields.extend(other.fields);
        self.memory.extend(other.memory);
    }
}

/// The private ranges of a structure.
fn ranges(structure: &Structure) -> Vec<(u64, u64)> {
    let values = structure.decode(&vec![0; structure.size.min(1 << 20)], 1 << 16);
    values
        .into_iter()
        .filter(|decoded| decoded.field.kind == FieldKind::Private)
        .map(|decoded| (decoded.at as u64, decoded.size as u64))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_line() {
        let error =
            |text: &str| format!("failed to {}", RedactionPolicy::from_toml(text).unwrap_err());
        insta::assert_snapshot!(
            [
                error("format = 3"),
                error("format = 1\nproperty = 4"),
                error("format = 1\n[[fields]]\nplace = \"elsewhere\""),
                error("format = 1\n[[fields]]\nplace = \"input\"\nwhen = { at = 0, hex = \"4x\" }"),
            ]
            .join("\n"),
            @r"
        failed to read line 1 of a redaction policy: its format is 3, and only 1 is known
        failed to read line 2 of a redaction policy: unknown field `property`, expected one of `format`, `properties`, `fields`, `memory`
        failed to read line 3 of a redaction policy: unknown variant `elsewhere`, expected one of `input`, `output`, `scalar_input`, `scalar_output`, `completion`
        failed to read line 4 of a redaction policy: `hex` has to be pairs of hexadecimal digits
        "
        );
    }

    #[test]
    fn a_condition_looks_at_the_input() {
        let when = When { at: 1, hex: "0aff".to_owned() };
        assert!(when.holds(&[0, 10, 255]) && !when.holds(&[0, 10]) && !when.holds(&[10, 255, 0]));
    }

    #[test]
    fn a_range_of_memory_may_repeat() {
        let range = PolicyMemory { memory_type: 0, at: 4, length: Some(2), every: Some(16) };
        let covered: Vec<u64> = (0..40).filter(|offset| range.covers(*offset)).collect();
        assert_eq!(covered, [4, 5, 20, 21, 36, 37]);
        assert!(PolicyMemory { every: None, length: None, ..range }.covers(1 << 40));
    }
}
