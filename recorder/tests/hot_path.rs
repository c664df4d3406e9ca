//! What a small call costs its client: no allocation, and no system call.

use dextape::call::{MapOptions, ServiceId};
use dextape::connection::Connection;
use dextape::schedule::Schedule;
use dextape_recorder::exam::{TrivialSystem, make_small_call};
use dextape_recorder::recording::{RecordOptions, RecordingSession};
use std::alloc::{GlobalAlloc, Layout, System as SystemAllocator};
use std::cell::Cell;
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
    let system = session.wrap(Arc::new(TrivialSystem(schedule.clone())));
    Recorded { connection: system.open(ServiceId(1), 0).unwrap(), session, _folder: folder }
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
        make_small_call(&*recorded.connection, 24);
        for size in [0, 24, 80, 4096] {
            // 40 times 4096 bytes each way stay within the warm segment.
            let count =
                allocations(|| (0..40).for_each(|_| make_small_call(&*recorded.connection, size)));
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
            Ok("calls") => {
                filtered(|connection| (0..1000).for_each(|_| make_small_call(connection, 24)))
            }
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
        (0..10).for_each(|_| make_small_call(&*recorded.connection, 24));
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
