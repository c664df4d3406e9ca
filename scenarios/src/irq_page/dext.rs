//! The dext: hears of interrupts, notes them in a page, and completes who waits.

use super::abi::{BUNDLE_ID, USER_CLASS, VECTORS, WORDS, memory_type, page, register, selector};
use crate::dext::{lock, scalar};
use dextape::IoReturn;
use dextape::call::ServiceId;
use dextape::driverkit::{
    BufferMemoryDescriptor, Direction, DispatchQueue, ExternalMethodArguments,
    InterruptDispatchSource, InterruptLines, InterruptType, MemoryDescriptor, OsAction, OsObject,
    OsSharedPtr, Provider, Service, UserClient, UserClientMethodDispatch, async_completion,
    super_external_method,
};
use dextape::kernel::{MockSystem, ServiceDescription};
use dextape::memory::AccessError;
use std::sync::{Arc, Mutex};

/// What the dext does with a wait while another one is outstanding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondWait {
    /// It takes the place of the first, which is never completed.
    Replaces,
    /// It is refused with `kIOReturnBusy`.
    Busy,
}

/// Whether the dext looks at the page when somebody begins to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arm {
    /// It completes at once where a vector is pending already.
    Looks,
    /// It waits for the next interrupt, naively.
    Blind,
}

/// What becomes of an outstanding wait when the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It is completed with `kIOReturnAborted`.
    Aborts,
    /// Nothing.
    Silent,
}

/// How the dext behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manners {
    /// A wait while another one is outstanding.
    pub second_wait: SecondWait,
    /// A wait when something is pending.
    pub arm: Arm,
    /// A wait when the connection ends.
    pub end: End,
}

/// The driver of the device.
#[derive(Debug)]
pub struct PassThroughDriver {
    manners: Manners,
    provider: Mutex<Option<Provider>>,
}

impl PassThroughDriver {
    /// Publishes it on a device of its own, with messaged interrupts.
    ///
    /// # Errors
    ///
    /// Those of [`MockSystem::publish`].
    pub fn publish(manners: Manners, system: &MockSystem) -> Result<ServiceId, IoReturn> {
        let lines = InterruptLines::new(&[InterruptType::PCI_MESSAGED_X; VECTORS as usize]);
        let provider = Provider::new("IOPCIDevice").with_interrupts(&lines);
        let description = ServiceDescription::dext(USER_CLASS, BUNDLE_ID);
        let driver = Self { manners, provider: Mutex::default() };
        system.publish_on(description, provider, Arc::new(driver))
    }
}

impl Service for PassThroughDriver {
    fn start(&self, provider: &Provider) -> IoReturn {
        *lock(&self.provider) = Some(provider.clone());
        IoReturn::SUCCESS
    }

    fn new_user_client(&self, _type: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        let device = lock(&self.provider).clone().ok_or(IoReturn::NOT_READY)?;
        let interrupts = Arc::new(Mutex::new(None));
        Ok(Some(Arc::new(PassThroughUserClient { manners: self.manners, device, interrupts })))
    }
}

/// A user client.
#[derive(Debug)]
struct PassThroughUserClient {
    manners: Manners,
    device: Provider,
    /// There from `SETUP_INTERRUPTS` to the end.
    interrupts: Arc<Mutex<Option<Interrupts>>>,
}

#[derive(Debug)]
struct Interrupts {
    page: OsSharedPtr<BufferMemoryDescriptor>,
    sources: Vec<(OsSharedPtr<InterruptDispatchSource>, OsSharedPtr<OsAction>)>,
    /// The outstanding wait, retained.
    waiting: Option<OsSharedPtr<OsAction>>,
}

impl Interrupts {
    /// The words of the page at `offset`.
    fn words(&self, offset: u64) -> Result<[u64; WORDS], AccessError> {
        let page = self.page.address_range();
        let mut words = [0; WORDS];
        for (place, word) in (offset..).step_by(8).zip(&mut words) {
            *word = page.load(place)?;
        }
        Ok(words)
    }

    /// The vectors that are pending and enabled, where there is one.
    fn due(&self) -> Option<[u64; WORDS]> {
        let (pending, enabled) = (self.words(page::PENDING).ok()?, self.words(page::ENABLED).ok()?);
        let due: [u64; WORDS] = std::array::from_fn(|word| pending[word] & enabled[word]);
        (due != [0; WORDS]).then_some(due)
    }

    /// Takes the outstanding wait where it is due, with what it is completed with.
    fn take_due(&mut self) -> Option<(OsSharedPtr<OsAction>, [u64; WORDS])> {
        let due = self.due()?;
        Some((self.waiting.take()?, due))
    }
}

/// Notes that a vector has interrupted, and completes who waits.
fn interrupted(interrupts: &Mutex<Option<Interrupts>>, vector: u32) {
    let completed = lock(interrupts).as_mut().and_then(|interrupts| {
        let word = page::PENDING + 8 * u64::from(vector / 64);
        let set = interrupts.page.address_range().fetch_or(word, 1_u64 << (vector % 64));
        debug_assert!(set.is_ok());
        interrupts.take_due()
    });
    complete(completed);
}

/// Fires a wait. Not under the lock: the client may go on at once.
fn complete(completed: Option<(OsSharedPtr<OsAction>, [u64; WORDS])>) {
    if let Some((action, vectors)) = completed {
        async_completion(&action, IoReturn::SUCCESS, &vectors);
    }
}

type Dispatch = UserClientMethodDispatch<PassThroughUserClient>;

const WRITE_REGISTER: Dispatch = Dispatch {
    function: Some(PassThroughUserClient::write_register),
    check_scalar_input_count: 2,
    ..Dispatch::PLAIN
};

const SETUP_INTERRUPTS: Dispatch = Dispatch {
    function: Some(PassThroughUserClient::setup_interrupts),
    check_scalar_output_count: 1,
    ..Dispatch::PLAIN
};

const CHECK_INTERRUPT: Dispatch = Dispatch {
    function: Some(PassThroughUserClient::check_interrupt),
    check_scalar_output_count: WORDS as u32,
    ..Dispatch::PLAIN
};

const WAIT_INTERRUPT: Dispatch = Dispatch {
    function: Some(PassThroughUserClient::wait_interrupt),
    check_completion_exists: 1,
    ..Dispatch::PLAIN
};

const SET_IRQ_MASK: Dispatch = Dispatch {
    function: Some(PassThroughUserClient::set_irq_mask),
    check_scalar_input_count: WORDS as u32,
    ..Dispatch::PLAIN
};

impl UserClient for PassThroughUserClient {
    fn stop(&self, _provider: &Provider) -> IoReturn {
        if let Some(interrupts) = lock(&self.interrupts).take() {
            for (source, _) in &interrupts.sources {
                let cancelled = source.cancel(|| {});
                debug_assert!(cancelled.is_success());
            }
            if let (Some(action), End::Aborts) = (&interrupts.waiting, self.manners.end) {
                async_completion(action, IoReturn::ABORTED, &[]);
            }
        }
        IoReturn::SUCCESS
    }

    fn external_method(
        &self,
        selector: u64,
        arguments: &mut ExternalMethodArguments<'_>,
    ) -> IoReturn {
        let dispatch = match u32::try_from(selector) {
            Ok(selector::WRITE_REGISTER) => &WRITE_REGISTER,
            Ok(selector::SETUP_INTERRUPTS) => &SETUP_INTERRUPTS,
            Ok(selector::CHECK_INTERRUPT) => &CHECK_INTERRUPT,
            Ok(selector::WAIT_INTERRUPT) => &WAIT_INTERRUPT,
            Ok(selector::SET_IRQ_MASK) => &SET_IRQ_MASK,
            _ => return super_external_method::<Self>(selector, arguments, None, None),
        };
        super_external_method(selector, arguments, Some(dispatch), Some(self))
    }

    fn copy_client_memory_for_type(
        &self,
        memory_type: u64,
        _options: &mut u64,
        memory: &mut Option<MemoryDescriptor>,
    ) -> IoReturn {
        if memory_type != u64::from(memory_type::IRQ_PAGE) {
            return IoReturn::UNSUPPORTED;
        }
        let interrupts = lock(&self.interrupts);
        let Some(interrupts) = &*interrupts else { return IoReturn::NOT_READY };
        interrupts.page.retain();
        *memory = Some(interrupts.page.descriptor());
        IoReturn::SUCCESS
    }
}

impl PassThroughUserClient {
    fn write_register(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let (number, value) = (scalar(arguments, 0), scalar(arguments, 1));
        let (register::INTERRUPT, Some(lines)) = (number, self.device.interrupts()) else {
            return IoReturn::BAD_ARGUMENT;
        };
        for vector in (0..VECTORS).filter(|vector| value >> vector & 1 == 1) {
            lines.raise(vector);
        }
        IoReturn::SUCCESS
    }

    fn setup_interrupts(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        if lock(&self.interrupts).is_none() {
            match self.set_up() {
                Ok(made) => *lock(&self.interrupts) = Some(made),
                Err(result) => return result,
            }
        }
        arguments.scalar_output[0] = u64::from(VECTORS);
        IoReturn::SUCCESS
    }

    /// The page, and a source for each vector, on the queue that methods and `Stop` run on: none of
    /// them comes between the steps of another.
    fn set_up(&self) -> Result<Interrupts, IoReturn> {
        let queue = OsSharedPtr::adopt(DispatchQueue::copy_default()?);
        let page = BufferMemoryDescriptor::create(Direction::IN_OUT, page::LENGTH, 0)?;
        let mut sources = Vec::new();
        for vector in 0..VECTORS {
            let source = InterruptDispatchSource::create(&self.device, vector, &queue)?;
            let source = OsSharedPtr::adopt(source);
            // The state keeps the action.
            let interrupts = Arc::downgrade(&self.interrupts);
            let action = OsAction::interrupt_occurred(move |_, _, _| {
                if let Some(interrupts) = interrupts.upgrade() {
                    interrupted(&interrupts, vector);
                }
            });
            let action = OsSharedPtr::adopt(action);
            source.set_handler(&action).ok()?;
            source.set_enable(true).ok()?;
            sources.push((source, action));
        }
        let page = OsSharedPtr::adopt(page);
        for word in (page::ENABLED..).step_by(8).take(WORDS) {
            page.address_range().store(word, u64::MAX).map_err(|_| IoReturn::VM_ERROR)?;
        }
        Ok(Interrupts { page, sources, waiting: None })
    }

    fn check_interrupt(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let interrupts = lock(&self.interrupts);
        let Some(interrupts) = &*interrupts else { return IoReturn::NOT_READY };
        let Ok(words) = interrupts.words(page::PENDING) else { return IoReturn::VM_ERROR };
        arguments.scalar_output.copy_from_slice(&words);
        IoReturn::SUCCESS
    }

    fn wait_interrupt(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let Some(action) = arguments.completion.as_ref().map(OsSharedPtr::retaining) else {
            return IoReturn::BAD_ARGUMENT;
        };
        let completed = {
            let mut interrupts = lock(&self.interrupts);
            let Some(interrupts) = &mut *interrupts else { return IoReturn::NOT_READY };
            if interrupts.waiting.is_some() && self.manners.second_wait == SecondWait::Busy {
                return IoReturn::BUSY;
            }
            interrupts.waiting = Some(action);
            match self.manners.arm {
                Arm::Looks => interrupts.take_due(),
                Arm::Blind => None,
            }
        };
        complete(completed);
        IoReturn::SUCCESS
    }

    fn set_irq_mask(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let completed = {
            let mut interrupts = lock(&self.interrupts);
            let Some(interrupts) = &mut *interrupts else { return IoReturn::NOT_READY };
            let page = interrupts.page.address_range();
            for (place, word) in (page::ENABLED..).step_by(8).zip(arguments.scalar_input) {
                if page.store(place, *word).is_err() {
                    return IoReturn::VM_ERROR;
                }
            }
            interrupts.take_due()
        };
        complete(completed);
        IoReturn::SUCCESS
    }
}
