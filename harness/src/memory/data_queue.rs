//! The ring of entries in shared memory that an `IODataQueueDispatchSource` stands on.

use super::{AccessError, Memory};
use crate::IoReturn;
use std::fmt;
use std::sync::atomic::{Ordering, fence};

/// Bytes before the first entry: head, tail, the flag below, and room.
pub const DATA_QUEUE_HEADER_SIZE: u64 = 128;

/// Bytes before an entry's data: its size.
pub const DATA_QUEUE_ENTRY_HEADER_SIZE: u32 = 4;

const HEAD: u64 = 0;
const TAIL: u64 = 4;
/// One byte: whoever adds entries wants to hear when there is room again.
const NEEDS_SERVICED: u64 = 8;

/// A queue of entries in memory that two sides share: one adds them, one takes them.
///
/// The layout is that of `IODataQueueMemory`: offsets of head and tail (4 bytes each), a flag of one
/// byte, and from byte 128 on the entries, each a size of 4 bytes and data in whole words. An entry is
/// in one piece: one that does not fit before the end begins anew at the start.
///
/// The published source takes the whole length of the memory for the room behind the header, and so
/// lets entries lie up to 128 bytes beyond it, in the last page or, where there is none left, outside.
/// Here the room ends with the last page.
///
/// # Examples
///
/// ```
/// use dextape::IoReturn;
/// use dextape::memory::{Backing, DataQueueMemory};
///
/// let memory = Backing::new(4096);
/// let queue = DataQueueMemory::over(&*memory, 4096);
/// assert_eq!(queue.enqueue(b"first").result, IoReturn::SUCCESS);
/// assert_eq!(queue.dequeue().0.unwrap(), b"first");
/// assert_eq!(queue.dequeue().0, Err(IoReturn::UNDERRUN));
/// ```
#[derive(Clone, Copy)]
#[doc(alias = "IODataQueueMemory")]
pub struct DataQueueMemory<'a> {
    memory: &'a dyn Memory,
    /// Bytes of entries.
    size: u32,
}

/// What an operation gives, and whether the other side is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueOutcome {
    /// Its result.
    pub result: IoReturn,
    /// True where `DataAvailable` is due, after an entry was added or found no room; or
    /// `DataServiced`, after one was taken.
    pub notify: bool,
}

/// Where an entry goes.
struct Place {
    /// Offset of the entry.
    at: u32,
    /// Size that says at the tail that the entry is at the start.
    marker: Option<u32>,
}

impl<'a> DataQueueMemory<'a> {
    /// The queue in a memory of `length` bytes, as its descriptor states it.
    #[must_use]
    pub fn over(memory: &'a dyn Memory, length: u64) -> Self {
        let room = memory.size().saturating_sub(DATA_QUEUE_HEADER_SIZE);
        let size = u32::try_from(length.min(room)).unwrap_or(u32::MAX - 3) & !3;
        Self { memory, size }
    }

    /// True where there is an entry to be taken.
    #[must_use]
    #[doc(alias = "IsDataAvailable")]
    pub fn is_data_available(&self) -> bool {
        matches!((self.offset(HEAD), self.offset(TAIL)), (Ok(head), Ok(tail)) if head != tail)
    }

    /// Adds an entry.
    ///
    /// The result is success, or `kIOReturnOverrun` where there is no room: whoever takes an entry then
    /// is to tell. `kIOReturnUnderrun` says that head or tail are no offsets of this memory, and
    /// `kIOReturnError` that it cannot be written.
    #[doc(alias = "Enqueue")]
    #[doc(alias = "EnqueueWithCoalesce")]
    pub fn enqueue(&self, data: &[u8]) -> QueueOutcome {
        self.try_enqueue(data).unwrap_or_else(QueueOutcome::fault)
    }

    fn try_enqueue(&self, data: &[u8]) -> Result<QueueOutcome, AccessError> {
        let (tail, mut head) = (self.offset(TAIL)?, self.offset(HEAD)?);
        fence(Ordering::Acquire);
        let Some((size, entry)) = sizes(data.len()) else { return self.full() };
        if tail > self.size || head > self.size {
            return Ok(QueueOutcome { result: IoReturn::UNDERRUN, notify: false });
        }
        let Some(place) = self.place(head, tail, entry, size) else { return self.full() };
        self.memory.copy_in(at(place.at) + 4, data)?;
        self.memory.store::<u32>(at(place.at), data.len() as u32)?;
        if let Some(marker) = place.marker {
            self.memory.store::<u32>(at(tail), marker)?;
        }
        // Who sees the tail sees the entry.
        fence(Ordering::Release);
        self.memory.store::<u32>(TAIL, place.at + entry)?;
        if tail != head {
            // Either this sees that the other side has emptied the queue, or the other side sees the
            // new tail.
            fence(Ordering::SeqCst);
            head = self.offset(HEAD)?;
        }
        Ok(QueueOutcome { result: IoReturn::SUCCESS, notify: tail == head })
    }

    /// There is no room: the other side is asked to tell when there is.
    fn full(&self) -> Result<QueueOutcome, AccessError> {
        self.memory.store::<u8>(NEEDS_SERVICED, 1)?;
        Ok(QueueOutcome { result: IoReturn::OVERRUN, notify: true })
    }

    /// Where an entry of `entry` bytes has room. The tail never catches up with the head.
    fn place(&self, head: u32, tail: u32, entry: u32, size: u32) -> Option<Place> {
        if tail < head {
            return (head - tail > entry).then_some(Place { at: tail, marker: None });
        }
        if entry <= self.size - tail {
            return Some(Place { at: tail, marker: None });
        }
        let marker = (self.size - tail >= DATA_QUEUE_ENTRY_HEADER_SIZE).then_some(size);
        (head > entry).then_some(Place { at: 0, marker })
    }

    /// Whether there is room for `count` entries of `length` bytes: success, `kIOReturnOverrun`, or
    /// `kIOReturnError` where head or tail are no offsets of this memory.
    #[doc(alias = "CanEnqueueData")]
    pub fn can_enqueue(&self, length: u32, count: u32) -> IoReturn {
        let (Ok(tail), Ok(head)) = (self.offset(TAIL), self.offset(HEAD)) else {
            return IoReturn::ERROR;
        };
        let Some((_, entry)) = sizes(length as usize) else { return IoReturn::OVERRUN };
        if tail > self.size || head > self.size {
            return IoReturn::ERROR;
        }
        let full = if tail >= head {
            let (end, start) = ((self.size - tail) / entry, head / entry);
            end < count && end + start <= count
        } else {
            (head - tail - 1) / entry < count
        };
        if full { IoReturn::OVERRUN } else { IoReturn::SUCCESS }
    }

    /// The data of the next entry, which stays there.
    ///
    /// # Errors
    ///
    /// As [`dequeue`](Self::dequeue).
    #[doc(alias = "Peek")]
    pub fn peek(&self) -> Result<Vec<u8>, IoReturn> {
        self.next().map(|(data, _, _)| data)
    }

    /// Takes the next entry, and says whether whoever adds entries is to be told.
    ///
    /// # Errors
    ///
    /// `kIOReturnUnderrun` where there is none, `kIOReturnError` where the memory says what cannot be.
    #[doc(alias = "Dequeue")]
    #[doc(alias = "DequeueWithCoalesce")]
    pub fn dequeue(&self) -> (Result<Vec<u8>, IoReturn>, bool) {
        let next = self.next();
        let empty = next.as_ref().err() == Some(&IoReturn::UNDERRUN);
        let notify = (next.is_ok() || empty) && self.needs_serviced();
        let taken = next.and_then(|(data, head, tail)| {
            fence(Ordering::Release);
            self.memory.store::<u32>(HEAD, head).map_err(|_| IoReturn::ERROR)?;
            if head == tail {
                fence(Ordering::SeqCst);
            }
            Ok(data)
        });
        let notify = notify && taken.as_ref().err() != Some(&IoReturn::ERROR);
        (taken, notify)
    }

    /// Whether whoever adds entries wants to hear of the next one that is taken.
    #[must_use]
    pub fn needs_serviced(&self) -> bool {
        self.memory.load::<u8>(NEEDS_SERVICED).is_ok_and(|flag| flag != 0)
    }

    /// Whoever adds entries is being told.
    pub fn clear_needs_serviced(&self) {
        // Memory that cannot be written has nobody who could have asked.
        let _ = self.memory.store::<u8>(NEEDS_SERVICED, 0);
    }

    /// The data of the next entry, the head behind it, and the tail.
    fn next(&self) -> Result<(Vec<u8>, u32, u32), IoReturn> {
        let next = self.try_next();
        next.unwrap_or(Err(IoReturn::ERROR))
    }

    #[expect(clippy::type_complexity, reason = "two kinds of failure, told apart at once above")]
    fn try_next(&self) -> Result<Result<(Vec<u8>, u32, u32), IoReturn>, AccessError> {
        let (head, tail) = (self.offset(HEAD)?, self.offset(TAIL)?);
        fence(Ordering::Acquire);
        if head == tail {
            return Ok(Err(IoReturn::UNDERRUN));
        }
        if head > self.size {
            return Ok(Err(IoReturn::ERROR));
        }
        for start in [head, 0] {
            // Behind the end not even the size has room, and it is at the start as well.
            if self.size - start < DATA_QUEUE_ENTRY_HEADER_SIZE {
                continue;
            }
            let length = self.memory.load::<u32>(at(start))?;
            let Some((_, entry)) = sizes(length as usize) else { return Ok(Err(IoReturn::ERROR)) };
            if entry <= self.size - start {
                let data = self.memory.read_vec(at(start) + 4, u64::from(length))?;
                return Ok(Ok((data, start + entry, tail)));
            }
        }
        Ok(Err(IoReturn::ERROR))
    }

    fn offset(&self, of: u64) -> Result<u32, AccessError> {
        self.memory.load::<u32>(of)
    }
}

impl QueueOutcome {
    fn fault(_: AccessError) -> Self {
        Self { result: IoReturn::ERROR, notify: false }
    }
}

impl fmt::Debug for DataQueueMemory<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataQueueMemory").field("size", &self.size).finish_non_exhaustive()
    }
}

/// Where an entry's offset lies in the memory.
fn at(offset: u32) -> u64 {
    DATA_QUEUE_HEADER_SIZE + u64::from(offset)
}

/// Bytes of an entry's data in whole words, and with its size; `None` where they do not fit in 32 bits.
fn sizes(length: usize) -> Option<(u32, u32)> {
    let data = u32::try_from(length).ok()?.checked_add(3)? & !3;
    Some((data, data.checked_add(DATA_QUEUE_ENTRY_HEADER_SIZE)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Backing;
    use std::collections::VecDeque;

    const ADDED: QueueOutcome = QueueOutcome { result: IoReturn::SUCCESS, notify: false };
    const FIRST: QueueOutcome = QueueOutcome { notify: true, ..ADDED };
    const FULL: QueueOutcome = QueueOutcome { result: IoReturn::OVERRUN, notify: true };

    #[test]
    fn the_bytes_are_those_of_apples_layout() {
        let memory = Backing::new(256);
        let queue = DataQueueMemory::over(&*memory, 256);
        assert_eq!(queue.enqueue(&[1, 2, 3, 4, 5]), FIRST);
        assert_eq!(queue.enqueue(&[]), ADDED);
        let words = |offset: u64, count: u64| -> Vec<u32> {
            let memory: &dyn Memory = &*memory;
            (0..count).map(|index| memory.load::<u32>(offset + 4 * index).unwrap()).collect()
        };
        assert_eq!(words(0, 3), [0, 16, 0], "head, tail, flag");
        assert_eq!(words(128, 4), [5, 0x0403_0201, 5, 0]);
        assert_eq!(queue.peek(), Ok(vec![1, 2, 3, 4, 5]));
        assert_eq!(queue.dequeue(), (Ok(vec![1, 2, 3, 4, 5]), false));
        assert_eq!(words(0, 1), [12]);
        assert!(queue.is_data_available());
        assert_eq!(queue.dequeue(), (Ok(Vec::new()), false));
        assert!(!queue.is_data_available());
        assert_eq!(queue.peek(), Err(IoReturn::UNDERRUN));
    }

    #[test]
    fn an_entry_that_does_not_fit_before_the_end_is_at_the_start() {
        let memory = Backing::new(64);
        let queue = DataQueueMemory::over(&*memory, 64);
        assert_eq!(queue.enqueue(&[1; 24]), FIRST);
        assert_eq!(queue.enqueue(&[2; 24]), ADDED);
        // 8 bytes are left: the next entry of 12 needs the start, where the first one still is.
        assert_eq!(queue.can_enqueue(8, 1), IoReturn::OVERRUN);
        assert_eq!(queue.enqueue(&[3; 8]), FULL);
        assert_eq!(queue.dequeue(), (Ok(vec![1; 24]), true), "asked for by who found no room");
        assert_eq!(queue.can_enqueue(8, 1), IoReturn::SUCCESS);
        assert_eq!(queue.enqueue(&[3; 8]), ADDED);
        let marker = (&*memory as &dyn Memory).load::<u32>(128 + 56);
        assert_eq!(marker, Ok(8), "the rounded size, where the entry would not fit");
        queue.clear_needs_serviced();
        assert_eq!(queue.dequeue(), (Ok(vec![2; 24]), false));
        assert_eq!(queue.dequeue(), (Ok(vec![3; 8]), false));
        assert_eq!(queue.dequeue(), (Err(IoReturn::UNDERRUN), false));
    }

    #[test]
    fn what_the_other_side_writes_is_not_believed() {
        let memory = Backing::new(64);
        let store = |offset, value: u32| (&*memory as &dyn Memory).store(offset, value).unwrap();
        let queue = DataQueueMemory::over(&*memory, 64);
        store(TAIL, 8);
        store(128, 61);
        assert_eq!(
            queue.dequeue(),
            (Err(IoReturn::ERROR), false),
            "an entry longer than the queue"
        );
        store(128, u32::MAX);
        assert_eq!(queue.peek(), Err(IoReturn::ERROR));
        store(HEAD, 65);
        assert_eq!(queue.peek(), Err(IoReturn::ERROR), "a head outside");
        assert_eq!(queue.enqueue(&[1]).result, IoReturn::UNDERRUN);
        assert_eq!(queue.can_enqueue(1, 1), IoReturn::ERROR);
        let tiny = DataQueueMemory::over(&*memory, 3);
        store(HEAD, 0);
        store(TAIL, 0);
        assert_eq!(tiny.enqueue(&[]).result, IoReturn::OVERRUN);
    }

    /// Entries of all lengths through a queue that is always nearly full come out as they went in.
    #[test]
    fn entries_come_out_in_order_and_whole_whatever_the_lengths() {
        for size in [16, 60, 64, 100, 1000] {
            let memory = Backing::new(size);
            let queue = DataQueueMemory::over(&*memory, size);
            let (mut expected, mut value) = (VecDeque::new(), 0_u32);
            let mut added = 0;
            for _ in 0..2000 {
                value = value.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let data = vec![value as u8; (value >> 8) as usize % (size as usize / 2)];
                let outcome = queue.enqueue(&data);
                if outcome.result == IoReturn::SUCCESS {
                    assert_eq!(outcome.notify, expected.is_empty());
                    expected.push_back(data);
                    added += 1;
                } else {
                    assert_eq!(outcome, FULL);
                    assert_eq!(queue.dequeue().0.ok(), expected.pop_front());
                }
            }
            assert!(added > 500, "{size}: {added}");
            while let Some(data) = expected.pop_front() {
                assert_eq!(queue.dequeue().0, Ok(data));
            }
            assert!(!queue.is_data_available());
        }
    }
}
