//! The dext of the programs: it keeps actions in slots and answers eight types of memory.

use dextape::IoReturn;
use dextape::driverkit::{
    BufferMemoryDescriptor, Direction, ExternalMethodArguments, MemoryDescriptor, OsAction,
    OsObject, Provider, Service, USER_CLIENT_MEMORY_READ_ONLY, UserClient, async_completion,
};
use dextape::limits::PAGE_SIZE;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

pub(crate) const NOTHING: u32 = 0;
pub(crate) const KEEP: u32 = 1;
pub(crate) const BRIEF: u32 = 2;
pub(crate) const FIRE: u32 = 3;
pub(crate) const FORGET: u32 = 4;
pub(crate) const GROW: u32 = 5;
pub(crate) const FIRE_BRIEF: u32 = 6;

/// What the dext says to firing a slot in which nothing is.
pub(crate) const EMPTY_SLOT: IoReturn = IoReturn::NOT_READY;
/// What it says to type 4.
pub(crate) const REFUSED: IoReturn = IoReturn::NO_MEMORY;

/// Lengths of the buffers behind types 0 and 1, 2, and 3.
pub(crate) const WHOLE: u64 = 2 * PAGE_SIZE;
pub(crate) const ODD: u64 = 0x1234;
pub(crate) const FRESH: u64 = 0x80;
/// The part behind type 6: its length, one page into its parent.
pub(crate) const PART: u64 = 0x800;
/// The growing buffer behind type 7.
pub(crate) const GROWN_AT_FIRST: u64 = PAGE_SIZE;
pub(crate) const GROWN_AT_MOST: u64 = 8 * PAGE_SIZE;

#[derive(Default)]
struct State {
    whole: Option<BufferMemoryDescriptor>,
    odd: Option<BufferMemoryDescriptor>,
    parent: Option<BufferMemoryDescriptor>,
    growing: Option<BufferMemoryDescriptor>,
    slots: [Option<OsAction>; 2],
    /// A pointer without a reference.
    brief: Option<OsAction>,
}

#[derive(Clone, Default)]
pub(crate) struct Dext {
    state: Arc<Mutex<State>>,
    stops: Arc<AtomicUsize>,
}

impl Dext {
    /// The same driver, started once more: it has nothing of the last time.
    pub(crate) fn next_run(&self) -> Self {
        Self { state: Arc::default(), stops: Arc::clone(&self.stops) }
    }

    /// User clients that were stopped, in all runs.
    pub(crate) fn stops(&self) -> usize {
        self.stops.load(Ordering::Relaxed)
    }
}

fn buffer(kept: &mut Option<BufferMemoryDescriptor>, capacity: u64) -> BufferMemoryDescriptor {
    // The direction does not make a mapping read-only (F3).
    let direction = if capacity == ODD { Direction::OUT } else { Direction::IN_OUT };
    let made = || BufferMemoryDescriptor::create(direction, capacity, 0).unwrap();
    kept.get_or_insert_with(made).clone()
}

/// The growing buffer starts short of its capacity.
fn growing(kept: &mut Option<BufferMemoryDescriptor>) -> BufferMemoryDescriptor {
    let is_new = kept.is_none();
    let buffer = buffer(kept, GROWN_AT_MOST);
    if is_new {
        assert_eq!(buffer.set_length(GROWN_AT_FIRST), IoReturn::SUCCESS);
    }
    buffer
}

fn lent(buffer: &BufferMemoryDescriptor) -> MemoryDescriptor {
    buffer.retain();
    buffer.descriptor()
}

impl Service for Dext {
    fn new_user_client(&self, _: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        Ok(Some(Arc::new(self.clone())))
    }
}

impl UserClient for Dext {
    fn stop(&self, _: &Provider) -> IoReturn {
        self.stops.fetch_add(1, Ordering::Relaxed);
        IoReturn::SUCCESS
    }

    fn external_method(
        &self,
        selector: u64,
        arguments: &mut ExternalMethodArguments<'_>,
    ) -> IoReturn {
        let mut state = self.state.lock().unwrap();
        let number = |index: usize| arguments.scalar_input[index];
        match selector as u32 {
            KEEP => {
                let action = arguments.completion.clone().expect("an asynchronous call");
                action.retain();
                if let Some(old) = state.slots[number(0) as usize].replace(action) {
                    old.release();
                }
            }
            BRIEF => state.brief = arguments.completion.clone(),
            FIRE_BRIEF => {
                if let Some(action) = &state.brief {
                    async_completion(action, IoReturn::SUCCESS, &[]);
                }
            }
            FIRE => {
                let Some(action) = &state.slots[number(0) as usize] else { return EMPTY_SLOT };
                let values: Vec<u64> = (0..number(2)).map(|value| value + 100).collect();
                async_completion(action, IoReturn(number(1) as u32), &values);
            }
            FORGET => {
                if let Some(old) = state.slots[number(0) as usize].take() {
                    old.release();
                }
            }
            GROW => {
                let buffer = growing(&mut state.growing);
                return buffer.set_length(buffer.length() + PAGE_SIZE);
            }
            _ => {}
        }
        IoReturn::SUCCESS
    }

    fn copy_client_memory_for_type(
        &self,
        memory_type: u64,
        options: &mut u64,
        memory: &mut Option<MemoryDescriptor>,
    ) -> IoReturn {
        let mut state = self.state.lock().unwrap();
        *memory = match memory_type {
            0 => Some(lent(&buffer(&mut state.whole, WHOLE))),
            1 => {
                *options = USER_CLIENT_MEMORY_READ_ONLY;
                Some(lent(&buffer(&mut state.whole, WHOLE)))
            }
            2 => Some(lent(&buffer(&mut state.odd, ODD))),
            3 => Some(buffer(&mut None, FRESH).descriptor()),
            4 => return REFUSED,
            5 => None,
            6 => {
                let parent = buffer(&mut state.parent, WHOLE).descriptor();
                let part = parent.create_sub_memory_descriptor(Direction::IN_OUT, PAGE_SIZE, PART);
                Some(part.unwrap())
            }
            _ => Some(lent(&growing(&mut state.growing))),
        };
        IoReturn::SUCCESS
    }
}
