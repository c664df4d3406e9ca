//! The upcalls that carry no arguments: open, start, stop.

use crate::driverkit::finding::Place;
use crate::driverkit::stop::SuperStop;
use crate::driverkit::{DextProcess, DispatchQueue, UserClientNumber};
use crate::memory::Part;
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

/// Says which queue the system calls a user client on (`None`: the service, and the user clients that
/// have none of their own): the dext finds it with [`DispatchQueue::copy_default`] (K3).
pub fn set_default_queue(
    process: &DextProcess,
    client: Option<UserClientNumber>,
    queue: &DispatchQueue,
) {
    process.set_default_queue(client, queue.core());
}

/// The client's task, as far as a dext can describe memory of it by address (I14).
pub trait ClientTask: Send + Sync {
    /// The memory that lies at an address of the client; `None` where not all of it is there.
    fn memory_at(&self, address: u64, length: u64) -> Option<Part>;

    /// Whether the client has an entitlement (E9).
    fn is_entitled(&self, key: &str) -> bool;
}

/// Makes the memory of a user client's client reachable: once the open has come back from the dext,
/// until [`forget_client`] (I14).
pub fn set_client_task(process: &DextProcess, client: UserClientNumber, task: Arc<dyn ClientTask>) {
    process.set_client_task(client, task);
}

/// Forgets what the process remembers of a user client that has stopped.
pub fn forget_client(process: &DextProcess, client: UserClientNumber) {
    process.forget_client(client);
}

/// Runs `call` on the calling thread when it is its turn on `queue`: `None` where the queue or its
/// process has ended before that (H4, H5).
///
/// # Panics
///
/// Where the caller runs on `queue` already: it would wait for itself for ever.
#[track_caller]
pub fn run_on_queue<R>(queue: &DispatchQueue, call: impl FnOnce() -> R) -> Option<R> {
    queue.core().run(call)
}

/// Runs a `Stop` of a service or user client, and gives what says whether the dext passed it to its
/// base (H9).
pub(crate) fn stop(
    process: &DextProcess,
    client: Option<UserClientNumber>,
    call: impl FnOnce(),
) -> Arc<SuperStop> {
    SuperStop::run(process.schedule(), || in_phase(process, client, Phase::Stop, call))
}
