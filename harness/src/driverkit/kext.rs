//! A driver in the kernel: the other kind that a client can open, where the boundary differs.

use super::{
    DextProcess, ExternalMethodArguments, MemoryDescriptor, OsAction, OsData, OsSharedPtr,
    Provider, Service, USER_CLIENT_MEMORY_READ_ONLY, UserClient, async_completion,
};
use crate::IoReturn;
use crate::boundary::Rules;
use crate::boundary::dispatch::{self, ArrayEntry, CallFacts, DispatchChecks, UNCHECKED};
use crate::call::MapOptions;
use crate::coverage::{Fact, Notes};
use crate::limits::{COMPLETION_ARGUMENTS_MAX, INLINE_STRUCTURE_MAX};
use std::fmt;
use std::sync::Arc;

/// Methods of a table beyond this are not noted as known.
const KNOWN_MAX: usize = 1024;

/// A driver in the kernel. [`KextService`] makes of it what a mock system publishes.
///
/// # Examples
///
/// ```
/// use dextape::IoReturn;
/// use dextape::connection::{ConnectionExt, Matching, System};
/// use dextape::driverkit::kext::{
///     ExternalMethodDispatch, Kext, KextMethodArguments, KextService, KextUserClient, external_method,
/// };
/// use dextape::kernel::{MockSystem, ServiceDescription};
/// use dextape::schedule::Schedule;
/// use std::sync::Arc;
///
/// struct Doubler;
///
/// const DOUBLE: ExternalMethodDispatch<Doubler> = ExternalMethodDispatch {
///     function: Some(|_, arguments| {
///         arguments.scalar_output[0] = arguments.scalar_input[0] * 2;
///         IoReturn::SUCCESS
///     }),
///     check_scalar_input_count: 1,
///     check_scalar_output_count: 1,
///     ..ExternalMethodDispatch::UNCHECKED
/// };
///
/// impl KextUserClient for Doubler {
///     fn external_method(&self, _: u32, arguments: &mut KextMethodArguments<'_>) -> IoReturn {
///         external_method(arguments, &DOUBLE, self)
///     }
/// }
///
/// impl Kext for Doubler {
///     fn new_user_client(&self, _: u32) -> Result<Option<Arc<dyn KextUserClient>>, IoReturn> {
///         Ok(Some(Arc::new(Doubler)))
///     }
/// }
///
/// Schedule::simulate(1, |schedule| {
///     let mock = MockSystem::new(schedule);
///     mock.publish(ServiceDescription::class("Doubler"), KextService::new(Doubler))?;
///     let system: &dyn System = &*mock;
///     let connection = system.open(system.first_service(&Matching::service("Doubler"))?, 0)?;
///     let reply = connection.call(0).scalars(&[21]).want_scalars(1).send().unwrap();
///     assert_eq!(&reply.scalars[..], &[42]);
///     Ok::<(), IoReturn>(())
/// }).unwrap();
/// ```
#[doc(alias = "IOService")]
pub trait Kext: Send + Sync + 'static {
    /// The driver is started on `provider`; false keeps it from being published.
    fn start(&self, provider: &Provider) -> bool {
        let _ = provider;
        true
    }

    /// The provider is gone, or the driver is to end.
    fn stop(&self, provider: &Provider) {
        let _ = provider;
    }

    /// A client opens the service.
    ///
    /// # Errors
    ///
    /// Any code; the client is told just that (G2).
    #[doc(alias = "newUserClient")]
    fn new_user_client(&self, open_type: u32) -> Result<Option<Arc<dyn KextUserClient>>, IoReturn>;
}

/// A kext's side of one connection. Its methods run on the client's own thread, on no queue, and
/// beside each other unless the kext says otherwise.
#[doc(alias = "IOUserClient")]
pub trait KextUserClient: Send + Sync + 'static {
    /// The connection is being opened; false refuses it.
    fn start(&self, provider: &Provider) -> bool {
        let _ = provider;
        true
    }

    /// The connection is gone.
    fn stop(&self, provider: &Provider) {
        let _ = provider;
    }

    /// A call of the client. The base class without a table has no method for any (E10).
    #[doc(alias = "externalMethod")]
    fn external_method(&self, selector: u32, arguments: &mut KextMethodArguments<'_>) -> IoReturn {
        let _ = selector;
        old_external_method::<()>(arguments, None, &())
    }

    /// The client maps or unmaps memory of a type. Each success hands over one reference (F4).
    /// `options` are those of the mapping: [`MapOptions::READ_ONLY`] makes it read-only.
    #[doc(alias = "clientMemoryForType")]
    fn client_memory_for_type(
        &self,
        memory_type: u32,
        options: &mut MapOptions,
        memory: &mut Option<MemoryDescriptor>,
    ) -> IoReturn {
        let _ = (memory_type, options, memory);
        IoReturn::UNSUPPORTED
    }
}

/// What a kext's external method is called with, and where it leaves its results.
#[derive(Debug)]
#[doc(alias = "IOExternalMethodArguments")]
pub struct KextMethodArguments<'a> {
    /// The selector, 32 bits.
    pub selector: u32,
    /// Present where the call is asynchronous and has a wake port.
    pub async_reference: Option<AsyncReference>,
    /// Up to 16 scalars.
    pub scalar_input: &'a [u64],
    /// A structure of up to 4096 bytes; none is empty.
    pub structure_input: Arc<[u8]>,
    /// A longer one.
    pub structure_input_descriptor: Option<MemoryDescriptor>,
    /// As many entries as the client asked for, at most 16, all zero.
    pub scalar_output: &'a mut [u64],
    /// Entries asked for, on entry; entries returned, on return.
    pub scalar_output_count: u32,
    /// As many bytes as the client asked for in-line, all zero; empty where it wants a length that
    /// the kext says, to which it may be extended.
    pub structure_output: Vec<u8>,
    /// Bytes asked for in-line, on entry; bytes returned, on return.
    pub structure_output_size: u32,
    /// Memory of the client that takes an output of more than 4096 bytes.
    pub structure_output_descriptor: Option<MemoryDescriptor>,
}

/// Where the results of an asynchronous call go, until this and its clones are dropped.
#[derive(Clone, Debug)]
#[doc(alias = "OSAsyncReference64")]
#[doc(alias = "releaseAsyncReference64")]
pub struct AsyncReference {
    action: OsSharedPtr<OsAction>,
}

impl AsyncReference {
    /// Delivers a status and up to 16 arguments to the client.
    ///
    /// The result is success, or `kIOReturnMessageTooLarge` for more arguments, where nothing is
    /// delivered: a dext is not told (D13).
    #[doc(alias = "sendAsyncResult64")]
    pub fn send(&self, status: IoReturn, arguments: &[u64]) -> IoReturn {
        if arguments.len() > COMPLETION_ARGUMENTS_MAX {
            return IoReturn::MESSAGE_TOO_LARGE;
        }
        async_completion(&self.action, status, arguments);
        IoReturn::SUCCESS
    }
}

/// A method of a table, and what it demands of a call.
#[doc(alias = "IOExternalMethodDispatch")]
pub struct ExternalMethodDispatch<T: ?Sized + 'static> {
    /// The method; `None` makes every call that passes the checks fail (E8).
    pub function: Option<fn(&T, &mut KextMethodArguments<'_>) -> IoReturn>,
    /// Scalars that must be handed in, or `0xffffffff`.
    pub check_scalar_input_count: u32,
    /// Bytes that must be handed in, or `0xffffffff`.
    pub check_structure_input_size: u32,
    /// Scalars that must be asked for, or `0xffffffff`.
    pub check_scalar_output_count: u32,
    /// Bytes that must be asked for, or `0xffffffff`.
    pub check_structure_output_size: u32,
}

impl<T: ?Sized> ExternalMethodDispatch<T> {
    /// No function and no checks: the base for struct update syntax.
    pub const UNCHECKED: Self = Self {
        function: None,
        check_scalar_input_count: UNCHECKED,
        check_structure_input_size: UNCHECKED,
        check_scalar_output_count: UNCHECKED,
        check_structure_output_size: UNCHECKED,
    };

    fn checks(&self) -> DispatchChecks {
        DispatchChecks {
            completion_exists: UNCHECKED,
            scalar_input_count: self.check_scalar_input_count,
            structure_input_size: self.check_structure_input_size,
            scalar_output_count: self.check_scalar_output_count,
            structure_output_size: self.check_structure_output_size,
        }
    }
}

impl<T: ?Sized> Clone for ExternalMethodDispatch<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for ExternalMethodDispatch<T> {}

impl<T: ?Sized> fmt::Debug for ExternalMethodDispatch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalMethodDispatch")
            .field("function", &self.function.is_some())
            .field("checks", &self.checks())
            .finish()
    }
}

/// A method of an array of [`dispatch_external_method`].
#[derive(Debug)]
#[doc(alias = "IOExternalMethodDispatch2022")]
pub struct ExternalMethodDispatch2022<T: ?Sized + 'static> {
    /// The method and its counts.
    pub method: ExternalMethodDispatch<T>,
    /// Whether a wake port is allowed.
    pub allow_async: bool,
    /// An entitlement that the client must have.
    pub check_entitlement: Option<&'static str>,
}

/// What `IOUserClient::externalMethod` does with a dispatch entry: checks the counts, in which a
/// completion is none of its business, and calls the function (E8).
#[doc(alias = "externalMethod")]
pub fn external_method<T: ?Sized>(
    arguments: &mut KextMethodArguments<'_>,
    entry: &ExternalMethodDispatch<T>,
    target: &T,
) -> IoReturn {
    let facts = arguments.facts();
    match dispatch::kext(rules(), &entry.checks(), entry.function.is_some(), &facts) {
        Err(refusal) => refusal,
        Ok(()) => entry.function.map_or(IoReturn::SUCCESS, |function| function(target, arguments)),
    }
}

/// What `IOUserClient2022::dispatchExternalMethod` does: looks the selector up in `array`, where it
/// can be beyond the end, and checks more than the counts (E9).
#[doc(alias = "dispatchExternalMethod")]
#[doc(alias = "IOUserClient2022")]
pub fn dispatch_external_method<T: ?Sized>(
    selector: u32,
    arguments: &mut KextMethodArguments<'_>,
    array: Option<&[ExternalMethodDispatch2022<T>]>,
    target: &T,
) -> IoReturn {
    let entries: Option<Vec<ArrayEntry>> = array.map(|array| {
        let entry = |entry: &ExternalMethodDispatch2022<T>| ArrayEntry {
            checks: entry.method.checks(),
            has_function: entry.method.function.is_some(),
            allow_async: entry.allow_async,
            lacks_entitlement: entry.check_entitlement.is_some_and(|key| !is_entitled(key)),
        };
        array.iter().map(entry).collect()
    });
    note_known(array.map_or(0, <[_]>::len));
    let facts = arguments.facts();
    if let Err(refusal) =
        dispatch::kext_array(rules(), entries.as_deref(), u64::from(selector), &facts)
    {
        return refusal;
    }
    let entry = array.and_then(|array| array.get(selector as usize));
    match entry.and_then(|entry| entry.method.function) {
        Some(function) => function(target, arguments),
        None => IoReturn::SUCCESS,
    }
}

/// Notes the selectors that there are, where somebody wants to know which of them are exercised.
fn note_known(methods: usize) {
    let Some(notes) = Notes::of_process() else { return };
    let Some(process) = DextProcess::current() else { return };
    for selector in 0..methods.min(KNOWN_MAX) as u32 {
        notes.known(Fact::Selector { driver: process.name().to_owned(), selector });
    }
}

/// What `IOUserClient::externalMethod` does without a dispatch entry: goes by the method of an old
/// table, which knows no structures over 4096 bytes (E10).
#[doc(alias = "getTargetAndMethodForIndex")]
#[doc(alias = "IOExternalMethod")]
pub fn old_external_method<T: ?Sized>(
    arguments: &mut KextMethodArguments<'_>,
    method: Option<fn(&T, &mut KextMethodArguments<'_>) -> IoReturn>,
    target: &T,
) -> IoReturn {
    let out_of_line = arguments.structure_input_descriptor.is_some()
        || arguments.structure_output_descriptor.is_some();
    match (dispatch::kext_old_table(rules(), out_of_line, method.is_some()), method) {
        (Err(refusal), _) => refusal,
        (Ok(()), Some(method)) => method(target, arguments),
        (Ok(()), None) => IoReturn::UNSUPPORTED,
    }
}

fn rules() -> Rules {
    DextProcess::current().map_or_else(Rules::all, |process| process.rules())
}

/// Whether the client of the user client that the thread works for has an entitlement.
fn is_entitled(key: &str) -> bool {
    let Some((process, Some(client))) = super::process::Context::process_and_client() else {
        return false;
    };
    process.client_task(client).is_some_and(|task| task.is_entitled(key))
}

impl KextMethodArguments<'_> {
    fn facts(&self) -> CallFacts {
        let input = &self.structure_input_descriptor;
        let output = &self.structure_output_descriptor;
        CallFacts {
            completion: self.async_reference.is_some(),
            scalar_input_count: self.scalar_input.len() as u32,
            structure_input_size: input
                .as_ref()
                .map_or(self.structure_input.len() as u64, MemoryDescriptor::length),
            scalar_output_count: self.scalar_output_count,
            structure_output_maximum_size: output
                .as_ref()
                .map_or(u64::from(self.structure_output_size), MemoryDescriptor::length),
        }
    }
}

/// A kext as a service that a mock system can publish.
pub struct KextService {
    kext: Box<dyn Kext>,
}

impl KextService {
    /// The service of a kext.
    #[must_use]
    pub fn new(kext: impl Kext) -> Arc<Self> {
        Arc::new(Self { kext: Box::new(kext) })
    }
}

impl fmt::Debug for KextService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KextService").finish_non_exhaustive()
    }
}

impl Service for KextService {
    fn start(&self, provider: &Provider) -> IoReturn {
        if self.kext.start(provider) { IoReturn::SUCCESS } else { IoReturn::ERROR }
    }

    fn stop(&self, provider: &Provider) -> IoReturn {
        self.kext.stop(provider);
        IoReturn::SUCCESS
    }

    fn new_user_client(&self, open_type: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        let made = self.kext.new_user_client(open_type)?;
        Ok(made.map(|client| Arc::new(Adapter(client)) as Arc<dyn UserClient>))
    }
}

/// A kext's user client in the place of a dext's.
struct Adapter(Arc<dyn KextUserClient>);

impl UserClient for Adapter {
    fn is_in_kernel(&self) -> bool {
        true
    }

    fn start(&self, provider: &Provider) -> IoReturn {
        if self.0.start(provider) { IoReturn::SUCCESS } else { IoReturn::ERROR }
    }

    fn stop(&self, provider: &Provider) -> IoReturn {
        self.0.stop(provider);
        IoReturn::SUCCESS
    }

    fn external_method(
        &self,
        selector: u64,
        arguments: &mut ExternalMethodArguments<'_>,
    ) -> IoReturn {
        let maximum = arguments.structure_output_maximum_size;
        let inline = arguments.structure_output_descriptor.is_none();
        // A length that the driver says is asked for with the largest.
        let variable = inline && maximum > INLINE_STRUCTURE_MAX;
        let asked = if inline && !variable { maximum as usize } else { 0 };
        let input = arguments.structure_input.as_ref();
        let action = arguments.completion.as_ref().map(OsSharedPtr::retaining);
        let mut seen = KextMethodArguments {
            selector: selector as u32,
            async_reference: action.map(|action| AsyncReference { action }),
            scalar_input: arguments.scalar_input,
            structure_input: input.map_or_else(|| Arc::new([]) as Arc<[u8]>, OsData::bytes),
            structure_input_descriptor: arguments.structure_input_descriptor.clone(),
            scalar_output: &mut arguments.scalar_output,
            scalar_output_count: arguments.scalar_output_count,
            structure_output: vec![0; asked],
            structure_output_size: asked as u32,
            structure_output_descriptor: arguments.structure_output_descriptor.clone(),
        };
        let result = self.0.external_method(selector as u32, &mut seen);
        let KextMethodArguments { scalar_output_count, mut structure_output, .. } = seen;
        let returned = seen.structure_output_size as usize;
        arguments.scalar_output_count = scalar_output_count;
        if result == IoReturn::SUCCESS && (asked > 0 || variable) {
            if !variable {
                structure_output.truncate(returned.min(asked));
            }
            arguments.structure_output = Some(OsData::with_bytes(&structure_output));
        }
        result
    }

    fn copy_client_memory_for_type(
        &self,
        memory_type: u64,
        options: &mut u64,
        memory: &mut Option<MemoryDescriptor>,
    ) -> IoReturn {
        let mut mapping = MapOptions(0);
        let result = self.0.client_memory_for_type(memory_type as u32, &mut mapping, memory);
        if mapping.contains(MapOptions::READ_ONLY) {
            *options |= USER_CLIENT_MEMORY_READ_ONLY;
        }
        result
    }
}
