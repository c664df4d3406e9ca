//! The JSON Schemas that `schema` prints, held against the files that they are of.

use super::common::Folder;
use dextape::redaction::RedactionPolicy;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn schema_of(what: &str) -> Value {
    let said = Folder::new().run(&["schema", what]);
    assert_eq!((said.code, &said.err[..]), (Some(0), ""), "{said}");
    serde_json::from_str(&said.out).unwrap()
}

/// Why a value does not fit a schema. Knows the keywords that the schemas of this workspace use, and fails at any
/// other, so that nothing is taken to fit that was not looked at.
fn misfit(root: &Value, schema: &Value, value: &Value, place: &str) -> Option<String> {
    let schema = match schema {
        Value::Bool(fits) => return (!fits).then(|| format!("{place}: nothing may be here")),
        Value::Object(schema) => schema,
        _ => panic!("{place}: no schema: {schema}"),
    };
    let inside = |schema, value, place: &str| misfit(root, schema, value, place);
    schema.iter().find_map(|(keyword, rule)| {
        let fits = match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "default" | "format" => true,
            "$ref" => {
                let path = rule.as_str().unwrap().strip_prefix('#').unwrap();
                return inside(root.pointer(path).unwrap(), value, place);
            }
            "type" => {
                let types = if rule.is_array() { list(rule) } else { std::slice::from_ref(rule) };
                types.iter().any(|name| match name.as_str().unwrap() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "integer" => value.is_i64() || value.is_u64(),
                    "boolean" => value.is_boolean(),
                    "null" => value.is_null(),
                    other => panic!("{place}: an unknown type: {other}"),
                })
            }
            "const" => value == rule,
            "enum" => list(rule).contains(value),
            "minimum" => value.as_f64().is_none_or(|it| it >= rule.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|it| it <= rule.as_f64().unwrap()),
            "pattern" => {
                assert_eq!(
                    rule, "^([0-9a-fA-F]{2})+$",
                    "another pattern than the one that is known here"
                );
                value.as_str().is_none_or(|text| {
                    let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
                    digits && !text.is_empty() && text.len().is_multiple_of(2)
                })
            }
            "oneOf" => {
                list(rule).iter().filter(|it| inside(it, value, place).is_none()).count() == 1
            }
            "anyOf" => list(rule).iter().any(|it| inside(it, value, place).is_none()),
            "required" => value.as_object().is_none_or(|it| {
                list(rule).iter().all(|name| it.contains_key(name.as_str().unwrap()))
            }),
            "items" => {
                let mut items = value.as_array().into_iter().flatten().enumerate();
                return items.find_map(|(at, it)| inside(rule, it, &format!("{place}[{at}]")));
            }
            "properties" => {
                let mut entries = value.as_object().into_iter().flatten();
                return entries.find_map(|(name, it)| {
                    inside(rule.get(name)?, it, &format!("{place}.{name}"))
                });
            }
            "additionalProperties" => {
                let known = schema.get("properties").and_then(Value::as_object);
                let mut others = value.as_object().into_iter().flatten();
                return others.find_map(|(name, it)| {
                    let known = known.is_some_and(|known| known.contains_key(name));
                    if known { None } else { inside(rule, it, &format!("{place}.{name}")) }
                });
            }
            other => panic!("{place}: a keyword that is not known here: {other}"),
        };
        (!fits).then(|| format!("{place}: {keyword} {rule}, got {value}"))
    })
}

fn list(rule: &Value) -> &[Value] {
    rule.as_array().unwrap()
}

fn misfit_of_toml(schema: &Value, text: &str) -> Option<String> {
    misfit(schema, schema, &toml::from_str(text).unwrap(), "file")
}

/// The files of this name beside the tapes.
fn of_fixtures(name: &str) -> Vec<(String, String)> {
    let folders = fs_err::read_dir(root().join("fixtures")).unwrap();
    let paths = folders.map(|entry| entry.unwrap().path().join(name));
    let text = |path: PathBuf| {
        let text = fs_err::read_to_string(&path).unwrap();
        (path.display().to_string(), text)
    };
    paths.filter(|path| path.is_file()).map(text).collect()
}

/// The policies that the handbook shows.
fn of_the_book() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(root().join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "md") {
            let text = fs_err::read_to_string(&path).unwrap();
            let blocks = text.split("\n```toml,policy\n").skip(1);
            let blocks = blocks.map(|rest| rest.split("\n```").next().unwrap().to_owned());
            found.extend(blocks.map(|block| (path.display().to_string(), block)));
        }
    }
    found
}

#[test]
fn example_policies_fit_their_schema_and_are_read() {
    let schema = schema_of("policy");
    let (fixtures, book) = (of_fixtures("policy.toml"), of_the_book());
    assert!(!fixtures.is_empty() && !book.is_empty());
    for (place, text) in fixtures.iter().chain(&book) {
        assert_eq!(misfit_of_toml(&schema, text), None, "{place}");
        RedactionPolicy::from_toml(text).unwrap();
    }
}

/// What the schema says of a policy is what the reader says.
#[test]
fn the_schema_of_a_policy_refuses_what_the_reader_does() {
    let schema = schema_of("policy");
    let cases = [
        ("format = 1", None),
        ("format = 1\nproperties = []\nfields = []\nmemory = []", None),
        ("format = 1\n[[fields]]\nplace = 'completion'\nat = 3", None),
        (
            "format = 1\n[[fields]]\nselector = 2\nplace = 'input'\nlength = 4\nwhen = { at = 0, hex = '0aFF' }",
            None,
        ),
        ("format = 1\n[[memory]]\ntype = 1\nat = 4\nlength = 2\nevery = 16", None),
        ("", Some("required")),
        ("format = 2", Some("file.format: const 1")),
        ("format = '1'", Some("file.format: ")),
        ("format = 1\nproperty = ['HostSystem']", Some("file.property: nothing may be here")),
        ("format = 1\nproperties = 'HostSystem'", Some("file.properties: type")),
        ("format = 1\nproperties = [4]", Some("file.properties[0]: type")),
        ("format = 1\n[[fields]]\nselector = 2", Some("file.fields[0]: required")),
        ("format = 1\n[[fields]]\nplace = 'elsewhere'", Some("file.fields[0].place: oneOf")),
        ("format = 1\n[[fields]]\nplace = 'input'\nat = -1", Some("file.fields[0].at: minimum")),
        (
            "format = 1\n[[fields]]\nplace = 'input'\nselector = 4294967296",
            Some("file.fields[0].selector: maximum"),
        ),
        (
            "format = 1\n[[fields]]\nplace = 'input'\noffset = 4",
            Some("file.fields[0].offset: nothing"),
        ),
        (
            "format = 1\n[[fields]]\nplace = 'input'\nwhen = { at = 0, hex = '0a0' }",
            Some("file.fields[0].when: "),
        ),
        (
            "format = 1\n[[fields]]\nplace = 'input'\nwhen = { at = 0, hex = '' }",
            Some("file.fields[0].when: "),
        ),
        (
            "format = 1\n[[fields]]\nplace = 'input'\nwhen = { hex = '0a' }",
            Some("file.fields[0].when: "),
        ),
        ("format = 1\n[[memory]]\nat = 4", Some("file.memory[0]: required")),
        ("format = 1\n[[memory]]\nmemory_type = 4", Some("file.memory[0]")),
    ];
    for (text, expected) in cases {
        let found = misfit_of_toml(&schema, text);
        let as_expected = match (&found, expected) {
            (None, None) => true,
            (Some(found), Some(expected)) => {
                found.starts_with(expected) || found.contains(expected)
            }
            _ => false,
        };
        assert!(as_expected, "{text}\n{found:?}");
        assert_eq!(RedactionPolicy::from_toml(text).is_ok(), found.is_none(), "{text}");
    }
}

#[test]
fn protocol_descriptions_of_the_fixtures_fit_their_schema() {
    let schema = schema_of("protocol");
    let fixtures = of_fixtures("protocol.toml");
    assert!(!fixtures.is_empty());
    for (place, text) in fixtures {
        assert_eq!(misfit_of_toml(&schema, &text), None, "{place}");
        let wrong = text.replacen("name = ", "nam = ", 1);
        assert!(misfit_of_toml(&schema, &wrong).is_some(), "{place}, with a wrong key");
    }
}
