//! `IODataQueue*`: a queue of entries in shared memory.
//!
//! Head and tail are offsets into the entries. The reader owns the head, the writer the tail; an entry
//! that does not fit before the end stands at the beginning, and the reader knows by its size.

use crate::mach::Name;
use crate::port::{self, Received};
use crate::raw::{In, Out};
use dextape::IoReturn;
use std::sync::atomic::{AtomicU32, Ordering};

/// Bytes before the entries.
const HEADER: u64 = 12;

/// Bytes of an entry before its data.
const ENTRY_HEADER: u32 = 4;

/// A queue in the client's memory.
#[derive(Clone, Copy)]
struct Queue(u64);

impl Queue {
    fn of(queue: Out<u8>) -> Option<Self> {
        (!queue.is_null()).then(|| Self(queue.address()))
    }

    fn size(self) -> u32 {
        In::<u32>::at(self.0).read_at(0)
    }

    fn word<'a>(self, offset: u64) -> &'a AtomicU32 {
        // SAFETY: the client promises a queue at this address, whose head and tail are aligned words
        // that both sides reach atomically.
        unsafe { AtomicU32::from_ptr(Out::<u32>::at(self.0 + offset).pointer()) }
    }

    fn head<'a>(self) -> &'a AtomicU32 {
        self.word(4)
    }

    fn tail<'a>(self) -> &'a AtomicU32 {
        self.word(8)
    }

    fn entry(self, offset: u32) -> u64 {
        self.0 + HEADER + u64::from(offset)
    }

    fn size_at(self, offset: u32) -> u32 {
        In::<u32>::at(self.entry(offset)).read_at(0)
    }

    /// Where the next entry is and the head behind it; `None` where there is none. Its length is what lies
    /// between: the other side may change the word that says so at any time.
    fn next(self) -> Option<(u32, u32)> {
        let (head, tail, size) =
            (self.head().load(Ordering::Relaxed), self.tail().load(Ordering::Acquire), self.size());
        if head == tail || head > size {
            return None;
        }
        let fits = |offset: u32| -> Option<u32> {
            let end = offset.checked_add(ENTRY_HEADER)?;
            let end = (end <= size).then(|| end.checked_add(self.size_at(offset)))??;
            (end <= size).then_some(end)
        };
        match fits(head) {
            Some(end) => Some((head, end)),
            // It stands at the beginning.
            None => fits(0).map(|end| (0, end)),
        }
    }

    fn enqueue(self, data: In<u8>, length: u32) -> IoReturn {
        let (head, tail, size) =
            (self.head().load(Ordering::Acquire), self.tail().load(Ordering::Relaxed), self.size());
        // The head is the other side's, and so may be anything.
        if head > size || tail > size {
            return IoReturn::OVERRUN;
        }
        let Some(needed) = length.checked_add(ENTRY_HEADER) else { return IoReturn::OVERRUN };
        let room = |offset: u32, end: u32| offset.checked_add(needed).is_some_and(|it| it <= end);
        let place = if tail >= head {
            if room(tail, size) {
                tail
            } else if head > needed {
                if size - tail >= ENTRY_HEADER {
                    // The reader sees by this size that the entry is elsewhere.
                    Out::<u32>::at(self.entry(tail)).put(length);
                }
                0
            } else {
                return IoReturn::OVERRUN;
            }
        } else if head - tail > needed {
            tail
        } else {
            return IoReturn::OVERRUN;
        };
        let bytes = data.to_vec(length as usize);
        Out::<u32>::at(self.entry(place)).put(length);
        Out::<u8>::at(self.entry(place) + u64::from(ENTRY_HEADER)).copy_from(&bytes);
        self.tail().store(place + needed, Ordering::Release);
        IoReturn::SUCCESS
    }
}

export! {
    fn IODataQueueDataAvailable(queue: Out<u8>) -> u32 {
        u32::from(Queue::of(queue).is_some_and(|queue| queue.next().is_some()))
    }

    fn IODataQueuePeek(queue: Out<u8>) -> u64 {
        let next = Queue::of(queue).and_then(|queue| Some((queue, queue.next()?)));
        next.map_or(0, |(queue, (place, _))| queue.entry(place))
    }

    fn IODataQueueDequeue(queue: Out<u8>, data: Out<u8>, size: Out<u32>) -> i32 {
        let Some(queue) = Queue::of(queue) else { return IoReturn::BAD_ARGUMENT.as_kern_return() };
        let Some((place, end)) = queue.next() else { return IoReturn::UNDERRUN.as_kern_return() };
        let length = end - place - ENTRY_HEADER;
        if !data.is_null() {
            let Some(room) = size.read() else { return IoReturn::BAD_ARGUMENT.as_kern_return() };
            if length > room {
                return IoReturn::NO_SPACE.as_kern_return();
            }
            let bytes = In::<u8>::at(queue.entry(place) + u64::from(ENTRY_HEADER));
            data.copy_from(&bytes.to_vec(length as usize));
        }
        size.write(length);
        queue.head().store(end, Ordering::Release);
        IoReturn::SUCCESS.as_kern_return()
    }

    fn IODataQueueEnqueue(queue: Out<u8>, data: In<u8>, size: u32) -> i32 {
        let queue = Queue::of(queue);
        queue.map_or(IoReturn::BAD_ARGUMENT, |queue| queue.enqueue(data, size)).as_kern_return()
    }

    fn IODataQueueWaitForAvailableData(queue: Out<u8>, name: u32) -> i32 {
        let Some(queue) = Queue::of(queue) else { return IoReturn::BAD_ARGUMENT.as_kern_return() };
        let Some(port) = port::port_of(name) else { return IoReturn::BAD_ARGUMENT.as_kern_return() };
        let began = std::time::Instant::now();
        loop {
            if queue.next().is_some() {
                return IoReturn::SUCCESS.as_kern_return();
            }
            let soon = std::time::Instant::now() + std::time::Duration::from_millis(5);
            if let Received::Died = port::receive(&port, Some(soon)) {
                return IoReturn::ABORTED.as_kern_return();
            }
            crate::start::check_wait(began);
        }
    }

    fn IODataQueueAllocateNotificationPort() -> Name {
        port::allocate_receive().map_or(0, |(name, _)| Name::from(name))
    }

    fn IODataQueueSetNotificationPort(queue: Out<u8>, _name: u32) -> i32 {
        let there = Queue::of(queue).is_some();
        (if there { IoReturn::SUCCESS } else { IoReturn::BAD_ARGUMENT }).as_kern_return()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: [u8; 4] = [1, 2, 3, 4];

    /// Size, head and tail, 16 bytes of entries, and what lies behind the queue.
    #[repr(align(8))]
    struct Room([AtomicU32; 32]);

    impl Room {
        fn new(head: u32, tail: u32) -> Self {
            let room = Self([const { AtomicU32::new(0) }; 32]);
            for (index, word) in [16, head, tail].into_iter().enumerate() {
                room.0[index].store(word, Ordering::Relaxed);
            }
            room
        }

        fn queue(&self) -> Queue {
            Queue(self.0.as_ptr().expose_provenance() as u64)
        }

        fn enqueue(&self) -> IoReturn {
            let data = In::<u8>::at(DATA.as_ptr().expose_provenance() as u64);
            self.queue().enqueue(data, DATA.len() as u32)
        }

        fn is_whole_behind(&self) -> bool {
            self.0[7..].iter().all(|word| word.load(Ordering::Relaxed) == 0)
        }
    }

    #[test]
    fn what_is_put_in_comes_out() {
        let room = Room::new(0, 0);
        assert_eq!(room.enqueue(), IoReturn::SUCCESS);
        assert_eq!(room.queue().next(), Some((0, 8)));
        assert!(room.is_whole_behind());
    }

    #[test]
    fn indices_that_lie_outside_lead_nowhere() {
        for (head, tail) in [(0xffff_0000, 16), (0xffff_0000, 24), (0, 40), (20, 24), (17, 16)] {
            let room = Room::new(head, tail);
            assert_eq!(room.enqueue(), IoReturn::OVERRUN, "{head} {tail}");
            assert!(room.is_whole_behind(), "{head} {tail}");
            if head > 0 {
                assert_eq!(room.queue().next(), None, "{head} {tail}");
            }
        }
    }
}
