//! What comes and goes for weeks: threads, queues, connections, services, calls that never complete. None of it
//! may crowd out what comes later, or the beginning of all.

use super::tape::{patient, read, smallest};
use dextape::IoReturn;
use dextape::limits::PAGE_SIZE;
use dextape::memory::Width;
use dextape::tape::{Body, Capture, Header, MappedMemory, OutputKind, ServiceIdentity};
use dextape_recorder::exam::append_small_call;
use dextape_recorder::journal::{
    Call, Data, Journal, OtherCall, Record, Return, Stamp, Structure, Token,
};
use dextape_recorder::seal::{SealOptions, cut};
use std::cell::Cell;
use std::collections::BTreeMap;

struct Client<'a> {
    journal: &'a Journal,
    time: Cell<u64>,
}

impl Client<'_> {
    fn tell(
        &self,
        lane: u32,
        connection: Option<u32>,
        cause: Option<Token>,
        record: Record<'_>,
    ) -> Option<Token> {
        let time = self.time.get();
        self.time.set(time + 1);
        self.journal.append(Stamp { lane, connection, cause, time }, &record)
    }

    fn call(&self, lane: u32, connection: u32) {
        let enter =
            self.tell(lane, Some(connection), None, Record::OtherCall(OtherCall::GetService));
        let outcome = Ok(Some(1));
        self.tell(lane, Some(connection), enter, Record::OtherReturn { outcome });
    }

    /// A thread that opens a connection, maps memory, writes to it, makes calls, and leaves the connection
    /// open, or closes it.
    fn visit(&self, number: u32, closes: bool) {
        let (lane, of) = (number, Some(number));
        let identity =
            ServiceIdentity { class: Some("Visitor".to_owned()), ..ServiceIdentity::default() };
        self.tell(0, None, None, Record::Service { service: number, identity: &identity });
        self.tell(lane, None, None, Record::Queue { queue: number });
        let enter = self.tell(lane, None, None, Record::Open { service: number, open_type: 0 });
        self.tell(lane, of, enter, Record::Opened);
        let map = Record::Map { memory_type: 0, options: 1, address: 0 };
        let enter = self.tell(lane, of, None, map);
        let (capture, read_only) = (Capture::Accessor, false);
        let mapped =
            MappedMemory { memory: number, length: 64, size: PAGE_SIZE, capture, read_only };
        self.tell(lane, of, enter, Record::Mapped { outcome: Ok(mapped) });
        let (width, word) = (Some(Width::Four), number.to_le_bytes());
        let data = Data::Bytes(&word);
        self.tell(lane, of, None, Record::Write { memory: number, offset: 8, width, data });
        (0..3).for_each(|_| self.call(lane, number));
        // One that never completes.
        let call = Call {
            selector: 1,
            scalars: &[],
            scalar_count: 0,
            input: Structure::None,
            scalars_asked: 0,
            output: OutputKind::None,
        };
        let enter = Record::AsyncCall { call, queue: Some(number), reference: Some(&[0, 7]) };
        let enter = self.tell(lane, of, None, enter);
        let (result, structure) = (IoReturn::SUCCESS, None);
        let left = Return { result, scalars: &[], structure_size: Some(0), structure };
        self.tell(lane, of, enter, Record::Return(left));
        if closes {
            let enter = self.tell(lane, of, None, Record::Close);
            self.tell(lane, of, enter, Record::Closed { result });
        }
    }
}

#[test]
fn visitors_crowd_out_neither_the_first_nor_the_last() {
    const VISITORS: u32 = 3_000;
    let folder = tempfile::tempdir().unwrap();
    let (path, tape) = (folder.path().join("ring"), folder.path().join("tape"));
    let journal = Journal::create(&path, patient().ring(smallest())).unwrap();
    journal.append(Stamp::default(), &Record::Header(&Header::mock()));
    let client = Client { journal: &journal, time: Cell::new(0) };
    client.visit(1, false);
    (2..VISITORS).for_each(|number| client.visit(number, true));
    client.visit(VISITORS, false);
    // Long enough for all of that to be given up.
    let since = client.time.get();
    for time in (since..since + 9_000).step_by(2) {
        assert!(append_small_call(&journal, 1, time));
    }
    cut(&journal, &tape, SealOptions::default()).unwrap();
    let tape = read(&tape);
    let at = tape.events().iter().position(|it| matches!(it.body, Body::Keyframe(_))).unwrap();
    let Body::Keyframe(keyframe) = &tape.events()[at].body else { panic!("no keyframe") };
    assert_eq!(keyframe.connections, [(1, 1), (VISITORS, VISITORS)]);
    let shadows: BTreeMap<u32, u64> =
        keyframe.memories.iter().map(|it| (it.memory, it.shadow.len() as u64)).collect();
    assert_eq!(shadows, BTreeMap::from([(1, 1), (VISITORS, 1)]));
    assert!(keyframe.queues.contains(&VISITORS), "{:?}", keyframe.queues);
    assert_eq!(keyframe.pending.len(), 2, "of the connections that are open");
    for number in [1, VISITORS] {
        let of = |name: &str| {
            let mut events = tape.events()[..at].iter();
            events.any(|it| it.connection == Some(number) && it.body.name() == name)
        };
        for name in ["opened", "mapped", "write", "other_call", "async_call"] {
            assert!(of(name), "{name} of connection {number}");
        }
        assert!(tape.header().services.contains_key(&number), "service {number}");
    }
}
