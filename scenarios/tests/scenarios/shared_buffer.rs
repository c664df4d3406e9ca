use super::support::{faulty, live, simulate};
use dextape::driverkit::Lint;
use dextape_scenarios::Time;

/// Mapping again gives the same mapping (F11), the status cannot be written (F2), an unknown type is
/// `kIOReturnBadArgument` to a map whatever the dext says (F5) and the dext's own code to an unmap
/// (F18), and a second unmap finds nothing (F16).
const RIGHT: &str = r#"map the buffer: 128 bytes
text before: ""
capitals: ok, scalars 9
text now: "HELLO, DEXT"
set the flag later: ok
the flag is set
counter: 0 before, 25 after the dext's turn: ok, scalars 5
swap 26, compare-exchange 1000 and 1000, now 7
bits 1010, then 0010
last word: 9
unaligned word: access a word of 4 bytes at offset 0x12: not a multiple of its width
map it again: the same mapping
  its text: "HELLO, DEXT"
map the status: 16 bytes
  3 methods served, the last was 2
  write to it: write at offset 0x0: the memory is read-only
unmap the status: ok
map an unknown type: kIOReturnBadArgument (0xe00002c2)
unmap an unknown type: kIOReturnUnsupported (0xe00002c7)
unmap the buffer: ok
unmap it again: kIOReturnBadArgument (0xe00002c2)
the mapping is gone: access offset 0x0: the memory is no longer mapped
close: ok
after it: access offset 0x0: the memory is no longer mapped
"#;

#[test]
fn the_right_dext_shares_one_buffer() {
    let run = simulate("shared-buffer", &[], 1);
    assert_eq!(run.output, RIGHT);
    assert!(run.findings.is_empty(), "{:?}", run.findings);
    assert!(run.leaks.is_empty(), "{:?}", run.leaks);
    assert_eq!(live("shared-buffer", &[], Time::Free).output, RIGHT);
}

/// The naive dext hands out another buffer each time: a second map is another mapping, and an unmap
/// finds no mapping of the buffer that it is given (F20). The first mapping stays.
#[test]
fn the_naive_dext_cannot_be_unmapped() {
    let run = simulate("shared-buffer", &[("buffers", "fresh")], 1);
    let naive = RIGHT
        .replace(
            "map it again: the same mapping\n  its text: \"HELLO, DEXT\"",
            "map it again: another one\n  its text: \"\"",
        )
        .replace(
            "unmap the buffer: ok\nunmap it again: kIOReturnBadArgument (0xe00002c2)\n\
             the mapping is gone: access offset 0x0: the memory is no longer mapped",
            "unmap the buffer: kIOReturnBadArgument (0xe00002c2)\n\
             unmap it again: kIOReturnBadArgument (0xe00002c2)\n\
             the mapping is still there: flag 1",
        );
    assert_eq!(run.output, naive);
    let lints: Vec<_> = run.findings.iter().map(|finding| finding.lint()).collect();
    assert_eq!(lints, [Lint::FreshDescriptor], "{:?}", run.findings);
    assert!(run.leaks.is_empty(), "{:?}", run.leaks);
}

/// Removed while the client polls: the mapping stays (F25) and is never changed again; calls give
/// `kIOReturnBadArgument` because the connection mapped once (H1), and the close works (H2).
#[test]
fn mappings_outlive_the_driver() {
    let run = faulty("shared-buffer", &[], "at 15ms: device removed", 1).unwrap();
    let expected = r#"map the buffer: 128 bytes
text before: ""
capitals: ok, scalars 9
text now: "HELLO, DEXT"
set the flag later: ok
the flag is not set after 200 looks
counter: 0 before, 5 after the dext's turn: kIOReturnBadArgument (0xe00002c2)
swap 6, compare-exchange 1000 and 1000, now 7
bits 1010, then 0010
last word: 9
unaligned word: access a word of 4 bytes at offset 0x12: not a multiple of its width
map it again: kIOReturnBadArgument (0xe00002c2)
map the status: kIOReturnBadArgument (0xe00002c2)
map an unknown type: kIOReturnBadArgument (0xe00002c2)
unmap an unknown type: kIOReturnBadArgument (0xe00002c2)
unmap the buffer: kIOReturnBadArgument (0xe00002c2)
unmap it again: kIOReturnBadArgument (0xe00002c2)
the mapping is still there: flag 0
close: ok
after it: access offset 0x0: the memory is no longer mapped
"#;
    assert_eq!(run.output, expected);
}
