//! The dext's side: user clients, descriptors, actions, queues and timers under DriverKit's names.
//!
//! A dext implements [`Service`] and [`UserClient`]. Its objects ([`OsData`], [`OsAction`],
//! [`MemoryDescriptor`], [`DispatchQueue`] and so on) are pointers with retain counts, as in C++: the
//! mock keeps count with the dext, tells of mistakes as [`Finding`]s and of what is left as a
//! [`LeakReport`]. Everything belongs to a [`DextProcess`], which the kernel enters around each call
//! into the dext.

mod action;
mod arguments;
pub mod bridge;
mod buffer;
mod container;
mod create;
mod data;
mod data_queue;
mod descriptor;
mod device_task;
mod dispatch;
mod finding;
mod interrupt;
mod interrupt_line;
pub mod kext;
mod leak;
mod map;
mod object;
pub mod pci;
mod plain;
mod process;
mod properties;
mod queue;
mod service;
mod shared_ptr;
mod stop;
mod store;
#[cfg(test)]
mod testing;
mod timer;
pub mod usb;
mod user_client;
mod view;

pub use action::{CompletionSink, OsAction, async_completion};
pub use arguments::{ExternalMethodArguments, ScalarOutput};
pub use buffer::{AddressRange, BufferMemoryDescriptor};
pub use container::{OsArray, OsDictionary, OsValue};
pub use create::{Created, create};
pub use data::OsData;
pub use data_queue::DataQueueDispatchSource;
pub use descriptor::{
    AddressSegment, Direction, MemoryDescriptor, create_memory_descriptor_from_client,
};
pub use device_task::DeviceTask;
pub use dispatch::{UserClientMethodDispatch, super_external_method};
pub use finding::{Finding, Lint, Place};
pub use interrupt::InterruptDispatchSource;
pub use interrupt_line::{InterruptLines, InterruptType};
pub use leak::{Leak, LeakReport};
pub use map::{MappingOptions, MemoryMap};
pub use object::OsObject;
pub use plain::{OsBoolean, OsNumber, OsString};
pub use process::{DextProcess, Entered, UserClientNumber, os_log, sleep, uptime};
pub use properties::{USER_SERVICE_PROPERTIES, copy_properties, remove_property, set_properties};
pub use queue::{DispatchQueue, QueueOptions};
pub use service::{Provider, Service};
pub use shared_ptr::OsSharedPtr;
pub use stop::{DeferredStop, defer_super_stop};
pub use timer::TimerDispatchSource;
pub use user_client::{
    QUEUE_DEFAULT, QUEUE_EXTERNAL_METHOD, USER_CLIENT_MEMORY_READ_ONLY, UserClient,
};
