//! Memory that the replayed client reaches by raw pointers, through a copy that changes are brought to.

use super::story::{Story, Told, free, open};
use crate::IoReturn;
use crate::call::MapOptions;
use crate::connection::{Connection, Mapping};
use crate::memory::Author;
use crate::replay::{ReplayOptions, Replayer};
use crate::tape::{Body, Capture, Payload, Sequence};

fn kick() -> Told {
    Told::scalar(0, 1, 1)
}

fn found(
    story: &mut Story,
    lane: u32,
    at: u64,
    byte: u8,
    seen: (Option<Sequence>, bool),
) -> Sequence {
    let (data, (last_equal, unattributed)) = (Payload::bytes(&[byte]), seen);
    let body = Body::Patch { memory: 1, offset: at, data, read: 1, last_equal, unattributed };
    story.event(lane, Some(1), None, body)
}

fn mapped(rest: impl FnOnce(&mut Story)) -> (Replayer, Box<dyn Connection>, Mapping) {
    let mut story = Story::new();
    story.open(1);
    story.map_as(1, 1, Capture::SyncPoints);
    rest(&mut story);
    let replayer = story.replayer(ReplayOptions::default());
    let connection = open(&*free(&replayer));
    let mapping = connection.map_memory(0, MapOptions::ANYWHERE, 0).unwrap();
    (replayer, connection, mapping)
}

/// What is brought, and whether something waits.
fn bring(mapping: &Mapping, idle: bool) -> (Vec<(u64, u8, Author)>, bool) {
    let mut all = Vec::new();
    let waits = mapping.memory().bring_changes(idle, &mut |offset, bytes, author| {
        assert_eq!(bytes.len(), 1);
        all.push((offset, bytes[0], author));
    });
    (all, waits)
}

#[test]
fn what_may_be_the_clients_own_waits_until_it_has_gone_on_or_waits_itself() {
    for idle in [false, true] {
        let (replayer, connection, mapping) = mapped(|story| {
            found(story, 1, 0, 1, (None, false));
            found(story, 1, 4, 2, (None, true));
            // Behind what waits, where it overlaps that.
            found(story, 1, 4, 3, (None, false));
            story.call(1, 1, &kick());
        });
        assert_eq!(bring(&mapping, false), (vec![(0, 1, Author::Dext)], true));
        let rest = vec![(4, 2, Author::Unknown), (4, 3, Author::Dext)];
        if idle {
            assert_eq!(bring(&mapping, true), (rest.clone(), false));
        }
        assert_eq!(kick().make(&*connection).0, IoReturn::SUCCESS);
        if !idle {
            assert_eq!(bring(&mapping, false), (rest, false));
        }
        assert!(replayer.finish().unwrap().unread_patches.is_empty());
    }
}

#[test]
fn what_another_thread_saw_first_comes_behind_what_stood_before_it() {
    let (_replayer, connection, mapping) = mapped(|story| {
        let call = story.call(1, 1, &kick());
        found(story, 1, 0, 8, (None, false));
        // The first that lane 2 does, which so stands behind nothing of its own.
        found(story, 2, 0, 9, (None, false));
        found(story, 3, 7, 7, (Some(call), false));
    });
    assert_eq!(bring(&mapping, true).0, [], "the call has not been made");
    let _ = kick().make(&*connection);
    let all = [(0, 8, Author::Dext), (0, 9, Author::Dext), (7, 7, Author::Dext)];
    assert_eq!(bring(&mapping, false).0, all);
}

#[test]
fn what_nobodys_read_saw_stands_behind_what_was_asked_last() {
    let (_replayer, connection, mapping) = mapped(|story| {
        story.call(1, 1, &kick());
        found(story, 0, 0, 8, (None, false));
    });
    assert_eq!(bring(&mapping, true).0, []);
    let _ = kick().make(&*connection);
    assert_eq!(bring(&mapping, false).0, [(0, 8, Author::Dext)]);
}

#[test]
fn an_unattributed_change_is_never_read_over_the_clients_own_write() {
    let (_replayer, _connection, mapping) = mapped(|story| {
        found(story, 2, 0, 5, (None, true));
        found(story, 2, 1, 6, (None, true));
        let data = Payload::bytes(&[0x77]);
        story.event(1, Some(1), None, Body::Write { memory: 1, offset: 1, width: None, data });
    });
    mapping.copy_in(1, &[0x77]).unwrap();
    assert_eq!(mapping.load::<u8>(0), Ok(5));
    assert_eq!(mapping.load::<u8>(1), Ok(0x77), "the change was this write, or went before it");
}
