//! `IOService`, as the writer of a dext implements it, and what stands below it.

use super::{DextProcess, InterruptLines, OsDictionary, UserClient};
use crate::IoReturn;
use crate::boundary::Rules;
use crate::boundary::entitlement::base_new_user_client;
use crate::registry::Value;
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The driver itself.
///
/// # Examples
///
/// ```
/// use dextape::IoReturn;
/// use dextape::driverkit::{Service, UserClient};
/// use std::sync::Arc;
///
/// struct Client;
/// impl UserClient for Client {}
///
/// struct Driver;
/// impl Service for Driver {
///     fn new_user_client(&self, open_type: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
///         match open_type {
///             0 => Ok(Some(Arc::new(Client))),
///             _ => Err(IoReturn::UNSUPPORTED),
///         }
///     }
/// }
/// ```
#[doc(alias = "IOService")]
pub trait Service: Send + Sync + 'static {
    /// The driver is started on `provider`; an error keeps it from being published.
    #[doc(alias = "Start")]
    fn start(&self, provider: &Provider) -> IoReturn {
        let _ = provider;
        IoReturn::SUCCESS
    }

    /// The provider is gone, or the driver is to end. Returning passes it to the base, but after
    /// [`defer_super_stop`](super::defer_super_stop) (H9).
    #[doc(alias = "Stop")]
    fn stop(&self, provider: &Provider) -> IoReturn {
        let _ = provider;
        IoReturn::SUCCESS
    }

    /// A client opens the service; every open makes a new user client (G9). Success without one is
    /// `kIOReturnError` for the client (G3).
    ///
    /// # Errors
    ///
    /// Any code; the client is told just that (G2). The base has none to give: it is
    /// `kIOReturnUnsupported` (G10).
    #[doc(alias = "NewUserClient")]
    fn new_user_client(&self, open_type: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        let _ = open_type;
        let rules = DextProcess::current().map_or_else(Rules::all, |process| process.rules());
        Err(base_new_user_client(rules))
    }
}

/// What a service or user client is started on: a nub of the kernel, or the service of a user client.
#[derive(Clone)]
pub struct Provider {
    class: String,
    object: Option<Arc<dyn Any + Send + Sync>>,
    interrupts: Option<InterruptLines>,
    properties: BTreeMap<String, Value>,
}

impl Provider {
    /// A provider of which only the class is known, such as `IOUserResources`.
    #[must_use]
    pub fn new(class: &str) -> Self {
        Self {
            class: class.to_owned(),
            object: None,
            interrupts: None,
            properties: BTreeMap::new(),
        }
    }

    /// A provider that a driver can use, such as an `IOUSBHostInterface`.
    #[must_use]
    pub fn with_object<T: Any + Send + Sync>(class: &str, object: T) -> Self {
        Self {
            class: class.to_owned(),
            object: Some(Arc::new(object)),
            interrupts: None,
            properties: BTreeMap::new(),
        }
    }

    /// The same provider, whose device interrupts on `lines`.
    #[must_use]
    pub fn with_interrupts(mut self, lines: &InterruptLines) -> Self {
        self.interrupts = Some(lines.clone());
        self
    }

    /// The same provider, with a property that its driver reads.
    #[must_use]
    pub fn with_property(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.properties.insert(key.to_owned(), value.into());
        self
    }

    /// Its properties, in a dictionary with one reference.
    ///
    /// # Panics
    ///
    /// Where the thread works for no dext process.
    #[must_use = "it has a reference that somebody must release"]
    #[track_caller]
    #[doc(alias = "CopyProperties")]
    pub fn copy_properties(&self) -> OsDictionary {
        OsDictionary::of(&self.properties)
    }

    /// The lines on which its device interrupts, where it has any.
    #[must_use]
    pub fn interrupts(&self) -> Option<&InterruptLines> {
        self.interrupts.as_ref()
    }

    /// Its class.
    #[must_use]
    pub fn class(&self) -> &str {
        &self.class
    }

    /// The provider as a `T`, where it is one.
    ///
    /// # Examples
    ///
    /// ```
    /// use dextape::driverkit::Provider;
    ///
    /// let provider = Provider::with_object("IOExample", 7_u32);
    /// assert_eq!(provider.downcast::<u32>(), Some(&7));
    /// assert_eq!(provider.downcast::<String>(), None);
    /// ```
    #[must_use]
    #[doc(alias = "OSDynamicCast")]
    pub fn downcast<T: Any>(&self) -> Option<&T> {
        self.object.as_deref().and_then(|object| (object as &dyn Any).downcast_ref())
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").field("class", &self.class).finish_non_exhaustive()
    }
}
