//! Replacements of `IOServiceOpen` and `IOServiceClose`.

use super::client;
use super::edge::through;
use super::original::{self, Kern, Name};
use super::pages::At;
use super::passage::{Passage, with};
use super::registry::service_of;
use dextape::IoReturn;

/// # Safety
///
/// That of the original.
pub(super) unsafe extern "C" fn open(
    service: Name,
    task: Name,
    kind: u32,
    connect: *mut Name,
) -> Kern {
    through(
        // SAFETY: the program's own arguments.
        || unsafe { original::IOServiceOpen(service, task, kind, connect) },
        |recorder, once| {
            // Where it is no service, the kernel answers without a dext (G1).
            let Some(service) = service_of(recorder, service) else { return };
            let mut original = || IoReturn(once.make().cast_unsigned());
            let opened =
                with(Passage::Plain(&mut original), || recorder.system.open(service, kind));
            // SAFETY: the original has just written the name there.
            if let (Ok(opened), Some(name)) = (opened, unsafe { client::read(connect) }) {
                recorder.opened(name, opened);
            }
        },
    )
}

/// # Safety
///
/// That of the original.
pub(super) unsafe extern "C" fn close(connect: Name) -> Kern {
    through(
        // SAFETY: the program's own argument.
        || unsafe { original::IOServiceClose(connect) },
        |recorder, once| {
            let Some(open) = recorder.open(connect) else { return };
            open.shown.look(At::Last);
            // Before the name can come to mean another connection, in another thread's open.
            recorder.closed(connect);
            let mut original = || IoReturn(once.make().cast_unsigned());
            // The program has its own answer.
            let _ = with(Passage::Plain(&mut original), || open.connection.close());
        },
    )
}
