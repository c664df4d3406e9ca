//! What a code tells of who made it.

use dextape::IoReturn;
use dextape::boundary::Rule;

/// Codes that no part of the system makes at the boundary: a client sees them from driver code only (H6).
const OF_DRIVERS: [IoReturn; 10] = [
    IoReturn::NOT_ATTACHED,
    IoReturn::NO_DEVICE,
    IoReturn::NOT_OPEN,
    IoReturn::ABORTED,
    IoReturn::NOT_RESPONDING,
    IoReturn::NO_SPACE,
    IoReturn::TIMEOUT,
    IoReturn::EXCLUSIVE_ACCESS,
    IoReturn::LOCKED_READ,
    IoReturn::LOCKED_WRITE,
];

/// What the failure of a method shows that reached the kernel over a connection that nothing is known
/// to have ended. `ever_mapped` says what a dead connection would have answered (H1). Codes of Mach and
/// of its message stubs are taken for the system's: a driver has codes of its own.
pub(super) fn of_method(result: IoReturn, ever_mapped: bool) -> &'static [Rule] {
    use Rule::{A15, C2, C9, C10, E1, E2, E3, E4, E7, E9, E10, H1, H4, H5, H6, H8};
    match result {
        IoReturn::SUCCESS => &[],
        code if OF_DRIVERS.contains(&code) => &[H6],
        IoReturn::MIG_SERVER_DIED => &[H4],
        IoReturn::MACH_SEND_INVALID_DEST if ever_mapped => &[A15, H5],
        IoReturn::MACH_SEND_INVALID_DEST => &[A15, H1, H5],
        IoReturn::BAD_ARGUMENT if ever_mapped => &[C2, C9, E1, E2, E3, E9, H1, H8],
        IoReturn::BAD_ARGUMENT => &[C2, C9, E1, E2, E3, E9, H8],
        IoReturn::OFFLINE | IoReturn::NOT_READY => &[C9, H5],
        IoReturn::IPC_ERROR => &[C9, C10, E10],
        IoReturn::NO_COMPLETION => &[C9, E4],
        IoReturn::UNSUPPORTED => &[C9, E7, E10],
        // As for a named code: that of a driver, which every call passes through.
        code if code.name().is_some() => &[],
        _ => &[C9],
    }
}

/// What the failure of an open shows.
pub(super) fn of_open(result: IoReturn) -> &'static [Rule] {
    use Rule::{G1, G2, G3, G4, G5, G7, G8, G10, H5, H6};
    match result {
        code if OF_DRIVERS.contains(&code) => &[G2, H6],
        IoReturn::BAD_ARGUMENT => &[G1, G2],
        IoReturn::NOT_PERMITTED => &[G1, G2, G5],
        IoReturn::NOT_PRIVILEGED => &[G2, G7],
        IoReturn::ERROR => &[G2, G3],
        IoReturn::UNSUPPORTED => &[G2, G4, G10],
        IoReturn::MIG_SERVER_DIED => &[G8],
        IoReturn::MACH_SEND_INVALID_DEST => &[H5],
        IoReturn::OFFLINE | IoReturn::NOT_READY => &[G2, H5],
        _ => &[G2],
    }
}
