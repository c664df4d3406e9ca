//! Which events of a whole tape a flight recorder pins.

use super::cut::CutOptions;
use dextape::tape::{Body, Event, Sequence, Tape};
use std::collections::{BTreeMap, HashMap};

/// The beginning of a connection.
#[derive(Debug)]
struct Window {
    connection: u32,
    /// Place of the enter of its open.
    from: usize,
    /// Place of the last event of its last call that counts.
    to: usize,
}

/// For each event before `tail` whether it belongs to the beginning of a connection, or is a call with a
/// sticky selector.
///
/// To a beginning belongs all from the enter of the open to the leave of the last call that counts which
/// is of the connection or of none: the client finds services, makes queues and waits in between. The
/// tape's own beginning is that of the first connection.
pub(super) fn pinned(tape: &Tape, options: &CutOptions, tail: usize) -> Vec<bool> {
    let events = &tape.events()[..tail];
    let mut enters: HashMap<Sequence, usize> = HashMap::new();
    let mut windows: BTreeMap<u32, Window> = BTreeMap::new();
    let mut calls: BTreeMap<u32, u64> = BTreeMap::new();
    let mut pinned = vec![false; events.len()];
    for (place, event) in events.iter().enumerate() {
        if event.body.is_enter() {
            enters.insert(event.sequence, place);
        }
        let enter = event.cause.and_then(|cause| enters.get(&cause)).copied();
        let Some(connection) = event.connection else { continue };
        match &event.body {
            Body::Opened => {
                let window = Window { connection, from: enter.unwrap_or(place), to: place };
                windows.insert(connection, window);
            }
            Body::Return(_) => {
                let made = calls.entry(connection).or_default();
                *made += 1;
                if *made <= options.calls
                    && let Some(window) = windows.get_mut(&connection)
                {
                    window.to = place;
                }
                if is_sticky(enter.map(|enter| &events[enter]), options) {
                    pinned[place] = true;
                    enter.into_iter().for_each(|enter| pinned[enter] = true);
                }
            }
            // Counts with its leave.
            Body::Call(_) | Body::AsyncCall { .. } => {}
            // What follows the last call that counts, as far as it belongs to it: what a beginning maps
            // and how it looks at it.
            _ if calls.get(&connection).is_none_or(|made| *made < options.calls) => {
                if let Some(window) = windows.get_mut(&connection) {
                    window.to = place;
                }
            }
            _ => {}
        }
    }
    let first = windows.values().min_by_key(|window| window.from);
    for window in windows.values() {
        let begins = first.is_some_and(|first| first.connection == window.connection);
        let from = if begins { 0 } else { window.from };
        for place in from..=window.to {
            let owner = events[place].connection;
            pinned[place] |= begins || owner.is_none_or(|owner| owner == window.connection);
        }
    }
    pinned
}

fn is_sticky(enter: Option<&Event>, options: &CutOptions) -> bool {
    match enter.map(|enter| &enter.body) {
        Some(Body::Call(call) | Body::AsyncCall { call, .. }) => {
            options.sticky.contains(&call.selector)
        }
        _ => false,
    }
}
