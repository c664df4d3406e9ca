//! The connections of this task by name, found without the lock of the table.
//!
//! A call holds its connection by one word of its seat and lets go of it again: no lock that a stopped
//! thread could have, and no count that another connection shares. The table stays the one that says
//! which names there are; where a seat is still held by a call on an earlier connection, the new one
//! has none, and its calls go by the table.

use super::Connect;
use super::seat::{self, Word};
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// Seats of one block, which is made when the first connection of it comes.
const BLOCK: usize = 1024;

/// As many blocks as a table has places for.
const BLOCKS: usize = super::table::NAMES_MAX / BLOCK;

/// Where one connection sits: alone in its cache line, since every call of it writes there.
#[repr(align(64))]
struct Seat {
    word: AtomicU64,
    /// From `Arc::into_raw`; null where nothing sits here.
    connect: AtomicPtr<Connect>,
}

impl Word for AtomicU64 {
    #[inline(always)]
    fn load(&self, order: Ordering) -> u64 {
        self.load(order)
    }

    #[inline(always)]
    fn store(&self, value: u64, order: Ordering) {
        self.store(value, order);
    }

    #[inline(always)]
    fn compare_exchange(&self, old: u64, new: u64, order: Ordering) -> Result<u64, u64> {
        self.compare_exchange(old, new, order, Ordering::Relaxed)
    }

    #[inline(always)]
    fn fetch_sub(&self, value: u64, order: Ordering) -> u64 {
        self.fetch_sub(value, order)
    }

    #[inline(always)]
    fn fetch_and(&self, value: u64, order: Ordering) -> u64 {
        self.fetch_and(value, order)
    }
}

/// Blocks are never taken away again: a late call may look at any time.
static SEATS: [AtomicPtr<[Seat; BLOCK]>; BLOCKS] = [const { AtomicPtr::new(null_mut()) }; BLOCKS];

impl Seat {
    /// Who sits here is nobody's any more.
    #[cold]
    fn take_away(&self) {
        let connect = self.connect.swap(null_mut(), Ordering::AcqRel);
        if !connect.is_null() {
            // SAFETY: it came from `Arc::into_raw` when the seat was taken, the count that it owns is
            // given up here alone, and by the protocol nobody holds the seat.
            drop(unsafe { Arc::from_raw(connect) });
        }
    }
}

/// A connection that is held for a call.
pub(crate) struct Held {
    connect: ManuallyDrop<Arc<Connect>>,
    /// `None` where the count is this one's own.
    seat: Option<&'static Seat>,
}

impl Held {
    /// Held by a count of its own.
    pub(crate) fn own(connect: Arc<Connect>) -> Self {
        Self { connect: ManuallyDrop::new(connect), seat: None }
    }
}

impl Deref for Held {
    type Target = Arc<Connect>;

    #[inline(always)]
    fn deref(&self) -> &Arc<Connect> {
        &self.connect
    }
}

impl Drop for Held {
    #[inline(always)]
    fn drop(&mut self) {
        match self.seat {
            Some(seat) => {
                if seat::let_go(&seat.word) {
                    seat.take_away();
                }
            }
            // SAFETY: the count is its own, and this is the end of it.
            None => unsafe { ManuallyDrop::drop(&mut self.connect) },
        }
    }
}

#[inline(always)]
fn seat_of(name: u32) -> Option<&'static Seat> {
    let place = (name >> 8) as usize;
    let block = SEATS.get(place / BLOCK)?.load(Ordering::Acquire);
    // SAFETY: null, or a block that was made of a box below and is never given back.
    let block = unsafe { block.as_ref() }?;
    Some(&block[place % BLOCK])
}

/// Holds the connection of that name, if it has one and a seat.
#[inline(always)]
pub(crate) fn hold(name: u32) -> Option<Held> {
    let seat = seat_of(name).filter(|_| name != 0)?;
    if !seat::hold(&seat.word, name) {
        return None;
    }
    // SAFETY: whoever sits here came from `Arc::into_raw` before the seat got its name, and stays until
    // the seat is let go. The count is the seat's: `ManuallyDrop` keeps it there.
    let connect = unsafe { Arc::from_raw(seat.connect.load(Ordering::Relaxed)) };
    Some(Held { connect: ManuallyDrop::new(connect), seat: Some(seat) })
}

/// Gives a connection a seat, if its place has one to give. Under the lock of the table.
pub(super) fn sit(name: u32, connect: &Arc<Connect>) {
    let Some(block) = SEATS.get((name >> 8) as usize / BLOCK) else { return };
    if block.load(Ordering::Acquire).is_null() {
        let empty = || Seat { word: AtomicU64::new(0), connect: AtomicPtr::new(null_mut()) };
        let seats: Box<[Seat]> = (0..BLOCK).map(|_| empty()).collect();
        if let Ok(seats) = seats.try_into() {
            let seats: Box<[Seat; BLOCK]> = seats;
            block.store(Box::into_raw(seats), Ordering::Release);
        }
    }
    let Some(seat) = seat_of(name) else { return };
    if seat::is_free(&seat.word) && seat.connect.load(Ordering::Acquire).is_null() {
        seat.connect.store(Arc::into_raw(Arc::clone(connect)).cast_mut(), Ordering::Relaxed);
        seat::sit(&seat.word, name);
    }
}

/// Takes the seat of a connection away, whose name is gone. Under the lock of the table, which still
/// has a count of the connection.
pub(super) fn rise(name: u32) {
    if let Some(seat) = seat_of(name)
        && (seat.word.load(Ordering::Relaxed) >> 32) as u32 == name
        && seat::rise(&seat.word)
    {
        seat.take_away();
    }
}

#[cfg(test)]
mod tests {
    use super::{Connect, hold, rise, sit};
    use dextape::connection::{Matching, System};
    use dextape::kernel::MockSystem;
    use dextape::schedule::Schedule;
    use std::sync::Arc;

    /// Some connection; nothing is asked of it.
    fn connect() -> Arc<Connect> {
        use dextape::driverkit::{Service, UserClient};
        #[derive(Debug)]
        struct Nothing;
        impl Service for Nothing {
            fn new_user_client(
                &self,
                _open_type: u32,
            ) -> Result<Option<Arc<dyn UserClient>>, dextape::IoReturn> {
                #[derive(Debug)]
                struct Client;
                impl UserClient for Client {}
                Ok(Some(Arc::new(Client)))
            }
        }
        let system = MockSystem::new(&Schedule::free());
        let description = dextape::kernel::ServiceDescription::class("Nothing");
        system.publish(description, Arc::new(Nothing)).unwrap();
        let service = system.matching_services(&Matching::service("Nothing")).unwrap()[0];
        Arc::new(Connect::new(system.open(service, 0).unwrap()))
    }

    #[test]
    fn a_held_connection_stays_until_it_is_let_go_and_its_seat_is_not_given_away() {
        // Names of places that no other test has.
        let (first, again) = (900_000 << 8 | 3, 900_000 << 8 | 7);
        let connect = connect();
        assert!(hold(first).is_none());
        sit(first, &connect);
        let held = hold(first).unwrap();
        assert!(Arc::ptr_eq(&held, &connect) && hold(again).is_none());
        rise(first);
        assert!(hold(first).is_none(), "the name is gone");
        sit(again, &connect);
        assert!(hold(again).is_none(), "the seat is not free yet");
        assert_eq!(Arc::strong_count(&connect), 2);
        drop(held);
        assert_eq!(Arc::strong_count(&connect), 1, "the last one took it away");
        sit(again, &connect);
        assert!(hold(again).is_some() && hold(first).is_none());
        rise(again);
        assert_eq!(Arc::strong_count(&connect), 1);
        assert!(hold(0).is_none());
    }
}
