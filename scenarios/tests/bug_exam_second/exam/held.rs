//! What a client has mapped, whichever of its threads did it.

use super::verdict::Stop;
use dextape::call::MapOptions;
use dextape::connection::{Connection, Mapping};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The mappings of a connection and what became of them.
pub(super) struct Held {
    connection: Arc<dyn Connection>,
    /// Locked for a look only, never over a call.
    book: Mutex<Vec<Entry>>,
}

struct Entry {
    mapping: Mapping,
    /// How often the client has tried to give it back.
    returns: u32,
}

impl Held {
    pub(super) fn new(connection: &Arc<dyn Connection>) -> Self {
        Self { connection: Arc::clone(connection), book: Mutex::default() }
    }

    fn book(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn map(&self, memory_type: u32) -> Result<Mapping, Stop> {
        let mapped = self.connection.map_memory(memory_type, MapOptions::ANYWHERE, 0);
        let mapping = mapped
            .map_err(|result| Stop::trouble(format_args!("map {memory_type:#x}: {result}")))?;
        self.book().push(Entry { mapping: mapping.clone(), returns: 0 });
        Ok(mapping)
    }

    /// Gives a mapping back. A refusal is the driver's; it is not tried again.
    pub(super) fn unmap(&self, mapping: &Mapping) -> Result<(), Stop> {
        for entry in self.book().iter_mut().filter(|entry| entry.mapping.id() == mapping.id()) {
            entry.returns += 1;
        }
        let memory_type = mapping.memory_type();
        let result = self.connection.unmap_memory(memory_type, mapping.address());
        result
            .ok()
            .map_err(|result| Stop::trouble(format_args!("unmap {memory_type:#x}: {result}")))
    }

    /// Gives back what still is there.
    pub(super) fn unmap_rest(&self) -> Result<(), Stop> {
        let kept = |entry: &&Entry| entry.returns == 0;
        let rest: Vec<_> =
            self.book().iter().filter(kept).map(|entry| entry.mapping.clone()).collect();
        // Each has its turn, whatever became of the one before.
        rest.iter().map(|mapping| self.unmap(mapping)).fold(Ok(()), Result::and)
    }

    /// Each mapping was given back, once. To be asked before the connection is closed.
    pub(super) fn verify(&self) -> Result<(), Stop> {
        for Entry { mapping, returns } in &*self.book() {
            let memory_type = mapping.memory_type();
            let what = match returns {
                1 => continue,
                0 => format!("memory {memory_type:#x} is still mapped"),
                _ => format!("memory {memory_type:#x} was unmapped {returns} times"),
            };
            return Err(Stop::broken(what));
        }
        Ok(())
    }
}
