//! Mappings, and what the client does with shared memory.

use super::DifferenceKind;
use super::call::row;
use super::lane::{Lane, shown};
use super::things::Held;
use dextape::IoReturn;
use dextape::connection::Mapping;
use dextape::memory::{AccessError, Memory, Update, Width};
use dextape::tape::{MappedMemory, Payload};
use std::time::Duration;

/// How often a read is made again that does not give what is on the tape: what the device does at the
/// same time may take its turn after it here. Time passes meanwhile only where the next event is later
/// on the tape, too.
const TURNS: usize = 50;
const PAUSES: usize = 20;
const PAUSE: Duration = Duration::from_micros(100);

impl Lane {
    /// Address of a mapping here; 0 where it is none.
    pub(super) fn address(&self, memory: u32) -> u64 {
        match self.session.things().memories.get(&memory) {
            Some(Held::Mapping(mapping)) => mapping.address(),
            _ => 0,
        }
    }

    /// Compares what a map gave.
    pub(super) fn mapped(
        &self,
        place: usize,
        recorded: &Result<MappedMemory, IoReturn>,
        found: Result<Mapping, IoReturn>,
    ) {
        let session = &*self.session;
        let (recorded, found) = match (recorded, found) {
            (Ok(recorded), Ok(found)) => (recorded, found),
            (recorded, found) => {
                let recorded = recorded.map(drop);
                let found = found.map(drop);
                if recorded != found {
                    let told = (shown(recorded), shown(found));
                    session.differs(place, DifferenceKind::Result, "the result", &told.0, &told.1);
                }
                return;
            }
        };
        let say = |part: &str, told: [String; 2]| {
            session.differs(place, DifferenceKind::Memory, part, &told[0], &told[1]);
        };
        if recorded.length != found.length() {
            say("the length", [recorded.length, found.length()].map(|it| it.to_string()));
        }
        if recorded.read_only != found.is_read_only() {
            let access = |read_only| if read_only { "read-only" } else { "writable" };
            say(
                "how it is mapped",
                [recorded.read_only, found.is_read_only()].map(|it| access(it).to_owned()),
            );
        }
        let mut things = session.things();
        let known = things.memories.get(&recorded.memory);
        let same = known.is_none_or(|known| match known {
            Held::Mapping(known) => known.id() == found.id(),
            Held::Buffer(_) => false,
        });
        let taken = things.memories.iter().any(|(number, held)| {
            *number != recorded.memory
                && matches!(held, Held::Mapping(held) if held.id() == found.id())
        });
        things.memories.insert(recorded.memory, Held::Mapping(found));
        drop(things);
        if !same || taken {
            let recorded = format!("memory {}", recorded.memory);
            say("which memory it is", [recorded, "another one".to_owned()]);
        }
    }

    fn held(&self, place: usize, memory: u32) -> Option<Held> {
        let held = self.session.things().memories.get(&memory).cloned();
        if held.is_none() {
            let found = "has none: it was not mapped or shared";
            let (kind, part) = (DifferenceKind::NotMade, "what is accessed");
            self.session.differs(place, kind, part, &"a memory", &found);
        }
        held
    }

    fn access<T>(&self, place: usize, done: Result<T, AccessError>) -> Option<T> {
        match done {
            Ok(value) => Some(value),
            Err(error) => {
                let (kind, part) = (DifferenceKind::Memory, "the access");
                self.session.differs(place, kind, part, &"that it works", &error);
                None
            }
        }
    }

    pub(super) fn write(
        &self,
        place: usize,
        memory: u32,
        offset: u64,
        width: Option<Width>,
        data: &Payload,
    ) {
        let Some(held) = self.held(place, memory) else { return };
        let Ok(Some(bytes)) = self.session.tape.bytes(data) else {
            let (kind, part) = (DifferenceKind::NotMade, "what is written");
            let recorded = "no more than the length of its bytes";
            return self.session.differs(place, kind, part, &recorded, &"cannot be given them");
        };
        let mut word = [0; 8];
        let done = match width {
            Some(width) if bytes.len() as u64 == width.bytes() => {
                word[..bytes.len()].copy_from_slice(&bytes);
                held.with(|memory| memory.store_word(offset, width, u64::from_le_bytes(word)))
            }
            _ => held.with(|memory| memory.copy_in(offset, &bytes)),
        };
        self.access(place, done);
    }

    pub(super) fn update(
        &self,
        place: usize,
        memory: u32,
        offset: u64,
        width: Width,
        update: Update,
    ) {
        let Some(held) = self.held(place, memory) else { return };
        let done = held.with(|memory| memory.update_word(offset, width, update));
        self.access(place, done);
    }

    /// Reads what the client saw. It may come a little later than on the tape.
    pub(super) fn patch(&self, place: usize, memory: u32, offset: u64, data: &Payload) {
        let Some(held) = self.held(place, memory) else { return };
        let Ok(Some(recorded)) = self.session.tape.bytes(data) else { return };
        let schedule = self.session.system.schedule();
        let registers = self.registers(memory);
        let next = self.session.tape.events().get(place + 1).map_or(0, |next| next.time);
        let mut attempt = 0;
        loop {
            let found = held.with(|memory| read(memory, offset, recorded.len(), registers));
            let Some(found) = self.access(place, found) else { return };
            if *found == *recorded {
                return;
            }
            // Each read of a register may change it.
            let may_pause = attempt < TURNS + PAUSES && self.session.pace.is_ahead(next, PAUSE);
            if registers || attempt >= TURNS && !may_pause {
                let at = found.iter().zip(&*recorded).take_while(|(a, b)| a == b).count();
                let part = format!("the bytes from {:#x} on", offset + at as u64);
                let told = (row(&recorded, at), row(&found, at));
                let kind = DifferenceKind::Memory;
                return self.session.differs(place, kind, &part, &told.0, &told.1);
            }
            if attempt < TURNS {
                schedule.yield_now();
            } else {
                schedule.sleep(PAUSE);
            }
            attempt += 1;
        }
    }

    /// Whether reads of a memory have effects on the device.
    fn registers(&self, memory: u32) -> bool {
        self.session.registers.contains(&memory)
    }
}

/// Bytes as the client read them: registers word by word.
fn read(
    memory: &dyn Memory,
    offset: u64,
    length: usize,
    registers: bool,
) -> Result<Vec<u8>, AccessError> {
    let width = match length {
        1 => Some(Width::One),
        2 => Some(Width::Two),
        4 => Some(Width::Four),
        8 => Some(Width::Eight),
        _ => None,
    };
    match width {
        Some(width) if registers => {
            let word = memory.load_word(offset, width)?;
            Ok(word.to_le_bytes()[..length].to_vec())
        }
        _ => memory.read_vec(offset, length as u64),
    }
}
