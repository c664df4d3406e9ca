//! Registers with side effects and an index that both sides own, through mock, tape and replay.

use super::support::parameters;
use super::tapes;
use dextape::IoReturn;
use dextape::call::MapOptions;
use dextape::connection::{Mapping, Matching, System};
use dextape::driverkit::{
    BufferMemoryDescriptor, DeviceTask, Direction, MappingOptions, MemoryDescriptor, OsObject,
    OsSharedPtr, Service, UserClient, os_log,
};
use dextape::kernel::{MockSystem, ServiceDescription};
use dextape::memory::{
    Doorbell, FifoRegister, Memory, PlainRegister, ReadToClear, RegisterFile, Registers, Width,
    WriteOneToClear,
};
use dextape::schedule::Schedule;
use dextape::tape::{Body, Capture, Tape};
use dextape_scenarios::{Parameter, Parameters, Scenario, ScenarioError, Time};
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Offsets of the registers.
mod register {
    /// Read to clear: 1 when words are in the FIFO.
    pub(super) const STATUS: u64 = 0x00;
    /// Write one to clear: which commands are done.
    pub(super) const DONE: u64 = 0x04;
    /// A command: so many words.
    pub(super) const DOORBELL: u64 = 0x08;
    pub(super) const SCRATCH: u64 = 0x0c;
    pub(super) const FIFO: u64 = 0x10;
}

/// Offsets of the indices, each owned by one side.
mod index {
    pub(super) const DEVICE: u64 = 0;
    pub(super) const CLIENT: u64 = 8;
    /// Both sides add to it.
    pub(super) const BOTH: u64 = 16;
}

struct Device {
    schedule: Schedule,
    status: Arc<ReadToClear>,
    done: Arc<WriteOneToClear>,
    fifo: Arc<FifoRegister>,
    asked: AtomicU64,
    indices: Mutex<Option<Arc<dyn Memory>>>,
    task: DeviceTask,
}

impl Device {
    fn new(schedule: &Schedule) -> Arc<Self> {
        Arc::new_cyclic(|device| Self {
            schedule: schedule.clone(),
            status: Arc::default(),
            done: Arc::default(),
            fifo: Arc::new(FifoRegister::new(64, 0xffff_ffff)),
            asked: AtomicU64::new(0),
            indices: Mutex::default(),
            task: DeviceTask::spawn(schedule, "device", device, Self::work),
        })
    }

    fn registers(self: &Arc<Self>) -> Arc<Registers> {
        let rung = Arc::clone(self);
        let doorbell = Doorbell::new(move |words| {
            rung.asked.fetch_add(words, Ordering::Relaxed);
            rung.task.ring();
        });
        let file = RegisterFile::new()
            .with(register::STATUS, Width::Four, Arc::clone(&self.status))
            .with(register::DONE, Width::Four, Arc::clone(&self.done))
            .with(register::DOORBELL, Width::Four, doorbell)
            .with(register::SCRATCH, Width::Four, PlainRegister::new(0x5a5a_0001))
            .with(register::FIFO, Width::Four, Arc::clone(&self.fifo));
        Registers::new(&self.schedule, 0x4000, file)
    }

    /// Pairs of equal words, since a reader that drops repetitions must be found out.
    fn work(&self) {
        let words = self.asked.swap(0, Ordering::Relaxed);
        self.schedule.sleep(Duration::from_nanos(20_500));
        for word in 0..words {
            self.fifo.push(word / 2);
        }
        self.done.raise(0b101);
        self.status.raise(1);
        let indices = self.indices.lock().unwrap().clone();
        if let Some(indices) = indices {
            indices.store::<u64>(index::DEVICE, words).unwrap();
            indices.fetch_add::<u64>(index::BOTH, words).unwrap();
        }
    }
}

struct Driver(Arc<Device>);

struct Client {
    registers: OsSharedPtr<MemoryDescriptor>,
    indices: OsSharedPtr<BufferMemoryDescriptor>,
}

impl Service for Driver {
    fn new_user_client(&self, _type: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        let indices = BufferMemoryDescriptor::create(Direction::IN_OUT, 64, 8)?;
        let indices = OsSharedPtr::adopt(indices);
        *self.0.indices.lock().unwrap() = Some(indices.address_range().to_memory());
        let registers = OsSharedPtr::adopt(MemoryDescriptor::of_device(self.0.registers()));
        Ok(Some(Arc::new(Client { registers, indices })))
    }
}

impl UserClient for Client {
    fn copy_client_memory_for_type(
        &self,
        memory_type: u64,
        _options: &mut u64,
        memory: &mut Option<MemoryDescriptor>,
    ) -> IoReturn {
        let found = match memory_type {
            0 => self.registers.get(),
            1 => self.indices.descriptor(),
            _ => return IoReturn::BAD_ARGUMENT,
        };
        // The dext's own access: a mapping of registers in the dext runs the device, too.
        if memory_type == 0 {
            let map = self.registers.create_mapping(MappingOptions::NONE, 0, 0, 0, 0);
            let map = OsSharedPtr::adopt(map.unwrap());
            os_log(format!("scratch {:#x}", map.load::<u32>(register::SCRATCH).unwrap()));
            map.store::<u16>(register::SCRATCH, 0xbeef).unwrap();
        }
        found.retain();
        *memory = Some(found);
        IoReturn::SUCCESS
    }
}

struct RegistersScenario;

impl Scenario for RegistersScenario {
    fn name(&self) -> &str {
        "registers-of-the-tests"
    }

    fn about(&self) -> &str {
        "registers with side effects"
    }

    fn parameters(&self) -> &[Parameter] {
        &[]
    }

    fn publish(&self, _: &Parameters, system: &Arc<MockSystem>) -> Result<(), ScenarioError> {
        let driver = Driver(Device::new(system.schedule()));
        let description = ServiceDescription::class("Registers");
        system
            .publish(description, Arc::new(driver))
            .map_err(ScenarioError::refused("publish Registers"))?;
        Ok(())
    }

    fn client(
        &self,
        _parameters: &Parameters,
        system: &Arc<dyn System>,
        out: &mut dyn Write,
    ) -> Result<(), ScenarioError> {
        let service = system.first_service(&Matching::service("Registers")).unwrap();
        let connection = system.open(service, 0).unwrap();
        let map = |memory_type| connection.map_memory(memory_type, MapOptions::ANYWHERE, 0);
        let (registers, indices) = (map(0).unwrap(), map(1).unwrap());
        writeln!(out, "registers: {}", registers.is_registers())?;
        writeln!(out, "scratch {:#x}", registers.load::<u32>(register::SCRATCH)?)?;
        for words in [4, 3] {
            command(&registers, &indices, words, out)?;
        }
        // Four registers at once, each read once: the status is cleared by it.
        registers.store::<u32>(register::DOORBELL, 1)?;
        system.schedule().sleep(Duration::from_millis(1));
        let all = registers.read_vec(0, 0x14)?;
        writeln!(out, "all at once {all:02x?}")?;
        writeln!(out, "status then {}", registers.load::<u32>(register::STATUS)?)?;
        // A loop that ends by the clock alone: reads take time in a replay, too.
        let schedule = system.schedule();
        let deadline = schedule.now() + Duration::from_nanos(30_500);
        let mut silent = true;
        while schedule.now() < deadline {
            silent &= registers.load::<u32>(register::STATUS)? == 0;
        }
        writeln!(out, "silent until the deadline: {silent}")?;
        let old = registers.fetch_or::<u32>(register::SCRATCH, 0x10)?;
        writeln!(out, "scratch {old:#x}, {:#x}", registers.load::<u32>(register::SCRATCH)?)?;
        Ok(())
    }
}

fn command(
    registers: &Mapping,
    indices: &Mapping,
    words: u32,
    out: &mut dyn Write,
) -> Result<(), ScenarioError> {
    let before = indices.fetch_add::<u64>(index::BOTH, 100)?;
    registers.store::<u32>(register::DOORBELL, words)?;
    let mut polls = 0;
    while registers.load::<u32>(register::STATUS)? == 0 {
        polls += 1;
    }
    let again = registers.load::<u32>(register::STATUS)?;
    let mut read = Vec::new();
    loop {
        match registers.load::<u32>(register::FIFO)? {
            0xffff_ffff => break,
            word => read.push(word),
        }
    }
    let done = registers.load::<u32>(register::DONE)?;
    registers.store::<u8>(register::DONE, 1)?;
    let left = registers.load::<u32>(register::DONE)?;
    registers.store::<u32>(register::DONE, u32::MAX)?;
    let index = indices.load::<u64>(index::DEVICE)?;
    indices.store::<u64>(index::CLIENT, index)?;
    let both = indices.load::<u64>(index::BOTH)?;
    writeln!(out, "after {polls} polls: status {again} again, words {read:?}")?;
    writeln!(out, "  done {done:#b}, then {left:#b}; indices {index}, {before} to {both}")?;
    Ok(())
}

/// The doorbell takes effect 20.5 microseconds after it was rung, and a read of the status takes one:
/// the 21st sees it.
const EXPECTED: &str = "\
registers: true
scratch 0x5a5abeef
after 20 polls: status 0 again, words [0, 0, 1, 1]
  done 0b101, then 0b100; indices 4, 0 to 104
after 20 polls: status 0 again, words [0, 0, 1]
  done 0b101, then 0b100; indices 3, 104 to 207
all at once [01, 00, 00, 00, 05, 00, 00, 00, 00, 00, 00, 00, ef, be, 5a, 5a, 00, 00, 00, 00]
status then 0
silent until the deadline: true
scratch 0x5a5abeef, 0x5a5abeff
";

#[test]
fn a_tape_of_a_client_that_polls_and_drains_registers_replays() {
    let scenario = RegistersScenario;
    let parameters = parameters(&scenario, &[]);
    let folder = tempfile::tempdir().unwrap();
    for seed in 0..5 {
        let paths = ["first", "second"].map(|name| folder.path().join(format!("{name}.jsonl")));
        let time = Time::Simulated { seed };
        for path in &paths {
            let live = tapes::record(&scenario, &parameters, time, path).unwrap();
            assert_eq!(live.output, EXPECTED, "seed {seed}");
            assert_eq!(live.log, ["scratch 0x5a5a0001"]);
            assert!(live.findings.is_empty() && live.leaks.is_empty(), "{live:?}");
        }
        assert_eq!(std::fs::read(&paths[0]).unwrap(), std::fs::read(&paths[1]).unwrap());
        let tape = Arc::new(Tape::read(&paths[0]).unwrap());
        let replayed = tapes::replay_client(&scenario, &parameters, &tape).unwrap();
        assert_eq!(replayed, EXPECTED, "seed {seed}");
    }
}

/// Each read is one event with its value, and nobody but the client reads.
#[test]
fn each_read_of_a_register_is_one_event() {
    let scenario = RegistersScenario;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.tape.jsonl");
    let time = Time::Simulated { seed: 1 };
    tapes::record(&scenario, &parameters(&scenario, &[]), time, &path).unwrap();
    let tape = Tape::read(&path).unwrap();
    let captures: Vec<_> = tape
        .events()
        .iter()
        .filter_map(|event| match &event.body {
            Body::Mapped { outcome: Ok(mapped) } => Some(mapped.capture),
            _ => None,
        })
        .collect();
    assert_eq!(captures, [Capture::Registers, Capture::Accessor]);
    let reads = tape.events().iter().filter(|event| {
        matches!(&event.body, Body::Patch { memory: 1, offset: register::FIFO, .. })
    });
    // Four words and three, and the end of each: equal words are events of their own.
    assert_eq!(reads.count(), 4 + 1 + 3 + 1);
}

#[test]
fn real_threads_replay_the_reads_in_their_order() {
    let scenario = RegistersScenario;
    let parameters = parameters(&scenario, &[]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.tape.jsonl");
    let live = tapes::record(&scenario, &parameters, Time::Free, &path).unwrap();
    let tape = Arc::new(Tape::read(&path).unwrap());
    assert_eq!(tapes::replay_client(&scenario, &parameters, &tape).unwrap(), live.output);
    assert!(live.output.contains("words [0, 0, 1, 1]"), "{}", live.output);
}
