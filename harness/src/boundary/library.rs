//! The library half: what IOKit's client library and its message stubs do before anything reaches
//! the kernel (groups A, D1 to D4, F6, G12, G21). It stands in front of every system.

use super::shape::{
    CallShape, ClientRange, ReferenceShape, Request, StructureShape, Transfer, WakePort,
};
use super::{Rule, Rules};
use crate::IoReturn;
use crate::limits::{ASYNC_REFERENCE_MAX, INLINE_STRUCTURE_MAX, SCALARS_MAX, VARIABLE_OUTPUT_SIZE};

/// Why a call does not reach the dext.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The client faults in its own process: the library follows NULL pointers (A3, D4, F6).
    Fault,
    /// The client is told this.
    Refused(IoReturn),
}

impl From<IoReturn> for Stop {
    fn from(result: IoReturn) -> Self {
        Self::Refused(result)
    }
}

/// The whole way of a call to the dext's door, in the order of A18: the client's counts, the
/// connection (`connection` is what [`Destination::check`] or the connection's state says of it), the
/// reference count, the out-of-line sizes. The wake port is looked at when the message is sent: after
/// the place where it goes, before whoever receives it (D5).
///
/// # Errors
///
/// Where the dext is not asked: what happens to the client instead.
///
/// # Examples
///
/// ```
/// use dextape::IoReturn;
/// use dextape::boundary::library::{Stop, send};
/// use dextape::boundary::{CallShape, Rules};
///
/// // 17 scalars are refused before anybody looks at the connection, which is dead.
/// let shape = CallShape::scalar(17, None);
/// let dead = Err(IoReturn::MACH_SEND_INVALID_DEST);
/// let stopped = send(Rules::all(), &shape, dead);
/// assert_eq!(stopped, Err(Stop::Refused(IoReturn::MIG_ARRAY_TOO_LARGE)));
/// ```
// Inlined with what it is made of: a caller with all rules pays for no rule that is off.
#[inline(always)]
pub fn send(
    rules: Rules,
    shape: &CallShape,
    connection: Result<(), IoReturn>,
) -> Result<Request, Stop> {
    let request = request(rules, shape);
    if let Err(dead) = connection
        && request.is_err()
        && !rules.on(Rule::A18)
    {
        return Err(dead.into());
    }
    let request = request?;
    if connection != Err(IoReturn::MACH_SEND_INVALID_DEST)
        && let Some(reference) = shape.reference
    {
        wake_port(rules, reference.wake_port)?;
    }
    connection?;
    kernel_checks(rules, &request)?;
    Ok(request)
}

/// What the library makes of a call: A1 to A14 and D1 to D4.
///
/// # Errors
///
/// Where nothing is sent: what happens to the client instead.
#[inline(always)]
pub fn request(rules: Rules, shape: &CallShape) -> Result<Request, Stop> {
    if rules.is_watched(Rule::A1) && *shape == CallShape::default() && !rules.on(Rule::A1) {
        // As if a wrapper with nothing in it were a mistake.
        return Err(Stop::Refused(IoReturn::BAD_ARGUMENT));
    }
    Ok(Request {
        reference_count: reference(rules, shape)?,
        scalar_count: scalar_input(rules, shape)?,
        structure: structure_input(rules, shape.structure)?,
        scalars_asked: scalars_asked(rules, shape)?,
        output: output(rules, shape)?,
        scalar_output_null: shape.scalar_output.is_null(),
        output_null: shape.output == ClientRange::Null,
    })
}

/// D1, D2 and D4; the count sent, `None` for a synchronous call.
#[inline(always)]
fn reference(rules: Rules, shape: &CallShape) -> Result<Option<u32>, Stop> {
    let Some(reference) = shape.reference else { return Ok(None) };
    let mut count = reference.count;
    if count as usize > ASYNC_REFERENCE_MAX {
        if rules.on(Rule::D1) {
            return Err(Stop::Refused(IoReturn::MIG_ARRAY_TOO_LARGE));
        }
        count = ASYNC_REFERENCE_MAX as u32;
    }
    if reference.pointer.is_null() {
        if count > 0 && rules.on(Rule::D4) {
            return Err(Stop::Fault);
        }
        if count == 0 && rules.on(Rule::D2) {
            count = 1;
        }
    }
    Ok(Some(count))
}

/// A2, then A3.
#[inline(always)]
fn scalar_input(rules: Rules, shape: &CallShape) -> Result<u32, Stop> {
    let mut count = shape.scalar_count;
    if count as usize > SCALARS_MAX {
        if rules.on(Rule::A2) {
            return Err(Stop::Refused(IoReturn::MIG_ARRAY_TOO_LARGE));
        }
        count = SCALARS_MAX as u32;
    }
    if count > 0 && shape.scalars.is_null() {
        return if rules.on(Rule::A3) { Err(Stop::Fault) } else { Ok(0) };
    }
    Ok(count)
}

/// A3, A7 to A10.
#[inline(always)]
fn structure_input(rules: Rules, shape: StructureShape) -> Result<Transfer, Stop> {
    if shape.size == 0 {
        // Naively the pointer decides: a structure of no bytes.
        let present = !shape.is_null() && !rules.on(Rule::A7);
        return Ok(if present { Transfer::Inline { size: 0 } } else { Transfer::None });
    }
    if shape.size <= INLINE_STRUCTURE_MAX {
        if shape.is_null() {
            return if rules.on(Rule::A3) { Err(Stop::Fault) } else { Ok(Transfer::None) };
        }
        if !rules.on(Rule::A8) {
            return Ok(Transfer::OutOfLine { size: shape.size, range: shape.range });
        }
    } else {
        if shape.is_null() && !rules.on(Rule::A10) {
            return Err(Stop::Refused(IoReturn::BAD_ARGUMENT));
        }
        if !rules.on(Rule::A9) {
            return Ok(Transfer::Inline { size: shape.size });
        }
    }
    Ok(Transfer::by_size(shape))
}

/// A4 and A5.
#[inline(always)]
fn scalars_asked(rules: Rules, shape: &CallShape) -> Result<u32, IoReturn> {
    let Some(asked) = shape.scalars_asked else {
        return if rules.on(Rule::A4) { Ok(0) } else { Err(IoReturn::BAD_ARGUMENT) };
    };
    if asked as usize <= SCALARS_MAX {
        Ok(asked)
    } else if rules.on(Rule::A5) {
        Ok(SCALARS_MAX as u32)
    } else {
        Err(IoReturn::MIG_ARRAY_TOO_LARGE)
    }
}

/// A4, A11, A12 and A14.
#[inline(always)]
fn output(rules: Rules, shape: &CallShape) -> Result<Transfer, IoReturn> {
    let Some(size) = shape.output_asked else {
        return if rules.on(Rule::A4) { Ok(Transfer::None) } else { Err(IoReturn::BAD_ARGUMENT) };
    };
    if size == VARIABLE_OUTPUT_SIZE && shape.reference.is_none() && rules.on(Rule::A14) {
        return Ok(Transfer::Variable);
    }
    if size > INLINE_STRUCTURE_MAX {
        if shape.output == ClientRange::Null && !rules.on(Rule::A12) {
            return Err(IoReturn::BAD_ARGUMENT);
        }
        if !rules.on(Rule::A11) {
            return Ok(Transfer::Inline { size });
        }
    }
    Ok(Transfer::by_size(StructureShape { range: shape.output, size }))
}

/// D5.
#[inline(always)]
fn wake_port(rules: Rules, port: WakePort) -> Result<(), IoReturn> {
    if port == WakePort::Foreign && rules.on(Rule::D5) {
        Err(rules.open().foreign_wake_port)
    } else {
        Ok(())
    }
}

/// True where the library sends a call over a live connection, and the kernel refuses it because its
/// reference holds nothing (D3): the other side sees such a call, although [`send`] refuses it.
#[must_use]
pub fn kernel_refuses_reference(rules: Rules, shape: &CallShape) -> bool {
    let sent = || request(rules, shape).is_ok_and(|request| request.reference_count == Some(0));
    let may_wake = |it: ReferenceShape| wake_port(rules, it.wake_port).is_ok();
    shape.reference.is_some_and(may_wake) && sent() && rules.on(Rule::D3)
}

/// What the kernel checks once the connection is found: D3 and A13.
#[inline(always)]
fn kernel_checks(rules: Rules, request: &Request) -> Result<(), IoReturn> {
    if request.reference_count == Some(0) && rules.on(Rule::D3) {
        return Err(IoReturn::BAD_ARGUMENT);
    }
    match request.output {
        Transfer::OutOfLine { size, range }
            if size > u64::from(u32::MAX) && range != ClientRange::Null && rules.on(Rule::A13) =>
        {
            Err(IoReturn::IPC_ERROR)
        }
        _ => Ok(()),
    }
}

/// What the name that a client gives for a connection stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// `MACH_PORT_NULL`.
    Null,
    /// A dead name.
    Dead,
    /// A name that the client does not have, or has no longer.
    Unknown,
    /// A live IOKit port of another kind: a service, an iterator.
    OtherKind,
    /// A connection.
    Connection,
}

impl Destination {
    /// Whether a message to it reaches a connection.
    ///
    /// # Errors
    ///
    /// `MACH_SEND_INVALID_DEST` where there is nobody (A15), `kIOReturnBadArgument` where it is
    /// somebody else (A16).
    #[inline]
    pub fn check(self, rules: Rules) -> Result<(), IoReturn> {
        let (nobody, other) = (IoReturn::MACH_SEND_INVALID_DEST, IoReturn::BAD_ARGUMENT);
        match self {
            Self::Connection => Ok(()),
            Self::OtherKind => Err(if rules.on(Rule::A16) { other } else { nobody }),
            _ => Err(if rules.on(Rule::A15) { nobody } else { other }),
        }
    }

    /// Whether a message can carry a right of it to another task, or to its own: a connection stays
    /// where it was opened (G22). What is no right at all is another matter.
    ///
    /// # Errors
    ///
    /// `MACH_SEND_INVALID_RIGHT` for a connection.
    pub fn check_carried(self, rules: Rules) -> Result<(), IoReturn> {
        if self == Self::Connection && rules.on(Rule::G22) {
            Err(IoReturn::MACH_SEND_INVALID_RIGHT)
        } else {
            Ok(())
        }
    }

    /// What `IOConnectTrap0` to `6` give where this is no connection: a trap is no message, so there
    /// is no invalid destination (G21).
    ///
    /// # Errors
    ///
    /// `kIOReturnBadArgument` for anything but a connection.
    pub fn check_trap(self, rules: Rules) -> Result<(), IoReturn> {
        if self != Self::Connection && rules.on(Rule::G21) {
            return Err(IoReturn::BAD_ARGUMENT);
        }
        self.check(rules)
    }
}

/// Rights that `IOServiceClose` drops, after the kernel gave `result` (G12).
#[must_use]
pub fn rights_dropped_by_close(rules: Rules, result: IoReturn) -> u32 {
    u32::from(result == IoReturn::SUCCESS || rules.on(Rule::G12))
}

/// Whether `IOConnectMapMemory` is sent: both `atAddress` and `ofSize` are read before (F6), and the
/// task must be one (F7).
///
/// # Errors
///
/// What happens to the client instead.
pub fn map(
    rules: Rules,
    at_address_null: bool,
    of_size_null: bool,
    task_null: bool,
) -> Result<(), Stop> {
    if at_address_null || of_size_null {
        let fault = rules.on(Rule::F6);
        return Err(if fault { Stop::Fault } else { Stop::Refused(IoReturn::BAD_ARGUMENT) });
    }
    Ok(task(rules, task_null)?)
}

/// Whether an unmap (or a map, after [`map`]'s own check) reaches the dext: not without a task
/// (F7).
///
/// # Errors
///
/// `kIOReturnBadArgument`.
pub fn task(rules: Rules, task_null: bool) -> Result<(), IoReturn> {
    if task_null && rules.on(Rule::F7) { Err(IoReturn::BAD_ARGUMENT) } else { Ok(()) }
}
