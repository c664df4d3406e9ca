//! The names of a protocol description in a report.

use super::divergence::{Difference, DivergenceReport, Shown};
use crate::protocol::{Protocol, ScalarDescription, Structure};
use crate::tape::{Field, Header};

/// Fields of one difference that are named at most.
const NAMED_MAX: usize = 16;

/// Values of a structure that are looked at.
const VALUES_MAX: usize = 4096;

/// Characters of a value that are shown.
const VALUE_MAX: usize = 80;

/// Puts the description's names beside selectors and fields, where it is of a service of the tape.
pub(super) fn name(report: &mut DivergenceReport, protocol: &Protocol, header: &Header) {
    let describes = header.services.values().any(|service| {
        let names = [&service.name, &service.class, &service.user_class];
        names.into_iter().flatten().any(|name| protocol.describes(name))
    });
    if !describes && !protocol.services.is_empty() {
        return;
    }
    let lines = report.candidates.iter_mut().map(|candidate| &mut candidate.event);
    for line in lines.chain([&mut report.operation]).chain(report.expected.as_mut()) {
        name_selector(line, protocol);
    }
    report.differences.iter_mut().for_each(|difference| name_difference(difference, protocol));
}

/// `call selector 2 of ..` becomes `call selector 2 (read_key) of ..`.
fn name_selector(line: &mut String, protocol: &Protocol) {
    let begins = ["call selector ", "call asynchronously selector "];
    let Some(at) = begins.iter().find(|begin| line.starts_with(**begin)).map(|it| it.len()) else {
        return;
    };
    let end = line[at..].find(|char: char| !char.is_ascii_digit()).map_or(line.len(), |it| at + it);
    let number = line[at..end].parse().ok();
    if let Some(name) = number.and_then(|number| protocol.selector_name(number)) {
        line.insert_str(end, &format!(" ({})", printable(name)));
    }
}

/// Names are of a file that somebody else may have written: what cannot be printed is shown as an escape.
fn printable(name: &str) -> String {
    name.chars().flat_map(char::escape_debug).take(VALUE_MAX).collect()
}

fn name_difference(difference: &mut Difference, protocol: &Protocol) {
    // The rules that would mask a field say where it is.
    let Some(rule) = difference.masks.first() else { return };
    let selector = rule.selector.and_then(|selector| protocol.selectors.get(&selector));
    match rule.field {
        Field::ScalarInput(index) => {
            let scalar = selector.and_then(|selector| selector.inputs.get(index));
            if let Some(scalar) = scalar {
                name_scalar(difference, scalar);
            }
        }
        Field::StructureInput(..) => {
            if let Some(structure) = selector.and_then(|selector| selector.input.as_deref()) {
                difference.named = named(structure, &difference.recorded, &difference.actual);
            }
        }
        Field::Write { memory_type, offset, .. } => {
            if let Some(memory) = protocol.memory.get(&memory_type) {
                let name = memory.field_at(offset).unwrap_or_else(|| memory.name.clone());
                difference.field = format!("{} ({})", difference.field, printable(&name));
            }
        }
        _ => {}
    }
}

fn name_scalar(difference: &mut Difference, scalar: &ScalarDescription) {
    difference.field = format!("{} ({})", difference.field, printable(&scalar.name));
    if scalar.values.is_none() && scalar.show.is_none() {
        return;
    }
    for shown in [&mut difference.recorded, &mut difference.actual] {
        let Shown::Text(text) = shown else { continue };
        let number = text.strip_prefix("0x").and_then(|it| u64::from_str_radix(it, 16).ok());
        if let Some(number) = number {
            *text = printable(&scalar.describe(number));
        }
    }
}

/// The fields that differ, by their names and values.
fn named(structure: &Structure, recorded: &Shown, actual: &Shown) -> Vec<String> {
    let (Shown::Bytes { offset, bytes: recorded, .. }, Shown::Bytes { bytes: actual, .. }) =
        (recorded, actual)
    else {
        return Vec::new();
    };
    let Some(from) = usize::try_from(*offset).ok().filter(|from| *from < structure.size) else {
        return Vec::new();
    };
    // What is not shown is the same on both sides.
    let whole = |bytes: &[u8]| {
        let mut whole = vec![0; from];
        whole.extend_from_slice(bytes);
        whole
    };
    let (recorded, actual) = (whole(recorded), whole(actual));
    let decoded = |bytes: &[u8]| structure.decode(bytes, VALUES_MAX);
    let mut told = Vec::new();
    for (one, other) in decoded(&recorded).iter().zip(&decoded(&actual)) {
        if one.value == other.value || one.path != other.path || one.at < from {
            continue;
        }
        if told.len() == NAMED_MAX {
            told.push("..".to_owned());
            break;
        }
        let [was, is] = [one, other].map(|value| printable(&value.to_string()));
        told.push(format!("{}: recorded {was}, client {is}", printable(&one.path)));
    }
    told
}

#[cfg(test)]
mod tests {
    use crate::connection::{ConnectionExt, Matching};
    use crate::protocol::Protocol;
    use crate::replay::{ReplayOptions, Replayer};
    use crate::schedule::Schedule;
    use crate::tape::Header;
    use crate::tape::{Body, Call, OutputKind, Payload, Structure, Tape, sample};
    use std::sync::Arc;

    const PROTOCOL: &str = r#"
        format = 1
        [selectors.3]
        name = "submit"
        inputs = [{ name = "mode", enum = "Mode" }, "node"]
        input = "Request"
        [structures.Request]
        fields = [
            { name = "length", type = "u32" }, { name = "key", type = "u32", show = "four_characters" },
            { name = "pad", type = "u8", count = 24 }, { name = "timeout", type = "u32" },
        ]
        [enums.Mode]
        slow = 0
        fast = 1
    "#;

    fn request(length: u32, timeout: u32) -> Vec<u8> {
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend(0x2345_4b59_u32.to_le_bytes());
        bytes.extend([0; 24]);
        bytes.extend(timeout.to_le_bytes());
        bytes
    }

    fn report(options: ReplayOptions, service: &str) -> String {
        let mut script = sample::Script::new();
        let matching = Matching::user_class(service);
        script.event(
            1,
            None,
            None,
            Body::Matched { matching: matching.clone(), outcome: Ok(vec![1]) },
        );
        let open = script.event(1, None, None, Body::Open { service: 1, open_type: 0 });
        script.event(1, Some(1), Some(open), Body::Opened);
        let call = Call {
            input: Structure::Bytes(Payload::bytes(&request(4, 500))),
            output: OutputKind::None,
            ..sample::call(3, &[1, 7])
        };
        script.operation(1, 1, Body::Call(call), Body::Return(sample::success()));
        let mut header = Header::mock();
        let identity = crate::tape::ServiceIdentity {
            user_class: Some(service.to_owned()),
            ..crate::tape::ServiceIdentity::default()
        };
        header.services.insert(1, identity);
        let tape = Tape::new(header, script.into_events());
        let replayer = Replayer::new(Arc::new(tape), options).unwrap();
        let system = replayer.system(&Schedule::free());
        let quiet = std::panic::AssertUnwindSafe(|| {
            let service = system.first_service(&matching).unwrap();
            let connection = system.open(service, 0).unwrap();
            let _ = connection.call(3).scalars(&[0, 7]).input_bytes(&request(5, 500)).send();
        });
        let _ = std::panic::catch_unwind(quiet);
        replayer.finish().unwrap_err().to_string()
    }

    #[test]
    fn selectors_and_fields_have_their_names() {
        let protocol = Arc::new(Protocol::from_toml(PROTOCOL).unwrap());
        let named = report(ReplayOptions::default().protocol(protocol), "Disk");
        insta::assert_snapshot!(named);
        let plain = report(ReplayOptions::default(), "Disk");
        assert!(!plain.contains("submit") && !plain.contains("mode"), "{plain}");
    }

    #[test]
    fn a_description_of_another_service_names_nothing() {
        let text = format!("services = [\"Bus\"]\n{PROTOCOL}");
        let protocol = Arc::new(Protocol::from_toml(&text).unwrap());
        let said = report(ReplayOptions::default().protocol(protocol), "Disk");
        assert_eq!(said, report(ReplayOptions::default(), "Disk"));
    }
}
