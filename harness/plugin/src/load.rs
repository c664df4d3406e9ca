//! Loading a plug-in.

use crate::abi::{HostTable, PluginTable, VERSION};
use crate::dext::PluginService;
use crate::host::HOST;
use crate::raw::{get, items, text};
use dextape::IoReturn;
use dextape::call::ServiceId;
use dextape::kernel::{MockSystem, ServiceDescription};
use dextape::registry::Value;
use libloading::Library;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a plug-in cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[error("load the plug-in {}: {reason}", path.display())]
pub struct PluginError {
    path: PathBuf,
    reason: String,
}

/// A library with a dext, loaded. It stays loaded until the program ends: threads and objects of its may
/// outlive whoever asked for it.
#[derive(Clone)]
pub struct Plugin {
    table: PluginTable,
    description: ServiceDescription,
}

// SAFETY: the table holds addresses of functions and texts of a library that stays loaded.
unsafe impl Send for Plugin {}
// SAFETY: as above.
unsafe impl Sync for Plugin {}

type Entry = unsafe extern "C" fn(*const HostTable) -> *const PluginTable;

/// Most properties that a plug-in can have.
const PROPERTIES_MAX: u64 = 256;

impl Plugin {
    /// Loads a library that was compiled with the headers of this dextape. This runs code of the
    /// library: load only what you would run.
    ///
    /// # Errors
    ///
    /// [`PluginError`] where there is no such file, it is no library for this machine, it has no dext, or
    /// it was compiled for another version of the interface.
    pub fn load(path: &Path) -> Result<Self, PluginError> {
        let fail = |reason: String| PluginError { path: path.to_owned(), reason };
        // A name without a folder would be looked for in the system's folders.
        let file = fs_err::canonicalize(path).map_err(|error| fail(error.to_string()))?;
        // SAFETY: whoever names a plug-in wants its code to be run, also that of its constructors.
        let library = unsafe { Library::new(&file) };
        let library = library.map_err(|error| fail(error.to_string()))?;
        // SAFETY: `plugin.h` declares it as a constant of 32 bits.
        let version = unsafe { library.get::<*const u32>(b"dextape_plugin_version\0") };
        let version = version.ok().and_then(|version| get(*version));
        match version {
            Some(VERSION) => {}
            Some(other) => {
                return Err(fail(format!(
                    "it has version {other} of the interface, and this is version {VERSION}: compile it \
                     with the headers of this dextape"
                )));
            }
            None => {
                return Err(fail(
                    "it has no dext: DEXTAPE_DEXT in one of its sources says which".to_owned(),
                ));
            }
        }
        // SAFETY: `plugin.h` of that version declares it with that signature.
        let entry = unsafe { library.get::<Entry>(b"dextape_plugin\0") };
        let entry = *entry.map_err(|error| fail(error.to_string()))?;
        // SAFETY: as above; the table given is there for ever.
        let given = unsafe { entry(&raw const HOST) };
        let table = checked(given).map_err(|reason| fail(reason.to_owned()))?;
        std::mem::forget(library);
        let description = describe(&table);
        Ok(Self { table, description })
    }

    /// What it publishes: class, bundle and properties.
    #[must_use]
    pub fn description(&self) -> &ServiceDescription {
        &self.description
    }

    /// Publishes its dext, a new one for each call.
    ///
    /// # Errors
    ///
    /// Those of [`MockSystem::publish`], and `kIOReturnNoMemory` where the plug-in makes no service.
    pub fn publish(&self, system: &MockSystem) -> Result<ServiceId, IoReturn> {
        let service = PluginService::new(self.table).ok_or(IoReturn::NO_MEMORY)?;
        system.publish(self.description.clone(), Arc::new(service))
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin").field("description", &self.description).finish_non_exhaustive()
    }
}

/// The table of a plug-in, where it is whole.
fn checked(given: *const PluginTable) -> Result<PluginTable, &'static str> {
    // Version and size first: what lies behind them is only there where they are right.
    let Some([version, size]) = get(given.cast::<[u32; 2]>()) else {
        return Err(
            "it does not work with the functions of this dextape: compile it with its headers",
        );
    };
    if version != VERSION || (size as usize) < size_of::<PluginTable>() {
        return Err("its table is of another version: compile it with the headers of this dextape");
    }
    let words = items(given.cast::<usize>(), size_of::<PluginTable>() / size_of::<usize>());
    // Properties may be missing; nothing else may.
    let properties = std::mem::offset_of!(PluginTable, properties) / size_of::<usize>();
    let empty = words
        .iter()
        .enumerate()
        .skip(1)
        .any(|(index, word)| *word == 0 && index != properties && index != properties + 1);
    if empty {
        return Err("its table has empty places");
    }
    get(given).ok_or("its table is empty")
}

fn describe(table: &PluginTable) -> ServiceDescription {
    let description = ServiceDescription::dext(&text(table.user_class), &text(table.bundle_id));
    let there = if table.properties.is_null() { 0 } else { table.property_count };
    let count = there.min(PROPERTIES_MAX) as usize;
    (0..count).filter_map(|index| get(table.properties.wrapping_add(index))).fold(
        description,
        |description, property| {
            let value = |pointer| Value::String(text(pointer));
            let client = BTreeMap::from([
                ("IOClass".to_owned(), value(property.class)),
                ("IOUserClass".to_owned(), value(property.user_class)),
            ]);
            description.property(&text(property.key), Value::Dictionary(client))
        },
    )
}
