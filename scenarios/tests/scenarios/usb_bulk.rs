use super::support::{faulty, live, simulate};
use dextape::driverkit::Lint;
use dextape_scenarios::Time;

/// Up to 4096 bytes are copied, more are not (B3, B4); packets have 512 bytes.
const WRITES: &str = "\
write 1: ok; ok, 1 bytes; device 1 packets, 1 bytes; copied 1
write 512: ok; ok, 512 bytes; device 1 packets, 512 bytes; copied 512
write 4096: ok; ok, 4096 bytes; device 8 packets, 4096 bytes; copied 4096
write 4097: ok; ok, 4097 bytes; device 9 packets, 4097 bytes; copied 0
write 8192: ok; ok, 8192 bytes; device 16 packets, 8192 bytes; copied 0
write 10000: ok; ok, 10000 bytes; device 20 packets, 10000 bytes; copied 0
";

/// The stalled write was accepted, so that its completion tells of the stall; the next is refused at
/// once. `kIOUSBPipeStalled` is code 0x4f of the USB family.
const STALL: &str = "\
stalled write: ok; sub_iokit_usb+0x4f (0xe000404f), 0 bytes
write while stalled: sub_iokit_usb+0x4f (0xe000404f); no transfer
clear the stall: ok
write after it: ok; ok, 100 bytes
";

/// The size of an output by descriptor comes back as asked (C4); how much was read stands in the
/// completion only.
const READS: &str = "\
read, whole: ok, 8192 bytes; 0 bytes when it returned; ok, 8192 bytes; 8192 bytes then
read, short: ok, 8192 bytes; 0 bytes when it returned; ok, 1000 bytes; 1000 bytes then
read, empty: ok, 8192 bytes; 0 bytes when it returned; ok, 0 bytes; 0 bytes then
";

const ABORT: &str = "\
read without data: ok, 8192 bytes; no completion
abort it: ok; kIOReturnAborted (0xe00002eb), 0 bytes
";

const REFUSED: &str = "small read: kIOReturnBadArgument (0xe00002c2)\nclose: ok\n";

/// The reply of the call has filled the buffer with zeros (C3), and what the device sent went nowhere.
const LOST: &str =
    "small read: ok, 4096 bytes; ok, 1000 bytes; 4096 of 4096 bytes are zero\nclose: ok\n";

#[test]
fn buffers_go_through_as_their_sizes_say() {
    let run = simulate("usb-bulk", &[], 1);
    assert_eq!(run.output, [WRITES, STALL, READS, ABORT, REFUSED].concat());
    assert!(run.findings.is_empty(), "{:?}", run.findings);
    assert!(run.leaks.is_empty(), "{:?}", run.leaks);
    assert_eq!(run.log, ["refused to read 4096 bytes: the output ends with the call"]);
}

#[test]
fn a_small_read_cannot_be_filled_later() {
    let run = simulate("usb-bulk", &[("small-reads", "lost")], 1);
    assert_eq!(run.output, [WRITES, STALL, READS, ABORT, LOST].concat());
    let lints: Vec<_> = run.findings.iter().map(|finding| finding.lint()).collect();
    assert_eq!(lints, [Lint::LateInlineOutput], "{:?}", run.findings);
    assert!(run.leaks.is_empty(), "{:?}", run.leaks);
}

#[test]
fn real_threads_see_the_same() {
    let run = live("usb-bulk", &[], Time::Free);
    assert_eq!(run.output, [WRITES, STALL, READS, ABORT, REFUSED].concat());
}

/// Removed while a read waits for data: the dext aborts it as it stops, and the completion still
/// reaches the client (D21).
#[test]
fn removal_aborts_what_is_pending() {
    let run = faulty("usb-bulk", &[], "at 500ms: device removed", 1).unwrap();
    let end = "\
read without data: ok, 8192 bytes; kIOReturnAborted (0xe00002eb), 0 bytes
abort it: MACH_SEND_INVALID_DEST (0x10000003); no completion
small read: MACH_SEND_INVALID_DEST (0x10000003)
close: MACH_SEND_INVALID_DEST (0x10000003)
";
    assert_eq!(run.output, [WRITES, STALL, READS, end].concat());
    assert!(run.leaks.is_empty(), "{:?}", run.leaks);
}
