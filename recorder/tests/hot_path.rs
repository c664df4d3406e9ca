//! What a small call costs its client: no allocation, and no system call.

use dextape::IoReturn;
use dextape::call::{ConnectionId, MapOptions, MemoryId, QueueId, ServiceId};
use dextape::connection::{
    AsyncWake, CompletionQueue, Connection, Mapping, Matching, MethodInput, MethodOutput,
    NoticeQueue, StructureInput, StructureOutput, System, Value,
};
use dextape::memory::Backing;
use dextape::schedule::Schedule;
use dextape_recorder::recording::{RecordOptions, RecordingSession};
use std::alloc::{GlobalAlloc, Layout, System as SystemAllocator};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Counts the allocations of each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every request goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise is handed on.
        unsafe { SystemAllocator.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is handed on.
        unsafe { SystemAllocator.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A system whose calls do next to nothing.
#[derive(Debug)]
struct Trivial(Schedule);

impl System for Trivial {
    fn matching_services(&self, _matching: &Matching) -> Result<Vec<ServiceId>, IoReturn> {
        Ok(vec![ServiceId(1)])
    }

    fn property(&self, _service: ServiceId, _key: &str) -> Result<Option<Value>, IoReturn> {
        Ok(None)
    }

    fn properties(&self, _service: ServiceId) -> Result<BTreeMap<String, Value>, IoReturn> {
        Ok(BTreeMap::new())
    }

    fn open(&self, _service: ServiceId, _open_type: u32) -> Result<Box<dyn Connection>, IoReturn> {
        Ok(Box::new(TrivialConnection))
    }

    fn watch(&self, _matching: &Matching) -> Result<Arc<dyn NoticeQueue>, IoReturn> {
        Err(IoReturn::UNSUPPORTED)
    }

    fn completion_queue(&self) -> Arc<dyn CompletionQueue> {
        unreachable!("no test here asks for a queue, such as {}", QueueId(1))
    }

    fn schedule(&self) -> &Schedule {
        &self.0
    }
}

#[derive(Debug)]
struct TrivialConnection;

impl Connection for TrivialConnection {
    fn id(&self) -> ConnectionId {
        ConnectionId(1)
    }

    fn call_method(
        &self,
        _selector: u32,
        input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn {
        if let (StructureInput::Bytes(from), StructureOutput::Bytes(to)) =
            (&input.structure, &mut output.structure)
        {
            to.copy_from_slice(from);
        }
        IoReturn::SUCCESS
    }

    fn call_async_method(
        &self,
        selector: u32,
        _wake: &AsyncWake<'_>,
        input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn {
        self.call_method(selector, input, output)
    }

    fn map_memory(
        &self,
        memory_type: u32,
        _options: MapOptions,
        _address: u64,
    ) -> Result<Mapping, IoReturn> {
        Ok(Mapping::new(MemoryId(1), memory_type, 0, 64, Backing::new(64)))
    }

    fn unmap_memory(&self, _memory_type: u32, _address: u64) -> IoReturn {
        IoReturn::SUCCESS
    }

    fn close(&self) -> IoReturn {
        IoReturn::SUCCESS
    }
}

/// A recorded connection, and what must stay alive for it.
struct Recorded {
    connection: Box<dyn Connection>,
    session: Arc<RecordingSession>,
    _folder: tempfile::TempDir,
}

fn recorded(schedule: &Schedule) -> Recorded {
    let folder = tempfile::tempdir().unwrap();
    let session =
        RecordingSession::start(&folder.path().join("journal"), RecordOptions::default()).unwrap();
    let system = session.wrap(Arc::new(Trivial(schedule.clone())));
    Recorded { connection: system.open(ServiceId(1), 0).unwrap(), session, _folder: folder }
}

fn call(connection: &dyn Connection, size: usize) {
    let (input, mut output) = ([7; 4096], [0; 4096]);
    let mut scalars = [0; 2];
    let input =
        MethodInput { scalars: &[1, 2, 3], structure: StructureInput::Bytes(&input[..size]) };
    let structure = StructureOutput::Bytes(&mut output[..size]);
    let result = connection.call_method(5, &input, &mut MethodOutput::new(&mut scalars, structure));
    assert_eq!(result, IoReturn::SUCCESS);
}

/// Allocations of this thread while `body` runs.
fn allocations(body: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    body();
    ALLOCATIONS.get() - before
}

#[test]
fn small_calls_allocate_nothing() {
    assert_eq!(allocations(|| drop(Box::new(1))), 1, "the counter counts");
    let check = |schedule: &Schedule| {
        let recorded = recorded(schedule);
        call(&*recorded.connection, 24);
        for size in [0, 24, 80, 4096] {
            // 40 times 4096 bytes each way stay within the warm segment.
            let count = allocations(|| (0..40).for_each(|_| call(&*recorded.connection, size)));
            assert_eq!(count, 0, "{size} bytes");
        }
        let status = recorded.session.status();
        assert_eq!(status, dextape_recorder::journal::Status::Recording);
    };
    check(&Schedule::free());
    Schedule::simulate(1, check);
}

#[test]
fn reads_that_change_nothing_allocate_nothing() {
    let recorded = recorded(&Schedule::free());
    let mapping = recorded.connection.map_memory(0, MapOptions::ANYWHERE, 0).unwrap();
    mapping.store::<u32>(8, 7).unwrap();
    let mut bytes = [0; 32];
    let count = allocations(|| {
        for _ in 0..1000 {
            assert_eq!(mapping.load::<u32>(8), Ok(7));
            assert_eq!(mapping.load::<u32>(12), Ok(0));
            mapping.copy_out(3, &mut bytes).unwrap();
        }
    });
    assert_eq!(count, 0);
}

/// A thread under a filter that kills the process at any system call but its end: what goes on in it
/// makes none.
#[cfg(target_os = "linux")]
mod without_system_calls {
    use super::*;
    use std::process::Command;

    const ROLE: &str = "DEXTAPE_TEST_FILTERED";
    const TEST: &str = "without_system_calls::small_calls_make_no_system_call";
    /// Exit code of a process that got through.
    const THROUGH: i32 = 77;

    #[test]
    fn small_calls_make_no_system_call() {
        match std::env::var(ROLE).as_deref() {
            Ok("calls") => filtered(|connection| (0..1000).for_each(|_| call(connection, 24))),
            Ok("control") => filtered(|_| drop(std::fs::metadata("/"))),
            _ => {}
        }
        assert_eq!(run("calls"), Some(THROUGH), "a system call was made");
        assert_eq!(run("control"), None, "the filter lets system calls through");
    }

    /// Exit code of this test in another process; `None` where a signal ended it.
    fn run(role: &str) -> Option<i32> {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", TEST, "--nocapture", "--test-threads=1"])
            .env(ROLE, role)
            .status()
            .unwrap()
            .code()
    }

    fn filtered(body: impl FnOnce(&dyn Connection)) -> ! {
        let recorded = recorded(&Schedule::free());
        (0..10).for_each(|_| call(&*recorded.connection, 24));
        install_filter();
        body(&*recorded.connection);
        // SAFETY: ends the process, and nothing here wants to be cleaned up.
        unsafe { libc::_exit(THROUGH) }
    }

    /// Allows `exit_group` to the calling thread and nothing else.
    fn install_filter() {
        let step = |code: u32, k: u32, jt, jf| libc::sock_filter { code: code as u16, jt, jf, k };
        let mut steps = [
            // The number of the system call is the first word of what the filter sees.
            step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
            step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, libc::SYS_exit_group as u32, 0, 1),
            step(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0),
            step(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_KILL_PROCESS, 0, 0),
        ];
        let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
        // SAFETY: no memory is handed over.
        let quiet = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
        assert_eq!(quiet, 0, "{}", std::io::Error::last_os_error());
        // SAFETY: the program and its steps outlive the call, which copies them.
        let set = unsafe {
            libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program)
        };
        assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
    }
}
