//! Codes of the functions on ports and messages.

/// `kern_return_t`.
pub(crate) type Kern = i32;

/// A name as a return value: the whole register, so that a client which takes it for a pointer gets
/// the name and nothing else.
pub(crate) type Name = u64;

pub(crate) const KERN_SUCCESS: Kern = 0;
pub(crate) const KERN_INVALID_ADDRESS: Kern = 1;
pub(crate) const KERN_NO_SPACE: Kern = 3;
pub(crate) const KERN_INVALID_ARGUMENT: Kern = 4;
pub(crate) const KERN_FAILURE: Kern = 5;
pub(crate) const KERN_INVALID_NAME: Kern = 15;
pub(crate) const KERN_INVALID_TASK: Kern = 16;
pub(crate) const KERN_INVALID_RIGHT: Kern = 17;
pub(crate) const KERN_INVALID_VALUE: Kern = 18;

pub(crate) const MACH_SEND_INVALID_DEST: Kern = 0x1000_0003;
pub(crate) const MACH_SEND_INVALID_HEADER: Kern = 0x1000_0010;
pub(crate) const MACH_SEND_MSG_TOO_SMALL: Kern = 0x1000_0008;
pub(crate) const MACH_RCV_INVALID_NAME: Kern = 0x1000_4002;
pub(crate) const MACH_RCV_TIMED_OUT: Kern = 0x1000_4003;
pub(crate) const MACH_RCV_TOO_LARGE: Kern = 0x1000_4004;
pub(crate) const MACH_RCV_PORT_DIED: Kern = 0x1000_4009;
