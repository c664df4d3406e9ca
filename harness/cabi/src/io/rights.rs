//! Rights of whatever has a name: those of a connection are the system's to count, too.

use super::mapping::forget_ended;
use crate::port::{self, Kind, Right};
use dextape::IoReturn;

/// Another right.
pub(crate) fn retain(name: u32) -> IoReturn {
    change(name, Right::Send, 1)
}

/// One right less; with the last one of a connection its user client is torn down (G15).
pub(crate) fn release(name: u32) -> IoReturn {
    if let Some(Kind::Connection(connect)) = port::lookup(name) {
        super::mapping::look_last(&connect);
        let _ = connect.connection.release();
    }
    let result = port::deallocate(name);
    forget_ended();
    result
}

/// So many rights more or less, as `mach_port_mod_refs` does.
pub(crate) fn change(name: u32, right: Right, delta: i64) -> IoReturn {
    let result = match (port::lookup(name), right) {
        (Some(Kind::Connection(connect)), Right::Send) => {
            let has = i64::from(port::references(name, Right::Send).unwrap_or(0));
            // Never more than there are, whatever number a client gives.
            for _ in 0..delta.clamp(-has, 1 << 16).unsigned_abs() {
                let _ = match delta > 0 {
                    true => connect.connection.add_ref(),
                    false => connect.connection.release(),
                };
            }
            port::modify(name, right, delta)
        }
        _ => port::modify(name, right, delta),
    };
    forget_ended();
    result
}

/// No right any more, as `mach_port_destroy` does.
pub(crate) fn destroy(name: u32) -> IoReturn {
    if let Some(Kind::Connection(connect)) = port::lookup(name) {
        for _ in 0..port::references(name, Right::Send).unwrap_or(0) {
            let _ = connect.connection.release();
        }
    }
    let result = port::destroy(name);
    forget_ended();
    result
}
