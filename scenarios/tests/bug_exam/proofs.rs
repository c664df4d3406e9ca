//! For each bug the bad luck that shows it, made by hand: proof that it can be found.

use super::exam::{Bug, Failure};
use super::unlucky::Luck::{self, Late, Pause};
use super::unlucky::Place::{After, AfterCall, Before, BeforeCall, Within};
use super::unlucky::unlucky;
use super::{SEED, bugs, live};
use dextape_scenarios::capture_ring::abi::{self as capture, header, record_offset};
use dextape_scenarios::irq_page::abi as irq;
use dextape_scenarios::nvme_rings::abi as nvme;
use dextape_scenarios::shared_buffer::abi::{self as shared, buffer};
use dextape_scenarios::{null_driver, usb_bulk};
use null_driver::abi as null;
use usb_bulk::abi as usb;

/// What shows a bug.
pub(crate) struct Proof {
    pub(crate) bug: Bug,
    /// A plan of faults.
    pub(crate) faults: &'static str,
    luck: &'static [Luck],
    /// What the failed check says.
    sign: &'static str,
}

const fn timing(bug: Bug, luck: &'static [Luck], sign: &'static str) -> Proof {
    Proof { bug, faults: "", luck, sign }
}

const fn fault(bug: Bug, faults: &'static str, sign: &'static str) -> Proof {
    Proof { bug, faults, luck: &[], sign }
}

/// Offset of the tail in a ring of `nvme-rings`.
const TAIL: u64 = 8;

const NVME_COMPLETIONS: u32 = nvme::memory_type::completions(1);
const RING: u32 = capture::memory_type::RING;

#[rustfmt::skip]
pub(crate) const PROOFS: [Proof; 30] = [
    timing(Bug::NullLostWakeUp, &[Pause(AfterCall(null::selector::ASYNC_REQUEST), 2, 7000)], "slept"),
    timing(Bug::NullAnswerBeforeReturn, &[Pause(AfterCall(null::selector::ASYNC_REQUEST), 3, 7000)], "which nobody asked"),
    fault(Bug::NullOrderAssumed, "completion 4 #2: late 2s", "is answered"),
    fault(Bug::NullDoubleCounted, "completion 4 #2: doubled", "has no answer"),
    fault(Bug::NullNumberReused, "completion 4 #2: late 17s", "is answered"),

    timing(Bug::SharedFixedSleep, &[Late(shared::memory_type::BUFFER, buffer::FLAG, 1)], "the flag was never seen"),
    timing(Bug::SharedFlagClearedLate, &[Pause(AfterCall(shared::selector::SET_FLAG_LATER), 1, 60)], "the flag was never seen"),
    timing(Bug::SharedTornText, &[Pause(Within(shared::memory_type::BUFFER, buffer::TEXT), 1, 5)], "half changed"),
    timing(Bug::SharedCounterLost, &[Pause(After(shared::memory_type::BUFFER, buffer::COUNTER), 2, 5)], "the counter is"),
    fault(Bug::SharedUnmapForgotten, "call 0: error NoResources", "never unmapped"),

    fault(Bug::UsbStatusIgnored, "call 4 #3: error NoDevice", "does not hold"),
    fault(Bug::UsbBufferReused, "completion 1 #1: late 300ms", "in use again"),
    timing(Bug::UsbEndBeforeReturn, &[Pause(AfterCall(usb::selector::WRITE), 2, 300)], "which nobody began"),
    fault(Bug::UsbRetryDoubles, "call 0 #2: error NoResources afterwards", "the device has"),
    fault(Bug::UsbAbortRace, "completion 1 #3: late 1500ms", "bytes were sent"),

    timing(Bug::NvmeIndexRunsOn, &[Pause(Before(NVME_COMPLETIONS, TAIL), 12, 20)], "not under way"),
    timing(Bug::NvmeEntryBeforeTail, &[Pause(Before(NVME_COMPLETIONS, TAIL), 1, 20)], "not under way"),
    fault(Bug::NvmeBufferOfTheSlow, "call 6 #7: delay 100ms", "had the buffer"),
    fault(Bug::NvmeGoneIsOurMistake, "at 15ms: device removed", "number of the queue was wrong"),
    fault(Bug::NvmeFirstRingLeaked, "map 1: refuse", "never unmapped"),

    timing(Bug::CaptureTornClock, &[Pause(After(RING, header::CLOCK_PACKET), 2, 3)], "and packet 0 at"),
    timing(Bug::CaptureFullIsEmpty, &[Pause(Before(RING, header::WRITE_INDEX), 2, 30)], "overruns"),
    timing(Bug::CaptureEarlyRelease, &[Pause(Before(RING, record_offset(4, 8)), 1, 12)], "record"),
    fault(Bug::CaptureBatchANotice, "completion 2 #2: lost", "28 packets"),
    fault(Bug::CaptureEndFirst, "completion 2 #7: lost", "24 records of 28 packets"),

    timing(Bug::IrqClearedLate, &[Pause(Before(irq::memory_type::IRQ_PAGE, irq::page::PENDING), 3, 30)], "nobody handled"),
    timing(Bug::IrqLostWakeUp, &[Pause(BeforeCall(irq::selector::WAIT_INTERRUPT), 2, 30)], "nobody handled vector 1, pending: true"),
    fault(Bug::IrqCompletionTrusted, "completion 15 #2: doubled", "was handled 2 times of 1"),
    fault(Bug::IrqAbortIsInterrupt, "at 40ms: device removed", "was handled 2 times of 1"),
    fault(Bug::IrqSilenceIsEnd, "call 12 #4: delay 200ms", "nobody handled vector 3"),
];

/// The bug shows under its own bad luck, and the right client holds under it.
#[test]
fn each_bug_can_be_found() {
    let mut missing = Vec::new();
    for (candidate, bug) in bugs() {
        let proof = PROOFS.iter().find(|proof| proof.bug == bug).unwrap();
        let run = |bug, seed| {
            live(candidate, bug, seed, proof.faults, |system| unlucky(system, proof.luck)).0
        };
        match run(Some(bug), SEED) {
            Err(Failure(what)) if what.contains(proof.sign) => {}
            other => missing.push(format!("{bug:?}: {other:?}, not {:?}", proof.sign)),
        }
        for seed in 0..6 {
            if let Err(failure) = run(None, seed) {
                missing.push(format!("{bug:?}: the right client, seed {seed}: {failure}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
