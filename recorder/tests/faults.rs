//! Any plan of faults on any program and any planned dext: what is recorded of it is a tape that is
//! valid, that holds no code which the kernel could not give there, and that replays.

use dextape::IoReturn;
use dextape::connection::System;
use dextape::fault::{CallFault, Ending, Fault, FaultPlan, OpenFault, UnmapFault};
use dextape::kernel::{MockSystem, ServiceDescription};
use dextape::replay::{PatchTiming, Policy, ReplayOptions, Replayer};
use dextape::schedule::Schedule;
use dextape::strategies::{
    DextPlan, Observation, PlannedService, Program, SERVICE_CLASS, dext_plan, fault_plan, program,
};
use dextape::tape::{Body, Tape};
use dextape_recorder::recording::{RecordOptions, RecordingSession};
use dextape_recorder::seal::{SealOptions, seal};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

type Seen = Vec<Vec<Observation>>;

/// What the client saw, or why the run got stuck, and the tape of it.
fn record(
    folder: &Path,
    seed: u64,
    faults: &FaultPlan,
    plan: &DextPlan,
    program: &Program,
) -> (Result<Seen, String>, Tape) {
    let journal = folder.join("run.journal");
    let path = folder.join("run.tape.jsonl");
    let run = || {
        Schedule::simulate(seed, |schedule| {
            let mock = MockSystem::builder(schedule).faults(faults.clone()).build();
            let description = ServiceDescription::class(SERVICE_CLASS).property("Serial", "F00");
            mock.publish(description, Arc::new(PlannedService::new(plan.clone()))).unwrap();
            let session = RecordingSession::start(&journal, RecordOptions::default()).unwrap();
            let system: Arc<dyn System> = mock;
            let seen = program.run(&session.wrap(system));
            session.finish();
            seen
        })
    };
    let seen = silently(run).map_err(|panic| *panic.downcast::<String>().unwrap());
    seal(&journal, &path, SealOptions::default()).unwrap();
    (seen, Tape::read(&path).unwrap())
}

/// Runs `body` and keeps its panic from the test's output.
fn silently<R>(body: impl FnOnce() -> R) -> std::thread::Result<R> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
    std::panic::set_hook(hook);
    outcome
}

/// The codes that a client can be told of, by what it did; written from the reference's tables and
/// not from the boundary's code.
struct Possible<'a> {
    plan: &'a DextPlan,
    faults: &'a FaultPlan,
}

impl Possible<'_> {
    fn ends(&self, how: Ending) -> bool {
        self.faults.faults.iter().any(|fault| fault.ending() == Some(how))
    }

    /// What an operation gives whose connection has ended, or whose dext dies meanwhile (H1, H4).
    fn after_the_end(&self) -> Vec<IoReturn> {
        let mut codes = Vec::new();
        if self.faults.ends_something() {
            codes.push(IoReturn::MACH_SEND_INVALID_DEST);
        }
        if self.ends(Ending::Died) {
            codes.push(IoReturn::MIG_SERVER_DIED);
        }
        codes
    }

    fn open(&self) -> BTreeSet<IoReturn> {
        let mut codes = self.after_the_end();
        codes.retain(|code| *code != IoReturn::MACH_SEND_INVALID_DEST);
        codes.extend(self.plan.refuse_open.map(|(_, code)| code));
        if self.faults.ends_something() {
            codes.push(IoReturn::OFFLINE);
        }
        for fault in &self.faults.faults {
            match fault {
                Fault::Open { what: OpenFault::Fails(code), .. } => codes.push(*code),
                Fault::Open { what: OpenFault::Refused(_), .. } => codes.extend([
                    IoReturn::NOT_PERMITTED,
                    IoReturn::NOT_PRIVILEGED,
                    IoReturn::ERROR,
                    IoReturn::UNSUPPORTED,
                    IoReturn::OFFLINE,
                ]),
                _ => {}
            }
        }
        codes.into_iter().collect()
    }

    fn call(&self, selector: u32) -> BTreeSet<IoReturn> {
        let mut codes = self.after_the_end();
        // Too many scalars or references (A2, D1), no reference (D3), output too long (C2, C5) or
        // missing (C6), a connection that ended after a map (H1).
        codes.extend([
            IoReturn::SUCCESS,
            IoReturn::MIG_ARRAY_TOO_LARGE,
            IoReturn::BAD_ARGUMENT,
            IoReturn::UNDERRUN,
        ]);
        let method = self.plan.methods.get(selector as usize);
        codes.push(method.map_or(IoReturn::UNSUPPORTED, |method| method.result));
        for fault in &self.faults.faults {
            if let Fault::Call {
                selector: wanted,
                what: CallFault::Fails(code) | CallFault::FailsAfter(code),
                ..
            } = fault
                && wanted.is_none_or(|wanted| wanted == selector)
            {
                codes.push(*code);
            }
        }
        codes.into_iter().collect()
    }

    /// Whatever the dext says, a map that fails is a bad argument (F5, H4).
    fn map(&self) -> BTreeSet<IoReturn> {
        let mut codes = self.after_the_end();
        codes.retain(|code| *code != IoReturn::MIG_SERVER_DIED);
        codes.push(IoReturn::BAD_ARGUMENT);
        codes.into_iter().collect()
    }

    fn unmap(&self, memory_type: u32) -> BTreeSet<IoReturn> {
        let mut codes = self.after_the_end();
        codes.extend([IoReturn::SUCCESS, IoReturn::BAD_ARGUMENT]);
        match self.plan.memories.get(memory_type as usize) {
            Some(memory) => codes.extend(memory.error),
            None => codes.push(IoReturn::UNSUPPORTED),
        }
        for fault in &self.faults.faults {
            if let Fault::Unmap { memory_type: wanted, what: UnmapFault::Fails(code), .. } = fault
                && wanted.is_none_or(|wanted| wanted == memory_type)
            {
                codes.push(*code);
            }
        }
        codes.into_iter().collect()
    }

    fn close(&self) -> BTreeSet<IoReturn> {
        let mut codes = self.after_the_end();
        codes.retain(|code| *code != IoReturn::MIG_SERVER_DIED);
        codes.push(IoReturn::SUCCESS);
        codes.into_iter().collect()
    }
}

/// Each leave on the tape with the codes that it may have.
fn check_codes(tape: &Tape, possible: &Possible<'_>) -> Result<(), TestCaseError> {
    for event in tape.events() {
        let enter = event.cause.and_then(|cause| tape.event(cause)).map(|enter| &enter.body);
        let (code, allowed) = match (&event.body, enter) {
            (Body::OpenFailed { result }, _) => (*result, possible.open()),
            (Body::Return(leave), Some(Body::Call(call) | Body::AsyncCall { call, .. })) => {
                (leave.result, possible.call(call.selector))
            }
            (Body::Mapped { outcome: Err(code) }, _) => (*code, possible.map()),
            (Body::Unmapped { result }, Some(Body::Unmap { memory_type, .. })) => {
                (*result, possible.unmap(*memory_type))
            }
            (Body::Closed { result }, _) => (*result, possible.close()),
            _ => continue,
        };
        prop_assert!(
            allowed.contains(&code),
            "event {}: {} gave {code}, which is none of {allowed:?}",
            event.sequence,
            event.body.name()
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, max_shrink_iters: 3000, ..Default::default() })]

    #[test]
    fn no_plan_of_faults_gives_what_the_kernel_could_not(
        seed in any::<u64>(),
        plan in dext_plan(5, 3),
        program in program(2, 5, 3),
        faults in fault_plan(5, 3, 6),
    ) {
        let hangs = |fault: &Fault| matches!(fault, Fault::Call { what: CallFault::NeverReturns, .. });
        let hangs = faults.faults.iter().any(hangs);
        let mut plan = plan;
        if hangs {
            // A device that ticks on for ever keeps time moving, and a run that hangs from its end.
            plan.memories.iter_mut().for_each(|memory| memory.ticks = None);
        }
        let folder = tempfile::tempdir().unwrap();
        let (seen, tape) = record(folder.path(), seed, &faults, &plan, &program);
        let validation = tape.validate();
        prop_assert!(validation.is_valid(), "{}", validation);
        check_codes(&tape, &Possible { plan: &plan, faults: &faults })?;
        match seen {
            Ok(seen) => {
                let options = ReplayOptions::default()
                    .policy(Policy::Exact)
                    .patches(PatchTiming::AsRecorded);
                let replayer = Replayer::new(Arc::new(tape), options).unwrap();
                let again =
                    Schedule::simulate(seed, |schedule| program.run(&replayer.system(schedule)));
                prop_assert_eq!(again, seen);
                prop_assert!(replayer.finish().unwrap().is_complete());
            }
            Err(stuck) => prop_assert!(
                hangs && stuck.contains("a method that never returns (H7)"),
                "{}",
                stuck
            ),
        }
    }

    #[test]
    fn plans_read_back_from_text_and_json(faults in fault_plan(9, 9, 9)) {
        prop_assert_eq!(faults.to_string().parse(), Ok(faults.clone()));
        prop_assert_eq!(format!("{faults:#}").parse(), Ok(faults.clone()));
        prop_assert_eq!(serde_json::to_string(&faults).unwrap().parse(), Ok(faults));
    }
}
