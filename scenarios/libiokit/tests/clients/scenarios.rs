//! The clients of the scenarios in C and C++: they print what those in Rust print, live and from their own
//! tapes, and their tapes hold the same.
//!
//! A client in C touches memory by raw pointers and has its completions brought by a run loop or a loop of
//! its own, in free time; that in Rust runs in simulated time. Where timers race with the client, the
//! mock's time and the client's own waits pass so many times slower ([`Run::slower`]) that a busy machine
//! is not late. What may differ on its tape, and nothing else:
//!
//! 1. `time`, and the number of the event that a cause names: causes are compared by what they name.
//! 2. Waits: a loop in C polls, and a poll that finds nothing is no event. So `wait` and `woke` stand on the
//!    tape of the client in Rust only, and `polls` of a `delivered` counts what one of them did.
//! 3. When a queue is made: with its port, or when that is first used; and one that no call names, of a port
//!    for notices only.
//! 4. Where `posted` stands among other lanes: it is the device's side. Each call's completions are compared.
//! 5. The order of events of two client threads: each lane is compared by itself.
//! 6. How a mapping was captured, and so its `write`, `update` and `patch`: a pointer's accesses are seen at
//!    sync points. What the client in Rust saw there is compared with what that in C saw, byte by byte.
//! 7. In which buffer of the client's an in-line structure lies: a pointer of C says that to nobody.
//! 8. What a thread finds in shared memory that another thread's sync point brings, in a replay: which of
//!    the two comes first is nobody's to say. Those words are left out there, and only there.
//! 9. Numbers of memories, queues of notices, callbacks and contexts, which are compared by the order in which they first occur.
//! 10. How often a client asked in vain for what takes time: a call that got the answer "not yet", which its
//!     [`Client::not_yet`] names, is left out. What was asked and answered in the end is compared.
//! 11. Words of shared memory in which the dext notes the time ([`Client::times`]).

use crate::agreement::run_in_rust;
use crate::contents::Contents;
use crate::program::{Program, trial};
use dextape::IoReturn;
use dextape::limits::{
    ASYNC_CALLOUT_FUNCTION_INDEX, ASYNC_CALLOUT_REFCON_INDEX, INLINE_STRUCTURE_MAX,
};
use dextape::tape::{Body, Capture, Event, OutputKind, Return, Structure, Tape};
use dextape_scenarios::Time;
use dextape_scenarios::sbp2_commands::abi::{login, selector};
use libtest_mimic::Trial;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

/// A client and the ways in which it is run.
struct Client {
    /// Name of its scenario.
    name: &'static str,
    /// `c` or `cc`.
    language: &'static str,
    runs: &'static [Run],
    /// Whether a call of this selector with this reply found nothing yet.
    not_yet: fn(u32, &Return) -> bool,
    /// Where in its memory the dext notes the time.
    times: Range<u64>,
}

/// One way: parameters of the scenario, and the argument that says the same to the client in C.
struct Run {
    name: &'static str,
    set: &'static [(&'static str, &'static str)],
    argument: &'static str,
    /// At least so many bytes of shared memory that the dext changed are compared.
    bytes: usize,
    /// How many times slower than real time it runs when it is recorded.
    slower: u32,
    /// The same of the client when it is replayed, where its threads must not be late even so.
    replayed_slower: u32,
    /// It exits without giving back what it has.
    leaves: bool,
}

impl Run {
    const fn slower(self, slower: u32) -> Self {
        Self { slower, ..self }
    }
}

const fn run(
    name: &'static str,
    set: &'static [(&'static str, &'static str)],
    argument: &'static str,
    bytes: usize,
) -> Run {
    Run { name, set, argument, bytes, slower: 1, replayed_slower: 1, leaves: false }
}

const fn client(name: &'static str, language: &'static str, runs: &'static [Run]) -> Client {
    Client { name, language, runs, not_yet: |_, _| false, times: 0..0 }
}

const CLIENTS: &[Client] = &[
    client(
        "shared-buffer",
        "c",
        // Nine letters, a flag, and two words of the status; to the counter the client adds at once.
        &[run("kept", &[], "", 12), run("fresh", &[("buffers", "fresh")], "", 12)],
    ),
    client(
        "usb-bulk",
        "c",
        &[run("refused", &[], "", 9000), run("lost", &[("small-reads", "lost")], "", 9000)],
    ),
    client(
        "input-descriptor",
        "c",
        &[
            run("output", &[], "", 13_000),
            run("input", &[("buffer", "input")], "input", 0),
            run("input_apple", &[("buffer", "input"), ("iommu", "apple")], "input", 13_000),
            run("input_checked", &[("buffer", "input"), ("flags", "checked")], "input", 0),
        ],
    ),
    client(
        "nvme-rings",
        "c",
        &[run("right", &[], "", 3000), run("phase", &[("client", "phase")], "phase", 3000)],
    ),
    client(
        "hid-frames",
        "cc",
        &[
            run("scalars", &[], "scalars", 0),
            run("notice_of_each", &[("delivery", "notice-of-each")], "notice-of-each", 0),
            run("notice_of_first", &[("delivery", "notice-of-first")], "notice-of-first", 0),
        ],
    ),
    // What comes a millisecond apart is 25 ms apart then.
    client("irq-page", "c", &[Run { replayed_slower: 8, ..run("right", &[], "", 0).slower(25) }]),
    Client {
        times: 88..96,
        ..client(
            "capture-ring",
            "c",
            &[
                // A packet is 50 ms then, and the client may be as late.
                run("right", &[("packets", "16")], "", 15 * OF_RECORD).slower(50),
                run("reset", &[("reset", "10")], "", 9 * OF_RECORD).slower(50),
                run("slow", &[("client", "slow"), ("packets", "20")], "slow", 15 * OF_RECORD)
                    .slower(100),
                run(
                    "overwrite",
                    &[("client", "slow"), ("full", "overwrite"), ("packets", "20")],
                    "slow,overwrite",
                    14 * OF_RECORD,
                )
                .slower(100),
            ],
        )
    },
    // Two fills of 16 KiB, and what two sums and the registers gave.
    client(
        "pcie-bar",
        "c",
        &[
            run("run", &[], "", 16_000).slower(2),
            Run { leaves: true, ..run("unplugged", &[("unplug", "hung")], "", 16_000).slower(2) },
        ],
    ),
    // Five times 20 ms for each frame.
    client("blocking-waits", "c", &[run("right", &[], "", 3).slower(5)]),
    Client {
        not_yet: sbp2_not_yet,
        times: 16..24,
        ..client(
            "sbp2-commands",
            "c",
            &[
                run("right", &[], "", 25).slower(5),
                run("silent", &[("lost", "silent")], "", 25).slower(5),
                run("leaves", &[("target", "leaves")], "", 25).slower(5),
                run("inline", &[("results", "inline")], "", 25).slower(5),
                run("stale", &[("client", "stale")], "stale", 25).slower(5),
            ],
        )
    },
];

/// Bytes of a record of capture-ring that are others than those before it in its place: all but those of
/// its number that are 0. The first one is all zeros, as its place was.
const OF_RECORD: usize = 477;

/// No result of a command yet, or a session that is on its way.
fn sbp2_not_yet(selector: u32, reply: &Return) -> bool {
    match selector {
        selector::COMMAND_RESULT => reply.result == IoReturn::NOT_FOUND,
        selector::SESSION_STATE => {
            let state = reply.scalars.first().copied();
            state.is_some_and(|state| ![login::LOGGED_IN, login::FAILED].contains(&state))
        }
        _ => false,
    }
}

/// The folder of the clients.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../clients-c");

impl Client {
    fn source(&self) -> String {
        let file = format!("{}.{}", self.name.replace('-', "_"), self.language);
        std::fs::read_to_string(Path::new(FOLDER).join(file)).unwrap()
    }

    /// The events of a tape without the calls that found nothing yet.
    fn compared<'a>(&self, tape: &'a Tape) -> Vec<&'a Event> {
        let called: BTreeMap<_, _> = tape
            .events()
            .iter()
            .filter_map(|event| match &event.body {
                Body::Call(call) => Some((event.sequence, call.selector)),
                _ => None,
            })
            .collect();
        let in_vain: BTreeSet<_> = tape
            .events()
            .iter()
            .filter_map(|event| match (&event.body, event.cause) {
                (Body::Return(reply), Some(call)) => {
                    let selector = *called.get(&call)?;
                    (self.not_yet)(selector, reply).then_some([call, event.sequence])
                }
                _ => None,
            })
            .flatten()
            .collect();
        tape.events().iter().filter(|event| !in_vain.contains(&event.sequence)).collect()
    }

    /// Ways to compile it: the first one is run, the others are only to find nothing wrong.
    fn compilers(&self) -> &'static [&'static [&'static str]] {
        match self.language {
            "c" => &[
                &["gcc", "-O0", "-std=c99", "-pedantic", "-Wextra", "-I", FOLDER],
                &["g++", "-std=c++11", "-Wextra", "-I", FOLDER],
                &["clang", "-std=c99", "-Wextra", "-I", FOLDER],
            ],
            _ => &[
                &["g++", "-O0", "-std=c++11", "-pedantic", "-Wextra", "-I", FOLDER],
                &["clang++", "-std=c++11", "-Wextra", "-I", FOLDER],
            ],
        }
    }
}

pub(crate) fn trials() -> Vec<Trial> {
    let compiled = CLIENTS.iter().flat_map(|client| {
        client.compilers()[1..].iter().map(move |compiler| {
            let name = format!("scenarios::{}_compiles_with_{}", client.name, compiler[0]);
            trial(&name, &compiler[..1], move || {
                // Another language than its file's name says: as a program in that language.
                let language = if compiler[0].ends_with("++") { "cc" } else { client.language };
                Program::compile(compiler, language, &client.source());
            })
        })
    });
    let run = CLIENTS.iter().flat_map(|client| {
        client.runs.iter().map(move |run| {
            let name = format!("scenarios::{}_{}", client.name, run.name);
            trial(&name, &client.compilers()[0][..1], move || agree(client, run))
        })
    });
    let pcie = [no_registers(), untouched_registers(), same_accesses(), both_write()];
    compiled.chain(run).chain(pcie).collect()
}

/// Maps the registers of pcie-bar.
const MAP_REGISTERS: &str = "io_connect_t c = open_service(find_dext(\"PcieBar\")); mach_vm_address_t at = 0; \
     mach_vm_size_t size = 0; kern_return_t kr = IOConnectMapMemory64(c, 0, mach_task_self(), &at, &size, kIOMapAnywhere);\n";

/// A program that knows the functions gets registers, and still has no pointer to them.
fn untouched_registers() -> Trial {
    trial("scenarios::pcie-bar_registers_fault_by_pointer", &["gcc"], || {
        let functions = "#include <dextape/memory.h>\n";
        let printed = "printf(\"%x %llu %x\\n\", (unsigned)kr, (unsigned long long)size, dextape_load32((void *)(uintptr_t)at));\n";
        let ends = "IOServiceClose(c);";
        let ran = Program::c_with(functions, &[MAP_REGISTERS, printed, ends].concat());
        let ran = ran.on("pcie-bar").run();
        assert_eq!(ran.well(), "0 16384 172000a1\n");
        for touch in [
            "printf(\"%x\", *(volatile uint32_t *)(uintptr_t)at);",
            "*(volatile uint32_t *)(uintptr_t)at = 1;",
            // Beyond its end, and no longer mapped.
            "printf(\"%x\", dextape_load32((char *)(uintptr_t)at + size));",
            "IOServiceClose(c); dextape_store32((void *)(uintptr_t)at, 1);",
        ] {
            let body = [MAP_REGISTERS, printed, "fflush(stdout);", touch].concat();
            let ran = Program::c_with(functions, &body).on("pcie-bar").run();
            assert_eq!(
                (ran.signal, &ran.out[..]),
                (Some(11), "0 16384 172000a1\n"),
                "{touch}: {ran}"
            );
        }
    })
}

/// What the client writes to a buffer stays there while the device writes beside it, and reaches the device.
fn both_write() -> Trial {
    trial("scenarios::pcie-bar_both_sides_write_to_a_buffer", &["gcc"], || {
        let functions = "#include <dextape/memory.h>\nstatic unsigned char host[0x4000];\n\
            static void command(char *r, uint64_t which, uint64_t at, uint32_t length) {\n\
            dextape_store64(r + 0x10, at); dextape_store32(r + 0x18, length); dextape_store32(r + 0xc, which);\n\
            while (!(dextape_load32(r + 4) & 1)) usleep(1000); }\n";
        let body = "char *r = (char *)(uintptr_t)at; size_t room = sizeof host; dextape_share(host, room);\n\
            kr = IOConnectCallStructMethod(c, 3, NULL, 0, host, &room); uint64_t bus; memcpy(&bus, host, 8);\n\
            command(r, 1, bus, 64); printf(\"%x %d\", (unsigned)kr, host[63]);\n\
            memset(host, 100, 32);\n\
            command(r, 1, bus + 8192, 64); printf(\" %d %d\", host[8192 + 63], host[0]);\n\
            dextape_load32(r); printf(\" %d\", host[0]);\n\
            command(r, 2, bus, 33); printf(\" %u\\n\", dextape_load32(r + 0x20)); IOServiceClose(c);";
        let ran = Program::c_with(functions, &[MAP_REGISTERS, body].concat()).on("pcie-bar").run();
        assert_eq!(ran.well(), "0 64 64 100 100 3233\n");
    })
}

/// Accesses to the memory of pcie-bar's device: whether it was written, the memory, the offset, the bytes.
fn accesses(tape: &Tape) -> Vec<(bool, u32, u64, Vec<u8>)> {
    let bytes = |data| tape.bytes(data).unwrap().unwrap().into_owned();
    let all = tape.events().iter().filter_map(|event| match &event.body {
        Body::Write { memory, offset, data, .. } => Some((true, *memory, *offset, bytes(data))),
        // Of the client's own memory, when it is shown to it is another matter.
        Body::Patch { memory, offset, data, .. } if *memory != 3 => {
            Some((false, *memory, *offset, bytes(data)))
        }
        _ => None,
    });
    // How often it looked before there was news is a matter of time.
    all.filter(|access| *access != (false, 1, 4, vec![0; 4])).collect()
}

/// What the client in C does with registers is on its tape access by access, as that of the one in Rust;
/// only how often it looked before there was news may differ.
fn same_accesses() -> Trial {
    trial("scenarios::pcie-bar_accesses_agree", &["gcc"], || {
        let client = CLIENTS.iter().find(|client| client.name == "pcie-bar").unwrap();
        let program = Program::compile(client.compilers()[0], client.language, &client.source());
        let path = program.path("t.tape.jsonl").to_str().unwrap().to_owned();
        let program = program.on(client.name).set("DEXTAPE_RECORD", &path);
        program.run().well();
        let (in_rust, _) = run_in_rust(client.name, &[], Time::Simulated { seed: 1 });
        let in_c = accesses(&Tape::read(Path::new(&path)).unwrap());
        assert_eq!(in_c, accesses(&in_rust));
        // 13 writes to registers, one each to video memory and buffer, and 13 reads with news.
        assert_eq!(in_c.len(), 28, "{in_c:?}");
    })
}

/// Registers of a mock do something when they are read: a pointer would pass that by, and there is none.
fn no_registers() -> Trial {
    trial("scenarios::pcie-bar_has_no_registers_by_pointer", &["gcc"], || {
        let body = "io_connect_t c = open_service(find_dext(\"PcieBar\")); mach_vm_address_t at = 0; mach_vm_size_t size = 0;\n\
             printf(\"%x\", (unsigned)IOConnectMapMemory64(c, 0, mach_task_self(), &at, &size, kIOMapAnywhere));\n\
             printf(\" %d %d\\n\", at == 0, size == 0); IOServiceClose(c);";
        let ran = Program::c(body).on("pcie-bar").run();
        assert_eq!((ran.code, &ran.out[..]), (Some(0), "e00002c2 1 1\n"), "{ran}");
        assert_eq!(
            ran.err,
            "dextape: memory type 0 cannot be mapped: reading or writing it does something in the \
             mock, and a raw pointer would pass that by; include <dextape/memory.h> and use its functions\n"
        );
    })
}

fn agree(client: &Client, run: &Run) {
    let given: Vec<_> = run.set.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let program = Program::compile(client.compilers()[0], client.language, &client.source());
    let path = program.path("t.tape.jsonl").to_str().unwrap().to_owned();
    let live = program
        .argument(run.argument)
        .on(client.name)
        .set("DEXTAPE_SLOWER", run.slower.to_string())
        .set("DEXTAPE_PARAMETERS", given.join(","))
        .set("DEXTAPE_LEAKS", if run.leaves { "no" } else { "yes" })
        .set("DEXTAPE_RECORD", &path);
    let (in_rust, expected) = run_in_rust(client.name, run.set, Time::Simulated { seed: 1 });
    let said = live.run();
    assert_eq!(said.well(), expected, "live");
    let replay = ["DEXTAPE_SCENARIO", "DEXTAPE_PARAMETERS", "DEXTAPE_RECORD"]
        .into_iter()
        .fold(live, |program, name| program.set(name, ""))
        .set("DEXTAPE_TAPE", &path)
        .set("DEXTAPE_SLOWER", run.replayed_slower.to_string())
        // Under `ordered`, a completion comes as soon as its call was made, although a loop that gave up
        // before found none: that is no event. Under `lanes`, a thread would go on before another thread
        // has made the sync point at which it was seen what both see.
        .set("DEXTAPE_POLICY", "exact")
        .set("DEXTAPE_STRICT", "1");
    assert_eq!(without_finds(replay.run().well()), without_finds(&expected), "replayed");
    let in_c = Tape::read(Path::new(&path)).unwrap();
    let (c_events, rust_events) = (client.compared(&in_c), client.compared(&in_rust));
    let (c, rust) = (Lines::of(&c_events), Lines::of(&rust_events));
    assert!(c.lanes.values().map(Vec::len).sum::<usize>() > 5, "{c:#?}");
    for (lane, rust) in &rust.lanes {
        let none = Vec::new();
        let c = c.lanes.get(lane).unwrap_or(&none);
        for (c, rust) in c.iter().zip(rust) {
            assert_eq!(c, rust, "lane {lane}");
        }
        assert_eq!(c.len(), rust.len(), "lane {lane}");
    }
    assert_eq!(c, rust);
    let (c, rust) = ((&in_c, &c_events[..]), (&in_rust, &rust_events[..]));
    let compared = Contents::compare(c, rust, &client.times);
    assert!(compared >= run.bytes, "{compared} bytes of shared memory were compared");
}

/// The lines without what a thread found in shared memory.
fn without_finds(text: &str) -> String {
    text.lines()
        .map(|line| format!("{}\n", line.split(", found ").next().unwrap_or(line)))
        .collect()
}

/// What a tape says but for what may differ.
#[derive(Debug, Default, PartialEq, Eq)]
struct Lines {
    lanes: BTreeMap<u32, Vec<String>>,
    queues: Vec<u32>,
    posted: Vec<String>,
}

impl Lines {
    fn of(events: &[&Event]) -> Self {
        let mut lines = Self::default();
        let mut names = BTreeMap::new();
        let mut numbers = Numbers::default();
        for event in events {
            let cause = event.cause.and_then(|cause| names.get(&cause));
            let cause: String = cause.cloned().unwrap_or_default();
            let what = |body: &Body| format!("{:?} {cause:?} {body:?}", event.connection);
            let name = match &event.body {
                Body::Wait { .. } | Body::Woke { .. } => continue,
                Body::Write { .. } | Body::Update { .. } | Body::Patch { .. } => continue,
                Body::Queue { queue } => {
                    let names = |event: &&Event| matches!(&event.body, Body::AsyncCall { queue: Some(named), .. } if named == queue);
                    lines.queues.extend(events.iter().any(names).then_some(*queue));
                    continue;
                }
                Body::Posted { ordinal, .. } => {
                    lines.posted.push(what(&plain(event, &mut numbers)));
                    format!("completion {ordinal} of {cause}")
                }
                _ => {
                    let lane = lines.lanes.entry(event.lane).or_default();
                    lane.push(what(&plain(event, &mut numbers)));
                    format!("event {} of lane {}", lane.len(), event.lane)
                }
            };
            names.insert(event.sequence, name);
        }
        lines.posted.sort();
        lines.queues.sort_unstable();
        lines
    }
}

/// Things by the order in which they first occur.
#[derive(Default)]
struct Numbers {
    memories: BTreeMap<u32, u32>,
    /// Queues of notices.
    queues: BTreeMap<u32, u32>,
    /// Callbacks and contexts, entries of a reference.
    handles: [BTreeMap<u64, u64>; 2],
}

impl Numbers {
    fn memory(&mut self, memory: &mut u32) {
        let next = self.memories.len() as u32 + 1;
        *memory = *self.memories.entry(*memory).or_insert(next);
    }

    fn queue(&mut self, queue: &mut u32) {
        let next = self.queues.len() as u32 + 1;
        *queue = *self.queues.entry(*queue).or_insert(next);
    }

    fn reference(&mut self, reference: &mut [u64]) {
        let places = [ASYNC_CALLOUT_FUNCTION_INDEX, ASYNC_CALLOUT_REFCON_INDEX];
        for (handles, place) in self.handles.iter_mut().zip(places) {
            if let Some(handle) = reference.get_mut(place) {
                let next = handles.len() as u64 + 1;
                *handle = *handles.entry(*handle).or_insert(next);
            }
        }
    }
}

/// The event without what may differ.
fn plain(event: &Event, numbers: &mut Numbers) -> Body {
    let mut body = event.body.clone();
    if let Body::AsyncCall { reference: Some(reference), .. } = &mut body {
        numbers.reference(reference);
    }
    match &mut body {
        Body::Delivered { polls, .. } => *polls = 0,
        Body::Mapped { outcome: Ok(mapped) } => {
            numbers.memory(&mut mapped.memory);
            mapped.capture = Capture::SyncPoints;
        }
        Body::Watch { queue, .. } | Body::Notice { queue, .. } => numbers.queue(queue),
        Body::Unmap { memory: Some(memory), .. } => numbers.memory(memory),
        Body::Posted { reference, .. } => numbers.reference(reference),
        Body::Call(call) | Body::AsyncCall { call, .. } => {
            match &mut call.input {
                Structure::Shared { data, .. } if data.length() <= INLINE_STRUCTURE_MAX => {
                    call.input = Structure::Bytes(data.clone());
                }
                Structure::Shared { memory, .. } => numbers.memory(memory),
                _ => {}
            }
            match call.output {
                OutputKind::Shared { size, .. } if size <= INLINE_STRUCTURE_MAX => {
                    call.output = OutputKind::Bytes { size };
                }
                OutputKind::Shared { ref mut memory, .. } => numbers.memory(memory),
                _ => {}
            }
        }
        _ => {}
    }
    body
}
