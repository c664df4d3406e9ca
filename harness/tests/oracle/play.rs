//! Plays a program on a mock system and holds each answer against the small account.

use crate::dext::{self, Dext};
use crate::model::{Delivery, Expected, Model};
use crate::program::Step;
use dextape::IoReturn;
use dextape::boundary::Rules;
use dextape::call::{MapOptions, ServiceId};
use dextape::connection::{
    AsyncWake, CompletionQueue, Connection, Mapping, MethodInput, MethodOutput, System,
};
use dextape::kernel::{MockSystem, ServiceDescription};
use dextape::limits::PAGE_SIZE;
use dextape::schedule::Schedule;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

/// Cache modes: the default, inhibited, write-through.
const CACHE: [u32; 3] = [0, 0x100, 0x200];

/// What the client hands in where the kernel chooses. It is free, and would do.
const IGNORED: u64 = 0x7_0000_0bad;

struct Player<'a> {
    model: Model,
    mock: &'a Arc<MockSystem>,
    dext: Dext,
    service: Option<ServiceId>,
    connections: Vec<Box<dyn Connection>>,
    queue: Arc<dyn CompletionQueue>,
    /// Handles of mappings, with their numbers in the account.
    mappings: Vec<(usize, Mapping)>,
}

/// Plays `steps`, until an answer is another than the account has.
pub(crate) fn play(rules: Rules, steps: &[Step]) -> Result<(), String> {
    Schedule::simulate(1, |schedule| {
        let mock = MockSystem::with_rules(schedule, rules);
        let queue = mock.completion_queue();
        let mut player = Player {
            model: Model::default(),
            mock: &mock,
            dext: Dext::default(),
            service: None,
            connections: Vec::new(),
            queue,
            mappings: Vec::new(),
        };
        for (number, step) in steps.iter().enumerate() {
            let at = |problem| format!("step {number}, {step:?}: {problem}");
            player.step(step).map_err(at)?;
            player.look().map_err(at)?;
        }
        player.collect()?;
        mock.settle();
        let stops = player.dext.stops();
        same("the number of stops", &stops, &player.model.ends())
    })
}

fn same<T: PartialEq + Debug>(what: &str, told: &T, expected: &T) -> Result<(), String> {
    if told == expected {
        return Ok(());
    }
    Err(format!("{what} is {told:?}, the account has {expected:?}"))
}

impl Player<'_> {
    fn step(&mut self, step: &Step) -> Result<(), String> {
        let pick = |number: &u8| usize::from(*number) % self.connections.len().max(1);
        match step {
            Step::Open => {
                if !self.model.is_published {
                    self.model.publish();
                    let description = ServiceDescription::dext("Probe", "com.example.probe");
                    self.service = Some(
                        self.mock.publish(description, Arc::new(self.dext.next_run())).unwrap(),
                    );
                }
                self.model.open();
                let service = self.service.expect("published");
                let opened = self.mock.open(service, 0);
                self.connections.push(opened.map_err(|code| format!("the open gives {code}"))?);
                Ok(())
            }
            Step::Close(number) => {
                let index = pick(number);
                let expected = self.model.close(index);
                same("the close", &self.connections[index].close(), &expected)
            }
            Step::AddRef(number) | Step::Release(number) => {
                let index = pick(number);
                if !self.model.has_a_live_port(index) {
                    return Ok(());
                }
                let told = if matches!(step, Step::AddRef(_)) {
                    self.model.add_right(index);
                    self.connections[index].add_ref()
                } else {
                    self.model.drop_right(index);
                    self.connections[index].release()
                };
                same("the right", &told, &IoReturn::SUCCESS)
            }
            Step::Map { connection, memory_type, cache } => {
                let index = pick(connection);
                self.map(index, *memory_type, *cache, None)
            }
            Step::MapAt { connection, memory_type, cache, place } => {
                let index = pick(connection);
                let place = self.place(*place);
                self.map(index, *memory_type, *cache, Some(place))
            }
            Step::Unmap { connection, memory_type } => {
                let index = pick(connection);
                let expected = self.model.unmap(index, *memory_type);
                // The address says nothing (F15).
                let told = self.connections[index].unmap_memory(u32::from(*memory_type), 0xbad);
                same("the unmap", &told, &expected)
            }
            Step::Call(number) => {
                let index = pick(number);
                let expected = self.model.refusal(index).unwrap_or(IoReturn::SUCCESS);
                same("the call", &self.call(index, dext::NOTHING, &[]), &expected)
            }
            Step::TooMany(number) => {
                let told = self.call(pick(number), dext::NOTHING, &[0; 17]);
                same("the call", &told, &IoReturn::MIG_ARRAY_TOO_LARGE)
            }
            Step::Trap(number) => {
                let index = pick(number);
                let told = self.connections[index].trap(2, &[1, 2]);
                same("the trap", &told, &self.model.trap(index))
            }
            Step::Keep { connection, slot, reference } => {
                let index = pick(connection);
                let told = self.asynchronous(index, dext::KEEP, u64::from(*slot), reference);
                let refused = self.model.refusal(index);
                if refused.is_none() {
                    self.model.keep(usize::from(*slot), reference);
                }
                same("the call", &told, &refused.unwrap_or(IoReturn::SUCCESS))
            }
            Step::Brief(number) => {
                let index = pick(number);
                let expected = self.model.refusal(index).unwrap_or(IoReturn::SUCCESS);
                let told = self.asynchronous(index, dext::BRIEF, 0, &[0, 1]);
                same("the call", &told, &expected)
            }
            Step::Fire { connection, slot, status, arguments } => {
                let index = pick(connection);
                let expected = self
                    .model
                    .refusal(index)
                    .unwrap_or_else(|| self.model.fire(usize::from(*slot), *status, *arguments));
                let scalars = [u64::from(*slot), u64::from(*status), u64::from(*arguments)];
                same("the call", &self.call(index, dext::FIRE, &scalars), &expected)
            }
            Step::FireBrief(number) => {
                let index = pick(number);
                let expected = self.model.refusal(index).unwrap_or(IoReturn::SUCCESS);
                same("the call", &self.call(index, dext::FIRE_BRIEF, &[]), &expected)
            }
            Step::Forget { connection, slot } => {
                let index = pick(connection);
                let refused = self.model.refusal(index);
                if refused.is_none() {
                    self.model.forget(usize::from(*slot));
                }
                let told = self.call(index, dext::FORGET, &[u64::from(*slot)]);
                same("the call", &told, &refused.unwrap_or(IoReturn::SUCCESS))
            }
            Step::Grow(number) => {
                let index = pick(number);
                let refused = self.model.refusal(index);
                if refused.is_none() {
                    self.model.grow();
                }
                let told = self.call(index, dext::GROW, &[]);
                same("the call", &told, &refused.unwrap_or(IoReturn::SUCCESS))
            }
            Step::EndClient(number) => {
                let index = pick(number);
                self.model.end_client(index);
                self.mock.terminate_client(self.connections[index].id());
                Ok(())
            }
            Step::EndService | Step::Crash => {
                if let Some(service) = self.service.take() {
                    self.model.end(matches!(step, Step::Crash));

                    match step {
                        Step::Crash => {
                            // Stops run after what they follow from (G14); a dext that is dead
                            // runs none.
                            self.mock.settle();
                            self.mock.crash(service);
                        }
                        _ => self.mock.terminate(service),
                    }
                }
                Ok(())
            }
            Step::Collect => self.collect(),
            Step::NewQueue => {
                self.model.new_queue();
                self.queue = self.mock.completion_queue();
                Ok(())
            }
        }
    }

    /// An address that was seen before, or one that the kernel would not choose soon.
    fn place(&self, place: u8) -> u64 {
        let place = usize::from(place);
        let own = 0x2_0000_0000 + (place as u64 % 4) * 2 * PAGE_SIZE;
        match place % 3 {
            0 => own,
            _ => self
                .model
                .mappings
                .get(place % self.model.mappings.len().max(1))
                .map_or(own, |one| one.address),
        }
    }

    fn call(&self, index: usize, selector: u32, scalars: &[u64]) -> IoReturn {
        let input = MethodInput { scalars, ..MethodInput::default() };
        self.connections[index].call_method(selector, &input, &mut MethodOutput::default())
    }

    fn asynchronous(&self, index: usize, selector: u32, slot: u64, reference: &[u64]) -> IoReturn {
        let wake = AsyncWake { queue: Some(&*self.queue), reference: Some(reference) };
        let input = MethodInput { scalars: &[slot], ..MethodInput::default() };
        let mut output = MethodOutput::default();
        self.connections[index].call_async_method(selector, &wake, &input, &mut output)
    }

    fn map(
        &mut self,
        index: usize,
        memory_type: u8,
        cache: u8,
        at: Option<u64>,
    ) -> Result<(), String> {
        // Bits above the low 12 say nothing (F1), nor does an address where anywhere will do (F8);
        // a fixed one is rounded down to its page (F9).
        let anywhere = if at.is_none() { MapOptions::ANYWHERE.0 } else { 0 };
        let options = MapOptions(anywhere | CACHE[usize::from(cache)] | MapOptions::READ_ONLY.0);
        let address = at.map_or(IGNORED, |at| at + 0x123);
        let told = self.connections[index].map_memory(u32::from(memory_type), options, address);
        match (told, self.model.map(index, memory_type, cache, at)) {
            (Err(code), Expected::Fails(expected)) => same("the map", &code, &expected),
            (Ok(mapping), Expected::At { mapping: number, address, length, read_only }) => {
                same("the length", &mapping.length(), &length)?;
                same("read-only", &mapping.is_read_only(), &read_only)?;
                match address {
                    Some(address) => same("the address", &mapping.address(), &address)?,
                    None => {
                        let start = mapping.address();
                        if start == IGNORED & !(PAGE_SIZE - 1) {
                            return Err("the address handed in is taken for a wish".to_owned());
                        }
                        if start % PAGE_SIZE != 0 || !self.model.is_free(start, length) {
                            return Err(format!("the address {start:#x} is not free, or no page"));
                        }
                        self.model.mappings[number].address = start;
                    }
                }
                self.mappings.push((number, mapping));
                Ok(())
            }
            (told, expected) => {
                Err(format!("the map gives {told:?}, the account has {expected:?}"))
            }
        }
    }

    /// Every mapping that was ever made is there, or not (F23 to F25), and the client has its rights
    /// (G12).
    fn look(&self) -> Result<(), String> {
        for (number, mapping) in &self.mappings {
            let there = mapping.load::<u8>(0).is_ok();
            same(&format!("mapping {number} is there"), &there, &self.model.is_there(*number))?;
        }
        for (index, connection) in self.connections.iter().enumerate() {
            let rights = self.mock.rights(connection.id());
            same("rights", &rights, &self.model.rights(index))?;
        }
        Ok(())
    }

    /// D14, D17.
    fn collect(&mut self) -> Result<(), String> {
        let mut told = Vec::new();
        while let Some(completion) = self.queue.wait(Some(Duration::from_millis(1))) {
            told.push(Delivery {
                reference: completion.reference,
                status: completion.status.0,
                arguments: completion.arguments.to_vec(),
            });
        }
        same("what was delivered", &told, &self.model.collect())
    }
}
