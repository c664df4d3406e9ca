//! `IOUserClient`, as the writer of a dext implements it.

use super::dispatch::super_external_method;
use super::{DextProcess, DispatchQueue, ExternalMethodArguments, MemoryDescriptor, Provider};
use crate::IoReturn;
use crate::boundary::{Rules, without_client_memory};

/// The bit that a dext sets in the options of `copy_client_memory_for_type` to have the client's
/// mapping read-only (F2); every other bit is ignored.
#[doc(alias = "kIOUserClientMemoryReadOnly")]
pub const USER_CLIENT_MEMORY_READ_ONLY: u64 = crate::boundary::CLIENT_MEMORY_READ_ONLY;

/// Name of the queue that external methods run on, where a user client has one for them (K3).
#[doc(alias = "kIOUserClientQueueNameExternalMethod")]
pub const QUEUE_EXTERNAL_METHOD: &str = "IOUserClientQueueExternalMethod";

/// Name of the queue that everything else runs on.
#[doc(alias = "kIOServiceDefaultQueueName")]
pub const QUEUE_DEFAULT: &str = "Default";

/// The dext's side of one connection.
///
/// Methods are called in the dext's process, on the user client's queue: one at a time unless the
/// dext says otherwise. State is kept behind interior mutability.
///
/// # Examples
///
/// ```
/// use dextape::IoReturn;
/// use dextape::driverkit::{
///     ExternalMethodArguments, UserClient, UserClientMethodDispatch, super_external_method,
/// };
///
/// struct Adder;
///
/// const METHODS: [UserClientMethodDispatch<Adder>; 1] = [UserClientMethodDispatch {
///     function: Some(Adder::add),
///     check_scalar_input_count: 2,
///     check_scalar_output_count: 1,
///     ..UserClientMethodDispatch::UNCHECKED
/// }];
///
/// impl Adder {
///     fn add(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
///         arguments.scalar_output[0] =
///             arguments.scalar_input[0].wrapping_add(arguments.scalar_input[1]);
///         IoReturn::SUCCESS
///     }
/// }
///
/// impl UserClient for Adder {
///     fn external_method(
///         &self,
///         selector: u64,
///         arguments: &mut ExternalMethodArguments<'_>,
///     ) -> IoReturn {
///         // The framework knows no end of the table (E6).
///         let Some(method) = METHODS.get(selector as usize) else {
///             return IoReturn::BAD_ARGUMENT;
///         };
///         super_external_method(selector, arguments, Some(method), Some(self))
///     }
/// }
/// ```
#[doc(alias = "IOUserClient")]
pub trait UserClient: Send + Sync + 'static {
    /// The class of the object's half in the kernel, as [`create`](super::create) gives it. Another one
    /// than that of user clients is refused (G4).
    fn kernel_class(&self) -> &str {
        crate::boundary::entitlement::USER_CLIENT_CLASS
    }

    /// Whether it is a kext's, whose methods run on the client's own thread, on no queue.
    #[doc(hidden)]
    fn is_in_kernel(&self) -> bool {
        false
    }

    /// The connection is being opened; an error refuses it.
    #[doc(alias = "Start")]
    fn start(&self, provider: &Provider) -> IoReturn {
        let _ = provider;
        IoReturn::SUCCESS
    }

    /// The connection is gone (G13, G14): the place to release what was kept for it. Returning passes it
    /// to the base, but after [`defer_super_stop`](super::defer_super_stop) (H9).
    #[doc(alias = "Stop")]
    fn stop(&self, provider: &Provider) -> IoReturn {
        let _ = provider;
        IoReturn::SUCCESS
    }

    /// A call of the client. The result reaches it unchanged (C9); outputs only on success (A17).
    #[doc(alias = "ExternalMethod")]
    fn external_method(
        &self,
        selector: u64,
        arguments: &mut ExternalMethodArguments<'_>,
    ) -> IoReturn {
        super_external_method::<()>(selector, arguments, None, None)
    }

    /// The client maps or unmaps memory of a type: called once for each (F4).
    ///
    /// Each success hands over one reference, so what is kept must be retained before it is stored in
    /// `memory`. An unmap works only where the same descriptor is given again (F20). `options` is 0
    /// on entry; [`USER_CLIENT_MEMORY_READ_ONLY`] is the only bit that counts (F2).
    ///
    /// Without it every map is a bad argument to the client, and every unmap unsupported (F21).
    #[doc(alias = "CopyClientMemoryForType")]
    fn copy_client_memory_for_type(
        &self,
        memory_type: u64,
        options: &mut u64,
        memory: &mut Option<MemoryDescriptor>,
    ) -> IoReturn {
        let _ = (memory_type, options, memory);
        let rules = DextProcess::current().map_or_else(Rules::all, |process| process.rules());
        without_client_memory(rules)
    }

    /// The queue of that name, asked for once after a start that worked (K3): first
    /// [`QUEUE_EXTERNAL_METHOD`], then [`QUEUE_DEFAULT`]. `None` is a queue of the system's making.
    /// No reference is handed over.
    #[doc(alias = "SetDispatchQueue")]
    fn dispatch_queue(&self, name: &str) -> Option<DispatchQueue> {
        let _ = name;
        None
    }
}
