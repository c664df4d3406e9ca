//! `IOService::CopyProperties`, `SetProperties` and `RemoveProperty` of a dext's own service.

use super::{DextProcess, OsDictionary};
use crate::IoReturn;
use crate::registry::Value;
use std::collections::BTreeMap;

/// Property of the registry under which the kernel keeps what a dext has set.
#[doc(alias = "gIOUserServicePropertiesKey")]
pub const USER_SERVICE_PROPERTIES: &str = "IOUserServiceProperties";

/// The properties of the service that the thread works for, in a dictionary with one reference: those
/// of its personality and those that it has set, as if they were the same.
///
/// # Errors
///
/// `kIOReturnNotReady` on a thread that works for no dext process.
///
/// # Examples
///
/// ```
/// use dextape::driverkit::{DextProcess, OsDictionary, OsObject, copy_properties, set_properties};
/// use dextape::schedule::Schedule;
///
/// let process = DextProcess::new("com.example.dext", &Schedule::free());
/// let _inside = process.enter();
/// let properties = OsDictionary::with_capacity(1);
/// properties.set_text("Colour", "green");
/// set_properties(&properties).ok()?;
/// properties.release();
///
/// let copied = copy_properties()?;
/// assert_eq!(copied.text("Colour").as_deref(), Some("green"));
/// copied.release();
/// # Ok::<(), dextape::IoReturn>(())
/// ```
#[track_caller]
#[doc(alias = "CopyProperties")]
pub fn copy_properties() -> Result<OsDictionary, IoReturn> {
    let process = DextProcess::current().ok_or(IoReturn::NOT_READY)?;
    let mut properties = process.properties();
    if let Some(Value::Dictionary(own)) = properties.remove(USER_SERVICE_PROPERTIES) {
        properties.extend(own);
    }
    Ok(OsDictionary::of(&properties))
}

/// Adds properties to those that the dext has set of its service. A client of the registry reads them
/// in the property [`USER_SERVICE_PROPERTIES`], not beside the others.
///
/// The result is success, or `kIOReturnBadArgument` for a dictionary that is gone.
#[track_caller]
#[doc(alias = "SetProperties")]
pub fn set_properties(properties: &OsDictionary) -> IoReturn {
    use super::OsObject;
    if properties.retain_count() == 0 {
        return IoReturn::BAD_ARGUMENT;
    }
    let added = properties.to_values();
    change(|own| {
        own.get_or_insert_default().extend(added);
        IoReturn::SUCCESS
    })
}

/// Takes away one of the properties that the dext has set of its service.
///
/// The result is success, also where it was not there, or `kIOReturnNotFound` where the dext has set
/// none at all.
#[track_caller]
#[doc(alias = "RemoveProperty")]
pub fn remove_property(key: &str) -> IoReturn {
    change(|own| match own {
        Some(own) => {
            own.remove(key);
            IoReturn::SUCCESS
        }
        None => IoReturn::NOT_FOUND,
    })
}

/// Changes what the dext has set of its service.
fn change(change: impl FnOnce(&mut Option<BTreeMap<String, Value>>) -> IoReturn) -> IoReturn {
    let Some(process) = DextProcess::current() else { return IoReturn::UNSUPPORTED };
    process.change_properties(|properties| {
        let mut own = match properties.remove(USER_SERVICE_PROPERTIES) {
            Some(Value::Dictionary(own)) => Some(own),
            _ => None,
        };
        let result = change(&mut own);
        if let Some(own) = own {
            properties.insert(USER_SERVICE_PROPERTIES.to_owned(), Value::Dictionary(own));
        }
        result
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driverkit::OsObject;
    use crate::driverkit::testing::in_process;

    #[test]
    fn what_a_dext_sets_is_kept_apart_and_read_together() {
        in_process(|process| {
            process.describe(BTreeMap::from([("Vendor".to_owned(), Value::from("Example"))]));
            assert_eq!(remove_property("Colour"), IoReturn::NOT_FOUND);
            for (key, text) in [("Colour", "green"), ("Vendor", "Other"), ("Colour", "red")] {
                let properties = OsDictionary::with_capacity(1);
                properties.set_text(key, text);
                assert_eq!(set_properties(&properties), IoReturn::SUCCESS);
                properties.release();
                assert_eq!(set_properties(&properties), IoReturn::BAD_ARGUMENT, "it is gone");
            }
            let text = |key| {
                let copied = copy_properties().unwrap();
                let text = copied.text(key).map(|text| text.to_string());
                assert!(copied.value(USER_SERVICE_PROPERTIES).is_none());
                copied.release();
                text
            };
            assert_eq!(text("Colour").as_deref(), Some("red"));
            assert_eq!(text("Vendor").as_deref(), Some("Other"));
            assert_eq!(process.properties()["Vendor"], Value::from("Example"));
            assert_eq!(remove_property("Vendor"), IoReturn::SUCCESS);
            assert_eq!(remove_property("Vendor"), IoReturn::SUCCESS);
            assert_eq!(text("Vendor").as_deref(), Some("Example"));
            assert!(process.leaks().is_empty());
        });
        assert_eq!(copy_properties().err(), Some(IoReturn::NOT_READY));
    }
}
