//! The JSON Schema of a tape's lines, generated from the table of fields that reader and writer go by.

use super::fields::{Field, Form, Kind, NUMBER_MAX};
use super::header::FORMAT_VERSION;
use super::header_text;
use serde_json::{Map, Value, json};

const HEX: &str = "^0x[0-9a-fA-F]{1,16}$";
const BYTES: &str = "^(([0-9a-fA-F]{2})*|(blob|hash):0x[0-9a-fA-F]{1,16}:[0-9a-fA-F]{64}|redacted:0x[0-9a-fA-F]{1,16})$";
const DIGEST: &str = "^[0-9a-fA-F]{64}$";
const BASE64: &str = "^[A-Za-z0-9+/]*={0,2}$";
const CODE: &str = "^(0x[0-9a-fA-F]{1,8}|[A-Za-z_]+)$";

/// The schema as a text that ends in a line feed. Each line of a tape conforms to it.
///
/// # Examples
///
/// ```
/// assert!(dextape::tape::schema::schema().contains("\"Header\""));
/// ```
#[must_use]
pub fn schema() -> String {
    let mut text = format!("{:#}", value());
    text.push('\n');
    text
}

fn value() -> Value {
    let mut definitions = Map::new();
    definitions.insert("Hex".to_owned(), json!({"type": "string", "pattern": HEX}));
    definitions.insert("Bytes".to_owned(), json!({"type": "string", "pattern": BYTES}));
    definitions.insert("Code".to_owned(), json!({"type": "string", "pattern": CODE}));
    definitions.insert(
        "Value".to_owned(),
        json!({"oneOf": [
            {"type": "string"},
            {"type": "boolean"},
            {"type": "array", "items": {"$ref": "#/$defs/Value"}},
            only(&[("number", json!({"$ref": "#/$defs/Hex"}))]),
            only(&[("data", json!({"type": "string", "pattern": "^([0-9a-fA-F]{2})*$"}))]),
            only(&[("dictionary", json!({
                "type": "object", "additionalProperties": {"$ref": "#/$defs/Value"}
            }))]),
        ]}),
    );
    definitions.insert("Header".to_owned(), header());
    definitions.insert("Blob".to_owned(), blob());
    definitions.insert(
        "Closing".to_owned(),
        only(&[
            ("end", json!({"type": "integer", "minimum": 0, "maximum": NUMBER_MAX})),
            ("blake3", json!({"type": "string", "pattern": DIGEST})),
        ]),
    );
    let mut lines = vec!["Header", "Blob", "Closing"];
    for kind in Kind::ALL {
        definitions.insert(kind.name().to_owned(), event(*kind));
        lines.push(kind.name());
    }
    let names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    let mut unknown = common();
    unknown.insert("kind".to_owned(), json!({"type": "string", "not": {"enum": names}}));
    definitions.insert(
        "Unknown".to_owned(),
        json!({
            "description": "A kind of a newer version; passed over unless it must be understood.",
            "type": "object", "properties": unknown, "required": ["seq", "lane", "pos", "kind"],
        }),
    );
    lines.push("Unknown");
    let lines: Vec<Value> =
        lines.iter().map(|line| json!({"$ref": format!("#/$defs/{line}")})).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": format!("A line of a dextape tape, format {FORMAT_VERSION}"),
        "description": "The first line is the header, the last one the closing line; events and \
                        the blobs that they use stand between, a blob before its first use.",
        "oneOf": lines,
        "$defs": definitions,
    })
}

/// An object of just these keys.
fn only(keys: &[(&str, Value)]) -> Value {
    let names: Vec<&str> = keys.iter().map(|(key, _)| *key).collect();
    let properties: Map<String, Value> =
        keys.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    json!({
        "type": "object", "properties": properties, "required": names,
        "additionalProperties": false,
    })
}

fn blob() -> Value {
    let digits = json!({"type": "string", "pattern": BASE64});
    let with = |codec: &str| {
        only(&[
            ("blob", json!({"type": "string", "pattern": DIGEST})),
            ("size", json!({"$ref": "#/$defs/Hex"})),
            (codec, digits.clone()),
        ])
    };
    json!({
        "description": "Long bytes, stored once: BLAKE3 hash and size of the raw bytes, and the \
                        bytes in base64, as they are or as an LZ4 block. Keys stand in this order, \
                        without blanks.",
        "oneOf": [with("lz4"), with("raw")],
    })
}

fn common() -> Map<String, Value> {
    Field::ALL
        .iter()
        .filter(|field| field.is_common())
        .map(|field| (field.key().to_owned(), property(*field)))
        .collect()
}

fn event(kind: Kind) -> Value {
    let mut properties = common();
    properties.insert("kind".to_owned(), json!({"const": kind.name()}));
    let mut required = vec!["seq", "lane", "pos", "kind"];
    for field in Field::ALL {
        if kind.fields() & field.bit() != 0 {
            properties.insert(field.key().to_owned(), property(*field));
        }
        if kind.required() & field.bit() != 0 {
            required.push(field.key());
        }
    }
    let mut event = json!({"type": "object", "properties": properties, "required": required});
    if kind == Kind::Mapped {
        let mapped = json!([{"required": ["result"]}, {"required": ["memory", "length", "size"]}]);
        event["oneOf"] = mapped;
    }
    event
}

fn property(field: Field) -> Value {
    let mut property = form(field.form());
    property["description"] = field.about().into();
    property
}

fn form(form: Form) -> Value {
    let array = |items: Value| json!({"type": "array", "items": items});
    let number = || json!({"type": "integer", "minimum": 0, "maximum": u32::MAX});
    let count = || json!({"type": "integer", "minimum": 0, "maximum": NUMBER_MAX});
    let hex = || json!({"$ref": "#/$defs/Hex"});
    match form {
        Form::Count => count(),
        Form::Number => number(),
        Form::Hex => hex(),
        Form::HexOrNull => json!({"oneOf": [hex(), {"type": "null"}]}),
        Form::Hexes => array(hex()),
        Form::Numbers => array(number()),
        Form::Counts => array(count()),
        Form::Text | Form::Kind => json!({"type": "string"}),
        Form::Code => json!({"$ref": "#/$defs/Code"}),
        Form::Payload => json!({"$ref": "#/$defs/Bytes"}),
        Form::Flag => json!({"type": "boolean"}),
        Form::Width => json!({"enum": [1, 2, 4, 8]}),
        Form::Word(words) => json!({"enum": words}),
        Form::Matching => {
            json!({"type": "object", "additionalProperties": {"$ref": "#/$defs/Value"}})
        }
        Form::Value => json!({"$ref": "#/$defs/Value"}),
        Form::Pairs => array(json!({
            "type": "array", "prefixItems": [number(), number()], "minItems": 2, "maxItems": 2,
        })),
        Form::Memories => array(json!({
            "type": "object",
            "properties": {
                "memory": number(), "conn": number(), "memory_type": number(), "length": hex(),
                "shadow": array(json!({
                    "type": "array", "prefixItems": [hex(), {"$ref": "#/$defs/Bytes"}],
                    "minItems": 2, "maxItems": 2,
                })),
            },
            "required": ["memory", "length"],
            "additionalProperties": false,
        })),
    }
}

fn header() -> Value {
    let text = || json!({"type": "string"});
    let texts = || json!({"type": "array", "items": {"type": "string"}});
    let hex = || json!({"$ref": "#/$defs/Hex"});
    let service = |key: &str| (key.to_owned(), text());
    let service: Map<String, Value> =
        ["class", "name", "user_class", "bundle_id", "version"].map(service).into_iter().collect();
    let number = || json!({"type": "integer", "minimum": 0, "maximum": NUMBER_MAX});
    let fields = [
        "scalar_input",
        "structure_input",
        "scalar_output",
        "structure_output",
        "reference",
        "write",
    ];
    let forms = |key: &str| match key {
        "tape" => json!({"type": "string", "pattern": "^[0-9]+\\.[0-9]+$"}),
        "host" => json!({"oneOf": [
            {"const": "mock"},
            only(&[("model", text()), ("system", text())]),
        ]}),
        "page_size" | "seed" => hex(),
        "time" => json!({"enum": ["simulated", "free"]}),
        "scenario" => json!({
            "type": "object",
            "properties": {
                "name": text(),
                "parameters": {"type": "object", "additionalProperties": text()},
            },
            "required": ["name"],
            "additionalProperties": false,
        }),
        "services" => json!({
            "type": "object",
            "additionalProperties": {
                "type": "object", "properties": service, "additionalProperties": false,
            },
        }),
        "rules" => json!({
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "selector": number(), "service": text(), "open_type": number(), "field": {"enum": fields}, "index": number(),
                    "memory_type": number(), "offset": hex(), "length": hex(), "symbol": text(),
                },
                "required": ["field"],
                "additionalProperties": false,
            },
        }),
        "redactions" | "provenance" => texts(),
        _ => text(),
    };
    let mut properties = Map::new();
    for (key, about) in header_text::KEYS {
        let mut property = forms(key);
        property["description"] = (*about).into();
        properties.insert((*key).to_owned(), property);
    }
    json!({
        "type": "object", "properties": properties,
        "required": ["tape", "recorder", "host", "page_size", "time"],
    })
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use std::path::Path;

    /// What of JSON Schema the generator uses, and no more: another keyword fails the test.
    fn conforms(value: &Value, schema: &Value, root: &Value) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("{value}: {what}"));
        let object = schema.as_object().ok_or("a schema is an object")?;
        for (keyword, rule) in object {
            let members = value.as_object();
            let right = match keyword.as_str() {
                "$schema" | "title" | "description" | "$defs" => true,
                "$ref" => {
                    let target = root.pointer(&rule.as_str().unwrap()[1..]).ok_or("no target")?;
                    return conforms(value, target, root);
                }
                "type" => match rule.as_str().unwrap() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_u64(),
                    "null" => value.is_null(),
                    other => return wrong(other),
                },
                "const" => value == rule,
                "enum" => rule.as_array().unwrap().contains(value),
                "not" => conforms(value, rule, root).is_err(),
                "minimum" => value.as_u64() >= rule.as_u64(),
                "maximum" => value.as_u64() <= rule.as_u64(),
                "minItems" => value.as_array().unwrap().len() as u64 >= rule.as_u64().unwrap(),
                "maxItems" => value.as_array().unwrap().len() as u64 <= rule.as_u64().unwrap(),
                "pattern" => matches(value.as_str().unwrap_or("\0"), rule.as_str().unwrap()),
                "oneOf" => {
                    let rules = rule.as_array().unwrap();
                    rules.iter().filter(|rule| conforms(value, rule, root).is_ok()).count() == 1
                }
                "items" => {
                    for item in value.as_array().into_iter().flatten() {
                        conforms(item, rule, root)?;
                    }
                    true
                }
                "prefixItems" => {
                    for (item, rule) in
                        value.as_array().unwrap().iter().zip(rule.as_array().unwrap())
                    {
                        conforms(item, rule, root)?;
                    }
                    true
                }
                "required" => rule
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|key| members.is_some_and(|it| it.contains_key(key.as_str().unwrap()))),
                "properties" => {
                    for (key, rule) in rule.as_object().unwrap() {
                        if let Some(value) = members.and_then(|members| members.get(key)) {
                            conforms(value, rule, root)?;
                        }
                    }
                    true
                }
                "additionalProperties" => {
                    let known = object.get("properties").and_then(Value::as_object);
                    let mut others = members
                        .into_iter()
                        .flatten()
                        .filter(|(key, _)| known.is_none_or(|known| !known.contains_key(*key)));
                    match rule {
                        Value::Bool(false) => others.next().is_none(),
                        rule => others.all(|(_, value)| conforms(value, rule, root).is_ok()),
                    }
                }
                other => return wrong(other),
            };
            if !right {
                return wrong(&format!("{keyword} {rule}"));
            }
        }
        Ok(())
    }

    /// The patterns of the schema, spelled out.
    fn matches(text: &str, pattern: &str) -> bool {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let hex = |text: &str, most| {
            text.strip_prefix("0x")
                .is_some_and(|rest| digits(rest) && (1..=most).contains(&rest.len()))
        };
        let pairs = |text: &str| digits(text) && text.len().is_multiple_of(2);
        match pattern {
            HEX => hex(text, 16),
            DIGEST => digits(text) && text.len() == 64,
            BASE64 => text.bytes().all(super::super::blob::is_base64),
            CODE => {
                hex(text, 8)
                    || !text.is_empty()
                        && text.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
            }
            BYTES => match text.split(':').collect::<Vec<_>>()[..] {
                [bytes] => pairs(bytes),
                ["redacted", size] => hex(size, 16),
                ["blob" | "hash", size, digest] => {
                    hex(size, 16) && digits(digest) && digest.len() == 64
                }
                _ => false,
            },
            "^([0-9a-fA-F]{2})*$" => pairs(text),
            "^[0-9]+\\.[0-9]+$" => text == "1.0",
            other => panic!("the test does not know the pattern {other}"),
        }
    }

    #[test]
    fn every_line_of_the_sample_conforms_and_broken_ones_do_not() {
        let schema = value();
        let text = sample::every_kind().to_text().unwrap();
        let mut broken = 0;
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            conforms(&line, &schema, &schema).unwrap();
            // A value of another type in any place is seen.
            for key in line.as_object().unwrap().keys() {
                let mut changed = line.clone();
                changed[key] = json!([[null]]);
                assert!(conforms(&changed, &schema, &schema).is_err(), "{changed}");
                broken += 1;
            }
        }
        assert!(broken > 300, "{broken}");
    }

    #[test]
    fn reader_and_schema_agree_on_what_a_kind_has_to_have() {
        let schema = value();
        let text = sample::every_kind().to_text().unwrap();
        let mut missing = 0;
        for line in text.lines().filter(|line| line.starts_with("{\"seq\"")) {
            let line: Value = serde_json::from_str(line).unwrap();
            for key in line.as_object().unwrap().keys() {
                let mut changed = line.clone();
                changed.as_object_mut().unwrap().remove(key);
                let by_schema = conforms(&changed, &schema, &schema).is_ok();
                let text = changed.to_string();
                let read = super::super::line::read_line(text.as_bytes(), &mut Vec::new());
                let by_reader = read.is_ok_and(|line| super::super::decode::event(line).is_ok());
                // The schema does not tell which fields of a call go together, or that only an
                // exchange has an expected word.
                let loose = ["input", "output_size", "expected"].contains(&key.as_str());
                assert!(by_schema == by_reader || loose, "{text}: {by_schema}, {by_reader}");
                missing += u32::from(!by_reader);
            }
        }
        assert!(missing > 200, "{missing}");
    }

    #[test]
    fn the_checked_in_schema_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/tape.schema.json");
        let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            checked_in == schema(),
            "harness/schema/tape.schema.json is out of date: run \
             `cargo xtask schema --write`"
        );
    }
}
