//! The upcalls that carry no arguments: open, start, stop.

use crate::driverkit::finding::Place;
use crate::driverkit::queue::QueueCore;
use crate::driverkit::{DextProcess, DispatchQueue, QUEUE_DEFAULT, UserClientNumber};
use std::sync::Arc;

/// Which upcall it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// `NewUserClient` of the service.
    NewUserClient,
    /// `Start` of a service or user client.
    Start,
    /// `Stop` of a service or user client.
    Stop,
}

/// Runs `call` in `process`, on behalf of `client` where it is for a user client: what is made
/// meanwhile counts as that client's in [`DextProcess::leaks_of`].
///
/// To see what a user client left behind: `Stop`, then drop the `Arc<dyn UserClient>` (its fields
/// release what they hold), then ask for the leaks.
pub fn in_phase<R>(
    process: &DextProcess,
    client: Option<UserClientNumber>,
    phase: Phase,
    call: impl FnOnce() -> R,
) -> R {
    let place = match phase {
        Phase::NewUserClient => Place::NewUserClient,
        Phase::Start => Place::Start,
        Phase::Stop => Place::Stop,
    };
    let _inside = process.enter_at(client, place);
    call()
}

/// The queue that the system calls a service or user client on (K3): one of its own, unless the dext
/// has set another. Cheap to clone; clones are the same queue.
#[derive(Clone, Debug)]
pub struct UpcallQueue {
    core: Arc<QueueCore>,
}

impl UpcallQueue {
    /// Makes the default queue of a user client (`None`: of the service), before its first upcall.
    /// The dext finds it with [`DispatchQueue::copy_default`]. It is no object of the dext's and never
    /// leaks; it stops with the process, or with [`UpcallQueue::end_default`].
    #[must_use]
    pub fn make_default(process: &DextProcess, client: Option<UserClientNumber>) -> Self {
        let core = QueueCore::new(QUEUE_DEFAULT, process.schedule());
        if process.is_dead() {
            core.stop();
        }
        process.set_default_queue(client, Some(Arc::clone(&core)));
        Self { core }
    }

    /// A queue that the dext has set: see [`UserClient::dispatch_queue`]. It ends with the dext's own
    /// references.
    ///
    /// [`UserClient::dispatch_queue`]: crate::driverkit::UserClient::dispatch_queue
    #[must_use]
    pub fn of(queue: &DispatchQueue) -> Self {
        Self { core: queue.core() }
    }

    /// Ends the default queue of a user client that has stopped: it runs what was dispatched on it,
    /// and no more is kept of the client.
    pub fn end_default(process: &DextProcess, client: Option<UserClientNumber>) {
        if let Some(core) = process.set_default_queue(client, None) {
            core.release();
        }
        if let Some(client) = client {
            process.forget_client(client);
        }
    }

    /// Runs `call` on the calling thread when it is its turn: `None` where the queue or its process
    /// has ended before that (H4, H5).
    ///
    /// # Panics
    ///
    /// Where the caller runs on this queue already: it would wait for itself for ever.
    #[track_caller]
    pub fn run<R>(&self, call: impl FnOnce() -> R) -> Option<R> {
        self.core.run(call)
    }
}
