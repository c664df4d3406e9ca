//! `IODataQueueDispatchSource`: a queue of entries in shared memory, with handlers for both ends.

use super::action::HeldAction;
use super::object::{Object, Payload, handle};
use super::process::{Context, HandlerContext};
use super::queue::{DispatchQueue, Job, QueueCore};
use super::{BufferMemoryDescriptor, Direction, MemoryDescriptor, OsAction, OsObject, OsSharedPtr};
use crate::IoReturn;
use crate::memory::DataQueueMemory;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A queue of entries in memory that a dext shares with somebody: with another part of itself, or with
/// its client, which maps what [`copy_memory`](Self::copy_memory) gives and reads it with
/// [`Mapping::data_queue`](crate::connection::Mapping::data_queue).
///
/// Who adds entries and who takes them are told of each other on the queue that the source was made
/// with, where they are in the dext. A client is told in another way, by a completion usually.
///
/// # Examples
///
/// ```
/// use dextape::IoReturn;
/// use dextape::driverkit::{
///     DataQueueDispatchSource, DextProcess, DispatchQueue, OsAction, OsObject, OsSharedPtr, os_log,
/// };
/// use dextape::schedule::Schedule;
///
/// let log = Schedule::simulate(1, |schedule| {
///     let process = DextProcess::new("com.example.dext", schedule);
///     let _inside = process.enter();
///     let queue = OsSharedPtr::adopt(DispatchQueue::create("work").unwrap());
///     let source = DataQueueDispatchSource::create(4096, &queue).map(OsSharedPtr::adopt).unwrap();
///     let reader = source.get();
///     let action = OsAction::data_available(move |_| {
///         while let Ok(data) = reader.dequeue() {
///             os_log(format!("{data:?}"));
///         }
///     });
///     source.set_data_available_handler(&action);
///     action.release();
///     assert_eq!(source.enqueue(&[1, 2]), IoReturn::SUCCESS);
///     assert_eq!(source.enqueue(&[3]), IoReturn::SUCCESS);
///     queue.dispatch_sync(|| ());
///     process.log()
/// });
/// assert_eq!(log, ["[1, 2]", "[3]"]);
/// ```
#[derive(Clone, Debug)]
#[doc(alias = "IODataQueueDispatchSource")]
pub struct DataQueueDispatchSource {
    object: Arc<Object<DataQueuePayload>>,
}

pub(crate) struct DataQueuePayload {
    buffer: OsSharedPtr<BufferMemoryDescriptor>,
    queue: Arc<QueueCore>,
    handlers: Mutex<Handlers>,
}

#[derive(Default)]
struct Handlers {
    available: Option<HeldAction>,
    serviced: Option<HeldAction>,
}

impl Payload for DataQueuePayload {
    const CLASS: &'static str = "IODataQueueDispatchSource";

    fn freed(&self) {
        let handlers = std::mem::take(&mut *self.handlers());
        // Dropped after the lock: they own what may come back here.
        drop(handlers);
    }
}

impl DataQueuePayload {
    fn handlers(&self) -> MutexGuard<'_, Handlers> {
        self.handlers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

handle!(DataQueueDispatchSource, DataQueuePayload);

impl DataQueueDispatchSource {
    /// A queue in `byte_count` bytes of memory, whose handlers are called on `queue`. It has one
    /// reference.
    ///
    /// # Errors
    ///
    /// `kIOReturnBadArgument` where the size is no multiple of 4 or has more than 32 bits,
    /// `kIOReturnNoMemory` where it is 0 or the machine has no such memory.
    ///
    /// # Panics
    ///
    /// Where the thread works for no dext process.
    #[track_caller]
    #[doc(alias = "Create")]
    pub fn create(byte_count: u64, queue: &DispatchQueue) -> Result<Self, IoReturn> {
        if byte_count & 3 != 0 || byte_count > u64::from(u32::MAX) {
            return Err(IoReturn::BAD_ARGUMENT);
        }
        let buffer = BufferMemoryDescriptor::create(Direction::IN_OUT, byte_count, 0)?;
        let payload = DataQueuePayload {
            buffer: OsSharedPtr::adopt(buffer),
            queue: queue.core(),
            handlers: Mutex::default(),
        };
        Ok(Self { object: Object::create(payload) })
    }

    /// The memory of the queue, with one reference of the caller's: what a user client answers a map
    /// with.
    ///
    /// # Errors
    ///
    /// `kIOReturnNotReady` where the source is gone.
    #[track_caller]
    #[doc(alias = "CopyMemory")]
    pub fn copy_memory(&self) -> Result<MemoryDescriptor, IoReturn> {
        if !self.object.alive() {
            return Err(IoReturn::NOT_READY);
        }
        let memory = self.object.payload.buffer.descriptor();
        memory.retain();
        Ok(memory)
    }

    /// Sets the action that is called when there are entries, and retains it; it replaces the one
    /// before. It is called at once where there are some already.
    #[track_caller]
    #[doc(alias = "SetDataAvailableHandler")]
    pub fn set_data_available_handler(&self, action: &OsAction) -> IoReturn {
        if !self.object.alive() {
            return IoReturn::BAD_ARGUMENT;
        }
        let old = self.object.payload.handlers().available.replace(action.hold());
        // Dropped after the lock: its handler owns what may come back here.
        drop(old);
        if self.is_data_available() {
            self.tell(|handlers| &handlers.available);
        }
        IoReturn::SUCCESS
    }

    /// Sets the action that is called when an entry was taken after one had found no room, and retains
    /// it; it replaces the one before.
    #[track_caller]
    #[doc(alias = "SetDataServicedHandler")]
    pub fn set_data_serviced_handler(&self, action: &OsAction) -> IoReturn {
        if !self.object.alive() {
            return IoReturn::BAD_ARGUMENT;
        }
        let old = self.object.payload.handlers().serviced.replace(action.hold());
        drop(old);
        IoReturn::SUCCESS
    }

    /// True where there is an entry to be taken.
    #[must_use]
    #[track_caller]
    #[doc(alias = "IsDataAvailable")]
    pub fn is_data_available(&self) -> bool {
        self.with_queue(|queue| queue.is_data_available()).unwrap_or(false)
    }

    /// Adds an entry, and tells whoever takes them where the queue was empty or has no room.
    ///
    /// The result is success, or `kIOReturnOverrun` where there is no room.
    #[track_caller]
    #[doc(alias = "Enqueue")]
    pub fn enqueue(&self, data: &[u8]) -> IoReturn {
        let (result, notify) = self.enqueue_with_coalesce(data);
        if notify {
            self.send_data_available();
        }
        result
    }

    /// As [`enqueue`](Self::enqueue), but tells nobody: true where
    /// [`send_data_available`](Self::send_data_available) is due.
    #[track_caller]
    #[doc(alias = "EnqueueWithCoalesce")]
    pub fn enqueue_with_coalesce(&self, data: &[u8]) -> (IoReturn, bool) {
        let outcome = self.with_queue(|queue| queue.enqueue(data));
        outcome.map_or((IoReturn::NO_MEMORY, false), |outcome| (outcome.result, outcome.notify))
    }

    /// Whether there is room for `count` entries of `length` bytes: success or `kIOReturnOverrun`.
    #[track_caller]
    #[doc(alias = "CanEnqueueData")]
    pub fn can_enqueue_data(&self, length: u32, count: u32) -> IoReturn {
        let can = self.with_queue(|queue| queue.can_enqueue(length, count));
        can.unwrap_or(IoReturn::NO_MEMORY)
    }

    /// The data of the next entry, which stays there.
    ///
    /// # Errors
    ///
    /// As [`dequeue`](Self::dequeue).
    #[track_caller]
    #[doc(alias = "Peek")]
    pub fn peek(&self) -> Result<Vec<u8>, IoReturn> {
        self.with_queue(|queue| queue.peek()).unwrap_or(Err(IoReturn::NO_MEMORY))
    }

    /// Takes the next entry, and tells whoever adds them where one had found no room.
    ///
    /// # Errors
    ///
    /// `kIOReturnUnderrun` where there is none, `kIOReturnError` where the other side has written into
    /// the memory what cannot be.
    #[track_caller]
    #[doc(alias = "Dequeue")]
    pub fn dequeue(&self) -> Result<Vec<u8>, IoReturn> {
        let (data, notify) = self.dequeue_with_coalesce();
        if notify {
            self.send_data_serviced();
        }
        data
    }

    /// As [`dequeue`](Self::dequeue), but tells nobody: true where
    /// [`send_data_serviced`](Self::send_data_serviced) is due.
    #[track_caller]
    #[doc(alias = "DequeueWithCoalesce")]
    pub fn dequeue_with_coalesce(&self) -> (Result<Vec<u8>, IoReturn>, bool) {
        self.with_queue(|queue| queue.dequeue()).unwrap_or((Err(IoReturn::NO_MEMORY), false))
    }

    /// Calls the handler that entries are there.
    #[track_caller]
    #[doc(alias = "SendDataAvailable")]
    #[doc(alias = "DataAvailable")]
    pub fn send_data_available(&self) {
        if self.object.alive() {
            self.tell(|handlers| &handlers.available);
        }
    }

    /// Calls the handler that an entry was taken; from then on nobody asks for it until an entry finds
    /// no room again.
    #[track_caller]
    #[doc(alias = "SendDataServiced")]
    #[doc(alias = "DataServiced")]
    pub fn send_data_serviced(&self) {
        if self.object.alive() && self.object.payload.handlers().serviced.is_some() {
            self.with_queue(|queue| queue.clear_needs_serviced());
            self.tell(|handlers| &handlers.serviced);
        }
    }

    /// Has no effect on the handlers, as in the published source; `done` is called on the queue after
    /// what was dispatched before.
    #[track_caller]
    #[doc(alias = "SetEnableWithCompletion")]
    pub fn set_enable_with_completion(
        &self,
        enable: bool,
        done: impl FnOnce() + Send + 'static,
    ) -> IoReturn {
        let _ = enable;
        if !self.object.alive() {
            return IoReturn::BAD_ARGUMENT;
        }
        if let Some(context) = self.own_context() {
            self.object.payload.queue.dispatch(Job::of_dext(context, done));
        }
        IoReturn::SUCCESS
    }

    /// Calls `done` at once. Entries and handlers stay as they are, as in the published source.
    #[track_caller]
    #[doc(alias = "Cancel")]
    pub fn cancel(&self, done: impl FnOnce()) -> IoReturn {
        if !self.object.alive() {
            return IoReturn::BAD_ARGUMENT;
        }
        done();
        IoReturn::SUCCESS
    }

    #[track_caller]
    fn with_queue<R>(&self, use_it: impl FnOnce(&DataQueueMemory<'_>) -> R) -> Option<R> {
        if !self.object.alive() {
            return None;
        }
        let buffer = &self.object.payload.buffer;
        let live = buffer.live()?;
        Some(use_it(&DataQueueMemory::over(&**live, buffer.length())))
    }

    /// Has a handler called on the queue.
    fn tell(&self, which: impl FnOnce(&Handlers) -> &Option<HeldAction>) {
        let payload = &self.object.payload;
        let action = which(&payload.handlers()).as_ref().map(|held| held.action().hold());
        if let Some(action) = action
            && let Some(context) = self.own_context().or_else(Context::for_handler)
        {
            let call = move || action.action().call(IoReturn::SUCCESS, &[]);
            payload.queue.dispatch(Job::of_dext(context, call));
        }
    }

    fn own_context(&self) -> Option<HandlerContext> {
        let header = self.object.header();
        Some(HandlerContext::of(&header.process()?, header.owner()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driverkit::os_log;
    use crate::driverkit::testing::{in_simulated_process, lints};
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    fn source(bytes: u64) -> OsSharedPtr<DataQueueDispatchSource> {
        let queue = OsSharedPtr::adopt(DispatchQueue::create("entries").unwrap());
        OsSharedPtr::adopt(DataQueueDispatchSource::create(bytes, &queue).unwrap())
    }

    #[test]
    fn only_whole_words_of_32_bits_make_a_queue() {
        in_simulated_process(1, |process, _| {
            let queue = OsSharedPtr::adopt(DispatchQueue::create("entries").unwrap());
            let create = |bytes| DataQueueDispatchSource::create(bytes, &queue).err();
            assert_eq!(create(1001), Some(IoReturn::BAD_ARGUMENT));
            assert_eq!(create(1 << 32), Some(IoReturn::BAD_ARGUMENT));
            assert_eq!(create(0), Some(IoReturn::NO_MEMORY));
            assert!(process.leaks().leaks().len() == 1, "{}", process.leaks());
        });
    }

    #[test]
    fn the_taker_hears_of_the_first_entry_and_the_adder_of_room() {
        let log = in_simulated_process(1, |process, schedule| {
            let source = source(64);
            let available = OsAction::data_available(|_| os_log("available"));
            let serviced = OsAction::data_serviced(|_| os_log("serviced"));
            assert_eq!(source.set_data_available_handler(&available), IoReturn::SUCCESS);
            assert_eq!(source.set_data_serviced_handler(&serviced), IoReturn::SUCCESS);
            for value in [1, 2] {
                assert_eq!(source.enqueue(&[value; 24]), IoReturn::SUCCESS);
            }
            schedule.sleep(SECOND);
            os_log("and then");
            assert_eq!(source.can_enqueue_data(24, 1), IoReturn::OVERRUN);
            assert_eq!(source.enqueue(&[3; 24]), IoReturn::OVERRUN);
            for value in [1, 2] {
                assert_eq!(source.dequeue(), Ok(vec![value; 24]));
            }
            assert_eq!(source.dequeue(), Err(IoReturn::UNDERRUN));
            schedule.sleep(SECOND);
            drop(source);
            available.release();
            serviced.release();
            assert!(process.leaks().is_empty(), "{}", process.leaks());
            assert!(lints(process).is_empty());
            process.log()
        });
        // Also one who finds no room says that there is something to take.
        assert_eq!(log, ["available", "and then", "available", "serviced"]);
    }

    #[test]
    fn a_handler_hears_of_what_was_there_before_it() {
        let log = in_simulated_process(1, |process, schedule| {
            let source = source(64);
            assert_eq!(source.enqueue_with_coalesce(&[1]), (IoReturn::SUCCESS, true));
            let action = OsAction::data_available(|_| os_log("available"));
            source.set_data_available_handler(&action).ok().unwrap();
            action.release();
            schedule.sleep(SECOND);
            assert_eq!(source.peek(), Ok(vec![1]));
            let told = source.set_enable_with_completion(false, || os_log("disabled"));
            assert_eq!(told, IoReturn::SUCCESS);
            source.cancel(|| os_log("cancelled at once")).ok().unwrap();
            schedule.sleep(SECOND);
            assert_eq!(source.dequeue(), Ok(vec![1]), "nothing is lost");
            process.log()
        });
        assert_eq!(log, ["available", "cancelled at once", "disabled"]);
    }

    #[test]
    fn the_memory_outlives_the_source_where_it_was_copied() {
        in_simulated_process(1, |process, _| {
            let source = source(4096);
            let memory = OsSharedPtr::adopt(source.copy_memory().unwrap());
            assert_eq!((memory.length(), memory.retain_count()), (4096, 2));
            source.enqueue(&[7]).ok().unwrap();
            drop(source);
            let map = memory.create_mapping(Default::default(), 0, 0, 0, 0).unwrap();
            let queue = DataQueueMemory::over(&*map, map.length());
            assert_eq!(queue.dequeue().0, Ok(vec![7]));
            map.release();
            drop(memory);
            assert!(process.leaks().is_empty());
        });
    }
}
