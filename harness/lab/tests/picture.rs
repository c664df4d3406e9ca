//! A tape as a trace.

use dextape::tape::sample::every_kind;
use dextape_lab::{Hex, Mark, MarkKind, perfetto};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

fn trace() -> Value {
    let text = "a divergence".to_owned();
    let mark = Mark { sequence: 17, kind: MarkKind::Divergence, text };
    let written = perfetto(&every_kind(), &[mark], &Hex, Vec::new()).unwrap();
    serde_json::from_slice(&written).unwrap()
}

/// The fields that the Trace Event Format asks for, by phase.
#[test]
fn a_trace_has_the_fields_of_its_format() {
    let trace = trace();
    let events = trace["traceEvents"].as_array().unwrap();
    let mut phases: BTreeMap<&str, u64> = BTreeMap::new();
    for event in events {
        let phase = event["ph"].as_str().unwrap();
        *phases.entry(phase).or_default() += 1;
        assert!(event["name"].is_string() && event["pid"].is_u64(), "{event}");
        if phase != "M" {
            assert!(event["ts"].is_number(), "{event}");
        }
        match phase {
            "M" => assert!(event["args"].is_object()),
            "X" => assert!(event["dur"].is_number() && event["tid"].is_u64(), "{event}"),
            "i" => assert!(matches!(event["s"].as_str(), Some("t" | "p" | "g")), "{event}"),
            "s" | "t" | "f" => assert!(event["id"].is_u64() && event["tid"].is_u64(), "{event}"),
            "C" => assert!(event["args"]["calls"].is_u64(), "{event}"),
            other => panic!("no phase of the format is {other}"),
        }
        assert_eq!(phase == "f", event["bp"] == "e");
    }
    assert_eq!((phases["s"], phases["t"], phases["f"]), (2, 2, 2), "two completions");
}

/// A viewer draws a flow from slice to slice: each begins in one that spans it, and goes forwards.
#[test]
fn flows_go_from_the_call_to_where_the_completion_was_taken() {
    let trace = trace();
    let events = trace["traceEvents"].as_array().unwrap();
    let of = |phase: &str| events.iter().filter(|it| it["ph"] == phase).collect::<Vec<_>>();
    for start in of("s") {
        let end = of("f").into_iter().find(|end| end["id"] == start["id"]).unwrap();
        assert!(start["ts"].as_f64() < end["ts"].as_f64());
        let spans = |slice: &&&Value| {
            let (from, at) = (slice["ts"].as_f64().unwrap(), start["ts"].as_f64().unwrap());
            slice["tid"] == start["tid"]
                && from <= at
                && at <= from + slice["dur"].as_f64().unwrap()
        };
        let slices = of("X");
        let slice = slices.iter().find(spans).unwrap();
        assert_eq!(slice["name"], "async call 8()");
    }
    // Every operation once, with what it was and what came of it.
    let numbers: Vec<_> = events.iter().filter_map(|it| it["args"]["sequence"].as_u64()).collect();
    let marks = 1;
    assert_eq!(numbers.len(), numbers.iter().collect::<BTreeSet<_>>().len() + marks);
    let call = events.iter().find(|it| it["args"]["sequence"] == 15).unwrap();
    assert_eq!(call["args"]["scalar 0"], "0x10");
    assert_eq!(call["args"]["returned scalar 0"], "0x7");
}
