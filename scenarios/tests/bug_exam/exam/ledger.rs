//! What a client has mapped and has to give back.

use super::stop::{Failure, Stop};
use dextape::call::MapOptions;
use dextape::connection::{Connection, Mapping};

/// The mappings of one connection.
pub(super) struct Ledger<'a> {
    connection: &'a dyn Connection,
    made: Vec<(Mapping, Given)>,
}

/// What became of a mapping.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Given {
    Kept,
    /// The unmap worked.
    Back,
    /// The unmap was tried and refused, by a device that is gone for instance.
    Refused,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(connection: &'a dyn Connection) -> Self {
        Self { connection, made: Vec::new() }
    }

    pub(super) fn map(&mut self, memory_type: u32) -> Result<Mapping, Stop> {
        let mapping = self
            .connection
            .map_memory(memory_type, MapOptions::ANYWHERE, 0)
            .map_err(|result| Stop::trouble(format_args!("map {memory_type}: {result}")))?;
        self.made.push((mapping.clone(), Given::Kept));
        Ok(mapping)
    }

    /// Gives a mapping back; a refusal is trouble, not a leak.
    pub(super) fn unmap(&mut self, mapping: &Mapping) -> Result<(), Stop> {
        let result = self.connection.unmap_memory(mapping.memory_type(), mapping.address());
        let given = if result.is_success() { Given::Back } else { Given::Refused };
        for (made, state) in &mut self.made {
            if made.id() == mapping.id() {
                *state = given;
            }
        }
        result.ok().map_err(|result| Stop::trouble(format_args!("unmap: {result}")))
    }

    /// Gives everything back that is still there.
    pub(super) fn unmap_all(&mut self) -> Result<(), Stop> {
        let kept: Vec<Mapping> = (self.made.iter())
            .filter(|(_, given)| *given == Given::Kept)
            .map(|(mapping, _)| mapping.clone())
            .collect();
        // Each is tried, whatever became of the one before.
        kept.iter().map(|mapping| self.unmap(mapping)).fold(Ok(()), Result::and)
    }

    /// Nothing is left mapped, to be asked before the connection is closed.
    pub(super) fn check(&self) -> Result<(), Failure> {
        for (mapping, given) in &self.made {
            let memory_type = mapping.memory_type();
            match given {
                Given::Kept => {
                    return Err(Failure(format!("memory {memory_type} was never unmapped")));
                }
                Given::Back if mapping.load::<u32>(0).is_ok() => {
                    return Err(Failure(format!("memory {memory_type} outlives its unmap")));
                }
                Given::Back | Given::Refused => {}
            }
        }
        Ok(())
    }
}
