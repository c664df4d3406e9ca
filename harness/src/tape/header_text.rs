//! The header line.

use super::fields::NUMBER_MAX;
use super::header::{
    Comparison, Field, FieldRule, FormatVersion, Header, Host, OpenedAs, Scenario, ServiceIdentity,
};
use super::hex;
use super::line::place;
use crate::schedule::TimeMode;
use serde::de::{DeserializeOwned, Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// Keys of the header, in the order in which they are written, with what they say.
pub(super) const KEYS: &[(&str, &str)] = &[
    ("tape", "Version of the format."),
    ("recorder", "Name and version of what recorded the tape."),
    ("host", "`mock`, or model and system of a Mac."),
    ("page_size", "Page size of the recorded system in bytes, in hex."),
    ("time", "Mode of time: `simulated` or `free`."),
    ("seed", "Seed of a simulated run, in hex."),
    ("scenario", "Scenario that the tape was recorded from, with its parameters."),
    ("services", "Services that the client saw, by their numbers."),
    ("policy", "How a replay should match."),
    ("rules", "Fields that a replay does not compare, or compares as symbols."),
    ("redactions", "Redactions that were applied."),
    ("provenance", "What was done to the tape since."),
];

/// Reads a header line that is known to begin with the version.
///
/// # Errors
///
/// The column and what was expected there.
pub(super) fn read(text: &[u8]) -> Result<Header, (u64, String)> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    deserializer
        .deserialize_map(HeaderVisitor)
        .and_then(|header| deserializer.end().map(|()| header))
        .map_err(|error| place(&error))
}

/// The version of a header line, whatever else stands there.
pub(super) fn version(text: &[u8]) -> Option<FormatVersion> {
    let rest = text.trim_ascii_start().strip_prefix(b"{")?.trim_ascii_start();
    let rest = rest.strip_prefix(b"\"tape\"")?.trim_ascii_start().strip_prefix(b":")?;
    let rest = rest.trim_ascii_start().strip_prefix(b"\"")?;
    let length = rest.iter().take(24).position(|byte| *byte == b'"')?;
    std::str::from_utf8(&rest[..length]).ok()?.parse().ok()
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the header of a tape")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let mut header = Header { time: TimeMode::Free, page_size: 0, ..Header::mock() };
        let mut seen = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            if seen.contains(&key) {
                return Err(A::Error::custom(format_args!("each key once: {key}")));
            }
            match key.as_str() {
                "tape" => {
                    let text: String = map.next_value()?;
                    header.format = text.parse().map_err(A::Error::custom)?;
                }
                "recorder" => header.recorder = map.next_value()?,
                "host" => header.host = map.next_value_seed(HostSeed)?,
                "page_size" => header.page_size = hex_value(&key, &map.next_value::<String>()?)?,
                "time" => {
                    header.time = match map.next_value::<String>()?.as_str() {
                        "simulated" => TimeMode::Simulated,
                        "free" => TimeMode::Free,
                        found => {
                            return Err(A::Error::custom(format_args!(
                                "`time` to be simulated or free, found {found:?}"
                            )));
                        }
                    };
                }
                "seed" => header.seed = Some(hex_value(&key, &map.next_value::<String>()?)?),
                "scenario" => {
                    let ScenarioText { name, parameters } = map.next_value()?;
                    header.scenario = Some(Scenario { name, parameters });
                }
                "services" => {
                    let services: BTreeMap<u32, ServiceText> = map.next_value()?;
                    header.services =
                        services.into_iter().map(|(number, text)| (number, text.into())).collect();
                }
                "policy" => header.policy = Some(map.next_value()?),
                "rules" => {
                    let rules: Vec<RuleText> = map.next_value()?;
                    header.rules = rules
                        .into_iter()
                        .map(|rule| rule.read().map_err(A::Error::custom))
                        .collect::<Result<_, _>>()?;
                }
                "redactions" => header.redactions = map.next_value()?,
                "provenance" => header.provenance = map.next_value()?,
                _ => {
                    header.extra.insert(key.clone(), map.next_value()?);
                }
            }
            seen.push(key);
        }
        for required in ["tape", "recorder", "host", "page_size", "time"] {
            if !seen.iter().any(|key| key == required) {
                return Err(A::Error::custom(format_args!("the key `{required}`")));
            }
        }
        if !header.page_size.is_power_of_two() {
            return Err(A::Error::custom("`page_size` to be a power of two"));
        }
        Ok(header)
    }
}

fn hex_value<E: Error>(key: &str, text: &str) -> Result<u64, E> {
    hex::number(text).ok_or_else(|| {
        E::custom(format_args!("`{key}` to be \"0x\" and 1 to 16 hex digits, found {text:?}"))
    })
}

struct HostSeed;

impl<'de> serde::de::DeserializeSeed<'de> for HostSeed {
    type Value = Host;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Host, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for HostSeed {
    type Value = Host;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`host` to be \"mock\" or an object with `model` and `system`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Host, E> {
        match text {
            "mock" => Ok(Host::Mock),
            _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Host, A::Error> {
        let text = MacText::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
        Ok(Host::Mac { model: text.model, system: text.system })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MacText {
    model: String,
    system: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScenarioText {
    name: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    parameters: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceText {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    class: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_class: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bundle_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
}

impl From<ServiceText> for ServiceIdentity {
    fn from(text: ServiceText) -> Self {
        let ServiceText { class, name, user_class, bundle_id, version } = text;
        Self { class, name, user_class, bundle_id, version }
    }
}

impl From<&ServiceIdentity> for ServiceText {
    fn from(service: &ServiceIdentity) -> Self {
        let ServiceIdentity { class, name, user_class, bundle_id, version } = service.clone();
        Self { class, name, user_class, bundle_id, version }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    selector: Option<u32>,
    /// Service and type that the connection was opened as, both or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    service: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    open_type: Option<u32>,
    field: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    index: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    memory_type: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    offset: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    length: Option<String>,
    /// Name of the symbols; the field is masked without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    symbol: Option<String>,
}

impl RuleText {
    fn read(self) -> Result<FieldRule, String> {
        let index = || {
            let index = self.index.ok_or("a rule of this field to have an `index`")?;
            usize::try_from(index).map_err(|_| "`index` to be smaller")
        };
        let hex = |text: &Option<String>, key| {
            let text =
                text.as_deref().ok_or_else(|| format!("a rule of this field to have `{key}`"))?;
            hex::number(text).ok_or_else(|| format!("`{key}` to be a text such as \"0x10\""))
        };
        let range =
            || Ok::<_, String>((hex(&self.offset, "offset")?, hex(&self.length, "length")?));
        let field = match self.field.as_str() {
            "scalar_input" => Field::ScalarInput(index()?),
            "structure_input" => {
                range().map(|(from, length)| Field::StructureInput(from, length))?
            }
            "scalar_output" => Field::ScalarOutput(index()?),
            "structure_output" => {
                range().map(|(from, length)| Field::StructureOutput(from, length))?
            }
            "reference" => Field::Reference(index()?),
            "write" => {
                let (offset, length) = range()?;
                Field::Write { memory_type: self.memory_type.unwrap_or(0), offset, length }
            }
            field => return Err(format!("a rule of a known field, found {field:?}")),
        };
        let indexed =
            matches!(field, Field::ScalarInput(_) | Field::ScalarOutput(_) | Field::Reference(_));
        let typed = matches!(field, Field::Write { .. });
        if indexed == self.index.is_none()
            || indexed && (self.offset.is_some() || self.length.is_some())
            || !typed && self.memory_type.is_some()
        {
            return Err(format!("a rule of `{}` not to have keys of other fields", self.field));
        }
        let comparison = self.symbol.map_or(Comparison::Masked, Comparison::Symbol);
        let on = match (self.service, self.open_type) {
            (None, None) => None,
            (Some(_), Some(_)) if self.selector.is_none() || typed => {
                return Err("a rule with `service` to have a `selector`".to_owned());
            }
            (Some(service), Some(open_type)) => Some(OpenedAs { service, open_type }),
            _ => return Err("a rule to have both `service` and `open_type`, or none".to_owned()),
        };
        Ok(FieldRule { selector: self.selector, on, field, comparison })
    }
}

impl From<&FieldRule> for RuleText {
    fn from(rule: &FieldRule) -> Self {
        let mut text = Self {
            selector: rule.selector,
            service: rule.on.as_ref().map(|on| on.service.clone()),
            open_type: rule.on.as_ref().map(|on| on.open_type),
            field: String::new(),
            index: None,
            memory_type: None,
            offset: None,
            length: None,
            symbol: match &rule.comparison {
                Comparison::Masked => None,
                Comparison::Symbol(name) => Some(name.clone()),
            },
        };
        let mut range = |offset: u64, length: u64| {
            text.offset = Some(format!("{offset:#x}"));
            text.length = Some(format!("{length:#x}"));
        };
        match rule.field {
            Field::StructureInput(offset, length) | Field::StructureOutput(offset, length) => {
                range(offset, length);
            }
            Field::Write { memory_type, offset, length } => {
                range(offset, length);
                text.memory_type = (memory_type != 0).then_some(memory_type);
            }
            Field::ScalarInput(index) | Field::ScalarOutput(index) | Field::Reference(index) => {
                text.index = Some(index as u64);
            }
        }
        text.field = match rule.field {
            Field::ScalarInput(_) => "scalar_input",
            Field::StructureInput(..) => "structure_input",
            Field::ScalarOutput(_) => "scalar_output",
            Field::StructureOutput(..) => "structure_output",
            Field::Reference(_) => "reference",
            Field::Write { .. } => "write",
        }
        .to_owned();
        text
    }
}

/// The rule as it stands in a header's `rules`, for whoever is told to put it there.
impl std::fmt::Display for FieldRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = serde_json::to_string(&RuleText::from(self)).map_err(|_| std::fmt::Error)?;
        f.write_str(&text)
    }
}

/// Appends the header line, with its line feed. What it returns is why the format cannot hold it.
pub(super) fn push(header: &Header, out: &mut Vec<u8>) -> Result<(), String> {
    // Only current lines are written; a newer minor version keeps its number, since what is unknown
    // of it is kept, too.
    let format = header.format.max(super::FORMAT_VERSION);
    if format.major != super::FORMAT_VERSION.major {
        return Err(format!("a format of major version {}", super::FORMAT_VERSION.major));
    }
    if !header.page_size.is_power_of_two() {
        return Err("`page_size` to be a power of two".to_owned());
    }
    if header.rules.iter().any(|rule| match rule.field {
        Field::ScalarInput(index) | Field::ScalarOutput(index) | Field::Reference(index) => {
            index as u64 > NUMBER_MAX
        }
        _ => false,
    }) {
        return Err(format!("an index of a rule to be at most {NUMBER_MAX}"));
    }
    let hex = |number: u64| Value::String(format!("{number:#x}"));
    let texts = |texts: &[String]| texts.iter().map(|text| Value::String(text.clone())).collect();
    let mut entries: Vec<(&str, Result<Value, serde_json::Error>)> = vec![
        ("tape", Ok(Value::String(format.to_string()))),
        ("recorder", Ok(Value::String(header.recorder.clone()))),
    ];
    let host = match &header.host {
        Host::Mock => Ok(Value::String("mock".to_owned())),
        Host::Mac { model, system } => {
            serde_json::to_value(MacText { model: model.clone(), system: system.clone() })
        }
    };
    entries.push(("host", host));
    entries.push(("page_size", Ok(hex(header.page_size))));
    let time = match header.time {
        TimeMode::Simulated => "simulated",
        TimeMode::Free => "free",
    };
    entries.push(("time", Ok(Value::String(time.to_owned()))));
    if let Some(seed) = header.seed {
        entries.push(("seed", Ok(hex(seed))));
    }
    if let Some(Scenario { name, parameters }) = &header.scenario {
        let text = ScenarioText { name: name.clone(), parameters: parameters.clone() };
        entries.push(("scenario", serde_json::to_value(text)));
    }
    out.push(b'{');
    for (key, value) in entries {
        push_entry(out, key, &value.map_err(|error| error.to_string())?)?;
    }
    // The services' numbers sort as numbers, not as texts, so they do not go through a JSON object.
    if !header.services.is_empty() {
        out.extend_from_slice(b",\"services\":{");
        for (index, (number, service)) in header.services.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(format!("\"{number}\":").as_bytes());
            push_json(out, &ServiceText::from(service))?;
        }
        out.push(b'}');
    }
    if let Some(policy) = &header.policy {
        push_entry(out, "policy", &Value::String(policy.clone()))?;
    }
    if !header.rules.is_empty() {
        let rules: Vec<RuleText> = header.rules.iter().map(RuleText::from).collect();
        push_entry(out, "rules", &rules)?;
    }
    for (key, list) in [("redactions", &header.redactions), ("provenance", &header.provenance)] {
        if !list.is_empty() {
            push_entry(out, key, &Value::Array(texts(list)))?;
        }
    }
    for (key, value) in &header.extra {
        if KEYS.iter().any(|(known, _)| known == key) {
            return Err(format!("the unknown key {key:?} not to have the name of a known one"));
        }
        push_entry(out, key, value)?;
    }
    out.extend_from_slice(b"}\n");
    Ok(())
}

fn push_entry<T: Serialize>(out: &mut Vec<u8>, key: &str, value: &T) -> Result<(), String> {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    super::value::push_text(out, key);
    out.push(b':');
    push_json(out, value)
}

fn push_json<T: Serialize>(out: &mut Vec<u8>, value: &T) -> Result<(), String> {
    serde_json::to_writer(out, value).map_err(|error| error.to_string())
}

/// Reads a line of a derived form; for the lines that are few.
pub(super) fn read_small<T: DeserializeOwned>(text: &[u8]) -> Result<T, (u64, String)> {
    serde_json::from_slice(text).map_err(|error| place(&error))
}
