//! `IOUSBHostPipe`.

use super::endpoint::{Endpoint, UsbEndpoint, UsbEndpointKind};
use super::transfer::{Kind, TransferMemory, UsbTransfer};
use crate::IoReturn;
use crate::driverkit::object::{Object, Payload, handle};
use crate::driverkit::{DispatchQueue, MemoryDescriptor, OsAction};
use std::sync::Arc;

/// Whether [`UsbHostPipe::abort`] waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AbortOption {
    /// `kIOUSBAbortAsynchronous`: the completions come later.
    #[default]
    Asynchronous,
    /// `kIOUSBAbortSynchronous`: every completion has been fired when it returns.
    Synchronous,
}

/// An endpoint of an interface, to send to or receive from.
///
/// Transfers run one after another. A stall ends one with
/// [`USB_PIPE_STALLED`](super::USB_PIPE_STALLED) and halts the pipe: what is asked for then is refused
/// with the same code, and what was pending stays so, until [`clear_stall`](Self::clear_stall).
#[derive(Clone, Debug)]
#[doc(alias = "IOUSBHostPipe")]
pub struct UsbHostPipe {
    object: Arc<Object<PipePayload>>,
}

pub(crate) struct PipePayload {
    endpoint: Arc<Endpoint>,
    /// The endpoint's count of closes when the pipe was made.
    opening: u64,
}

impl Payload for PipePayload {
    const CLASS: &'static str = "IOUSBHostPipe";

    fn killed(&self) {
        // Nobody is left to hear of it.
        self.endpoint.abort(IoReturn::ABORTED, false);
    }
}

handle!(UsbHostPipe, PipePayload);

impl UsbHostPipe {
    #[track_caller]
    pub(super) fn new(endpoint: &Arc<Endpoint>) -> Self {
        let opening = endpoint.opening();
        Self { object: Object::create(PipePayload { endpoint: Arc::clone(endpoint), opening }) }
    }

    /// The endpoint as the device's descriptors tell of it.
    #[must_use]
    #[doc(alias = "GetDescriptors")]
    pub fn descriptor(&self) -> UsbEndpoint {
        *self.endpoint().description()
    }

    /// An action for [`async_io`](Self::async_io): `handler` is called on `queue` with the status, the
    /// bytes transferred and the time of completion in nanoseconds. It has one reference.
    ///
    /// # Panics
    ///
    /// Where the thread works for no dext process.
    #[must_use = "it has a reference that somebody must release"]
    #[track_caller]
    #[doc(alias = "CreateActionCompleteAsyncIO")]
    #[doc(alias = "CompleteAsyncIO")]
    pub fn create_action_complete_async_io(
        queue: &DispatchQueue,
        handler: impl Fn(&OsAction, IoReturn, u32, u64) + Send + Sync + 'static,
    ) -> OsAction {
        OsAction::create(queue, move |action, status, arguments| {
            let count = arguments.first().copied().unwrap_or_default();
            let timestamp = arguments.get(1).copied().unwrap_or_default();
            handler(action, status, u32::try_from(count).unwrap_or(u32::MAX), timestamp);
        })
    }

    /// Starts a transfer of the first `data_buffer_length` bytes of a descriptor; without one, of no
    /// bytes. `completion` is fired when it is over. Memory and action are held until then. A timeout
    /// of 0 is none.
    ///
    /// To the device the bytes go as packets of the endpoint's maximum, the last one shorter; from the
    /// device until they are all there or a shorter packet comes.
    ///
    /// # Errors (as the result)
    ///
    /// `kIOReturnBadArgument` for a descriptor shorter than the length, a timeout on an interrupt
    /// endpoint or a pipe that is gone; `kIOReturnNotWritable` where the device were to fill a
    /// structure input (B5); `kIOReturnNotOpen` on a pipe of a setting that the interface has left since;
    /// `kIOUSBPipeStalled` on a halted pipe; `kIOReturnNoDevice` without a
    /// device. The completion is not fired then.
    #[track_caller]
    #[doc(alias = "AsyncIO")]
    pub fn async_io(
        &self,
        data_buffer: Option<&MemoryDescriptor>,
        data_buffer_length: u32,
        completion: &OsAction,
        completion_timeout_ms: u32,
    ) -> IoReturn {
        let memory = match self.prepare(data_buffer, data_buffer_length, completion_timeout_ms) {
            Ok(memory) => memory,
            Err(error) => return error,
        };
        let held = completion.hold();
        let endpoint = self.endpoint();
        let clock = endpoint.schedule().clone();
        endpoint.submit(self.kind(), memory, completion_timeout_ms, move |transfer| {
            let timestamp = u64::try_from(clock.now().as_nanos()).unwrap_or(u64::MAX);
            let arguments = [u64::from(transfer.actual_byte_count), timestamp];
            held.action().fire(transfer.status, &arguments);
        })
    }

    /// Does a transfer, and waits for it.
    ///
    /// The status may be any that [`async_io`](Self::async_io) gives at once or with its completion.
    #[track_caller]
    #[doc(alias = "IO")]
    pub fn io(
        &self,
        data_buffer: Option<&MemoryDescriptor>,
        data_buffer_length: u32,
        completion_timeout_ms: u32,
    ) -> UsbTransfer {
        match self.prepare(data_buffer, data_buffer_length, completion_timeout_ms) {
            Ok(memory) => {
                self.endpoint().submit_and_wait(self.kind(), memory, completion_timeout_ms)
            }
            Err(status) => UsbTransfer { status, actual_byte_count: 0 },
        }
    }

    /// Ends what is pending with `with_error`, usually `kIOReturnAborted`.
    #[track_caller]
    #[doc(alias = "Abort")]
    pub fn abort(&self, option: AbortOption, with_error: IoReturn) -> IoReturn {
        if !self.object.alive() {
            return IoReturn::BAD_ARGUMENT;
        }
        self.endpoint().abort(with_error, option == AbortOption::Synchronous);
        IoReturn::SUCCESS
    }

    /// Makes a halted pipe usable again: what is pending is aborted, and `with_request` also tells the
    /// device, which otherwise goes on answering with a stall.
    #[track_caller]
    #[doc(alias = "ClearStall")]
    pub fn clear_stall(&self, with_request: bool) -> IoReturn {
        if !self.object.alive() {
            return IoReturn::BAD_ARGUMENT;
        }
        self.endpoint().clear_stall(with_request)
    }

    #[track_caller]
    fn prepare(
        &self,
        data_buffer: Option<&MemoryDescriptor>,
        length: u32,
        timeout_ms: u32,
    ) -> Result<TransferMemory, IoReturn> {
        let description = self.endpoint().description();
        let bad_timeout = timeout_ms > 0 && description.kind == UsbEndpointKind::Interrupt;
        if !self.object.alive() || bad_timeout {
            return Err(IoReturn::BAD_ARGUMENT);
        }
        if self.object.payload.opening != self.endpoint().opening() {
            return Err(IoReturn::NOT_OPEN);
        }
        TransferMemory::new(data_buffer, length, description.is_in())
    }

    fn kind(&self) -> Kind {
        if self.endpoint().description().is_in() { Kind::In } else { Kind::Out }
    }

    fn endpoint(&self) -> &Arc<Endpoint> {
        &self.object.payload.endpoint
    }
}
