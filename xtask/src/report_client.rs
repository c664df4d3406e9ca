//! What the file of a client or of a dext says of itself.

use crate::exit::Failure;
use crate::macho::{BundleInfo, Program};
use std::path::Path;

/// Bytes of an entitlement's value that are told.
const VALUE_MAX: usize = 200;

/// Identifier, version and entitlements of the program or bundle at `path`, under names that begin with
/// `what`. Who signed it is left out.
pub(crate) fn about_program(what: &str, path: &Path) -> Result<Vec<(String, String)>, Failure> {
    let mut about = Vec::new();
    let info = BundleInfo::read(path).map_err(Failure::environment)?.unwrap_or_default();
    let version = match (info.version, info.build) {
        (Some(version), Some(build)) if version != build => Some(format!("{version} ({build})")),
        (version, build) => version.or(build),
    };
    about.extend(version.map(|version| (format!("{what} version"), version)));
    let program = Program::read(path).map_err(Failure::environment)?;
    let signature = program.slices.iter().find_map(|slice| slice.signature.as_ref());
    let signed = signature.map(|it| it.identifier.clone()).filter(|it| !it.is_empty());
    about.extend(info.identifier.or(signed).map(|it| (format!("{what} identifier"), it)));
    let told = match signature {
        None => "none: it is not signed".to_owned(),
        Some(signature) if signature.has_other_entitlements => {
            "in a form that is not read".to_owned()
        }
        Some(signature) if signature.entitlements.is_empty() => "none".to_owned(),
        Some(signature) => {
            let one = |(name, value): (&String, &plist::Value)| match value {
                plist::Value::Boolean(true) => name.clone(),
                value => format!("{name}={}", shortened(&text(value))),
            };
            signature.entitlements.iter().map(one).collect::<Vec<_>>().join(", ")
        }
    };
    about.push((format!("{what} entitlements"), told));
    Ok(about)
}

fn text(value: &plist::Value) -> String {
    match value {
        plist::Value::Boolean(value) => value.to_string(),
        plist::Value::String(value) => value.clone(),
        plist::Value::Integer(value) => value.to_string(),
        plist::Value::Array(values) => {
            format!("[{}]", values.iter().map(text).collect::<Vec<_>>().join(", "))
        }
        plist::Value::Dictionary(entries) => format!("{} entries", entries.len()),
        _ => "other".to_owned(),
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(VALUE_MAX) {
        Some((at, _)) => format!("{}..", &text[..at]),
        None => text.to_owned(),
    }
}
