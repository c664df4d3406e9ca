//! What a Mac's C library has besides, as far as clients of IOKit use it.

use crate::raw::{In, Out};
use std::ffi::c_char;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

fn atomic<'a>(place: Out<u32>) -> &'a AtomicU32 {
    // SAFETY: the client promises an aligned word that is a lock and nothing else.
    unsafe { AtomicU32::from_ptr(place.pointer()) }
}

fn spin<'a>(place: Out<i32>) -> &'a AtomicI32 {
    // SAFETY: as above.
    unsafe { AtomicI32::from_ptr(place.pointer()) }
}

/// The number of the calling thread, which is never 0.
fn thread() -> u32 {
    // SAFETY: it takes nothing and gives a number.
    unsafe { libc::gettid() }.cast_unsigned()
}

fn lock(place: Out<u32>) {
    let word = atomic(place);
    let mine = thread();
    let mut spins = 0_u32;
    while let Err(owner) = word.compare_exchange(0, mine, Ordering::Acquire, Ordering::Relaxed) {
        if owner == mine {
            crate::say::say("the client locks an os_unfair_lock that it holds already");
            std::process::abort();
        }
        spins += 1;
        if spins < 64 {
            std::hint::spin_loop();
        } else {
            std::thread::sleep(std::time::Duration::from_micros(50));
        }
    }
}

/// What the machine is, where clients ask.
fn named(name: &str) -> Option<Vec<u8>> {
    // SAFETY: each takes a number and gives one.
    let configured = |what| unsafe { libc::sysconf(what) };
    let text = |text: &str| Some([text.as_bytes(), &[0]].concat());
    let int = |value: i64| Some((value as i32).to_ne_bytes().to_vec());
    let long = |value: i64| Some(value.to_ne_bytes().to_vec());
    match name {
        "hw.model" => text("Mac14,2"),
        "hw.machine" => text(if cfg!(target_arch = "x86_64") { "x86_64" } else { "arm64" }),
        "hw.ncpu" | "hw.logicalcpu" | "hw.physicalcpu" | "hw.activecpu" => {
            int(configured(libc::_SC_NPROCESSORS_ONLN))
        }
        "hw.memsize" => {
            long(configured(libc::_SC_PHYS_PAGES).saturating_mul(configured(libc::_SC_PAGESIZE)))
        }
        "hw.pagesize" => long(configured(libc::_SC_PAGESIZE)),
        "kern.ostype" => text("Darwin"),
        "kern.osrelease" => text("24.3.0"),
        "kern.osproductversion" => text("15.3"),
        "kern.osversion" => text("24D60"),
        "machdep.cpu.brand_string" => text("Apple M2"),
        _ => None,
    }
}

fn answer(value: Option<Vec<u8>>, old: Out<u8>, size: Out<usize>) -> i32 {
    let error = |code: i32| {
        // SAFETY: the C library's own place for the error of this thread.
        let place = unsafe { libc::__errno_location() };
        Out::<i32>::at(place.expose_provenance() as u64).put(code);
        -1
    };
    let Some(value) = value else { return error(libc::ENOENT) };
    if !old.is_null() {
        let room = size.as_in().read_at(0);
        if room < value.len() {
            return error(libc::ENOMEM);
        }
        old.copy_from(&value);
    }
    size.write(value.len());
    0
}

export! {
    fn sysctlbyname(name: In<c_char>, old: Out<u8>, size: Out<usize>, _new: usize, _length: usize) -> i32 {
        answer(named(&name.string().unwrap_or_default()), old, size)
    }

    fn sysctl(name: In<i32>, count: u32, old: Out<u8>, size: Out<usize>, _new: usize, _length: usize) -> i32 {
        let name = name.to_vec(count.min(12) as usize);
        let name = match name[..] {
            [1, 1, ..] => "kern.ostype",
            [1, 2, ..] => "kern.osrelease",
            [1, 65, ..] => "kern.osversion",
            [6, 1, ..] => "hw.machine",
            [6, 2, ..] => "hw.model",
            [6, 3, ..] => "hw.ncpu",
            [6, 7, ..] => "hw.pagesize",
            [6, 24, ..] => "hw.memsize",
            _ => "",
        };
        answer(named(name), old, size)
    }

    fn _NSGetExecutablePath(path: Out<c_char>, size: Out<u32>) -> i32 {
        use std::os::unix::ffi::OsStringExt as _;
        let found = std::env::current_exe().map(|path| path.into_os_string().into_vec());
        let found = found.unwrap_or_default();
        let room = size.as_in().read_at(0) as usize;
        if room <= found.len() {
            size.put(found.len() as u32 + 1);
            return -1;
        }
        path.put_text(&found, room);
        0
    }

    fn digittoint(character: i32) -> i32 {
        let digit = u8::try_from(character).ok().and_then(|byte| char::from(byte).to_digit(16));
        digit.map_or(0, |digit| digit as i32)
    }

    fn isnumber(character: i32) -> i32 {
        i32::from(u8::try_from(character).is_ok_and(|byte| byte.is_ascii_digit()))
    }

    fn ishexnumber(character: i32) -> i32 {
        i32::from(u8::try_from(character).is_ok_and(|byte| byte.is_ascii_hexdigit()))
    }

    fn strlcpy(to: Out<c_char>, from: In<c_char>, size: usize) -> usize {
        let text = from.text().unwrap_or_default();
        if size > 0 {
            to.put_text(&text, size);
        }
        text.len()
    }

    fn strlcat(to: Out<c_char>, from: In<c_char>, size: usize) -> usize {
        let more = from.text().unwrap_or_default();
        let held = (0..size).find(|index| to.as_in().cast::<u8>().read_at(*index) == 0);
        let Some(end) = held else { return size + more.len() };
        Out::<c_char>::at(to.address() + end as u64).put_text(&more, size - end);
        end + more.len()
    }

    fn strnstr(text: In<c_char>, what: In<c_char>, size: usize) -> u64 {
        let wanted = what.text().unwrap_or_default();
        let bytes = text.cast::<u8>();
        let end = (0..size).find(|index| bytes.read_at(*index) == 0).unwrap_or(size);
        let held = bytes.to_vec(end);
        if wanted.is_empty() {
            return text.address();
        }
        let found = held.windows(wanted.len()).position(|part| part == wanted);
        found.map_or(0, |index| text.address() + index as u64)
    }

    fn os_unfair_lock_lock(place: Out<u32>) {
        lock(place);
    }

    fn os_unfair_lock_trylock(place: Out<u32>) -> bool {
        let mine = thread();
        atomic(place).compare_exchange(0, mine, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    fn os_unfair_lock_unlock(place: Out<u32>) {
        let mine = thread();
        let unlocked = atomic(place).compare_exchange(mine, 0, Ordering::Release, Ordering::Relaxed);
        if unlocked.is_err() {
            crate::say::say("the client unlocks an os_unfair_lock that it does not hold");
            std::process::abort();
        }
    }

    fn os_unfair_lock_assert_owner(place: Out<u32>) {
        if atomic(place).load(Ordering::Relaxed) != thread() {
            crate::say::say("the client does not hold an os_unfair_lock that it should");
            std::process::abort();
        }
    }

    fn os_unfair_lock_assert_not_owner(place: Out<u32>) {
        if atomic(place).load(Ordering::Relaxed) == thread() {
            crate::say::say("the client holds an os_unfair_lock that it should not");
            std::process::abort();
        }
    }

    fn OSSpinLockLock(place: Out<i32>) {
        let word = spin(place);
        while word.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
            std::thread::yield_now();
        }
    }

    fn OSSpinLockTry(place: Out<i32>) -> bool {
        spin(place).compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    fn OSSpinLockUnlock(place: Out<i32>) {
        spin(place).store(0, Ordering::Release);
    }
}
