//! Sync points of a mapping that the client reaches by raw pointers.
//!
//! Where a recorder watches, it is told what has changed, and whose change it was, as far as that can be
//! known: a mock's memory notes who else writes to it. From a tape, its changes are brought.

use super::pages::Alias;
use crate::raw::try_copy_from;
use crate::say::say;
use dextape::memory::{Author, Backing, Comparison, Memory, ScanSource, Shadow, Sight};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Time for what is beyond, at one sync point of one mapping.
const BUDGET: Duration = Duration::from_millis(1);

/// How long a client asks for nothing before it counts as waiting for a change, and how often that is
/// looked at.
const IDLE: Duration = Duration::from_millis(5);
const PERIOD: Duration = Duration::from_millis(1);

/// What a sync point does.
#[derive(Debug)]
pub(super) enum Look {
    /// Nothing: both sides have the same pages, and nobody watches.
    Nothing,
    /// Nothing; the client has pages that it must not touch.
    Forbidden(#[expect(dead_code, reason = "held")] Arc<Backing>),
    /// It tells whoever watches.
    Show(Box<Mutex<Show>>),
    /// It brings what the tape has changed to the client's pages.
    Bring(Arc<Bring>),
}

/// What was seen of a mapping.
#[derive(Debug)]
pub(super) struct Show {
    comparison: Comparison,
    /// Where the bytes are: the store's own pages, which stay as long as the memory is held.
    source: u64,
}

/// Pages for what comes from a tape.
#[derive(Debug)]
pub(super) struct Bring {
    memory: Arc<dyn Memory>,
    pages: Arc<Backing>,
    /// What was brought there last.
    view: Mutex<Shadow>,
    /// Somebody waits until the client is idle.
    waiting: AtomicBool,
}

impl Look {
    /// For memory of this process at `source`, which a recorder watches.
    pub(super) fn show(memory: &Arc<dyn Memory>, source: u64) -> Self {
        match Comparison::begin(&**memory, true, false) {
            Ok(comparison) => Self::Show(Box::new(Mutex::new(Show { comparison, source }))),
            Err(reason) => {
                say(&reason);
                Self::Nothing
            }
        }
    }

    /// For what comes from a tape.
    pub(super) fn bring(memory: &Arc<dyn Memory>, pages: Arc<Backing>) -> Self {
        let (memory, view) = (Arc::clone(memory), Mutex::default());
        Self::Bring(Arc::new(Bring { memory, pages, view, waiting: AtomicBool::new(false) }))
    }

    /// A sync point; at the `last` one of a mapping all of it is looked at.
    pub(super) fn look(&self, memory: &Arc<dyn Memory>, last: bool) {
        match self {
            Self::Nothing | Self::Forbidden(_) => {}
            Self::Show(show) => {
                show.lock().unwrap_or_else(PoisonError::into_inner).look(memory, last);
            }
            Self::Bring(bring) => {
                idle::asked();
                if bring.bring(false) {
                    idle::watch(bring);
                }
            }
        }
    }
}

/// The store's pages, compared where they are.
struct Pages(u64);

impl ScanSource for Pages {
    fn read(&mut self, offset: u64, into: &mut [u8]) -> bool {
        try_copy_from(self.0 + offset, into).is_some()
    }

    fn holds(&mut self, offset: u64, bytes: &[u8]) -> Option<bool> {
        let there = std::ptr::with_exposed_provenance::<libc::c_void>((self.0 + offset) as usize);
        // SAFETY: the range is inside the memory, whose view reaches as far as it does (`mapping` has looked)
        // and can be read while the caller of `Show::look` holds the memory. Others may write there
        // meanwhile, which C's function must stand, as it is not Rust's read: whatever it answers is looked
        // at again at the next sync point.
        Some(unsafe { libc::memcmp(there, bytes.as_ptr().cast(), bytes.len()) } == 0)
    }
}

impl Show {
    fn look(&mut self, memory: &Arc<dyn Memory>, last: bool) {
        let began = Instant::now();
        let sight = Sight {
            quiet: None,
            lasts: &mut || false,
            whole: last,
            time: &mut || began.elapsed() < BUDGET,
        };
        // What is said of it is on the tape.
        let _compared = self.comparison.look(&**memory, &mut Pages(self.source), sight);
    }
}

impl Bring {
    /// Brings what the tape has changed. True where some of it waits.
    fn bring(&self, idle: bool) -> bool {
        // The view's lock is held throughout, so that changes come in their order.
        let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = self.memory.bring_changes(idle, &mut |offset, bytes, author| {
            if author == Author::Unknown {
                self.bring_unattributed(&mut view, offset, bytes);
                return;
            }
            // What the client has written itself, the dext's changes come on top of.
            let _beyond_the_end = self.pages.copy_in(offset, bytes);
            view.write(offset, bytes);
        });
        self.waiting.store(waits, Ordering::Release);
        waits
    }

    /// What the client has written there since the last change, it keeps.
    fn bring_unattributed(&self, view: &mut Shadow, offset: u64, bytes: &[u8]) {
        let (mut now, mut brought) = (vec![0; bytes.len()], vec![0; bytes.len()]);
        if self.pages.copy_out(offset, &mut now).is_err() {
            return;
        }
        view.read(offset, &mut brought);
        for (index, byte) in bytes.iter().enumerate() {
            if now[index] == brought[index] && now[index] != *byte {
                now[index] = *byte;
                let _inside = self.pages.copy_in(offset + index as u64, &[*byte]);
            }
        }
        view.write(offset, &now);
    }
}

/// Changes that wait until the client, which may be about to make them itself, waits for them.
mod idle {
    use super::{
        Arc, AtomicBool, AtomicU64, Bring, Duration, IDLE, Instant, Mutex, Ordering, PERIOD,
        PoisonError, Weak,
    };
    use std::sync::OnceLock;

    static WATCHED: Mutex<Vec<Weak<Bring>>> = Mutex::new(Vec::new());
    static RUNNING: AtomicBool = AtomicBool::new(false);
    /// When the client last asked for something, in nanoseconds since [`began`].
    static ASKED: AtomicU64 = AtomicU64::new(0);

    fn now() -> u64 {
        static BEGAN: OnceLock<Instant> = OnceLock::new();
        BEGAN.get_or_init(Instant::now).elapsed().as_nanos() as u64
    }

    pub(super) fn asked() {
        ASKED.store(now(), Ordering::Release);
    }

    fn all() -> std::sync::MutexGuard<'static, Vec<Weak<Bring>>> {
        WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings what waits there once the client is idle.
    pub(super) fn watch(bring: &Arc<Bring>) {
        let mut watched = all();
        watched.retain(|known| known.strong_count() > 0);
        if !watched.iter().any(|known| known.as_ptr() == Arc::as_ptr(bring)) {
            watched.push(Arc::downgrade(bring));
        }
        if !RUNNING.swap(true, Ordering::AcqRel) {
            let spawned = std::thread::Builder::new().name("dextape".to_owned()).spawn(run);
            RUNNING.store(spawned.is_ok(), Ordering::Release);
        }
    }

    fn run() {
        loop {
            std::thread::sleep(PERIOD);
            if Duration::from_nanos(now().saturating_sub(ASKED.load(Ordering::Acquire))) < IDLE {
                continue;
            }
            let waiting: Vec<_> = {
                let mut watched = all();
                watched.retain(|known| known.strong_count() > 0);
                if watched.is_empty() {
                    RUNNING.store(false, Ordering::Release);
                    return;
                }
                watched.iter().filter_map(Weak::upgrade).collect()
            };
            for bring in waiting.iter().filter(|bring| bring.waiting.load(Ordering::Acquire)) {
                bring.bring(true);
            }
        }
    }
}

/// Takes away pages that the client has mapped and must not touch: nobody knows what is there.
pub(super) fn forbid(alias: &Alias, pages: Arc<Backing>, memory_type: u32) -> Look {
    alias.forbid();
    say(&format!(
        "what the client saw of memory type {memory_type} was not recorded, and is not guessed: touching \
         it is a fault"
    ));
    Look::Forbidden(pages)
}
