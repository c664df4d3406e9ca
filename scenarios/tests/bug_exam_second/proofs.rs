//! For each bug one thing that shows it: proof that it can be found, and that the right client stands that.

use super::exam::{Bug, Failure};
use super::unlucky::Luck::{self, Spurious, Still};
use super::unlucky::Place::{Calls, Reaches};
use super::unlucky::unlucky;
use super::{SEED, bugs, live};
use dextape_scenarios::capture_ring::abi::{self as capture, header};
use dextape_scenarios::irq_page::abi::selector as irq;
use dextape_scenarios::null_driver::abi::selector as null;
use dextape_scenarios::nvme_rings::abi::{self as rings, selector as nvme};
use dextape_scenarios::shared_buffer::abi::{self as shared, buffer, selector as calls};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What shows a bug, and how.
struct Proof {
    bug: Bug,
    show: Show,
    /// What the broken promise or the panic says.
    sign: &'static str,
}

/// One thing that happens.
enum Show {
    Fault(&'static str),
    Timing(Luck),
}

const fn fault(bug: Bug, faults: &'static str, sign: &'static str) -> Proof {
    Proof { bug, show: Show::Fault(faults), sign }
}

const fn timing(bug: Bug, luck: Luck, sign: &'static str) -> Proof {
    Proof { bug, show: Show::Timing(luck), sign }
}

/// The completion ring of the writer's queue pair, and where its tail is.
const COMPLETIONS: u32 = rings::memory_type::completions(1);
const TAIL: u64 = 8;

const RING: u32 = capture::memory_type::RING;
const BUFFER: u32 = shared::memory_type::BUFFER;

/// What a simulation says where all threads wait for ever.
const HANGS: &str = "every task waits";

#[rustfmt::skip]
const PROOFS: [Proof; 30] = [
    timing(Bug::NullNothingIsTimeout, Spurious(3), "was given up after"),
    fault(Bug::NullRetryCounted, "completion 4 #2: late 9s", "the balance is"),
    timing(Bug::NullConfirmationAssumed, Still(Calls(null::REGISTER_ASYNC), 2, 700), "confirmed as"),
    fault(Bug::NullCreditLost, "call 5 #3: error NoResources", "credits of 2 are left"),
    fault(Bug::NullDoneBeforeStored, "call 1 #6: delay 100ms", "has no result"),

    timing(Bug::SharedTicketGuessed, Still(Calls(calls::COUNT), 2, 2), "place "),
    timing(Bug::SharedLastOneTwice, Still(Calls(calls::COUNT), 9, 300), "was unmapped 2 times"),
    fault(Bug::SharedErrorSwallowed, "call 0 #1: error NotReady", "is still 'a'"),
    timing(Bug::SharedBeatsMerge, Still(Reaches(BUFFER, buffer::FLAG), 6, 40), "beats were counted"),
    fault(Bug::SharedNothingOnErrorPath, "map 1: error NoMemory", "the status is mapped"),

    fault(Bug::UsbSequenceAcrossWrap, "completion 0 #5: late 300ms", "was used before it ended"),
    fault(Bug::UsbTimeRestarts, "completion 1 #1: lost", "nobody aborts it"),
    fault(Bug::UsbReusedAfterAbort, "completion 1 #2: late 70ms", "was used before it ended"),
    fault(Bug::UsbGoneIsEnd, "completion 1 #5: error Aborted", "the stream has ended after"),
    fault(Bug::UsbErrorWakesNobody, "call 4 #3: error NotResponding", HANGS),

    timing(Bug::NvmeFullRingUnheard, Still(Reaches(COMPLETIONS, TAIL), 25, 20), "and the driver answers"),
    fault(Bug::NvmeTornDownUnderWriter, "call 6 #11: error NotReady", "crashed"),
    fault(Bug::NvmePutAgain, "call 6 #2: error Busy", "which is not under way"),
    fault(Bug::NvmeFirstPairKept, "call 2 #2: error NoResources", "was never deleted"),
    timing(Bug::NvmeReadBeforeWritten, Still(Calls(nvme::POKE), 3, 5), "is read as"),

    fault(Bug::CaptureStaleNotice, "completion 2 #10: late 30ms", "is due"),
    timing(Bug::CaptureStopDropsLast, Still(Calls(capture::selector::STOP), 1, 3), "records are written down"),
    timing(Bug::CaptureQueueOverflows, Still(Reaches(RING, header::CLOCK_TIME), 4, 12), "records are written down"),
    timing(Bug::CaptureLagUnderflows, Still(Reaches(RING, header::READ_INDEX), 2, 3), "overflow"),
    fault(Bug::CaptureWriterLeftWaiting, "at 20ms: device removed", HANGS),

    timing(Bug::IrqMaskStale, Still(Calls(irq::SET_IRQ_MASK), 2, 12), "nobody handles"),
    fault(Bug::IrqMaskedAfterError, "call 14 #2: error NotReady", "nobody handles vector 1"),
    timing(Bug::IrqMaskedDropped, Still(Calls(irq::SET_IRQ_MASK), 3, 40), "nobody handles vector"),
    timing(Bug::IrqArmedAfterQuiet, Spurious(3), "another was asked for"),
    fault(Bug::IrqStaleDisarms, "completion 15 #2: doubled", "another was asked for"),
];

/// What a client says at its end, panics included.
fn said(run: impl FnOnce() -> super::Ended) -> String {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(outcome)) => format!("{outcome:?}"),
        Ok(Err(Failure(what))) => what,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            text.unwrap_or_else(|| "a panic without words".to_owned())
        }
    }
}

#[test]
fn each_bug_can_be_found() {
    let mut missing = Vec::new();
    for (candidate, bug) in bugs() {
        let proof = PROOFS.iter().find(|proof| proof.bug == bug).unwrap();
        let run = |bug, seed| match proof.show {
            Show::Fault(faults) => live(candidate, bug, seed, faults, |system| system).0,
            Show::Timing(luck) => live(candidate, bug, seed, "", |system| unlucky(system, luck)).0,
        };
        let said = said(|| run(Some(bug), SEED));
        if !said.contains(proof.sign) {
            missing.push(format!("{bug:?}: {said}, not {:?}", proof.sign));
        }
        for seed in 0..6 {
            if let Err(failure) = run(None, seed) {
                missing.push(format!("{bug:?}: the right client, seed {seed}: {failure}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
