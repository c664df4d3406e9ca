//! The tape's header, and what services are, in a journal: encoding and decoding.

use super::decode::{Bytes, Fault};
use super::sink::Sink;
use dextape::schedule::TimeMode;
use dextape::tape::{
    Comparison, FORMAT_VERSION, Field, FieldRule, FormatVersion, Header, Host, OpenedAs, Scenario,
    ServiceIdentity,
};
use std::collections::BTreeMap;

pub(super) fn put_header<S: Sink>(sink: &mut S, header: &Header) {
    sink.number(header.format.major);
    sink.number(header.format.minor);
    sink.block(header.recorder.as_bytes());
    match &header.host {
        Host::Mock => sink.byte(0),
        Host::Mac { model, system } => {
            sink.byte(1);
            sink.block(model.as_bytes());
            sink.block(system.as_bytes());
        }
    }
    sink.long(header.page_size);
    sink.byte(match header.time {
        TimeMode::Simulated => 0,
        TimeMode::Free => 1,
    });
    sink.maybe_long(header.seed);
    sink.byte(u8::from(header.scenario.is_some()));
    if let Some(scenario) = &header.scenario {
        sink.block(scenario.name.as_bytes());
        sink.long(scenario.parameters.len() as u64);
        for (key, value) in &scenario.parameters {
            sink.block(key.as_bytes());
            sink.block(value.as_bytes());
        }
    }
    sink.long(header.services.len() as u64);
    for (service, identity) in &header.services {
        sink.number(*service);
        put_identity(sink, identity);
    }
    sink.maybe_text(header.policy.as_deref());
    sink.long(header.rules.len() as u64);
    for rule in &header.rules {
        put_rule(sink, rule);
    }
    put_texts(sink, &header.redactions);
    put_texts(sink, &header.provenance);
    sink.long(header.extra.len() as u64);
    for (key, value) in &header.extra {
        sink.block(key.as_bytes());
        sink.block(value.to_string().as_bytes());
    }
}

pub(super) fn take_header(bytes: &mut Bytes<'_>) -> Result<Header, Fault> {
    let format = FormatVersion { major: bytes.number()?, minor: bytes.number()? };
    if format.major != FORMAT_VERSION.major {
        return Err(Fault("a format of tapes that this version does not write"));
    }
    let recorder = bytes.text()?;
    let host = match bytes.byte()? {
        0 => Host::Mock,
        1 => Host::Mac { model: bytes.text()?, system: bytes.text()? },
        _ => return Err(Fault("an unknown host")),
    };
    let page_size = bytes.long()?;
    if !page_size.is_power_of_two() {
        // No tape could say it.
        return Err(Fault("a page size that is no power of two"));
    }
    let time = match bytes.byte()? {
        0 => TimeMode::Simulated,
        1 => TimeMode::Free,
        _ => return Err(Fault("an unknown mode of time")),
    };
    let seed = bytes.maybe_long()?;
    let scenario = if bytes.flag()? {
        let name = bytes.text()?;
        let count = bytes.long()?;
        let mut parameters = BTreeMap::new();
        for _ in 0..count {
            parameters.insert(bytes.text()?, bytes.text()?);
        }
        Some(Scenario { name, parameters })
    } else {
        None
    };
    let mut services = BTreeMap::new();
    for _ in 0..bytes.long()? {
        services.insert(bytes.number()?, take_identity(bytes)?);
    }
    let policy = bytes.maybe_text()?;
    let rules = bytes.list(take_rule)?;
    let redactions = bytes.list(Bytes::text)?;
    let provenance = bytes.list(Bytes::text)?;
    let mut extra = BTreeMap::new();
    for _ in 0..bytes.long()? {
        let (key, value) = (bytes.text()?, bytes.text()?);
        let value = serde_json::from_str(&value).map_err(|_| Fault("a field that is no JSON"))?;
        extra.insert(key, value);
    }
    Ok(Header {
        format,
        recorder,
        host,
        page_size,
        time,
        seed,
        scenario,
        services,
        policy,
        rules,
        redactions,
        provenance,
        extra,
    })
}

pub(super) fn put_identity<S: Sink>(sink: &mut S, identity: &ServiceIdentity) {
    let ServiceIdentity { class, name, user_class, bundle_id, version } = identity;
    for text in [class, name, user_class, bundle_id, version] {
        sink.maybe_text(text.as_deref());
    }
}

pub(super) fn take_identity(bytes: &mut Bytes<'_>) -> Result<ServiceIdentity, Fault> {
    Ok(ServiceIdentity {
        class: bytes.maybe_text()?,
        name: bytes.maybe_text()?,
        user_class: bytes.maybe_text()?,
        bundle_id: bytes.maybe_text()?,
        version: bytes.maybe_text()?,
    })
}

fn put_texts<S: Sink>(sink: &mut S, texts: &[String]) {
    sink.long(texts.len() as u64);
    texts.iter().for_each(|text| sink.block(text.as_bytes()));
}

/// A bit of the tag of a field: what the connection was opened as stands behind it.
const OPENED_AS: u8 = 0x80;

fn put_rule<S: Sink>(sink: &mut S, rule: &FieldRule) {
    sink.maybe_number(rule.selector);
    let (tag, numbers) = match rule.field {
        Field::ScalarInput(index) => (0, [index as u64, 0, 0]),
        Field::StructureInput(offset, length) => (1, [offset, length, 0]),
        Field::ScalarOutput(index) => (2, [index as u64, 0, 0]),
        Field::StructureOutput(offset, length) => (3, [offset, length, 0]),
        Field::Reference(index) => (4, [index as u64, 0, 0]),
        Field::Write { memory_type, offset, length } => {
            (5, [u64::from(memory_type), offset, length])
        }
    };
    sink.byte(tag | if rule.on.is_some() { OPENED_AS } else { 0 });
    if let Some(on) = &rule.on {
        sink.block(on.service.as_bytes());
        sink.number(on.open_type);
    }
    numbers.iter().for_each(|number| sink.long(*number));
    sink.maybe_text(match &rule.comparison {
        Comparison::Masked => None,
        Comparison::Symbol(name) => Some(name),
    });
}

fn take_rule(bytes: &mut Bytes<'_>) -> Result<FieldRule, Fault> {
    let selector = bytes.maybe_number()?;
    let tag = bytes.byte()?;
    let on = match tag & OPENED_AS {
        0 => None,
        _ => Some(OpenedAs { service: bytes.text()?, open_type: bytes.number()? }),
    };
    let (first, second, third) = (bytes.long()?, bytes.long()?, bytes.long()?);
    let index = usize::try_from(first).map_err(|_| Fault("an index out of range"));
    let field = match tag & !OPENED_AS {
        0 => Field::ScalarInput(index?),
        1 => Field::StructureInput(first, second),
        2 => Field::ScalarOutput(index?),
        3 => Field::StructureOutput(first, second),
        4 => Field::Reference(index?),
        5 => Field::Write {
            memory_type: u32::try_from(first).map_err(|_| Fault("a memory type out of range"))?,
            offset: second,
            length: third,
        },
        _ => return Err(Fault("an unknown field")),
    };
    let comparison = bytes.maybe_text()?.map_or(Comparison::Masked, Comparison::Symbol);
    Ok(FieldRule { selector, on, field, comparison })
}
