//! The gate looks at everything of a tape and of a report that leaves in a bundle: a value planted at each
//! place, one at a time, is found and is replaced.

use dextape::call::Scalars;
use dextape::redaction::{Pseudonym, RedactionPolicy};
use dextape::registry::{Matching, Value};
use dextape::tape::{
    Body, Comparison, Event, Field, FieldRule, Header, Host, Keyframe, KeyframeMemory, NoteSubject,
    OpenedAs, OtherCall, Payload, Pointed, Scenario, ServiceIdentity, Tape,
};
use dextape_lab::{
    Bundle, Gate, PackError, PrivateValue, Report, find_private, pack_report, redact,
};
use serde_json::json;
use std::io::Cursor;

const SERIAL: &str = "C02XL0GYJGH5";

const KEY: Pseudonym = Pseudonym::new([9; 32]);

fn text() -> String {
    format!("<{SERIAL}>")
}

fn bytes() -> Payload {
    Payload::bytes(text().as_bytes())
}

fn words() -> Scalars {
    let word =
        |part: &[u8]| u64::from_le_bytes(std::array::from_fn(|at| *part.get(at).unwrap_or(&0)));
    Scalars::clamped(&SERIAL.as_bytes().chunks(8).map(word).collect::<Vec<u64>>())
}

/// A header for each of its places.
fn headers() -> Vec<(&'static str, Header)> {
    let rule = |on: Option<OpenedAs>, comparison| FieldRule {
        selector: Some(1),
        on,
        field: Field::ScalarInput(0),
        comparison,
    };
    let scenario = |name: String, key: String, value: String| Scenario {
        name,
        parameters: [(key, value)].into(),
    };
    let plain = || "plain".to_owned();
    let header = Header::mock;
    let identity = ServiceIdentity::default;
    let service =
        |identity: ServiceIdentity| Header { services: [(1, identity)].into(), ..header() };
    vec![
        ("recorder", Header { recorder: text(), ..header() }),
        ("model", Header { host: Host::Mac { model: text(), system: plain() }, ..header() }),
        ("system", Header { host: Host::Mac { model: plain(), system: text() }, ..header() }),
        ("policy", Header { policy: Some(text()), ..header() }),
        (
            "symbol of a rule",
            Header { rules: vec![rule(None, Comparison::Symbol(text()))], ..header() },
        ),
        (
            "service of a rule",
            Header {
                rules: vec![rule(
                    Some(OpenedAs { service: text(), open_type: 0 }),
                    Comparison::Masked,
                )],
                ..header()
            },
        ),
        ("scenario", Header { scenario: Some(scenario(text(), plain(), plain())), ..header() }),
        ("parameter", Header { scenario: Some(scenario(plain(), plain(), text())), ..header() }),
        (
            "name of a parameter",
            Header { scenario: Some(scenario(plain(), text(), plain())), ..header() },
        ),
        ("class", service(ServiceIdentity { class: Some(text()), ..identity() })),
        ("name", service(ServiceIdentity { name: Some(text()), ..identity() })),
        ("user class", service(ServiceIdentity { user_class: Some(text()), ..identity() })),
        ("bundle", service(ServiceIdentity { bundle_id: Some(text()), ..identity() })),
        ("version", service(ServiceIdentity { version: Some(text()), ..identity() })),
        ("redactions", Header { redactions: vec![text()], ..header() }),
        ("provenance", Header { provenance: vec![text()], ..header() }),
        (
            "unknown field",
            Header { extra: [("x-a".to_owned(), json!([{ "b": text() }]))].into(), ..header() },
        ),
        ("key of an unknown field", Header { extra: [(text(), json!(1))].into(), ..header() }),
        (
            "key within an unknown field",
            Header { extra: [("x-a".to_owned(), json!({ text(): 1 }))].into(), ..header() },
        ),
    ]
}

/// An event for each place that is no call or completion; those are the exam's.
fn events() -> Vec<(&'static str, Event)> {
    let of = |body| Event::new(1, 1, 1, body);
    let property = |key: &str, value: Value| Body::Property {
        service: 1,
        key: Some(key.to_owned()),
        outcome: Ok(Some(value)),
    };
    let all = |key: String, value: Value| Body::Property {
        service: 1,
        key: None,
        outcome: Ok(Some(Value::Dictionary([(key, value)].into()))),
    };
    let extra = |key: String, value| {
        let mut event = of(Body::Queue { queue: 1 });
        event.extra.insert(key, value);
        event
    };
    let keyframe = Keyframe {
        memories: vec![KeyframeMemory {
            memory: 1,
            connection: None,
            memory_type: 0,
            length: 64,
            shadow: vec![(0, bytes())],
        }],
        ..Keyframe::default()
    };
    let set = |key: &str, value: Value| {
        let properties = Some(Value::Dictionary([(key.to_owned(), value)].into()));
        of(Body::OtherCall(OtherCall::SetProperties { properties }))
    };
    let pointed = [Pointed { field: Field::ScalarInput(0), data: text().into_bytes() }];
    vec![
        ("property", of(property("a", Value::String(text())))),
        ("data", of(property("a", Value::Data(text().into_bytes())))),
        ("array", of(property("a", Value::Array(vec![Value::String(text())])))),
        ("key asked for", of(property(&text(), Value::Number(1)))),
        ("key of all", of(all(text(), Value::Number(1)))),
        ("value of all", of(all("a".to_owned(), Value::String(text())))),
        ("value set", set("a", Value::String(text()))),
        ("key set", set(&text(), Value::Number(1))),
        (
            "matched",
            of(Body::Matched {
                matching: Matching::service("a").property("b", text().as_str()),
                outcome: Ok(vec![]),
            }),
        ),
        (
            "key matched",
            of(Body::Matched {
                matching: Matching::service("a").property(&text(), "b"),
                outcome: Ok(vec![]),
            }),
        ),
        ("gap", of(Body::Gap { events: None, reason: text() })),
        ("note", of(Body::Note { subject: NoteSubject::Trigger, memory: None, reason: text() })),
        ("unknown kind", of(Body::Unknown { kind: text() })),
        ("trap", of(Body::OtherCall(OtherCall::Trap { index: 1, arguments: words() }))),
        ("write", of(Body::Write { memory: 1, offset: 8, width: None, data: bytes() })),
        ("keyframe", of(Body::Keyframe(keyframe))),
        ("unknown field", extra("x-a".to_owned(), json!({ "b": [text()] }))),
        ("key of an unknown field", extra(text(), json!(true))),
        ("pointed", extra(Pointed::KEY.to_owned(), Pointed::to_json(&pointed))),
    ]
}

fn gate() -> Gate {
    Gate {
        policy: RedactionPolicy::new(),
        private: PrivateValue::of_text(SERIAL).into_iter().collect(),
        replaces_private: false,
        pseudonym: KEY,
    }
}

#[test]
fn every_place_of_a_tape_is_looked_at() {
    let plain = Event::new(1, 1, 1, Body::Queue { queue: 1 });
    let in_headers = headers().into_iter().map(|(place, header)| (place, header, plain.clone()));
    let in_events = events().into_iter().map(|(place, event)| (place, Header::mock(), event));
    for (index, (place, header, event)) in in_headers.chain(in_events).enumerate() {
        let tape = || Tape::new(header.clone(), vec![event.clone()]);
        let values = gate().private;
        let leaks = find_private(&mut tape(), &values, 10).unwrap();
        assert_eq!(leaks.len(), 1, "{place}: {leaks:?}");
        // The bundle goes through the same gate.
        if index % 8 == 0 {
            let report = Report { tapes: vec![("a".to_owned(), tape())], ..Report::default() };
            let refused = pack_report(report, &gate());
            assert!(matches!(refused, Err(PackError::Leaks(_))), "{place}: {refused:?}");
        }
        let mut redacted = tape();
        redact(&mut redacted, &RedactionPolicy::new(), &values, &KEY).unwrap();
        let written = String::from_utf8(redacted.write_to(Vec::new()).unwrap()).unwrap();
        let hex: String = SERIAL.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert!(!written.contains(SERIAL) && !written.contains(&hex), "{place}: {written}");
    }
}

#[test]
fn every_text_of_a_report_is_looked_at() {
    let tape = || Tape::new(Header::mock(), vec![Event::new(1, 1, 1, Body::Queue { queue: 1 })]);
    let plain = || Report { tapes: vec![("a".to_owned(), tape())], ..Report::default() };
    let reports: [(&str, &dyn Fn() -> Report); 5] = [
        ("name of a tape", &|| Report { tapes: vec![(text(), tape())], ..plain() }),
        ("note", &|| Report { note: text(), ..plain() }),
        ("log", &|| Report { log: text(), ..plain() }),
        ("environment", &|| Report { environment: [("a".to_owned(), text())].into(), ..plain() }),
        ("key of the environment", &|| Report {
            environment: [(text(), "a".to_owned())].into(),
            ..plain()
        }),
    ];
    for (place, report) in reports {
        let refused = pack_report(report(), &gate());
        assert!(matches!(refused, Err(PackError::Leaks(_))), "{place}: {refused:?}");
        let packed = pack_report(report(), &Gate { replaces_private: true, ..gate() }).unwrap();
        let bundle = Bundle::read(Cursor::new(packed.bytes)).unwrap();
        let manifest = serde_json::to_string(bundle.manifest()).unwrap();
        let said = [manifest.as_str(), bundle.note(), bundle.log()].concat();
        assert!(!said.contains(SERIAL), "{place}: {said}");
    }
    let several = [("a", "b"), ("c", "d")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    let report = Report { environment: several.clone().into(), ..plain() };
    let packed = pack_report(report, &gate()).unwrap();
    assert_eq!(packed.manifest.environment, several.into(), "others stay with their keys");
}
