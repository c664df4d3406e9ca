//! Notification ports of the program, and their replacements.

use super::completion;
use super::edge::through;
use super::original::{self, Name, Notification};
use super::recorder::{Recorder, say};
use super::system::Inbox;
use dextape::connection::CompletionQueue;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A port that completions come to, as the recorder knows it.
#[derive(Debug)]
pub(super) struct Port {
    /// The recorder's queue, by which the tape names the port.
    pub(super) queue: Arc<dyn CompletionQueue>,
    /// Where a completion is put for the recorder to take.
    pub(super) inbox: Arc<Inbox>,
    /// It is that of an `IONotificationPort`: what comes there ends in the program's callbacks.
    pub(super) calls_back: bool,
    /// Held from a put to its take.
    pub(super) delivery: Mutex<()>,
}

/// The ports of the program, by name.
#[derive(Debug, Default)]
pub(super) struct Ports(Mutex<HashMap<Name, Arc<Port>>>);

impl Ports {
    /// The port of a name; one that nobody has announced is received from by the program itself.
    pub(super) fn of(&self, recorder: &Recorder, name: Name) -> Option<Arc<Port>> {
        self.get_or_make(recorder, name, false)
    }

    fn get_or_make(&self, recorder: &Recorder, name: Name, calls_back: bool) -> Option<Arc<Port>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(&name) {
            return Some(Arc::clone(known));
        }
        if !calls_back {
            say(
                "the program receives completions itself: of those calls no completion is recorded",
            );
        }
        let (queue, inbox) = recorder.originals.making(|| recorder.system.completion_queue())?;
        let port = Arc::new(Port { queue, inbox, calls_back, delivery: Mutex::default() });
        all.insert(name, Arc::clone(&port));
        Some(port)
    }

    fn remove(&self, name: Name) -> Option<Arc<Port>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&name)
    }
}

/// # Safety
///
/// That of the original.
pub(super) unsafe extern "C" fn create(main: Name) -> Notification {
    through(
        // SAFETY: the program's own argument.
        || unsafe { original::IONotificationPortCreate(main) },
        |recorder, once| {
            let port = once.make();
            if !port.is_null() {
                // SAFETY: a port that was just created.
                let name = unsafe { original::IONotificationPortGetMachPort(port) };
                recorder.ports.get_or_make(recorder, name, true);
            }
        },
    )
}

/// # Safety
///
/// That of the original.
pub(super) unsafe extern "C" fn get_mach_port(port: Notification) -> Name {
    through(
        // SAFETY: the program's own argument.
        || unsafe { original::IONotificationPortGetMachPort(port) },
        |recorder, once| {
            let name = once.make();
            if name != 0 {
                recorder.ports.get_or_make(recorder, name, true);
            }
        },
    )
}

/// # Safety
///
/// That of the original.
pub(super) unsafe extern "C" fn destroy(port: Notification) {
    through(
        // SAFETY: the program's own argument.
        || unsafe { original::IONotificationPortDestroy(port) },
        |recorder, once| {
            // SAFETY: the port is alive until the original is called; NULL faults there, not here.
            let name =
                (!port.is_null()).then(|| unsafe { original::IONotificationPortGetMachPort(port) });
            once.make();
            if let Some(gone) = name.and_then(|name| recorder.ports.remove(name)) {
                completion::forget(&gone);
            }
        },
    );
}
