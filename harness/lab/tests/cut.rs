//! Tapes as a flight recorder would have cut them.

use dextape::memory::{Update, Width};
use dextape::tape::{
    Body, Capture, Event, Header, Keyframe, MappedMemory, OtherCall, Payload, Tape,
};
use dextape::{IoReturn, call};
use dextape_lab::{CutError, CutOptions, cut};
use std::path::{Path, PathBuf};

/// The tapes in `fixtures/`.
fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let mut tapes = Vec::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(".tape.jsonl") {
                tapes.push(path);
            }
        }
    }
    tapes.sort();
    tapes
}

fn keyframe(tape: &Tape) -> Option<(usize, &Keyframe)> {
    tape.events().iter().enumerate().find_map(|(place, event)| match &event.body {
        Body::Keyframe(keyframe) => Some((place, keyframe)),
        _ => None,
    })
}

#[test]
fn what_is_cut_is_valid_and_keeps_its_text() {
    let mut cuts = 0;
    for path in fixtures() {
        let whole = Tape::read(&path).unwrap();
        for (calls, tail) in [(0, 5), (3, 20), (8, 60)] {
            let options = CutOptions::default().calls(calls).tail(tail);
            let tape = match cut(&whole, &options) {
                Ok(tape) => tape,
                Err(error) => panic!("{}: {error}", path.display()),
            };
            let validation = tape.validate();
            assert!(validation.is_valid(), "{} {options:?}: {validation}", path.display());
            let text = tape.to_text().unwrap();
            let again = Tape::from_bytes(text.clone().into_bytes()).unwrap();
            assert_eq!(again.to_text().unwrap(), text);
            cuts += u64::from(keyframe(&tape).is_some());
            // What is left is as it was.
            let left = tape
                .events()
                .iter()
                .filter(|event| !matches!(event.body, Body::Gap { .. } | Body::Keyframe(_)));
            let missing: u64 = tape
                .events()
                .iter()
                .filter_map(|event| match event.body {
                    Body::Gap { events, .. } => events,
                    _ => None,
                })
                .sum();
            assert_eq!(left.clone().count() as u64 + missing, whole.events().len() as u64);
            if let Some((place, _)) = keyframe(&tape) {
                let tail = &tape.events()[place + 1..];
                let was = &whole.events()[whole.events().len() - tail.len()..];
                assert!(tail.iter().zip(was).all(|(left, was)| left.sequence == was.sequence));
            }
        }
    }
    assert!(cuts > 100, "{cuts} of the tapes in fixtures/ were long enough to be cut");
}

/// A tape in the making.
#[derive(Default)]
struct Script {
    events: Vec<Event>,
}

impl Script {
    fn event(&mut self, connection: Option<u32>, cause: Option<u64>, body: Body) -> u64 {
        let number = self.events.len() as u64 + 1;
        let mut event = Event::new(number, 1, number, body);
        (event.connection, event.cause) = (connection, cause);
        self.events.push(event);
        number
    }

    fn operation(&mut self, connection: u32, enter: Body, leave: Body) -> u64 {
        let entered = self.event(Some(connection), None, enter);
        self.event(Some(connection), Some(entered), leave)
    }

    fn open(&mut self, connection: u32) {
        let entered = self.event(None, None, Body::Open { service: 7, open_type: 0 });
        self.event(Some(connection), Some(entered), Body::Opened);
    }

    fn map(&mut self, connection: u32, memory: u32) -> u64 {
        let mapped = MappedMemory {
            memory,
            length: 0x4000,
            size: 0x4000,
            capture: Capture::Accessor,
            read_only: false,
        };
        let enter = Body::Map { memory_type: memory, options: 1, address: 0 };
        self.operation(connection, enter, Body::Mapped { outcome: Ok(mapped) })
    }

    fn patch(&mut self, connection: u32, map: u64, memory: u32, offset: u64, bytes: &[u8]) {
        let data = Payload::bytes(bytes);
        let (read, last_equal, unattributed) = (1, None, false);
        let body = Body::Patch { memory, offset, data, read, last_equal, unattributed };
        self.event(Some(connection), Some(map), body);
    }
}

#[test]
fn a_keyframe_tells_what_stands_there() {
    let mut script = Script::default();
    script.open(1);
    script.open(2);
    script.event(None, None, Body::Queue { queue: 3 });
    let map = script.map(1, 1);
    script.map(2, 2);
    let other = script.map(1, 4);
    // What the client sees, writes and updates, all of it in the shadow.
    script.patch(1, map, 1, 0x100, &[1, 2, 3, 4]);
    let data = Payload::bytes(&[9, 9]);
    script.event(Some(1), Some(map), Body::Write { memory: 1, offset: 0x101, width: None, data });
    let update = Update::Add(0xff);
    let body = Body::Update { memory: 1, offset: 0x100, width: Width::Four, update };
    script.event(Some(1), Some(map), body);
    script.patch(1, other, 4, 0, &[5]);
    // Of what has ended nothing stands: a memory, and a connection with its own.
    let unmap = Body::Unmap { memory_type: 4, memory: Some(4) };
    script.operation(1, unmap, Body::Unmapped { result: IoReturn::SUCCESS });
    script.operation(
        2,
        Body::OtherCall(OtherCall::AddRef),
        Body::OtherReturn { outcome: Ok(None) },
    );
    script.operation(2, Body::Close, Body::Closed { result: IoReturn::SUCCESS });
    script.operation(2, Body::Close, Body::Closed { result: IoReturn::SUCCESS });
    for queue in 10..20 {
        script.event(None, None, Body::Queue { queue });
    }
    let whole = Tape::new(Header::mock(), script.events);
    assert!(whole.validate().is_valid(), "{}", whole.validate());
    let tape = cut(&whole, &CutOptions::default().calls(0).tail(4)).unwrap();
    assert!(tape.validate().is_valid(), "{}", tape.validate());
    let (_, keyframe) = keyframe(&tape).unwrap();
    assert_eq!(keyframe.connections, [(1, 7)]);
    assert_eq!(keyframe.queues, [3, 10, 11, 12, 13, 14, 15]);
    assert!(keyframe.pending.is_empty());
    let [memory] = &keyframe.memories[..] else { panic!("{:?}", keyframe.memories) };
    assert_eq!((memory.memory, memory.connection, memory.length), (1, Some(1), 0x4000));
    // 0x04030909 is what stood there when 0xff was added.
    let (offset, bytes) = &memory.shadow[0];
    let word = u32::from_le_bytes([0x01, 9, 9, 4]) + 0xff;
    assert_eq!((*offset, bytes.as_bytes().unwrap()), (0x100, &word.to_le_bytes()[..]));
}

#[test]
fn what_is_under_way_is_kept() {
    let asynchronous = |selector| Body::AsyncCall {
        call: dextape::tape::Call {
            selector,
            scalars: call::Scalars::default(),
            scalar_count: 0,
            input: dextape::tape::Structure::None,
            scalars_asked: 0,
            output: dextape::tape::OutputKind::None,
        },
        queue: Some(1),
        reference: Some(vec![0, u64::from(selector)]),
    };
    let returned = || {
        Body::Return(dextape::tape::Return {
            result: IoReturn::SUCCESS,
            scalars: call::Scalars::default(),
            structure_size: Some(0),
            structure: None,
        })
    };
    let mut script = Script::default();
    script.open(1);
    script.event(None, None, Body::Queue { queue: 1 });
    for queue in 2..6 {
        script.event(None, None, Body::Queue { queue });
    }
    let call = |script: &mut Script, selector| {
        let enter = script.event(Some(1), None, asynchronous(selector));
        script.event(Some(1), Some(enter), returned());
        enter
    };
    let post = |script: &mut Script, call: u64, selector: u64| {
        let mut reference = [0; 8];
        reference[1] = selector;
        let (status, arguments) = (IoReturn::SUCCESS, call::Scalars::default());
        let body = Body::Posted { ordinal: 1, status, arguments, reference };
        script.event(Some(1), Some(call), body)
    };
    let take = |script: &mut Script, posted: u64| {
        script.event(Some(1), Some(posted), Body::Delivered { queue: 1, polls: 0 })
    };
    let done = call(&mut script, 1);
    let (pending, waiting) = (call(&mut script, 2), call(&mut script, 3));
    let posted = post(&mut script, done, 1);
    take(&mut script, posted);
    let untaken = post(&mut script, waiting, 3);
    for queue in 10..14 {
        script.event(None, None, Body::Queue { queue });
    }
    let tail = script.events.len();
    take(&mut script, untaken);
    let late = post(&mut script, pending, 2);
    take(&mut script, late);
    let whole = Tape::new(Header::mock(), script.events);
    assert!(whole.validate().is_valid(), "{}", whole.validate());
    let options = CutOptions::default().calls(0).tail(whole.events().len() - tail);
    let tape = cut(&whole, &options).unwrap();
    assert!(tape.validate().is_valid(), "{}", tape.validate());
    assert_eq!(keyframe(&tape).unwrap().1.pending, [pending]);
    assert!(tape.event(done).is_none_or(|event| matches!(event.body, Body::Gap { .. })));
    assert_eq!(tape.event(pending).unwrap().body, asynchronous(2));
    assert!(matches!(tape.event(pending + 1).unwrap().body, Body::Return(_)));
    assert!(matches!(tape.event(untaken).unwrap().body, Body::Posted { .. }));
    let sticky = cut(&whole, &options.sticky([1])).unwrap();
    assert_eq!(sticky.event(done).unwrap().body, asynchronous(1));
}

#[test]
fn what_is_short_stays_whole_and_what_was_cut_is_refused() {
    let queues = |count: u64| {
        let events = (1..=count).map(|at| Event::new(at, 1, at, Body::Queue { queue: at as u32 }));
        Tape::new(Header::mock(), events.collect())
    };
    let options = CutOptions::default().calls(0).tail(8);
    let short = queues(9);
    assert_eq!(cut(&short, &options).unwrap().events(), short.events());
    let tape = cut(&queues(30), &options).unwrap();
    let error = cut(&tape, &options).unwrap_err();
    assert!(matches!(error, CutError::Incomplete { sequence: 1, .. }));
    insta::assert_snapshot!(error, @"cut the tape: event 1 is a gap, so events are missing already; cut a whole recording");
}
