//! `IOService::Create`: making an object of what the service's properties describe.

use super::{DextProcess, Provider};
use crate::IoReturn;
use crate::boundary::entitlement::{self, CLASS};
use crate::registry::Value;
use std::collections::BTreeMap;

/// The kernel's half of an object that [`create`] has made. The dext's half is the dext's own to
/// make: a user client gives the class as its
/// [`kernel_class`](super::UserClient::kernel_class).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// Its class in the kernel.
    pub class: String,
    /// Its properties.
    pub properties: BTreeMap<String, Value>,
}

/// Makes the kernel's half of an object that the property `key` of the service describes, a dictionary
/// with the key `IOClass`. `provider` is `None` for the service itself: a C++ dext's `this`.
///
/// # Errors
///
/// `kIOReturnUnsupported` for another provider, or where the service is inactive;
/// `kIOReturnBadArgument` where there is no such property, or it describes no object (G11).
///
/// # Panics
///
/// Where the thread works for no dext process.
///
/// # Examples
///
/// A dext that makes its user client as Apple's samples do, with the properties of its personality:
///
/// ```
/// use dextape::IoReturn;
/// use dextape::driverkit::{Service, UserClient, create};
/// use std::sync::Arc;
///
/// struct Client {
///     class: String,
/// }
///
/// impl UserClient for Client {
///     fn kernel_class(&self) -> &str {
///         &self.class
///     }
/// }
///
/// struct Driver;
///
/// impl Service for Driver {
///     fn new_user_client(&self, _: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
///         let created = create(None, "UserClientProperties")?;
///         Ok(Some(Arc::new(Client { class: created.class })))
///     }
/// }
/// ```
#[track_caller]
#[doc(alias = "Create")]
pub fn create(provider: Option<&Provider>, key: &str) -> Result<Created, IoReturn> {
    let Some(process) = DextProcess::current() else {
        panic!("failed to create an object of {key}: the thread works for no dext process");
    };
    let (property, inactive) = process.property(key);
    let is_self = provider.is_none();
    let class = entitlement::create(process.rules(), is_self, property.as_ref(), inactive)?;
    let properties = match property {
        Some(Value::Dictionary(properties)) => properties,
        _ => BTreeMap::from([(CLASS.to_owned(), Value::from(class.as_str()))]),
    };
    Ok(Created { class, properties })
}
