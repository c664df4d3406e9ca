//! One row of a tape.

use crate::view::{is_failure, result_of};
use dextape::tape::{Body, Call, Host, TapeError, TapeReader};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What a tape is, as one row of an index, reading it as a stream: `tape`, `scenario`, `host`, `recorder`,
/// `time`, `services`, `provenance`, `events`, `connections`, `lanes`, `calls`, `selectors` (calls of each),
/// `failures`, `results` (how often each was told), `first_failure` (number of the event) and `duration_ns`.
///
/// # Errors
///
/// The tape cannot be read to its end.
pub fn summary(called: &str, mut reader: TapeReader) -> Result<Value, TapeError> {
    let (mut connections, mut lanes) = (BTreeSet::new(), BTreeSet::new());
    let mut selectors: BTreeMap<u32, u64> = BTreeMap::new();
    let mut results: BTreeMap<String, u64> = BTreeMap::new();
    let (mut events, mut failures, mut first_failure, mut duration) = (0_u64, 0_u64, None, 0);
    for event in reader.by_ref() {
        let event = event?;
        events += 1;
        duration = duration.max(event.time);
        connections.extend(event.connection.map(|connection| (event.process, connection)));
        if event.lane != 0 {
            lanes.insert((event.process, event.lane));
        }
        if let Body::Call(Call { selector, .. })
        | Body::AsyncCall { call: Call { selector, .. }, .. } = &event.body
        {
            *selectors.entry(*selector).or_default() += 1;
        }
        if is_failure(&event.body) {
            failures += 1;
            first_failure = first_failure.or(Some(event.sequence));
            if let Some(result) = result_of(&event.body) {
                let name =
                    result.name().map_or_else(|| format!("{:#010x}", result.0), str::to_owned);
                *results.entry(name).or_default() += 1;
            }
        }
    }
    let header = reader.header();
    let services: Vec<_> = header.services.values().filter_map(|it| it.label()).collect();
    Ok(json!({
        "tape": called,
        "scenario": header.scenario.as_ref().map(|scenario| &scenario.name),
        "host": match &header.host {
            Host::Mock => "mock".to_owned(),
            Host::Mac { model, system } => format!("{model}, {system}"),
        },
        "recorder": header.recorder,
        "time": format!("{:?}", header.time).to_lowercase(),
        "services": services,
        "provenance": header.provenance,
        "events": events,
        "connections": connections.len(),
        "lanes": lanes.len(),
        "calls": selectors.values().sum::<u64>(),
        "selectors": selectors,
        "failures": failures,
        "results": results,
        "first_failure": first_failure,
        "duration_ns": duration,
    }))
}
