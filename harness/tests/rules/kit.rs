//! A test dext whose behaviour is closures, and a client's way to it.

use dextape::IoReturn;
use dextape::boundary::Rules;
use dextape::boundary::entitlement::USER_CLIENT_CLASS;
use dextape::call::{ConnectionId, ServiceId};
use dextape::connection::{
    AsyncWake, CompletionQueue, Connection, MethodInput, MethodOutput, StructureInput,
    StructureOutput, System,
};
use dextape::driverkit::{
    BufferMemoryDescriptor, Direction, DispatchQueue, ExternalMethodArguments, MemoryDescriptor,
    OsData, OsObject, Provider, QUEUE_EXTERNAL_METHOD, QueueOptions, Service, UserClient,
};
use dextape::kernel::{ClientProcess, MockSystem, ServiceDescription};
use dextape::memory::{Memory, SharedBuffer};
use dextape::schedule::Schedule;
use std::cell::Cell;
use std::sync::{Arc, Mutex};

/// The way that a test goes, for `docs/fidelity.md`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// It asks the boundary itself.
    Boundary,
    /// Through the mock DriverKit, within one dext.
    Dext,
    /// Through the mock system, from client to dext.
    Mock,
}

thread_local! {
    static WAY: Cell<Way> = const { Cell::new(Way::Boundary) };
}

/// A test goes that way, whatever else it does.
pub(crate) fn goes(way: Way) {
    WAY.set(WAY.get().max(way));
}

/// The way that the tests of this thread went since the last time.
pub(crate) fn way() -> Way {
    WAY.replace(Way::Boundary)
}

type Method = dyn Fn(u64, &mut ExternalMethodArguments<'_>) -> IoReturn + Send + Sync;
type ClientMemory = dyn Fn(u64, &mut u64, &mut Option<MemoryDescriptor>) -> IoReturn + Send + Sync;
type NewClient = dyn Fn(u32) -> Result<bool, IoReturn> + Send + Sync;

/// Values in the order in which they came, from whichever thread.
pub(crate) struct Log<T>(Arc<Mutex<Vec<T>>>);

impl<T> Log<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Vec::new())))
    }

    pub(crate) fn push(&self, value: T) {
        self.0.lock().unwrap().push(value);
    }

    /// What came since the last time.
    pub(crate) fn take(&self) -> Vec<T> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl<T> Clone for Log<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// A dext made of closures. The default does nothing, and succeeds at it.
#[derive(Clone)]
pub(crate) struct TestDext {
    method: Arc<Method>,
    memory: Arc<ClientMemory>,
    new_client: Arc<NewClient>,
    own_method_queue: Option<QueueOptions>,
    /// The queues that were made for methods.
    pub(crate) method_queues: Log<DispatchQueue>,
    kernel_class: &'static str,
    stop: Arc<dyn Fn() + Send + Sync>,
    pub(crate) stops: Log<()>,
}

impl TestDext {
    pub(crate) fn new() -> Self {
        Self {
            method: Arc::new(|_, _| IoReturn::SUCCESS),
            memory: Arc::new(|memory_type, options, memory| {
                Base.copy_client_memory_for_type(memory_type, options, memory)
            }),
            new_client: Arc::new(|_| Ok(true)),
            own_method_queue: None,
            method_queues: Log::new(),
            kernel_class: USER_CLIENT_CLASS,
            stop: Arc::new(|| ()),
            stops: Log::new(),
        }
    }

    pub(crate) fn method(
        mut self,
        method: impl Fn(u64, &mut ExternalMethodArguments<'_>) -> IoReturn + Send + Sync + 'static,
    ) -> Self {
        self.method = Arc::new(method);
        self
    }

    /// A method that has no failures.
    pub(crate) fn does(
        self,
        method: impl Fn(&mut ExternalMethodArguments<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.method(move |_, arguments| {
            method(arguments);
            IoReturn::SUCCESS
        })
    }

    pub(crate) fn memory(
        mut self,
        memory: impl Fn(u64, &mut u64, &mut Option<MemoryDescriptor>) -> IoReturn
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.memory = Arc::new(memory);
        self
    }

    /// Answers each memory type with that descriptor of `cupboard`, retained, and with its options.
    pub(crate) fn serves(self, cupboard: &Cupboard) -> Self {
        let cupboard = cupboard.clone();
        self.memory(move |memory_type, options, memory| {
            cupboard.answer(memory_type, options, memory)
        })
    }

    pub(crate) fn new_client(
        mut self,
        new_client: impl Fn(u32) -> Result<bool, IoReturn> + Send + Sync + 'static,
    ) -> Self {
        self.new_client = Arc::new(new_client);
        self
    }

    /// Its user clients have that class in the kernel.
    pub(crate) fn kernel_class(mut self, class: &'static str) -> Self {
        self.kernel_class = class;
        self
    }

    /// What its user clients do when they are stopped, before that is logged.
    pub(crate) fn stop(mut self, stop: impl Fn() + Send + Sync + 'static) -> Self {
        self.stop = Arc::new(stop);
        self
    }

    /// External methods have a queue of their own, so that other upcalls can overtake them.
    pub(crate) fn with_method_queue(mut self) -> Self {
        self.own_method_queue = Some(QueueOptions::NONE);
        self
    }

    /// And one of them can leave that queue to the others.
    pub(crate) fn with_reentrant_queue(mut self) -> Self {
        self.own_method_queue = Some(QueueOptions::REENTRANT);
        self
    }
}

impl Service for TestDext {
    fn new_user_client(&self, open_type: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        let made = (self.new_client)(open_type)?;
        Ok(made.then(|| Arc::new(TestClient(self.clone())) as Arc<dyn UserClient>))
    }
}

/// A user client that has nothing of its own.
struct Base;

impl UserClient for Base {}

struct TestClient(TestDext);

impl UserClient for TestClient {
    fn kernel_class(&self) -> &str {
        self.0.kernel_class
    }

    fn stop(&self, _: &Provider) -> IoReturn {
        (self.0.stop)();
        self.0.stops.push(());
        IoReturn::SUCCESS
    }

    fn external_method(
        &self,
        selector: u64,
        arguments: &mut ExternalMethodArguments<'_>,
    ) -> IoReturn {
        (self.0.method)(selector, arguments)
    }

    fn copy_client_memory_for_type(
        &self,
        memory_type: u64,
        options: &mut u64,
        memory: &mut Option<MemoryDescriptor>,
    ) -> IoReturn {
        (self.0.memory)(memory_type, options, memory)
    }

    fn dispatch_queue(&self, name: &str) -> Option<DispatchQueue> {
        let options = self.0.own_method_queue.filter(|_| name == QUEUE_EXTERNAL_METHOD)?;
        let queue = DispatchQueue::create_with_options(name, options).unwrap();
        self.0.method_queues.push(queue.clone());
        Some(queue)
    }
}

/// The descriptors that a dext answers memory types with. They are made on first use, since they need
/// the dext's process.
#[derive(Clone)]
pub(crate) struct Cupboard {
    shelves: Arc<Mutex<Vec<Shelf>>>,
}

struct Shelf {
    direction: Direction,
    capacity: u64,
    options: u64,
    buffer: Option<BufferMemoryDescriptor>,
}

impl Cupboard {
    /// One buffer of each capacity, for memory types from 0 on.
    pub(crate) fn of(capacities: &[u64]) -> Self {
        let shelf = |capacity: &u64| Shelf {
            direction: Direction::IN_OUT,
            capacity: *capacity,
            options: 0,
            buffer: None,
        };
        Self { shelves: Arc::new(Mutex::new(capacities.iter().map(shelf).collect())) }
    }

    pub(crate) fn set_direction(&self, memory_type: usize, direction: Direction) {
        self.shelves.lock().unwrap()[memory_type].direction = direction;
    }

    /// What the dext puts into its options.
    pub(crate) fn set_options(&self, memory_type: usize, options: u64) {
        self.shelves.lock().unwrap()[memory_type].options = options;
    }

    /// The buffer of a type that was mapped before.
    pub(crate) fn buffer(&self, memory_type: usize) -> BufferMemoryDescriptor {
        self.shelves.lock().unwrap()[memory_type].buffer.clone().unwrap()
    }

    pub(crate) fn answer(
        &self,
        memory_type: u64,
        options: &mut u64,
        memory: &mut Option<MemoryDescriptor>,
    ) -> IoReturn {
        let mut shelves = self.shelves.lock().unwrap();
        let Some(shelf) = shelves.get_mut(memory_type as usize) else {
            return IoReturn::UNSUPPORTED;
        };
        let buffer = shelf.buffer.get_or_insert_with(|| {
            BufferMemoryDescriptor::create(shelf.direction, shelf.capacity, 0).unwrap()
        });
        buffer.retain();
        *options = shelf.options;
        *memory = Some(buffer.descriptor());
        IoReturn::SUCCESS
    }
}

/// A mock system with one test dext.
pub(crate) struct Bench<'a> {
    pub(crate) schedule: &'a Schedule,
    pub(crate) mock: Arc<MockSystem>,
    pub(crate) service: ServiceId,
}

impl Bench<'_> {
    /// Runs `client` against `dext` under these rules.
    pub(crate) fn run<R>(rules: Rules, dext: &TestDext, client: impl FnOnce(&Bench<'_>) -> R) -> R {
        Self::run_as(rules, ServiceDescription::dext("TestDext", "com.example.test"), dext, client)
    }

    /// As [`Bench::run`], with another description of the service.
    pub(crate) fn run_as<R>(
        rules: Rules,
        description: ServiceDescription,
        dext: &TestDext,
        client: impl FnOnce(&Bench<'_>) -> R,
    ) -> R {
        Self::run_for(rules, ClientProcess::default(), description, dext.clone(), client)
    }

    /// As [`Bench::run_as`], for a client that is somebody, and with any dext.
    pub(crate) fn run_for<R>(
        rules: Rules,
        process: ClientProcess,
        description: ServiceDescription,
        dext: impl Service,
        client: impl FnOnce(&Bench<'_>) -> R,
    ) -> R {
        goes(Way::Mock);
        Schedule::simulate(7, |schedule| {
            let mock = MockSystem::builder(schedule).rules(rules).client(process).build();
            let service = mock.publish(description, Arc::new(dext)).unwrap();
            client(&Bench { schedule, mock, service })
        })
    }

    /// As [`Bench::run`], with an open connection.
    pub(crate) fn connected<R>(
        rules: Rules,
        dext: &TestDext,
        client: impl FnOnce(&Bench<'_>, &dyn Connection) -> R,
    ) -> R {
        Self::run(rules, dext, |bench| {
            let connection = bench.open();
            client(bench, &*connection)
        })
    }

    pub(crate) fn open(&self) -> Box<dyn Connection> {
        self.mock.open(self.service, 0).unwrap()
    }

    pub(crate) fn queue(&self) -> Arc<dyn CompletionQueue> {
        self.mock.completion_queue()
    }

    pub(crate) fn rights(&self, connection: ConnectionId) -> u32 {
        self.mock.rights(connection)
    }
}

/// A call and what it left behind.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) result: IoReturn,
    pub(crate) scalar_count: u32,
    pub(crate) structure_size: u64,
    pub(crate) scalars: Vec<u64>,
    pub(crate) bytes: Vec<u8>,
}

/// What stands in the client's outputs before a call.
pub(crate) const OLD_SCALAR: u64 = 0x7777;
pub(crate) const OLD_BYTE: u8 = 0xaa;

/// A call to be made, from what goes in and what is asked for.
#[derive(Clone, Copy, Default)]
pub(crate) struct Call<'a> {
    pub(crate) selector: u32,
    pub(crate) scalars: &'a [u64],
    pub(crate) structure: StructureInput<'a>,
    pub(crate) scalars_asked: usize,
    pub(crate) bytes_asked: usize,
    /// Instead of bytes: NULL with a size.
    pub(crate) null_asked: Option<u64>,
}

impl Call<'_> {
    pub(crate) fn sync(self, connection: &dyn Connection) -> Answer {
        self.make(|input, output| connection.call_method(self.selector, input, output))
    }

    pub(crate) fn with_wake(self, connection: &dyn Connection, wake: &AsyncWake<'_>) -> Answer {
        self.make(|input, output| connection.call_async_method(self.selector, wake, input, output))
    }

    fn make(
        self,
        call: impl FnOnce(&MethodInput<'_>, &mut MethodOutput<'_>) -> IoReturn,
    ) -> Answer {
        let mut scalars = vec![OLD_SCALAR; self.scalars_asked];
        let mut bytes = vec![OLD_BYTE; self.bytes_asked];
        let input = MethodInput { scalars: self.scalars, structure: self.structure };
        let structure = match self.null_asked {
            Some(size) => StructureOutput::Null { size },
            None => StructureOutput::Bytes(&mut bytes),
        };
        let mut output = MethodOutput::new(&mut scalars, structure);
        let result = call(&input, &mut output);
        let (scalar_count, structure_size) = (output.scalar_count, output.structure_size);
        Answer { result, scalar_count, structure_size, scalars, bytes }
    }
}

/// Bytes as a structure input.
pub(crate) fn bytes(bytes: &[u8]) -> StructureInput<'_> {
    StructureInput::Bytes(bytes)
}

/// Sets `length` bytes of `value` as the structure output.
pub(crate) fn set_output(arguments: &mut ExternalMethodArguments<'_>, value: u8, length: usize) {
    arguments.structure_output = Some(OsData::with_bytes(&vec![value; length]));
}

/// Writes `value` to the first `length` bytes of the output descriptor.
pub(crate) fn fill_descriptor(arguments: &ExternalMethodArguments<'_>, value: u8, length: usize) {
    let descriptor = arguments.structure_output_descriptor.as_ref().unwrap();
    let map = descriptor.create_mapping(Default::default(), 0, 0, 0, 0).unwrap();
    map.copy_in(0, &vec![value; length]).unwrap();
    map.release();
}

/// A buffer of `length` bytes of one value.
pub(crate) fn shared(value: u8, length: usize) -> SharedBuffer {
    SharedBuffer::from_bytes(&vec![value; length])
}

/// The first byte of a buffer.
pub(crate) fn first(buffer: &SharedBuffer) -> u8 {
    let memory: &dyn Memory = &**buffer.store();
    memory.load(0).unwrap()
}
