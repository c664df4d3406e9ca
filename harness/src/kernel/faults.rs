//! Planned faults: what the dext, its device or the system does wrong, at the places where it would.
//!
//! Whatever is planned happens on the dext's side of the boundary, so that the boundary decides what the
//! client sees of it.

use super::connection::Link;
use super::system::Kernel;
use crate::IoReturn;
use crate::boundary::OpenRefusal;
use crate::call::ServiceId;
use crate::driverkit::DextProcess;
use crate::driverkit::bridge::ClientMemoryCall;
use crate::fault::{
    CallFault, CompletionFault, Ending, FaultCounter, FaultPlan, MapFault, OpenFault, Strike,
    UnmapFault,
};
use crate::schedule::{Monitor, Schedule};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The plan of a system, and who hangs because of it.
pub(super) struct Faults {
    /// Nothing is planned: the way of every run but those with faults.
    quiet: bool,
    counter: Mutex<FaultCounter>,
    /// Where a call waits that never returns.
    hanging: Monitor<()>,
}

impl Faults {
    pub(super) fn new(schedule: &Schedule, plan: FaultPlan) -> Self {
        let hanging = Monitor::new(schedule, "a method that never returns (H7)", ());
        let quiet = plan.is_empty();
        Self { quiet, counter: Mutex::new(FaultCounter::new(plan)), hanging }
    }

    fn counter(&self) -> MutexGuard<'_, FaultCounter> {
        self.counter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What strikes an open that comes now.
    pub(super) fn open(&self) -> Strike<OpenFault> {
        if self.quiet { Strike::default() } else { self.counter().open() }
    }

    /// A dext has died: whoever hangs in it comes out.
    pub(super) fn wake_hanging(&self) {
        let _hanging = self.hanging.lock();
        self.hanging.notify_all();
    }

    fn hang(&self, process: &DextProcess) {
        let mut hanging = self.hanging.lock();
        while !process.is_dead() {
            hanging.wait_until(None);
        }
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults").field("plan", self.counter().plan()).finish_non_exhaustive()
    }
}

impl Kernel {
    /// Has the dext take so long. False where it has died meanwhile.
    fn passes(&self, delay: Duration, process: &DextProcess) -> bool {
        if !delay.is_zero() {
            self.schedule.sleep(delay);
        }
        !process.is_dead()
    }

    /// Ends a service as planned.
    pub(super) fn end(self: &Arc<Self>, service: ServiceId, ending: Ending) {
        match ending {
            Ending::Removed => self.terminate(service),
            Ending::Died => self.crash(service),
        }
    }

    /// Has what is planned for times happen then.
    pub(super) fn plan_times(self: &Arc<Self>) {
        let times: Vec<_> = self.faults.counter().at_times().collect();
        for (time, ending) in times {
            let (kernel, schedule) = (Arc::downgrade(self), self.schedule.clone());
            self.schedule.spawn_daemon("a planned fault", move || {
                schedule.sleep(time.saturating_sub(schedule.now()));
                if let Some(kernel) = kernel.upgrade() {
                    for service in kernel.services() {
                        kernel.end(service, ending);
                    }
                }
            });
        }
    }

    /// `NewUserClient` of a service, in the dext; `make` is the dext's own.
    pub(super) fn faulty_open<T>(
        self: &Arc<Self>,
        (service, process): (ServiceId, &DextProcess),
        strike: Strike<OpenFault>,
        make: impl FnOnce() -> Result<Option<T>, IoReturn>,
    ) -> Result<Option<T>, IoReturn> {
        if !self.passes(strike.delay, process) {
            return Ok(None);
        }
        match strike.what {
            Some(OpenFault::Fails(code)) => return Err(code),
            Some(OpenFault::Refused(OpenRefusal::NoObject)) => return Ok(None),
            Some(OpenFault::Ends(ending)) => self.end(service, ending),
            None | Some(OpenFault::Delay(_) | OpenFault::Refused(_)) => {}
        }
        if process.is_dead() { Ok(None) } else { make() }
    }

    /// An external method, in the dext; `method` is the dext's own. Gives how the service ends once the
    /// call has come out.
    pub(super) fn faulty_method(
        self: &Arc<Self>,
        link: &Link,
        selector: u32,
        method: impl FnOnce() -> IoReturn,
    ) -> (IoReturn, Option<Ending>) {
        if self.faults.quiet {
            return (method(), None);
        }
        let (service, process) = (link.dext.id(), link.dext.process());
        let strike = self.faults.counter().call(selector);
        // What a dead dext returns is nobody's result.
        let dead = (IoReturn::SUCCESS, None);
        if !self.passes(strike.delay, process) {
            return dead;
        }
        match strike.what {
            None | Some(CallFault::Delay(_)) => (method(), None),
            Some(CallFault::Fails(code)) => (code, None),
            Some(CallFault::FailsAfter(code)) => {
                // The work is done; its result is what gets lost.
                let _ = method();
                (code, None)
            }
            Some(CallFault::NeverReturns) => {
                self.faults.hang(process);
                dead
            }
            Some(CallFault::Ends(ending)) => {
                self.end(service, ending);
                if process.is_dead() { dead } else { (method(), None) }
            }
            Some(CallFault::EndsAfter(ending)) => (method(), Some(ending)),
        }
    }

    /// `CopyClientMemoryForType`, in the dext; `method` is the dext's own. Gives whether the system finds
    /// no room for the memory.
    pub(super) fn faulty_memory(
        self: &Arc<Self>,
        link: &Link,
        memory_type: u32,
        purpose: ClientMemoryCall,
        method: impl FnOnce() -> IoReturn,
    ) -> (IoReturn, bool) {
        if self.faults.quiet {
            return (method(), false);
        }
        let strike = {
            let mut counter = self.faults.counter();
            match purpose {
                ClientMemoryCall::Map => counter.map(memory_type),
                ClientMemoryCall::Unmap => {
                    let Strike { delay, what } = counter.unmap(memory_type);
                    let what = what.map(|what| match what {
                        UnmapFault::Delay(delay) => MapFault::Delay(delay),
                        UnmapFault::Fails(code) => MapFault::Fails(code),
                        UnmapFault::Ends(ending) => MapFault::Ends(ending),
                    });
                    Strike { delay, what }
                }
            }
        };
        let process = link.dext.process();
        if !self.passes(strike.delay, process) {
            return (IoReturn::OFFLINE, false);
        }
        match strike.what {
            Some(MapFault::Fails(code)) => return (code, false),
            Some(MapFault::Ends(ending)) => self.end(link.dext.id(), ending),
            None | Some(MapFault::Delay(_) | MapFault::Refused) => {}
        }
        if process.is_dead() {
            return (IoReturn::OFFLINE, false);
        }
        (method(), strike.what == Some(MapFault::Refused))
    }

    /// A completion on its way to its port; `deliver` posts it, with a status of the plan's if there is one.
    pub(super) fn faulty_completion(
        &self,
        process: &DextProcess,
        selector: u32,
        deliver: impl Fn(Option<IoReturn>) + Send + 'static,
    ) {
        let faults = &self.faults;
        let struck = if faults.quiet { None } else { faults.counter().completion(selector) };
        match struck {
            None => deliver(None),
            Some(CompletionFault::Fails(code)) => deliver(Some(code)),
            Some(CompletionFault::Lost) => {}
            Some(CompletionFault::Doubled) => {
                deliver(None);
                deliver(None);
            }
            Some(CompletionFault::Late(delay)) => {
                let (schedule, process) = (self.schedule.clone(), process.clone());
                self.schedule.spawn_daemon("a late completion", move || {
                    schedule.sleep(delay);
                    if !process.is_dead() {
                        deliver(None);
                    }
                });
            }
        }
    }
}
