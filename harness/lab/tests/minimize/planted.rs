//! A dext and a client with a failure that needs two calls far apart, among much else.

use dextape::IoReturn;
use dextape::call::MapOptions;
use dextape::connection::{ConnectionExt, Matching, System};
use dextape::driverkit::{
    BufferMemoryDescriptor, Direction, ExternalMethodArguments, MemoryDescriptor, OsData, OsObject,
    OsSharedPtr, Service, UserClient, async_completion,
};
use dextape::kernel::{MockSystem, ServiceDescription};
use dextape::schedule::Schedule;
use dextape::tape::Tape;
use dextape_recorder::recording::{RecordOptions, RecordingSession};
use dextape_recorder::seal::{SealOptions, seal};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a slot holds that the dext with the bug gives back wrong.
pub(crate) const CURSED: u64 = 77;

/// The slot that the client puts it into.
const SLOT: u64 = 5;

struct Driver {
    has_bug: bool,
}

struct Slots {
    has_bug: bool,
    slots: Mutex<BTreeMap<u64, u64>>,
    page: OsSharedPtr<BufferMemoryDescriptor>,
}

impl Service for Driver {
    fn new_user_client(&self, _: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        let page =
            BufferMemoryDescriptor::create(Direction::IN_OUT, 4096, 8).map(OsSharedPtr::adopt)?;
        let slots = Mutex::default();
        Ok(Some(Arc::new(Slots { has_bug: self.has_bug, slots, page })))
    }
}

impl UserClient for Slots {
    fn external_method(
        &self,
        selector: u64,
        arguments: &mut ExternalMethodArguments<'_>,
    ) -> IoReturn {
        let scalar = |index: usize| arguments.scalar_input.get(index).copied().unwrap_or_default();
        match selector {
            // Some answer that hangs on nothing but what is handed in.
            0 => arguments.scalar_output[0] = scalar(0).wrapping_mul(0x9e37_79b9_7f4a_7c15),
            1 => {
                let Some(input) = &arguments.structure_input else { return IoReturn::BAD_ARGUMENT };
                let bytes: Vec<u8> = input.bytes().iter().map(|byte| !byte).collect();
                arguments.structure_output = Some(OsData::with_bytes(&bytes));
            }
            2 => {
                let Some(completion) = &arguments.completion else { return IoReturn::BAD_ARGUMENT };
                let completion = OsSharedPtr::retaining(completion);
                async_completion(&completion, IoReturn::SUCCESS, &[scalar(0)]);
            }
            3 => {
                let page = self.page.address_range();
                return page
                    .store::<u64>(8 * (scalar(0) % 64), scalar(1))
                    .map_or(IoReturn::VM_ERROR, |()| IoReturn::SUCCESS);
            }
            4 => {
                self.slots.lock().unwrap().insert(scalar(0), scalar(1));
            }
            5 => {
                let held = self.slots.lock().unwrap().get(&scalar(0)).copied().unwrap_or_default();
                let is_wrong = self.has_bug && held == CURSED;
                arguments.scalar_output[0] = held + u64::from(is_wrong);
            }
            _ => return IoReturn::UNSUPPORTED,
        }
        IoReturn::SUCCESS
    }

    fn copy_client_memory_for_type(
        &self,
        _memory_type: u64,
        _options: &mut u64,
        memory: &mut Option<MemoryDescriptor>,
    ) -> IoReturn {
        // Returning it gives a reference away.
        self.page.retain();
        *memory = Some((**self.page).clone());
        IoReturn::SUCCESS
    }
}

/// The system of the dext.
pub(crate) fn mock(schedule: &Schedule, has_bug: bool) -> Arc<MockSystem> {
    let mock = MockSystem::new(schedule);
    mock.publish(ServiceDescription::class("Slots"), Arc::new(Driver { has_bug })).unwrap();
    mock
}

/// What the client makes of what it is answered. It fails where the first slot that it sets is confirmed
/// with an even number and comes back changed much later: two answers that have nothing to do with each
/// other.
pub(crate) fn client(system: &dyn System, rounds: u64) -> Result<(), String> {
    let failed = |result: IoReturn| format!("refused: {result}");
    let service = system.first_service(&Matching::service("Slots")).map_err(failed)?;
    let connection = system.open(service, 0).map_err(failed)?;
    let queue = system.completion_queue();
    let page = connection.map_memory(0, MapOptions::ANYWHERE, 0).map_err(failed)?;
    let ask = |selector: u32, scalars: &[u64]| -> Result<u64, String> {
        let call = connection.call(selector).scalars(scalars).want_scalars(1).send();
        let reply = call.map_err(|error| error.to_string())?;
        Ok(reply.scalars.first().copied().unwrap_or_default())
    };
    let tell = |selector: u32, scalars: &[u64]| -> Result<(), String> {
        connection.call(selector).scalars(scalars).send().map(drop).map_err(|it| it.to_string())
    };
    let mut confirmed = 1;
    for round in 0..rounds {
        if round == rounds * 3 / 10 {
            tell(4, &[SLOT, CURSED])?;
            // It is even, as no other answer to this is (the factor is odd).
            confirmed = ask(0, &[CURSED + 1])?;
        }
        if round == rounds * 8 / 10 {
            let held = ask(5, &[SLOT])?;
            if held == CURSED + 1 && confirmed % 2 == 0 && confirmed > 0 {
                return Err(format!("slot {SLOT} holds {held} in round {round}"));
            }
        }
        match round % 6 {
            0 => drop(ask(0, &[2 * round + 1])?),
            1 => {
                let mut bytes = [0; 8];
                let given = round.to_le_bytes();
                let call = connection.call(1).input(&given);
                call.output_bytes(&mut bytes).map_err(|error| error.to_string())?;
            }
            2 => {
                let given = [round];
                let call = connection.call(2).scalars(&given);
                call.completing_on(&*queue, &[0, round]).send().map_err(|it| it.to_string())?;
                queue.wait(Some(Duration::from_secs(1)));
            }
            3 => {
                tell(3, &[round, round])?;
                page.load::<u64>(8 * (round % 64)).map_err(|error| error.to_string())?;
            }
            4 => tell(4, &[SLOT + 1 + round % 7, round])?,
            _ => drop(ask(5, &[SLOT + 1 + round % 7])?),
        }
    }
    let closed = connection.close();
    closed.ok().map_err(failed)
}

/// Rounds that come to so many events.
pub(crate) fn rounds(events: u64) -> u64 {
    // Some 17 events in six rounds; the client that fails makes four rounds in five.
    events * 4 / 9 + 20
}

/// A recording of the client with a dext, and how it ended.
pub(crate) fn record(events: u64, has_bug: bool) -> (Tape, Result<(), String>) {
    let folder = tempfile::tempdir().unwrap();
    let (journal, path) = (folder.path().join("a.journal"), folder.path().join("a.tape.jsonl"));
    let ended = Schedule::simulate(1, |schedule| {
        let session = RecordingSession::start(&journal, RecordOptions::default()).unwrap();
        let ended = client(&*session.wrap(mock(schedule, has_bug)), rounds(events));
        session.finish();
        ended
    });
    seal(&journal, &path, SealOptions::default()).unwrap();
    (Tape::read(&path).unwrap(), ended)
}
