//! One endpoint of a device: its transfers, in order, and whether it is halted.

use super::USB_PIPE_STALLED;
use super::model::UsbDeviceModel;
use super::transfer::{Kind, Step, Transfer, TransferMemory, UsbTransfer};
use crate::IoReturn;
use crate::driverkit::queue::{Job, QueueCore};
use crate::schedule::{Monitor, Schedule};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How an endpoint transfers data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UsbEndpointKind {
    /// Bulk.
    Bulk,
    /// Interrupt: its transfers have no timeout.
    Interrupt,
}

/// An endpoint as a device's descriptors tell of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsbEndpoint {
    /// `bEndpointAddress`; bit 7 set is to the host.
    pub address: u8,
    /// How it transfers data.
    pub kind: UsbEndpointKind,
    /// `wMaxPacketSize` in bytes; 0 counts as 1.
    pub max_packet_size: u16,
}

impl UsbEndpoint {
    /// A bulk endpoint.
    #[must_use]
    pub const fn bulk(address: u8, max_packet_size: u16) -> Self {
        Self { address, kind: UsbEndpointKind::Bulk, max_packet_size }
    }

    /// True where data goes to the host.
    #[must_use]
    pub const fn is_in(&self) -> bool {
        self.address & 0x80 != 0
    }
}

/// An endpoint with the transfers on it.
pub(super) struct Endpoint {
    description: UsbEndpoint,
    model: Arc<dyn UsbDeviceModel>,
    /// Called when the device has taken a packet: it may have something to send now.
    on_packet: Box<dyn Fn() + Send + Sync>,
    queue: Arc<QueueCore>,
    line: Monitor<Line>,
}

#[derive(Default)]
struct Line {
    halted: bool,
    gone: bool,
    /// Counts the times that its pipes were closed.
    closes: u64,
    /// Counts aborts: transfers of an earlier epoch end with `abort_error`.
    epoch: u64,
    abort_error: Option<IoReturn>,
    /// Counts the times that the device became ready.
    ready: u64,
    /// Epochs of the transfers that are not over.
    pending: Vec<u64>,
}

impl Endpoint {
    pub(super) fn new(
        schedule: &Schedule,
        description: UsbEndpoint,
        model: Arc<dyn UsbDeviceModel>,
        on_packet: Box<dyn Fn() + Send + Sync>,
    ) -> Arc<Self> {
        let name = format!("usb endpoint {:#04x}", description.address);
        let queue = QueueCore::new(&name, schedule);
        let line = Monitor::new(schedule, "a packet of a USB endpoint", Line::default());
        Arc::new(Self { description, model, on_packet, queue, line })
    }

    pub(super) fn description(&self) -> &UsbEndpoint {
        &self.description
    }

    pub(super) fn schedule(&self) -> &Schedule {
        self.line.schedule()
    }

    /// Queues a transfer; `done` is called when it is over, on the endpoint's own thread.
    pub(super) fn submit(
        self: &Arc<Self>,
        kind: Kind,
        memory: TransferMemory,
        timeout_ms: u32,
        done: impl FnOnce(UsbTransfer) + Send + 'static,
    ) -> IoReturn {
        let timeout = Duration::from_millis(u64::from(timeout_ms));
        let deadline = (timeout_ms > 0).then(|| self.queue.now().saturating_add(timeout));
        let epoch = {
            let mut line = self.line.lock();
            if let Some(error) = line.refusal() {
                return error;
            }
            let epoch = line.epoch;
            line.pending.push(epoch);
            epoch
        };
        let transfer = Transfer { kind, memory, deadline, epoch };
        let endpoint = Arc::clone(self);
        let queued = self.queue.dispatch(Job::outside(move || {
            let result = endpoint.run(&transfer);
            // What it read or filled is free before anybody hears of it.
            drop(transfer);
            done(result);
            endpoint.over(epoch);
        }));
        if queued {
            IoReturn::SUCCESS
        } else {
            self.over(epoch);
            IoReturn::NO_DEVICE
        }
    }

    /// Queues a transfer and waits for it.
    pub(super) fn submit_and_wait(
        self: &Arc<Self>,
        kind: Kind,
        memory: TransferMemory,
        timeout_ms: u32,
    ) -> UsbTransfer {
        let schedule = self.line.schedule();
        let result = Arc::new(Monitor::new(schedule, "a USB transfer", None));
        let sender = Arc::clone(&result);
        let queued = self.submit(kind, memory, timeout_ms, move |transfer| {
            *sender.lock() = Some(transfer);
            sender.notify_all();
        });
        if queued != IoReturn::SUCCESS {
            return UsbTransfer { status: queued, actual_byte_count: 0 };
        }
        let mut result = result.lock();
        loop {
            if let Some(transfer) = *result {
                return transfer;
            }
            result.wait_until(None);
        }
    }

    /// Ends what is pending with `error`, and waits for that where `wait` says so.
    pub(super) fn abort(&self, error: IoReturn, wait: bool) {
        let mut line = self.line.lock();
        line.epoch += 1;
        line.abort_error = Some(error);
        let epoch = line.epoch;
        self.line.notify_all();
        while wait && line.pending.iter().any(|pending| *pending < epoch) {
            line.wait_until(None);
        }
    }

    /// How often its pipes were closed: a pipe works as long as that stays.
    pub(super) fn opening(&self) -> u64 {
        self.line.lock().closes
    }

    /// Ends what is pending and closes the pipes that there are. A halt goes with the setting.
    pub(super) fn close(&self) {
        {
            let mut line = self.line.lock();
            line.closes += 1;
            line.halted = false;
        }
        self.abort(IoReturn::ABORTED, true);
    }

    /// Ends what is pending and makes the endpoint usable again.
    pub(super) fn clear_stall(&self, with_request: bool) -> IoReturn {
        if self.line.lock().gone {
            return IoReturn::NO_DEVICE;
        }
        self.abort(IoReturn::ABORTED, true);
        if with_request {
            self.model.clear_halt(self.description.address);
        }
        self.line.lock().halted = false;
        IoReturn::SUCCESS
    }

    /// The device may have changed its mind about a packet that it did not take.
    pub(super) fn ready(&self) {
        let mut line = self.line.lock();
        line.ready = line.ready.wrapping_add(1);
        drop(line);
        self.line.notify_all();
    }

    /// The device is gone.
    pub(super) fn disconnect(&self) {
        self.line.lock().gone = true;
        self.line.notify_all();
        self.queue.release();
    }

    fn over(&self, epoch: u64) {
        let mut line = self.line.lock();
        if let Some(index) = line.pending.iter().position(|pending| *pending == epoch) {
            line.pending.swap_remove(index);
        }
        drop(line);
        self.line.notify_all();
    }

    /// Runs a transfer to its end.
    fn run(&self, transfer: &Transfer) -> UsbTransfer {
        let mut done: u32 = 0;
        let end = |status, actual_byte_count| UsbTransfer { status, actual_byte_count };
        loop {
            let seen = match self.wait_for_line(transfer) {
                Ok(seen) => seen,
                Err(status) => return end(status, done),
            };
            let address = self.description.address;
            let maximum = self.description.max_packet_size.max(1);
            let step = transfer.step(&*self.model, address, maximum, done);
            let is_control = matches!(transfer.kind, Kind::Control(_));
            match step {
                Step::Last(count) => {
                    (self.on_packet)();
                    return end(IoReturn::SUCCESS, done.saturating_add(count));
                }
                Step::More(count) => {
                    done = done.saturating_add(count);
                    (self.on_packet)();
                    // Others may abort it or look at the memory between two packets.
                    self.line.schedule().yield_now();
                }
                Step::NotNow => self.wait_for_device(transfer, seen),
                Step::Stalled => {
                    self.line.lock().halted |= !is_control;
                    return end(USB_PIPE_STALLED, done);
                }
                Step::Overrun(count) => {
                    self.line.lock().halted |= !is_control;
                    return end(IoReturn::OVERRUN, done.saturating_add(count));
                }
            }
        }
    }

    /// Waits while the endpoint is halted: what was queued before the stall stays until the halt is
    /// cleared, which aborts it. Gives the count of times that the device was ready, or why the
    /// transfer must end.
    fn wait_for_line(&self, transfer: &Transfer) -> Result<u64, IoReturn> {
        let mut line = self.line.lock();
        loop {
            match line.end_of(transfer, self.queue.now()) {
                Some(status) => return Err(status),
                None if !line.halted => return Ok(line.ready),
                None => line.wait_until(transfer.deadline),
            };
        }
    }

    /// Waits until there is a reason to ask the device again, or to stop.
    fn wait_for_device(&self, transfer: &Transfer, seen: u64) {
        let mut line = self.line.lock();
        while line.ready == seen && line.end_of(transfer, self.queue.now()).is_none() {
            line.wait_until(transfer.deadline);
        }
    }
}

impl Line {
    /// Why no transfer may begin, if so.
    fn refusal(&self) -> Option<IoReturn> {
        if self.gone {
            Some(IoReturn::NO_DEVICE)
        } else if self.halted {
            Some(USB_PIPE_STALLED)
        } else {
            None
        }
    }

    /// Why a transfer must end now, if it must.
    fn end_of(&self, transfer: &Transfer, now: Duration) -> Option<IoReturn> {
        if self.gone {
            // As the host ends what was on its way; only later requests hear of the device.
            Some(IoReturn::ABORTED)
        } else if transfer.epoch < self.epoch {
            Some(self.abort_error.unwrap_or(IoReturn::ABORTED))
        } else if transfer.deadline.is_some_and(|deadline| deadline <= now) {
            Some(IoReturn::TIMEOUT)
        } else {
            None
        }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.queue.release();
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("description", &self.description).finish_non_exhaustive()
    }
}
